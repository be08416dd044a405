"""A restart forgets nothing that was verified: an older word of an authority stays older."""

from __future__ import annotations

import fcntl
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from admissibility_devtools.demo.authorities import REGULATOR, now
from sidecar.authority import home as authority
from sidecar.core.documents import WithdrawalKind
from sidecar.service import clock_floor
from tests.support.site.site import Site
from tests.support.site.talk import Verdict, until

ADMITTED = (200, "admitted")
WITHDRAWN = (403, "withdrawn")


class Mirror:
    """A copy of the regulator's repository that somebody between it and the gate controls."""

    def __init__(self, site: Site) -> None:
        self.home = site.organisations.homes[REGULATOR]
        self.folder = site.folder / "mirror"
        self.kept = site.folder / "kept"
        site.entry(REGULATOR)["source"] = {"directory": str(self.folder)}
        self.follow()
        shutil.copytree(self.folder, self.kept)

    def follow(self) -> None:
        """Show what the regulator publishes now."""
        shutil.copytree(self.home.repository, self.folder, dirs_exist_ok=True)

    def roll_back(self, names: list[str]) -> None:
        """Show what it published at first: these files, or everything and nothing newer."""
        if not names:
            shutil.rmtree(self.folder)
            shutil.copytree(self.kept, self.folder)
        for name in names:
            shutil.copy(self.kept / name, self.folder / name)


def told(site: Site) -> dict[str, Any]:
    """The version that holds, and whether the last refresh failed."""
    found = site.standing(REGULATOR)
    return {"version": found["version"], "failing": found["error"] is not None}


@pytest.mark.parametrize(
    "names", [["metadata/timestamp.json"], []], ids=["only the timestamp", "everything"]
)
def test_a_repository_that_was_rolled_back_is_refused_after_a_restart(
    site: Site, names: list[str]
) -> None:
    mirror = Mirror(site)
    site.start().front()
    assert site.talk.verdict() == ADMITTED
    digest = site.stand.manifest.digest
    done = authority.withdraw(mirror.home, WithdrawalKind.MANIFEST, digest, "unfit", None, now())
    mirror.follow()
    assert until(site.talk.verdict, WITHDRAWN) == WITHDRAWN
    assert site.stop_gate() == 0

    mirror.roll_back(names)
    restart(site)
    assert (site.talk.verdict(), told(site)) == (
        WITHDRAWN,
        {"version": done.publication.version, "failing": True},
    )

    mirror.follow()
    expected = {"version": done.publication.version, "failing": False}
    assert until(lambda: told(site), expected) == expected
    assert site.talk.verdict() == WITHDRAWN
    authority.reinstate(mirror.home, WithdrawalKind.MANIFEST, digest, now())
    mirror.follow()
    assert until(site.talk.verdict, ADMITTED) == ADMITTED


def test_a_source_that_is_gone_after_a_restart_leaves_the_last_word_standing(site: Site) -> None:
    mirror = Mirror(site)
    digest = site.stand.manifest.digest
    done = authority.withdraw(mirror.home, WithdrawalKind.MANIFEST, digest, "unfit", None, now())
    mirror.follow()
    site.start().front()
    assert site.talk.verdict() == WITHDRAWN
    site.stop_gate()
    shutil.rmtree(mirror.folder)
    restart(site)
    assert (site.talk.verdict(), told(site)) == (
        WITHDRAWN,
        {"version": done.publication.version, "failing": True},
    )


def test_a_state_that_was_thrown_away_is_built_anew_from_the_pinned_roots(site: Site) -> None:
    site.start().front()
    before = versions(site)
    site.stop_gate()
    shutil.rmtree(site.folder / "state")
    restart(site)
    assert (versions(site), site.talk.verdict()) == (before, ADMITTED)


def versions(site: Site) -> dict[str, int]:
    return {item["name"]: item["version"] for item in site.status()["authorities"]}


def test_a_damaged_state_is_not_guessed(site: Site) -> None:
    """The floor below which nothing may fall cannot be read: the authority counts for nothing."""
    site.start().front()
    site.stop_gate()
    seen = site.folder / "state" / REGULATOR / "seen.json"
    seen.write_bytes(seen.read_bytes()[:-3])
    restart(site)
    status = site.standing(REGULATOR)
    assert (status["version"], f"{seen} is damaged" in status["error"]) == (None, True)
    assert site.talk.verdict() == (403, "approval_missing")


def test_a_clock_that_was_set_back_brings_nothing_back(site: Site) -> None:
    site.start().front()
    assert site.talk.verdict() == ADMITTED
    site.stop_gate()
    state = site.folder / "state"
    relied_on = clock_floor.load(state)
    assert relied_on > 0
    clock_floor.keep(state, relied_on + 3600)  # as if the clock had been an hour further
    restart(site)
    mark = len(site.stand.stage.upstream.received)
    assert site.talk.verdict() == (503, "clock_unreliable")
    assert len(site.stand.stage.upstream.received) == mark
    site.stop_gate()
    (state / clock_floor.NAME).unlink()
    restart(site)
    assert site.talk.verdict() == ADMITTED


def _withdrawn_while_down(site: Site) -> None:
    """Admit once, stop the gate, and have the regulator withdraw the manifest meanwhile."""
    site.start().front()
    assert site.talk.verdict() == ADMITTED
    site.stop_gate()
    home, digest = site.organisations.homes[REGULATOR], site.stand.manifest.digest
    authority.withdraw(home, WithdrawalKind.MANIFEST, digest, "unfit", None, now())
    site.settings["listen"] = site.listen
    site.write()


def test_law_1_what_was_withdrawn_while_the_gate_was_down_is_never_admitted(site: Site) -> None:
    """The regulator's first refresh is held up: what was kept of it knows no withdrawal yet."""
    _withdrawn_while_down(site)
    with (site.folder / "state" / REGULATOR / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        site.gate.spawn().await_listening()
        until(site.talk.verdict, (503, "trust_stale"))  # Envoy's first connection to the new gate
        assert {site.talk.verdict() for _ in range(20)} == {(503, "trust_stale")}
    before = set()
    while (found := site.talk.verdict()) != WITHDRAWN:
        before.add(found)
        assert before == {(503, "trust_stale")}


def test_law_1_under_load_a_start_answers_503_and_then_the_withdrawal(site: Site) -> None:
    """Eight clients in a loop from before the start on; nothing holds the refresh up."""
    _withdrawn_while_down(site)
    reached, ended = len(site.talk.upstream.received), threading.Event()

    def client() -> list[Verdict]:
        found = [site.talk.verdict()]
        while not ended.is_set():
            if (verdict := site.talk.verdict()) != found[-1]:
                found.append(verdict)
        return found

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(client) for _ in range(8)]
        try:
            site.start()
            last = until(site.talk.verdict, WITHDRAWN)
        finally:
            ended.set()
        seen = [each.result() for each in clients]
    assert last == WITHDRAWN
    # Without a gate Envoy answers 503 itself; no other refusal is final, and nothing is admitted.
    assert {status for found in seen for status, _ in found} == {503, 403}
    assert {verdict for found in seen for verdict in found if verdict[0] == 403} == {WITHDRAWN}
    assert all(found == sorted(found, reverse=True) for found in ([v[0] for v in f] for f in seen))
    assert len(site.talk.upstream.received) == reached


def restart(site: Site) -> None:
    """The same gate on the same port again, behind the same Envoy."""
    site.settings["listen"] = site.listen
    site.start()
    site.talk.call()  # Envoy's first connection to the new gate
