"""Statements are exactly what their predicate type says, or refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.core import evidence, strict_json, wire
from sidecar.core.documents import read_authority, read_withdrawals
from sidecar.core.evidence import STATEMENT_TYPE, Statement, parse_statement
from sidecar.core.predicates import (
    APPROVAL,
    DEPLOYMENT_BINDING,
    ENVIRONMENT,
    MANIFEST,
    RESULT,
    SPECIFICATION,
    DeploymentBinding,
    EnvironmentSpec,
    EvaluationEnvelope,
    Manifest,
    Specification,
    Subject,
    Suite,
    base_model_digest,
    specification_blob,
)
from sidecar.core.reasons import EvidenceError
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from tests.support.simulator.constants import DAY, ENV, MODEL, NOW
from tests.support.simulator.keys import SimKey
from tests.support.simulator.predicates import (
    approval_predicate,
    environment_predicate,
    manifest_predicate,
    result_predicate,
    sha,
    statement,
    suite,
    window,
)

DIGEST = sha("x")
DAY_LONG = Window(NOW, NOW + DAY)


def manifest(**changes: Any) -> bytes:
    return statement(MANIFEST, MODEL, DIGEST, manifest_predicate(**changes))


def frame(payload: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(payload), **changes}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        manifest(),
        manifest(supersedes={"sha256": DIGEST}, futureField={"a": 1}),
        statement(RESULT, MODEL, DIGEST, result_predicate([suite("adversarial")])),
        statement(APPROVAL, MODEL, DIGEST, approval_predicate("regulator")),
        statement(ENVIRONMENT, ENV, sha(ENV), environment_predicate()),
        statement(ENVIRONMENT, ENV, sha(ENV), environment_predicate(tuningModels=["openai/**"])),
        manifest(specification={"sha256": DIGEST}),
    ],
)
def test_each_predicate_is_read_and_written_back_as_the_same_value(payload: bytes) -> None:
    parsed = parse_statement(payload)
    assert parse_statement(evidence.write_statement(parsed)) == parsed
    assert wire.canonical(json.loads(evidence.write_statement(parsed))) == (
        evidence.write_statement(parsed)
    )


SUITE = (
    '{"digest":{"sha256":"' + "1f" * 32 + '"},"jurisdiction":"eu","kind":"compliance",'
    '"name":"transparency","threshold":1}'
)
PLACE = (
    '{"id":"spiffe://acme.example/env/*","jurisdictions":["eu"],"operations":["chat.completions"],'
    '"purpose":"support","sector":"finance"}'
)
PERIOD = '{"notAfter":"2026-06-02T12:00:00Z","notBefore":"2026-06-01T12:00:00Z"}'


def golden(predicate_type: str, predicate: str, subject: str, digest: str) -> str:
    """A statement as it stands in a payload, byte for byte."""
    return (
        '{"_type":"https://in-toto.io/Statement/v1","predicate":' + predicate + ","
        '"predicateType":"' + predicate_type + '",'
        '"subject":[{"digest":{"sha256":"' + digest + '"},"name":"' + subject + '"}]}'
    )


def test_a_deployment_binding_is_written_in_exactly_these_bytes() -> None:
    said = DeploymentBinding("azure", "prod", "gpt-4o-2024-08-06", DAY_LONG)
    digest = sha("azure/gpt-4o-2024-08-06")
    assert base_model_digest("azure", "gpt-4o-2024-08-06") == digest
    written = evidence.write_statement(
        Statement(Subject("prod", DigestSet(digest)), DEPLOYMENT_BINDING, said)
    )
    predicate = (
        '{"critical":[],"declarations":{},"deployment":"prod","model":"gpt-4o-2024-08-06",'
        '"provider":"azure",'
        '"window":' + PERIOD + "}"
    )
    assert written.decode() == golden(DEPLOYMENT_BINDING, predicate, "prod", digest)


def test_a_specification_is_written_in_exactly_these_bytes() -> None:
    places = (
        EnvironmentSpec(
            "spiffe://acme.example/env/*", ("eu",), "finance", "support", ("chat.completions",)
        ),
    )
    envelope = EvaluationEnvelope(
        (Suite("compliance", "transparency", DigestSet("1f" * 32), 1.0, "eu"),)
    )
    said = Specification(("openai/**",), places, envelope, DAY_LONG)
    what = '{"envelope":{"suites":[' + SUITE + ']},"environments":[' + PLACE + "]}"
    assert specification_blob(places, envelope).decode() == what
    written = evidence.write_statement(
        Statement(Subject("support-v4", DigestSet(sha(what))), SPECIFICATION, said)
    )
    predicate = '{"critical":[],' + what[1:-1] + ',"models":["openai/**"],"window":' + PERIOD + "}"
    assert written.decode() == golden(SPECIFICATION, predicate, "support-v4", sha(what))


def broken_suite(**changes: Any) -> dict[str, Any]:
    return {"suites": [{**suite("regression"), **changes}]}


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (
            b"{",
            "statement: not JSON: Expecting property name enclosed in double quotes at character 1",
        ),
        (
            frame(manifest(), _type="https://in-toto.io/Statement/v0.1"),
            "statement: _type is not exactly https://in-toto.io/Statement/v1",
        ),
        (
            frame(manifest(), predicateType="https://slsa.dev/provenance/v1"),
            "statement: predicate type 'https://slsa.dev/provenance/v1' is not known",
        ),
        (
            frame(manifest(), subject=json.loads(manifest())["subject"] * 2),
            "statement: subject: Tuple should have at most 1 item after validation, not 2",
        ),
        (
            frame(manifest(), subject=[]),
            "statement: subject: Tuple should have at least 1 item after validation, not 0",
        ),
        (
            frame(manifest(), subject=[{"name": MODEL, "digest": {"sha512": "0" * 128}}]),
            "statement: subject.0.digest.sha256: Field required",
        ),
        (
            frame(manifest(), subject=[{"name": MODEL, "digest": {"sha256": DIGEST.upper()}}]),
            "statement: subject.0.digest.sha256: String should match pattern '^[0-9a-f]{64}$'",
        ),
        (
            frame(manifest(), subject=[{"name": "other", "digest": {"sha256": DIGEST}}]),
            "manifest: the subject is not the model it describes",
        ),
        (
            # An approval's predicate under a manifest's type: the type decides, and it fails.
            statement(MANIFEST, MODEL, DIGEST, approval_predicate("regulator")),
            "predicate: model: Field required",
        ),
        (
            manifest(critical=["futureField"]),
            "predicate: the critical field 'futureField' is not understood",
        ),
        (manifest(critical="window"), "predicate: critical is not a list of names"),
        (
            manifest(envelope={"suites": []}),
            "predicate: envelope.suites: Tuple should have at least 1 item after validation, not 0",
        ),
        (
            manifest(envelope=broken_suite(jurisdiction="eu")),
            "predicate: envelope.suites.0: Value error, a compliance suite names a "
            "jurisdiction, no other suite does",
        ),
        (
            manifest(approvals={"required": []}),
            "predicate: approvals.required: "
            "Tuple should have at least 1 item after validation, not 0",
        ),
        (
            manifest(
                window={"notBefore": "2026-01-01T00:00:00", "notAfter": "2026-02-01T00:00:00Z"}
            ),
            "predicate: window: Value error, a window needs times with an offset",
        ),
        (
            manifest(
                window={"notBefore": "2026-02-01T00:00:00Z", "notAfter": "2026-02-01T00:00:00Z"}
            ),
            "predicate: window: Value error, a window must end after it begins",
        ),
        (
            manifest(window={"notBefore": 1, "notAfter": 2}),
            "predicate: window.notBefore: Input should be a valid datetime",
        ),
        (
            statement(ENVIRONMENT, ENV, sha("another"), environment_predicate()),
            "environment: the subject's digest is not that of its SPIFFE ID",
        ),
        (
            statement(
                ENVIRONMENT,
                "spiffe://acme.example",
                sha("spiffe://acme.example"),
                environment_predicate(),
            ),
            "not a workload's SPIFFE ID",
        ),
        (
            statement(
                RESULT, MODEL, DIGEST, result_predicate([suite("adversarial")], result="passed")
            ),
            "predicate: result: Input should be 'PASSED', 'WARNED' or 'FAILED'",
        ),
        (
            manifest(run={**manifest_predicate()["run"], "hyperparameters": {"n": 2**60}}),
            "predicate: 1152921504606846976 exceeds safe integer domain for JSON floats",
        ),
    ],
)
def test_a_statement_that_breaks_a_rule_is_refused_and_the_rule_is_named(
    payload: bytes, message: str
) -> None:
    with pytest.raises(EvidenceError) as caught:
        parse_statement(payload)
    assert str(caught.value) == message


def test_what_two_verifiers_could_read_differently_is_refused() -> None:
    plain = manifest()
    for old, new, message in (
        (
            b'"predicate":',
            b'"Predicate":{},"predicate":',
            "statement: the field 'Predicate' is a twin",
        ),
        (b'"_type":', b'"_TYPE":"x","_type":', "statement: the field '_TYPE' is a twin of '_type'"),
        (
            b'"window":',
            b'"Window":{},"window":',
            "predicate: the field 'Window' is a twin of 'window'",
        ),
        (b'"notAfter":', b'"NotAfter":"","notAfter":', "predicate: the field 'NotAfter' is a twin"),
        (b'"notAfter":', b'"not_after":', "predicate: window.notAfter: Field required"),
    ):
        changed = plain.replace(old.replace(b":", b": "), new.replace(b'":', b'": '), 1)
        assert changed != plain
        with pytest.raises(EvidenceError, match=f"^{message}"):
            parse_statement(changed)


def test_names_of_hyperparameters_are_free() -> None:
    named = {"Window": 1, "window": 2, "ID": 3}
    run = {**manifest_predicate()["run"], "hyperparameters": named}
    read = parse_statement(manifest(run=run, unknown=1)).predicate
    assert isinstance(read, Manifest)
    assert read.run.hyperparameters == named


def test_a_statement_of_which_something_unknown_is_critical_is_refused_whatever_it_lacks() -> None:
    nothing: dict[str, Any] = {}
    for more in (nothing, json.loads(manifest())):
        payload = json.dumps({"_type": STATEMENT_TYPE, **more, "critical": ["other"]}).encode()
        with pytest.raises(
            EvidenceError, match=r"^statement: the critical field 'other' is not und"
        ):
            parse_statement(payload)


def test_a_critical_field_that_is_known_is_no_obstacle() -> None:
    parsed = parse_statement(manifest(critical=["supersedes", "window"]))
    assert parsed.predicate.critical == ("supersedes", "window")


def authority_document(**changes: Any) -> bytes:
    key = {"pem": SimKey.ed25519().pem, "window": window(), "predicateTypes": [MANIFEST]}
    value = {"type": "urn:admissibility:authority:v1", "name": "acme", "keys": [key]}
    return json.dumps({**value, **changes}).encode()


def test_an_authority_cannot_speak_under_another_name() -> None:
    with pytest.raises(EvidenceError) as caught:
        read_authority(authority_document(), name="other")
    assert str(caught.value) == "authority.json: is of 'acme', not of 'other'"


def test_one_key_cannot_be_listed_twice() -> None:
    keys = json.loads(authority_document())["keys"]
    twice = [keys[0], {**keys[0], "pem": keys[0]["pem"].replace("\n", "\r\n")}]
    with pytest.raises(EvidenceError) as caught:
        read_authority(authority_document(keys=twice), name="acme")
    assert str(caught.value) == "authority.json: one key is listed twice"


def test_one_trust_domain_cannot_be_listed_twice() -> None:
    domains = [{"name": "acme.example"}, {"name": "acme.example"}]
    with pytest.raises(EvidenceError) as caught:
        read_authority(authority_document(trustDomains=domains), name="acme")
    assert str(caught.value) == "authority.json: one trust domain is listed twice"


def test_a_key_of_an_unsupported_kind_is_refused_when_the_document_is_read() -> None:
    key = {"pem": "nonsense", "window": window(), "predicateTypes": [MANIFEST]}
    with pytest.raises(EvidenceError, match="expected one PEM public key"):
        read_authority(authority_document(keys=[key]), name="acme")


def test_a_withdrawal_of_an_unknown_kind_refuses_the_document() -> None:
    entry = {
        "kind": "everything",
        "subject": "x",
        "reason": "r",
        "effective": "2026-01-01T00:00:00Z",
    }
    value = {"type": "urn:admissibility:withdrawals:v1", "entries": [entry]}
    with pytest.raises(EvidenceError, match=r"withdrawals\.json: entries\.0\.kind"):
        read_withdrawals(json.dumps(value).encode())


def test_documents_that_are_not_json_are_refused_and_named() -> None:
    with pytest.raises(EvidenceError) as caught:
        read_withdrawals(b"{]")
    assert str(caught.value).startswith("withdrawals.json: not JSON: ")


def test_a_document_is_written_as_canonical_json_and_read_back() -> None:
    document = read_authority(authority_document(), name="acme")
    written = wire.write(document)
    assert read_authority(written, name="acme") == document
    assert wire.canonical(json.loads(written)) == written


@pytest.mark.parametrize("inside", [None, [], "text"])
def test_a_predicate_that_is_no_object_is_refused(inside: object) -> None:
    payload = json.loads(statement(MANIFEST, MODEL, sha("job"), manifest_predicate()))
    with pytest.raises(EvidenceError, match="statement: predicate: "):
        parse_statement(json.dumps({**payload, "predicate": inside}).encode())


PLACES = (
    '"seed":7',  # an integer, strictly
    '"threshold":0.9',  # a number
    '"n_epochs":3',  # anything
)
NUMBERS = (
    *("7", "-7", "0.50", "0.25", "-0", "-0.0", "0", "7.0", "7.00 ", "70e-1", "7E0", "1e2", "0.9e0"),
    *("123456789012345", "1234567890123456", "9007199254740993", "0.1234567890123456789"),
)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_read_as_it_would_be_once_it_is_written_canonically(
    place: str, number: str
) -> None:
    """What is read in one pass is what RFC 8785 would make of it, types of numbers included."""
    changed = manifest(run={**manifest_predicate()["run"], "hyperparameters": {"n_epochs": 3}})
    name = place.partition(":")[0]
    text = wire.canonical(json.loads(changed)).decode()
    assert place in text
    data = text.replace(place, f"{name}: {number}").encode()

    def outcome(parse: Any) -> str:
        try:
            return repr(parse())
        except EvidenceError as error:
            return str(error)

    def explained() -> object:
        value = strict_json.loads_object(data, max_bytes=evidence.MAX_PAYLOAD_BYTES)
        return evidence._explained(value)

    assert outcome(lambda: parse_statement(data)) == outcome(explained)


def test_what_is_well_formed_is_read_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_explained", None)
    assert parse_statement(manifest()).predicate_type == MANIFEST
