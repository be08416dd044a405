"""What the newer rules are about is configuration that Envoy itself takes.

A rule about what no Envoy loads would find nothing, and a near miss that none loads proves nothing.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from admissibility_devtools.tools.envoy_config import credential_document
from admissibility_devtools.tools.find import envoy_path
from tests.unit.envoy_extauthz_lint import mutations
from tests.unit.envoy_extauthz_lint.edit import Edit
from tests.unit.envoy_extauthz_lint.mutations import CASES, Case

MODULES = (mutations.added, mutations.bypass_hosts)
TRIED = [case for case in CASES if case.change.__module__ in {one.__name__ for one in MODULES}]


@pytest.mark.parametrize("case", TRIED, ids=lambda case: case.id)
def test_envoy_takes_what_is_found(case: Case, tmp_path: Path) -> None:
    edit = Edit(case.base)
    case.change(edit)
    for listener in edit.top["static_resources"]["listeners"]:
        listener["address"]["socket_address"]["port_value"] = 0
    credential = tmp_path / "credential.yaml"
    credential.write_text(credential_document("Bearer x"), encoding="utf-8")
    config = edit.text().replace("/etc/envoy/credential/provider.yaml", str(credential))
    path = tmp_path / "envoy.yaml"
    path.write_text(config, encoding="utf-8")
    ran = subprocess.run(
        [str(envoy_path()), "--mode", "validate", "-c", str(path), "--log-level", "critical"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"configuration '{path}' OK\n", "")
