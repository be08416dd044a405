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
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sidecar.authority import journal, keys, repository
from sidecar.authority.errors import AuthorityError
from sidecar.authority.keys import ATTESTATION, ROLES, HeldKey, OwnKey
from sidecar.authority.open_home import (
    Home,
    OpenHome,
    Publication,
    commit,
    instant,
    locked_home,
    read_settings,
)
from sidecar.authority.settings import SETTINGS_FILE, Periods, Settings
from sidecar.authority.subjects import normalised
from sidecar.core import dsse, kinds
from sidecar.core.documents import (
    AttestationKey,
    AuthorityDocument,
    TrustDomain,
    Withdrawal,
    WithdrawalKind,
    WithdrawalsDocument,
)
from sidecar.core.evidence import Predicate, Statement, write_statement
from sidecar.core.keys import PublicKey
from sidecar.core.reasons import EvidenceError
from sidecar.core.window import Window

__all__ = [
    "AuthorityError",
    "Description",
    "Home",
    "OwnKey",
    "Periods",
    "Publication",
    "attest",
    "describe",
    "init",
    "load",
    "pem",
    "publish",
    "reinstate",
    "root_bytes",
    "rotate",
    "set_trust_domains",
    "withdraw",
]


@dataclass(frozen=True, slots=True)
class Description:
    """Everything ``admit authority show`` tells.

    Attributes:
        name: The authority's name.
        repository: The published folder.
        keys: Role → key.
        periods: From signing to expiry.
        versions: Metadata → version.
        expires: Metadata → expiry.
        document: The published ``authority.json``.
        withdrawals: The published withdrawals.
    """

    name: str
    repository: Path
    keys: Mapping[str, HeldKey]
    periods: Periods
    versions: Mapping[str, int]
    expires: Mapping[str, datetime]
    document: AuthorityDocument
    withdrawals: tuple[Withdrawal, ...]


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
    unknown = sorted(set(uris or {}) - set(ROLES))
    if unknown:
        raise AuthorityError(f"no such key: {', '.join(unknown)}; there are {', '.join(ROLES)}")
    _make_folder(home)
    with journal.locked(home):
        for taken in (SETTINGS_FILE, keys.KEYS_FOLDER, repository.FOLDER):
            if (home / taken).exists():
                raise AuthorityError(f"{home / taken} exists; nothing was changed")
        own = {role: keys.adopt(home, key) for role, key in (uris or {}).items()}
        # Refuse what can be refused before any key is created.
        Settings(name, periods, may_sign, own)
        if ATTESTATION in own:
            _check_attestation(own[ATTESTATION])
        held = {role: own.get(role) or keys.create(home, role, key_type) for role in ROLES}
        made = Settings(name, periods, may_sign, held)
        document = AuthorityDocument(
            type="urn:admissibility:authority:v1", name=name, keys=(_attestation(made, now),)
        )
        withdrawals = WithdrawalsDocument(type="urn:admissibility:withdrawals:v1", entries=())
        commit(home, None, made, document, withdrawals, now)
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
    """The heartbeat: sign the timestamp anew, and whatever else would soon expire.

    Only the online key is needed; root and targets keys are used when theirs is due and they can
    be reached, and their absence is then a warning.
    """
    with locked_home(home.path) as opened:
        return _publish(opened, now)


def rotate(
    home: Home,
    which: str,
    now: datetime,
    *,
    key_type: str = "ed25519",
    own: OwnKey | None = None,
) -> Publication:
    """Replace a key.

    ``root``: the next root is signed by the old and the new key, so that readers who pinned an
    older root follow. ``targets`` and ``online``: needs the root key. ``attestation``: the new key
    takes the old one's place in ``authority.json``; evidence by the old one stops verifying.

    Raises:
        AuthorityError: No such key, or one that is needed cannot be used.
    """
    if which not in ROLES:
        raise AuthorityError(f"no such key: {which}; there are {', '.join(ROLES)}")
    with locked_home(home.path) as opened:
        key = keys.adopt(opened.path, own) if own else keys.create(opened.path, which, key_type)
        changed = replace(opened.settings, keys={**opened.settings.keys, which: key})
        document = opened.document
        if which == ATTESTATION:
            document = replace(document, keys=(_attestation(changed, instant(now)),))
        return _publish(opened, now, changed=changed, document=document)


def set_trust_domains(home: Home, domains: tuple[TrustDomain, ...], now: datetime) -> Publication:
    """Publish the roots of the authority's SPIFFE trust domains, in place of those before.

    See ``trust_domains.read`` for reading them from files.
    """
    with locked_home(home.path) as opened:
        return _publish(opened, now, document=replace(opened.document, trust_domains=domains))


def withdraw(
    home: Home,
    kind: WithdrawalKind,
    subject: str,
    reason: str,
    effective: datetime | None,
    now: datetime,
) -> Publication:
    """Withdraw something and publish.

    Args:
        home: The authority's home.
        kind: What sort of thing.
        subject: Which one; see ``subjects.normalised``.
        reason: For people and logs.
        effective: From when on; ``None`` is at once, on every gate, whatever its clock shows.
        now: Aware.

    Raises:
        AuthorityError: The subject cannot name such a thing, or it is withdrawn already from no
            later than that.
    """
    since = None if effective is None else instant(effective)
    entry = Withdrawal(kind, normalised(kind, subject), reason, since)
    with locked_home(home.path) as opened:
        same, others = _split(opened.withdrawals, entry.kind, entry.subject)
        for known in same:
            if not _earlier(entry.effective, known.effective, now):
                began = "at once" if known.effective is None else known.effective.isoformat()
                raise AuthorityError(f"{kind} {entry.subject} is withdrawn already, from {began}")
        changed = replace(opened.withdrawals, entries=(*others, entry))
        return _publish(opened, now, withdrawals=changed)


def reinstate(home: Home, kind: WithdrawalKind, subject: str, now: datetime) -> Publication:
    """Take a withdrawal back, and publish.

    Raises:
        AuthorityError: It is not withdrawn.
    """
    subject = normalised(kind, subject)
    with locked_home(home.path) as opened:
        same, others = _split(opened.withdrawals, kind, subject)
        if not same:
            raise AuthorityError(f"{kind} {subject} is not withdrawn")
        return _publish(opened, now, withdrawals=replace(opened.withdrawals, entries=others))


def attest(home: Home, statement: Statement[Predicate], now: datetime) -> bytes:
    """Sign a statement with the current attestation key.

    Returns:
        A DSSE envelope as JSON bytes; its ``keyid`` is the key's fingerprint, a hint only.

    Raises:
        AuthorityError: The key is not valid now, may not sign this predicate type, or fails.
        EvidenceError: The statement is not one that a reader would accept.
    """
    payload = write_statement(statement)
    message = dsse.pae(dsse.PAYLOAD_TYPE, payload)
    with locked_home(home.path) as opened:
        held = opened.settings.keys[ATTESTATION]
        _may_sign(opened.document, held, statement.predicate_type, now)
        signature = keys.sign(keys.signer(opened.path, held), message)
    raw = bytes.fromhex(signature.signature)
    value = {
        "payload": base64.b64encode(payload).decode("ascii"),
        "payloadType": dsse.PAYLOAD_TYPE,
        "signatures": [{"keyid": held.fingerprint(), "sig": base64.b64encode(raw).decode("ascii")}],
    }
    envelope = json.dumps(value, indent=1).encode("ascii") + b"\n"
    if not dsse.verified_by(dsse.parse(envelope), [PublicKey.from_pem(held.pem)]):
        raise AuthorityError(f"the signature by {held.uri} does not verify; nothing was written")
    return envelope


def root_bytes(home: Home) -> bytes:
    """The first root metadata: what an operator pins."""
    with locked_home(home.path):
        return (home.path / repository.METADATA / "1.root.json").read_bytes()


def pem(home: Home) -> str:
    """The current attestation public key, PEM."""
    with locked_home(home.path) as opened:
        return opened.settings.keys[ATTESTATION].pem


def describe(home: Home) -> Description:
    """Everything there is to tell about an authority."""
    with locked_home(home.path) as opened:
        parts = {
            "root": opened.published.root.signed,
            "targets": opened.published.targets.signed,
            "snapshot": opened.published.snapshot.signed,
            "timestamp": opened.published.timestamp.signed,
        }
        return Description(
            name=opened.settings.name,
            repository=home.repository,
            keys=opened.settings.keys,
            periods=opened.settings.periods,
            versions={name: part.version for name, part in parts.items()},
            expires={name: part.expires for name, part in parts.items()},
            document=opened.document,
            withdrawals=opened.withdrawals.entries,
        )


def _publish(
    opened: OpenHome,
    now: datetime,
    *,
    changed: Settings | None = None,
    document: AuthorityDocument | None = None,
    withdrawals: WithdrawalsDocument | None = None,
) -> Publication:
    return commit(
        opened.path,
        opened,
        changed or opened.settings,
        document or opened.document,
        withdrawals or opened.withdrawals,
        instant(now),
    )


def _check_attestation(key: HeldKey) -> None:
    try:
        PublicKey.from_pem(key.pem)
    except EvidenceError as error:
        raise AuthorityError(f"{key.uri} cannot sign evidence: {error}") from error


def _attestation(held: Settings, now: datetime) -> AttestationKey:
    window = Window(now, now + held.periods.attestation)
    return AttestationKey(held.keys[ATTESTATION].pem, window, held.may_sign)


def _may_sign(document: AuthorityDocument, held: HeldKey, kind: str, now: datetime) -> None:
    for key in document.keys:
        if key.public_key().fingerprint == held.fingerprint():
            if kind not in key.predicate_types:
                raise AuthorityError(f"the attestation key may not sign {kind}")
            if not key.window.holds(now):
                raise AuthorityError("the attestation key is outside its window; rotate it")
            return
    raise AuthorityError("the attestation key is not the published one")


def _earlier(new: datetime | None, known: datetime | None, now: datetime) -> bool:
    """Whether an entry would take effect before the one that is published."""
    if known is None or (new is None and known <= now):
        return False
    return new is None or new < known


def _split(
    known: WithdrawalsDocument, kind: WithdrawalKind, subject: str
) -> tuple[tuple[Withdrawal, ...], tuple[Withdrawal, ...]]:
    same = tuple(e for e in known.entries if (e.kind, e.subject) == (kind, subject))
    return same, tuple(entry for entry in known.entries if entry not in same)


def _make_folder(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AuthorityError(f"cannot create {home}: {error.strerror}") from error
