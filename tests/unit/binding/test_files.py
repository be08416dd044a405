from __future__ import annotations

import base64
from pathlib import Path

import pytest

from sidecar.binding import corpora, files
from sidecar.binding.errors import BindingError
from sidecar.core.predicates import EvaluationOutput
from tests.unit.binding.jobs import sha, write
from tests.unit.binding.samples import METRICS


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    for read in (
        lambda path: corpora.read_corpus(path, role="training", name="n"),
        lambda path: files.run_output(path, name="n"),
    ):
        with pytest.raises(BindingError) as caught:
            read(tmp_path / "nothing")
        assert str(caught.value) == f"{tmp_path / 'nothing'}: No such file or directory"


@pytest.mark.parametrize("wrap", [lambda data: data, base64.b64encode])
def test_metrics_are_the_last_value_of_each_column(tmp_path: Path, wrap: object) -> None:
    assert callable(wrap)
    data = wrap(METRICS)
    expected = {"step": 3.0, "train_loss": 0.9, "train_accuracy": 0.8, "valid_loss": 1.7}
    found = files.run_output(write(tmp_path, data), name="n")
    assert found == EvaluationOutput("n", sha(data), expected)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"step,loss\n1,low\n", "line 2: 'low' is not a number"),
        (b"step,loss\n1,nan\n", "line 2: 'nan' is not a number"),
        (b"step,loss\n1,inf\n", "line 2: 'inf' is not a number"),
        (b"step,loss\n1,2,3\n", "line 2: not as many cells as the header line"),
        (b"step,loss\n1\n", "line 2: not as many cells as the header line"),
        (b'step,loss\n1,"2\n', "line 1: unexpected end of data"),
        (b"step,loss\n", "has no metrics; expected CSV with a header line"),
        (b"", "has no metrics; expected CSV with a header line"),
        (b"step,l\xff\n1,2\n", "not UTF-8"),
    ],
)
def test_a_file_that_holds_no_metrics_is_refused(tmp_path: Path, data: bytes, why: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(BindingError) as caught:
        files.run_output(path, name="n")
    assert str(caught.value) == f"{path}: {why}"


def test_a_metrics_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_METRICS_BYTES", 8)
    with pytest.raises(BindingError, match="larger than 8 bytes"):
        files.run_output(write(tmp_path, METRICS), name="n")
