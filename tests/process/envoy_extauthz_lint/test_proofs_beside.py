"""Ways beside the gate's filter chain are no folklore either: real Envoy takes them.

As in ``test_proofs``, the gate denies everything (unless a test says otherwise), and each change is
one of ``mutations/`` made whole enough to start.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.process.envoy_extauthz_lint.wired import BODY, CALL, INJECTED, allowed, wire
from tests.support.site.envoy import request_bytes
from tests.unit.envoy_extauthz_lint import mutations
from tests.unit.envoy_extauthz_lint.edit import NETWORK, TYPES, Edit


def back_door(edit: Edit, *filters: dict[str, Any]) -> None:
    """One more listener, of which the linter finds something grave to say."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    chain = {"filters": [json.loads(json.dumps(entry)) for entry in filters]}
    listener = {"name": "back-door", "address": address, "filter_chains": [chain]}
    edit.top["static_resources"]["listeners"].append(listener)


def tcp_proxy(cluster: str) -> dict[str, Any]:
    typed = {"@type": f"{NETWORK}tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": cluster}
    return {"name": "tcp", "typed_config": typed}


def without_the_gate(edit: Edit, cluster: str = "provider") -> dict[str, Any]:
    """A connection manager that asks nobody."""
    kind = f"{NETWORK}http_connection_manager.v3.HttpConnectionManager"
    route = {"match": {"prefix": "/"}, "route": {"cluster": cluster}}
    host = {"name": "all", "domains": ["*"], "routes": [route]}
    routes = {"route_config": {"virtual_hosts": [host]}}
    router = json.loads(json.dumps(edit.filters[-1:]))
    return {"@type": kind, "stat_prefix": "b", "http_filters": router, **routes}


def several(edit: Edit) -> None:
    mutations.case.aggregate(edit, "all")
    back_door(edit, {"name": "http", "typed_config": without_the_gate(edit, "all")})


def wrapped(edit: Edit) -> None:
    inner = without_the_gate(edit)
    del inner["@type"]
    kind = f"{NETWORK}reverse_tunnel.v3.DrainAwareHttpConnectionManager"
    back_door(edit, {"name": "http", "typed_config": {"@type": kind, "hcm_config": inner}})


def connected(edit: Edit) -> None:
    edit.another("other", "127.0.0.1")
    kind = f"{NETWORK}set_filter_state.v3.Config"
    state = {
        "object_key": "envoy.tcp_proxy.cluster",
        "format_string": {"text_format_source": {"inline_string": "provider"}},
    }
    entry = {"name": "state", "typed_config": {"@type": kind, "on_new_connection": [state]}}
    back_door(edit, entry, tcp_proxy("other"))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (several, "bypass-without-gate"),
        (wrapped, "bypass-without-gate"),
        (connected, "bypass-client-chooses"),
    ],
)
def test_a_door_beside_the_gate_leads_to_the_provider(
    tmp_path: Path, change: mutations.Change, rule: str
) -> None:
    edit = Edit()
    change(edit)
    assert f"error {rule}" in {" ".join(line.split(" ")[:2]) for line in edit.found()}
    with wire(edit, tmp_path) as wired:
        answer = wired.send(port=wired.port_of("back-door"))
        assert (answer.status, wired.gate.asked) == (200, [])
        assert [(one.target, one.body) for one in wired.provider.received] == [(CALL, BODY)]


def test_a_proxy_of_anything_speaks_http_and_asks_nobody(tmp_path: Path) -> None:
    edit = Edit()
    back_door(edit, mutations.case.generic_proxy("provider"))
    assert {line.split(" ")[1] for line in edit.found()} == {"bypass-tcp"}
    with wire(edit, tmp_path) as wired:
        port = wired.port_of("back-door")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(request_bytes("POST", CALL, body=BODY))
            # It keeps the connection, whatever it was asked for.
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        assert wired.gate.asked == []
        assert [(one.target, one.body) for one in wired.provider.received] == [(CALL, BODY)]


def test_a_cluster_goes_by_its_type_and_not_by_its_name(tmp_path: Path) -> None:
    edit = Edit()
    edit.another("other", "127.0.0.1")
    kind = f"{TYPES}envoy.extensions.clusters.original_dst.v3.OriginalDstCluster"
    typed = {"@type": kind, "use_http_header": True, "http_header_name": "x-to"}
    named = {"name": "of-no-importance", "typed_config": typed}
    chosen = {"name": "chosen", "cluster_type": named, "lb_policy": "CLUSTER_PROVIDED"}
    edit.clusters.append(chosen)
    edit.action["cluster"] = "chosen"
    assert {line.split(" ")[1] for line in edit.found()} == {"bypass-client-chooses"}
    with wire(edit, tmp_path, allowed()) as wired:
        wired.send(headers=[("x-to", f"127.0.0.1:{wired.other.port}")])
        (received,) = wired.other.received
        assert (wired.provider.received, received.headers["authorization"]) == ([], INJECTED)


def test_an_answer_can_tell_the_application_the_providers_key(tmp_path: Path) -> None:
    edit = Edit()
    mutations.key.key_in_an_answer(edit)
    with wire(edit, tmp_path, allowed()) as wired:
        answer = wired.send(headers=[("Authorization", "Bearer of-the-application")])
        assert (answer.status, answer.headers["x-debug"]) == (200, INJECTED)


def test_a_log_has_the_providers_key(tmp_path: Path) -> None:
    edit = Edit()
    mutations.key.key_in_a_log(edit)
    log = tmp_path / "access.log"
    typed = edit.manager["access_log"][0]["typed_config"]
    typed["path"] = str(log)
    typed["log_format"] = {"text_format_source": {"inline_string": "%REQ(AUTHORIZATION)%\n"}}
    with wire(edit, tmp_path, allowed()) as wired:
        wired.send()
    # Written when the request is over, at the latest when Envoy ends.
    assert log.read_text() == f"{INJECTED}\n"
