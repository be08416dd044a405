"""Whatever the bytes of a configuration file are, what is wrong with them fits in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from sidecar.authority import settings
from sidecar.authority.errors import AuthorityError
from sidecar.binding import declared
from sidecar.binding.errors import BindingError
from sidecar.fleet import fleet_file
from sidecar.fleet.fleet_file import FleetError
from sidecar.formats.config_file import ConfigFileError, read_config
from sidecar.service import config
from sidecar.service.config import ConfigError
from sidecar.trust import config_file
from sidecar.trust.config_file import FileError


class File(BaseModel):
    version: int


READERS: dict[str, tuple[Callable[[Path], object], type[Exception]]] = {
    "any": (lambda path: read_config(path, File), ConfigFileError),
    "authority.yaml": (lambda path: settings.read(path.read_bytes()), AuthorityError),
    "fleet.yaml": (fleet_file.load, FleetError),
    "sidecar.yaml": (config.load, ConfigError),
    "environments.yaml": (declared.environments, BindingError),
    "trust.yaml": (lambda path: config_file.read(path.read_bytes()), FileError),
}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"version: 2026-02-30", "is not YAML in UTF-8"),
        (b"version: " + b"9" * 5000, "is not YAML in UTF-8"),
        (b"version: " + b"[" * 1200, "is not YAML in UTF-8"),
        (b"\x80: 1", "is not YAML"),
        (b"a: 1\na: 2", "line 2: the key 'a' is given twice"),
    ],
    ids=["date", "number", "nested", "bytes", "twice"],
)
@pytest.mark.parametrize("name", READERS)
def test_every_file_says_so_in_one_line(
    tmp_path: Path, name: str, data: bytes, problem: str
) -> None:
    read, error = READERS[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(error) as refused:
        read(path)
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", sorted(READERS.keys() - {"environments.yaml"}))
def test_a_file_that_is_no_mapping_says_how_one_begins(tmp_path: Path, name: str) -> None:
    """Of ``environments.yaml``, a list is a form."""
    read, error = READERS[name]
    path = tmp_path / name
    path.write_bytes(b"- version: 1")
    with pytest.raises(error, match="is not a mapping; it begins with '"):
        read(path)
