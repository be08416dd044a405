"""Runs a real binder as a child process, for the demo: ``admit binder serve`` with a webhook."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from admissibility_devtools.demo.gate_process import StageError, end, launch

_LISTENING = re.compile(r"webhooks on (http://[^,\s\"]+)")
_SECONDS = 60.0
_POLL_SECONDS = 0.01


class BinderProcess:
    """One ``admit binder serve`` in a folder; a context manager that stops it.

    ``config`` is its ``binder.yaml``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "binder.yaml"
        self._log = folder / "binder.log"
        self._child: subprocess.Popen[bytes] | None = None

    def secret(self, name: str, text: str) -> str:
        """Write a secret that the configuration names, with mode 0600; return its path."""
        path = self.folder / "secrets" / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(  # noqa: PTH123 - the mode belongs to the creation, not after it
            os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text)
        return str(path)

    def configure(self, settings: dict[str, Any]) -> None:
        """Write the configuration; ports that are not given are the kernel's to choose."""
        whole = {
            "version": 1,
            "state": "state",
            "blobs": "blobs",
            "webhooks": {"address": "127.0.0.1:0"},
            "admin": "127.0.0.1:0",
            **settings,
        }
        self.config.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")

    def __enter__(self) -> Self:
        """Make its folder."""
        self.folder.mkdir(parents=True)
        return self

    def start(self) -> None:
        """Start it, without waiting for anything."""
        self._child = launch(["binder", "serve", "--config", str(self.config)], self._log)

    def webhooks(self) -> str:
        """Wait until it listens; return the URL of its webhook for OpenAI.

        Raises:
            StageError: It ended, or did not in time.
        """
        child = self._child
        deadline = time.monotonic() + _SECONDS
        while (found := _LISTENING.search(self.log)) is None:
            if child is None or child.poll() is not None or time.monotonic() > deadline:
                raise StageError(f"the binder does not listen: {self.log[-500:]}")
            time.sleep(_POLL_SECONDS)
        return f"{found[1]}/webhooks/openai"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Stop it."""
        if self._child is not None:
            end(self._child, _SECONDS)

    @property
    def log(self) -> str:
        """What it logged so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, pattern: str, folder: Path) -> Path:
        """Wait until it has written a file.

        Raises:
            StageError: It did not in time.
        """
        deadline = time.monotonic() + _SECONDS
        while not (found := sorted(folder.glob(pattern))):
            if time.monotonic() > deadline:
                raise StageError(f"the binder bound nothing: {self.log[-500:]}")
            time.sleep(_POLL_SECONDS)
        return found[0]
