"""What two parsers could read differently is refused (THREATS: model extraction, JSON)."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core import strict_json
from sidecar.core.strict_json import MAX_DEPTH, StrictJsonError

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
        (b"1." + b"1" * 310, "a number out of range"),
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
    ],
)
def test_what_parsers_disagree_on_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(StrictJsonError) as caught:
        strict_json.loads(data, max_bytes=KIB)
    assert str(caught.value) == message


def test_nesting_that_would_exhaust_the_stack_is_refused_not_raised() -> None:
    with pytest.raises(StrictJsonError, match="nested deeper than 64"):
        strict_json.loads(nested(200_000), max_bytes=1 << 20)


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


def test_exact_keys_and_unrelated_keys_pass() -> None:
    strict_json.refuse_twins({"model": 1, "Temperature": 2, "ümlaut": 3}, ["model"])
