"""Holds credentials so that no log, error or output shows one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.binder.errors import BinderError
from sidecar.durable.files import read_from
from sidecar.durable.private_files import open_to_others

MAX_BYTES = 64 << 10
HIDDEN = "[secret]"
_SHORTEST = 6


@dataclass(frozen=True, slots=True)
class Secret:
    """A credential. ``repr`` and ``str`` do not show it.

    Attributes:
        value: The credential itself.
        place: Where it was read from, for errors.
    """

    value: str = field(repr=False)
    place: str

    def __str__(self) -> str:
        """Return where the secret is from."""
        return f"secret from {self.place}"


def from_file(path: Path) -> Secret:
    """Read a credential from a file, without the white space around it.

    Raises:
        BinderError: It cannot be read, is empty, or is readable by others than its owner.
    """
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())  # of the open file: the path may be replaced
            text = read_from(file, MAX_BYTES).decode("ascii", errors="strict").strip()
    except OSError as error:
        raise BinderError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BinderError(f"{path}: holds no credential: it is not ASCII text") from error
    if open_to_others(facts):
        raise BinderError(
            f"{path}: others than its owner can read or change it; run: chmod 600 {path}"
        )
    return _secret(text, str(path))


def from_variable(name: str) -> Secret:
    """Read a credential from an environment variable.

    Raises:
        BinderError: It is not set, or empty.
    """
    return _secret(os.environ.get(name, "").strip(), f"the variable {name}")


def from_variable_or_none(name: str) -> Secret | None:
    """Read a credential from an environment variable; ``None`` where it is not set.

    Raises:
        BinderError: It is set to something that is no credential.
    """
    return from_variable(name) if os.environ.get(name) else None


def _secret(text: str, place: str) -> Secret:
    if not text or not text.isascii() or any(char.isspace() for char in text):
        raise BinderError(f"{place}: holds no credential: it must be one word of ASCII text")
    return Secret(text, place)


def scrubbed(text: str, secrets: Iterable[Secret]) -> str:
    """Replace every secret in a text that a provider or library wrote.

    An API may repeat the key it refuses, whole or with its middle starred out; then its beginning
    and end are still hidden.
    """
    for secret in secrets:
        text = text.replace(secret.value, HIDDEN)
        for part in (secret.value[:_SHORTEST], secret.value[-_SHORTEST:]):
            if len(secret.value) > 2 * _SHORTEST:
                text = text.replace(part, HIDDEN)
    return text
