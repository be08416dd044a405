"""Lines of several processes in one file or pipe stay whole, whatever happens to a process."""

from __future__ import annotations

import errno
import os
import select
from pathlib import Path

import pytest

from sidecar.observe.append_file import AppendFile, TornLineError


def line(letter: str, length: int = 100) -> bytes:
    return letter.encode() * (length - 1) + b"\n"


def test_a_line_that_a_killed_process_left_unfinished_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "log"
    one, other = AppendFile(str(path)), AppendFile(str(path))
    one.append(line("a"))
    with path.open("ab") as killed:
        killed.write(b"torn")
    other.append(line("b"))
    one.append(line("c"))
    assert path.read_bytes() == line("a") + b"torn\n" + line("b") + line("c")
    for each in (one, other):
        each.close()


def test_a_file_that_is_replaced_again_and_again_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def removed(file: int, data: bytes) -> int:
        path.unlink()
        return os.write(file, data)

    file = AppendFile(str(path), removed)
    with pytest.raises(OSError, match="replaced 3 times"):
        file.append(line("a"))
    file.close()


@pytest.fixture
def pipe(tmp_path: Path) -> tuple[Path, int]:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path, os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def drained(reader: int) -> bytes:
    found = b""
    while True:
        try:
            part = os.read(reader, 1 << 16)
        except BlockingIOError:
            return found
        if not part:
            return found
        found += part


def test_a_pipe_gets_whole_lines_in_writes_that_it_takes_as_one(pipe: tuple[Path, int]) -> None:
    path, reader = pipe
    sizes: list[int] = []

    def write(file: int, data: bytes) -> int:
        sizes.append(len(data))
        assert data.endswith(b"\n")
        return os.write(file, data)

    file = AppendFile(str(path), write)
    batch = b"".join(line(letter, 1500) for letter in "abcdef")
    file.append(batch)
    assert drained(reader) == batch
    assert sizes == [3000, 3000, 3000]
    assert max(sizes) <= select.PIPE_BUF
    file.close()
    os.close(reader)


def test_while_a_long_line_is_under_way_in_a_pipe_no_other_process_writes(
    pipe: tuple[Path, int],
) -> None:
    path, reader = pipe

    def write(file: int, data: bytes) -> int:
        if len(data) > select.PIPE_BUF:
            return os.write(file, data[:1000])
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    slow, other = AppendFile(str(path), write), AppendFile(str(path))
    long = line("a", 5000)
    with pytest.raises(TornLineError) as torn:
        slow.append(long)
    assert torn.value.taken == 1000
    with pytest.raises(BlockingIOError):
        other.append(line("b"))
    slow._write = os.write
    slow.append(long[1000:])
    other.append(line("b"))
    assert drained(reader) == long + line("b")
    for each in (slow, other):
        each.close()
    os.close(reader)
