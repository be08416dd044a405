"""Metrics: one count for each decision, and no label that a client could multiply."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from sidecar.core.call import Call
from sidecar.core.decide import decide
from sidecar.core.reasons import Reason
from sidecar.core.verdict import Violation
from sidecar.observe.metrics import (
    LOOKUP_RESULTS,
    MAX_RULE_CODES,
    REGISTRATION_RESULTS,
    Metrics,
)
from sidecar.observe.outcome import Outcome, SharedOutput
from sidecar.observe.unknown_keys import KeyMisses, UnknownKeys
from sidecar.registry.errors import RegistryResult
from tests.support.simulator.constants import ENV, MODEL, NOW
from tests.support.simulator.party import grant
from tests.support.simulator.world import admitted_world
from tests.unit.observe.gauges import metrics
from tests.unit.observe.samples import (
    LATER,
    admitted,
    leased,
    outcome,
    progress,
    unread,
    verdict,
    violating,
    withdrawn,
)

DOMAIN = "admissibility_trust_domain"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(found: Metrics, prefix: str) -> Samples:
    """Everything whose name begins with ``prefix``, as Prometheus would read it."""
    families = text_string_to_metric_families(found.render().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith(prefix)
    }


def decision(outcome_: str, reason: str, jurisdiction: str, operation: str) -> Any:
    labels = {
        "outcome": outcome_,
        "reason": reason,
        "jurisdiction": jurisdiction,
        "operation": operation,
    }
    return ("admissibility_decisions_total", tuple(sorted(labels.items())))


def test_every_decision_counts_once_where_it_belongs() -> None:
    found = metrics()
    for item in (admitted(), admitted(), withdrawn(), violating(), unread()):
        found.count(item)
    assert samples(found, "admissibility_decisions") == {
        decision("allow", "admitted", "eu", "chat.completions"): 2.0,
        decision("deny", "withdrawn", "eu", "chat.completions"): 1.0,
        decision("deny", "jurisdiction_denied", "eu", "chat.completions"): 1.0,
        decision("deny", "malformed_request", "none", "unknown"): 1.0,
    }


def test_stages_and_the_whole_are_timed() -> None:
    found = metrics()
    found.count(admitted())
    counts = samples(found, "admissibility_stage_seconds_count")
    assert {dict(labels)["stage"]: value for (_, labels), value in counts.items()} == {
        "parse": 1.0,
        "credential": 1.0,
        "assess": 0.0,
        "policy": 0.0,
        "total": 1.0,
    }


def test_an_allow_from_a_lease_counts_as_the_same_allow_made_anew() -> None:
    found, anew = metrics(), metrics()
    first = admitted()
    shared = replace(first, shared=SharedOutput(), stages={})
    found.count(shared)
    found.count_leased(leased(shared))
    for _ in range(2):
        anew.count(replace(first, stages={}))
    assert found.decisions == anew.decisions == 2
    assert samples(found, "admissibility_") == samples(anew, "admissibility_")


def test_freshness_is_computed_when_it_is_asked_for() -> None:
    assert {
        **samples(metrics(), "admissibility_trust"),
        **samples(metrics(), "admissibility_evidence"),
    } == {
        ("admissibility_trust_epoch", ()): 7.0,
        ("admissibility_evidence_rejected", ()): 2.0,
        ("admissibility_evidence_waiting", ()): 3.0,
        ("admissibility_evidence_problems", ()): 1.0,
        ("admissibility_trust_age_seconds", (("authority", "customer"),)): 5.0,
        ("admissibility_trust_age_seconds", (("authority", "regulator"),)): 7200.0,
        ("admissibility_trust_age_seconds", (("authority", "provider"),)): 50.0,
        ("admissibility_trust_expires_in_seconds", (("authority", "customer"),)): 3600.0,
        ("admissibility_trust_expires_in_seconds", (("authority", "regulator"),)): -9.0,
        ("admissibility_trust_refresh_failing", (("authority", "customer"),)): 0.0,
        ("admissibility_trust_refresh_failing", (("authority", "regulator"),)): 1.0,
        ("admissibility_trust_refresh_failing", (("authority", "provider"),)): 1.0,
        ("admissibility_trust_stale", (("authority", "customer"),)): 0.0,
        ("admissibility_trust_stale", (("authority", "regulator"),)): 1.0,
        ("admissibility_trust_stale", (("authority", "provider"),)): 1.0,
        ("admissibility_trust_version", (("authority", "customer"),)): 41.0,
        ("admissibility_trust_version", (("authority", "regulator"),)): 7.0,
        ("admissibility_trust_withdrawals", (("authority", "customer"),)): 3.0,
        ("admissibility_trust_withdrawals", (("authority", "regulator"),)): 0.0,
        ("admissibility_trust_withdrawals", (("authority", "provider"),)): 0.0,
        ("admissibility_trust_announced", (("authority", "customer"),)): 2.0,
        ("admissibility_trust_announced", (("authority", "regulator"),)): 0.0,
        ("admissibility_trust_announced", (("authority", "provider"),)): 0.0,
        ("admissibility_trust_announced_in_seconds", (("authority", "customer"),)): 86400.0,
        (f"{DOMAIN}_expires_in_seconds", (("trust_domain", "acme.example"),)): 3600.0,
        (f"{DOMAIN}_keys", (("kind", "jwt"), ("trust_domain", "acme.example"))): 2.0,
        (f"{DOMAIN}_keys", (("kind", "x509"), ("trust_domain", "acme.example"))): 1.0,
        (f"{DOMAIN}_keys", (("kind", "jwt"), ("trust_domain", "new.example"))): 0.0,
        (f"{DOMAIN}_keys", (("kind", "x509"), ("trust_domain", "new.example"))): 0.0,
    }
    assert samples(metrics(), "admissibility_unknown_keys") == {
        ("admissibility_unknown_keys_total", (("trust_domain", "acme.example"),)): 3.0,
        ("admissibility_unknown_keys_total", (("trust_domain", "new.example"),)): 0.0,
    }


def test_every_series_that_is_known_in_advance_is_there_from_the_start() -> None:
    """``increase`` of a series that begins at 1 is 0, so its first event would raise no alert."""
    found = metrics()
    reasons = {f"{reason}" for reason in Reason} - {"admitted"}
    labels = {
        "admissibility_denials": {(("reason", reason),) for reason in reasons},
        "admissibility_registrations": {(("result", each),) for each in REGISTRATION_RESULTS},
        "admissibility_registration_lookups": {(("result", each),) for each in LOOKUP_RESULTS},
    }
    assert {*REGISTRATION_RESULTS, *LOOKUP_RESULTS} == {f"{each}" for each in RegistryResult}
    assert {name: {key[1] for key in samples(found, name)} for name in labels} == labels
    assert {value for name in labels for value in samples(found, name).values()} == {0.0}
    found.count(unread())
    assert (
        samples(found, "admissibility_denials")[
            "admissibility_denials_total", (("reason", "malformed_request"),)
        ]
        == 1.0
    )


def test_an_unknown_key_is_counted_under_its_trust_domain() -> None:
    unknown_keys = UnknownKeys()
    found = metrics(unknown_keys=unknown_keys)
    found.count(outcome(unread().decision, key_unknown_in="acme.example"))
    assert unknown_keys.of("acme.example") == KeyMisses(1, NOW)


def environments(*jurisdictions: str) -> Outcome:
    world = admitted_world()
    world.grants["customer"] = (
        grant("customer", trust_domains=("acme.example",), jurisdictions=("**",)),
    )
    world.declare(jurisdictions=list(jurisdictions))
    return outcome(decide_or_refuse(world))


def decide_or_refuse(world: Any) -> Any:
    found = decide(progress(admitted_world()), verdict(), LATER)
    return replace(found, reason=Reason.APPROVAL_MISSING, assessment=progress(world).assessment)


def jurisdictions(found: Metrics) -> set[str]:
    names = samples(found, "admissibility_decisions")
    return {dict(labels)["jurisdiction"] for _, labels in names}


def test_jurisdictions_nobody_knows_share_one_label() -> None:
    found = metrics(jurisdictions=["eu"])
    found.add_jurisdictions(["us"])
    for names in (("eu",), ("us", "eu"), ("eu", "atlantis"), ("mu",)):
        found.count(environments(*names))
    assert jurisdictions(found) == {"eu", "eu+us", "other"}


def test_combinations_of_jurisdictions_are_bounded() -> None:
    known = [f"j{number}" for number in range(100)]
    found = metrics(jurisdictions=known)
    for name in known:
        found.count(environments(name))
    assert len(jurisdictions(found)) == 65
    assert "other" in jurisdictions(found)


def test_nothing_a_client_chooses_becomes_a_label() -> None:
    found = metrics()
    strange = replace(admitted().decision, call=Call("openai", "made.up", ("m-1", "m-2")))
    found.count(outcome(strange, path="/secret-path", request_id="secret-id"))
    text = found.render().decode()
    assert not [word for word in ("made.up", "m-1", "secret", MODEL, ENV) if word in text]
    assert decision("allow", "admitted", "eu", "unknown") in samples(found, "admissibility_d")


def findings(found: Metrics) -> dict[tuple[str, str], float]:
    return {
        (dict(labels)["code"], dict(labels)["state"]): value
        for (name, labels), value in samples(found, "admissibility_policy_findings").items()
        if name.endswith("_total")
    }


def finding(code: str, state: str) -> Violation:
    return Violation(code, "eu", "m", state=state)


def test_a_rule_in_shadow_is_counted_though_it_only_warns() -> None:
    found, made = metrics(), admitted()
    warned = (finding("eu.art12_logs", "shadow"), finding("eu.art12_logs", "pending"))
    found.count(replace(made, decision=replace(made.decision, warnings=warned)))
    found.count(replace(made, decision=replace(made.decision, warnings=warned[:1])))
    refused = (finding("eu.art10_data", "enforced"), finding("facts_malformed", ""))
    found.count(replace(made, decision=replace(made.decision, violations=refused)))
    assert findings(found) == {
        ("eu.art12_logs", "shadow"): 2.0,
        ("eu.art12_logs", "pending"): 1.0,
        ("eu.art10_data", "enforced"): 1.0,
        ("facts_malformed", "unknown"): 1.0,
    }


def test_codes_of_rules_are_bounded() -> None:
    found, made = metrics(), admitted()
    many = tuple(finding(f"x.{number}", "enforced") for number in range(MAX_RULE_CODES + 3))
    found.count(replace(made, decision=replace(made.decision, violations=many)))
    assert len(findings(found)) == MAX_RULE_CODES + 1
    assert findings(found)["other", "enforced"] == 3.0
