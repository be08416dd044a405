"""``python -m tests.fuzz NAME``: one target for a bounded time, from a corpus that is kept.

New inputs are kept below ``--folder``, so the next run begins where this one ended; an input that
breaks a parser is kept there as well, its bytes are told, and the status is not 0.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path


def main() -> None:
    """Fuzz until the time is over or something is found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("name", help="which parser; 'list' names them")
    parser.add_argument("--seconds", type=int, default=60, help="how long")
    parser.add_argument("--folder", type=Path, default=Path(".cache/fuzz"), help="what is kept")
    chosen = parser.parse_args()
    atheris = importlib.import_module("atheris")  # installed apart: see requirements.txt
    with atheris.instrument_imports(include=["sidecar.core", "sidecar.gate"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - what is imported here is watched
    if chosen.name == "list":
        sys.stdout.writelines(f"{name}\n" for name in TARGETS)
        return
    target = TARGETS[chosen.name]
    corpus, found = chosen.folder / "corpus" / chosen.name, chosen.folder / "found"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={chosen.seconds}",
        f"-artifact_prefix={found}/{chosen.name}-",
        *("-max_len=8192", "-timeout=5", "-rss_limit_mb=2048", "-verbosity=0"),
        *("-print_final_stats=1", "-use_value_profile=1"),
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
