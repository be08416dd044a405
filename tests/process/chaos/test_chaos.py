"""No answer of real processes is unsafe under faults; the judge of that finds what is."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from random import Random

import pytest

from tests.chaos.editions import BASE_CALL, MODEL_CALL, Asked, Edition, Record
from tests.chaos.play import play
from tests.chaos.proxy import LOSSES, lossy_proxy
from tests.chaos.setups import Setup
from tests.support.nats_server import needs_nats

NEEDED = {MODEL_CALL: ("regulator",), BASE_CALL: ()}
WITHDRAWN = frozenset({MODEL_CALL})


def record(*asked: Asked, expires: float = 99.0) -> Record:
    """The regulator's first edition withdraws nothing, its second the model, its third nothing."""
    made = Record(NEEDED, asked=list(asked))
    made.publish("regulator", Edition(1, 0.0, 99.0, frozenset()))
    made.publish("regulator", Edition(2, 5.0, expires, WITHDRAWN))
    return made


def admitted(began: float, ended: float, question: str = MODEL_CALL) -> Asked:
    return Asked(began, ended, question, "admitted", "d-1")


def test_an_allow_is_unsafe_once_the_withdrawal_was_seen_in_force() -> None:
    made = record(admitted(6, 7), admitted(8, 9), admitted(8, 9, BASE_CALL))
    assert made.unsafe() == []
    made.in_force("regulator", 2, 7.5)
    made.in_force("regulator", 1, 8.5)
    why = "model call at 8.000 s was admitted: regulator withdrew it in version 2, in force before"
    assert made.unsafe() == [why]
    made.publish("regulator", Edition(3, 8.9, 99.0, frozenset()))
    assert made.unsafe() == []
    assert made.expected() == {MODEL_CALL: True, BASE_CALL: True}


def test_an_allow_is_unsafe_once_everything_possible_has_expired() -> None:
    made = Record(NEEDED, asked=[admitted(4, 4), admitted(6, 6), admitted(6, 6, BASE_CALL)])
    made.publish("regulator", Edition(1, 0.0, 5.0, frozenset()))
    why = "model call at 6.000 s was admitted: all metadata of regulator had expired"
    assert made.unsafe() == [why]


@pytest.mark.parametrize(
    ("seed", "setup"),
    [
        (3, Setup("https", opa_by_proxy=True)),
        pytest.param(4, Setup("nats", workers=2, remote_evidence=True), marks=needs_nats),
    ],
    ids=["https, an OPA elsewhere", "nats, several processes, evidence too"],
)
def test_no_answer_is_unsafe_and_the_gate_recovers_by_itself(seed: int, setup: Setup) -> None:
    outcome = play(seed, setup)
    assert outcome.complaints == [], "\n".join(outcome.happened)
    assert outcome.admitted > 0


@pytest.mark.parametrize("how", LOSSES)
def test_a_lossy_proxy_loses_as_it_is_set_and_forwards_again(how: str) -> None:
    """A proxy that forwards everything whatever is set would prove nothing."""
    sent = bytes(range(256)) * 200

    def echo(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, suppress(OSError):
                    client.sendall(client.makefile("rb").read(len(sent)))

    def exchange(port: int) -> bytes:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.settimeout(0.5 if how == "silent" else 30)
            client.sendall(sent)
            return client.makefile("rb").read(len(sent))
        return b""

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        with lossy_proxy(listener.getsockname()[1]) as proxy:
            assert exchange(proxy.port) == sent
            proxy.lose(how, 1)
            if how == "slow":
                proxy.random = Random(2)
                assert exchange(proxy.port) == sent
            elif how != "lossy":  # by chance it forwards everything
                assert exchange(proxy.port) != sent
            proxy.heal()
            assert exchange(proxy.port) == sent
        listener.shutdown(socket.SHUT_RDWR)
