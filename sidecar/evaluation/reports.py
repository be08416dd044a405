"""Reads the reports of evaluation tools: which model was measured, on what, how often, how well.

A report is believed as far as the evaluator who countersigns it; what is checked here is that it
is whole. A tool that left samples out, stopped early, or could not score some answers reports a
mean over the rest, which is no score of the suite. Cases that were never loaded (a filter, a
smaller data set) are in no report: their number is compared with that of the suite (``measured``).

| tool | file | key of a measurement |
|---|---|---|
| ``inspect`` | the JSON log of Inspect AI (``inspect log dump`` for ``.eval``) | task |
| ``promptfoo`` | ``promptfoo eval --output FILE.json`` (version 3) | the prompt's label |
| ``garak`` | ``….report.jsonl`` | probe |
| ``lm-eval`` | ``results_….json`` of lm-evaluation-harness | task |
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sidecar.core.window import Window, rfc3339
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.report_formats import READERS, ToolScore

MAX_REPORT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class BoundName:
    """The name of a deployment, and the time for which its provider bound it to a manifest."""

    name: str
    window: Window


@dataclass(frozen=True, slots=True)
class ToolReport:
    """A report that is whole.

    Attributes:
        tool: Its name and, where the report states it, its version.
        models: Every model that it names, as the tool spells them.
        digest: SHA-256 of the report's bytes, lower-case hex.
        scores: Key → measurement.
        performed: When the run began, at the latest; ``None`` where the report does not state it.
    """

    tool: str
    models: frozenset[str]
    digest: str
    scores: Mapping[str, ToolScore]
    performed: datetime | None = None

    def check_model(self, model: str, bound: Iterable[BoundName] = ()) -> None:
        """Refuse the report of another model.

        A tool writes a prefix of its own before the id, such as ``openai/`` or ``openai:chat:``.

        Args:
            model: The manifest's model id.
            bound: Deployments that its provider bound to the manifest.

        Raises:
            EvaluationError: The report names no model, or one that is not ``model`` and was no
                deployment of it when the run began.
        """
        known = tuple(bound)
        for name in sorted(self.models) or ["no model"]:
            if not _is_model(name, model):
                windows = [each.window for each in known if _is_model(name, each.name)]
                self._check_bound(name, model, windows)

    def _check_bound(self, name: str, model: str, windows: list[Window]) -> None:
        if not windows:
            raise EvaluationError(
                f"the {self.tool} report is of {name}, and the manifest is of {model}; if that is"
                " a deployment of it, give its provider's statement (--binding)"
            )
        if self.performed is None:
            raise EvaluationError(
                f"the {self.tool} report does not state when it was made, so a binding does not"
                f" prove what {name} ran then"
            )
        if not any(window.holds(self.performed) for window in windows):
            held = " and ".join(
                f"from {rfc3339(each.not_before)} until {rfc3339(each.not_after)}"
                for each in windows
            )
            raise EvaluationError(
                f"{name} was bound {held}, and the {self.tool} run began at"
                f" {rfc3339(self.performed)}: give the binding that was in force then"
            )


_PREFIXES = frozenset(
    {
        *("openai/", "openai/azure/", "azureai/", "bedrock/", "vllm/", "ollama/", "google/"),
        *("openai:", "openai:chat:", "openai:completion:", "openai:responses:"),
        *("azureopenai:", "azureopenai:chat:", "azure:chat:", "bedrock:", "ollama:chat:"),
    }
)


_SERVICE = re.compile(r"openai-api/[A-Za-z0-9_-]+/")
"""Inspect's prefix of a compatible server, which has a name of its own."""


def _is_model(name: str, model: str) -> bool:
    prefix = name.removesuffix(model)
    if prefix == name:
        return False
    return not prefix or prefix in _PREFIXES or _SERVICE.fullmatch(prefix) is not None


def read_report(tool: str, data: bytes) -> ToolReport:
    """Read a report.

    Args:
        tool: One of ``READERS``.
        data: The report's bytes.

    Raises:
        EvaluationError: An unknown tool; another shape; or a report that is not whole, with what
            is missing.
    """
    if tool not in READERS:
        raise EvaluationError(f"tool {tool!r} is none of {', '.join(sorted(READERS))}")
    if len(data) > MAX_REPORT_BYTES:
        raise EvaluationError(f"the {tool} report is larger than {MAX_REPORT_BYTES} bytes")
    try:
        version, models, scores, performed = READERS[tool](data)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise EvaluationError(f"not a report of {tool}: {_shape(error)}") from error
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f"the {tool} report is not JSON: {error}") from error
    by_key: dict[str, ToolScore] = {}
    for each in scores:
        _check_score(tool, each)
        if each.key in by_key:
            raise EvaluationError(f"the {tool} report measures {each.key} twice")
        by_key[each.key] = each
    if not by_key:
        raise EvaluationError(f"the {tool} report measures nothing")
    name = f"{tool} {version}" if version else tool
    digest = hashlib.sha256(data).hexdigest()
    return ToolReport(name, frozenset(models), digest, by_key, _instant(tool, performed))


_OFFSETS = timedelta(hours=14)
"""The farthest that a local time is ahead of UTC."""


def _instant(tool: str, stated: object) -> datetime | None:
    """Return when a run began; of a local time without an offset, the earliest it can be."""
    if stated is None:
        return None
    try:
        if isinstance(stated, int | float):
            return datetime.fromtimestamp(stated, UTC).replace(microsecond=0)
        found = datetime.fromisoformat(str(stated)).replace(microsecond=0)
    except (ValueError, OverflowError, OSError) as error:
        raise EvaluationError(f"the {tool} report: {stated!r} is not a time of a run") from error
    return found.replace(tzinfo=UTC) - _OFFSETS if found.tzinfo is None else found.astimezone(UTC)


def _check_score(tool: str, each: ToolScore) -> None:
    if each.samples < 1:
        raise EvaluationError(f"the {tool} report has no sample for {each.key}")
    if not math.isfinite(each.score) or not 0 <= each.score <= 1:
        raise EvaluationError(f"the {tool} report: {each.key}: {each.score} is not from 0 to 1")


def _shape(error: Exception) -> str:
    missing = isinstance(error, KeyError)
    return f"it has no {error.args[0]}" if missing else "its parts have other types"
