"""A check does not see what another check of the same report has done."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sidecar.doctor.diagnosis import Diagnosis, ok
from sidecar.doctor.examine import examine
from sidecar.doctor.installation import Installation
from tests.unit.doctor.files import installation
from tests.unit.trust.operator import Operator


@pytest.mark.parametrize(
    ("first", "later"), [("status", "canary: a call"), ("canary: an upload", "seal")]
)
def test_what_changes_a_counter_starts_after_what_reads_it(
    tmp_path: Path, first: str, later: str
) -> None:
    """A canary's certificate that the gate does not know was in the status of the same report."""
    began = threading.Event()
    seen: list[bool] = []

    def reads(_: Installation) -> tuple[Diagnosis, ...]:
        seen.append(began.wait(0.3))
        return (ok(first, ""),)

    def changes(_: Installation) -> tuple[Diagnosis, ...]:
        began.set()
        return (ok(later, ""),)

    found = examine(
        installation(Operator(tmp_path / "operator")), [(later, changes), (first, reads)]
    )
    assert ([one.name for one in found], seen) == ([later, first], [False])
