"""An authority's home folder, and everything an authority does with it.

```
HOME/authority.yaml        its own settings: name, keys, periods. Not published
HOME/published.sha256      which edition was published last. Not published
HOME/keys/*.pem            private key files, 0600, where keys are files
HOME/repository/metadata/  published: N.root.json, N.targets.json, N.snapshot.json, timestamp.json
HOME/repository/targets/   published: <sha256>.authority.json, <sha256>.withdrawals.json
```

``repository`` is what operators read; copy it to any static web server. Each function takes the
home's lock, reads what is there, signs in memory, and commits in one step (``journal``).

Evidence is signed in ``signing`` and ``resigning``, and every no is published in ``withdrawing``;
their functions can be called by way of this module too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sidecar.authority import journal, keys, repository
from sidecar.authority.errors import AuthorityError
from sidecar.authority.keys import (
    ALL_ROLES,
    ATTESTATION,
    ROLES,
    TRUST_DOMAINS,
    HeldKey,
    OwnKey,
)
from sidecar.authority.open_home import (
    Contents,
    Home,
    OpenHome,
    Publication,
    check_trust_domains,
    commit,
    instant,
    locked_home,
    publish_changes,
    read_settings,
)
from sidecar.authority.resigning import count_to_resign, resign
from sidecar.authority.settings import SETTINGS_FILE, Periods, Settings
from sidecar.authority.signing import attest, issue
from sidecar.authority.withdrawing import (
    counting_beside,
    reinstate,
    retract,
    withdraw,
)
from sidecar.core import kinds
from sidecar.core.documents import (
    AttestationKey,
    AuthorityDocument,
    Failure,
    Supersession,
    TrustDomain,
    TrustDomainsDocument,
    Withdrawal,
    WithdrawalsDocument,
)
from sidecar.core.keys import PublicKey
from sidecar.core.reasons import EvidenceError
from sidecar.core.window import Window

NO_DOMAINS = TrustDomainsDocument(type="urn:admissibility:trust-domains:v1")

__all__ = [
    "Description",
    "attest",
    "counting_beside",
    "describe",
    "init",
    "issue",
    "load",
    "pem",
    "publish",
    "reinstate",
    "resign",
    "retract",
    "root_bytes",
    "rotate",
    "set_trust_domains",
    "withdraw",
]


@dataclass(frozen=True, slots=True)
class Description:
    """What ``admit authority show`` prints.

    Attributes:
        name: The authority's name.
        repository: The published folder.
        keys: Role → key.
        periods: From signing to expiry.
        versions: Metadata → version.
        expires: Metadata → expiry.
        document: The published ``authority.json``.
        trust_domains: The published SPIFFE trust domains.
        withdrawals: The published withdrawals.
        failures: The published failures of results.
        supersessions: The published supersessions of manifests.
    """

    name: str
    repository: Path
    keys: Mapping[str, HeldKey]
    periods: Periods
    versions: Mapping[str, int]
    expires: Mapping[str, datetime]
    document: AuthorityDocument
    trust_domains: tuple[TrustDomain, ...]
    withdrawals: tuple[Withdrawal, ...]
    failures: tuple[Failure, ...]
    supersessions: tuple[Supersession, ...]


def init(
    home: Path,
    name: str,
    *,
    now: datetime,
    periods: Periods | None = None,
    key_type: str = "ed25519",
    uris: Mapping[str, OwnKey] | None = None,
    may_sign: tuple[str, ...] = tuple(kinds.BY_URN),
) -> Home:
    """Create an authority: its keys, its settings and the first edition of its repository.

    Args:
        home: The folder; may exist, must hold no authority.
        name: Lower-case letters, digits and hyphens; the name operators will write.
        now: Aware.
        periods: From signing to expiry.
        key_type: ``ed25519`` or ``ecdsa`` (P-256), for keys that are created.
        uris: Role (``root``, ``targets``, ``online``, ``attestation``) → a key to use instead.
        may_sign: Predicate types its attestation key may sign.

    Raises:
        AuthorityError: There is an authority already, or a key cannot be used. Nothing that
            existed is ever overwritten.
    """
    now = instant(now)
    periods = periods or Periods()
    unknown = sorted(set(uris or {}) - set(ALL_ROLES))
    if unknown:
        raise AuthorityError(f"no such key: {', '.join(unknown)}; there are {', '.join(ALL_ROLES)}")
    _make_folder(home)
    with journal.locked(home):
        for taken in (SETTINGS_FILE, keys.KEYS_FOLDER, repository.FOLDER):
            if (home / taken).exists():
                raise AuthorityError(f"{home / taken} exists; nothing was changed")
        own = {r: keys.adopt(home, r, key, new=False) for r, key in (uris or {}).items()}
        # Refuse what can be refused before any key is created.
        Settings(name, periods, may_sign, own)
        if ATTESTATION in own:
            _check_attestation(own[ATTESTATION])
        made_here = {r: keys.create(home, r, key_type) for r in ROLES if r not in own}
        held = {role: (own | made_here)[role] for role in ALL_ROLES if role in own | made_here}
        made = Settings(name, periods, may_sign, held)
        document = AuthorityDocument(
            type="urn:admissibility:authority:v1", name=name, keys=(_attestation(made, now),)
        )
        withdrawals = WithdrawalsDocument(type="urn:admissibility:withdrawals:v1", entries=())
        domains = NO_DOMAINS if TRUST_DOMAINS in held else None
        first = Contents(settings=made, document=document, withdrawals=withdrawals, domains=domains)
        commit(home, None, first, now)
    return Home(home, name)


def load(home: Path) -> Home:
    """Open an existing home; completes what an interrupted command left.

    Raises:
        AuthorityError: There is none, or its settings are broken.
    """
    if not (home / journal.JOURNAL_FILE).exists() and not (home / SETTINGS_FILE).exists():
        raise AuthorityError(f"{home} holds no authority; create one with: admit authority init")
    with journal.locked(home):
        return Home(home, read_settings(home).name)


def publish(home: Home, now: datetime) -> Publication:
    """Re-sign the timestamp (the heartbeat), and whatever else would soon expire.

    Only the online key is needed; root and targets keys are used when theirs is due and they can
    be reached, and their absence is then a warning.
    """
    with locked_home(home.path) as opened:
        return publish_changes(opened, opened, now)


def renew(home: Home, now: datetime) -> Publication | None:
    """Publish as ``publish`` does if less than half of the timestamp's period is left.

    Returns:
        What was published; ``None`` if that is not due.
    """
    with locked_home(home.path) as opened:
        left = opened.published.timestamp.signed.expires - now
        due = left < opened.settings.periods.timestamp / 2
        return publish_changes(opened, opened, now) if due else None


def rotate(
    home: Home,
    which: str,
    now: datetime,
    *,
    key_type: str = "ed25519",
    own: OwnKey | None = None,
    overlap: timedelta | None = None,
) -> Publication:
    """Replace a key.

    ``root``: the next root is signed by the old and the new key, so that readers who pinned an
    older root follow. ``targets`` and ``online``: needs the root key. ``trust-domains``: needs the
    targets key. ``attestation``: the old key
    stays listed in ``authority.json``. It is retired at once, so that what it signed no longer
    counts as agreement; or, with ``overlap``, agrees until then.

    Args:
        home: The authority's home.
        which: One of ``keys.ALL_ROLES``.
        now: Aware.
        key_type: ``ed25519`` or ``ecdsa`` (P-256), for a key that is created.
        own: A key to use instead of a created one.
        overlap: How long the old attestation key still counts; retired at once, if ``None``.

    Raises:
        AuthorityError: No such key, or one that is needed cannot be used.
    """
    if which not in ALL_ROLES:
        raise AuthorityError(f"no such key: {which}; there are {', '.join(ALL_ROLES)}")
    if overlap is not None and which != ATTESTATION:
        raise AuthorityError(f"an overlap is for the attestation key, not for {which}")
    now = instant(now)
    with locked_home(home.path) as opened:
        if which not in opened.settings.keys:
            raise AuthorityError(f"there is no {which} key yet: publish a trust domain first")
        old = opened.settings.keys[which].fingerprint()
        key = (
            keys.adopt(opened.path, which, own, new=True)
            if own
            else keys.create(opened.path, which, key_type)
        )
        changed = replace(opened.settings, keys={**opened.settings.keys, which: key})
        document = opened.document
        if which == ATTESTATION:
            listed = tuple(_after_rotation(k, old, now, overlap) for k in document.keys)
            document = replace(document, keys=(*listed, _attestation(changed, now)))
        done = publish_changes(opened, replace(opened, settings=changed, document=document), now)
        done = replace(done, warnings=(*done.warnings, *keys.tuf_warnings({which: key})))
    return done if which != ATTESTATION else _with_resign_hint(home, done, now, overlap)


def _after_rotation(
    key: AttestationKey, old: str, now: datetime, overlap: timedelta | None
) -> AttestationKey:
    """Retire a listed key, or, with an overlap, end the window of the one that is replaced."""
    if overlap is None or key.window.not_after <= now:
        return replace(key, status="retired")
    if key.public_key().fingerprint != old:
        return key  # an earlier overlap that has not ended
    ends = min(key.window.not_after, now + overlap)
    return replace(key, window=Window(key.window.not_before, ends))


def _with_resign_hint(
    home: Home, done: Publication, now: datetime, overlap: timedelta | None
) -> Publication:
    with locked_home(home.path) as opened:
        count = count_to_resign(opened, now)
    if not count:
        return done
    what = "statement of yours is" if count == 1 else "statements of yours are"
    until = "after the overlap" if overlap else "any more"
    hint = (
        f"{count} {what} signed with an earlier key, which does not count {until}; sign again: "
        "admit resign FOLDER"
    )
    return replace(done, warnings=(*done.warnings, hint))


def set_trust_domains(home: Home, domains: tuple[TrustDomain, ...], now: datetime) -> Publication:
    """Publish the roots of the authority's SPIFFE trust domains, in place of those before.

    They are signed by a key of their own, under a delegated role. The first time, that key is
    created and the targets key delegates to it; from then on neither root nor targets key is
    needed.

    Raises:
        AuthorityError: One trust domain is given twice, or a key that is needed cannot be used.
    """
    with locked_home(home.path) as opened:
        document = opened.document
        listed = replace(opened.domains or NO_DOMAINS, trust_domains=domains)
        check_trust_domains(listed)  # before a key is created for them
        changed = with_trust_domains_key(opened)
        if document.trust_domains:  # published before they had a document of their own
            document = replace(document, trust_domains=())
        after = replace(opened, settings=changed, document=document, domains=listed)
        return publish_changes(opened, after, now)


def with_trust_domains_key(opened: OpenHome) -> Settings:
    """Return the settings with a key for trust domains, which is created where there is none."""
    if TRUST_DOMAINS in opened.settings.keys:
        return opened.settings
    key = keys.create(opened.path, TRUST_DOMAINS, "ed25519")
    return replace(opened.settings, keys={**opened.settings.keys, TRUST_DOMAINS: key})


def root_bytes(home: Home) -> bytes:
    """Return the first root metadata: what an operator pins."""
    with locked_home(home.path):
        return (home.path / repository.METADATA / "1.root.json").read_bytes()


def pem(home: Home) -> str:
    """Return the current attestation public key, PEM."""
    with locked_home(home.path) as opened:
        return opened.settings.keys[ATTESTATION].pem


def describe(home: Home) -> Description:
    """Return the keys, metadata and documents of an authority."""
    with locked_home(home.path) as opened:
        parts = {
            "root": opened.published.root.signed,
            "targets": opened.published.targets.signed,
            "snapshot": opened.published.snapshot.signed,
            "timestamp": opened.published.timestamp.signed,
        }
        if opened.published.delegated is not None:
            parts[TRUST_DOMAINS] = opened.published.delegated.signed
        domains = opened.domains or NO_DOMAINS
        return Description(
            name=opened.settings.name,
            repository=home.repository,
            keys=opened.settings.keys,
            periods=opened.settings.periods,
            versions={name: part.version for name, part in parts.items()},
            expires={name: part.expires for name, part in parts.items()},
            document=opened.document,
            trust_domains=domains.trust_domains or opened.document.trust_domains,
            withdrawals=opened.withdrawals.entries,
            failures=opened.withdrawals.failures,
            supersessions=opened.withdrawals.supersessions,
        )


def _check_attestation(key: HeldKey) -> None:
    try:
        PublicKey.from_pem(key.pem)
    except EvidenceError as error:
        raise AuthorityError(f"{key.uri} cannot sign evidence: {error}") from error


def _attestation(held: Settings, now: datetime) -> AttestationKey:
    window = Window(now, now + held.periods.attestation)
    return AttestationKey(held.keys[ATTESTATION].pem, window, held.may_sign)


def _make_folder(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AuthorityError(f"cannot create {home}: {error.strerror}") from error
