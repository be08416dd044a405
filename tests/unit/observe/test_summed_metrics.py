"""Metrics of several processes are those that one process would have counted."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sidecar.observe import summed_metrics
from sidecar.observe.summed_metrics import Families


def process(
    *, calls: int = 0, flying: int = 0, sound: int = 1, up: int = 0, epoch: int = 0
) -> Families:
    """What one process has counted, as another one reads it."""
    registry = CollectorRegistry()
    counter = Counter("admissibility_decisions", "Calls.", ("outcome",), registry=registry)
    seconds = Histogram("admissibility_stage_seconds", "Time.", buckets=(1.0,), registry=registry)
    for _ in range(calls):
        counter.labels("allow").inc()
        seconds.observe(0.5)
    for name, value in (
        ("admissibility_in_flight", flying),
        ("admissibility_clock_sound", sound),
        ("admissibility_decision_log_writable", sound),
        ("admissibility_policy_engine_up", up),
        ("admissibility_trust_epoch", epoch),
    ):
        Gauge(name, "A gauge.", registry=registry).set(value)
    return summed_metrics.read(summed_metrics.write(summed_metrics.families(registry)))


def values(found: Families) -> dict[str, float]:
    return {
        name: value
        for family in found.values()
        for (name, _), value in family.samples.items()
        if not name.endswith("_created")
    }


def test_counters_add_up_those_that_ended_included_and_gauges_have_rules() -> None:
    ended = summed_metrics.counted([process(calls=5, flying=9, sound=0), {}])
    workers = [process(calls=1, flying=2), process(calls=2, flying=1, sound=0)]
    found = summed_metrics.summed(process(sound=1, epoch=7), process(up=1), workers, ended)
    assert values(found) == {
        "admissibility_decisions_total": 8.0,
        "admissibility_stage_seconds_bucket": 8.0,
        "admissibility_stage_seconds_count": 8.0,
        "admissibility_stage_seconds_sum": 4.0,
        "admissibility_in_flight": 3.0,
        "admissibility_clock_sound": 0.0,
        "admissibility_decision_log_writable": 0.0,
        "admissibility_policy_engine_up": 1.0,
        "admissibility_trust_epoch": 7.0,
    }
    assert b'admissibility_decisions_total{outcome="allow"} 8.0\n' in summed_metrics.exposition(
        found
    )


def test_without_the_process_of_the_engine_it_is_down() -> None:
    found = summed_metrics.summed(process(), {}, [process()], {})
    assert values(found)["admissibility_policy_engine_up"] == 0.0
    assert values(found)["admissibility_decision_log_writable"] == 1.0
