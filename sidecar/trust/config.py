"""Reads the operator's ``trust.yaml`` and its pinned roots once, into frozen values.

Every mistake is found here, before anything is served, and reported as one line with the file, the
place and the remedy. Sources are *not* checked: one that is absent or silent is not a mistake in
this file, it only lets metadata expire.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from sidecar.core.grants import OperatorTrust
from sidecar.trust import config_file, roots
from sidecar.trust.config_file import TrustFile
from sidecar.trust.limits import MAX_CONFIG_BYTES, REPOSITORY
from sidecar.trust.operator_config import operator_trust
from sidecar.trust.source_config import DirectorySourceConfig, SourceConfig, source_config


class TrustConfigError(Exception):
    """One clear line: the file, the place in it, what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class TrustedAuthority:
    """An authority as ``trust.yaml`` configures it.

    Attributes:
        name: Unique, and safe as a file name.
        root: The pinned root document, already checked.
        source: Where its repository is.
    """

    name: str
    root: bytes
    source: SourceConfig


@dataclass(frozen=True, slots=True)
class TrustConfig:
    """``trust.yaml``.

    Attributes:
        path: Of the file itself.
        operator: Grants and required roles.
        authorities: In the order of the file.
        evidence: Where evidence is read from.
        state_dir: Where the highest versions seen are kept.
        poll_seconds: At the latest after this many seconds every source is looked at again.
    """

    path: Path
    operator: OperatorTrust
    authorities: tuple[TrustedAuthority, ...]
    evidence: tuple[SourceConfig, ...]
    state_dir: Path
    poll_seconds: float


def load(path: Path) -> TrustConfig:
    """Read ``trust.yaml``; paths in it are relative to its folder.

    Raises:
        TrustConfigError: On anything wrong with it, a pinned root, or the state folder.
    """
    try:
        file = config_file.read(_read(path, MAX_CONFIG_BYTES))
        _check_names(file)
        operator = operator_trust(file)
        folder = path.parent
        authorities = tuple(
            TrustedAuthority(
                entry.name,
                _pinned(folder / entry.root, number),
                source_config(entry.source, folder, f"authorities.{number}.source"),
            )
            for number, entry in enumerate(file.authorities)
        )
        _check_separate(authorities)
        state_dir = folder / file.state
        check_private(state_dir)
        evidence = tuple(
            source_config(entry, folder, f"evidence.{number}")
            for number, entry in enumerate(file.evidence)
        )
        _check_apart(state_dir, evidence, authorities)
    except config_file.FileError as error:
        raise TrustConfigError(f"{path}: {error}") from error
    return TrustConfig(path, operator, authorities, evidence, state_dir, file.poll_seconds)


def check_private(state_dir: Path) -> None:
    """Refuse a state folder that others could read or tamper with; an absent one is fine.

    Raises:
        FileError: It is not a folder, another user's, or open to group or others.
    """
    try:
        found = state_dir.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise config_file.FileError(f"state: {state_dir}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode):
        raise config_file.FileError(f"state: {state_dir} is not a folder; name another one")
    if found.st_uid != os.geteuid():
        raise config_file.FileError(
            f"state: {state_dir} belongs to user {found.st_uid}; give it to user {os.geteuid()}"
        )
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise config_file.FileError(
            f"state: {state_dir} is open to others (mode {mode:04o}); chmod 700 it"
        )


def _read(path: Path, limit: int, place: str = "") -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise config_file.FileError(f"{place}cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise config_file.FileError(f"{place}is larger than {limit} bytes")
    return data


def _pinned(path: Path, number: int) -> bytes:
    place = f"authorities.{number}.root: {path} "
    data = _read(path, REPOSITORY.root, place)
    try:
        roots.pinned(data)
    except roots.RootError as error:
        raise config_file.FileError(
            f"{place}is refused: {error}; pin the root that the authority gave you"
        ) from error
    return data


def _check_names(file: TrustFile) -> None:
    for what, names in (
        ("authorities", [entry.name for entry in file.authorities]),
        ("evidence", [entry.directory or entry.url or "" for entry in file.evidence]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise config_file.FileError(f"{what}: {twice[0]!r} is given twice")


def _check_separate(authorities: tuple[TrustedAuthority, ...]) -> None:
    """Refuse one key holder under two names, which could fill two roles."""
    owners: dict[str, str] = {}
    for authority in authorities:
        for key in roots.root_fingerprints(roots.pinned(authority.root).signed):
            other = owners.setdefault(key, authority.name)
            if other != authority.name:
                raise config_file.FileError(
                    f"authorities: {other} and {authority.name} share a root key; "
                    "an authority needs keys of its own"
                )


def _check_apart(
    state_dir: Path,
    evidence: tuple[SourceConfig, ...],
    authorities: tuple[TrustedAuthority, ...],
) -> None:
    """Refuse a kept folder within a followed one: each change would set off another."""
    for source in (*evidence, *(authority.source for authority in authorities)):
        if not isinstance(source, DirectorySourceConfig):
            continue
        if state_dir.resolve().is_relative_to(source.path.resolve()):
            raise config_file.FileError(
                f"state: {state_dir} lies in {source.path}, which is followed; put it elsewhere"
            )


def make_private(config: TrustConfig) -> None:
    """Make the state folder, for its owner only.

    Raises:
        TrustConfigError: It cannot be made, or is open to others.
    """
    try:
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(config.state_dir)
    except OSError as error:
        raise TrustConfigError(
            f"{config.path}: state: {config.state_dir} cannot be made: {error.strerror}"
        ) from error
    except config_file.FileError as error:
        raise TrustConfigError(f"{config.path}: {error}") from error
