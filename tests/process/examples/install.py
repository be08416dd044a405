"""Installs the libraries of the examples into ``.cache/examples``, each at its pinned version."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys

from sidecar.opa.errors import ProgramError
from tests.process.examples.clients import CLIENTS, Client

LOCKS = ("requirements.txt", "package-lock.json", "go.sum", "pom.xml")


def install(client: Client) -> str:
    """Install one client's libraries, unless they are there; return what was done."""
    source = b"".join(
        (client.folder / name).read_bytes() for name in LOCKS if (client.folder / name).exists()
    )
    if client.language == "go":
        source += (client.folder / "main.go").read_bytes()
    if client.language == "java":
        source += (client.folder / "src/main/java/Main.java").read_bytes()
    stamp, digest = client.cache / ".installed", hashlib.sha256(source).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return "there already"
    if client.language == "python":
        shutil.rmtree(client.cache, ignore_errors=True)
    client.cache.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    try:
        for command in client.install():
            subprocess.run(command, check=True, env=client.settings())
    except ProgramError as error:
        return f"NOT INSTALLED, and not run: {error}"
    except subprocess.CalledProcessError as error:
        return f"NOT INSTALLED, and not run: exit status {error.returncode}"
    stamp.write_text(digest, encoding="utf-8")
    return "installed"


def main() -> int:
    """Install every client; one that cannot be is named, and its test says so too."""
    for client in CLIENTS:
        if not client.locked:
            sys.stdout.write(f"{client.name}: {install(client)}\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
