"""Reads a configuration file: bounded YAML without repeated keys, validated by a pydantic model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.durable.files import read_bounded
from sidecar.formats import faults, unique_keys

MAX_CONFIG_BYTES = 1 << 20
_MAX_MESSAGE = 200


class ConfigFileError(Exception):
    """A configuration file cannot be used; the text is one line with file, key and problem."""


STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)
"""Model configuration that refuses unknown keys and values of another type."""

_Model = TypeVar("_Model", bound=BaseModel)


def load_yaml(data: bytes | str) -> Any:  # noqa: ANN401 - YAML has any shape
    """Load YAML in which no key is given twice.

    Raises:
        ConfigFileError: It is not that; the text is without the file's name.
    """
    try:
        return unique_keys.load(data)
    except yaml.YAMLError as error:
        raise ConfigFileError(faults.yaml_fault(error)[:_MAX_MESSAGE]) from error
    except (ValueError, RecursionError) as error:
        # Not UTF-8, a date that is none, a number of thousands of digits, or nested without end.
        raise ConfigFileError("is not YAML in UTF-8") from error


def parse_yaml(data: bytes, begins: str = "version: 1") -> dict[str, Any]:
    """Parse the bytes of a configuration file: one mapping, in which no key is given twice.

    Args:
        data: The bytes.
        begins: How such a file begins, for the error of one that is no mapping.

    Raises:
        ConfigFileError: They are not; the text is without the file's name.
    """
    value = load_yaml(data)
    if not isinstance(value, dict):
        raise ConfigFileError(f"is not a mapping; it begins with {begins!r}")
    return value


def read_config(path: Path, model: type[_Model]) -> _Model:
    """Read and validate a file.

    Args:
        path: The file, of at most ``MAX_CONFIG_BYTES``.
        model: Its model; the file is one mapping that begins with ``version: 1``.

    Raises:
        ConfigFileError: It cannot be read, is not such a file, or has a value that is not allowed.
    """
    try:
        return model.model_validate(parse_yaml(read_bounded(path, MAX_CONFIG_BYTES)))
    except OSError as error:
        raise ConfigFileError(f"{path}: cannot be read: {error.strerror}") from error
    except ConfigFileError as error:
        raise ConfigFileError(f"{path}: {error}") from error
    except ValidationError as error:
        raise ConfigFileError(f"{path}: {faults.fault(error, model)}") from error


def below(folder: Path, name: str | None) -> Path | None:
    """Return a path of the file, relative to its folder; ``None`` where none is given."""
    return None if name is None else folder / name
