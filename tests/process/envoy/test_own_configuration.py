"""What an operator's own configuration has beside the reference's settings, in a real Envoy.

`docs/operators.md` ("In a configuration of your own") states each of these.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.process.envoy.config import TYPES, host, loaded, manager
from tests.process.envoy.sites import Wired, wire

ORIGIN = "https://app.acme.example"


def changed(change: Callable[[dict[str, Any]], None]) -> str:
    """`jwt.yaml` with a change."""
    config = loaded("jwt")
    change(config)
    return str(yaml.safe_dump(config, sort_keys=False))


def test_one_decision_covers_every_attempt_of_a_call_that_is_retried(tmp_path: Path) -> None:
    def retried(config: dict[str, Any]) -> None:
        host(config)["retry_policy"] = {
            "retry_on": "retriable-status-codes",
            "retriable_status_codes": [200],
            "num_retries": 2,
        }

    with wire("jwt", tmp_path, template=changed(retried)) as wired:
        assert wired.send().status == 200
        attempts = [received.headers["authorization"] for received in wired.provider.received]
        assert (len(wired.gate.asked), len(attempts), len(set(attempts))) == (1, 3, 1)


def test_a_preflight_of_a_listed_origin_is_answered_without_the_gate_and_no_other(
    tmp_path: Path,
) -> None:
    def shared(config: dict[str, Any]) -> None:
        kind = TYPES + "filters.http.cors.v3."
        listed = {"allow_origin_string_match": [{"exact": ORIGIN}], "allow_methods": "POST"}
        host(config)["typed_per_filter_config"] = {
            "envoy.filters.http.cors": {"@type": kind + "CorsPolicy", **listed}
        }
        manager(config)["http_filters"].insert(
            0, {"name": "envoy.filters.http.cors", "typed_config": {"@type": kind + "Cors"}}
        )

    def preflight(wired: Wired, origin: str) -> tuple[str | None, int]:
        wired.reset()
        headers = [("Origin", origin), ("Access-Control-Request-Method", "POST")]
        allowed = wired.send("OPTIONS", headers=headers, body=b"").headers
        return allowed.get("access-control-allow-origin"), len(wired.gate.asked)

    with wire("jwt", tmp_path, template=changed(shared)) as wired:
        assert preflight(wired, ORIGIN) == (ORIGIN, 0)
        assert preflight(wired, "https://other.example") == (None, 1)


def test_without_the_references_local_replies_a_gate_that_is_gone_is_a_bare_503(
    tmp_path: Path,
) -> None:
    def bare(config: dict[str, Any]) -> None:
        del manager(config)["local_reply_config"]

    with wire("jwt", tmp_path, template=changed(bare), gate=1) as wired:
        answer = wired.send()
        assert (answer.status, answer.body, wired.provider.received) == (503, b"", [])
