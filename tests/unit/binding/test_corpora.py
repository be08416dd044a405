from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.binding import corpora
from sidecar.binding.corpora import CorpusReading, IrregularLine
from sidecar.binding.errors import BindingError
from sidecar.core.predicates import Corpus
from tests.unit.binding.jobs import sha, write
from tests.unit.binding.samples import TRAINING


def read(path: Path) -> CorpusReading:
    return corpora.read_corpus(path, role="training", name="n")


@pytest.mark.parametrize(
    ("data", "records"), [(TRAINING, 12), (b'{"a": 1}', 1), (b'{"a": 1}\r\n{"b": 2}\r\n', 2)]
)
def test_a_corpus_is_hashed_and_counted_as_it_is(tmp_path: Path, data: bytes, records: int) -> None:
    passed: list[int] = []
    path = write(tmp_path, data)
    found = corpora.read_corpus(path, role="training", name="n", progress=passed.append)
    expected = Corpus("training", "n", sha(data), len(data), records)
    assert found == CorpusReading(expected, ())
    assert sum(passed) == len(data)
    assert corpora.require_regular(path, found) == expected


@pytest.mark.parametrize(
    ("data", "records", "lines"),
    [
        (b'{"a": 1}\n{"a": \n', 1, [(2, "not JSON: Expecting value at character 6")]),
        (b'{"a": 1}\n\n{"a": 1}\n', 2, [(2, "empty")]),
        (b'{"a": 1}\n \n\n', 1, [(2, "empty"), (3, "empty")]),
        (b'{"a": 1}\n[1]\n', 1, [(2, "not a JSON object")]),
        (b'{"a": 1, "a": 2}\n{}\n', 1, [(1, "a key is given twice")]),
        (b'{"a": 1}\n{"a": "\xff"}\n', 1, [(2, "not UTF-8")]),
        (b'\xef\xbb\xbf{"a": 1}\n{"a": 1}', 1, [(1, "begins with a byte-order mark")]),
        (b'{"a": NaN}\n{}\n', 1, [(1, "NaN is not JSON")]),
        (b'{}\n{"a": "' + b"x" * 200 + b'"}\n{}\n', 2, [(2, "longer than 64 bytes")]),
        (b'{}\n{"a": "' + b"x" * 200, 1, [(2, "longer than 64 bytes")]),
    ],
)
def test_irregular_lines_are_named_recorded_after_a_run_and_refused_before_one(
    tmp_path: Path,
    data: bytes,
    records: int,
    lines: list[tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(corpora, "MAX_LINE_BYTES", 64)
    path = write(tmp_path, data)
    found = read(path)
    expected = Corpus("training", "n", sha(data), len(data), records, (), len(lines))
    assert found == CorpusReading(expected, tuple(IrregularLine(*line) for line in lines))
    with pytest.raises(BindingError) as caught:
        corpora.require_regular(path, found)
    shown = "; ".join(f"line {number}: {problem}" for number, problem in lines)
    assert str(caught.value) == f"{path}: {shown}; mend them, nothing was submitted"


def test_a_line_at_the_limit_is_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "MAX_LINE_BYTES", 64)
    line = b'{"a": "' + b"x" * 55 + b'"}'
    assert len(line) == 64
    assert read(write(tmp_path, line)).corpus.irregular is None
    assert read(write(tmp_path, line + b"\n{}")).corpus.irregular is None


def test_of_many_irregular_lines_the_first_are_named_and_all_are_counted(tmp_path: Path) -> None:
    found = read(write(tmp_path, b"{}\n" + b"[]\n" * 1000))
    assert (found.corpus.irregular, len(found.irregular)) == (1000, corpora.MAX_SHOWN)
    assert corpora.described(found).endswith("; and 980 more irregular lines")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "has no records; expected one JSON object per line"),
        (b"[1]\n", "has no records; expected one JSON object per line; line 1: not a JSON object"),
    ],
)
def test_a_corpus_without_records_is_no_corpus(tmp_path: Path, data: bytes, why: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(BindingError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: {why}"


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path, b"{}\n" * (1 << 20))

    def append(_: int) -> None:
        with path.open("ab") as file:
            file.write(b"{}\n")

    def replace(_: int) -> None:
        other = path.with_name("other")
        other.write_bytes(path.read_bytes())
        os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
        other.replace(path)

    for change in (append, replace):
        with pytest.raises(BindingError, match="changed while it was read; run this again"):
            corpora.read_corpus(path, role="training", name="n", progress=change)


def test_a_check_decides_which_objects_are_records(tmp_path: Path) -> None:
    path = write(tmp_path, b'{"a": 1}\n{"b": 1}\n')
    found = corpora.read_corpus(
        path, role="training", name="n", check=lambda record: None if record == {"a": 1} else "odd"
    )
    assert (found.corpus.records, found.irregular) == (1, (IrregularLine(2, "odd"),))
