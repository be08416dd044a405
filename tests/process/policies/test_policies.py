"""The policies as text: format, types, capabilities, coverage, names."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path
from typing import Any

from sidecar.opa.client import DECISION, DECISIONS
from tests.process.policies import generate_capabilities, generate_schema
from tests.process.policies.opa import (
    CAPABILITIES,
    POLICIES,
    SCHEMAS,
    build_bundle,
    copy_policies,
    opa,
)

SOURCES = sorted(POLICIES.rglob("*.rego"))
RULE_FILES = [path for path in SOURCES if not path.name.endswith("_test.rego")]
CHECK = ("check", "--strict", "--bundle", "--schema", SCHEMAS, "--capabilities", CAPABILITIES)


def test_the_policies_are_formatted() -> None:
    done = opa("fmt", "--list", "--fail", POLICIES)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_policies_compile_strictly_against_schema_and_capabilities() -> None:
    done = opa(*CHECK, POLICIES)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_rule_is_covered_by_a_test() -> None:
    done = opa(
        "test", "--bundle", "--schema", SCHEMAS, "--capabilities", CAPABILITIES,
        "--fail-on-empty", "--coverage", "--threshold", "100", "--format", "json", POLICIES,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    missed = {name: file["not_covered"] for name, file in report["files"].items()
              if "not_covered" in file}  # fmt: skip
    assert (report["coverage"], missed) == (100, {})


def test_every_test_passes_and_every_package_of_rules_has_one() -> None:
    done = opa("test", "--bundle", "--fail-on-empty", "--format", "json", POLICIES)
    results = json.loads(done.stdout)
    assert [one["name"] for one in results if one.get("fail") or one.get("skip")] == []
    tested = {_plain(one["package"]) for one in results}
    ruled = {f"data.{_package(path)}" for path in RULE_FILES if _has_rules(path)}
    assert tested == {f"{package}_test" for package in ruled}


def test_a_package_is_where_its_name_says() -> None:
    misplaced = [
        path for path in SOURCES
        if _package(path).removesuffix("_test") != ".".join(path.relative_to(POLICIES).parts[:-1])
    ]  # fmt: skip
    assert misplaced == []


def test_a_rule_that_reads_a_field_that_does_not_exist_fails_the_check(tmp_path: Path) -> None:
    tree = copy_policies(tmp_path)
    good = "added if input.environment.risk_class\n"
    files = [tree / name / "added.rego" for name in ("jurisdiction/xx", "admission", "lib/facts",
                                                     "lib/xx")]  # fmt: skip
    for file in files:
        file.parent.mkdir(exist_ok=True)
        package = ".".join(file.parent.relative_to(tree).parts)
        file.write_text(f"package {package}\n\n{good}")
    assert opa(*CHECK, tree).returncode == 0
    for file in files:
        file.write_text(file.read_text().replace("risk_class", "riskClass"))
    done = opa(*CHECK, tree)
    found = re.findall(r"(\S+):3: .*undefined ref: input.environment.riskClass", done.stderr)
    assert done.returncode != 0
    assert sorted(found) == sorted(map(str, files))


def test_a_rule_that_reads_data_that_does_not_exist_fails_the_check(tmp_path: Path) -> None:
    tree = copy_policies(tmp_path)
    rules = tree / "jurisdiction" / "eu" / "high_risk.rego"
    rules.write_text(rules.read_text().replace("params.held_out_roles", "params.held_out_role"))
    done = opa("check", "--strict", "--bundle", "--schema", tree / "schemas", tree)
    assert done.returncode != 0
    assert "undefined ref: data.params.eu.held_out_role" in done.stderr


def test_a_rule_that_reaches_outside_fails_check_and_build(tmp_path: Path) -> None:
    expressions = (
        'http.send({"method": "GET", "url": "http://acme.example"}).status_code == 200',
        "time.now_ns() > 0",
        'rand.intn("x", 2) == 1',
        'opa.runtime().env.HOME == "/"',
        'net.lookup_ip_addr("acme.example") != set()',
    )
    tree = copy_policies(tmp_path)
    rules = "\n".join(f"added if {expression}\n" for expression in expressions)
    (tree / "lib" / "dates" / "added.rego").write_text(f"package lib.dates\n\n{rules}")
    builtins = {expression.split("(", maxsplit=1)[0] for expression in expressions}
    for command in (
        CHECK,
        ("build", "--bundle", "--capabilities", CAPABILITIES, "-o", tmp_path / "b"),
    ):
        done = opa(*command, tree)
        assert done.returncode != 0
        assert set(re.findall(r"undefined function (\S+)", done.stdout + done.stderr)) == builtins


def test_the_schema_is_the_one_of_the_types() -> None:
    assert generate_schema.PATH.read_text() == generate_schema.render()


def test_the_capabilities_are_those_of_the_pinned_engine_without_the_outside() -> None:
    assert CAPABILITIES.read_text() == generate_capabilities.render()
    current = json.loads(opa("capabilities", "--current").stdout)
    offered = {one["name"] for one in current["builtins"]}
    kept = json.loads(CAPABILITIES.read_text())
    assert kept["allow_net"] == []
    assert offered - {one["name"] for one in kept["builtins"]} == {
        "http.send",
        "io.jwt.decode_verify",
        "io.jwt.encode_sign",
        "io.jwt.encode_sign_raw",
        "json.match_schema",
        "json.verify_schema",
        "net.lookup_ip_addr",
        "opa.runtime",
        "rand.intn",
        "time.now_ns",
        "uuid.rfc4122",
    }


def test_the_entrypoints_are_where_the_gate_asks() -> None:
    marked = [
        "/v1/" + "/".join(part["value"] for part in one["path"])
        for one in _annotations()
        if one["annotations"].get("entrypoint")
    ]
    assert marked == [path.partition("?")[0] for path in (DECISIONS, DECISION)]


def test_a_bundle_holds_rules_and_data_and_no_tests(tmp_path: Path) -> None:
    with tarfile.open(build_bundle(tmp_path).path) as bundle:
        names = {Path(name).name for name in bundle.getnames()}
    served = {path.name for path in RULE_FILES if path.parent.name != "lint"}
    expected = served | {"data.json", ".manifest", ".signatures.json"}
    assert names == expected


def _package(path: Path) -> str:
    found = re.search(r"^package (\S+)$", path.read_text(), re.MULTILINE)
    assert found is not None, path
    return _plain(found.group(1))


def _plain(package: str) -> str:
    return re.sub(r'\["([^"]+)"\]', r".\1", package)


def _has_rules(path: Path) -> bool:
    body = path.read_text().split("\npackage ", maxsplit=1)[-1]
    return any(re.match(r"[a-z]", line) for line in body.splitlines()[1:])


def _annotations() -> list[dict[str, Any]]:
    done = opa("inspect", "--annotations", "--format", "json", ".", cwd=POLICIES)
    annotations: list[dict[str, Any]] = json.loads(done.stdout)["annotations"]
    return annotations
