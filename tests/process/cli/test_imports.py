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


def test_a_binder_of_another_provider_needs_no_sdk_of_openai() -> None:
    """It is an extra: with that of Bedrock alone, or with Ollama, it is not installed."""
    code = (
        "import sys; sys.modules['openai'] = None\n"
        "from sidecar.cli.main import run; sys.exit(run(['binder', '--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (0, "")
