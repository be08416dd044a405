"""A results file with one score for every suite that a manifest declares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sidecar.cli import manifests
from sidecar.core.predicates import Manifest


def scores(manifest: Manifest, score: float) -> list[dict[str, Any]]:
    """Return the entries."""
    rows = [
        {
            "name": suite.name,
            "kind": suite.kind,
            "jurisdiction": suite.jurisdiction,
            "digest": suite.digest.sha256,
            "model": manifest.model.id,
            "score": score,
        }
        for suite in manifest.envelope.suites
    ]
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def write_scores(path: Path, manifest: str | Path, score: float) -> Path:
    """Write the file for a manifest's envelope, and return its path."""
    path.write_text(json.dumps(scores(manifests.read(Path(manifest)).manifest, score)))
    return path
