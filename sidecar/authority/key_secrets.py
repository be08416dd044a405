"""Finds the PIN or passphrase of a key: in a variable of its own, a common one, or by a prompt."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable

from sidecar.authority.errors import AuthorityError, SecretError

VARIABLE = "ADMIT_KEY_SECRET"
NEW_KEY = "NEW"
"""In place of a role: a key that a rotation is about to use, beside the one it replaces."""

_WRONG = frozenset({"PinIncorrect", "PinInvalid", "PinLenRange"})
_LOCKED = frozenset({"PinLocked"})
"""Exceptions of ``python-pkcs11``, by name: it is an extra, and they carry no text."""


def variable(role: str) -> str:
    """Return the variable of one key, e.g. ``ADMIT_KEY_SECRET_TRUST_DOMAINS``."""
    return f"{VARIABLE}_{role.upper().replace('-', '_')}"


def handler(role: str, uri: str, *, new: bool = False) -> Callable[[str], str]:
    """Return the function that a signer calls with the name of the secret it needs.

    Args:
        role: The key's role.
        uri: Its signer URI, for the prompt.
        new: It is about to replace another key of its role.
    """
    names = (*((variable(NEW_KEY),) if new else ()), variable(role), VARIABLE)

    def secret(name: str) -> str:
        given = next((os.environ[each] for each in names if each in os.environ), None)
        if given is not None:
            return given
        if sys.stdin.isatty():
            return getpass.getpass(f"{name.upper()} of the {role} key ({uri}): ")
        raise AuthorityError(
            f"the {role} key ({uri}) needs its {name}: set {' or '.join(names)}, or run this in a "
            "terminal"
        )

    return secret


def failure(role: str, uri: str, what: str, error: Exception) -> AuthorityError:
    """Return the error for a signer's backend that failed; a ``SecretError`` if by its PIN."""
    kind = type(error).__name__
    if kind in _WRONG:
        return SecretError(
            f"{what}: the PIN of the {role} key ({uri}) is wrong; a token locks itself after a few "
            f"wrong ones. It comes from {variable(role)}, else {VARIABLE}, else a prompt"
        )
    if kind in _LOCKED:
        return SecretError(
            f"{what}: the token of the {role} key ({uri}) is locked: its PIN was wrong too often"
        )
    return AuthorityError(f"{what}: {role} key ({uri}): {error or kind}")
