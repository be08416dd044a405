"""What ``admit policy new`` writes passes the project's own tests of policies as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sidecar.policy import scaffold
from tests.process.policies.opa import ROOT, copy_policies

OF_POLICIES = ROOT / "tests" / "process" / "policies"
TESTS = (
    *(OF_POLICIES / f"test_{name}.py" for name in ("data", "decision", "lint", "policies")),
    ROOT / "tests" / "e2e" / "gate" / "test_policy_rules.py",
)
# They write files of their own into copies, and say nothing about what is there.
OF_COPIES = "reaches_outside or carelessness or does_not_exist or as_its_schema_says_is_found"
# `test_authoring.py` demands full coverage of what the scaffold writes, too; it takes OPA 6 s.
ELSEWHERE = "every_rule_is_covered_by_a_test"


def policy_tests(policies: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    """Run the project's tests of policies on a tree."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
         "-k", f"not ({OF_COPIES} or {ELSEWHERE})", *map(str, files)],
        cwd=ROOT, env={**os.environ, "ADMIT_POLICIES": str(policies)},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def test_a_new_jurisdiction_with_a_sector_passes_the_tests_without_a_line_of_python(
    tmp_path: Path,
) -> None:
    tree = copy_policies(tmp_path)
    scaffold.new(tree, "ca", "2026-01-01")
    scaffold.new(tree, "ca", "2026-01-01", "finance")
    ran = policy_tests(tree, *TESTS)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_list_of_a_new_jurisdiction_that_no_rule_reads_is_found(tmp_path: Path) -> None:
    tree = copy_policies(tmp_path)
    scaffold.new(tree, "ca", "2026-01-01")
    rules = tree / "jurisdiction" / "ca" / "ca.rego"
    rules.write_text(rules.read_text().replace("params.undeclared", '["none"]'))
    ran = policy_tests(tree, OF_POLICIES / "test_data.py")
    assert (ran.returncode, "'ca.undeclared'" in ran.stdout) == (1, True), ran.stdout
