"""``admit doctor`` as an operator runs it: on one screen, to its end, whatever one check does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest

from sidecar.doctor.diagnosis import fail
from sidecar.doctor.examine import CHECKS, examine
from sidecar.doctor.installation import Installation
from tests.process.cli import admit as program
from tests.support.site.doctor import HEALTHY, Report, patient, told
from tests.support.site.site import Site


def test_a_check_that_hangs_or_breaks_does_not_take_the_others_with_it(whole: Site) -> None:
    gate = threading.Event()

    def hangs(_: Installation) -> Report:
        gate.wait()
        return ()

    def breaks(_: Installation) -> Report:
        raise KeyError("x")

    checks = [("first", hangs), CHECKS[0], ("last", breaks)]
    found = told(whole, examine(patient(whole), checks, patience=3.0))
    gate.set()
    assert found == (
        fail("first", "no end within 3 s", "Look at what it asks."),
        HEALTHY[0],
        fail("last", "could not be examined: KeyError: 'x'", "Please report this."),
    )


def run(site: Site, *more: str) -> subprocess.CompletedProcess[str]:
    """The command, as an operator calls it in a terminal of 100 columns."""
    assert site.envoy is not None
    host, port = site.envoy.admin
    where = ("--envoy-admin", f"{host}:{port}", "--gateway", site.envoy.url)
    return subprocess.run(
        [
            *(sys.executable, "-m", "sidecar.cli", "doctor"),
            *("--config", str(site.folder / "sidecar.yaml"), *where, *more),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "COLUMNS": "100"},
    )


def test_the_command_fits_one_screen_and_its_exit_status_says_how_it_stands(whole: Site) -> None:
    healthy = run(whole)
    (whole.folder / "trust.yaml").chmod(0o666)
    ill, machine = run(whole), run(whole, "--json")
    assert [healthy.returncode, ill.returncode, machine.returncode] == [0, 1, 1]
    lines = healthy.stdout.splitlines()
    named = f"others may change {whole.folder / 'trust.yaml'} (0666)"
    assert "".join(named.split()) in "".join(ill.stdout.split())
    found = [line.split("  ")[0] for line in lines[:-1] if line.startswith("✓")]
    assert found == [f"✓ {one.name}" for one in HEALTHY]
    assert lines[-1] == f"{len(HEALTHY)} in order, 0 to look at, 0 failed"
    shown = ill.stdout.splitlines()
    # A remedy, and as many lines as the name of the file takes.
    assert len(lines) + 1 <= len(shown) <= len(lines) + 3
    assert max(map(len, shown)) <= 100
    assert (
        shown[-1] == f"{len(HEALTHY) - 1} in order, 0 to look at, 1 failed; begin with: permissions"
    )
    assert "✗ permissions" in ill.stdout
    value = json.loads(machine.stdout)
    assert (value["healthy"], value["causes"]) == (False, ["permissions"])
    assert [one["name"] for one in value["findings"]] == [one.name for one in HEALTHY]


@pytest.mark.parametrize(
    ("option", "value", "line"),
    [
        ("--envoy-admin", "9901", "admit: --envoy-admin: '9901' is not HOST:PORT"),
        (
            "--gateway",
            "gateway:1",
            "admit: --gateway: 'gateway:1' must begin with http:// or https://",
        ),
        ("--time-source", "http://x:y", "admit: --time-source: 'http://x:y' is not a URL"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_line(option: str, value: str, line: str) -> None:
    done = program.admit("doctor", option, value, code=2)
    assert (done.stdout, done.stderr.decode()) == (b"", line + "\n")
