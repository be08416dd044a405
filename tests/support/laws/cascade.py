"""Laws 1, 3 and 6: whose noes count, what they hit, and what the lineage is."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.laws.nouns import (
    KIND_OF,
    Approval,
    Binding,
    Content,
    Declaration,
    Item,
    Manifest,
    Result,
    Specification,
    Waiver,
    Withdrawal,
    covers,
)
from tests.support.laws.reading import Reading, Signer

JURISDICTION_FREE = ("evaluator", "producer")


def objectors(
    reading: Reading,
    sector: str,
    asked: Iterable[str],
    models: Iterable[str],
    role: str | None = None,
) -> dict[str, bool]:
    """Authorities with any grant in scope; whether the silence of one of these grants denies.

    In scope is, too, what the environment was ever declared for. Evaluators and producers agree
    whatever jurisdictions they are granted, and so may object. In the sandbox everybody is whose
    grant is for one of the models: it stands in for all the environments that they are made for.
    """
    names = {f"openai/{model}" for model in models}
    scopes = {(sector, name) for name in asked} | reading.ever_declared()
    question = reading.question
    found: dict[str, bool] = {}
    for authority, grants in reading.world.operator.grants.items():
        for grant in grants:
            if (
                role in (None, grant.role)
                and (
                    question.modelless
                    or any(covers((*grant.models, *grant.base_models), name) for name in names)
                )
                and (question.sandbox or covers(grant.environments, question.environment))
                and (
                    question.sandbox
                    or any(
                        covers(grant.sectors, each)
                        and (grant.role in JURISDICTION_FREE or covers(grant.jurisdictions, name))
                        for each, name in scopes
                    )
                )
            ):
                by_role = grant.role in ("regulator", "customer", "provider")
                denies = by_role if grant.silence is None else grant.silence == "denies"
                found[authority] = found.get(authority, False) or denies
    return found


def family(reading: Reading, start: Item, sector: str) -> tuple[dict[str, Item], set[str]]:
    """The model, its parents, what supersedes any of these; and what is only announced.

    What was ever seen counts: losing a file does not shorten a lineage.
    """
    known: dict[str, Item] = {start.digest: start}
    announced: set[str] = set()
    assert isinstance(start.content, Manifest)
    open_ends = [(start.digest, start.content.model)]
    while open_ends:
        digest, model = open_ends.pop()
        for newer in successors(reading, digest, model, sector) - set(known) - announced:
            if newer in reading.memory:
                known[newer] = reading.memory[newer]
            else:
                announced.add(newer)
            open_ends.append((newer, model))
        item = known.get(digest)
        if item is not None and isinstance(item.content, Manifest):
            parent = item.content.parent
            if parent in reading.memory and parent not in known:
                known[parent] = reading.memory[parent]
                open_ends.append((parent, item.content.base))
    return known, announced


def successors(reading: Reading, digest: str, model: str, sector: str) -> set[str]:
    """What supersedes a manifest: as evidence, or as its producers announced."""
    evident = {
        item.digest
        for item in reading.memory.values()
        if isinstance(item.content, Manifest)
        and item.content.supersedes == digest
        and item.content.model == model
        and reading.producers(item, sector, ())
    }
    announced = {
        each.by
        for authority, documents in reading.world.views.items()
        for each in documents.supersessions
        if each.manifest == digest and reading.holds(authority, "producer", sector, model, ())
    }
    return evident | announced


class Noes:
    """The withdrawals in effect of those whose withdrawals count; ``found`` keeps what hit."""

    def __init__(self, reading: Reading, authorities: Iterable[str]) -> None:
        self.reading, self.counted = reading, set(authorities)
        self.entries = [
            (authority, entry)
            for authority in sorted(self.counted)
            if authority in reading.world.views
            for entry in reading.world.views[authority].withdrawals
            if entry.effective is None or entry.effective <= reading.now
        ]
        self._kinds = {entry.kind for _, entry in self.entries}
        self.found: set[tuple[str, Withdrawal]] = set()
        self._said: dict[tuple[str, frozenset[str], Signer], bool] = {}

    def hit(self, kind: str, subject: str) -> bool:
        if kind not in self._kinds:
            return False
        matching = {
            (authority, entry)
            for authority, entry in self.entries
            if entry.kind == kind
            and (
                covers((entry.subject,), subject)
                if kind in ("environment", "base-model")
                else entry.subject == subject
            )
        }
        self.found |= matching
        return bool(matching)

    def base_hit(self, base: str) -> bool:
        by_base = self.hit("base-model", f"openai/{base}")
        return self.hit("model", f"openai/{base}") or by_base

    def signer_hit(self, signer: Signer) -> bool:
        authority = self.hit("authority", signer[0])
        return self.hit("key", signer[1]) or authority

    def signers_hit(self, signers: set[Signer]) -> bool:
        """Whether every signer is hit: another one that is not can be relied on."""
        return bool(signers) and all(self.signer_hit(signer) for signer in signers)

    def word_hit(self, item: Item, authority: str) -> bool:
        """Law 3: this word, or a later one of the same author on the same matter."""
        kind = KIND_OF[type(item.content)]
        itself = self.hit(kind, item.digest)
        if isinstance(item.content, Manifest | Specification | Waiver) or kind not in self._kinds:
            return itself
        subject = matter(item.content)
        later = [
            other
            for other in self.reading.world.withdrawn.values()
            if type(other.content) is type(item.content)
            and matter(other.content) == subject
            and _order(other) > _order(item)
            and authority in {name for name, _ in self.reading.as_signed(other)}
        ]
        return any(self.hit(kind, other.digest) for other in later) or itself

    def said_hit(self, item: Item, signer: Signer) -> bool:
        """Whether a piece of evidence, as this signer's, is withdrawn: also by the signer alone."""
        at = item.digest, item.keys, signer
        if at not in self._said:
            self._said[at] = self._said_hit(item, signer)
        return self._said[at]

    def _said_hit(self, item: Item, signer: Signer) -> bool:
        word = self.word_hit(item, signer[0])
        hit = self.signer_hit(signer) or word
        if signer[0] in self.counted:
            return hit
        own = Noes(self.reading, {signer[0]})
        disowned = own.said_hit(item, signer) or own.suites_hit(item)
        self.found |= own.found
        return hit or disowned

    def suites_hit(self, item: Item) -> bool:
        """Whether a suite that a specification declares is withdrawn."""
        suites = item.content.suites if isinstance(item.content, Specification) else ()
        found = [self.hit("evaluation", suite.digest) for suite in suites]
        return any(found)

    def manifest_hit(self, item: Item) -> bool:
        """Whether anything a manifest rests on is withdrawn, apart from its signers."""
        manifest = item.content
        assert isinstance(manifest, Manifest)
        return any(
            [
                self.hit("manifest", item.digest),
                self.hit("model", f"openai/{manifest.model}"),
                self.base_hit(manifest.base),
                self.hit("run", manifest.run),
                *(self.hit("specification", each) for each in self._specified(manifest)),
                *(self.hit("corpus", corpus) for corpus in manifest.corpora),
                *(self.hit("evaluation", output) for output in manifest.evaluations),
                *(self.hit("evaluation", grader) for grader in manifest.graders),
                *(self.base_hit(model) for model in manifest.used),
                *(self.hit("evaluation", suite.digest) for suite in manifest.suites),
            ]
        )

    def _specified(self, manifest: Manifest) -> set[str]:
        """The specification that a manifest names, and those that it extends."""
        found, digest = set[str](), manifest.specification
        while digest is not None:
            found.add(digest)
            known = self.reading.memory.get(digest)
            content = None if known is None else known.content
            digest = content.extends if isinstance(content, Specification) else None
        return found

    def statements_hit(self, digest: str) -> bool:
        """Whether any approval or result about this manifest is withdrawn, seen here or not."""
        seen = [
            self.hit(KIND_OF[type(item.content)], item.digest)
            for item in self.reading.memory.values()
            if isinstance(item.content, Approval | Result) and item.content.manifest == digest
        ]
        return self.told_hit(digest) or any(seen)

    def told_hit(self, digest: str) -> bool:
        """Whether a withdrawal states that what it withdraws is about this manifest."""
        told = {(authority, entry) for authority, entry in self.entries if entry.manifest == digest}
        self.found |= told
        return bool(told)


def matter(content: Content) -> tuple[object, ...]:
    """What a piece of evidence is about, apart from who its author is."""
    match content:
        case Approval():
            return ("approval", content.manifest, content.role)
        case Result():
            return ("result", content.manifest, frozenset(s.digest for s in content.suites))
        case Declaration():
            return ("declaration", content.environment)
        case Binding():
            return ("binding", content.deployment)
        case Manifest() | Specification() | Waiver():
            return ("single", content)


def _order(item: Item) -> tuple[int, str]:
    return (item.content.span.begins, item.digest)
