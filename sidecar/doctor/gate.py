"""Checks the running gate: health, status, policies, authorities and evidence."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sidecar.core.window import rfc3339
from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.doctor.http_client import SECONDS, HttpAddress, NoAnswerError, ask
from sidecar.doctor.installation import Installation
from sidecar.doctor.trust_domains import instant, span, trust_domains
from sidecar.formats.amounts import amount
from sidecar.gate.authorization import SERVICE
from sidecar.opa.client import DECISION, HEALTH, Address
from sidecar.trust import config as trust_config
from sidecar.trust.limits import LATE_SECONDS

_START = "Start it: admit serve --config FILE; its log says why it ended."
_ENGINE = ("OPA", "policy engine")
"""Checks whose failure keeps a gate from becoming ready; OPA's own names what is wrong with it."""
_MAX_TOLD = 6
_DEFAULT_POLL_SECONDS = 5.0


def health(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check the gate's health service (grpc.health.v1)."""
    at = str(installation.gate)
    try:
        with grpc.insecure_channel(
            f"unix:{at}" if installation.gate.port is None else at
        ) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=SERVICE), timeout=SECONDS
            )
    except grpc.RpcError as error:
        code = error.code().name if isinstance(error, grpc.Call) else "UNKNOWN"
        return (fail("gate", f"{installation.gate}: no answer ({code})", _START),)
    word = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    if word != "SERVING":
        remedy = "admit status shows the cause."
        return (fail("gate", f"{installation.gate}: {word}", remedy, (*_ENGINE, "readiness")),)
    return (ok("gate", f"{installation.gate}: SERVING"),)


def reported_status(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check readiness, policies, policy engine, authorities and evidence in ``/status``."""
    try:
        reply = ask(installation.status, "/status")
        value = reply.json()
        return tuple(_diagnoses(installation, value, datetime.now(UTC)))
    except NoAnswerError as error:
        return (fail("status", str(error), _START, ("gate",)),)
    except (KeyError, TypeError, ValueError, AttributeError):
        return (fail("status", f"{installation.status}: not a gate's status", "Check `metrics`."),)


def engine(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check OPA itself, if it is not managed by the gate: it answers, with the expected policies.

    A question without facts is denied, with the revision of the policies that denied it.
    """
    remote = None if installation.config is None else installation.config.opa.remote
    if remote is None:
        return ()
    try:
        status = ask(_where(remote), HEALTH).status
    except NoAnswerError as error:
        return (fail("OPA", str(error), "Start OPA, or correct opa.address."),)
    if status != 200:
        return (fail("OPA", f"{remote.url}: {status}", "Its bundle is not loaded; see its log."),)
    return (_served(remote),)


def _served(remote: Address) -> Diagnosis:
    """Compare the policies that an OPA serves with those that the gate expects of it."""
    headers = {"Content-Type": "application/json"}
    try:
        reply = ask(_where(remote), DECISION, method="POST", headers=headers, body=b'{"input":{}}')
        revision = reply.json()["result"]["revision"]
    except (NoAnswerError, KeyError, TypeError):
        why = f"{remote.url} has no answer at {DECISION.partition('?')[0]}: every call is denied"
        return fail("OPA", why, "Load a bundle of the gate's policies (admit policy build).")
    if revision != remote.revision:
        why = f"{remote.url} serves policies {revision}; the gate denies every call"
        expected = f"opa.revision expects {remote.revision}: load that bundle, or correct it."
        return fail("OPA", why, expected)
    return ok("OPA", f"{remote.url} answers, with policies {revision}")


def _where(remote: Address) -> HttpAddress:
    if remote.socket is not None:
        return HttpAddress(remote.socket, None)
    return HttpAddress(*remote.host)


def _diagnoses(
    installation: Installation, value: dict[str, Any], now: datetime
) -> Iterator[Diagnosis]:
    yield _readiness(value)
    if not value.get("decision_log", {}).get("writable", True):
        yield fail(
            "records",
            "the gate cannot write its decision log: every call is denied",
            "Make room, correct the folder, or start what reads the pipe; the gate goes on by "
            "itself.",
            ("decision log",),
        )
    yield from _processes(value.get("processes", []))
    yield from _policies(value["policy"])
    yield from _authorities(value["authorities"], now, _poll(installation))
    yield from trust_domains(value["trust_domains"], now)
    yield from _idle_grants(value.get("idle_grants", []))
    yield from _wide_sandboxes(value.get("wide_sandboxes", []))
    yield from _evidence(value)


def _readiness(value: dict[str, Any]) -> Diagnosis:
    theirs, ours = value["version"], version("admissibility-sidecar")
    if not value["ready"]:
        why = "; ".join(value.get("not_ready", [])) or "no cause is stated"
        follows = _ENGINE if "policy engine" in why else ()
        return fail("readiness", f"not ready: {why}", "The gate's log has more about it.", follows)
    if theirs != ours:
        return warn("readiness", f"ready, version {theirs}; this is {ours}", "Run one version.")
    return ok("readiness", f"ready, version {theirs}, trust epoch {value['epoch']}")


def _processes(entries: list[dict[str, Any]]) -> Iterator[Diagnosis]:
    """Check the processes of a gate that has several."""
    if not entries:
        return
    idle = [
        f"{each['role']} {each['number']} (silent for {each['silent_seconds']:.0f} s)"
        for each in entries
        if not each["ready"]
    ]
    workers = [each for each in entries if each["role"] == "worker"]
    if idle:
        yield warn(
            "processes",
            f"not ready: {', '.join(idle)}",
            "The supervisor restarts what ends or hangs; the gate's log says why it does.",
        )
    else:
        epochs = ", ".join(map(str, sorted({each["epoch"] for each in workers})))
        yield ok("processes", f"{amount(len(workers), 'worker')}, at epoch {epochs}")


def _policies(policy: dict[str, Any]) -> Iterator[Diagnosis]:
    if policy["up"]:
        yield ok("policy engine", "OPA answers the gate")
    else:
        yield fail(
            "policy engine",
            "OPA does not answer the gate",
            "The gate restarts a managed OPA; see its log. Start an OPA at an address yourself.",
            ("OPA",),
        )
    if policy["error"] is None:
        yield ok("policies", policy["revision"] or "no revision yet")
    else:
        yield warn(
            "policies",
            f"newer ones are not in force: {policy['error']}",
            "Correct them; the last good ones stay in force.",
        )


def _poll(installation: Installation) -> timedelta:
    seconds = _DEFAULT_POLL_SECONDS
    if installation.config is not None:
        with suppress(trust_config.TrustConfigError):  # reported by the check of trust.yaml
            seconds = trust_config.load(installation.config.trust).poll_seconds
    return timedelta(seconds=seconds)


def _authorities(
    entries: list[dict[str, Any]], now: datetime, poll: timedelta
) -> Iterator[Diagnosis]:
    problems = [found for entry in entries if (found := _problem(entry, now, poll)) is not None]
    yield from problems[:_MAX_TOLD]
    if len(problems) > _MAX_TOLD:
        more = len(problems) - _MAX_TOLD
        yield fail("authorities", f"{more} more are in trouble", "admit status names them.")
    if not problems:
        first = min(entries, key=lambda entry: instant(entry["expires"]))
        yield ok(
            "authorities",
            f"{len(entries)} fresh; the first to end is {first['name']},"
            f" at {first['expires']} ({span(instant(first['expires']) - now)})",
        )


def _problem(entry: dict[str, Any], now: datetime, poll: timedelta) -> Diagnosis | None:
    name, error = f"authority {entry['name']}", entry["error"]
    publish = _unless_full(error, "Have the authority publish again (admit authority publish).")
    if entry["expires"] is None:
        return fail(
            name,
            error or "was not read yet",
            "Correct its source in trust.yaml, or have it publish (admit authority publish).",
            (f"source {entry['name']}",),
        )
    expires = instant(entry["expires"])
    if expires <= now:
        return fail(name, f"ended at {rfc3339(expires)}: what relies on it is denied", publish)
    left = span(expires - now)
    if (
        entry.get("stale") is not None
    ):  # the gate itself reports that it denies, however much time is left
        why = entry["stale"] if error is None else f"{entry['stale']} ({error})"
        found = f"is stale: it {why}; what relies on it is denied"
        denies = any(grant["silence"] == "denies" for grant in entry.get("grants", ()))
        return fail(name, found, publish) if denies else warn(name, found, publish)
    if error is not None:
        return warn(name, f"cannot be refreshed ({error}); ends in {left}", publish)
    return _lateness(name, entry, expires - now, poll, publish)


def _lateness(
    name: str, entry: dict[str, Any], left: timedelta, poll: timedelta, publish: str
) -> Diagnosis | None:
    """Warn of an authority that is fresh, and is read too late or ends too soon."""
    late = entry.get("age_seconds", 0.0)
    if late > max(LATE_SECONDS, 2 * poll.total_seconds()):
        return warn(
            name,
            f"was last read {late:.0f} s ago: a withdrawal since then is not in force",
            "Its source hangs, such as a dead network file system: mend it, or restart the gate.",
        )
    if left < 2 * poll:
        return warn(name, f"ends in {span(left)}, in less than two poll intervals", publish)
    return None


def _unless_full(problem: str | None, remedy: str) -> str:
    """Return the remedy of a problem, which is another one where the gate's disk is full."""
    if os.strerror(errno.ENOSPC) not in (problem or ""):
        return remedy
    return "Make room on the disk of the gate's state folder; the gate goes on by itself."


def _idle_grants(entries: list[dict[str, Any]]) -> Iterator[Diagnosis]:
    """Warn of grants by which an authority can object to nothing."""
    for item in entries[:_MAX_TOLD]:
        yield warn(
            f"grants of {item['authority']}",
            f"grants.{item['grant']}.{item['why']}, so its withdrawals count for no call there",
            "Correct it in trust.yaml, unless the environment is yet to be declared.",
        )


def _wide_sandboxes(entries: list[dict[str, Any]]) -> Iterator[Diagnosis]:
    """Warn of grants by which a customer alone can make a sandbox of an environment."""
    for item in entries[:_MAX_TOLD]:
        yield warn(
            f"sandbox of {item['authority']}",
            f"grants.{item['grant']}.{item['why']}: declared for evaluation, it would call models "
            "that nobody evaluated",
            "Name the evaluator's own environments in trust.yaml.",
        )


def _evidence(value: dict[str, Any]) -> Iterator[Diagnosis]:
    evidence, roots = value["evidence"], value["credential_problems"]
    if roots:
        yield warn(
            "evidence", f"credential roots: {roots[0]}", "Have the customer correct and publish it."
        )
    if evidence["rejected"]:
        why = evidence["rejections"][0]["why"]
        yield warn(
            "evidence",
            f"{amount(evidence['rejected'], 'file')} refused; the first: {why}",
            "admit verify --evidence FOLDER names each file, its kind, model and key, and the "
            "grant that it lacks; grant that, or remove the file.",
        )
    for problem in evidence["problems"][:1]:
        yield warn(
            "evidence",
            f"cannot be read by the gate: {problem}",
            _unless_full(
                problem,
                "Give the folder and its files to the gate's user; what was verified before stays.",
            ),
        )
    if evidence["waiting"]:
        yield warn(
            "evidence",
            f"{amount(evidence['waiting'], 'file')} of unknown signers not verified yet",
            "Remove files that are not the installation's, or limit who may write to the folder.",
        )
    if not roots and not any(evidence[key] for key in ("rejected", "problems", "waiting")):
        yield ok("evidence", f"{amount(evidence['manifests'], 'manifest')}; no file refused")
