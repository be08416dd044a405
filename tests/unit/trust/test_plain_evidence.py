"""The fast readers of evidence read what the strict ones do, and refuse it in the same words."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest

from sidecar.core import dsse, strict_json
from sidecar.core.evidence import parse_statement
from sidecar.core.kinds import BY_URN
from sidecar.core.reasons import EvidenceError
from sidecar.trust import plain_evidence, text_shapes
from sidecar.trust.text_shapes import Shapes
from tests.support.simulator.world import admitted_world

_CHANGES = 600
"""Changed texts of each kind of evidence."""
_TOKEN = re.compile(rb'"[^"]*"|-?[0-9.]+|[\[\]{}:,]|true|false|null')
_NUMBERS = (
    *(b"0", b"7", b"-0", b"-0.0", b"-0.5", b"0.10", b"1.0", b"1.50", b"1e3", b"1E-3", b"1e400"),
    *(b"9007199254740991", b"9007199254740993", b"123456789012345", b"0." + b"3" * 17, b"1" * 400),
    *(b"01", b"1.", b".5", b"NaN", b"-Infinity", b"null", b"true", b"0.1e2"),
)
_STRINGS = (
    *(b'"2026-02-30T00:00:00Z"', b'"2026-05-02 12:00:00+02:00"', b'"1777723200"', b'""', b'"\xff"'),
    *(b'"\\ud800"', b'"\\u0061"', b'"a\\"b"', b'"\xc3\xa9"', b'"0E000e000"', b'"1e999"'),
    *(b'"sha256"', b'"critical"', b'"predicateType"', b'"_type"', b'"sig"', b'"keyid"', b'"seed"'),
    *(
        b'"a\x01"',
        b'"a\tb"',
        b'"\x7f"',
        b'"\xed\xa0\x80"',
        b'"payload"',
        b'"payloadType"',
        b'"fingerprint"',
    ),
    *(b'"-_-_"', b'"+/+/"', b'"+/-_"', b'"YQ"', b'"YQ=="', b'"YR=="', b'"Y Q=="', b'"{[,:-0"'),
)
_OTHERS = (
    *(b"[]", b'["other"]', b"{}", b"[[[]]]", b"[" * 70 + b"]" * 70, b"7", b",", b"  ", b"\t"),
    b"\xef\xbb\xbf",
)


def _evidence() -> list[bytes]:
    """Return envelope files of every kind of evidence."""
    world = admitted_world()
    world.waive("a-rule")
    world.bind_deployment()
    world.specify()
    return [*world.evidence.values()]


def _changed(text: bytes, chance: random.Random) -> bytes:
    """Return a text with some of its tokens replaced, repeated, exchanged, added or removed."""
    tokens = _TOKEN.findall(text)
    numbers = [at for at, token in enumerate(tokens) if token[-1:].isdigit()]
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at, other = chance.randrange(len(tokens)), chance.randrange(len(tokens))
        at = chance.choice(numbers) if numbers and chance.random() < 0.5 else at
        what = chance.randrange(8)
        if what < 3:
            text = tokens[at][:1] == b'"'
            known = _STRINGS if text else _NUMBERS if tokens[at][-1:].isdigit() else _OTHERS
            tokens[at] = chance.choice(known)
        elif what == 3:
            tokens[at:at] = tokens[at : at + chance.choice((1, 2, 4))]
        elif what == 4:
            tokens[at] = tokens[other]
        elif what < 7:  # a field that nobody knows
            at = chance.choice([at for at, token in enumerate(tokens) if token == b"{"] or [0])
            new = chance.choice((*_NUMBERS, *_STRINGS, *_OTHERS))
            name = chance.choice((b'"unknown"', b'"unknown"', b'"critical"', b'"Window"', b'"SIG"'))
            tokens[at + 1 : at + 1] = [name, b":", new, b","]
        else:
            del tokens[at : at + chance.choice((1, 4))]
            tokens, numbers = tokens or [b"null"], []
    return b"".join(tokens)


def _strings_changed(text: bytes, chance: random.Random) -> bytes:
    """Return a text with one to three of its strings replaced by others or changed within."""
    tokens = _TOKEN.findall(text)
    strings = [at for at, token in enumerate(tokens) if token[:1] == b'"']
    for _ in range(chance.choice((1, 1, 2, 3))):
        at, kind = chance.choice(strings), chance.randrange(3)
        if kind == 0:
            tokens[at] = chance.choice(_STRINGS)
        elif kind == 1:  # a name, it may be, that is given twice then
            tokens[at] = tokens[chance.choice(strings)]
        else:
            within = chance.randrange(1, len(tokens[at]))
            new = chance.choice((b"", b"0", b"a", b"=", b"\xc3\xa9", b"\xff", b"\x00", b" "))
            tokens[at] = tokens[at][:within] + new + tokens[at][within + chance.choice((0, 1)) :]
    return b"".join(tokens)


def _outcome(read: Callable[[bytes], object], text: bytes) -> str:
    """Return what is read, where 1 and 1.0 differ, or why it is refused."""
    try:
        return repr(read(text))
    except Exception as error:  # noqa: BLE001 - whatever one raises, the other does
        return f"refused: {error!r}"


@pytest.mark.parametrize("seed", range(3))
def test_a_text_whose_shape_is_known_is_read_or_refused_alike(seed: int) -> None:
    chance = random.Random(seed)
    read = 0
    for envelope in _evidence():
        payload = dsse.parse(envelope).payload
        for strict, plain, whole in (
            (parse_statement, plain_evidence.read_statement, payload),
            (dsse.parse, plain_evidence.read_envelope, envelope),
        ):
            known = b"".join(_TOKEN.findall(whole))  # as it is changed: without spaces
            assert _outcome(plain, known) == _outcome(strict, known)
            for _ in range(_CHANGES // 3):
                text = _strings_changed(known, chance)
                expected = _outcome(strict, text)
                assert _outcome(plain, text) == expected, text
                read += not expected.startswith("refused")
    assert read > _CHANGES // 4  # not only refusals were compared


@pytest.mark.parametrize("seed", range(3))
def test_a_changed_text_is_read_or_refused_alike_by_both_readers(seed: int) -> None:
    chance = random.Random(seed)
    read = 0
    for envelope in _evidence():
        payload = dsse.parse(envelope).payload
        for _ in range(_CHANGES // 3):
            text = _changed(payload, chance)
            expected = _outcome(parse_statement, text)
            assert _outcome(plain_evidence.read_statement, text) == expected, text
            read += not expected.startswith("refused")
            text = _changed(envelope, chance)
            expected = _outcome(dsse.parse, text)
            assert _outcome(plain_evidence.read_envelope, text) == expected, text
            read += not expected.startswith("refused")
    assert read > _CHANGES // 2  # not only refusals were compared


def test_a_text_of_too_many_parts_is_refused_alike() -> None:
    many = b'{"unknown":[' + b"0," * strict_json.MAX_ITEMS + b"0],"
    text = _evidence()[0].replace(b"{", many, 1)
    assert _outcome(plain_evidence.read_envelope, text) == _outcome(dsse.parse, text)
    assert "more arrays, objects or values" in _outcome(dsse.parse, text)


def test_what_is_critical_and_not_understood_is_refused() -> None:
    for envelope in _evidence():
        payload = dsse.parse(envelope).payload
        text = payload.replace(b'"predicate": {', b'"predicate": {"critical": ["other"], ')
        with pytest.raises(EvidenceError, match="the critical field 'other' is not understood"):
            plain_evidence.read_statement(text)


def test_a_shape_that_is_known_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    files = _evidence()
    found = [plain_evidence.read_envelope(data) for data in files]
    expected = [plain_evidence.read_statement(each.payload) for each in found]
    monkeypatch.setattr(plain_evidence, "_object", None)
    assert [plain_evidence.read_envelope(data) for data in files] == found
    assert [plain_evidence.read_statement(each.payload) for each in found] == expected


def test_a_shape_that_is_known_with_a_name_given_twice_is_refused() -> None:
    for envelope in _evidence():
        payload = dsse.parse(envelope).payload
        plain_evidence.read_statement(payload)
        twice = payload.replace(b'"notAfter"', b'"notBefore"')
        assert twice != payload
        with pytest.raises(EvidenceError, match="statement: a key is given twice"):
            plain_evidence.read_statement(twice)


def test_no_more_than_so_many_shapes_are_kept() -> None:
    made: Shapes[int] = Shapes()
    for number in range(2_000):
        parts = (b"{" + b" " * number + b'"a":"b","c":"d"}').split(b'"')
        shape = b'"'.join(parts[::2])
        made.learn(shape, parts, number)
        assert (made.find(shape, parts) == number) is (len(shape) <= text_shapes._LONGEST)
        same = (b"{" + b'"a%d":"b","c":"d"}' % number).split(b'"')
        made.learn(b"", same, number)
    assert len(made._known) <= text_shapes._MOST
    assert max(len(readings) for _, readings in made._known.values()) <= text_shapes._MOST_READINGS


def test_evidence_of_every_kind_is_read_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    files = _evidence()
    expected = [parse_statement(dsse.parse(data).payload) for data in files]
    signed = {statement.predicate_type for statement in expected}
    assert signed == set(BY_URN), "let _evidence() return one of each kind"
    envelopes = [dsse.parse(data) for data in files]
    monkeypatch.setattr(plain_evidence, "parse_statement", None)
    monkeypatch.setattr(dsse, "parse", None)
    found = [plain_evidence.read_envelope(data) for data in files]
    assert found == envelopes
    assert [plain_evidence.read_statement(each.payload) for each in found] == expected
