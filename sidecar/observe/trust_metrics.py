"""Computes the gauges of the trust state at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sidecar.core.window import Window
from sidecar.observe.unknown_keys import KeyMisses


@dataclass(frozen=True, slots=True)
class AuthorityReading:
    """One authority's freshness; times and version are ``None`` before the first verification."""

    name: str
    age: float
    expires: datetime | None
    failing: bool
    stale: bool
    version: int | None
    withdrawals: int
    announced: tuple[datetime, ...] = ()
    """When announced withdrawals of the next 90 days take effect, in order."""
    withdrew: datetime | None = None
    """When a new withdrawal of it was last taken in; ``None`` without one since the start."""


@dataclass(frozen=True, slots=True)
class TrustDomainReading:
    """The published keys of one granted trust domain.

    Attributes:
        name: Of the trust domain.
        authority: The customer to which it is granted.
        jwt_keys: Usable keys for JWT-SVIDs.
        x509_roots: Usable roots for X.509-SVIDs.
        lasting: Window of the root that expires last; ``None`` without a root.
        misses: Credentials signed with keys that are not published.
    """

    name: str
    authority: str
    jwt_keys: int
    x509_roots: int
    lasting: Window | None
    misses: KeyMisses


@dataclass(frozen=True, slots=True)
class TrustReading:
    """The numbers of the trust state at a scrape."""

    now: datetime
    epoch: int
    evidence_rejected: int
    evidence_waiting: int
    evidence_problems: int
    authorities: tuple[AuthorityReading, ...]
    trust_domains: tuple[TrustDomainReading, ...] = ()


_TOTALS: tuple[tuple[str, str, Callable[[TrustReading], int]], ...] = (
    (
        "admissibility_trust_epoch",
        "Number of the trust state; grows with each new one.",
        lambda reading: reading.epoch,
    ),
    (
        "admissibility_evidence_rejected",
        "Files of evidence that were refused; `admit status` names them.",
        lambda reading: reading.evidence_rejected,
    ),
    (
        "admissibility_evidence_waiting",
        "Files of unknown signers that wait for their folder's budget of verifications.",
        lambda reading: reading.evidence_waiting,
    ),
    (
        "admissibility_evidence_problems",
        "Files and folders of evidence that cannot be read; `admit status` names them.",
        lambda reading: reading.evidence_problems,
    ),
)

_BY_AUTHORITY: tuple[tuple[str, str, Callable[[AuthorityReading, datetime], float | None]], ...] = (
    (
        "admissibility_trust_age_seconds",
        "Seconds since the authority's repository was last verified; since the gate began to "
        "follow it where it never was.",
        lambda item, _: item.age,
    ),
    (
        "admissibility_trust_expires_in_seconds",
        "Seconds until the authority's metadata expires; negative once it has. Then every call "
        "that relies on it is denied.",
        lambda item, now: None if item.expires is None else (item.expires - now).total_seconds(),
    ),
    (
        "admissibility_trust_refresh_failing",
        "1 while the authority's last refresh failed.",
        lambda item, _: float(item.failing),
    ),
    (
        "admissibility_trust_stale",
        "1 while the authority's agreement does not count: its metadata was never verified, "
        "has expired, or was not verified since the start or since its keys changed.",
        lambda item, _: float(item.stale),
    ),
    (
        "admissibility_trust_version",
        "Version of the authority's timestamp metadata.",
        lambda item, _: item.version,
    ),
    (
        "admissibility_trust_withdrawals",
        "Withdrawals and failed results that the authority publishes.",
        lambda item, _: item.withdrawals,
    ),
    (
        "admissibility_trust_last_withdrawal_age_seconds",
        "Seconds since the gate took in a withdrawal or failed result that the authority had not "
        "published before; absent without one since the gate started.",
        lambda item, now: None if item.withdrew is None else (now - item.withdrew).total_seconds(),
    ),
    (
        "admissibility_trust_announced",
        "Withdrawals, such as retirement dates, that the authority has announced for the next 90 "
        "days; `admit status` names them.",
        lambda item, _: len(item.announced),
    ),
    (
        "admissibility_trust_announced_in_seconds",
        "Seconds until the next of them takes effect.",
        lambda item, now: (item.announced[0] - now).total_seconds() if item.announced else None,
    ),
)


class TrustCollector(Collector):
    """Collects the gauges at each scrape, because freshness depends on the current time.

    Args:
        read: Returns the numbers; called at each scrape.
    """

    def __init__(self, read: Callable[[], TrustReading]) -> None:
        self._read = read

    def describe(self) -> Iterator[Metric]:
        """Yield nothing, so that registering does not read the trust state."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families of one reading."""
        reading = self._read()
        for name, text, total in _TOTALS:
            yield GaugeMetricFamily(name, text, value=total(reading))
        for name, text, value in _BY_AUTHORITY:
            family = GaugeMetricFamily(name, text, labels=("authority",))
            for item in reading.authorities:
                found = value(item, reading.now)
                if found is not None:
                    family.add_metric([item.name], found)
            yield family
        yield from _trust_domains(reading)


def _trust_domains(reading: TrustReading) -> Iterator[Metric]:
    misses = CounterMetricFamily(
        "admissibility_unknown_keys",
        "Credentials signed with a key that their trust domain's authority has not published: its "
        "bundle is behind the rotation of its keys, or they are forged.",
        labels=("trust_domain",),
    )
    keys = GaugeMetricFamily(
        "admissibility_trust_domain_keys",
        "Usable keys that the trust domain's authority publishes, `jwt` or `x509`.",
        labels=("trust_domain", "kind"),
    )
    ends = GaugeMetricFamily(
        "admissibility_trust_domain_expires_in_seconds",
        "Seconds until the last of the trust domain's published X.509 roots expires; negative "
        "once it has. Then every X.509-SVID of it is refused.",
        labels=("trust_domain",),
    )
    for item in reading.trust_domains:
        misses.add_metric([item.name], item.misses.count)
        keys.add_metric([item.name, "jwt"], item.jwt_keys)
        keys.add_metric([item.name, "x509"], item.x509_roots)
        if item.lasting is not None:
            left = item.lasting.not_after - reading.now
            ends.add_metric([item.name], left.total_seconds())
    yield from (misses, keys, ends)
