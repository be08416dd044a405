"""Programs in Go that tests compare with, built once for each text of theirs."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from admissibility_devtools.tools.places import tools_folder


def built(sources: Path, name: str, skip: Callable[[str], NoReturn], *flags: str) -> Path:
    """Return a program, built from a folder with its ``go.mod``.

    Args:
        sources: The folder.
        name: What the program's name begins with.
        skip: Called with the reason where it cannot be built here: no Go, or no module proxy.
        flags: Of `go build`.
    """
    try:
        version = subprocess.run(["go", "version"], capture_output=True, check=True).stdout
    except FileNotFoundError:
        skip("go is not on PATH")
    texts = b"".join(path.read_bytes() for path in sorted(sources.iterdir()))
    full = f"{name}-{hashlib.sha256(version + texts).hexdigest()[:16]}"
    program = tools_folder() / "readers" / full
    if not program.exists():
        program.parent.mkdir(exist_ok=True)
        made = program.with_name(f".{full}.{os.getpid()}")
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-mod=readonly",
        }
        done = subprocess.run(
            ["go", "build", *flags, "-o", made, "."],
            cwd=sources,
            env=environment,
            capture_output=True,
            check=False,
            text=True,
        )
        if "dial tcp" in done.stderr or "disabled by GOPROXY" in done.stderr:
            skip("no Go module proxy answers")
        assert done.returncode == 0, done.stderr
        made.replace(program)
    return program
