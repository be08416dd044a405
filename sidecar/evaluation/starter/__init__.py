"""Locates the starter suites: small, useful as they are, and meant to be extended."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

STARTERS = (
    "canary-leakage",
    "eu-investment-information",
    "eu-transparency",
    "format-conformance",
    "jailbreak",
    "paired-fairness",
    "prompt-injection",
    "refusal-regression",
    "tool-calls",
    "uk-consumer-duty",
    "us-adverse-action",
    "us-controlled-information",
    "us-health-privacy",
)


def starter_folder(name: str) -> Path:
    """Return the folder of a starter suite; ``name`` is one of ``STARTERS``."""
    return Path(str(files(__name__) / name))
