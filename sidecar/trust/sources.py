"""The table of sources: which implementation reads which entry of ``trust.yaml``."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sidecar.jetstream.config import NatsConfig
from sidecar.trust import evidence_folder
from sidecar.trust.directory_source import DirectorySource
from sidecar.trust.evidence_folder import EvidenceFiles
from sidecar.trust.evidence_mirror import EvidenceMirror, RemoteEvidence
from sidecar.trust.http_evidence import HttpsEvidence
from sidecar.trust.http_source import HttpsSource
from sidecar.trust.nats_evidence import NatsEvidence
from sidecar.trust.nats_source import NatsSource
from sidecar.trust.source import Source
from sidecar.trust.source_config import DirectorySourceConfig, HttpsSourceConfig, SourceConfig

MIRRORS = "fetched"
"""Folder, below the state's, in which evidence from elsewhere is kept."""


@dataclass(frozen=True, slots=True)
class OpenEvidence:
    """One source of evidence.

    Attributes:
        name: For threads and the log.
        folder: Where its files are on this machine; unique among the sources.
        mirror: Brings them there, where the source is elsewhere.
    """

    name: str
    folder: Path
    mirror: EvidenceMirror | None = None


def open_source(config: SourceConfig) -> Source:
    """Return the source that the operator configured; does not access it yet."""
    if isinstance(config, DirectorySourceConfig):
        return DirectorySource(config.path)
    return NatsSource(config) if isinstance(config, NatsConfig) else HttpsSource(config)


def close(source: Source) -> None:
    """Close a source's connections; its next reading makes others."""
    if isinstance(source, HttpsSource | NatsSource):
        source.close()


def open_evidence(config: SourceConfig, state_dir: Path) -> OpenEvidence:
    """Return the source of evidence that the operator configured; does not access it yet.

    Args:
        config: Of the source.
        state_dir: The state's folder, below which evidence from elsewhere is kept.
    """
    if isinstance(config, DirectorySourceConfig):
        return OpenEvidence(config.path.name, config.path)
    folder = state_dir / MIRRORS / hashlib.sha256(config.url.encode()).hexdigest()[:32]
    return OpenEvidence(config.url, folder, EvidenceMirror(_remote(config), folder))


def _remote(config: HttpsSourceConfig | NatsConfig) -> RemoteEvidence:
    return NatsEvidence(config) if isinstance(config, NatsConfig) else HttpsEvidence(config)


def read_evidence(config: SourceConfig, state_dir: Path) -> EvidenceFiles:
    """Read a source of evidence once, whole; see ``open_evidence``."""
    source = open_evidence(config, state_dir)
    problems = () if source.mirror is None else source.mirror.fetch_once()
    found = evidence_folder.read(source.folder)
    return EvidenceFiles(found.files, (*found.problems, *problems))
