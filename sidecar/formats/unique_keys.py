"""Reads YAML strictly: of several equal keys YAML keeps the last, so here they are an error."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml
from yaml.constructor import SafeConstructor

_SHALLOW, _DEEP = 5_000, 100
"""Bounds of what libyaml reads: its composer recurses in C, and ends the process at 20,000 levels.
What is deeper than a file ever is, PyYAML reads, which raises ``RecursionError``."""

_DOUBTFUL = re.compile(rb"[\x00\t!?]|\xef\xbb\xbf|[|>][-+0-9]*#")
"""What libyaml reads and PyYAML does not, or otherwise: found by comparing them on random texts."""


class _UniqueKeys(SafeConstructor):
    """Rejects a key given twice, or one that is not text."""

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - the signature PyYAML calls
    ) -> dict[Hashable, Any]:
        """Build a mapping.

        Raises:
            yaml.MarkedYAMLError: With the line of the key.
        """
        seen = set()
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if not isinstance(name, str):
                raise yaml.MarkedYAMLError(
                    problem=f"the key {name!r} is not text", problem_mark=key.start_mark
                )
            if name in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {name!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


class UniqueKeysLoader(_UniqueKeys, yaml.SafeLoader):
    """A ``SafeLoader`` that rejects a key given twice, or one that is not text."""


class _FastLoader(_UniqueKeys, yaml.CSafeLoader):
    """The same on libyaml, which takes a tenth of the time."""


def load(data: bytes | str) -> Any:  # noqa: ANN401 - YAML has any shape
    """Read one document.

    libyaml reads what is valid; an error is PyYAML's own, whose messages are better.

    Raises:
        yaml.YAMLError: Not YAML, or a key is given twice.
        RecursionError: It is nested too deeply.
        ValueError: It holds a value that cannot be read, such as a date that does not exist.
    """
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    if _levels(raw) <= _SHALLOW and not _DOUBTFUL.search(raw):
        try:
            found = yaml.load(data, Loader=_FastLoader)  # noqa: S506 - a SafeLoader
        except (yaml.YAMLError, ValueError):
            pass
        else:
            if _within(found, _DEEP):
                return found
    return yaml.load(data, Loader=UniqueKeysLoader)  # noqa: S506 - a SafeLoader


def _levels(raw: bytes) -> int:
    """Return at least how deeply a document can be nested.

    In brackets a level takes one of them; without, it is indented further or begins with a sign.
    """
    longest = max(map(len, raw.splitlines()), default=0)
    return raw.count(b"[") + raw.count(b"{") + 2 * longest


def _within(value: object, levels: int) -> bool:
    """Return whether a value is nested no deeper than that; what an alias repeats counts again."""
    if isinstance(value, dict):
        return levels > 0 and all(_within(child, levels - 1) for child in value.values())
    if isinstance(value, list):
        return levels > 0 and all(_within(child, levels - 1) for child in value)
    return True
