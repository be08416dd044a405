"""The delegated TUF role that signs ``trust-domains.json``; an online key may hold it.

Only this role may publish only this document; other delegations of an authority are not read. A
delegation that counts one key twice is refused, as a root that does.
"""

from __future__ import annotations

from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import DelegatedRole, Metadata, MetaFile, Snapshot, TargetFile, Targets

from sidecar.core.documents import MAX_DOCUMENT_BYTES, TRUST_DOMAINS_FILE, TRUST_DOMAINS_ROLE
from sidecar.trust.roots import check_role

METADATA_FILE = f"{TRUST_DOMAINS_ROLE}.json"


def role_of(targets: Targets) -> DelegatedRole | None:
    """Return the delegation, if the authority made it and it covers the document."""
    if targets.delegations is None or targets.delegations.roles is None:
        return None
    role = targets.delegations.roles.get(TRUST_DOMAINS_ROLE)
    if role is None or not role.is_delegated_path(TRUST_DOMAINS_FILE):
        return None
    return role


def keys_of(targets: Targets) -> tuple[Key, ...]:
    """Return the keys of the delegated role; none where the authority does not delegate."""
    role, delegations = role_of(targets), targets.delegations
    if role is None or delegations is None:
        return ()
    return tuple(delegations.keys[keyid] for keyid in role.keyids if keyid in delegations.keys)


def verify(targets: Targets, data: bytes) -> Targets:
    """Verify the delegated role's metadata from the targets role; expiry is not looked at.

    Raises:
        RepositoryError: It is not delegated, no targets metadata, or not signed as delegated.
        RootError: The delegation counts one key twice, or its threshold cannot be reached.
    """
    role, delegations = role_of(targets), targets.delegations
    if role is None or delegations is None:
        raise RepositoryError(f"{TRUST_DOMAINS_ROLE} is not delegated")
    check_role(TRUST_DOMAINS_ROLE, role, delegations.keys)
    document = Metadata[Targets].from_bytes(data)
    if not isinstance(document.signed, Targets):
        raise RepositoryError(
            f"a {document.signed.type} document in the place of {TRUST_DOMAINS_ROLE}"
        )
    targets.verify_delegate(TRUST_DOMAINS_ROLE, document.signed_bytes, document.signatures)
    return document.signed


def listed(snapshot: Snapshot) -> MetaFile:
    """Return the snapshot's entry of the role's metadata.

    Raises:
        RepositoryError: There is none.
    """
    entry = snapshot.meta.get(METADATA_FILE)
    if entry is None:
        raise RepositoryError(f"{TRUST_DOMAINS_ROLE} was delegated but is not part of snapshot")
    return entry


def check_listed(snapshot: Snapshot, role: Targets, data: bytes) -> None:
    """Hold the role's metadata against the snapshot, which excludes older versions.

    Raises:
        RepositoryError: It is not the listed version, length or hash.
    """
    entry = listed(snapshot)
    entry.verify_length_and_hashes(data)
    if role.version != entry.version:
        raise RepositoryError(f"{TRUST_DOMAINS_ROLE} version {role.version}, not {entry.version}")


def entry_of(role: Targets) -> TargetFile | None:
    """Return the document's entry; None where the role lists none.

    Raises:
        RepositoryError: It is larger than is read.
    """
    entry = role.targets.get(TRUST_DOMAINS_FILE)
    if entry is not None and entry.length > MAX_DOCUMENT_BYTES:
        raise RepositoryError(f"{TRUST_DOMAINS_FILE} is larger than {MAX_DOCUMENT_BYTES} bytes")
    return entry


def document(role: Targets, data: bytes | None) -> bytes | None:
    """Return the document's bytes, held against their entry; None where the role lists none.

    Raises:
        RepositoryError: They are not the listed ones.
    """
    entry = entry_of(role)
    if entry is None:
        return None
    if data is None:
        raise RepositoryError(f"{TRUST_DOMAINS_FILE} was not downloaded")
    entry.verify_length_and_hashes(data)
    return data
