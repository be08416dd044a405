"""Reads the base out of a hosted model's name, as OpenAI and Azure OpenAI form names. Pure.

OpenAI: ``ft:BASE:organisation:suffix:id``, with ``:ckpt-step-N`` for a checkpoint, and before 2024
``curie:ft-organisation-…``. Azure OpenAI: ``BASE.ft-HEX``, with ``:ckpt-step-N`` (fine-tuning
guides of both).
"""

from __future__ import annotations

import re

_NAMES = (
    re.compile(r"ft:(?P<base>[^:]+):.*", re.DOTALL | re.IGNORECASE),
    re.compile(r"(?P<base>.+?)\.ft-[0-9a-f]{8,}.*", re.DOTALL | re.IGNORECASE),
    re.compile(r"(?P<base>[a-z0-9.-]+):ft-.*", re.DOTALL | re.IGNORECASE),
)


def base_in(name: str) -> str | None:
    """Return the base model that an adapted model's name states; ``None`` if it states none."""
    for pattern in _NAMES:
        if (found := pattern.fullmatch(name)) is not None:
            return found["base"]
    return None


def agree(name: str, base: str) -> bool:
    """Return whether an adapted model can be of a base, as far as its name states one.

    A base may be an alias (``gpt-4o-mini``) of the snapshot in the name, or adapted itself.
    """
    stated = base_in(name)
    if stated is None:
        return True
    stated, given = stated.lower(), (base_in(base) or base).lower()
    return stated == given or stated.startswith(f"{given}-") or given.startswith(f"{stated}-")
