"""The registry's key: created once and whole, and used only while nobody else can."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sidecar.registry.errors import RegistryError
from sidecar.registry.keys import open_or_create


def test_a_key_is_created_for_its_owner_alone_and_then_kept(tmp_path: Path) -> None:
    path = tmp_path / "registration.pem"
    created = open_or_create(path)
    before = path.read_bytes()
    again = open_or_create(path)
    assert (again.public, again.ticket_key) == (created.public, created.ticket_key)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (before, 0o600)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert created.public.verifies(again.sign(b"m"), b"m")


def test_gates_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    path = tmp_path / "registration.pem"
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: open_or_create(path), range(32)))
    assert len({key.public.fingerprint for key in keys}) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_two_keys_have_nothing_in_common(tmp_path: Path) -> None:
    first, second = (open_or_create(tmp_path / name) for name in ("a.pem", "b.pem"))
    assert first.public != second.public
    assert first.ticket_key != second.ticket_key
    assert not second.public.verifies(first.sign(b"m"), b"m")


def test_a_key_is_never_printed(tmp_path: Path) -> None:
    key = open_or_create(tmp_path / "registration.pem")
    assert repr(key).count("=") == repr(key.public).count("=") + 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "registration.pem"
    open_or_create(path)
    path.chmod(mode)
    with pytest.raises(RegistryError, match=f"mode {mode:04o}"):
        open_or_create(path)


@pytest.mark.parametrize("kind", ["another kind", "no key", "a folder", "a fifo", "no folder"])
def test_what_is_no_key_is_refused_and_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "registration.pem"
    if kind == "another kind":
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path.write_bytes(pem)
        path.chmod(0o600)
    elif kind == "no key":
        path.write_bytes(b"secret")
        path.chmod(0o600)
    elif kind == "a folder":
        path.mkdir(0o700)
    elif kind == "a fifo":
        os.mkfifo(path, 0o600)
    else:
        path = tmp_path / "missing" / "registration.pem"
    with pytest.raises(RegistryError, match="registration key"):
        open_or_create(path)
