"""The table of sources: which implementation serves which entry of ``trust.yaml``."""

from __future__ import annotations

from sidecar.trust.config import DirectorySourceConfig
from sidecar.trust.directory_source import DirectorySource
from sidecar.trust.source import Source


def open_source(config: DirectorySourceConfig) -> Source:
    """Return the source that the operator configured; does not access it yet."""
    return DirectorySource(config.path)
