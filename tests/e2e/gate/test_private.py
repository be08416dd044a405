"""What only its owner may read or reach, on a stage as it is left running."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from admissibility_devtools.demo.authorities import UNLISTED_BASE
from sidecar.doctor.diagnosis import ok
from sidecar.doctor.examine import examine
from sidecar.doctor.installation import find_installation
from tests.support.site.site import Site
from tests.support.site.stand import Stand
from tests.support.site.talk import told


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_private_keys_credentials_and_state_are_the_owners_alone(stand: Stand) -> None:
    folder = stand.stage.folder
    keys = [path for path in folder.rglob("*.pem") if b"PRIVATE KEY" in path.read_bytes()]
    # Four of each authority, the customer's for its trust domains, and the gate's for its status.
    assert len(keys) == 4 * len(stand.stage.organisations.homes) + 2
    private = [*keys, folder / "provider-credential.yaml", folder / "decisions.jsonl"]
    assert {path.name: mode(path) for path in private if mode(path) != 0o600} == {}
    assert mode(folder / "state") == 0o700


def test_the_policy_engines_socket_is_the_gates_alone(stand: Stand) -> None:
    socket = Path(stand.stage.opa_socket.removeprefix("unix://"))
    assert (socket.is_socket(), mode(socket), mode(socket.parent)) == (True, 0o600, 0o700)


def test_a_gate_on_a_socket_is_asked_by_envoy_and_open_to_nobody_else(
    site: Site, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On loopback the application could ask the gate itself, in anybody's name."""
    path = tmp_path_factory.mktemp("s") / "gate.sock"
    site.settings["listen"] = f"unix://{path}"
    site.start().front()
    assert (path.is_socket(), mode(path)) == (True, 0o600)
    talk = site.talk
    assert talk.verdict() == (200, "admitted")
    assert told(talk.call(talk.body(model=UNLISTED_BASE))) == (403, "base_model_not_listed")
    assert site.envoy is not None
    host, port = site.envoy.admin
    found = {
        one.name: (one.detail, one.state)
        for one in examine(
            find_installation(
                site.folder / "sidecar.yaml",
                envoy_admin=f"{host}:{port}",
                gateway=site.envoy.url,
            )
        )
    }
    sound = ok("", "").state
    assert found["gate"] == (f"{path}: SERVING", sound)
    assert found["gate cluster"] == (f"gate leads to socket {path}, healthy", sound)
    site.stop_gate()
    site.start()
    assert talk.verdict() == (200, "admitted")


def test_no_secret_is_in_what_the_gate_and_envoy_write_down(site: Site) -> None:
    site.start().front()
    talk = site.talk
    secret, token = b"hunter2-of-the-user", dict(talk.credential)["x-environment-credential"]
    talk.call(talk.body(user=secret.decode()))
    talk.call(b'{"model": 1, "user": "%s"}' % secret)
    denied = talk.call(talk.body(user=secret.decode()), target="/v1/embeddings")
    site.decision(denied.headers["x-admissibility-decision-id"])
    assert site.envoy is not None
    site.envoy.stop()
    site.stop_gate()
    written = b"".join(p.read_bytes() for p in (site.gate.log, site.gate.decisions, site.envoy.log))
    hidden = (secret, token.encode(), talk.upstream.api_key.encode())
    assert len(written) > 0
    assert [value for value in hidden if value in written] == []
