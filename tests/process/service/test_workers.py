"""A gate of several processes: one writer, one policy engine, and workers that share the port.

The tests of one gate share it; each leaves it as it was: every process runs and is ready.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from sidecar._pb import ext_authz_pb2_grpc as rpc
from tests.process.service.site import Running, Site, in_the_present
from tests.support.gate.bench import reason_of
from tests.support.gate.requests import as_check_request
from tests.support.simulator.constants import MODEL
from tests.support.site.processes import children, stalled
from tests.support.site.talk import until

WORKERS = 2
PATIENCE_SECONDS = 60.0
HANDSHAKE = "Failed parsing HTTP/2 (Received unexpected settings ack)"
"""How gRPC's own client now and then fails to set up a connection on a busy machine."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patched:
        site = in_the_present(tmp_path_factory.mktemp("workers"), patched, workers=WORKERS)
        with site.start() as running:
            yield running


@pytest.fixture(autouse=True)
def whole(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test ended runs again before the next."""
    yield
    if "gate" in request.fixturenames:
        eventually(lambda: ready(request.getfixturevalue("gate")))


def eventually(found: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not found():
        assert time.monotonic() < end
        time.sleep(0.05)


def status(gate: Running) -> dict[str, Any]:
    return dict(requests.get(f"{gate.metrics}/status", timeout=30).json())


def processes(gate: Running, role: str) -> list[int]:
    return [each["pid"] for each in status(gate)["processes"] if each["role"] == role]


def ready(gate: Running) -> bool:
    """Whether every process does its work, and none of an earlier one is left."""
    try:
        found = status(gate)["processes"]
    except requests.RequestException:
        return False
    roles = sorted(each["role"] for each in found)
    return roles == ["policies", *["worker"] * WORKERS, "writer"] and all(
        each["ready"] for each in found
    )


def counted(gate: Running) -> float:
    """Decisions, as Prometheus reads them."""
    text = requests.get(f"{gate.metrics}/metrics", timeout=30).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "admissibility_decisions_total"
    )


def logged(gate: Running) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gate.decisions.read_text().splitlines()]


@dataclass(frozen=True, slots=True)
class Reply:
    """One call: when it began and ended, and its reason, or the status of its failure."""

    began: float
    ended: float
    reason: str


@dataclass
class Load:
    """Callers that ask without a pause, each over a connection of its own, or a new one a call."""

    gate: Running
    fresh: bool = False
    callers: int = 4
    replies: list[Reply] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[list[Reply]]:
        stop = threading.Event()
        message = as_check_request(credential=self.gate.site.token)
        threads = [
            threading.Thread(target=self._ask, args=(message, stop)) for _ in range(self.callers)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self.replies
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _ask(self, message: Any, stop: threading.Event) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        while not stop.is_set():
            with grpc.insecure_channel(self.gate.listen, options=options) as channel:
                stub = rpc.AuthorizationStub(channel)
                while not stop.is_set():
                    began = time.monotonic()
                    try:
                        # As Envoy does, connect again where a connection is reset.
                        reply = stub.Check(message, timeout=20, wait_for_ready=True)
                        reason = reason_of(reply)
                    except grpc.RpcError as error:
                        if HANDSHAKE in (error.details() or ""):
                            break
                        reason = error.code().name
                    self.replies.append(Reply(began, time.monotonic(), reason))
                    if self.fresh:
                        break

    def more(self, count: int = 40) -> None:
        """Wait for that many further replies."""
        before = len(self.replies)
        eventually(lambda: len(self.replies) >= before + count)


def last(replies: list[Reply], reason: str) -> None:
    """Wait until the last twenty replies have one reason."""
    eventually(lambda: [each.reason for each in replies[-20:]] == [reason] * 20)


def restarted(gate: Running) -> int:
    """How often every process was restarted so far."""
    return gate.log.read_text().count("every process was restarted")


def reasons(replies: list[Reply]) -> Counter[str]:
    return Counter(reply.reason for reply in replies)


def withdraw(site: Site, subject: str = f"openai/{MODEL}") -> None:
    site.world.parties["regulator"].withdraw("model", subject)
    site.publish(site.world.parties["regulator"])


def take_back(gate: Running) -> None:
    gate.site.world.parties["regulator"].withdrawals.clear()
    gate.site.publish(gate.site.world.parties["regulator"])
    with Load(gate, fresh=True).running() as replies:
        eventually(lambda: [each.reason for each in replies[-20:]] == ["admitted"] * 20)


def test_every_call_is_counted_once_and_has_one_line_whoever_answered_it(gate: Running) -> None:
    before, lines = counted(gate), len(logged(gate))
    load = Load(gate, fresh=True)
    with load.running():
        load.more(100)
    assert reasons(load.replies) == {"admitted": len(load.replies)}
    until(lambda: int(counted(gate) - before), len(load.replies))
    ids = [entry["id"] for entry in logged(gate)[lines:]]
    assert (len(ids), len(set(ids))) == (len(load.replies), len(load.replies))


def test_after_one_worker_denied_a_withdrawn_model_no_worker_admits_it(gate: Running) -> None:
    load = Load(gate, fresh=True)
    with load.running() as replies:
        load.more()
        withdraw(gate.site)
        eventually(lambda: "withdrawn" in reasons(replies))
        load.more()
    first = min(reply.ended for reply in load.replies if reply.reason == "withdrawn")
    later = [reply for reply in load.replies if reply.began > first]
    assert len(later) >= 20
    assert reasons(later) == {"withdrawn": len(later)}
    take_back(gate)


def test_a_restart_one_by_one_drops_no_call(gate: Running) -> None:
    before = {role: processes(gate, role) for role in ("writer", "policies", "worker")}
    load = Load(gate)
    with load.running():
        load.more()
        os.kill(gate.pid, signal.SIGHUP)
        eventually(lambda: "every process was restarted" in gate.log.read_text())
        load.more()
    assert reasons(load.replies) == {"admitted": len(load.replies)}
    eventually(lambda: ready(gate))
    for role, pids in before.items():
        assert not {*pids} & {*processes(gate, role)}


def test_a_killed_workers_calls_may_fail_no_other_does_and_no_counter_goes_back(
    gate: Running,
) -> None:
    """Calls that it was answering have no reply: Envoy denies them, and nothing was admitted."""
    load = Load(gate, callers=8)
    with load.running():
        load.more(100)
        time.sleep(0.6)
        victim, before = processes(gate, "worker")[0], counted(gate)
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        eventually(lambda: victim not in processes(gate, "worker") and ready(gate))
        load.more(100)
    found = reasons(load.replies)
    # The kernel closes what the worker had open one after another, so a caller whose connection
    # ended first can meet the port that is about to be closed.
    assert found["UNAVAILABLE"] <= 2 * load.callers
    assert {*found} <= {"admitted", "UNAVAILABLE"}
    assert all(r.began <= killed + 1 for r in load.replies if r.reason == "UNAVAILABLE")
    assert counted(gate) >= before
    lines = Counter(entry["id"] for entry in logged(gate))
    assert max(lines.values()) == 1


def test_without_its_writer_the_workers_go_on_and_a_withdrawal_lands_once_it_is_back(
    gate: Running,
) -> None:
    load = Load(gate, fresh=True)
    with load.running() as replies:
        load.more()
        (writer,) = processes(gate, "writer")
        with stalled(writer):
            load.more()
            withdraw(gate.site)
            os.kill(writer, signal.SIGKILL)
        eventually(lambda: "withdrawn" in reasons(replies))
    assert {*reasons(load.replies)} == {"admitted", "withdrawn"}
    eventually(lambda: ready(gate))
    assert writer not in processes(gate, "writer")
    take_back(gate)


def test_without_the_policies_process_calls_that_need_it_are_denied_until_it_is_back(
    gate: Running,
) -> None:
    (policies,) = processes(gate, "policies")
    load = Load(gate, fresh=True)
    with load.running() as replies:
        os.kill(policies, signal.SIGKILL)
        eventually(lambda: policies not in processes(gate, "policies") and ready(gate))
        eventually(lambda: [each.reason for each in replies[-20:]] == ["admitted"] * 20)
    assert {*reasons(load.replies)} <= {"admitted", "policy_unavailable"}


def test_a_worker_that_hangs_is_not_shown_as_one_that_does_its_work(gate: Running) -> None:
    first, _ = processes(gate, "worker")
    with stalled(first):
        eventually(lambda: not ready(gate))
        idle = [each["pid"] for each in status(gate)["processes"] if not each["ready"]]
        assert idle == [first]
        assert status(gate)["ready"]  # the other one answers
    eventually(lambda: ready(gate))


def test_a_worker_that_stood_still_goes_on_with_what_is_in_force_then(gate: Running) -> None:
    workers = processes(gate, "worker")
    with stalled(workers[0]):
        withdraw(gate.site)
        time.sleep(2)
    load = Load(gate, fresh=True)
    with load.running() as replies:
        eventually(lambda: [each.reason for each in replies[-20:]] == ["withdrawn"] * 20)
    assert processes(gate, "worker") == workers
    take_back(gate)


def test_a_configuration_that_cannot_be_used_restarts_nothing(gate: Running) -> None:
    before, text = status(gate)["processes"], gate.site.config.read_text()
    gate.site.config.write_text("workers: none\n")
    os.kill(gate.pid, signal.SIGHUP)
    eventually(lambda: "nothing is restarted: " in gate.log.read_text())
    gate.site.config.write_text(text)
    assert [each["pid"] for each in before] == [each["pid"] for each in status(gate)["processes"]]


def test_grants_that_the_operator_takes_away_end_with_a_restart_one_by_one(gate: Running) -> None:
    """No call is decided by the grants of one configuration and the evidence of another."""
    text = gate.site.trust.read_text()
    changed = yaml.safe_load(text)
    changed["authorities"] = [each for each in changed["authorities"] if each["name"] != "stranger"]
    (evaluator,) = (each for each in changed["authorities"] if each["name"] == "evaluator")
    evaluator["grants"][0]["models"] = ["openai/another"]
    load = Load(gate, fresh=True)
    with load.running() as replies:
        load.more()
        for now, reason in ((yaml.safe_dump(changed), "preactivation_missing"), (text, "admitted")):
            gate.site.trust.write_text(now)
            restarts = restarted(gate)
            os.kill(gate.pid, signal.SIGHUP)
            last(replies, reason)
            assert until(lambda: restarted(gate), restarts + 1) == restarts + 1
    assert {*reasons(load.replies)} == {"admitted", "preactivation_missing"}


def test_a_gate_beside_another_takes_its_port_and_state_over_without_dropping_a_call(
    tmp_path: Path,
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        site = in_the_present(tmp_path, patched, workers=WORKERS, reuse_port=True)
    with site.start() as first:
        site.configure(listen=first.listen, ready_file="second.json")
        second = Running(site)
        second.log, second._ready = tmp_path / "second.log", tmp_path / "second.json"
        load = Load(first)
        with second.spawn(), load.running():
            load.more()
            eventually(lambda: second.log.read_text().count(" ready\n") == WORKERS)
            assert first.stop() == 0
            eventually(lambda: second.ready)
            last(load.replies, "admitted")
            withdraw(site)
            last(load.replies, "withdrawn")
    assert {*reasons(load.replies)} == {"admitted", "withdrawn"}


def test_an_end_of_the_supervisor_ends_every_process(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patched:
        site = in_the_present(tmp_path, patched, workers=WORKERS)
    with site.start() as running:
        pids = [each["pid"] for each in status(running)["processes"]]
        assert len(pids) == WORKERS + 2
        (policies,) = processes(running, "policies")
        pids += children(policies, "opa")
        assert len(pids) == WORKERS + 3
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_what_is_missing_ends_the_start_with_its_cause(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patched:
        site = in_the_present(tmp_path, patched, workers=WORKERS)
    site.configure(decision_log="/")
    code, text = Running(site).run()
    said = [line for line in text.splitlines() if line.startswith("admit serve: ")]
    assert (code, {*said}) == (2, {"admit serve: decision_log: /: Is a directory"})
