"""A step changes what it touches; every reader of an older epoch keeps a whole table."""

from __future__ import annotations

import pytest
from immutables import Map

from sidecar.core.tables import GONE, NAMES, Draft, Drafts, PairsDraft, Tables


def test_a_draft_reads_its_changes_over_the_table_and_leaves_that_alone() -> None:
    base = Map({"a": "1", "b": "2", "c": "3"})
    draft = Draft(base)
    draft["b"], draft["d"], draft["e"] = "20", "4", "5"
    del draft["c"], draft["e"], draft["unknown"]
    assert dict(draft) == {"a": "1", "b": "20", "d": "4"}
    assert (len(draft), draft.get("c", "none"), "d" in draft, "c" in draft) == (
        3,
        "none",
        True,
        False,
    )
    assert draft.changes == {"b": "20", "c": GONE, "d": "4"}
    with pytest.raises(KeyError, match="c"):
        draft["c"]
    assert dict(base) == {"a": "1", "b": "2", "c": "3"}


def test_an_equal_value_is_no_change_so_that_the_object_stays() -> None:
    one, equal = ("x" * 40, 1), ("".join(["x"] * 40), 1)
    draft = Draft(Map({"a": one}))
    draft["a"] = ("y", 2)
    draft["a"] = equal
    assert draft.changes == {}
    assert draft["a"] is one


def test_a_value_is_kept_or_removed_by_what_is_asked() -> None:
    draft = Draft(Map({"a": "1"}))
    draft.put("a", "2", keep=False)
    draft.put("b", "3", keep=True)
    assert dict(draft) == {"b": "3"}


def test_a_key_that_a_step_removed_is_not_one_that_had_no_value() -> None:
    draft = Draft(Map({"a": "1", "b": "2"}))
    del draft["a"]
    draft["c"] = "3"
    assert [draft.lacks(key) for key in "abcd"] == [False, False, False, True]
    draft.add("d", "4")
    assert draft.changes == {"a": GONE, "c": "3", "d": "4"}


def test_a_pair_that_was_not_there_is_added() -> None:
    draft = PairsDraft(Map({"a": Map({"1": None})}))
    draft.add("a", "2")
    draft.add("b", "3")
    assert {left: sorted(draft.of(left)) for left in "ab"} == {"a": ["1", "2"], "b": ["3"]}


def test_a_relation_is_changed_pair_by_pair() -> None:
    draft = PairsDraft(Map({"a": Map({"1": None, "2": None})}))
    draft.put("a", "1", keep=False)
    draft.put("a", "2", keep=True)
    draft.put("a", "3", keep=True)
    draft.put("b", "4", keep=True)
    draft.put("b", "4", keep=False)
    draft.put("c", "5", keep=False)
    assert {left: sorted(draft.of(left)) for left in "abc"} == {"a": ["2", "3"], "b": [], "c": []}
    assert dict(draft.get("a")) == {"2": None, "3": None}


def test_the_tables_after_a_step_share_what_did_not_change() -> None:
    first = Drafts.of(Tables())
    first.files["f"] = "p"
    first.children.put("parent", "child", keep=True)
    before = Tables().with_changes(first)
    step = Drafts.of(before)
    del step.files["f"]
    step.adapted["openai/m"] = None
    step.children.put("parent", "child", keep=False)
    step.children.put("other", "child", keep=True)
    step.children.put("third", "child", keep=True)
    step.children.put("third", "child", keep=False)
    after = before.with_changes(step)
    assert (dict(before.files), dict(before.children)) == (
        {"f": "p"},
        {"parent": Map({"child": None})},
    )
    assert (dict(after.files), dict(after.adapted)) == ({}, {"openai/m": None})
    assert dict(after.children) == {"other": Map({"child": None})}
    changed = {"files", "adapted", "children"}
    same = {name for name in NAMES if getattr(after, name) is getattr(before, name)}
    assert same == {*NAMES} - changed
