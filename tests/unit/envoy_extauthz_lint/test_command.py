"""The package's own command: exit status, forms, and the options that stand for a gate."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from envoy_extauthz_lint.__main__ import main
from envoy_extauthz_lint.known_providers import KNOWN_HOSTS, KNOWN_PROVIDERS
from envoy_extauthz_lint.matching import names_provider
from sidecar.cli.lint_options import GATE_HEADER_PREFIX, PROVIDER_HOSTS, lint_options
from tests.unit.envoy_extauthz_lint import mutations
from tests.unit.envoy_extauthz_lint.edit import ENVOY, Edit

REPOSITORY = ENVOY.parent
PROJECT = REPOSITORY / "packages" / "envoy-extauthz-lint" / "pyproject.toml"
FAIL_OPEN = (
    "error gate-fail-open: requests pass while the gate is unreachable\n"
    "    at: listener applications, filter chain applications, filter ext_authz,"
    " failure_mode_allow\n"
    "    remedy: `failure_mode_allow: false`.\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    edit = Edit()
    mutations.gate.fail_open(edit)
    path = tmp_path / "envoy.yaml"
    path.write_text(edit.text())
    return path


def test_a_finding_is_printed_with_its_place_and_its_remedy(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(file)]) == 1
    out, err = capsys.readouterr()
    first, _, rest = out.partition(": ")
    assert first.startswith(f"{file}:")
    assert (rest, err) == (f"{FAIL_OPEN}{file}: errors: 1, warnings: 0, notes: 0\n", "")


def test_json_has_the_remedy_of_every_finding(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(file), "--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["rule"], finding["remedy"]) == (
        "gate-fail-open",
        "`failure_mode_allow: false`.",
    )


def test_with_the_options_of_a_gate_it_finds_what_admit_envoy_lint_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit = Edit("egress")
    edit.gate["allowed_headers"] = {"patterns": [{"exact": "content-type"}]}
    edit.manager["early_header_mutation_extensions"] = []
    path = tmp_path / "envoy.yaml"
    path.write_text(edit.text())
    options = lint_options()
    arguments = [str(path), "--json", "--credential-header", options.credential_header]
    arguments += ["--gate-header-prefix", GATE_HEADER_PREFIX]
    for host in PROVIDER_HOSTS:
        arguments += ["--provider-host", host]
    for header in options.inspected_headers:
        arguments += ["--inspected-header", header]
    assert main(arguments) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    lines = [f"{one['severity']} {one['rule']} [{one['where']}] {one['message']}" for one in found]
    assert len(lines) > 3
    assert lines == edit.found()


def test_the_hosts_of_every_supported_provider_are_known_without_options() -> None:
    samples = [host.replace("*", "eu-west-1") for host in PROVIDER_HOSTS]
    unknown = [host for host in samples if not names_provider(host, KNOWN_HOSTS)]
    assert unknown == [], "add them to KNOWN_PROVIDERS of the linter, as names with *"
    assert not names_provider("api.newcomer.example", KNOWN_HOSTS)
    assert len(set(KNOWN_HOSTS)) == len(KNOWN_HOSTS)


def test_each_known_provider_states_where_its_hosts_were_found() -> None:
    assert [one.name for one in KNOWN_PROVIDERS if not one.stated] == []
    assert [one for one in KNOWN_PROVIDERS if not one.hosts] == []
    addresses = [one.documentation for one in KNOWN_PROVIDERS if one.documentation]
    assert [each for each in addresses if not each.startswith("https://")] == []
    assert len(addresses) > 100


def test_a_file_that_cannot_be_read_is_status_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none")]) == 2
    expected = f"envoy-extauthz-lint: {tmp_path / 'none'}: No such file or directory\n"
    assert capsys.readouterr() == ("", expected)
    bad = tmp_path / "bad.yaml"
    bad.write_text("node: {}\nnode: {}\n")
    assert main([str(bad)]) == 2
    assert capsys.readouterr().err.endswith("bad.yaml: line 2: the key 'node' is given twice\n")


def test_a_listed_filter_is_accepted_and_a_misspelt_one_is_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit = Edit()
    mutations.unchecked.unknown_filter(edit)
    path = tmp_path / "envoy.yaml"
    path.write_text(edit.text())
    kind = "envoy.extensions.filters.http.acme.v1.Acme"
    assert main([str(path)]) == 1
    assert main([str(path), "--known-filter", kind]) == 0
    capsys.readouterr()
    assert main([str(path), "--known-filter", "envoy.extensions.filters.http.acme.v1.Acne"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(f"nothing of that type in {path}; did you mean {kind}?\n")


def test_the_package_needs_nothing_that_the_sidecar_does_not_install() -> None:
    own = tomllib.loads(PROJECT.read_text())["project"]
    whole = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert set(own["dependencies"]) <= set(whole["dependencies"])
    assert own["requires-python"] == whole["requires-python"]
