"""Reading regular files leaves nothing open, whatever is found in their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.trust.regular import NotRegularError, TooLargeError, read_regular


def test_a_refused_file_is_closed_again(tmp_path: Path) -> None:
    """Otherwise a hostile folder could use up the descriptors that requests need."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"xx")
    before = sorted(Path("/proc/self/fd").iterdir())
    for path, error in (
        (tmp_path, NotRegularError),
        (tmp_path / "pipe", NotRegularError),
        (tmp_path / "large", TooLargeError),
        (tmp_path / "none", FileNotFoundError),
    ):
        with pytest.raises(error):
            read_regular(path, 1)
    assert sorted(Path("/proc/self/fd").iterdir()) == before
