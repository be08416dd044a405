"""The score of ``make mutants``: only a failing test kills, and every survivor is accounted for."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.mutants import survivors
from tests.mutants.report import Report
from tests.mutants.survey import (
    Change,
    Outcome,
    Score,
    change,
    function_of,
    module_of,
    outcome,
    sample,
    scores,
    without_spinner,
)

HOLDS = "sidecar.core.window.xǁWindowǁholds__mutmut_3"
RFC3339 = "sidecar.core.window.x_rfc3339__mutmut_12"
KEYS = [f"sidecar.core.keys.x_from_pem__mutmut_{n}" for n in range(1, 9)]
JWT = [f"sidecar.identity.jwt_svid.x__parse__mutmut_{n}" for n in range(1, 9)]
DIFF = """# sidecar.core.window.xǁWindowǁholds__mutmut_3: survived
--- sidecar/core/window.py
+++ sidecar/core/window.py
@@ -1,3 +1,3 @@
     def holds(self, now: datetime) -> bool:
         \"\"\"Tell whether ``now`` lies in the window.\"\"\"
-        return self.not_before <= now < self.not_after
+        return self.not_before <= now <= self.not_after
"""
CHANGE = Change(
    "sidecar.core.window.Window.holds",
    "return self.not_before <= now < self.not_after",
    "return self.not_before <= now <= self.not_after",
)
ENTRY = f"""
[[survivor]]
function = "{CHANGE.function}"
old = "  {CHANGE.old}"
new = '''
{CHANGE.new}
'''
reason = "why not"
"""


def test_a_name_gives_its_module_and_its_function() -> None:
    assert [(module_of(n), function_of(n)) for n in (HOLDS, RFC3339, JWT[0])] == [
        ("sidecar.core.window", "sidecar.core.window.Window.holds"),
        ("sidecar.core.window", "sidecar.core.window.rfc3339"),
        ("sidecar.identity.jwt_svid", "sidecar.identity.jwt_svid._parse"),
    ]


@pytest.mark.parametrize("name", ["", "sidecar.core.window.holds", "sidecar.core.x_f__mutmut_a"])
def test_what_is_no_mutants_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a mutant"):
        function_of(name)


def test_only_a_failing_test_or_the_limit_of_time_kills() -> None:
    assert {status: outcome(status) for status in (None, -11, -9, 0, 1, 2, 3, 5, 24, 33, 36)} == {
        None: Outcome.UNDECIDED,
        -11: Outcome.UNDECIDED,
        -9: Outcome.UNDECIDED,
        0: Outcome.SURVIVED,
        1: Outcome.KILLED,
        2: Outcome.UNDECIDED,
        3: Outcome.KILLED,
        5: Outcome.SURVIVED,
        24: Outcome.TIMED_OUT,
        33: Outcome.SURVIVED,
        36: Outcome.TIMED_OUT,
    }


def test_one_seed_draws_one_sample_in_whatever_order_the_names_come() -> None:
    names = [*KEYS, *JWT]
    drawn = sample(names, 6, seed=1)
    assert len(set(drawn)) == 6
    assert drawn == sample(iter(reversed(names)), 6, seed=1)
    assert drawn != sample(names, 6, seed=2)


def test_code_removed_elsewhere_leaves_a_sample_as_it_was() -> None:
    drawn = sample([*KEYS, *JWT], 6, seed=1)
    others = [n for n in (*KEYS, *JWT) if n not in drawn]
    assert sample([*drawn, *others[::2]], 6, seed=1) == drawn


def test_a_sample_of_more_than_there_are_is_all_of_them() -> None:
    assert sample(KEYS, 400, seed=1) == tuple(sorted(KEYS))


@pytest.mark.parametrize("module", ["identity", "sidecar.identity", "identity.jwt_svid"])
def test_a_sample_of_one_package_or_module_has_nothing_else(module: str) -> None:
    near = "sidecar.identity2.jwt_svid.x_f__mutmut_1"
    assert sample([*KEYS, *JWT, near], 400, seed=1, modules=[module]) == tuple(sorted(JWT))


def test_an_empty_sample_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no mutant is in sidecar\.cor; expected a module"):
        sample(KEYS, 1, seed=1, modules=["cor"])
    with pytest.raises(ValueError, match="no mutant is in sidecar; expected a module"):
        sample([], 1, seed=1)
    with pytest.raises(ValueError, match="the sample has 0 mutants; expected 1 or more"):
        sample(KEYS, 0, seed=1)


def test_a_diff_is_read_as_the_lines_it_changes() -> None:
    assert change(HOLDS, DIFF) == CHANGE


def test_the_score_counts_by_module_what_was_killed() -> None:
    statuses = {HOLDS: 0, RFC3339: 1, KEYS[0]: 36, KEYS[1]: None, KEYS[2]: 33, KEYS[3]: 1}
    found = scores(statuses, frozenset({HOLDS, RFC3339, KEYS[1]}))
    assert found == {
        "sidecar.core.keys": Score(mutants=4, killed=2, survived=1, explained=0, undecided=1),
        "sidecar.core.window": Score(mutants=2, killed=1, survived=1, explained=1, undecided=0),
    }
    total = sum(found.values(), Score())
    assert total == Score(mutants=6, killed=3, survived=2, explained=1, undecided=1)
    assert (total.share, total.share_of_explained) == (3 / 6, 3 / 5)


def test_the_score_of_nothing_is_zero() -> None:
    assert (Score().share, Score().share_of_explained) == (0, 0)
    assert Score(mutants=1, survived=1, explained=1).share_of_explained == 0


def test_a_report_shows_the_explained_survivors_last_and_the_scores_with_and_without_them() -> None:
    other = Change("sidecar.core.keys.from_pem", "return a", "return b")
    report = Report(
        7, {KEYS[0]: 1, HOLDS: 0, KEYS[1]: -9}, {HOLDS: CHANGE, KEYS[1]: other}, {CHANGE: "why not"}
    )
    assert report.survivors() == (
        f"undecided: {KEYS[1]}\n  - return a\n  + return b\n\n"
        f"survived: {HOLDS}\n  - {CHANGE.old}\n  + {CHANGE.new}\n  explained: why not"
    )
    assert [line.split() for line in report.table().splitlines()] == [
        [
            "module",
            "mutants",
            "killed",
            "survived",
            "explained",
            "undecided",
            "score",
            "less",
            "explained",
        ],
        ["sidecar.core.keys", "2", "1", "0", "0", "1", "50.0%", "50.0%"],
        ["sidecar.core.window", "1", "0", "1", "1", "0", "0.0%", "0.0%"],
        ["sidecar.core", "3", "1", "1", "1", "1", "33.3%", "50.0%"],
        ["all,", "seed", "7", "3", "1", "1", "1", "1", "33.3%", "50.0%"],
    ]
    assert report.plain()["total"] == {
        "mutants": 3,
        "killed": 1,
        "survived": 1,
        "explained": 1,
        "undecided": 1,
        "score": 1 / 3,
        "lessExplained": 1 / 2,
    }


def test_a_recorded_survivor_is_found_by_its_change_without_indentation() -> None:
    assert survivors.read(ENTRY) == {CHANGE: "why not"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            ENTRY.replace("why not", " "),
            r"survivor 1 \(sidecar.core.window.Window.holds\) has no reason",
        ),
        (ENTRY * 2, r"survivor 2 \(sidecar.core.window.Window.holds\) is recorded twice"),
        (ENTRY.replace("reason", "because"), "survivor 1 has .*; expected texts"),
        (ENTRY.replace('"why not"', "1"), "survivor 1 has .*; expected texts"),
        ("[[survivor]", "TOML|Expected"),
    ],
)
def test_a_survivor_without_a_reason_or_recorded_twice_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        survivors.read(text)


def test_a_recorded_survivor_whose_code_is_gone_is_outdated(tmp_path: Path) -> None:
    module = tmp_path / "sidecar" / "core" / "window.py"
    module.parent.mkdir(parents=True)
    module.write_text(f"class Window:\n    def holds(self, now):\n        {CHANGE.old}\n")
    gone = Change("sidecar.core.window.Window.ends", CHANGE.old, CHANGE.new)
    part = Change(CHANGE.function, "return self.not_before", "return None")
    nowhere = Change("sidecar.core.walls.build", CHANGE.old, CHANGE.new)
    assert survivors.outdated([CHANGE, gone, part, nowhere], tmp_path) == [gone, part, nowhere]


def test_every_recorded_survivor_is_still_in_the_code() -> None:
    recorded = survivors.read(survivors.FILE.read_text())
    assert survivors.outdated(recorded, survivors.FILE.parents[2]) == []


def test_a_log_has_what_mutmut_found_and_no_frame_of_its_spinner() -> None:
    written = (
        b"\r\xe2\xa0\x8b Running stats\r\xe2\xa0\x99 Running stats\n    done\n\n0.24 a second\n"
    )
    output = io.TextIOWrapper(io.BytesIO(written), encoding="utf-8")
    assert list(without_spinner(output)) == ["    done\n", "0.24 a second\n"]
