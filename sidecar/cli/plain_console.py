"""Prints texts of others without letting them act on the terminal.

Reasons, names and paths come from authorities, from evidence and from logs, and rich writes their
escape sequences as they are: a withdrawal's reason could erase the line that states it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_ACTING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Controls of C0, but for tab and line feed, and of C1, which act alike; and of directions."""


class PlainConsole(Console):
    """A console that shows control characters of what it prints as escapes; see ``Console``."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as ``Console`` does, its own control codes included."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else visible(text), style, control)


def visible(text: str) -> str:
    r"""Return a text with its control characters as escapes, such as ``\x1b``."""
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
