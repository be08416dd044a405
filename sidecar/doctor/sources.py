"""Checks that each source named in ``trust.yaml`` can be read from this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.doctor.installation import Installation
from sidecar.jetstream.config import NatsConfig
from sidecar.jetstream.session import NatsLimits
from sidecar.trust import config as trust_config
from sidecar.trust.config import TrustConfig
from sidecar.trust.directory_source import DirectorySource
from sidecar.trust.http_connection import HttpLimits
from sidecar.trust.http_evidence import HttpsEvidence
from sidecar.trust.http_source import TIMESTAMP, HttpsSource
from sidecar.trust.limits import REPOSITORY
from sidecar.trust.nats_evidence import NatsEvidence
from sidecar.trust.nats_source import NatsSource
from sidecar.trust.source import SourceError
from sidecar.trust.source_config import DirectorySourceConfig, HttpsSourceConfig, SourceConfig

LIMITS = HttpLimits(step=3, total=6, attempts=1)
"""Shorter than the patience of ``examine``."""
NATS_LIMITS = NatsLimits(step=3, total=6)

_PARALLEL = 16
_MESSAGE = REPOSITORY.message_characters


@dataclass(frozen=True, slots=True)
class _Probe:
    """One thing to read: its name in the report, where it is, and the reading."""

    name: str
    place: str
    read: Callable[[], None]


def sources(installation: Installation) -> tuple[Diagnosis, ...]:
    """Read ``timestamp.json`` of every authority, and every listing of published evidence."""
    config = _trusted(installation)
    if config is None:
        return ()
    probes = tuple(_probes(config))
    with ThreadPoolExecutor(_PARALLEL) as pool:
        found = [one for one in pool.map(_examined, probes) if one is not None]
    return tuple(found) or (ok("sources", f"{len(probes)} can be read from here"),)


def evidence_folders(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check that every folder of evidence is there; a misspelt one would just be empty."""
    config = _trusted(installation)
    return tuple(
        warn(
            "evidence folder",
            f"{source.path}: there is no such folder, so no evidence is read from it",
            "Correct `evidence` in trust.yaml, or make the folder and put the files there.",
        )
        for source in (() if config is None else config.evidence)
        if isinstance(source, DirectorySourceConfig) and not source.path.is_dir()
    )


def _trusted(installation: Installation) -> TrustConfig | None:
    """Return what ``trust.yaml`` states; ``None`` where another check names what is wrong."""
    if installation.config is None:
        return None
    try:
        return trust_config.load(installation.config.trust)
    except trust_config.TrustConfigError:
        return None


def _examined(probe: _Probe) -> Diagnosis | None:
    try:
        probe.read()
    except SourceError as error:
        line = "".join(c if c.isprintable() else "?" for c in str(error))
        return fail(
            f"source {probe.name}",
            (line if probe.place in line else f"{probe.place}: {line}")[:_MESSAGE],
            "Correct its entry in trust.yaml, the network, or the server; the rest is kept until "
            "it expires.",
        )
    return None


def _probes(config: TrustConfig) -> Iterator[_Probe]:
    for authority in config.authorities:
        read = _repository(authority.source)
        yield _Probe(authority.name, _place(authority.source), read)
    for source in config.evidence:
        if not isinstance(source, DirectorySourceConfig):
            yield _Probe("of evidence", source.url, _listing(source))


def _place(source: SourceConfig) -> str:
    return str(source.path) if isinstance(source, DirectorySourceConfig) else source.url


def _repository(source: SourceConfig) -> Callable[[], None]:
    def read() -> None:
        if isinstance(source, DirectorySourceConfig):
            DirectorySource(source.path).fetch(TIMESTAMP, REPOSITORY.timestamp)
            return
        if isinstance(source, NatsConfig):
            with closing(NatsSource(source, NATS_LIMITS)) as bucket:
                bucket.fetch(TIMESTAMP, REPOSITORY.timestamp)
            return
        with closing(HttpsSource(source, LIMITS)) as opened:
            opened.fetch(TIMESTAMP, REPOSITORY.timestamp)

    return read


def _listing(source: HttpsSourceConfig | NatsConfig) -> Callable[[], None]:
    def read() -> None:
        if isinstance(source, NatsConfig):
            with closing(NatsEvidence(source, NATS_LIMITS)) as bucket:
                bucket.index()
            return
        with closing(HttpsEvidence(source, LIMITS)) as opened:
            opened.index()

    return read
