"""Puts the cases of suites to models, on Inspect AI: ``python child.py PLAN…``, one by one.

This file is run by the interpreter of the environment that ``environment`` makes, which holds
Inspect and not this project: it imports nothing of ours. It scores nothing either. The parent reads
the answers from the log, and grades them itself (``process``).

Output: one JSON object a line, ``{"event": "sample" | "usage" | "retry" | "end", "plan": N, …}``;
Inspect's own output goes to standard error. What is in a plan: see ``plan``.
"""

from __future__ import annotations

import gc

gc.disable()  # imports leave no garbage, and looking for it takes a fifth of the time of Inspect's

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

import openai
from inspect_ai import Task, eval_set
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.hooks import Hooks, ModelRetry, ModelUsageData, SampleEnd, hooks
from inspect_ai.model import (
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    GenerateConfig,
    Model,
    get_model,
)
from inspect_ai.solver import generate
from inspect_ai.tool import ToolCall

gc.freeze()  # nor is it looked through later, or at the exit: a quarter of the whole process
gc.enable()
_OUT = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # whatever Inspect prints goes to standard error
_NOW = {"plan": 0}
"""Which of the plans is under way; Inspect's hooks have no other way to learn it."""


def report(**event: object) -> None:
    """Write one event to the parent."""
    _OUT.write(json.dumps({**event, **_NOW}) + "\n")
    _OUT.flush()


def stop(error: str) -> NoReturn:
    """End the run at once; answers that are in the log already stay there."""
    report(event="end", good=False, status="error", log="", error=error)
    os._exit(1)


@hooks(name="admit_progress", description="Progress of one suite, for the parent process.")
class Progress(Hooks):  # type: ignore[misc]  # Inspect is not installed beside mypy
    """Reports each sample that ended, and what each call of the model used."""

    async def on_sample_end(self, data: SampleEnd) -> None:
        """Report a sample, well or not."""
        report(event="sample", id=str(data.sample.id), error=data.sample.error is not None)

    async def on_model_retry(self, data: ModelRetry) -> None:
        """Report a call that was refused, or not answered in time; it states no tokens."""
        report(event="retry", attempt=data.attempt)

    async def on_model_usage(self, data: ModelUsageData) -> None:
        """Report the tokens and the time of one call."""
        usage = data.usage
        cached = (usage.input_tokens_cache_read or 0) + (usage.input_tokens_cache_write or 0)
        report(
            event="usage",
            input=usage.input_tokens + cached,
            output=usage.output_tokens,
            seconds=round(data.call_duration, 3),
        )


def client(plan: dict[str, Any]) -> Any:  # noqa: ANN401 - httpx's or httpx2's
    """Return an HTTP client that adds the environment's credential to each request.

    As ``auth``, because headers that a model is made with are written to the log in clear. The file
    is read for each request: an SVID is replaced while a long suite runs.
    """
    header, file = plan["credential"]["header"], plan["credential"]["file"]

    def add_credential(request: Any) -> Any:  # noqa: ANN401 - httpx's or httpx2's
        if file is not None:
            request.headers[header] = Path(file).read_text(encoding="ascii").strip()
        return request

    async def check_manifest(response: Any) -> None:  # noqa: ANN401 - httpx's or httpx2's
        """Require that the gate admitted the call under the manifest that is evaluated.

        A deployment may run another model than the evaluator believes, or be repointed while a
        suite is run. An exception here would be retried as an error of the network.
        """
        stated = response.headers.get(plan["manifest_header"])
        if plan["manifest"] is None or not response.is_success or stated == plan["manifest"]:
            return
        if stated is None:
            stop(
                f"an answer without {plan['manifest_header']}: is {plan['base_url']} a sandbox"
                " route of the gate?"
            )
        stop(f"{plan['model']} is admitted under the manifest {stated}, not {plan['manifest']}")

    tls: dict[str, Any] = {}
    if plan["tls"]["ca"] is not None or plan["tls"]["certificate"] is not None:
        import ssl  # noqa: PLC0415 - without TLS settings of its own, httpx makes the context

        context = ssl.create_default_context(cafile=plan["tls"]["ca"])
        if plan["tls"]["certificate"] is not None:
            context.load_cert_chain(plan["tls"]["certificate"], plan["tls"]["key"])
        tls["verify"] = context
    # No proxy, no .netrc: what is not in the plan has no part in where a request goes.
    return openai.DefaultAsyncHttpxClient(
        auth=add_credential, event_hooks={"response": [check_manifest]}, trust_env=False, **tls
    )


def message(given: dict[str, Any]) -> Any:  # noqa: ANN401 - one of Inspect's kinds of message
    """Return a message of the plan as Inspect's."""
    text = given["content"]
    match given["role"]:
        case "system":
            return ChatMessageSystem(content=text)
        case "user":
            return ChatMessageUser(content=text)
        case "tool":
            return ChatMessageTool(content=text, tool_call_id=given["tool_call_id"])
    calls = [
        ToolCall(
            id=call["id"],
            function=call["function"]["name"],
            arguments=json.loads(call["function"]["arguments"] or "{}"),
        )
        for call in given.get("tool_calls", ())
    ]
    return ChatMessageAssistant(content=text, tool_calls=calls or None)


def model(plan: dict[str, Any]) -> Model:
    """Return the model, behind the gateway that the plan names."""
    return get_model(
        f"openai-api/gateway/{plan['model']}",
        base_url=plan["base_url"],
        api_key="held-by-the-gateway",
        http_client=client(plan),
        responses_api=False,
        # The SDK retries nothing: Inspect does, within the plan's bound.
        max_retries=0,
        config=GenerateConfig(
            max_retries=plan["max_retries"],
            max_connections=plan["max_connections"],
            attempt_timeout=plan["timeout_seconds"],
            timeout=plan["timeout_seconds"] * (plan["max_retries"] + 1),
            cache=False,
            # As the suite writes them: Inspect's own form of tools drops parts of their schemas.
            extra_body=plan["offered"] or None,
            **plan["generation"],
        ),
        memoize=False,
    )


def cause(message: str, traceback: str) -> str:
    """Return the error that was retried until the bound, where Inspect names the bound alone."""
    if not message.startswith("RetryError"):
        return message
    retried = re.findall(r"^(?!\S*RetryError)[A-Za-z_.]+: .+$", traceback, re.MULTILINE)
    return retried[-1] if retried else message


def main() -> int:
    """Run the plans, until one of them does not end well; 0 if every sample has an answer."""
    for number, path in enumerate(sys.argv[1:]):
        _NOW["plan"] = number
        if not run(json.loads(Path(path).read_text(encoding="utf-8"))):
            return 1
    return 0


def run(plan: dict[str, Any]) -> bool:
    """Run a plan; return whether every sample has an answer."""
    folder = Path(plan["folder"])
    # Inspect reads the nearest .env at or above the working directory; the one here is empty.
    os.chdir(folder)
    samples = [
        Sample(id=each["id"], input=[message(m) for m in each["ask"]]) for each in plan["samples"]
    ]
    task = Task(
        name=plan["task"], dataset=MemoryDataset(samples), solver=[generate(tool_calls="none")]
    )
    good, logs = eval_set(
        [task],
        log_dir=str(folder / "logs"),
        model=model(plan),
        log_format="json",
        retry_attempts=plan["attempts"],
        retry_wait=1,
        retry_on_error=0,
        fail_on_error=True,
        epochs=1,
        score=False,
        display="none",
        log_level="warning",
        log_realtime=False,
        # How many answers a kill loses at most. The log is rewritten each time.
        log_buffer=max(1, len(samples) // 50),
        log_images=False,
        ctl_server=False,
        acp_server=False,
        max_samples=plan["max_connections"],
    )
    for log in logs:
        error = None if log.error is None else cause(log.error.message, log.error.traceback)
        report(event="end", good=good, status=log.status, log=log.location, error=error)
    return bool(good)


if __name__ == "__main__":
    sys.exit(main())
