"""Computes the interval in which the true score of a suite lies, with 95 % confidence."""

from __future__ import annotations

import math

_Z = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution."""


def wilson(score: float, samples: int) -> tuple[float, float]:
    """Return Wilson's score interval for a mean of ``samples`` scores from 0 to 1.

    Exact in form for scores that are 0 or 1. For others it is wider than needed: no distribution
    on 0 … 1 with that mean varies more.

    Args:
        score: The mean.
        samples: How many, at least one.
    """
    z2 = _Z * _Z
    centre = (score + z2 / (2 * samples)) / (1 + z2 / samples)
    spread = math.sqrt(score * (1 - score) / samples + z2 / (4 * samples * samples))
    half = _Z * spread / (1 + z2 / samples)
    return max(0.0, centre - half), min(1.0, centre + half)
