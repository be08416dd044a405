"""Answers of a policy engine: one exact shape admits, everything else is 503 and goes nowhere."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from admissibility_devtools.demo.authorities import PROD
from tests.process.policies.opa import REVISION as BUNDLE_REVISION
from tests.process.policies.opa import OpaServer, build_bundle
from tests.support.site.opa_double import (
    REVISION,
    OpaDouble,
    Reply,
    admitting,
    honest,
    opa_double,
)
from tests.support.site.site import Site
from tests.support.site.stand import Stand
from tests.support.site.talk import Seen, Verdict

UNAVAILABLE = (503, "policy_unavailable")
Answer = Callable[[dict[str, Any]], Reply]


@dataclass(frozen=True, slots=True)
class Wired:
    """A site that asks a double for the policies' answer."""

    site: Site
    double: OpaDouble

    def seen(self, answer: Answer) -> Seen:
        """One call while the double answers so; the probe gets an honest answer."""
        talk = self.site.talk

        def exchange() -> Any:
            self.double.answer = answer
            try:
                return talk.call()
            finally:
                self.double.released.set()
                self.double.answer = admitting

        return talk.seen(exchange)


@pytest.fixture(scope="module")
def wired(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wired]:
    with (
        tempfile.TemporaryDirectory(prefix="admit-") as short,  # a socket's path has 107 characters
        opa_double(Path(short)) as double,
        Site(stand, tmp_path_factory.mktemp("policy") / "site") as site,
    ):
        site.settings["opa"] = {"address": double.address, "revision": REVISION}
        site.settings["deadline_ms"] = 1500  # one of the answers comes too late
        del site.settings["policies"]
        yield Wired(site.start().front(), double)


def changed(**changes: Any) -> Answer:
    """An honest answer with changes; null leaves a key out."""

    def answer(question: dict[str, Any]) -> Reply:
        value = {**honest(question), **changes}
        kept = {name: item for name, item in value.items() if item is not None}
        return 200, json.dumps({"result": kept}).encode()

    return answer


def said(status: int, body: bytes) -> Answer:
    return lambda _: (status, body)


def twice(question: dict[str, Any]) -> Reply:
    """Honest, but with a second ``allow`` that some parsers would not see."""
    _, body = admitting(question)
    return 200, body.replace(b'"allow": true, "nonce"', b'"allow": false, "allow": true, "nonce"')


def refusing(question: dict[str, Any]) -> Reply:
    violation = {"code": "eu.x", "jurisdiction": "eu", "message": "not so"}
    value = honest(question) | {
        "allow": False,
        "violations": [violation],
        "jurisdictions": {"eu": {"allow": False, "violations": [violation]}},
    }
    return 200, json.dumps({"result": value}).encode()


VIOLATION = {"code": "x", "jurisdiction": "eu", "message": "x"}
ANSWERS: dict[str, tuple[Answer, Verdict]] = {
    "undefined": (said(200, b"{}"), UNAVAILABLE),
    "undefined with warnings": (said(200, b'{"warning": {"code": "x"}}'), UNAVAILABLE),
    "result null": (said(200, b'{"result": null}'), UNAVAILABLE),
    "result true": (said(200, b'{"result": true}'), UNAVAILABLE),
    "result empty": (said(200, b'{"result": {}}'), UNAVAILABLE),
    "allow is text": (changed(allow="true"), UNAVAILABLE),
    "allow is one": (changed(allow=1), UNAVAILABLE),
    "allow is missing": (changed(allow=None), UNAVAILABLE),
    "allow twice": (twice, UNAVAILABLE),
    "another nonce": (changed(nonce="0" * 32), UNAVAILABLE),
    "no nonce": (changed(nonce=None), UNAVAILABLE),
    "another revision": (changed(revision="r-0"), UNAVAILABLE),
    "no revision": (changed(revision=None), UNAVAILABLE),
    "no jurisdiction answered": (changed(jurisdictions={}), UNAVAILABLE),
    "another jurisdiction answered": (
        changed(jurisdictions={"us": {"allow": True, "violations": []}}),
        UNAVAILABLE,
    ),
    "allow beside a violation": (changed(violations=[VIOLATION]), UNAVAILABLE),
    "allow beside a refusing jurisdiction": (
        changed(jurisdictions={"eu": {"allow": False, "violations": []}}),
        UNAVAILABLE,
    ),
    "lease below zero": (changed(lease_seconds=-1), UNAVAILABLE),
    "500": (said(500, b'{"code": "internal_error"}'), UNAVAILABLE),
    "201 with an honest body": (lambda q: (201, admitting(q)[1]), UNAVAILABLE),
    "garbage": (said(200, b"<html>"), UNAVAILABLE),
    "empty": (said(200, b""), UNAVAILABLE),
    "huge": (lambda q: (200, admitting(q)[1] + b" " * (2 << 20)), UNAVAILABLE),
    "no": (refusing, (403, "jurisdiction_denied")),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_not_exactly_an_allow_admits_nothing(wired: Wired, name: str) -> None:
    answer, verdict = ANSWERS[name]
    assert wired.seen(answer) == Seen(verdict, ())


def test_an_honest_answer_to_the_facts_admits(wired: Wired) -> None:
    mark = len(wired.double.asked)
    seen = wired.seen(admitting)
    path, question = wired.double.asked[mark]
    assert (seen.verdict, len(seen.reached), path) == (
        (200, "admitted"),
        1,
        "/v1/data/admission/decision?strict-builtin-errors=true",
    )
    assert (question["environment"]["id"], question["request"]["models"]) == (
        PROD,
        [wired.site.stand.model],
    )


def test_an_answer_that_comes_too_late_admits_nothing(wired: Wired) -> None:
    wired.double.released.clear()

    def late(question: dict[str, Any]) -> Reply:
        assert wired.double.released.wait(30)
        return admitting(question)

    assert wired.seen(late) == Seen((503, "deadline_exceeded"), ())


@pytest.mark.parametrize("expected", [BUNDLE_REVISION, "r-of-another-bundle"])
def test_a_real_opa_at_an_address_answers_under_its_own_revision_only(
    site: Site, tmp_path: Path, expected: str
) -> None:
    with tempfile.TemporaryDirectory(prefix="admit-") as short:
        bundle = build_bundle(tmp_path)
        with OpaServer(bundle, Path(short)) as opa:
            site.settings["opa"] = {"address": f"unix://{opa.socket}", "revision": expected}
            site.start().front()
            good = expected == BUNDLE_REVISION
            assert site.talk.verdict() == ((200, "admitted") if good else UNAVAILABLE)
