"""What two parsers could read differently is refused (THREATS: model extraction, JSON)."""

from __future__ import annotations

import json
import sys
import threading
import unicodedata
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core import strict_json
from sidecar.core.strict_json import (
    MAX_CONTAINERS,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_MEMBERS,
    MAX_TWIN_CHARS,
    StrictJsonError,
)
from tests.support.examples import examples

KIB = 1024


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a": [1, 2.5, true, null, "\xc3\xa9"]}', {"a": [1, 2.5, True, None, "é"]}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'{"a": {"k": 1}, "b": {"k": 1}}', {"a": {"k": 1}, "b": {"k": 1}}),
        (b"-0.5e3", -500.0),
        (b"[" + b"[]," * 70 + b'"]}{{"]', [*[[]] * 70, "]}{{"]),
        (b"[" + b"[]," * 70 + b'"\\n"]', [*[[]] * 70, "\n"]),
        (nested(MAX_DEPTH) + b" ", json.loads(nested(MAX_DEPTH))),
    ],
)
def test_ordinary_json_is_read_as_it_stands(data: bytes, value: Any) -> None:
    assert strict_json.loads(data, max_bytes=KIB) == value


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "a": 2}', "a key is given twice"),
        (b'{"x": {"a": 1, "\\u0061": 2}}', "a key is given twice"),
        (b"NaN", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"1e999", "a number out of range"),
        (b"1" * 309, "a number with more than 308 digits"),
        (b"0." + b"1" * 307, "a number out of range"),
        (b"\xef\xbb\xbf{}", "begins with a byte-order mark"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'"\xff"', "not UTF-8"),
        (b'"\\ud800"', "a lone surrogate"),
        (b'{"a": ["\\udfff"]}', "a lone surrogate"),
        (b'{"\\uD800": 1}', "a lone surrogate"),
        (b'{"a": 1} x', "not JSON: Extra data at character 9"),
        (b"{'a': 1}", "not JSON: Expecting property name enclosed in double quotes at character 1"),
        (b'"\x01"', "not JSON: Invalid control character at at character 1"),
        (b"", "not JSON: Expecting value at character 0"),
        (b" " * (KIB + 1), "1025 bytes, at most 1024 are read"),
        (nested(MAX_DEPTH + 1), "nested deeper than 64"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested deeper than 64"),
        (nested(400), "nested deeper than 64"),
        (b'[{"\\u0061":' + nested(MAX_DEPTH - 1) + b"}]", "nested deeper than 64"),
    ],
)
def test_what_parsers_disagree_on_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(StrictJsonError) as caught:
        strict_json.loads(data, max_bytes=KIB)
    assert str(caught.value) == message


def test_nesting_that_would_exhaust_the_stack_is_refused_not_raised() -> None:
    """From Python 3.14 on, the stack itself is the limit: a small one ends sooner."""
    found: list[str] = []

    def read() -> None:
        with pytest.raises(StrictJsonError) as caught:
            strict_json.loads(nested(30_000), max_bytes=1 << 20)
        found.append(str(caught.value))

    before = threading.stack_size(256 << 10 if sys.version_info >= (3, 14) else 0)
    try:
        thread = threading.Thread(target=read)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert found == ["nested deeper than 64"]


MANY = "more arrays, objects or values than are read"
PADDING = b'"' + b"x" * 70_000 + b'"'


@pytest.mark.parametrize(
    ("item", "most"),
    [
        (b"[],", MAX_CONTAINERS - 1),
        (b"{},", MAX_CONTAINERS - 1),
        (b'{"a":1},', MAX_CONTAINERS - 1),
        (b"1,", MAX_ITEMS - 1),
        (b'"",', MAX_ITEMS - 1),
    ],
)
def test_as_many_parts_as_are_affordable_are_read_and_one_more_is_not(
    item: bytes, most: int
) -> None:
    def body(count: int) -> bytes:
        return b"[" + item * count + PADDING + b"]"

    assert len(strict_json.loads(body(most), max_bytes=1 << 22)) == most + 1
    with pytest.raises(StrictJsonError, match=MANY):
        strict_json.loads(body(most + 2), max_bytes=1 << 22)


def test_as_many_strings_as_can_be_affordable_are_looked_into_and_one_more_is_not() -> None:
    members = b",".join(b'"%d":""' % number for number in range(MAX_MEMBERS))
    commas = b'"' + b"," * MAX_ITEMS + b'"'

    def body(strings: int) -> bytes:
        return b"[{" + members + b"}," + commas + b',""' * (strings - 2 * MAX_MEMBERS - 1) + b"]"

    most = MAX_ITEMS + MAX_MEMBERS
    assert len(strict_json.loads(body(most), max_bytes=1 << 22)) == MAX_ITEMS - MAX_MEMBERS + 1
    with pytest.raises(StrictJsonError, match=MANY):
        strict_json.loads(body(most + 1), max_bytes=1 << 22)


def test_the_members_of_one_object_are_counted_too() -> None:
    def body(count: int) -> bytes:
        return b"{" + b",".join(b'"%d":1' % number for number in range(count)) + b"}"

    assert len(strict_json.loads(body(MAX_MEMBERS), max_bytes=1 << 22)) == MAX_MEMBERS
    with pytest.raises(StrictJsonError, match=MANY):
        strict_json.loads(body(MAX_MEMBERS + 1), max_bytes=1 << 22)


@pytest.mark.parametrize(
    "text", [b"1,2,3,4,", b'\\"a\\":[{', b"[[[[{{{{", b"::::", b"\\\\,", b'\\\\\\",']
)
def test_structure_inside_a_string_is_free(text: bytes) -> None:
    long = text * 500_000
    value = strict_json.loads(b'{"a":["' + long + b'"],"b":1}', max_bytes=1 << 23)
    assert (value["a"], value["b"]) == ([json.loads(b'"' + long + b'"')], 1)


def test_a_string_that_ends_in_a_backslash_does_not_turn_the_next_one_inside_out() -> None:
    assert strict_json.loads(b'["\\\\","' + b"," * 500_000 + b'"]', max_bytes=1 << 20) == [
        "\\",
        "," * 500_000,
    ]


@pytest.mark.parametrize(
    ("outside", "message"),
    [
        # what looks like the end of a string, or like its continuation, hides nothing
        (b'"\\\\"' + b",1" * (MAX_ITEMS + 1), MANY),
        (b'"\\""' + b",1" * MAX_ITEMS + b',"', MANY),
        (b'"' + b",1" * MAX_ITEMS, "not JSON: Unterminated string starting at at character 1"),
        (b'""' * (MAX_ITEMS + MAX_MEMBERS + 1) + b"," * (MAX_ITEMS + 1), MANY),
        (b'""' * 9 + b"," * (MAX_ITEMS + 1), MANY),
    ],
)
def test_nothing_hides_structure_outside_strings(outside: bytes, message: str) -> None:
    with pytest.raises(StrictJsonError) as caught:
        strict_json.loads(b"[" + outside, max_bytes=1 << 23)
    assert str(caught.value) == message


def test_a_number_as_long_as_may_be_is_read() -> None:
    for digits in (b"1" * 308, b"0." + b"1" * 306):
        assert strict_json.loads(digits, max_bytes=1 << 10) == json.loads(digits)


def test_a_number_of_a_million_digits_is_refused_unread() -> None:
    for digits in (b"1." + b"1" * 1_000_000, b"1e" + b"1" * 1_000_000, b"-" + b"1" * 1_000_000):
        with pytest.raises(StrictJsonError):
            strict_json.loads(digits, max_bytes=1 << 21)


def test_the_deepest_allowed_nesting_is_read() -> None:
    value = strict_json.loads(nested(MAX_DEPTH), max_bytes=KIB)
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert value == []


def test_many_shallow_containers_are_not_mistaken_for_deep_ones() -> None:
    assert strict_json.loads(b"[" + b"[],{}," * 60 + b"1]", max_bytes=KIB)[-1] == 1


def test_only_an_object_passes_where_an_object_is_needed() -> None:
    with pytest.raises(StrictJsonError, match="not a JSON object"):
        strict_json.loads_object(b"[]", max_bytes=KIB)
    assert strict_json.loads_object(b"{}", max_bytes=KIB) == {}


@pytest.mark.parametrize("twin", ["Model", "MODEL", "ｍodel", "mo\u0064EL"])
def test_a_key_that_another_parser_would_fold_into_ours_is_refused(twin: str) -> None:
    with pytest.raises(StrictJsonError) as caught:
        strict_json.refuse_twins({twin: 1}, ["model", "stream"])
    assert str(caught.value) == f"the key {twin!r} is a twin of 'model'"


def test_the_kelvin_sign_and_the_long_s_are_twins_as_go_sees_them() -> None:
    for twin, key in (("to\u212aens", "tokens"), ("\u017ftream", "stream")):
        with pytest.raises(StrictJsonError):
            strict_json.refuse_twins({twin: 1}, [key])


def test_a_key_too_long_for_a_twin_is_not_normalised() -> None:
    """Canonical ordering of these marks would take minutes."""
    marks = "\u0316\u0300" * 200_000
    strict_json.refuse_twins({marks: 1}, ["model"])
    assert strict_json.fold(marks) is marks


def test_a_key_beyond_ascii_is_folded_as_nfkc_and_case_folding_do_or_is_no_twin() -> None:
    """Character by character, so that one which becomes eighteen costs no more than another."""
    ranges = [(0x80, 0x3400), (0xA720, 0xAC00), (0xF900, 0x10000), (0x1D400, 0x1D800)]
    characters = [chr(number) for first, end in ranges for number in range(first, end)]
    rng = Random(1)
    for first in characters:
        key = f"m{first}d{rng.choice(characters)}"
        for each in (key[:3], key):
            folded = unicodedata.normalize("NFKC", each).casefold()
            assert strict_json.fold(each) == (folded if folded.isascii() else each)


def test_the_longest_twins_are_still_found() -> None:
    exact = "m" * MAX_TWIN_CHARS
    for twin in (exact.upper(), "\uff4d" * MAX_TWIN_CHARS, "\uff4d" + exact[1:]):
        with pytest.raises(StrictJsonError):
            strict_json.refuse_twins({twin: 1}, [exact])


def test_exact_keys_and_unrelated_keys_pass() -> None:
    strict_json.refuse_twins({"model": 1, "Temperature": 2, "ümlaut": 3}, ["model"])


PIECES = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b'"',
        b'"a"',
        b'"a":',
        b'"b":',
        b"\\",
        b"\\u",
        b"\\u0061",
    ),
    *(b"0", b"1", b"-", b"+", b".", b"e", b"E", b"00", b"99", b"e99", b"9" * 99, b"9" * 100),
    *(b"true", b"null", b"NaN", b"Infinity", b"\\ud800", b"\\udc00", b"\\ud83d\\ude00", b"'", b"/"),
    *(b" ", b"\t", b"\n", b"\r", b"\x00", b"\x0b", b"\x1f", b"\x7f", b"\xc2\xa0", b"\xff", b"\xc0"),
    *(b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xa8", b"\xef\xbb\xbf"),
)


@settings(max_examples=examples(400))
@given(
    start=st.sampled_from([b"", b'{"a":1,"b":[2.5,{"c":"d"}]}', b'{"a":{"a":"\\u00e9"}}']),
    pieces=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(PIECES)), max_size=9),
)
def test_what_the_fast_parser_takes_the_careful_one_takes_for_the_same(
    start: bytes, pieces: list[tuple[int, bytes]]
) -> None:
    data = start
    for at, piece in pieces:
        data = data[:at] + piece + data[at:]
    try:
        value = strict_json._loads_plain(data)
    except ValueError:
        return
    assert repr(value) == repr(strict_json._loads_any(data))


@pytest.mark.parametrize(
    "number", [b"9" * 99, b"-1." + b"9" * 99, b"9" * 99 + b"." + b"9" * 99 + b"e+99", b"1e-999"]
)
def test_every_number_that_the_fast_parser_takes_is_in_range(number: bytes) -> None:
    assert strict_json._loads_plain(number) == strict_json._loads_any(number)


def test_a_hash_that_looks_like_a_number_out_of_range_is_read() -> None:
    text = "3e4567" + "7" * 200
    assert strict_json.loads(json.dumps({"sha": text}).encode(), max_bytes=KIB) == {"sha": text}


def test_a_digest_that_looks_like_a_number_out_of_range_is_read_by_the_fast_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More than half of all evidence has one."""
    monkeypatch.setattr(strict_json, "_loads_any", None)
    text = "3e4567" + "7" * 200
    assert strict_json.loads(json.dumps({"sha": text}).encode(), max_bytes=KIB) == {"sha": text}


def test_a_number_out_of_range_beside_such_a_digest_is_refused() -> None:
    with pytest.raises(StrictJsonError):
        strict_json.loads(b'{"sha":"3e4567","x":1e400}', max_bytes=KIB)
    assert strict_json.loads(b'{"a\\"1e400":"3e4567"}', max_bytes=KIB) == {'a"1e400': "3e4567"}
