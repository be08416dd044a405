"""A key file is used where it is its owner's alone, or root's and readable by a group: ADR 114."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from sidecar.authority import keys
from sidecar.authority.errors import AuthorityError
from sidecar.authority.keys import ATTESTATION, OwnKey
from sidecar.binder import secrets
from sidecar.binder.errors import BinderError
from sidecar.durable.private_files import open_to_others
from sidecar.opa import signing
from sidecar.opa.errors import PolicyError
from sidecar.registry.errors import RegistryError
from sidecar.registry.keys import open_or_create

USER = 65532
REFUSED = (AuthorityError, BinderError, PolicyError, RegistryError)


@pytest.mark.parametrize(
    ("owner", "user", "allowed"),
    [
        (0, USER, {0o400, 0o440, 0o600, 0o640}),
        (USER, USER, {0o400, 0o600}),
        (0, 0, {0o400, 0o600}),
        (1001, USER, {0o400, 0o600}),
    ],
)
def test_only_a_file_of_roots_may_be_read_by_a_group_and_none_by_others(
    monkeypatch: pytest.MonkeyPatch, owner: int, user: int, allowed: set[int]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    modes = (0o400, 0o440, 0o600, 0o640, 0o660, 0o620, 0o650, 0o604, 0o444, 0o644, 0o602, 0o601)
    facts = (os.stat_result((0o100000 | mode, 1, 1, 1, owner, USER, 0, 0, 0, 0)) for mode in modes)
    found = {each.st_mode & 0o777 for each in facts if not open_to_others(each)}
    assert found == allowed


@pytest.fixture
def mounted() -> Iterator[Path]:
    """Yield a folder in which files are mounted as a Secret is, for a process without privileges.

    It has a key of root's that group 65532 may read, and the process has that user and group.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can make a file of root's")
    groups, group = os.getgroups(), os.getegid()
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own is closed to others
    folder.chmod(0o755)
    key = folder / "key.pem"
    key.write_bytes(
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "token").write_text("sk-one-word")
    for file in (key, folder / "token"):
        os.chown(file, 0, USER)
        file.chmod(0o440)
    os.setgroups([USER])
    os.setegid(USER)
    os.seteuid(USER)
    try:
        yield folder
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
        shutil.rmtree(folder)


def read_all(folder: Path) -> list[str]:
    """Read each secret by each of its readers; returns the kinds of readers that refused it."""
    key = folder / "key.pem"
    readers: dict[str, Callable[[], object]] = {
        "authority": lambda: keys.adopt(folder, ATTESTATION, OwnKey(f"file2:{key}"), new=False),
        "registry": lambda: open_or_create(key),
        "policies": lambda: signing.signing_key(key),
        "binder": lambda: secrets.from_file(folder / "token"),
    }
    refused = []
    for name, read in readers.items():
        try:
            read()
        except REFUSED:
            refused.append(name)
    return refused


def test_a_secret_that_kubernetes_mounts_for_the_pods_group_is_read_by_every_reader(
    mounted: Path,
) -> None:
    assert read_all(mounted) == []


def test_a_secret_that_kubernetes_mounts_for_everybody_is_refused_by_every_reader(
    mounted: Path,
) -> None:
    os.seteuid(0)
    for file in mounted.iterdir():
        file.chmod(0o444)
    os.seteuid(USER)
    assert read_all(mounted) == ["authority", "registry", "policies", "binder"]
