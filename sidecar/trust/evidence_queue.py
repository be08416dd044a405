"""The order in which one folder's evidence is verified: known key ids first, junk within a budget.

Theory of operation. A file passes up to three stages, and each stage is worked off before the next:

1. *new*: it is parsed (short files first), and the keys that its key ids name are tried;
2. *signed*: it has a verified signature, and others of which no key is known; the remaining keys
   are tried;
3. *unknown*: no key id led to a key. All keys are tried, as long as the folder's budget lasts; a
   file beyond it waits until the budget has grown again.

A key id is a hint: it decides when a key is tried, never whether. When new keys become known, only
these are tried, and files whose key ids name one of them come first.

While very many files are new, the signatures of the first stage are verified by a pool of processes
(``signature_pool``), some batches ahead of what is parsed here.

The budget counts tries (signature × key), so neither many files nor many signatures in one file
buy more of the processor; it is one folder's own, so a flooded folder delays only itself.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from sidecar.core import dsse
from sidecar.core.keys import PublicKey
from sidecar.core.reasons import EvidenceError
from sidecar.core.snapshot import Rejected
from sidecar.core.verification import UNKNOWN_SIGNER, VerifiedFile
from sidecar.trust.limits import VERIFICATION, VerificationLimits
from sidecar.trust.plain_evidence import read_envelope, read_statement
from sidecar.trust.signature_pool import Found, SignaturePool

_LOG = logging.getLogger("sidecar.trust")

_NO_KEYS: frozenset[PublicKey] = frozenset()
_BYTES_PER_TRY = 8192
"""Parsing this much takes about as long as a try."""


@dataclass(slots=True, eq=False)
class _File:
    """One file, and how far its verification has come.

    Attributes:
        data: Its bytes.
        digest: Hex SHA-256 of them.
        envelope: None until it is parsed.
        tried: Keys that were tried.
        verified: Set with the first signature that verified.
        error: Why it can never be used, whatever key becomes known; empty where it may.
    """

    data: bytes
    digest: str
    envelope: dsse.Envelope | None = None
    tried: frozenset[PublicKey] = _NO_KEYS
    verified: VerifiedFile | None = None
    error: str = ""

    def parse(self) -> None:
        try:
            self.envelope = read_envelope(self.data)
        except EvidenceError as error:
            self.error = str(error)

    def complete(self) -> bool:
        """Return whether a key is known for each signature."""
        if self.verified is None or self.envelope is None:
            return False
        return len(self.verified.fingerprints) >= len(self.envelope.signatures)

    def signed_by(self, key: PublicKey) -> bool:
        """Return whether a signature by ``key`` verified."""
        return self.verified is not None and key.fingerprint in self.verified.fingerprints

    def cost(self, keys: frozenset[PublicKey]) -> int:
        """Tries that it takes to try ``keys``."""
        return len(self.envelope.signatures) * len(keys) if self.envelope is not None else 0

    def attempt(self, keys: frozenset[PublicKey], signed: frozenset[str] | None = None) -> bool:
        """Try ``keys``; returns whether the file counts for more than before.

        Args:
            keys: Keys that were not tried before.
            signed: The fingerprints of those whose signature verified, where that is known.
        """
        assert self.envelope is not None
        self.tried |= keys
        if signed is None:
            signed = dsse.verified_by(self.envelope, keys)
        if not signed:
            return False
        if self.verified is not None:
            self.verified = replace(self.verified, fingerprints=self.verified.fingerprints | signed)
            return True
        try:
            statement = read_statement(self.envelope.payload)
        except EvidenceError as error:
            self.error = str(error)
            return False
        except Exception as error:  # noqa: BLE001 - one signed file must not end what verifies all others
            _LOG.exception("evidence: a signed statement is refused, file %s", self.digest)
            self.error = f"statement: it cannot be read: {error!r}"
            return False
        self.verified = VerifiedFile(self.digest, self.envelope.digest, statement, signed)
        return True

    def rejected(self) -> Rejected:
        return Rejected(self.digest, self.error or UNKNOWN_SIGNER)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Files that the pool verifies, with the keys that are tried on each."""

    files: tuple[tuple[_File, frozenset[PublicKey]], ...]
    found: Future[Found]


@dataclass(slots=True)
class EvidenceQueue:
    """Return the files of one folder. Not thread-safe: one thread owns it.

    Attributes:
        limits: See ``VerificationLimits``.
        find: Returns a file that was verified before, by its digest; its signatures are not tried
            again.
        pool: Verifies signatures while very many files are new.
        budget: Tries left for files of unknown signers.
    """

    limits: VerificationLimits = VERIFICATION
    find: Callable[[str], VerifiedFile | None] = lambda _: None
    pool: SignaturePool | None = None
    budget: float = field(init=False)
    _refilled: float = 0.0
    _keys: frozenset[PublicKey] = _NO_KEYS
    _by_id: dict[str, PublicKey] = field(default_factory=dict)
    _alone: dict[str, frozenset[PublicKey]] = field(default_factory=dict)
    _files: dict[str, _File] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _bytes: int = 0
    _new: deque[_File] = field(default_factory=deque)
    _signed: deque[_File] = field(default_factory=deque)
    _unknown: deque[_File] = field(default_factory=deque)
    _changed: dict[str, VerifiedFile | None] = field(default_factory=dict)
    _ahead: deque[_Batch] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.budget = float(self.limits.unknown_tries)

    def change(self, added: Iterable[bytes], removed: Iterable[str] = ()) -> None:
        """Follow the folder.

        Args:
            added: Files that are new; known ones are passed over.
            removed: Digests of files that are gone; unknown ones are passed over.
        """
        gone = False
        for digest in removed:
            file = self._files.pop(digest, None)
            if file is not None:
                gone = True
                self._bytes -= len(file.data)
            held = digest in self._done or (file is not None and file.verified is not None)
            if held or self.find(digest) is not None:
                self._changed[digest] = None
            self._done.discard(digest)
        if gone:
            for stage in (self._new, self._signed, self._unknown):
                _retain(stage, self._files)
        fresh = []
        for data in added:
            file = _File(data, hashlib.sha256(data).hexdigest())
            if file.digest not in self._files and file.digest not in self._done:
                self._bytes += len(data)
                file.verified = self.find(file.digest)
                self._files[file.digest] = file
                fresh.append(file)
        # Many as they came: what is signed of one thing is often near, and one step costs less than
        # several. Few by their length, so that none waits for a long one to be parsed.
        many = len(fresh) >= self.limits.many
        self._new.extend(fresh if many else sorted(fresh, key=_short_first))

    def replace_keys(self, keys: frozenset[PublicKey]) -> None:
        """Take the attestation keys of all authorities."""
        added = keys - self._keys
        while self._ahead:
            self._take_back()
        self._keys = keys
        self._by_id = {
            text: key
            for key in keys
            for text in (key.fingerprint, key.fingerprint.removeprefix("sha256:"))
        }
        self._alone = {key.fingerprint: frozenset({key}) for key in keys}
        if not added:
            return
        for stage in (self._new, self._signed, self._unknown):
            stage.clear()
        for file in sorted(self._files.values(), key=_short_first):
            self._stage(file)

    def work(self, now: float) -> None:
        """Verify one slice.

        Args:
            now: Monotonic seconds, by which the budget grows.
        """
        self._refill(now)
        if self.pool is not None and self.many():
            self._hand_out(self.pool)
            return
        spent = 0
        while spent < self.limits.slice_tries:
            if self._new:
                file = self._new.popleft()
                keys = self._named(file)
            elif self._signed:
                file = self._signed.popleft()
                keys = frozenset(k for k in self._keys - file.tried if not file.signed_by(k))
            elif self._affordable():
                file = self._unknown.popleft()
                keys = self._keys - file.tried
            else:
                break
            self._try(file, keys)
            spent += 1 + file.cost(keys) + len(file.data) // _BYTES_PER_TRY
            self._stage(file)

    def _try(
        self, file: _File, keys: frozenset[PublicKey], signed: frozenset[str] | None = None
    ) -> None:
        """Try keys on a file; what none of them signed costs of the budget."""
        if keys and file.attempt(keys, signed) and file.verified is not None:
            self._changed[file.digest] = file.verified
        if file.verified is None:
            self.budget = max(0.0, self.budget - file.cost(keys))

    def _hand_out(self, pool: SignaturePool) -> None:
        """Hand a batch of new files to the pool, and take back what it finished meanwhile."""
        batch: list[tuple[_File, frozenset[PublicKey]]] = []
        for _ in range(min(len(self._new), self.limits.batch)):
            file = self._new.popleft()
            keys = self._named(file)
            if keys:
                batch.append((file, keys))
            else:
                self._stage(file)
        if batch:
            tasks = [(file.envelope, keys) for file, keys in batch if file.envelope is not None]
            self._ahead.append(_Batch(tuple(batch), pool.submit(tasks)))
        if self._ahead and (not batch or len(self._ahead) > pool.processes):
            self._take_back()

    def _take_back(self) -> None:
        """Take the oldest batch back; what the pool did not verify is tried here."""
        ahead = self._ahead.popleft()
        found = ahead.found.result()
        for number, (file, keys) in enumerate(ahead.files):
            if self._files.get(file.digest) is not file:
                continue  # it is gone
            signed = None if found is None else found[number]
            self._try(file, keys, signed)
            self._stage(file)

    def take_changes(self) -> dict[str, VerifiedFile | None]:
        """Return, since the last call, files that count for more, and ``None`` for those gone."""
        changed, self._changed = self._changed, {}
        return changed

    def untaken(self) -> int:
        """Return of how many files ``take_changes`` has news."""
        return len(self._changed)

    def idle(self) -> bool:
        """Return whether nothing can be done now; files that wait for the budget do not count."""
        return not (self._new or self._signed or self._ahead or self._affordable())

    def many(self) -> bool:
        """Return whether very many files are new, or some of them are being verified."""
        return bool(self._ahead) or len(self._new) >= self.limits.many

    def left(self) -> int:
        """Return how many files are to be looked at, those that wait for the budget included."""
        ahead = sum(len(batch.files) for batch in self._ahead)
        return len(self._new) + len(self._signed) + len(self._unknown) + ahead

    def waiting(self) -> int:
        """Return how many files wait for the budget."""
        return len(self._unknown)

    def waiting_bytes(self) -> int:
        """Return the bytes of the files that are held: those of which no key signed some part."""
        return self._bytes

    def holds_verified(self, digest: str) -> bool:
        """Return whether the file with that digest has a verified signature."""
        file = self._files.get(digest)
        return digest in self._done or (file is not None and file.verified is not None)

    def verified(self) -> int:
        """Return how many files have a verified signature."""
        return len(self._done) + sum(each.verified is not None for each in self._files.values())

    def rejected(self) -> list[Rejected]:
        """Return the files that were refused so far; those that wait are not among them."""
        waiting = {id(file) for stage in (self._new, self._unknown) for file in stage}
        waiting.update(id(file) for batch in self._ahead for file, _ in batch.files)
        return [
            file.rejected()
            for file in self._files.values()
            if file.verified is None and id(file) not in waiting
        ]

    def _refill(self, now: float) -> None:
        grown = max(0.0, now - self._refilled) * self.limits.unknown_tries_per_second
        self.budget = min(self.budget + grown, float(self.limits.unknown_tries))
        self._refilled = now

    def _affordable(self) -> bool:
        if not self._unknown:
            return False
        file = self._unknown[0]
        return self.budget >= min(file.cost(self._keys - file.tried), self.limits.unknown_tries)

    def _named(self, file: _File) -> frozenset[PublicKey]:
        """Parse a file if need be; return the known keys that its key ids name, less the tried."""
        if file.envelope is None:
            file.parse()
        if file.envelope is None:
            return _NO_KEYS
        named = [key for each in file.envelope.key_ids if (key := self._by_id.get(each))]
        if len(named) == 1 and not file.tried and file.verified is None:
            return self._alone[named[0].fingerprint]  # as nearly always
        return frozenset(key for key in named if key not in file.tried and not file.signed_by(key))

    def _stage(self, file: _File) -> None:
        """Put a file into the stage that is next for it, if any."""
        if file.complete():
            self._done.add(file.digest)  # nothing more can be learned of it
            del self._files[file.digest]
            self._bytes -= len(file.data)
            return
        if file.error:
            return
        if file.envelope is None or self._named(file):
            self._new.append(file)
        elif not self._keys <= file.tried:
            (self._unknown if file.verified is None else self._signed).append(file)


def _short_first(file: _File) -> tuple[int, bytes]:
    return len(file.data), file.data


def _retain(stage: deque[_File], files: dict[str, _File]) -> None:
    kept = [file for file in stage if file.digest in files]
    stage.clear()
    stage.extend(kept)
