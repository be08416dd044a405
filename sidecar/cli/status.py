"""Shows the status and health of a running gate (``admit status``, ``admit health``)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import grpc
import requests
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console

from sidecar.cli.common import present
from sidecar.cli.tables import show_table, stdout
from sidecar.formats.amounts import amount
from sidecar.gate.authorization import SERVICE
from sidecar.trust.limits import LATE_SECONDS

Url = Annotated[str, typer.Option("--url", envvar="ADMIT_STATUS_URL", help="The metrics endpoint.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Gate = Annotated[str, typer.Option("--gate", envvar="ADMIT_GATE", help="HOST:PORT of the gate.")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="The gate's sidecar.yaml, which has the address.", show_default=False
    ),
]

_TIMEOUT_SECONDS = 5.0
DEFAULT_URL = "http://127.0.0.1:9464"
DEFAULT_GATE = "127.0.0.1:9191"


def status(url: Url = DEFAULT_URL, config: Config = None, as_json: AsJson = False) -> None:
    """Show readiness, every authority's freshness, refused evidence and the policy engine.

    Exit status 0 if the gate is ready, 1 if it is not, 2 if nothing answers.

    Examples:
        admit status
        admit status --config sidecar.yaml
        admit status --url http://10.0.0.1:9464 --json
    """
    if config is not None:
        url = f"http://{_addresses(config)[1]}"
    try:
        reply = requests.get(url.rstrip("/") + "/status", timeout=_TIMEOUT_SECONDS)
        reply.raise_for_status()
        value = reply.json()
    except (requests.RequestException, ValueError) as error:
        print(f"admit status: {url}: {_unanswered(error)}", file=sys.stderr)
        raise typer.Exit(2) from error
    if as_json:
        print(json.dumps(value, indent=2))
    else:
        _show(value)
    raise typer.Exit(0 if value["ready"] else 1)


def health(gate: Gate = DEFAULT_GATE, config: Config = None, as_json: AsJson = False) -> None:
    """Query the gate's gRPC health service; exit status 0 only if it is serving.

    Examples:
        admit health --gate 127.0.0.1:9191
        admit health --config sidecar.yaml
    """
    if config is not None:
        gate = _addresses(config)[0]
    try:
        with grpc.insecure_channel(gate) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=SERVICE), timeout=_TIMEOUT_SECONDS
            )
        word = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    except grpc.RpcError as error:
        word = f"UNREACHABLE ({error.code().name})" if isinstance(error, grpc.Call) else "UNKNOWN"
    print(json.dumps({"gate": gate, "status": word}) if as_json else f"{gate}: {word}")
    raise typer.Exit(0 if word == "SERVING" else 1)


def _addresses(config: Path) -> tuple[str, str]:
    """Return where the gate of a configuration listens, and where it serves its status.

    Raises:
        CliError: There is no such file.
        ConfigError: It is wrong.
    """
    from sidecar.doctor.installation import addresses  # noqa: PLC0415 - not without --config
    from sidecar.service.config import load  # noqa: PLC0415

    listen, metrics = addresses(load(present(config, "--config")))
    for everywhere, own in (("0.0.0.0:", "127.0.0.1:"), ("[::]:", "[::1]:")):
        listen, metrics = (
            own + each.removeprefix(everywhere) if each.startswith(everywhere) else each
            for each in (listen, metrics)
        )
    return listen, metrics


def _unanswered(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return (
            f"no answer within {_TIMEOUT_SECONDS:g} s: the gate is overloaded, or waits, for "
            "example for another gate that writes the same state folder; its log states for what"
        )
    return (
        f"no answer ({type(error).__name__}): start the gate, or give the address of its `metrics` "
        "with --url, or its sidecar.yaml with --config"
    )


def _show(value: dict[str, Any]) -> None:
    console = stdout()
    policy, evidence = value["policy"], value["evidence"]
    console.print(
        f"{'ready' if value['ready'] else 'NOT READY'}, version {value['version']}, "
        f"trust epoch {value['epoch']}"
    )
    for cause in value.get("not_ready", []):
        console.print(f"not ready: {cause}", markup=False, soft_wrap=True)
    if not value.get("decision_log", {}).get("writable", True):
        console.print("the decision log cannot be written: every call is denied")
    for problem in _authority_problems(value["authorities"]):
        console.print(problem, markup=False, soft_wrap=True)
    console.print(
        f"policy engine {'up' if policy['up'] else 'DOWN'}, {policy['revision']}", soft_wrap=True
    )
    _show_processes(console, value.get("processes", []))
    if policy["error"] is not None:
        console.print(
            f"newer policies are not in force: {policy['error']}", markup=False, soft_wrap=True
        )
    manifests = amount(evidence["manifests"], "manifest")
    console.print(f"{manifests}, {amount(evidence['rejected'], 'file')} refused")
    if evidence["waiting"]:
        console.print(
            amount(
                evidence["waiting"],
                "file of an unknown signer waits to be verified",
                "files of unknown signers wait to be verified",
            )
        )
    for problem in evidence["problems"]:
        console.print(f"evidence cannot be read: {problem}", markup=False, soft_wrap=True)
    columns = ("name", "version", "expires", "refreshed", "withdrawals")
    rows = [
        [
            *("—" if item[key] is None else str(item[key]) for key in columns),
            _grants(item["grants"]),
        ]
        for item in value["authorities"]
    ]
    show_table(console, ("authority", *columns[1:], "grants: silence"), rows)
    for item in value["announced"]:
        console.print(
            f"ends on {item['at'][:10]}: {item['kind']} {item['subject']} "
            f"({item['authority']}: {item['reason']})",
            markup=False,
            soft_wrap=True,
        )
    for item in (*value.get("idle_grants", []), *value.get("wide_sandboxes", [])):
        where = f"grants.{item['grant']}.{item['why']}"
        console.print(f"{item['authority']}: {where}", markup=False, soft_wrap=True)
    _show_rejections(console, evidence["rejections"])
    for problem in value["credential_problems"]:
        console.print(f"credential roots: {problem}", markup=False, soft_wrap=True)


def _authority_problems(authorities: list[dict[str, Any]]) -> Iterator[str]:
    """Yield how many authorities cannot be relied on, and what is wrong with each."""
    stale = sum(item["stale"] is not None for item in authorities)
    if stale:
        whole = amount(len(authorities), "authority", "authorities")
        yield f"{stale} of {whole} cannot be relied on: what needs it is denied (trust_stale)"
    for item in authorities:
        why, error = item["stale"], item["error"]
        both = [why, error] if why is not None and why not in (error or "") else [error]
        age = item.get("age_seconds", 0.0)
        if age > LATE_SECONDS:
            late = f"was last read {age:.0f} s ago: a withdrawal since then is not in force"
            both = [*both, late if item["refreshed"] else f"was not read for {age:.0f} s"]
        if any(both):
            yield f"{item['name']}: {'; '.join(filter(None, both))}"


def _show_processes(console: Console, processes: list[dict[str, Any]]) -> None:
    """Show the processes of a gate that has several."""
    for each in processes:
        epoch = "" if each["epoch"] is None else f", epoch {each['epoch']}"
        ready = "ready" if each["ready"] else "NOT READY"
        console.print(f"{each['role']} {each['number']}: {ready}, pid {each['pid']}{epoch}")


def _show_rejections(console: Console, rejections: list[dict[str, str]]) -> None:
    for rejection in rejections:
        refused = f"refused {rejection['file_digest'][:12]}: {rejection['why']}"
        console.print(refused, markup=False, soft_wrap=True)
    if rejections:
        console.print("file, kind, model, key and grant of each: admit verify --evidence FOLDER")


def _grants(grants: list[dict[str, str]]) -> str:
    """Return each role with the effect of its silence: every grant makes an objector."""
    return ", ".join(dict.fromkeys(f"{each['role']}: {each['silence']}" for each in grants))
