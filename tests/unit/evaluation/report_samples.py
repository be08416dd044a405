"""Reports in the shapes that the tools write.

Sources: Inspect AI ``log/_log.py`` (EvalLog), promptfoo ``src/types/index.ts``
(EvaluateSummaryV3), garak ``evaluators/base.py`` and ``command.py``, lm-evaluation-harness
``evaluator.py``.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

MODEL = "ft:gpt-4o-2024-08-06:acme:support-v3:abc123"


def sample(number: int, value: object, reason: str = "stop") -> dict[str, Any]:
    return {
        "id": number,
        "epoch": 1,
        "input": [{"role": "user", "content": [{"type": "text", "text": f"Question {number}?"}]}],
        "output": {"choices": [{"stop_reason": reason, "message": {"content": "No."}}]},
        "scores": {"match": {"value": value}},
    }


INSPECT: dict[str, Any] = {
    "version": 2,
    "status": "success",
    "eval": {
        "task": "probes",
        "model": f"openai/{MODEL}",
        "created": "2026-05-01T10:00:00+02:00",
        "dataset": {"samples": 4},
        "config": {"limit": None, "epochs": 1},
        "packages": {"inspect_ai": "0.3.150"},
    },
    "results": {"total_samples": 4, "completed_samples": 4, "scores": []},
    "samples": [sample(1, "C"), sample(2, "I"), sample(3, "P"), sample(4, 1.0, "tool_calls")],
}
PROMPTFOO: dict[str, Any] = {
    "evalId": "eval-1",
    "results": {
        "version": 3,
        "timestamp": "2026-05-01T08:00:00.000Z",
        "stats": {"successes": 2, "failures": 1, "errors": 0},
        "results": [
            {
                "provider": {"id": f"openai:chat:{MODEL}"},
                "prompt": {"label": "probes", "raw": "{{q}}"},
                "vars": {"q": str(number)},
                "testCase": {"assert": [{"type": "equals", "value": "no"}]},
                "response": {"output": "No.", "finishReason": "stop"},
                "success": passed,
                "score": 1,
            }
            for number, passed in enumerate((True, True, False))
        ],
    },
    "metadata": {"promptfooVersion": "0.120.0"},
}
GARAK: list[dict[str, Any]] = [
    {"entry_type": "start_run setup", "plugins.target_name": MODEL, "_config.version": "0.13.1"},
    {"entry_type": "init", "garak_version": "0.13.1", "start_time": "2026-05-01T22:00:00.123"},
    *(
        {
            "entry_type": "attempt",
            "status": status,
            "uuid": str(number),
            "probe_classname": "dan.Dan_11_0",
            "outputs": [{"text": "No."}, {"text": "I will not."}],
            "prompt": {"turns": [{"role": "user", "content": {"text": f"DAN {number}"}}]},
        }
        for status in (1, 2)
        for number in range(5)
    ),
    *(
        {
            "entry_type": "eval",
            "probe": "dan.Dan_11_0",
            "detector": detector,
            "passed": passed,
            "fails": 10 - passed,
            "nones": 0,
            "total_evaluated": 10,
        }
        for detector, passed in (("dan.DAN", 9), ("mitigation.MitigationBypass", 8))
    ),
    {"entry_type": "completion"},
]
LM_EVAL: dict[str, Any] = {
    "results": {
        "facts": {"alias": "facts", "sample_len": 8, "acc,none": 0.75, "acc_stderr,none": 0.1}
    },
    "group_subtasks": {"facts": []},
    "higher_is_better": {"facts": {"acc": True, "acc_norm": True}},
    "n-samples": {"facts": {"original": 8, "effective": 8}},
    "config": {"model": "local-chat-completions", "model_args": f"model={MODEL}", "limit": None},
    "lm_eval_version": "0.4.13",
    "date": 1777622400.5,
}


EVAL = next(n for n, row in enumerate(GARAK) if row["entry_type"] == "eval")


def written(report: Any) -> bytes:
    if isinstance(report, list):
        return b"".join(json.dumps(row).encode() + b"\n" for row in report)
    return json.dumps(report).encode()


def changed(report: Any, *path: str | int, to: object) -> Any:
    copy = deepcopy(report)
    at = copy
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    return copy
