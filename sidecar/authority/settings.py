"""Reads and writes ``authority.yaml``, an authority's private settings.

The file is meant to be edited by people as far as ``periods`` and ``may_sign`` go; keys are
changed by ``admit authority rotate``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sidecar.authority.errors import AuthorityError
from sidecar.authority.keys import ROLES, TRUST_DOMAINS, HeldKey, distinct
from sidecar.core import kinds
from sidecar.formats import faults
from sidecar.formats.config_file import ConfigFileError, parse_yaml

SETTINGS_FILE = "authority.yaml"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class Periods:
    """How long each kind of metadata stays valid after it was signed.

    ``timestamp`` and ``snapshot`` are the heartbeat: after the shorter one, silence becomes a
    denial of everything that relies on this authority. ``attestation`` bounds a key's window.
    """

    root: timedelta = timedelta(days=365)
    targets: timedelta = timedelta(days=90)
    snapshot: timedelta = timedelta(days=7)
    timestamp: timedelta = timedelta(days=1)
    trust_domains: timedelta = timedelta(days=7)
    attestation: timedelta = timedelta(days=730)

    def __post_init__(self) -> None:
        """Refuse periods that TUF metadata, with its whole seconds, cannot hold."""
        for field in fields(self):
            if getattr(self, field.name) < timedelta(seconds=1):
                raise AuthorityError(f"the {field.name} period is shorter than a second")


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``authority.yaml`` holds; ``keys`` has the roles of ``ROLES``, or of ``ALL_ROLES``."""

    name: str
    periods: Periods
    may_sign: tuple[str, ...]
    keys: dict[str, HeldKey]

    def __post_init__(self) -> None:
        """Refuse a name no operator could write, one key in two roles, unknown predicate types."""
        if _NAME.fullmatch(self.name) is None:
            raise AuthorityError(
                f"{self.name!r} is not a name for an authority: lower-case letters, digits and "
                "hyphens, at most 63, and not a hyphen first"
            )
        unknown = sorted(set(self.may_sign) - set(kinds.BY_URN))
        if unknown or not self.may_sign:
            raise AuthorityError(f"not a predicate type: {', '.join(unknown) or 'none is given'}")
        distinct(self.keys.values())


class _Dumper(yaml.SafeDumper):
    """Writes a PEM as a literal block of YAML."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Represent ``text``: as a literal block where it has several lines."""
        style = "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Key(_Strict):
    uri: Annotated[str, Field(min_length=1)]
    public: Annotated[str, Field(min_length=1)]


class _Periods(_Strict):
    root: str
    targets: str
    snapshot: str
    timestamp: str
    trust_domains: str = "7d"
    attestation: str


class _Keys(_Strict):
    root: _Key
    targets: _Key
    online: _Key
    attestation: _Key
    trust_domains: Annotated[_Key | None, Field(alias=TRUST_DOMAINS)] = None


class _File(_Strict):
    version: Literal[1]
    name: str
    periods: _Periods
    may_sign: list[str]
    keys: _Keys


def read(data: bytes) -> Settings:
    """Read ``authority.yaml``.

    Raises:
        AuthorityError: Not YAML, or not these settings; names the place.
    """
    try:
        file = _File.model_validate(parse_yaml(data))
    except ConfigFileError as error:
        raise AuthorityError(f"{SETTINGS_FILE}: {error}") from error
    except ValidationError as error:
        raise AuthorityError(f"{SETTINGS_FILE}: {faults.fault(error, _File)}") from error
    periods = {name: duration(text) for name, text in file.periods.model_dump().items()}
    held: dict[str, _Key] = {role: getattr(file.keys, role) for role in ROLES}
    if file.keys.trust_domains is not None:
        held[TRUST_DOMAINS] = file.keys.trust_domains
    return Settings(
        name=file.name,
        periods=Periods(**periods),
        may_sign=tuple(file.may_sign),
        keys={role: HeldKey(key.uri, key.public) for role, key in held.items()},
    )


def write(settings: Settings) -> bytes:
    """Write ``authority.yaml``; ``read`` of it gives ``settings`` back."""
    value = {
        "version": 1,
        "name": settings.name,
        "periods": {
            field.name: duration_text(getattr(settings.periods, field.name))
            for field in fields(Periods)
        },
        "may_sign": list(settings.may_sign),
        "keys": {role: {"uri": key.uri, "public": key.pem} for role, key in settings.keys.items()},
    }
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=200).encode("utf-8")


def duration(text: str) -> timedelta:
    """Read ``90d``, ``24h``, ``30m`` or ``45s``.

    Raises:
        AuthorityError: Not such a text.
    """
    found = re.fullmatch(r"([0-9]{1,6})([dhms])", text)
    if found is None:
        raise AuthorityError(f"{text!r} is not a period such as 90d, 24h, 30m or 45s")
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def duration_text(period: timedelta) -> str:
    """Write a period in the largest unit that divides it; parts of a second are dropped."""
    seconds = int(period.total_seconds())
    unit = next(name for name, size in _UNITS.items() if seconds % size == 0)
    return f"{seconds // _UNITS[unit]}{unit}"
