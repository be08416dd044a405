"""Deactivation needs one: each noun of an admitted chain, withdrawn by one real authority, ends it.

The chain is that of a model tuned on from ours, so it has a parent. Its nouns are written down here
from the evidence files, not taken from the product's own walk over them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from admissibility_devtools.demo.authorities import (
    CUSTOMER,
    EVALUATOR,
    GRANTS,
    HOSTED,
    PROD,
    PRODUCER,
    PROVIDER,
    REGULATOR,
    now,
    role_of,
)
from sidecar.authority import home as authority
from sidecar.authority.open_home import Home
from sidecar.binding.job import KnownManifest
from sidecar.core import dsse
from sidecar.core.documents import WithdrawalKind
from tests.support.scores import scores
from tests.support.site.site import Site
from tests.support.site.stand import Stand
from tests.support.site.talk import Talk, message, told, until

K = WithdrawalKind
AUDITOR = "outside-auditor"
PARTIES = (REGULATOR, CUSTOMER, PROVIDER, EVALUATOR, PRODUCER)
BASE = "openai/gpt-4o-2024-08-06"
WHY = "shown to be unfit"
Noun = tuple[WithdrawalKind, str]


@dataclass(frozen=True, slots=True)
class Chain:
    """A site whose child model is admitted, and everything that admission rests on."""

    site: Site
    auditor: Home
    child: str
    nouns: dict[str, Noun]

    @property
    def talk(self) -> Talk:
        found = self.site.talk
        return Talk(found.port, found.upstream, self.child, found.credential)


@pytest.fixture(scope="module")
def chain(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with Site(stand, tmp_path_factory.mktemp("cascade") / "site") as site:
        parties = site.organisations
        child = parties.bind("v4", parent=stand.manifest)
        measured = json.dumps(scores(child.manifest, 1.0)).encode()
        result = parties.countersign(child, measured, "result-v4")
        approvals = [
            parties.approve(n, child, f"approval-{role_of(n)}-v4") for n in HOSTED.approvers
        ]
        auditor = join_auditor(site)
        site.start().front()
        made = Chain(
            site,
            auditor,
            child.manifest.model.id,
            dict(nouns(site, (child, stand.manifest), result, approvals)),
        )
        assert until(made.talk.verdict, (200, "admitted")) == (200, "admitted")
        yield made


def join_auditor(site: Site) -> Home:
    """A sixth authority, granted nothing in the scope of any call here, so never an objector."""
    home = authority.init(site.folder / "authorities" / AUDITOR, AUDITOR, now=now())
    root = site.folder / "roots" / f"{AUDITOR}.root.json"
    root.write_bytes(authority.root_bytes(home))
    site.trust["authorities"].append(
        {
            "name": AUDITOR,
            "root": str(root),
            "source": {"directory": str(home.repository)},
            "grants": [
                {
                    **GRANTS[REGULATOR],
                    "role": "auditor",
                    "environments": ["spiffe://acme.example/elsewhere/**"],
                }
            ],
        }
    )
    return home


def nouns(
    site: Site, manifests: tuple[KnownManifest, ...], result: str, approvals: list[str]
) -> Iterator[tuple[str, Noun]]:
    """Everything the child's admission rests on."""
    for name in PARTIES:
        described = authority.describe(site.organisations.homes[name])
        yield f"authority {role_of(name)}", (K.AUTHORITY, name)
        yield f"key {role_of(name)}", (K.KEY, described.keys["attestation"].fingerprint())
    for which, known in zip(("child", "parent"), manifests, strict=True):
        predicate = known.manifest
        yield f"manifest {which}", (K.MANIFEST, known.digest)
        yield f"model {which}", (K.MODEL, f"openai/{predicate.model.id}")
        yield f"base of {which}", (K.BASE_MODEL, f"openai/{predicate.model.base}")
        yield f"run {which}", (K.RUN, predicate.run.id)
        for corpus in predicate.corpora:
            yield f"corpus {corpus.role} {which}", (K.CORPUS, corpus.digest.sha256)
        for output in predicate.evaluations:
            yield f"output {which}", (K.EVALUATION, output.digest.sha256)
        for suite in predicate.envelope.suites:
            yield f"suite {suite.name}", (K.EVALUATION, suite.digest.sha256)
    yield "result", (K.RESULT, result)
    for name, digest in zip(HOSTED.approvers, approvals, strict=True):
        yield f"approval {role_of(name)}", (K.APPROVAL, digest)
    yield "environment", (K.ENVIRONMENT, PROD)
    file = site.organisations.evidence / "environment-prod.dsse.json"
    yield "declaration", (K.ENVIRONMENT, dsse.parse(file.read_bytes()).digest)


NAMES = [
    *(f"{noun} {role_of(name)}" for name in PARTIES for noun in ("authority", "key")),
    *(
        f"{noun} {which}"
        for which in ("child", "parent")
        for noun in ("manifest", "model", "base of", "run", "output")
    ),
    *(f"corpus {role} {which}" for role in ("training", "validation") for which in ("child",)),
    *("corpus training parent", "corpus validation parent"),
    *("suite prompt-injection-probes", "suite support-regression", "suite eu-transparency-checks"),
    *(f"approval {role_of(name)}" for name in HOSTED.approvers),
    *("result", "environment", "declaration"),
]
CASES = list(zip(NAMES, itertools.cycle(PARTIES), strict=False))
"""Each noun with one of the five who withdraws it; all five have their turns."""


def test_these_are_all_the_nouns_of_the_chain(chain: Chain) -> None:
    assert sorted(chain.nouns) == sorted(NAMES)
    assert chain.nouns["base of parent"] == (K.BASE_MODEL, BASE)


@pytest.mark.parametrize(("name", "who"), CASES)
def test_one_withdrawal_of_one_noun_denies_the_next_call_and_says_what_and_who(
    chain: Chain, name: str, who: str
) -> None:
    kind, subject = chain.nouns[name]
    home = chain.site.organisations.homes[who]
    mark = len(chain.talk.upstream.received)
    authority.withdraw(home, kind, subject, WHY, None, now())
    try:
        denied = until(chain.talk.verdict, (403, "withdrawn"))
        sent = len(chain.talk.upstream.received)
        answer = chain.talk.call()
        line = chain.site.decision(answer.headers["x-admissibility-decision-id"])
    finally:
        authority.reinstate(home, kind, subject, now())
    assert (denied, told(answer), line["step"], line["withdrawn"]) == (
        (403, "withdrawn"),
        (403, "withdrawn"),
        6,
        {"kind": kind, "subject": subject, "authority": who, "reason": WHY},
    )
    assert f"{who} withdrew {kind} {subject}: {WHY}." in message(answer)
    assert len(chain.talk.upstream.received) == sent >= mark
    assert until(chain.talk.verdict, (200, "admitted")) == (200, "admitted")


def test_a_stranger_withdraws_every_one_of_them_and_nothing_changes(chain: Chain) -> None:
    """Each publication is seen to have been taken up before the call is made."""
    outcomes = {}
    withdrawn: set[Noun] = set()
    for name, noun in chain.nouns.items():
        if noun not in withdrawn:  # the child shares some of them with its parent
            publish_and_wait(chain, noun)
            withdrawn.add(noun)
        outcomes[name] = chain.talk.verdict()
    assert outcomes == dict.fromkeys(NAMES, (200, "admitted"))
    held = authority.describe(chain.auditor).withdrawals
    assert {(entry.kind, entry.subject) for entry in held} == withdrawn


def publish_and_wait(chain: Chain, noun: Noun) -> None:
    """The stranger withdraws; returns once the gate decides under a trust state that knows."""
    before = chain.site.status()["epoch"]
    done = authority.withdraw(chain.auditor, *noun, WHY, None, now())

    def taken() -> tuple[int, bool]:
        return chain.site.standing(AUDITOR)["version"], chain.site.status()["epoch"] > before

    assert until(taken, (done.publication.version, True)) == (done.publication.version, True)


def test_a_class_of_base_models_retires_the_model_and_the_one_tuned_on_from_it(
    chain: Chain,
) -> None:
    home = chain.site.organisations.homes[PROVIDER]
    talks = {"child": chain.talk, "parent": chain.site.talk}
    authority.withdraw(home, K.BASE_MODEL, "openai/gpt-4o-2024-*", WHY, None, now())
    denied = {name: until(talk.verdict, (403, "withdrawn")) for name, talk in talks.items()}
    authority.reinstate(home, K.BASE_MODEL, "openai/gpt-4o-2024-*", now())
    again = {name: until(talk.verdict, (200, "admitted")) for name, talk in talks.items()}
    assert (denied, again) == (
        dict.fromkeys(talks, (403, "withdrawn")),
        dict.fromkeys(talks, (200, "admitted")),
    )
