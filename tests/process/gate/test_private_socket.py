"""The gate's socket: its owner's alone, and nobody's place is taken for it."""

from __future__ import annotations

import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.gate.private_socket import private_socket


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Short, because a socket's path must be."""
    monkeypatch.chdir(tmp_path)
    return Path("gate.sock")


@pytest.fixture
def bound(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made, private_socket(path):
        made.bind(str(path))
        yield made


def test_what_is_bound_is_its_owners_alone_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            with private_socket(path):
                made.bind(str(path))
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_what_an_ended_gate_left_is_replaced(path: Path, bound: socket.socket) -> None:
    bound.close()
    with private_socket(path):
        assert not path.exists()


def test_a_gate_that_runs_keeps_its_socket(path: Path, bound: socket.socket) -> None:
    bound.listen()
    expected = re.escape(f"another process listens on {path}")
    with pytest.raises(OSError, match=expected), private_socket(path):
        raise AssertionError
    assert path.is_socket()


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("x")
    with (
        pytest.raises(OSError, match=re.escape("gate.sock exists and is not a socket")),
        private_socket(path),
    ):
        raise AssertionError
    assert path.read_text() == "x"


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    expected = re.escape(f"{tmp_path} has mode {mode:04o}: other users may write to it")
    with pytest.raises(OSError, match=expected), private_socket(tmp_path / "gate.sock"):
        raise AssertionError
