"""Checks the operator's files: validity, permissions, and space for the decision log."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.doctor.installation import Installation
from sidecar.durable.private_files import open_to_others
from sidecar.formats.amounts import amount
from sidecar.opa.bundle import SignedFile
from sidecar.trust import config as trust_config
from sidecar.trust import config_file

_MAX_FILES = 10_000
_MAX_TOLD = 3
_OTHERS_WRITE = 0o022
_LITTLE_ROOM = 256 << 20
_NO_ROOM = 1 << 20
_LARGE_LOG = 1 << 30
_MIB = 1 << 20
MAKE_ROOM = "Make room on its disk"


def configuration(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check that ``sidecar.yaml`` is valid."""
    if installation.config is None:
        remedy = "Correct what it names; `admit docs reference/configuration` has every key."
        if not installation.path.exists():
            remedy = "Give its path with --config FILE."
        return (fail("configuration", installation.config_error, remedy),)
    count = len(installation.config.open_operations)
    opened = f", {amount(count, 'operation')} opened" if count else ""
    ignored = (
        ", a body's model beside a deployment is ignored"
        if installation.config.azure_body_model == "ignore"
        else ""
    )
    return (ok("configuration", f"{installation.path} is valid{opened}{ignored}"),)


def trust(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check that ``trust.yaml`` and every pinned root are valid."""
    if installation.config is None:
        return ()
    try:
        found = trust_config.load(installation.config.trust)
    except trust_config.TrustConfigError as error:
        return (fail("trust", str(error), "Correct what it names; see `admit docs trust`."),)
    count = amount(len(found.authorities), "authority", "authorities")
    return (ok("trust", f"{count}, each with a pinned root that is well signed"),)


def permissions(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check that other users can neither read secret files nor change any that decide."""
    secret = list(_open(_secret(installation), open_to_others))
    decisive = list(
        _open(_decisive(installation), lambda facts: bool(facts.st_mode & _OTHERS_WRITE))
    )
    found = []
    if secret:
        found.append(
            fail(
                "permissions",
                f"others may use {_listed(secret)}",
                "chmod 0600 the files (0700 the folders); replace a key that others could read.",
            )
        )
    if decisive:
        found.append(
            fail(
                "permissions",
                f"others may change {_listed(decisive)}",
                "chmod go-w them, and check their content.",
            )
        )
    return tuple(found) or (
        ok(
            "permissions", "state and keys are their owner's alone; nobody else may change the rest"
        ),
    )


def decision_log(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check that decisions can be recorded."""
    if installation.config is None:
        return ()
    if installation.config.decision_log == "-":
        return (ok("decision log", "the gate's standard output"),)
    path = Path(installation.config.decision_log)
    try:
        size = path.stat().st_size if path.exists() else 0
        room = shutil.disk_usage(path.parent).free
    except OSError as error:
        return (fail("decision log", f"{path}: {error.strerror}", "Create its folder."),)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return (fail("decision log", f"{path} cannot be written", "Give it to the gate's user."),)
    return (_log_room(f"{path}: {size / _MIB:.1f} MiB", size, room),)


def _log_room(detail: str, size: int, room: int) -> Diagnosis:
    """Return what is found of a log that can be written, by its size and the bytes left."""
    detail = f"{detail}, room for {room / _MIB:.0f} MiB"
    if room < _NO_ROOM:
        # Rotating frees nothing.
        why = f"{detail}: once it is full nothing is admitted"
        return fail("decision log", why, f"{MAKE_ROOM}; the gate goes on by itself.")
    if size > _LARGE_LOG:
        return warn("decision log", detail, "Rotate it: rename it, and the gate opens a new one.")
    if room < _LITTLE_ROOM:
        return warn("decision log", detail, f"{MAKE_ROOM}.")
    return ok("decision log", detail)


def state_folder(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check that there is room to keep what is verified; a finding only where there is little."""
    if installation.config is None:
        return ()
    try:
        folder = trust_config.load(installation.config.trust).state_dir
        room = shutil.disk_usage(folder).free
    except (OSError, trust_config.TrustConfigError):
        return ()  # the check of trust.yaml, or of permissions, names it
    detail = f"{folder}: room for {room / _MIB:.0f} MiB"
    if room < _NO_ROOM:
        why = f"{detail}: what authorities publish now is not kept for a restart"
        return (fail("state folder", why, f"{MAKE_ROOM}; the gate goes on by itself."),)
    if room < _LITTLE_ROOM:
        return (warn("state folder", detail, f"{MAKE_ROOM}."),)
    return ()


def _secret(installation: Installation) -> Iterator[Path]:
    yield from installation.private
    state = _state(installation)
    if state is not None:
        yield state  # other users cannot access anything below a folder of mode 0700
    yield from _named(
        installation, "client_key", "bearer_file", "credentials_file", "nkey_file", "user_file"
    )
    if installation.config is None:
        return
    managed = installation.config.opa.managed
    if managed is not None and managed.directory is not None:
        yield managed.directory
    if installation.config.facts_log is not None:
        yield installation.config.facts_log


def _decisive(installation: Installation) -> Iterator[Path]:
    yield installation.path
    if installation.config is None:
        return
    yield installation.config.trust
    source = installation.config.source
    if isinstance(source, SignedFile):
        yield from (source.path, source.key)
    elif source is not None:
        yield from _tree(source.place)
    file = _trust_file(installation)
    if file is not None:
        yield from (installation.config.trust.parent / entry.root for entry in file.authorities)
    yield from _named(installation, "ca", "client_certificate")


def _state(installation: Installation) -> Path | None:
    """Return the folder of the control path's state; ``None`` if ``trust.yaml`` has none."""
    file = _trust_file(installation)
    if installation.config is None or file is None:
        return None
    return installation.config.trust.parent / file.state


def _named(installation: Installation, *options: str) -> Iterator[Path]:
    """Yield the files that sources of ``trust.yaml`` name by these options."""
    file = _trust_file(installation)
    if installation.config is None or file is None:
        return
    for entry in (*file.evidence, *(authority.source for authority in file.authorities)):
        for option in options:
            name = getattr(entry, option)
            if name is not None:
                yield installation.config.trust.parent / name


def _trust_file(installation: Installation) -> config_file.TrustFile | None:
    """Parse ``trust.yaml`` alone, so that permissions are checked even if a root is not valid."""
    if installation.config is None:
        return None
    try:
        with installation.config.trust.open("rb") as file:
            return config_file.read(file.read(_LITTLE_ROOM >> 8))
    except (OSError, config_file.FileError):
        return None


def _tree(folder: Path) -> Iterator[Path]:
    yield folder
    yield from islice(folder.rglob("*"), _MAX_FILES)


def _open(paths: Iterable[Path], is_open: Callable[[os.stat_result], bool]) -> Iterator[str]:
    """Yield paths that exist and are open to others, with the mode of what a link leads to."""
    for path in paths:
        try:
            facts = path.stat()
        except OSError:
            continue
        if is_open(facts):
            yield f"{path} ({stat.S_IMODE(facts.st_mode):04o})"


def _listed(paths: list[str]) -> str:
    more = len(paths) - _MAX_TOLD
    return ", ".join(sorted(paths)[:_MAX_TOLD]) + (f" and {more} more" if more > 0 else "")
