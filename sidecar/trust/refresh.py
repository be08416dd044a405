"""Refreshes one authority: fetches what its source holds now, verifies it and keeps it.

python-tuf does the client workflow of the TUF specification (5.3 to 5.7) over values; around it is
what it leaves open: roots that count one key twice are refused before it sees them, a replaced
timestamp or snapshot key clears what the old one signed (5.3.11, recovery from a fast-forward) but
not what the targets keys signed (``signed_floor``), and what must not be forgotten is kept durably.

Theory of operation. The last complete set is one file (see ``store``), and the floor below which no
version may fall: it is written and synced before anything that rests on it is handed on. So a whole
refresh writes one file. One that verified newer metadata and then failed keeps that metadata beside
the last complete set, until the next whole refresh. A crash before either write forgets what nobody
relied on.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, Root, Targets

from sidecar.core.documents import (
    TRUST_DOMAINS_FILE,
    TRUST_DOMAINS_ROLE,
    read_trust_domains,
    read_withdrawals,
)
from sidecar.core.reasons import EvidenceError
from sidecar.core.snapshot import AuthorityView
from sidecar.trust import delegation, late_edition, roots, signed_floor, unaccepted
from sidecar.trust.complete_set import complete, document
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.edition import Edition
from sidecar.trust.fetcher import METADATA, OnlyRootsError
from sidecar.trust.late_edition import UNEXPIRED
from sidecar.trust.limits import REPOSITORY
from sidecar.trust.memo import Memo
from sidecar.trust.reserved_version import DamagedVersionError, SetVersion
from sidecar.trust.source import Source, SourceError
from sidecar.trust.store import DomainsSet, GoodSet, SeenRoots, Store, StoreError
from sidecar.trust.updater import KeptUpdater
from sidecar.trust.view import (
    NoViewError,
    VerifiedSet,
    newest_set,
    pinned_digest,
    root_chain,
    store_of,
    understood,
    verify_set,
    version_of,
    view_of,
    withdrawn_by,
)

_OTHER = (OSError, ValueError, RecursionError, KeyError)
_KEPT = (roots.RootError, StoreError, DamagedVersionError, NoViewError)


class RefreshError(Exception):
    """A refresh failed; what was kept before is still there. The text is one short line."""

    def __init__(self, message: str) -> None:
        super().__init__(_one_line(message))


class NotUnderstoodError(RefreshError):
    """The newest set verified and cannot be understood, or belies the one before it."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to.

    Attributes:
        view: The same as ``read_kept`` gives from now on.
        problem: Why the set could not be kept, or the delegated role's metadata or document not be
            had; empty where all could.
        edition: What the source has for as long as nothing is new.
        outlasts: Whether a restart knows at least the version of the set, so that it relies on
            nothing older.
        late: Whether the set had expired when it was read: every no, and no agreement.
    """

    view: AuthorityView
    problem: str
    edition: Edition
    outlasts: bool
    late: bool


def refresh(
    authority: TrustedAuthority, source: Source, state_dir: Path, memo: Memo | None = None
) -> Refreshed:
    """Fetch, verify and keep what the authority publishes now.

    The two documents of the targets role are kept before the delegated role is looked at, which can
    therefore hold up no withdrawal. Nor can a disk that is full: a set that cannot be kept counts,
    and is the floor of this process (``Memo.newest``); its version is kept in room that was
    reserved, so that nothing older counts after a restart.

    Args:
        authority: With the pinned root.
        source: Where its repository is.
        state_dir: The folder that holds one folder for each authority.
        memo: This authority's own, where it is refreshed again and again.

    Raises:
        NotUnderstoodError: A signed document cannot be read, or a version has two contents.
        RefreshError: Something is missing, expired, rolled back, not signed, or too large, or a new
            root or a floor cannot be kept.
    """
    store, memo = store_of(authority, state_dir), memo or Memo()
    try:
        with store.locked():
            no_roots: set[str] = set()
            chain = follow_roots(authority, source, store, no_roots)
            before = newest_set(store, memo)
            given = held(store, chain, before)
            again = partial(KeptUpdater, authority, source, store, no_roots, given)
            updater = again(at=memo.at)
            try:
                updater, late = late_edition.updated(updater, again, before)
                _check_targets(store, chain[-1], before, updater.held)
                good = complete(updater.held, source, chain[-1], before)
                verified = verify_set(chain[-1], good)
                _check_understood(authority.name, verified, good, memo)
                newest = version_of(chain[-1], good.timestamp)
                _check_reserved(store, newest, memo)
                stale = late_edition.check(late, before, good, store, memo)
            except BaseException as error:
                _keep_floor(store, chain[-1], given, updater.held)
                if isinstance(error, signed_floor.TwoContentsError):
                    other = KeptUpdater(authority, source, store, no_roots, at=UNEXPIRED)
                    _count_other(other, source, store, chain, memo)
                raise
            memo.newest = good
            problem, outlasts = _keep(store, good, newest)
            if late is None:
                unaccepted.forget(store, memo, chain[-1], good)
            domains = _follow_domains(source, store, verified, good, memo)
            problem = "; ".join(filter(None, (stale, problem, domains)))
            view = view_of(authority.name, chain, good, store, memo, verified).view
            edition = Edition(good.timestamp, chain[-1].version)
            return Refreshed(view, problem, edition, outlasts, late is not None)
    except signed_floor.TwoContentsError as error:
        raise NotUnderstoodError(str(error)) from error
    except (RepositoryError, DownloadError, SourceError, *_KEPT) as error:
        raise RefreshError(str(error)) from error
    except _OTHER as error:
        raise RefreshError(f"{type(error).__name__}: {error}") from error


def _check_targets(
    store: Store, root: Root, before: GoodSet | None, found: Mapping[str, bytes]
) -> None:
    """Refuse targets metadata older than, or at odds with, what was verified before."""
    earlier = [e for e in (store.floor().get("targets"), before and before.targets) if e]
    signed_floor.check("targets", roots.keys_of(root, "targets"), earlier, found["targets"])


def _count_other(
    updater: KeptUpdater, source: Source, store: Store, chain: tuple[Root, ...], memo: Memo
) -> None:
    """Count what the other content of a version withdraws as well, as far as it can be read.

    Args:
        updater: Knows nothing of before, and takes what has expired.
        source: Where its repository is.
        store: With what was verified before.
        chain: The roots.
        memo: This authority's.
    """
    with suppress(RepositoryError, DownloadError, SourceError, EvidenceError, *_OTHER, *_KEPT):
        before = newest_set(store, memo)
        updater.refresh()
        with suppress(signed_floor.TwoContentsError):
            _check_targets(store, chain[-1], before, updater.held)
        good = complete(updater.held, source, chain[-1], before)
        verified = verify_set(chain[-1], good)
        _check_reserved(store, version_of(chain[-1], good.timestamp), memo)
        read_withdrawals(withdrawn_by(verified, good))
        if before is not None:
            unaccepted.add(store, memo, before, good)


def _check_understood(name: str, verified: VerifiedSet, good: GoodSet, memo: Memo) -> None:
    try:
        understood(name, verified, good, memo)
    except EvidenceError as error:
        raise NotUnderstoodError(f"its newest documents cannot be understood: {error}") from error


def _keep_floor(
    store: Store, root: Root, before: Mapping[str, bytes], held: Mapping[str, bytes]
) -> None:
    """Keep newer metadata of a refresh that failed; where it cannot be, at least its version."""
    newer = {
        each: data for each, data in held.items() if _version(data) > _version(before.get(each))
    }
    try:
        store.keep_floor(newer)
    except OSError:
        with suppress(OSError, DamagedVersionError):
            store.reserved.raise_to(version_of(root, held["timestamp"]))


def _check_reserved(store: Store, found: SetVersion, memo: Memo) -> None:
    """Refuse a set older than one that was verified before and is not kept."""
    try:
        newest = store.reserved.read()
    except DamagedVersionError:
        if memo.newest is None:
            raise
        return  # the floor is in the memory of this process
    if newest is not None and newest.online == found.online and newest.is_above(found):
        raise RefreshError(
            f"timestamp version {found.timestamp} must be >= {newest.timestamp}, "
            "which was verified before and is not kept"
        )


def _keep(store: Store, good: GoodSet, newest: SetVersion) -> tuple[str, bool]:
    """Keep a set, or else its version; return why not, and if the version outlasts a restart."""
    try:
        store.keep(good)
    except OSError as error:
        why = f"{store.folder} cannot be written: {error.strerror}"
        try:
            store.reserved.write(newest)
        except (OSError, DamagedVersionError):
            return f"{why}; its agreement does not count, since a restart would forget it", False
        return f"{why}; after a restart nothing counts until this version is read again", True
    store.forget_floor()
    try:
        store.reserved.follow(newest)
    except OSError as error:
        return f"{store.reserved.path} cannot be written: {error.strerror}", True
    return "", True


def follow_roots(
    authority: TrustedAuthority, source: Source, store: Store, no_roots: set[str]
) -> tuple[Root, ...]:
    """Update the chain of roots and drop what rested on replaced keys; return the chain.

    Apart from the rest, because an earlier timestamp's numbers must not be compared with a later
    one's if the key that signed the earlier one was taken away. ``no_roots`` gets the name of the
    root after the newest, so that the source is asked for it once in a refresh.
    """
    pinned, seen = pinned_digest(authority), store.seen()
    with suppress(OnlyRootsError):
        KeptUpdater(authority, source, store, no_roots, only_roots=True).refresh()
    chain = root_chain(authority, store)
    now = SeenRoots(pinned, chain[-1].version, roots.online_digest(chain[-1]))
    if seen is not None and seen.online != now.online:
        store.forget_floor(roots.ONLINE_ROLES)
    if now != seen:
        store.remember(now)
    return chain


def held(store: Store, chain: tuple[Root, ...], good: GoodSet | None) -> dict[str, bytes]:
    """Return the newest metadata by role that was verified: the floor of the next refresh.

    Of the last complete set, timestamp and snapshot are left out where a newer root replaced a key
    of theirs (TUF specification 5.3.11).
    """
    found: dict[str, bytes] = {}
    if good is not None:
        found["targets"] = good.targets
        of = _root_of(store, chain, good.root)
        if roots.online_digest(of) == roots.online_digest(chain[-1]):
            found |= {"timestamp": good.timestamp, "snapshot": good.snapshot}
    for role, data in store.floor().items():
        if _version(data) > _version(found.get(role)):
            found[role] = data
    return found


def _root_of(store: Store, chain: tuple[Root, ...], version: int | None) -> Root:
    """Return the root of that version, also from before the pinned one; else the newest."""
    for root in chain:
        if root.version == version:
            return root
    if version is not None:
        with suppress(OSError, roots.RootError):
            return roots.parse(store.root_file(version).read_bytes()).signed
    return chain[-1]


def _version(data: bytes | None) -> int:
    """Return the version of some metadata, to compare it; 0 where it cannot be read."""
    if data is not None:
        with suppress(RepositoryError, ValueError, RecursionError):
            return int(Metadata.from_bytes(data).signed.version)
    return 0


def _follow_domains(
    source: Source, store: Store, verified: VerifiedSet, good: GoodSet, memo: Memo
) -> str:
    """Update the delegated role; return why that failed, or an empty text."""
    if delegation.role_of(verified.targets) is None:
        memo.unkept_domains = None
        store.forget_domains()
        return ""
    try:
        kept = memo.unkept_domains or _kept_domains(store)
        data = _role_metadata(source, kept, verified)
        role = delegation.verify(verified.targets, data)
        delegation.check_listed(verified.snapshot, role, data)
        keys, earlier = delegation.keys_of(verified.targets), [] if kept is None else [kept.role]
        signed_floor.check(TRUST_DOMAINS_ROLE, keys, earlier, data)
        entry = delegation.entry_of(role)
        data_of = document(source, verified.root, entry, None if kept is None else kept.document)
        if data_of is not None:
            read_trust_domains(data_of)
    except (RepositoryError, DownloadError, SourceError, roots.RootError) as error:
        return _one_line(f"{TRUST_DOMAINS_FILE}: {error}")
    except EvidenceError as error:
        return _one_line(str(error))
    found = DomainsSet(good.root, good.timestamp, good.snapshot, good.targets, data, data_of)
    memo.unkept_domains = found
    try:
        store.keep_domains(found)
    except OSError as error:
        return _one_line(f"{TRUST_DOMAINS_FILE}: cannot be kept: {error.strerror}")
    memo.unkept_domains = None
    return ""


def _kept_domains(store: Store) -> DomainsSet | None:
    with suppress(StoreError):
        return store.domains()
    return None


def _role_metadata(source: Source, kept: DomainsSet | None, verified: VerifiedSet) -> bytes:
    """Return the delegated role's metadata: as kept if the snapshot lists that, else fetched."""
    entry = delegation.listed(verified.snapshot)
    with suppress(RepositoryError, ValueError):
        if kept is not None:
            role = Metadata[Targets].from_bytes(kept.role).signed
            delegation.check_listed(verified.snapshot, role, kept.role)
            return kept.role
    prefix = f"{entry.version}." if verified.root.consistent_snapshot else ""
    return source.fetch(f"{METADATA}{prefix}{delegation.METADATA_FILE}", REPOSITORY.targets)


def _one_line(message: str) -> str:
    """Shorten a text of which parts may come from a repository: nothing may forge a log line."""
    line = "".join(c if c.isprintable() else "?" for c in message)
    return line[: REPOSITORY.message_characters]
