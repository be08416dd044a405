"""An authority's TUF repository: what is published, and the next edition of it.

Theory of operation. ``next_edition`` is told what should hold (which key serves which role, which
documents, which periods) and compares it with what is published. It signs anew only what has to
be: root for other keys, targets for other documents, snapshot for other targets, timestamp always;
and whatever would soon expire. So a heartbeat needs nothing but the online key, and a rotation is
an edition with another key. The writes come in the order in which they must reach the disk:
documents, targets, snapshot, root, and the timestamp last, since only the timestamp makes readers
look for the others (TUF specification §6.2, consistent snapshots).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from securesystemslib.signer import Signer, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

from sidecar.authority.errors import AuthorityError
from sidecar.authority.journal import FileWrite
from sidecar.authority.keys import ONLINE, ROOT, TARGETS, sign
from sidecar.authority.settings import Periods

FOLDER = "repository"
METADATA = f"{FOLDER}/metadata"
DOCUMENTS = f"{FOLDER}/targets"
KEPT_SNAPSHOTS = 8
"""Superseded snapshots that stay, for readers that are in the middle of a refresh."""

_SERVES = {"root": ROOT, "targets": TARGETS, "snapshot": ONLINE, "timestamp": ONLINE}
S = TypeVar("S", Root, Targets, Snapshot, Timestamp)


@dataclass(frozen=True, slots=True)
class Published:
    """What the repository holds; ``documents`` are the target files by name."""

    root: Metadata[Root]
    targets: Metadata[Targets]
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]
    documents: Mapping[str, bytes]

    @property
    def expires(self) -> datetime:
        """When readers cease to rely on this edition: the earliest expiry of the four."""
        parts = (self.root, self.targets, self.snapshot, self.timestamp)
        return min(part.signed.expires for part in parts)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the next edition should say.

    Attributes:
        keys: The public key of each of ``root``, ``targets`` and ``online``.
        documents: Target file name → bytes.
        periods: From signing to expiry.
        signer: Opens the private half of a public key.
    """

    keys: Mapping[str, SSlibKey]
    documents: Mapping[str, bytes]
    periods: Periods
    signer: Callable[[SSlibKey], Signer]


@dataclass(frozen=True, slots=True)
class Edition:
    """The next edition: itself, its writes in order, what was signed anew, and what could not."""

    published: Published
    writes: tuple[FileWrite, ...]
    renewed: tuple[str, ...]
    warnings: tuple[str, ...]


def next_edition(current: Published | None, wanted: Wanted, now: datetime) -> Edition:
    """Sign the next edition. Writes nothing.

    Args:
        current: What is published, or null for the first edition.
        wanted: What should hold.
        now: Aware UTC, whole seconds.

    Raises:
        AuthorityError: A key that is needed cannot be used. A key that is needed only because
            root or targets will expire before long is not: that becomes a warning.
    """
    warnings: list[str] = []
    root = _root(current, wanted, now, warnings)
    targets = _targets(current, wanted, now, warnings)
    online = wanted.signer(wanted.keys[ONLINE])
    snapshot = _snapshot(current, targets, online, wanted, now)
    timestamp = _timestamp(current, snapshot, online, wanted, now)
    published = Published(root, targets, snapshot, timestamp, dict(wanted.documents))
    writes, renewed = _writes(current, published)
    return Edition(published, writes, renewed, tuple(warnings))


def read(home: Path, keys: Mapping[str, SSlibKey]) -> Published:
    """Read what is published and check that it is what this authority signed.

    A repository folder is often copied to and from servers; an authority must not put its
    signature on something that was changed there.

    Args:
        home: The authority's home.
        keys: The public key of each of ``root``, ``targets`` and ``online``.

    Raises:
        AuthorityError: Something is missing, malformed, or signed by other keys.
    """
    folder = home / METADATA
    try:
        root = Metadata[Root].from_bytes(
            (folder / f"{_latest_root(folder)}.root.json").read_bytes()
        )
        _check_keys(root.signed, keys)
        timestamp = Metadata[Timestamp].from_bytes((folder / "timestamp.json").read_bytes())
        number = timestamp.signed.snapshot_meta.version
        snapshot = Metadata[Snapshot].from_bytes((folder / f"{number}.snapshot.json").read_bytes())
        number = snapshot.signed.meta["targets.json"].version
        targets = Metadata[Targets].from_bytes((folder / f"{number}.targets.json").read_bytes())
        for name, part in (
            ("root", root),
            ("timestamp", timestamp),
            ("snapshot", snapshot),
            ("targets", targets),
        ):
            root.signed.verify_delegate(name, part.signed_bytes, part.signatures)
        documents = _documents(home / DOCUMENTS, targets.signed)
    except (OSError, KeyError, DeserializationError, RepositoryError) as error:
        raise AuthorityError(
            f"{home / FOLDER} does not hold what this authority published: {error}"
        ) from error
    return Published(root, targets, snapshot, timestamp, documents)


def superseded_snapshots(home: Path, published: Published) -> tuple[Path, ...]:
    """Snapshot files that no reader can still be looking for."""
    oldest = published.snapshot.signed.version - KEPT_SNAPSHOTS
    numbered = _numbered(home / METADATA, "snapshot")
    return tuple(path for number, path in numbered if number < oldest)


def _root(
    current: Published | None, wanted: Wanted, now: datetime, warnings: list[str]
) -> Metadata[Root]:
    expires = now + wanted.periods.root
    if current is None:
        root = _new_root(1, wanted, expires)
        return _signed(root, wanted, (wanted.keys[ROOT],))
    known = current.root.signed
    old_keys = tuple(_key(known, keyid) for keyid in known.roles["root"].keyids)
    root = _new_root(known.version + 1, wanted, expires)
    # A root is signed by the keys it names and by those of the root before it (§5.3.4).
    by = tuple({key.keyid: key for key in (*old_keys, wanted.keys[ROOT])}.values())
    if root.roles != known.roles:
        return _signed(root, wanted, by)
    if _due(known.expires, wanted.periods.root, wanted, now):
        return _renewed(root, current.root, wanted, by, warnings)
    return current.root


def _new_root(version: int, wanted: Wanted, expires: datetime) -> Root:
    root = Root(version=version, expires=expires, consistent_snapshot=True)
    for name, role in _SERVES.items():
        root.add_key(wanted.keys[role], name)
    return root


def _targets(
    current: Published | None, wanted: Wanted, now: datetime, warnings: list[str]
) -> Metadata[Targets]:
    files = {
        name: TargetFile.from_data(name, data, ["sha256"])
        for name, data in wanted.documents.items()
    }
    expires = now + wanted.periods.targets
    by = (wanted.keys[TARGETS],)
    if current is None:
        return _signed(Targets(version=1, expires=expires, targets=files), wanted, by)
    targets = Targets(current.targets.signed.version + 1, expires=expires, targets=files)
    if files != current.targets.signed.targets or _other_key(current, "targets", wanted):
        return _signed(targets, wanted, by)
    if _due(current.targets.signed.expires, wanted.periods.targets, wanted, now):
        return _renewed(targets, current.targets, wanted, by, warnings)
    return current.targets


def _snapshot(
    current: Published | None,
    targets: Metadata[Targets],
    online: Signer,
    wanted: Wanted,
    now: datetime,
) -> Metadata[Snapshot]:
    if (
        current is not None
        and targets is current.targets
        and not _other_key(current, "snapshot", wanted)
        and not _due(current.snapshot.signed.expires, wanted.periods.snapshot, wanted, now)
    ):
        return current.snapshot
    meta = MetaFile.from_data(targets.signed.version, targets.to_bytes(), ["sha256"])
    version = 1 if current is None else current.snapshot.signed.version + 1
    expires = now + wanted.periods.snapshot
    return _sign(Snapshot(version, expires=expires, meta={"targets.json": meta}), (online,))


def _timestamp(
    current: Published | None,
    snapshot: Metadata[Snapshot],
    online: Signer,
    wanted: Wanted,
    now: datetime,
) -> Metadata[Timestamp]:
    meta = MetaFile.from_data(snapshot.signed.version, snapshot.to_bytes(), ["sha256"])
    version = 1 if current is None else current.timestamp.signed.version + 1
    expires = now + wanted.periods.timestamp
    return _sign(Timestamp(version, expires=expires, snapshot_meta=meta), (online,))


def _due(expires: datetime, period: timedelta, wanted: Wanted, now: datetime) -> bool:
    """Whether metadata should be signed anew: a third is left, or less than a heartbeat."""
    return expires - now < max(period / 3, wanted.periods.timestamp)


def _renewed(
    signed: S, before: Metadata[S], wanted: Wanted, by: tuple[SSlibKey, ...], warnings: list[str]
) -> Metadata[S]:
    """Sign anew what only gets older; an offline key must not stop the heartbeat."""
    try:
        return _signed(signed, wanted, by)
    except AuthorityError as error:
        ends = before.signed.expires.isoformat()
        warnings.append(f"{signed.type} expires at {ends} and could not be renewed: {error}")
        return before


def _signed(signed: S, wanted: Wanted, by: tuple[SSlibKey, ...]) -> Metadata[S]:
    return _sign(signed, tuple(wanted.signer(key) for key in by))


def _sign(signed: S, signers: tuple[Signer, ...]) -> Metadata[S]:
    metadata = Metadata(signed)
    message = metadata.signed_bytes
    for signer in signers:
        signature = sign(signer, message)
        metadata.signatures[signature.keyid] = signature
    return metadata


def _writes(
    current: Published | None, new: Published
) -> tuple[tuple[FileWrite, ...], tuple[str, ...]]:
    writes: list[FileWrite] = []
    renewed: list[str] = []
    before = {} if current is None else current.documents
    for name, file in new.targets.signed.targets.items():
        if before.get(name) != new.documents[name]:
            path = f"{DOCUMENTS}/{file.hashes['sha256']}.{name}"
            writes.append(FileWrite(path, new.documents[name]))
    for name in ("targets", "snapshot", "root"):
        part = getattr(new, name)
        if current is None or part is not getattr(current, name):
            path = f"{METADATA}/{part.signed.version}.{name}.json"
            writes.append(FileWrite(path, part.to_bytes()))
            renewed.append(name)
    writes.append(FileWrite(f"{METADATA}/timestamp.json", new.timestamp.to_bytes()))
    return tuple(writes), (*renewed, "timestamp")


def _other_key(current: Published, name: str, wanted: Wanted) -> bool:
    return current.root.signed.roles[name].keyids != [wanted.keys[_SERVES[name]].keyid]


def _key(root: Root, keyid: str) -> SSlibKey:
    key = root.keys[keyid]
    if not isinstance(key, SSlibKey):
        raise AuthorityError(f"the root names a key of an unknown kind: {keyid}")
    return key


def _check_keys(root: Root, keys: Mapping[str, SSlibKey]) -> None:
    for name, role in _SERVES.items():
        found = root.roles[name]
        if found.keyids != [keys[role].keyid] or found.threshold != 1:
            raise AuthorityError(
                f"the published root names other keys for {name} than this authority holds"
            )


def _documents(folder: Path, targets: Targets) -> dict[str, bytes]:
    found = {}
    for name, file in targets.targets.items():
        data = (folder / f"{file.hashes['sha256']}.{name}").read_bytes()
        file.verify_length_and_hashes(data)
        found[name] = data
    return found


def _latest_root(folder: Path) -> int:
    return max((number for number, _ in _numbered(folder, "root")), default=1)


def _numbered(folder: Path, name: str) -> list[tuple[int, Path]]:
    pattern = re.compile(rf"([0-9]+)\.{name}\.json")
    return [
        (int(found[1]), path)
        for path in folder.iterdir()
        if (found := pattern.fullmatch(path.name))
    ]
