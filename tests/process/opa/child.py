"""A managed OPA over the real policies, in a folder of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sidecar.opa.bundle import Bundle, Folder
from sidecar.opa.location import opa_path
from sidecar.opa.process import OpaProcess
from tests.process.policies.opa import POLICIES


def built(folder: Path) -> Bundle:
    folder.mkdir()
    return Folder(POLICIES).read().make(opa_path(), folder)


@asynccontextmanager
async def child(tmp_path: Path, restarts: list[int]) -> AsyncIterator[OpaProcess]:
    folder = tmp_path / "run"
    process = OpaProcess(opa_path(), built(folder), folder, lambda: restarts.append(1))
    await process.start()
    try:
        yield process
    finally:
        await process.stop()
