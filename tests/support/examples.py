"""How many examples a property test draws: in proportion to the Hypothesis profile in force."""

from __future__ import annotations

from hypothesis import settings

_SUITE = 100
"""Examples that the profile ``suite`` draws where a test states no number."""


def examples(count: int) -> int:
    """Return how many examples to draw where the profile ``suite`` draws ``count``."""
    profile = settings.get_profile(settings.get_current_profile_name())
    return max(10, count * profile.max_examples // _SUITE)
