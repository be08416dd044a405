"""A policy author's afternoon: from nothing to a rule in force, with the commands of the guide.

Everything is real: five authorities, the gate, OPA, Envoy, the SDK. The author works on a folder of
their own, as on a branch; the gate follows another one, as a deployment would.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from admissibility_devtools.demo import authorities
from admissibility_devtools.demo.authorities import (
    CUSTOMER,
    EVALUATOR,
    OPERATIONS,
    PRODUCER,
    PROVIDER,
    REGULATOR,
    Organisations,
    role_of,
)
from admissibility_devtools.demo.caller import SdkReply
from admissibility_devtools.demo.stage import Stage
from sidecar.core import dsse
from sidecar.core.evidence import Statement, parse_statement
from sidecar.core.predicates import (
    APPROVAL,
    ENVIRONMENT,
    Approval,
    Environment,
    EvaluationEnvelope,
    Manifest,
    Subject,
    Suite,
)
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from sidecar.evaluation import countersign
from tests.process.policies.opa import copy_policies
from tests.process.policy.admit import admit, told
from tests.support.scores import scores
from tests.support.simulator.constants import DAY
from tests.support.simulator.predicates import sha

SHOP = "spiffe://acme.example/env/shop"
HELD_TO = ("eu", "xx")
_PATIENCE_SECONDS = 30.0

RULE = """
# METADATA
# title: People can complain
# description: >-
#   The environment declares where people complain. Whether anybody answers there is left to people.
# custom:
#   code: xx.complaints
#   citation: Law of X, Article 7
#   remedy: Declare complaints-contact for the environment.
#   term: environment.declarations
#   effective_on: "2026-01-01"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), input.environment.id, message) if {
	not complaints_heard
	message := "the environment does not declare where people complain"
}

complaints_heard if facts.environment_declares("complaints-contact", params.undeclared)
"""
TESTS = """
said := [{
	"op": "add",
	"path": "/environment/declarations/complaints-contact",
	"value": "complaints@acme.example",
}]

heard := json.patch(fixtures.facts, said)

but(path, value) := json.patch(heard, [{"op": "replace", "path": path, "value": value}])

test_people_who_can_complain_are_enough if codes(heard) == set()

test_a_place_that_is_not_known_yet_is_none if {
	codes(but("/environment/declarations/complaints-contact", "TBD")) == {"xx.complaints"}
}
"""


class Deployment:
    """A stage whose customer has a shop in two jurisdictions, one of which nobody has written."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.organisations = stage.found_authorities()
        self.model = ""

    def sign(self) -> None:
        """Whatever the structure asks for, and what the European rules ask for."""
        self.declare({"ict-register-reference": "register-2026-017"})
        self.organisations.bind("v3")
        bound = _statement(self.organisations, "manifest-v3")
        manifest = bound.predicate
        assert isinstance(manifest, Manifest)
        suite = Suite("compliance", "complaints", DigestSet(sha("complaints")), 0.9, "xx")
        manifest = replace(
            manifest,
            declarations={"gpai-modification": "minor"},
            envelope=EvaluationEnvelope((*manifest.envelope.suites, suite)),
            environments=(replace(manifest.environments[0], id=SHOP, jurisdictions=HELD_TO),),
        )
        digest = self.organisations.sign(
            PRODUCER, replace(bound, predicate=manifest), "manifest-v3"
        )
        self.model = manifest.model.id
        results = countersign.read_results(json.dumps(scores(manifest, 0.95)).encode())
        statement = countersign.countersign(manifest, digest, results, _window())
        self.organisations.sign(EVALUATOR, statement, "result")
        for name in (PROVIDER, CUSTOMER, REGULATOR):
            self._approve(name, digest)

    def declare(self, declarations: dict[str, str]) -> None:
        """The customer declares the shop, once more if need be."""
        environment = Environment(
            jurisdictions=HELD_TO,
            sector="finance",
            purpose="customer-support",
            risk_class="limited",
            owner=CUSTOMER,
            window=_window(),
            declarations=declarations,
        )
        subject = Subject(SHOP, DigestSet(sha(SHOP)))
        self.organisations.sign(CUSTOMER, Statement(subject, ENVIRONMENT, environment), "shop")

    def _approve(self, name: str, digest: str) -> None:
        declares = {"model-risk-sign-off": "mr-2026-88"} if name == CUSTOMER else {}
        approval = Approval(
            role=role_of(name),
            jurisdictions=HELD_TO,
            environments=(SHOP,),
            operations=OPERATIONS,
            window=_window(),
            declarations=declares,
        )
        subject = Subject(self.model, DigestSet(digest))
        self.organisations.sign(name, Statement(subject, APPROVAL, approval), f"by-{role_of(name)}")

    def until(self, reason: str) -> SdkReply:
        """Call through Envoy until the SDK is told ``reason``."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while (outcome := self.stage.application(SHOP).chat(self.model)).reason != reason:
            assert time.monotonic() < end, outcome
            time.sleep(0.02)
        return outcome


def _statement(organisations: Organisations, label: str) -> Statement[Manifest]:
    envelope = dsse.parse((organisations.evidence / f"{label}.dsse.json").read_bytes())
    statement = parse_statement(envelope.payload)
    assert isinstance(statement.predicate, Manifest)
    return Statement(statement.subject, statement.predicate_type, statement.predicate)


def _window() -> Window:
    begin = authorities.now()
    return Window(begin, begin + 60 * DAY)


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    for grant in authorities.GRANTS.values():
        monkeypatch.setitem(grant, "jurisdictions", list(HELD_TO))
    (tmp_path / "live").mkdir()
    stage = Stage(tmp_path / "stage", policies=copy_policies(tmp_path / "live"))
    with stage:
        found = Deployment(stage)
        found.sign()
        stage.start()
        yield found


def merge(author: Path, live: Path) -> None:
    """What a merge and a roll-out come to: the whole folder, renamed into place."""
    shutil.copytree(author, live.with_name("next"))
    live.rename(live.with_name(f"before-{time.monotonic_ns()}"))
    live.with_name("next").rename(live)


def test_a_policy_author_s_afternoon(deployment: Deployment, tmp_path: Path) -> None:
    live = deployment.stage.policies
    (tmp_path / "author").mkdir()
    author = Path(shutil.copytree(live, tmp_path / "author" / "policies"))
    here = ("--policies", author)

    # The shop is in a jurisdiction that no policy knows.
    refused = deployment.until("jurisdiction_unknown")
    assert 'no policy for jurisdiction "xx" is loaded' in refused.text

    # Begin it: what is there at once passes every check.
    admit("policy", "new", "xx", *here)
    assert told("policy", "check", *here) == {"problems": []}
    assert told("policy", "test", "--run", "xx_test", *here)["failed"] == []
    merge(author, live)
    deployment.until("admitted")

    # Add a rule. A mistake is found by its place, before anything else is.
    rules, tests = (author / "jurisdiction" / "xx" / name for name in ("xx.rego", "xx_test.rego"))
    rules.write_text(rules.read_text() + RULE.replace("environment_declares", "declares"))
    (problem,) = told("policy", "check", *here, code=1)["problems"][:1]
    assert (problem["check"], problem["file"]) == ("types", "jurisdiction/xx/xx.rego")
    rules.write_text(rules.read_text().replace("facts.declares", "facts.environment_declares"))
    # Now nothing is wrong but that no test names the rule, and that the old ones do not expect it.
    (problem,) = told("policy", "check", *here, code=1)["problems"]
    assert (problem["check"], problem["code"]) == ("lint", "xx.complaints")
    assert len(told("policy", "test", "--run", "xx_test", *here, code=1)["failed"]) == 3
    text = tests.read_text().replace("fixtures.facts)", "heard)").replace("fixtures.set(", "but(")
    call = 'fixtures.within(["xx"], "general")'
    text = text.replace(call, f"json.patch({call}, said)")
    both = '== {"xx.complaints", "xx.owner_declared"}'
    tests.write_text(text.replace('found == {"xx.owner_declared"}', f"found {both}") + TESTS)
    admit("policy", "check", *here)
    admit("policy", "test", "--run", "xx_test", *here)

    # Whom does it reach? What the gate recorded is put to both trees.
    found = told("policy", "diff", "--facts", deployment.stage.facts_log, "--before", live,
                 "--after", author, code=1)  # fmt: skip
    admitted = [change for change in found["changes"] if change["before"]["allow"]]
    assert found["kinds"] == {"denied": found["changed"]}
    assert {change["environment"] for change in admitted} == {SHOP}
    assert {(one["jurisdiction"], one["code"]) for one in found["rules"]} == {
        ("xx", "xx.complaints")
    }
    told("policy", "diff", "--facts", deployment.stage.facts_log, "--before", live,
         "--after", live)  # fmt: skip

    # Merge it: the next calls are refused by name, until the customer says where to complain.
    merge(author, live)
    refused = deployment.until("jurisdiction_denied")
    assert "xx.complaints: the environment does not declare where people complain" in refused.text
    deployment.declare(
        {"ict-register-reference": "register-2026-017", "complaints-contact": "desk@acme.example"}
    )
    deployment.until("admitted")
