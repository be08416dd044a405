"""``python -m sidecar.cli``: the same as ``admit``, where the script is not on PATH."""

from __future__ import annotations

from sidecar.cli.main import main

main()
