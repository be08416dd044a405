"""Reads what was declared before the job ran: the evaluation envelope and the environments.

Both are files written by hand, in YAML or JSON:

```yaml
suites:
  - {kind: regression, name: support-regression, threshold: 0.9, file: suites/regression.jsonl}
  - {kind: compliance, jurisdiction: eu, name: eu-ai-act, threshold: 1.0, digest: 9f86d0…}
  - {folder: suites/jailbreaks}
```

A ``folder`` is a suite as ``sidecar.evaluation.suite`` reads it: it states everything itself.

```yaml
environments:
  - id: spiffe://acme.example/env/*
    jurisdictions: [eu]
    sector: finance
    purpose: customer-support
    operations: [chat.completions]
```
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sidecar.binding.errors import BindingError
from sidecar.core import strict_json, wire
from sidecar.core.predicates import EnvironmentSpec, EvaluationEnvelope
from sidecar.core.reasons import EvidenceError
from sidecar.durable.files import read_bounded
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.suite import read_suite
from sidecar.formats.config_file import ConfigFileError, load_yaml

MAX_BYTES = 1 << 20
_SUITE_KEYS = {"kind", "name", "threshold", "jurisdiction", "digest", "file", "folder"}
_ENVIRONMENT_KEYS = {"id", "jurisdictions", "sector", "purpose", "operations"}


def envelope(path: Path) -> EvaluationEnvelope:
    """Read the evaluation envelope; a suite's ``file`` is hashed, relative to the envelope.

    Raises:
        BindingError: It cannot be read, or is no envelope; names the suite and the field.
    """
    suites = [_suite(path, item) for item in _items(path, "suites", _SUITE_KEYS)]
    try:
        return wire.read_value(EvaluationEnvelope, {"suites": suites}, what=str(path))
    except EvidenceError as error:
        raise BindingError(str(error)) from error


def environments(path: Path) -> tuple[EnvironmentSpec, ...]:
    """Read the environments the model may run in.

    Raises:
        BindingError: It cannot be read, or is no such list; names the place.
    """
    items = _items(path, "environments", _ENVIRONMENT_KEYS)
    try:
        return tuple(
            wire.read_value(EnvironmentSpec, item, what=f"{path}: environments.{number}")
            for number, item in enumerate(items)
        )
    except EvidenceError as error:
        raise BindingError(str(error)) from error


def _items(path: Path, key: str, known: set[str]) -> list[dict[str, Any]]:
    value = _load(path)
    if isinstance(value, dict):
        if set(value) != {key}:
            raise BindingError(f"{path}: must have the key {key} and no other")
        value = value[key]
    if not isinstance(value, list) or not value:
        raise BindingError(f"{path}: {key} must be a list with at least one entry")
    for number, item in enumerate(value):
        unknown = sorted(set(item) - known) if isinstance(item, dict) else ["not a mapping"]
        if unknown:
            raise BindingError(f"{path}: {key}.{number}: unknown: {', '.join(map(str, unknown))}")
    return value


def _load(path: Path) -> Any:  # noqa: ANN401 - YAML is any value
    try:
        data = read_bounded(path, MAX_BYTES)
        if path.suffix == ".json":
            return strict_json.loads(data, max_bytes=MAX_BYTES)
        return load_yaml(data)
    except OSError as error:
        raise BindingError(f"{path}: {error.strerror}") from error
    except (strict_json.StrictJsonError, ConfigFileError) as error:
        raise BindingError(f"{path}: {error}") from error


def _suite(path: Path, item: dict[str, Any]) -> dict[str, Any]:
    """Return a suite in wire form, with the given digest or that of its file or folder."""
    if "folder" in item:
        return _suite_folder(path, item)
    suite = {key: value for key, value in item.items() if key not in {"digest", "file"}}
    given = [key for key in ("digest", "file") if key in item]
    if len(given) != 1:
        raise BindingError(f"{path}: suite {item.get('name')}: give either digest or file")
    digest = item[given[0]]
    if given == ["file"]:
        digest = _file_digest(path.parent / str(digest))
    suite["digest"] = {"sha256": digest} if isinstance(digest, str) else digest
    return suite


def _suite_folder(path: Path, item: dict[str, Any]) -> dict[str, Any]:
    """Return the declaration that a suite's folder makes; nothing may be stated beside it."""
    if set(item) != {"folder"}:
        more = ", ".join(sorted(set(item) - {"folder"}))
        raise BindingError(f"{path}: suite {item['folder']}: {more} is read from its suite.yaml")
    try:
        declared = read_suite(path.parent / str(item["folder"])).declaration()
    except EvaluationError as error:
        raise BindingError(str(error)) from error
    return declared | {"digest": {"sha256": declared["digest"]}}


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BindingError(f"{path}: {error.strerror}") from error
