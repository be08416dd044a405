"""Reads YAML strictly: of several equal keys YAML keeps the last, so here they are an error."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml


class UniqueKeysLoader(yaml.SafeLoader):
    """A ``SafeLoader`` that rejects a key given twice, or one that is not text."""

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


def load(data: bytes | str) -> Any:  # noqa: ANN401 - YAML has any shape
    """Read one document.

    Raises:
        yaml.YAMLError: Not YAML, or a key is given twice.
        RecursionError: It is nested too deeply.
        ValueError: It holds a value that cannot be read, such as a date that does not exist.
    """
    return yaml.load(data, Loader=UniqueKeysLoader)  # noqa: S506 - a SafeLoader
