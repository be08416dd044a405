"""The next edition of an authority's TUF repository, signed in memory.

Theory of operation. ``next_edition`` compares the wanted content (the key of each role, documents,
periods) with what is published. It signs only metadata that must change: root for other keys,
targets for other documents or another delegation, the delegated role for other trust domains,
snapshot for other targets, timestamp always; and whatever would soon expire. So a heartbeat needs
nothing but the online key, and a rotation is an edition with another key. The writes come in the
order in which they must reach the disk: documents, delegated role, targets, snapshot, root, and the
timestamp last, since only the timestamp makes readers look for the others (TUF specification §6.2,
consistent snapshots).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from securesystemslib.signer import SSlibKey
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from sidecar.authority.errors import AuthorityError
from sidecar.authority.journal import FileWrite
from sidecar.authority.keys import ONLINE, ROOT, TARGETS, TRUST_DOMAINS, KeySigner, sign
from sidecar.authority.repository import DOCUMENTS, METADATA, SERVES, Published, delegations_of
from sidecar.authority.settings import Periods
from sidecar.core.documents import TRUST_DOMAINS_FILE

S = TypeVar("S", Root, Targets, Snapshot, Timestamp)


@dataclass(frozen=True, slots=True)
class EditionContent:
    """The content of the next edition.

    Attributes:
        keys: The public key of each of ``root``, ``targets`` and ``online``, and of the delegated
            role where there is one.
        documents: Target file name → bytes.
        periods: From signing to expiry.
        signer: Opens the private half of a public key.
    """

    keys: Mapping[str, SSlibKey]
    documents: Mapping[str, bytes]
    periods: Periods
    signer: Callable[[SSlibKey], KeySigner]


@dataclass(frozen=True, slots=True)
class Edition:
    """The next edition: itself, its writes in order, what was re-signed, and what could not."""

    published: Published
    writes: tuple[FileWrite, ...]
    renewed: tuple[str, ...]
    warnings: tuple[str, ...]


def next_edition(current: Published | None, content: EditionContent, now: datetime) -> Edition:
    """Sign the next edition. Writes nothing.

    Args:
        current: What is published, or ``None`` for the first edition.
        content: What should hold.
        now: Aware UTC, whole seconds.

    Raises:
        AuthorityError: A key that is needed cannot be used. A key that is needed only because
            root or targets will expire before long is not: that becomes a warning.
    """
    warnings: list[str] = []
    root = _root(current, content, now, warnings)
    targets = _targets(current, content, now, warnings)
    delegated = _delegated(current, content, now, warnings)
    online = content.signer(content.keys[ONLINE])
    snapshot = _snapshot(current, targets, delegated, online, content, now)
    timestamp = _timestamp(current, snapshot, online, content, now)
    documents = dict(content.documents)
    published = Published(root, targets, snapshot, timestamp, documents, delegated)
    writes, renewed = _writes(current, published)
    return Edition(published, writes, renewed, tuple(warnings))


def _root(
    current: Published | None, content: EditionContent, now: datetime, warnings: list[str]
) -> Metadata[Root]:
    expires = now + content.periods.root
    if current is None:
        root = _new_root(1, content, expires)
        return _signed(root, content, (content.keys[ROOT],))
    known = current.root.signed
    old_keys = tuple(_key(known, keyid) for keyid in known.roles["root"].keyids)
    root = _new_root(known.version + 1, content, expires)
    # A root is signed by the keys it names and by those of the root before it (§5.3.4).
    by = tuple({key.keyid: key for key in (*old_keys, content.keys[ROOT])}.values())
    if root.roles != known.roles:
        return _signed(root, content, by)
    if _due(known.expires, content.periods.root, content, now):
        return _renewed(root, current.root, content, by, warnings)
    return current.root


def _new_root(version: int, content: EditionContent, expires: datetime) -> Root:
    root = Root(version=version, expires=expires, consistent_snapshot=True)
    for name, role in SERVES.items():
        root.add_key(content.keys[role], name)
    return root


def _targets(
    current: Published | None, content: EditionContent, now: datetime, warnings: list[str]
) -> Metadata[Targets]:
    files = _files(content, delegated=False)
    delegations = delegations_of(content.keys)
    expires = now + content.periods.targets
    by = (content.keys[TARGETS],)
    if current is None:
        first = Targets(version=1, expires=expires, targets=files, delegations=delegations)
        return _signed(first, content, by)
    known = current.targets.signed
    targets = Targets(known.version + 1, expires=expires, targets=files, delegations=delegations)
    if (files, delegations) != (known.targets, known.delegations) or _other_key(
        current, "targets", content
    ):
        return _signed(targets, content, by)
    if _due(current.targets.signed.expires, content.periods.targets, content, now):
        return _renewed(targets, current.targets, content, by, warnings)
    return current.targets


def _delegated(
    current: Published | None, content: EditionContent, now: datetime, warnings: list[str]
) -> Metadata[Targets] | None:
    """Return the delegated role's metadata, re-signed for another key or files, or when due."""
    key = content.keys.get(TRUST_DOMAINS)
    if key is None:
        return None
    files, period = _files(content, delegated=True), content.periods.trust_domains
    known = None if current is None else current.delegated
    version = 1 if known is None else known.signed.version + 1
    role = Targets(version, expires=now + period, targets=files)
    if (
        current is None
        or known is None
        or files != known.signed.targets
        or current.targets.signed.delegations != delegations_of(content.keys)
    ):
        return _signed(role, content, (key,))
    if _due(known.signed.expires, period, content, now):
        return _renewed(role, known, content, (key,), warnings)
    return known


def _files(content: EditionContent, *, delegated: bool) -> dict[str, TargetFile]:
    """Return the documents of the targets role, or of the delegated one."""
    return {
        name: TargetFile.from_data(name, data, ["sha256"])
        for name, data in content.documents.items()
        if (name == TRUST_DOMAINS_FILE) is delegated
    }


def _snapshot(
    current: Published | None,
    targets: Metadata[Targets],
    delegated: Metadata[Targets] | None,
    online: KeySigner,
    content: EditionContent,
    now: datetime,
) -> Metadata[Snapshot]:
    if (
        current is not None
        and targets is current.targets
        and delegated is current.delegated
        and not _other_key(current, "snapshot", content)
        and not _due(current.snapshot.signed.expires, content.periods.snapshot, content, now)
    ):
        return current.snapshot
    parts = (
        {"targets": targets}
        if delegated is None
        else {"targets": targets, TRUST_DOMAINS: delegated}
    )
    meta = {
        f"{name}.json": MetaFile.from_data(part.signed.version, part.to_bytes(), ["sha256"])
        for name, part in parts.items()
    }
    version = 1 if current is None else current.snapshot.signed.version + 1
    expires = now + content.periods.snapshot
    return _sign(Snapshot(version, expires=expires, meta=meta), (online,))


def _timestamp(
    current: Published | None,
    snapshot: Metadata[Snapshot],
    online: KeySigner,
    content: EditionContent,
    now: datetime,
) -> Metadata[Timestamp]:
    meta = MetaFile.from_data(snapshot.signed.version, snapshot.to_bytes(), ["sha256"])
    version = 1 if current is None else current.timestamp.signed.version + 1
    expires = now + content.periods.timestamp
    return _sign(Timestamp(version, expires=expires, snapshot_meta=meta), (online,))


def _due(expires: datetime, period: timedelta, content: EditionContent, now: datetime) -> bool:
    """Return whether metadata should be re-signed: a third is left, or less than a heartbeat."""
    return expires - now < max(period / 3, content.periods.timestamp)


def _renewed(
    signed: S,
    before: Metadata[S],
    content: EditionContent,
    by: tuple[SSlibKey, ...],
    warnings: list[str],
) -> Metadata[S]:
    """Re-sign metadata whose content is unchanged; a missing offline key is only a warning."""
    try:
        return _signed(signed, content, by)
    except AuthorityError as error:
        ends = before.signed.expires.isoformat()
        name = TRUST_DOMAINS if content.keys.get(TRUST_DOMAINS) in by else signed.type
        warnings.append(f"{name} expires at {ends} and could not be renewed: {error}")
        return before


def _signed(signed: S, content: EditionContent, by: tuple[SSlibKey, ...]) -> Metadata[S]:
    return _sign(signed, tuple(content.signer(key) for key in by))


def _sign(signed: S, signers: tuple[KeySigner, ...]) -> Metadata[S]:
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
    listed = dict(new.targets.signed.targets)
    if new.delegated is not None:
        listed |= new.delegated.signed.targets
    for name, file in listed.items():
        if before.get(name) != new.documents[name]:
            path = f"{DOCUMENTS}/{file.hashes['sha256']}.{name}"
            writes.append(FileWrite(path, new.documents[name]))
    for name, field in (
        (TRUST_DOMAINS, "delegated"),
        ("targets", "targets"),
        ("snapshot", "snapshot"),
        ("root", "root"),
    ):
        part = getattr(new, field)
        if part is not None and (current is None or part is not getattr(current, field)):
            path = f"{METADATA}/{part.signed.version}.{name}.json"
            writes.append(FileWrite(path, part.to_bytes()))
            renewed.append(name)
    writes.append(FileWrite(f"{METADATA}/timestamp.json", new.timestamp.to_bytes()))
    return tuple(writes), (*renewed, "timestamp")


def _other_key(current: Published, name: str, content: EditionContent) -> bool:
    return current.root.signed.roles[name].keyids != [content.keys[SERVES[name]].keyid]


def _key(root: Root, keyid: str) -> SSlibKey:
    key = root.keys[keyid]
    if not isinstance(key, SSlibKey):
        raise AuthorityError(f"the root names a key of an unknown kind: {keyid}")
    return key
