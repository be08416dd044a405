"""Write the reference of Prometheus metrics, of gate, binder, relay and fleet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from admissibility_devtools.site.tables import table
from sidecar.binder.metrics import BinderMetrics
from sidecar.fleet.metrics import FleetMetrics
from sidecar.observe.metrics import Metrics
from sidecar.observe.trust_metrics import AuthorityReading, TrustCollector, TrustReading
from sidecar.relay.metrics import RelayMetrics
from sidecar.service.process_status import PROCESSES, ROLE

HEAD = """# Metrics

The gate serves these at `/metrics` of the address `metrics` in `sidecar.yaml`, in Prometheus text
format, beside the usual `process_*`. No label holds a value that a client chooses: model ids and
environments are in the decision log only.

"""
BINDER_HEAD = """
## `admit binder serve`

At `/metrics` of the address `admin` in `binder.yaml`. `provider` is an account's name in that file.

"""
RELAY_HEAD = """
## `admit relay`

At `/metrics` of the address `admin` in `relay.yaml`. `name` is a source's name in that file.

"""
FLEET_HEAD = """
## `admit fleet`

In the file of `--metrics`, for the textfile collector of Prometheus's node_exporter: what the
gates' signed statuses prove, not what the gates serve. `gate` is a gate's name in `fleet.yaml`.

"""
COLUMNS = ("metric", "type", "meaning")
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def page() -> str:
    """Return the page: one row for each metric, by name."""
    binder, relay, fleet = BinderMetrics(), RelayMetrics(()), FleetMetrics(_NOW)
    binder.follow(list)
    return "".join(
        (
            *(HEAD, _table(_of_gate())),
            *(BINDER_HEAD, _table(_of_program(binder, binder.registry))),
            *(RELAY_HEAD, _table(_of_program(relay, relay.registry))),
            *(FLEET_HEAD, _table(_of_program(fleet, fleet.registry))),
        )
    )


def _table(rows: Iterable[tuple[str, str, str, str]]) -> str:
    named = ((f"`{_full(name, kind)}{labels}`", kind, text) for name, kind, labels, text in rows)
    return table(COLUMNS, sorted(named))


def _of_program(
    metrics: object, registry: CollectorRegistry
) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, type, labels in braces, and meaning of what a registry has."""
    kept = vars(metrics).values()
    labels = {each._name: each._labelnames for each in kept if isinstance(each, MetricWrapperBase)}
    for family in registry.collect():
        names = labels.get(family.name, _names(family))
        yield family.name, family.type, _labels(tuple(names)), family.documentation


def _of_gate() -> Iterator[tuple[str, str, str, str]]:
    """Yield name, type, labels in braces, and meaning."""
    gate = Metrics(operations=(), jurisdictions=(), trust=_reading)
    for metric in vars(gate).values():
        if isinstance(metric, MetricWrapperBase):
            yield (
                metric._name,
                str(metric._type),
                _labels(metric._labelnames),
                metric._documentation,
            )
    for family in (*gate.leases.collect(), *TrustCollector(_reading).collect()):
        yield family.name, family.type, _labels(_names(family)), family.documentation
    for name, text in PROCESSES.items():
        yield name, "gauge", _labels((ROLE,)), text


def _reading() -> TrustReading:
    return TrustReading(
        now=_NOW,
        epoch=1,
        evidence_rejected=0,
        evidence_waiting=0,
        evidence_problems=0,
        authorities=(
            AuthorityReading(
                "any", 0.0, _NOW, failing=False, stale=False, version=1, withdrawals=0
            ),
        ),
    )


def _names(family: Metric) -> tuple[str, ...]:
    return tuple(getattr(family, "_labelnames", ()))


def _labels(names: tuple[str, ...]) -> str:
    return "{" + ",".join(names) + "}" if names else ""


def _full(name: str, kind: str) -> str:
    """Return the name under which the metric is queried."""
    return f"{name}_total" if kind == "counter" else name
