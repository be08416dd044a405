"""Opens an authority's home under its lock: reads, verifies, and commits in one step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from securesystemslib.signer import SSlibKey

from sidecar.authority import journal, keys, repository, settings, superseded
from sidecar.authority.edition import EditionContent, next_edition
from sidecar.authority.errors import AuthorityError
from sidecar.authority.journal import FileWrite, Placement
from sidecar.authority.keys import (
    ATTESTATION,
    ONLINE,
    ROOT,
    TARGETS,
    TRUST_DOMAINS,
    KeySigner,
)
from sidecar.authority.repository import Published
from sidecar.authority.settings import SETTINGS_FILE, Settings
from sidecar.core import documents, wire
from sidecar.core.documents import AuthorityDocument, TrustDomainsDocument, WithdrawalsDocument
from sidecar.core.reasons import EvidenceError
from sidecar.destinations.directory import DirectoryDestination

KEY_WARNING = timedelta(days=30)
"""How long before an attestation key's window ends a heartbeat begins to warn."""

LAST_FILE = "published.sha256"
"""Private: the digest of the timestamp that was published last.

An older edition is signed as well as the last one. Were it put back, by a mirror or a backup, the
next heartbeat would make it the newest, and withdrawals since then would be forgotten.
"""


@dataclass(frozen=True, slots=True)
class Home:
    """An authority's home; a name for the folder, so it never goes stale."""

    path: Path
    name: str

    @property
    def repository(self) -> Path:
        """The folder that is published."""
        return self.path / repository.FOLDER


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published.

    Attributes:
        version: Of the timestamp metadata.
        expires: When readers cease to rely on it, unless something newer is published.
        renewed: Metadata that was re-signed, e.g. ``("snapshot", "timestamp")``.
        warnings: What needs somebody's attention, one sentence each.
    """

    version: int
    expires: datetime
    renewed: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What an edition is made from.

    Attributes:
        settings: Names the keys that sign it.
        document: ``authority.json``.
        withdrawals: ``withdrawals.json``.
        domains: ``trust-domains.json``, where the authority publishes one.
    """

    settings: Settings
    document: AuthorityDocument
    withdrawals: WithdrawalsDocument
    domains: TrustDomainsDocument | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenHome(Contents):
    """What a home holds, read under its lock; ``replace`` makes the contents of the next edition.

    Attributes:
        path: The home's folder.
        published: The TUF metadata and targets of the last edition.
    """

    path: Path
    published: Published


@contextmanager
def locked_home(home: Path) -> Iterator[OpenHome]:
    """Lock a home, complete what was interrupted, and read everything.

    Raises:
        AuthorityError: There is none, or what is published is not what the authority signed.
    """
    with journal.locked(home):
        held = read_settings(home)
        published = repository.read(home, _tuf_keys(held))
        _check_last(home, published)
        try:
            document = documents.read_authority(
                published.documents[documents.AUTHORITY_FILE], name=held.name
            )
            withdrawals = documents.read_withdrawals(
                published.documents[documents.WITHDRAWALS_FILE]
            )
            found = published.documents.get(documents.TRUST_DOMAINS_FILE)
            domains = None if found is None else documents.read_trust_domains(found)
        except (EvidenceError, KeyError) as error:
            raise AuthorityError(f"{home / repository.FOLDER}: {error}") from error
        yield OpenHome(
            path=home,
            published=published,
            settings=held,
            document=document,
            withdrawals=withdrawals,
            domains=domains,
        )


def read_settings(home: Path) -> Settings:
    """Read a home's ``authority.yaml``. The lock must be held."""
    try:
        data = (home / SETTINGS_FILE).read_bytes()
    except OSError as error:
        raise AuthorityError(f"{home / SETTINGS_FILE}: {error.strerror}") from error
    return settings.read(data)


def commit(
    path: Path,
    before: OpenHome | None,
    after: Contents,
    now: datetime,
    *,
    records: Sequence[FileWrite] = (),
    placement: Placement | None = None,
) -> tuple[Publication, Path | None]:
    """Sign the next edition and write it, with the settings it belongs to, in one step.

    Args:
        path: The home; its lock must be held.
        before: What it holds, or ``None`` for the first edition.
        after: What it holds from now on.
        now: From ``instant``.
        records: Other files of the home that belong to the step.
        placement: Evidence that is handed out before the edition is published.

    Returns:
        What was published, and where the evidence was placed.
    """
    content = EditionContent(
        keys=_tuf_keys(after.settings),
        documents=_document_bytes(after),
        periods=after.settings.periods,
        signer=_opener(path, after.settings, before.settings if before else None),
    )
    edition = next_edition(before.published if before else None, content, now)
    writes = (*records, FileWrite(LAST_FILE, _last(edition.published)), *edition.writes)
    if before is None or after.settings != before.settings:
        writes = (FileWrite(SETTINGS_FILE, settings.write(after.settings)), *writes)
    placed = journal.commit(path, writes, placement)
    removed = superseded.remove(
        DirectoryDestination(path / repository.FOLDER),
        path / repository.METADATA,
        superseded.versions(edition.published),
    )
    publication = Publication(
        version=edition.published.timestamp.signed.version,
        expires=edition.published.expires,
        renewed=edition.renewed,
        warnings=(
            *edition.warnings,
            *filter(None, (removed.problem,)),
            *_clock_warnings(before, edition.published),
            *_key_warnings(after, now),
        ),
    )
    return publication, placed


def publish_changes(
    opened: OpenHome, after: Contents, now: datetime, records: Sequence[FileWrite] = ()
) -> Publication:
    """Sign and commit the next edition of an open home: ``opened`` itself, or a copy with changes.

    Args:
        opened: What is published.
        after: What is published from now on.
        now: Aware.
        records: As for ``commit``.

    Raises:
        AuthorityError: A key that is needed cannot be used, or a reader would refuse the edition.
    """
    publication, _ = commit(opened.path, opened, after, instant(now), records=records)
    return publication


def instant(now: datetime) -> datetime:
    """UTC in whole seconds, as TUF metadata holds it; downwards, so that it has begun by now.

    Raises:
        AuthorityError: A time without an offset.
    """
    if now.tzinfo is None:
        raise AuthorityError("the time has no offset; give one, such as 2027-01-14T00:00:00Z")
    return now.astimezone(UTC).replace(microsecond=0)


def _last(published: Published) -> bytes:
    return hashlib.sha256(published.timestamp.to_bytes()).hexdigest().encode("ascii")


def _check_last(home: Path, published: Published) -> None:
    try:
        known = (home / LAST_FILE).read_bytes()
    except OSError as error:
        raise AuthorityError(f"{home / LAST_FILE}: {error.strerror}") from error
    if known != _last(published):
        raise AuthorityError(
            f"{home / repository.FOLDER} holds another edition than this authority published "
            "last; put that one back"
        )


def check_trust_domains(domains: TrustDomainsDocument) -> bytes:
    """Write ``trust-domains.json``, and read it back as the gate will.

    Raises:
        AuthorityError: The gate would refuse it.
    """
    written = wire.write(domains)
    try:
        documents.read_trust_domains(written)
    except EvidenceError as error:
        raise AuthorityError(f"nothing was changed: {error}") from error
    return written


def _document_bytes(after: Contents) -> dict[str, bytes]:
    """Write the documents, and read them back as the gate will, before they are signed."""
    written = {
        documents.AUTHORITY_FILE: wire.write(after.document),
        documents.WITHDRAWALS_FILE: wire.write(after.withdrawals),
    }
    if after.domains is not None:
        written[documents.TRUST_DOMAINS_FILE] = check_trust_domains(after.domains)
    try:
        documents.read_authority(written[documents.AUTHORITY_FILE], name=after.document.name)
        documents.read_withdrawals(written[documents.WITHDRAWALS_FILE])
    except EvidenceError as error:
        raise AuthorityError(f"nothing was changed: {error}") from error
    return written


def _clock_warnings(before: OpenHome | None, new: Published) -> tuple[str, ...]:
    """Warn where time went backwards: a gate takes nothing that has expired by its own clock."""
    if before is None:
        return ()
    last, ends = before.published.timestamp.signed.expires, new.timestamp.signed.expires
    if ends >= last:
        return ()
    return (
        f"the timestamp expires at {ends.isoformat()}, before the one that it replaces "
        f"({last.isoformat()}): unless its period was shortened, this machine's clock is or was "
        "wrong. Gates take nothing that has expired by their clocks, withdrawals included: compare "
        "the clock, then publish again",
    )


def _key_warnings(after: Contents, now: datetime) -> tuple[str, ...]:
    current = after.settings.keys[ATTESTATION].fingerprint()
    return tuple(
        f"the attestation key's window ends at {key.window.not_after.isoformat()}: rotate it and "
        "re-sign what should outlive it (admit authority rotate attestation; admit resign)"
        for key in after.document.keys
        if key.public_key().fingerprint == current and key.window.not_after - now < KEY_WARNING
    )


def _opener(path: Path, held: Settings, before: Settings | None) -> Callable[[SSlibKey], KeySigner]:
    """Find the private half of a public key among the keys from now on, and those before."""
    old = {} if before is None else before.keys
    roles = {key.public().keyid: (role, key) for role, key in (*old.items(), *held.keys.items())}

    def signer(public: SSlibKey) -> KeySigner:
        found = roles.get(public.keyid)
        if found is None:
            raise AuthorityError(
                f"no key of {path / SETTINGS_FILE} is the private half of the published key "
                f"{public.keyid}; restore the file"
            )
        role, key = found
        return keys.signer(path, role, key, new=role in old and old[role] != key)

    return signer


def _tuf_keys(held: Settings) -> dict[str, SSlibKey]:
    roles = (ROOT, TARGETS, ONLINE, TRUST_DOMAINS)
    return {role: held.keys[role].public() for role in roles if role in held.keys}
