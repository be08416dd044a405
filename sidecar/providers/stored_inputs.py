"""Defines which keys of a provider's requests hold ids of stored objects that are input.

A file is named in many places, and every new kind of content adds one. So the table has keys, and
each is looked for at any depth of a body, except in the caller's own data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.core import strict_json

_ESCAPE = b"\\u"
_FOLDED = ("\u017f".encode(), "\u212a".encode())
"""Long s and the Kelvin sign, which Go's ``encoding/json`` takes for letters of a key."""


@dataclass(frozen=True, slots=True)
class StoredInputs:
    """The keys of one provider.

    Attributes:
        kinds: Key → kind of the object whose id, or list of ids, it holds.
        data: Keys below which nothing is an id: what the caller wrote, or what an earlier response
            said.
    """

    kinds: Mapping[str, str] = field(default_factory=dict)
    data: frozenset[str] = frozenset()
    _hints: tuple[bytes, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find the fewest texts without which no key can be in a body."""
        for key in self.kinds:
            if strict_json.fold(key) != key:
                raise ValueError(f"stored inputs: the key {key!r} must be in lower case")
        hints = [key for key in self.kinds if not any(o != key and o in key for o in self.kinds)]
        object.__setattr__(self, "_hints", tuple(hint.encode("ascii") for hint in hints))

    def may_be_in(self, raw: bytes) -> bool:
        """Return whether a key, in any spelling, may be in a body; false only if none is."""
        lower = raw.lower()
        for hint in self._hints:
            if hint in lower:
                return True
        if not self._hints:
            return False
        return _ESCAPE in raw or (
            not raw.isascii() and any(character in raw for character in _FOLDED)
        )

    def kind(self, key: str) -> str | None:
        """Return the kind of object that a key names; a twin of a key is one as well."""
        return self.kinds.get(strict_json.fold(key))


NO_INPUTS = StoredInputs()
"""The table of a provider that stores nothing which a call could name as input."""
