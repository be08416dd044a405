"""Attributes verified files to the authorities whose keys signed them, and indexes the evidence.

One payload in several envelopes is one piece of evidence with all their signers. Which keys count
is looked up in the authorities' documents, so a changed document re-attributes what its changed
keys signed, and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.core.evidence import Evidence, Signer
from sidecar.core.kinds import BY_URN, EvidenceKind, kind_of
from sidecar.core.predicates import APPROVAL, ENVIRONMENT, MANIFEST, RESULT, SPECIFICATION
from sidecar.core.tables import Drafts, SignedPayload
from sidecar.core.verification import UNKNOWN_SIGNER, VerifiedFile

Holders = Mapping[str, Mapping[Signer, tuple[str, ...]]]
"""Key fingerprint → authority that lists the key → predicate types that it may sign."""


@dataclass(slots=True)
class ChangedEvidence:
    """What a step changed of the evidence.

    Attributes:
        digests: Payloads whose evidence came, went or changed its signers.
        manifests: Those of them that are manifests.
        about: Digests of manifests about which approvals or results changed.
        environments: SPIFFE IDs whose declarations changed.
        specifications: Digests of specifications that came, went or changed their signers.
    """

    digests: set[str] = field(default_factory=set)
    manifests: set[str] = field(default_factory=set)
    about: set[str] = field(default_factory=set)
    environments: set[str] = field(default_factory=set)
    specifications: set[str] = field(default_factory=set)

    def note(self, item: Evidence[Any], at: Any) -> None:  # noqa: ANN401 - any kind's index key
        """Note that ``item``, found under the index key ``at``, changed."""
        self.digests.add(item.digest)
        urn = item.statement.predicate_type
        if urn == MANIFEST:
            self.manifests.add(item.digest)
        elif urn in (APPROVAL, RESULT):
            self.about.add(at)
        elif urn == ENVIRONMENT:
            self.environments.add(at)
        elif urn == SPECIFICATION:
            self.specifications.add(at)


@dataclass(frozen=True, slots=True)
class Accepted:
    """Updates the tables of files and of evidence, for one step.

    Attributes:
        drafts: The tables of this step.
        holders: Who lists which key, as of this step.
        new: Payloads that nothing was known of before.
        attributed: What ``_signers`` found: a few keys sign nearly everything.
    """

    drafts: Drafts
    holders: Holders
    new: set[str] = field(default_factory=set)
    attributed: dict[tuple[str, frozenset[str]], tuple[tuple[Signer, ...], str]] = field(
        default_factory=dict
    )

    def update(
        self, added: Iterable[VerifiedFile], removed: Iterable[str], rekeyed: Iterable[str]
    ) -> ChangedEvidence:
        """Follow changed files and changed keys.

        Args:
            added: Files that are new, or that further keys signed.
            removed: File digests; unknown ones are passed over.
            rekeyed: Fingerprints of keys that came, went, or may sign other predicate types.
        """
        digests: set[str] = set()
        for file_digest in removed:
            digest = self.drafts.files.get(file_digest)
            if digest is not None:
                digests.add(digest)
                del self.drafts.files[file_digest]
                self._drop(digest, file_digest)
        for file in added:
            digests.add(file.digest)
            if self.drafts.signed.lacks(file.digest):
                self._begin(file)
            else:
                self.drafts.files[file.file_digest] = file.digest
                self._hold(file)
        for fingerprint in rekeyed:
            digests.update(self.drafts.signed_by.of(fingerprint))
        return self._attribute(digests)

    def _begin(self, file: VerifiedFile) -> None:
        """Add the first file of a payload: neither is in any table."""
        digest, drafts = file.digest, self.drafts
        drafts.files.add(file.file_digest, digest)
        files = ((file.file_digest, file.fingerprints),)
        drafts.signed.add(digest, SignedPayload(file.statement, files))
        for fingerprint in file.fingerprints:
            drafts.signed_by.add(fingerprint, digest)
        self.new.add(digest)

    def _hold(self, file: VerifiedFile) -> None:
        held = self.drafts.signed.get(file.digest)
        files = {} if held is None else dict(held.files)
        files[file.file_digest] = file.fingerprints
        statement = file.statement if held is None else held.statement
        self.drafts.signed[file.digest] = SignedPayload(statement, tuple(sorted(files.items())))
        for fingerprint in file.fingerprints:
            self.drafts.signed_by.put(fingerprint, file.digest, keep=True)

    def _drop(self, digest: str, file_digest: str) -> None:
        held: SignedPayload = self.drafts.signed[digest]
        files = dict(held.files)
        gone = files.pop(file_digest)
        left = tuple(sorted(files.items()))
        self.drafts.signed.put(digest, SignedPayload(held.statement, left), keep=bool(left))
        for fingerprint in gone - {each for one in files.values() for each in one}:
            self.drafts.signed_by.put(fingerprint, digest, keep=False)
        del self.drafts.refused[file_digest]

    def _attribute(self, digests: Iterable[str]) -> ChangedEvidence:
        touched = ChangedEvidence()
        changed: dict[tuple[str, Any], dict[str, Evidence[Any] | None]] = defaultdict(dict)
        known: Evidence[Any]
        for digest in digests:
            item = self._evidence(digest)
            if digest in self.new:
                if item is None:
                    continue
                known = item
                self.drafts.evidence.add(digest, item)
            else:
                before = self.drafts.evidence.get(digest)
                if item == before:
                    continue
                known = item or before
                self.drafts.evidence.put(digest, known, keep=item is not None)
            kind: EvidenceKind[Any] = kind_of(known.predicate)
            at: Any = kind.index(digest, known.statement.subject, known.predicate)
            changed[kind.urn, at][digest] = item
            touched.note(known, at)
        for (urn, at), items in changed.items():
            self._index(urn, at, items)
        return touched

    def _evidence(self, digest: str) -> Evidence[Any] | None:
        """Return a payload with its granted signers; ``None`` where it has none."""
        held: SignedPayload | None = self.drafts.signed.get(digest)
        if held is None:
            return None
        urn, signers = held.statement.predicate_type, tuple[Signer, ...]()
        for file_digest, fingerprints in held.files:
            may, why = self._signers(urn, fingerprints)
            if not may or digest not in self.new:
                self.drafts.refused.put(file_digest, why, keep=not may)
            signers = may if signers in ((), may) else tuple(sorted({*signers, *may}))
        return Evidence(digest, held.statement, signers) if signers else None

    def _signers(self, urn: str, fingerprints: frozenset[str]) -> tuple[tuple[Signer, ...], str]:
        """Return the signers with these keys that are allowed a type, sorted, or why none is."""
        found = self.attributed.get((urn, fingerprints))
        if found is None:
            known = [each for f in fingerprints for each in self.holders.get(f, {}).items()]
            may = {signer for signer, types in known if urn in types}
            why = f"its signer may not sign {urn}" if known else UNKNOWN_SIGNER
            found = self.attributed[urn, fingerprints] = tuple(sorted(may)), why
        return found

    def _index(self, urn: str, at: Any, items: Mapping[str, Evidence[Any] | None]) -> None:  # noqa: ANN401
        """Replace evidence under one index key; the rest under that key stays."""
        drafts = self.drafts
        if urn in (SPECIFICATION, MANIFEST):
            table = drafts.specifications if urn == SPECIFICATION else drafts.manifests_by_digest
            for digest, item in items.items():
                table.put(digest, item, keep=item is not None)  # type: ignore[arg-type]
        if urn != SPECIFICATION:
            index: Any = getattr(drafts, BY_URN[urn].table)
            left = {**{each.digest: each for each in index.get(at, ())}, **items}
            found = tuple(each for _, each in sorted(left.items()) if each is not None)
            index.put(at, found, keep=bool(found))
