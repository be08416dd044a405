"""What a command imports: each process that starts pays for it."""

from __future__ import annotations

import subprocess
import sys


def test_an_authoritys_command_loads_no_server() -> None:
    code = (
        "import sys; from sidecar.cli.main import run; run(['authority', 'show', '--help']);"
        "print(sorted({'grpc', 'aiohttp', 'sidecar.gate', 'sidecar.trust'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"
