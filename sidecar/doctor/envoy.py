"""Checks Envoy through its admin interface: readiness, version, ext_authz and cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.doctor.http_client import HttpAddress, NoAnswerError, ask
from sidecar.doctor.installation import Installation
from sidecar.formats.amounts import amount
from sidecar.resources.versions import ENVOY

_STATS = "/stats?format=json&filter=" + quote(r"^http\..*\.ext_authz\.")
_SEAL_STATS = "/stats?format=json&filter=" + quote(r"^http\..*\.(ext_authz|rbac\.seal)\.")
_SEAL_REMEDY = (
    "Put the RBAC filter of envoy/jwt.yaml (rules_stat_prefix: seal) directly behind ext_authz."
)
_NAMES = ("ok", "denied", "error", "failure_mode_allowed", "disabled")
_SHADOWS = ("shadow_denied", "shadow_error")
_ENVOY = ("Envoy",)
_GATE = ("gate",)
_LINT = "Compare it with the reference configurations under envoy/."


def running(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check that Envoy is ready, and of the tested version."""
    try:
        ready = ask(installation.admin, "/ready")
        report = ask(installation.admin, "/server_info").json()
        version = str(report["version"]).split("/")[1]
    except NoAnswerError as error:
        return (fail("Envoy", str(error), "Start Envoy, or correct --envoy-admin."),)
    except (KeyError, TypeError, IndexError):
        return (
            fail(
                "Envoy",
                f"{installation.admin} is not an Envoy that reports its version",
                "Correct --envoy-admin; its allow_paths must permit /server_info.",
            ),
        )
    state = ready.body.decode("utf-8", errors="replace").strip()
    if ready.status != 200:
        return (fail("Envoy", f"{version} is not ready: {state}", "See its log."),)
    if version.split(".")[:2] != ENVOY.split(".")[:2]:
        return (warn("Envoy", f"{version}, tested with {ENVOY}", f"Run Envoy {ENVOY}."),)
    return (ok("Envoy", f"{version} is {state} at {installation.admin}"),)


def asks_the_gate(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check the counters of ext_authz: no request was forwarded without a response."""
    try:
        counted = _counters(ask(installation.admin, _STATS).json())
    except NoAnswerError as error:
        remedy = "Correct --envoy-admin; permit /stats there."
        return (fail("ext_authz", str(error), remedy, _ENVOY),)
    except (KeyError, TypeError, ValueError):
        return (fail("ext_authz", "no statistics", "Permit /stats in admin.allow_paths."),)
    if not counted:
        return (fail("ext_authz", "no listener has the filter: nothing is checked", _LINT),)
    numbers = ", ".join(f"{name} {counted.get(name, 0)}" for name in _NAMES[:3])
    if counted.get("failure_mode_allowed"):
        return (
            fail(
                "ext_authz",
                f"{amount(counted['failure_mode_allowed'], 'request')} went on without an answer;"
                f" {numbers}",
                "Set failure_mode_allow: false.",
            ),
        )
    shadow = sum(counted.get(name, 0) for name in _SHADOWS)
    if shadow or counted.get("disabled"):
        return (
            fail(
                "ext_authz",
                f"{amount(shadow, 'request')} judged in shadow mode only, "
                f"{counted.get('disabled', 0)} while disabled; {numbers}",
                "Unset shadow_mode; set filter_enabled to 100 % and deny_at_disable.",
            ),
        )
    return (ok("ext_authz", f"{numbers}; none passed unasked"),)


def seal(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check that every listener has the seal (RBAC), and that it denied no request."""
    try:
        counted = ask(installation.admin, _SEAL_STATS).json()["stats"]
        counters = {str(one["name"]): int(one["value"]) for one in counted if one.get("name")}
    except NoAnswerError as error:
        remedy = "Correct --envoy-admin; permit /stats there."
        return (fail("seal", str(error), remedy, _ENVOY),)
    except (KeyError, TypeError, ValueError):
        return (fail("seal", "no statistics", "Permit /stats in admin.allow_paths.", _ENVOY),)
    sealed = {name.partition(".rbac.seal.")[0] for name in counters if ".rbac.seal." in name}
    asking = {name.partition(".ext_authz.")[0] for name in counters if ".ext_authz." in name}
    if missing := sorted(asking - sealed):
        return (warn("seal", f"{', '.join(missing)} has ext_authz and no seal", _SEAL_REMEDY),)
    if not sealed:
        return (warn("seal", "no listener has a seal", _SEAL_REMEDY),)
    denied = sum(count for name, count in counters.items() if name.endswith(".rbac.seal.denied"))
    if denied:
        return (
            warn(
                "seal",
                f"{amount(denied, 'request')} that the gate did not admit ended at the seal",
                "ext_authz is missing, disabled, failing open or in shadow mode somewhere: run "
                "`admit envoy lint`.",
            ),
        )
    return (ok("seal", "behind ext_authz; no request needed it"),)


def cluster(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check that one of Envoy's clusters leads to the gate, and is healthy."""
    try:
        value = ask(installation.admin, "/clusters?format=json").json()
        hosts = list(_hosts(value, installation.gate))
    except NoAnswerError as error:
        remedy = "Permit /clusters in admin.allow_paths."
        return (fail("gate cluster", str(error), remedy, _ENVOY),)
    except (KeyError, TypeError, ValueError, AttributeError):
        return (fail("gate cluster", "no list of clusters", "Permit /clusters there."),)
    if not hosts:
        return (
            fail(
                "gate cluster",
                f"no cluster leads to the gate's {_end(installation.gate)}",
                "Correct the address of the cluster that grpc_service names.",
                _GATE,
            ),
        )
    for name, health in hosts:
        sick = sorted(key for key, value in health.items() if value is True)
        if sick or health.get("eds_health_status", "HEALTHY") != "HEALTHY":
            seen = f"{name}: {', '.join(sick) or health}"
            return (fail("gate cluster", seen, "See the gate.", _GATE),)
    name = hosts[0][0]
    return (ok("gate cluster", f"{name} leads to {_end(installation.gate)}, healthy"),)


def _counters(value: dict[str, Any]) -> dict[str, int]:
    """Return the summed counters of every ext_authz filter in an HTTP listener."""
    counted: dict[str, int] = {}
    for stat in value["stats"]:
        name = stat.get("name", "").rpartition(".")[2]
        if name:
            counted[name] = counted.get(name, 0) + int(stat["value"])
    return counted


def _hosts(value: dict[str, Any], gate: HttpAddress) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in value["cluster_statuses"]:
        for host in each.get("host_statuses", []):
            address = host["address"]
            port = address.get("socket_address", {}).get("port_value")
            pipe = address.get("pipe", {}).get("path")
            if (pipe == gate.host) if gate.port is None else (port == gate.port):
                yield each["name"], host.get("health_status", {})


def _end(gate: HttpAddress) -> str:
    """Return port or socket path: in a container, the address may be another one."""
    return f"socket {gate.host}" if gate.port is None else f"port {gate.port}"
