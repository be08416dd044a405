"""An authority's TUF repository as it is published: read, and checked to be its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

from sidecar.authority.errors import AuthorityError
from sidecar.authority.keys import ONLINE, ROOT, TARGETS, TRUST_DOMAINS
from sidecar.core.documents import TRUST_DOMAINS_FILE

FOLDER = "repository"
METADATA = f"{FOLDER}/metadata"
DOCUMENTS = f"{FOLDER}/targets"

SERVES = {"root": ROOT, "targets": TARGETS, "snapshot": ONLINE, "timestamp": ONLINE}


@dataclass(frozen=True, slots=True)
class Published:
    """What the repository holds.

    ``documents`` are the target files by name, those of the delegated role among them;
    ``delegated`` is the metadata of that role, where there is one.
    """

    root: Metadata[Root]
    targets: Metadata[Targets]
    snapshot: Metadata[Snapshot]
    timestamp: Metadata[Timestamp]
    documents: Mapping[str, bytes]
    delegated: Metadata[Targets] | None = None

    @property
    def expires(self) -> datetime:
        """When readers cease to rely on this edition: the earliest expiry of the four."""
        parts = (self.root, self.targets, self.snapshot, self.timestamp)
        return min(part.signed.expires for part in parts)


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
        delegated = _read_delegated(folder, targets.signed, snapshot.signed, keys)
        if delegated is not None:
            documents |= _documents(home / DOCUMENTS, delegated.signed)
    except (OSError, KeyError, DeserializationError, RepositoryError) as error:
        raise AuthorityError(
            f"{home / FOLDER} does not hold what this authority published: {error}"
        ) from error
    return Published(root, targets, snapshot, timestamp, documents, delegated)


def _read_delegated(
    folder: Path, targets: Targets, snapshot: Snapshot, keys: Mapping[str, SSlibKey]
) -> Metadata[Targets] | None:
    """Read the delegated role's metadata, if the targets role delegates one.

    Raises:
        AuthorityError: It is delegated to another key than this authority holds.
    """
    if targets.delegations != delegations_of(keys):
        raise AuthorityError(
            f"the published targets delegate {TRUST_DOMAINS} otherwise than to the key that "
            "this authority holds"
        )
    if targets.delegations is None:
        return None
    number = snapshot.meta[f"{TRUST_DOMAINS}.json"].version
    path = folder / f"{number}.{TRUST_DOMAINS}.json"
    delegated = Metadata[Targets].from_bytes(path.read_bytes())
    targets.verify_delegate(TRUST_DOMAINS, delegated.signed_bytes, delegated.signatures)
    return delegated


def delegations_of(keys: Mapping[str, SSlibKey]) -> Delegations | None:
    """Delegate the one document of trust domains to its key, where the authority holds one."""
    key = keys.get(TRUST_DOMAINS)
    if key is None:
        return None
    role = DelegatedRole(
        TRUST_DOMAINS, [key.keyid], 1, terminating=True, paths=[TRUST_DOMAINS_FILE]
    )
    return Delegations({key.keyid: key}, {TRUST_DOMAINS: role})


def _check_keys(root: Root, keys: Mapping[str, SSlibKey]) -> None:
    for name, role in SERVES.items():
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
