"""The artifact of open weights is every file of a folder, as ``model-signing`` lists them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sidecar.binding import model_files
from sidecar.binding.errors import BindingError
from tests.unit.binding.adapters import lay_out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay_out(tmp_path / "adapter")


def refusal(folder: Path, **how: Any) -> str:
    with pytest.raises(BindingError) as caught:
        model_files.read_folder(folder, **how)
    return str(caught.value)


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_artifact_lists_every_file_with_its_digest(folder: Path) -> None:
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "vocab.json").write_text("{}")
    for ignored in (".gitattributes", "model.sig"):
        (folder / ignored).write_text("no part of the model")
    names = ["README.md", "adapter_config.json", "adapter_model.safetensors"]
    names.append("tokenizer/vocab.json")
    read = model_files.read_folder(folder, frozenset({"README.md"}))
    assert json.loads(read.artifact) == {
        "resources": [
            {"algorithm": "sha256", "digest": sha(folder / name), "name": name} for name in names
        ],
        "serialization": {
            "allow_symlinks": False,
            "hash_type": "sha256",
            "ignore_paths": [".git", ".gitattributes", ".github", ".gitignore", "model.sig"],
            "method": "files",
        },
    }
    assert read.kept == {"README.md": (folder / "README.md").read_bytes()}
    assert model_files.read_artifact(read.artifact, "a") == read.digests
    assert model_files.total_bytes(folder) == sum((folder / n).stat().st_size for n in names)


@pytest.mark.skipif(
    find_spec("model_signing") is None,
    reason="the referee is not installed: pip install model-signing (it asks for an extra, which a"
    " lock with hashes cannot name)",
)
def test_model_signing_signs_the_same_list(folder: Path, tmp_path: Path) -> None:
    for name in ("a-b", "a/b", "a.b", "a/B/c", "Ä", "z"):
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(name)
    (folder / ".gitignore").write_text("x")
    key = ec.generate_private_key(ec.SECP256R1())
    pem = tmp_path / "key.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    signature = folder / "model.sig"
    command = ("sign", "key", "--private_key", pem, "--signature", signature, folder)
    subprocess.run([sys.executable, "-m", "model_signing", *command], check=True)
    envelope = json.loads(signature.read_bytes())["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    statement["predicate"]["serialization"]["ignore_paths"].sort()
    read = model_files.read_folder(folder)
    assert json.loads(read.artifact) == statement["predicate"]
    joined = b"".join(bytes.fromhex(digest) for digest in read.digests.values())
    assert statement["subject"][0]["digest"]["sha256"] == hashlib.sha256(joined).hexdigest()


def test_a_renamed_file_is_another_artifact(folder: Path) -> None:
    before = model_files.read_folder(folder).artifact
    (folder / "README.md").rename(folder / "READMF.md")
    assert model_files.read_folder(folder).artifact != before


@pytest.mark.parametrize(
    "name", ["training_args.bin", "optimizer.pt", "rng_state.PTH", "sub/scaler.pkl"]
)
def test_pickles_are_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"harmless")
    assert refusal(folder).startswith(f"{folder}: {name}: loading such a file can run code; save")


@pytest.mark.parametrize("data", [b"\x80\x04\x95rest", b"PK\x03\x04rest"])
def test_pickles_are_refused_by_content(folder: Path, data: bytes) -> None:
    (folder / "notes.txt").write_bytes(data)
    assert refusal(folder) == (
        f"{folder}/notes.txt: is a pickle or a zip archive, whatever its name; loading it can run "
        "code"
    )


def test_what_is_no_plain_file_is_refused(folder: Path) -> None:
    link = folder / "link"
    link.symlink_to("README.md")
    assert refusal(folder).startswith(f"{link}: is a symbolic link, which can be pointed elsewhere")
    link.unlink()
    os.mkfifo(folder / "pipe")
    assert refusal(folder) == f"{folder}/pipe: is neither a file nor a folder"
    (folder / "pipe").unlink()
    Path(os.fsdecode(bytes(folder) + b"/\xff")).touch()
    assert refusal(folder).endswith("its name is not UTF-8; rename it")


def test_a_folder_without_files_or_with_too_many_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refusal(tmp_path / "none") == f"{tmp_path}/none: No such file or directory"
    assert refusal(tmp_path) == f"{tmp_path}: has no files"
    monkeypatch.setattr(model_files, "MAX_FILES", 2)
    assert refusal(lay_out(tmp_path / "three")).endswith("the folder has more than 2 files")
    monkeypatch.setattr(model_files, "MAX_DEPTH", 1)
    (tmp_path / "deep" / "a" / "b").mkdir(parents=True)
    assert refusal(tmp_path / "deep").endswith("is nested deeper than 1 folders")


@pytest.mark.parametrize("change", ["grow", "replace", "remove", "add"])
def test_a_folder_that_changes_while_it_is_read_is_refused(folder: Path, change: str) -> None:
    path = folder / "README.md"

    def meddle(_: int) -> None:
        if change == "grow":
            path.write_text("other")
        elif change == "replace":
            other = folder.parent / "other"
            other.write_bytes(b"x")
            other.replace(path)
        elif change == "remove":
            path.unlink(missing_ok=True)
        else:
            (folder / "extra").touch()

    name = "extra" if change == "add" else "README.md"
    assert refusal(folder, progress=meddle) == (
        f"{folder}: {name}: changed while the folder was read; run this again when nothing writes "
        "to it"
    )


def test_large_files_are_streamed_and_their_progress_reported(folder: Path) -> None:
    (folder / "large").write_bytes(bytes(5 << 19))
    read: list[int] = []
    model_files.read_folder(folder, progress=read.append)
    assert sum(read) == model_files.total_bytes(folder)
    assert max(read) == 1 << 20


def test_a_small_file_that_is_too_large_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "MAX_KEPT_BYTES", 8)
    how = frozenset({"README.md"})
    assert refusal(folder, keep=how).startswith(f"{folder}/README.md: has 27 bytes, at most 8")


@pytest.mark.parametrize("data", [b"[]", b"{}", b'{"resources": [1]}', b'{"resources": [{}]}'])
def test_a_job_record_is_not_taken_for_a_list_of_files(data: bytes) -> None:
    with pytest.raises(BindingError, match=r"^a: is not the list"):
        model_files.read_artifact(data, "a")
