"""The machinery of histories: what is drawn replays, and a fault is found and shrunk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.laws import check, universe
from tests.support.laws.history import Add, Lose, Rotate, TakeBack
from tests.support.laws.laws import Watch
from tests.support.laws.nouns import Withdrawal
from tests.support.laws.ruling import No, Ruling
from tests.support.laws.universe import PROD
from tests.unit.laws.scene import PARENT_IN_PROD, Scene


def test_a_seed_draws_the_same_history_again() -> None:
    first, second = check.play(11), check.play(11)
    assert first.operations == second.operations
    assert check.play(11, first.operations).operations == first.operations


def test_a_fault_is_found_shrunk_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(ruling: Ruling, found: object) -> str | None:
        return None if ruling.admitted else "denied"

    monkeypatch.setattr(check, "_difference", wrong)
    (text,) = check.search(range(40), most=1)
    lines = text.splitlines()
    assert lines[0].startswith("seed ")
    assert lines[-1] == "  denied"
    assert len(lines) <= 5


def test_the_watch_sees_a_denial_that_a_lost_file_ended() -> None:
    scene, watch = Scene(), Watch()
    no, yes = Ruling(False, 6, "withdrawn"), Ruling(True, 8, "admitted")
    assert watch.broken(scene.run, PARENT_IN_PROD, None, no) is None
    assert "law 2" in (watch.broken(scene.run, PARENT_IN_PROD, Lose("ab"), yes) or "")
    assert watch.broken(scene.run, PARENT_IN_PROD, Lose("ab"), yes) is None
    said = frozenset({("eu-a", Withdrawal("corpus", "ab"))})
    watch.broken(scene.run, PARENT_IN_PROD, Lose("ab"), replace(no, noes=said))
    anew = universe.signed_item(scene.run.world, universe.declaration(PROD, ("us",)), ("acme",))
    redeclared = Add("acme declares", anew)
    assert "law 5" in (watch.broken(scene.run, PARENT_IN_PROD, redeclared, yes) or "")
    watch.broken(scene.run, PARENT_IN_PROD, Lose("ab"), no)
    assert "law 1" in (watch.broken(scene.run, PARENT_IN_PROD, Rotate("a", "a/2", None), yes) or "")


def test_the_watch_sees_a_denial_by_policy_that_a_lost_file_ended() -> None:
    scene, watch = Scene(), Watch()
    no, yes = Ruling(False, 8, "jurisdiction_denied"), Ruling(True, 8, "admitted")
    for operation in (None, Rotate("a", "a/2", None), Lose("ab")):
        assert watch.broken_by_files(PARENT_IN_PROD, operation, no) is None
    lost = watch.broken_by_files(PARENT_IN_PROD, Lose("ab"), yes)
    assert lost == "law 2: Lose made a policy allow what it denied: jurisdiction_denied"
    assert watch.broken_by_files(PARENT_IN_PROD, Lose("ab"), yes) is None
    watch.broken_by_files(PARENT_IN_PROD, None, no)
    said = universe.signed_item(scene.run.world, universe.declaration(PROD, ("us",)), ("acme",))
    assert watch.broken_by_files(PARENT_IN_PROD, Add("acme declares", said), yes) is None


def test_the_watch_sees_a_no_that_somebody_else_unsaid() -> None:
    """What stands against a signer that is not relied on is not unsaid; all else is."""
    scene = Scene()
    to_key, to_corpus = Withdrawal("key", "eu-b/1"), Withdrawal("corpus", "ab")
    stands = frozenset({("eu-a", to_key)})
    no = Ruling(False, 6, "withdrawn")
    yes = Ruling(True, 8, "admitted", objectors=frozenset({"eu-a"}))

    def after(operation: TakeBack, then: frozenset[No], now: frozenset[No] = frozenset()) -> str:
        watch = Watch()
        watch.broken(scene.run, PARENT_IN_PROD, None, replace(no, noes=then))
        return watch.broken(scene.run, PARENT_IN_PROD, operation, replace(yes, noes=now)) or ""

    stranger, author = TakeBack("us-a", to_key), TakeBack("eu-a", to_key)
    assert "law 1: the noes of ['eu-a'] were unsaid" in after(stranger, stands)
    assert (after(stranger, stands, stands), after(author, stands)) == ("", "")
    to_lineage = frozenset({("eu-a", to_corpus)})
    assert "['eu-a'] to its lineage are in force" in after(stranger, stands, to_lineage)
    its_own = frozenset({("acme-ml", Withdrawal("manifest", "cd"))})  # which another one signed too
    assert after(stranger, its_own, its_own) == ""
