"""Mistakes about the gate in what a control plane made, which the seal must make up for."""

from __future__ import annotations

from collections.abc import Callable

from admissibility_devtools.tools.envoy_config import nodes
from tests.process.kubernetes.runnable import Config, snake

EXT_AUTHZ = "envoy.filters.http.ext_authz"
Mistake = Callable[[Config], None]


def _fail_open(dump: Config) -> None:
    """The gate's filter lets pass what it could not ask about."""
    for node in nodes(dump):
        if node.get("@type", "").endswith(".ExtAuthz"):
            node["failure_mode_allow"] = True


def _disabled(dump: Config) -> None:
    """No route asks the gate."""
    for node in nodes(dump):
        if node.get("@type", "").endswith(".ExtAuthzPerRoute"):
            node.pop("check_settings")
            node["disabled"] = True


def _absent(dump: Config) -> None:
    """The gate's filter is not there."""
    for node in nodes(dump):
        if "http_filters" in node:
            node["http_filters"] = [one for one in node["http_filters"] if one["name"] != EXT_AUTHZ]


MISTAKES: dict[str, Mistake] = {
    "fail-open": _fail_open,
    "disabled on every route": _disabled,
    "not there": _absent,
}


def mistaken(dump: Config, mistake: str) -> Config:
    """A dump with a mistake; it changes the dump, or the mistake could not be made."""
    wrong: Config = snake(dump)
    before = snake(dump)
    MISTAKES[mistake](wrong)
    assert wrong != before
    return wrong
