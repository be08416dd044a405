"""What the command prints and how it ends: for people, as JSON, as SARIF."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from envoy_extauthz_lint import RULES, Severity, formatters, lint
from envoy_extauthz_lint.document import MAX_YAML_BYTES
from sidecar.cli.lint_options import lint_options
from sidecar.cli.main import run
from tests.unit.envoy_extauthz_lint import mutations
from tests.unit.envoy_extauthz_lint.edit import ENVOY, Edit, check


def written(folder: Path, *changes: mutations.Change) -> str:
    edit = Edit()
    for change in changes:
        change(edit)
    path = folder / "envoy.yaml"
    path.write_text(edit.text())
    return str(path)


def ends(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(["envoy", "lint", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("change", "arguments", "code"),
    [
        (None, [], 0),
        (None, ["--fail-on", "warning"], 0),
        (mutations.gate.partial_body, [], 1),
        (mutations.path.path_normalized, [], 0),
        (mutations.path.path_normalized, ["--fail-on", "warning"], 1),
        (mutations.bypass_onward.retried, ["--fail-on", "warning"], 0),
        (mutations.bypass_onward.retried, ["--fail-on", "note"], 2),
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"], ["--sarif"]])
def test_the_exit_status_says_whether_a_build_may_go_on(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: mutations.Change | None,
    arguments: list[str],
    code: int,
    form: list[str],
) -> None:
    file = written(tmp_path, *([] if change is None else [change]))
    assert ends(capsys, file, *arguments, *form)[0] == code


@pytest.mark.parametrize("form", [[], ["--json"], ["--sarif"]])
def test_a_file_that_cannot_be_read_is_one_line_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: list[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("node: {}\nnode: {}\n")
    assert ends(capsys, str(bad), *form) == (
        2,
        "",
        f"admit: {bad}: line 2: the key 'node' is given twice\n",
    )
    assert ends(capsys, str(tmp_path / "none"), *form) == (
        2,
        "",
        f"admit: {tmp_path / 'none'}: No such file or directory\n",
    )


def test_json_and_sarif_together_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ends(capsys, "-", "--json", "--sarif")
    assert (code, out, err) == (2, "", "admit: --json and --sarif: one of them\n")


def test_a_table_for_people_fits_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    file = Path(written(tmp_path, mutations.gate.partial_body, mutations.path.path_left_to_runtime))
    text = file.read_text().splitlines()
    partial = text.index(next(line for line in text if line.endswith("_message: true"))) + 1
    manager = text.index(next(line for line in text if "v3.HttpConnectionManager" in line))
    code, out, err = ends(capsys, "envoy.yaml")
    lines = [line.rstrip() for line in out.splitlines()]
    assert (code, err, max(map(len, lines)) <= 100) == (1, "", True)
    what, beginning = " " * 35, "the gate sees only the beginning of a large body"
    absent = "normalize_path is absent: a runtime key decides"
    assert lines == [
        "severity  rule               line  what and where",
        f"error     gate-body-partial  {partial}   {beginning}",
        f"{what}listener applications, filter chain applications, filter",
        f"{what}ext_authz, with_request_body, allow_partial_message",
        f"{what}remedy: `allow_partial_message: false`; a larger body is then",
        f"{what}refused with 413.",
        f"warning   path-normalized    {manager:<5} {absent}",
        f"{what}listener applications, filter chain applications",
        f"{what}remedy: `normalize_path: false`, `merge_slashes: false`; the gate",
        f"{what}refuses such paths itself.",
        "",
        "envoy.yaml: bootstrap, 1 listener, 2 routes; gate: gate; providers: provider",
        "1 error, 1 warning, 0 notes. Rules: admit docs envoy-lint",
    ]


def test_one_and_the_same_thing_at_many_places_is_one_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def eight_doors(edit: Edit) -> None:
        edit.manager["merge_slashes"] = True
        listeners = edit.top["static_resources"]["listeners"]
        one = json.dumps(edit.listener)
        listeners += [{**json.loads(one), "name": f"door {number}"} for number in range(7)]

    text = Path(written(tmp_path, eight_doors)).read_text().splitlines()
    places = [number for number, line in enumerate(text, 1) if "merge_slashes: true" in line]
    code, out, _ = ends(capsys, "envoy.yaml")
    told_of = ", ".join(map(str, places[1:7]))
    assert (code, [" ".join(line.split()) for line in out.splitlines()][1:4]) == (
        0,
        [
            f"warning path-normalized {places[0]} merge_slashes: the gate sees a normalized path",
            "listener applications, filter chain applications, merge_slashes",
            f"… and 7 more places: line {told_of}, …",
        ],
    )
    _, out, _ = ends(capsys, "envoy.yaml", "--json")
    assert [one["line"] for one in json.loads(out)["findings"]] == places


def test_what_is_clean_says_what_was_checked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(ENVOY)
    assert ends(capsys, "jwt.yaml") == (
        0,
        "jwt.yaml: bootstrap, 1 listener, 2 routes; gate: gate; providers: provider\n"
        "0 errors, 0 warnings, 0 notes\n",
        "",
    )


def test_json_has_the_whole_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, mutations.gate.partial_body)
    code, out, _ = ends(capsys, file, "--json")
    report = json.loads(out)
    line = report["findings"][0].pop("line")
    assert Path(file).read_text().splitlines()[line - 1].strip() == "allow_partial_message: true"
    assert (code, report) == (
        1,
        {
            "file": file,
            "kind": "bootstrap",
            "listeners": 1,
            "routes": 2,
            "gate": "gate",
            "providers": ["provider"],
            "counts": {"error": 1, "warning": 0, "note": 0},
            "findings": [
                {
                    "rule": "gate-body-partial",
                    "severity": "error",
                    "message": "the gate sees only the beginning of a large body",
                    "remedy": "`allow_partial_message: false`; a larger body is then refused with"
                    " 413.",
                    "where": "listener applications, filter chain applications,"
                    " filter ext_authz, with_request_body, allow_partial_message",
                    "place": "/static_resources/listeners/0/filter_chains/0/filters/0"
                    f"/typed_config/http_filters/{Edit().at}/typed_config"
                    "/with_request_body/allow_partial_message",
                }
            ],
        },
    )


def required(value: dict[str, Any], *names: str) -> None:
    assert set(names) <= set(value), value


def test_sarif_has_what_the_standard_asks_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # OASIS SARIF 2.1.0, the required and used properties: §3.13, 3.14, 3.18, 3.19, 3.27 to 3.33.
    monkeypatch.chdir(tmp_path)
    written(
        tmp_path,
        mutations.gate.partial_body,
        mutations.bypass_onward.retried,
        mutations.path.path_normalized,
    )
    _, out, _ = ends(capsys, "envoy.yaml", "--sarif")
    log = json.loads(out)
    required(log, "version", "runs")
    assert log["version"] == "2.1.0"
    (run_,) = log["runs"]
    required(run_, "tool", "results")
    # A category for each file, or a code-scanning service takes the last upload for all of them.
    assert run_["automationDetails"] == {"id": "envoy-lint/envoy.yaml/"}
    driver = run_["tool"]["driver"]
    required(driver, "name", "version", "rules")
    assert [rule["id"] for rule in driver["rules"]] == [rule.id for rule in RULES]
    for rule in driver["rules"]:
        required(rule, "id", "shortDescription", "fullDescription", "help")
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in {"error", "warning", "note"}
    lines = (tmp_path / "envoy.yaml").read_text().splitlines()
    seen = []
    for result in run_["results"]:
        required(result, "ruleId", "level", "message", "locations", "partialFingerprints")
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        (location,) = result["locations"]
        physical = location["physicalLocation"]
        (logical,) = location["logicalLocations"]
        key = logical["fullyQualifiedName"].rpartition("/")[2]
        assert physical["artifactLocation"] == {"uri": "envoy.yaml"}
        assert lines[physical["region"]["startLine"] - 1].strip().startswith(f"{key}:")
        seen.append((result["level"], result["ruleId"], result["message"]["text"]))
    assert seen == [
        (
            "error",
            "gate-body-partial",
            "listener applications, filter chain applications, filter ext_authz,"
            " with_request_body, allow_partial_message:"
            " the gate sees only the beginning of a large body",
        ),
        (
            "warning",
            "path-normalized",
            "listener applications, filter chain applications, normalize_path:"
            " normalize_path: the gate sees a normalized path",
        ),
        (
            "note",
            "bypass-retry",
            "listener applications, filter chain applications, virtual host provider,"
            " retry_policy: one decision covers several attempts",
        ),
    ]


def fingerprints(edit: Edit) -> list[str]:
    (run_,) = formatters.to_sarif(check(edit.text().encode()), "envoy.yaml", "1")["runs"]
    return [one["partialFingerprints"]["primaryLocationLineHash"] for one in run_["results"]]


def test_a_finding_is_known_again_when_the_file_changes_above_it() -> None:
    edit = Edit()
    mutations.gate.shadow(edit)
    mutations.path.path_normalized(edit)
    before = fingerprints(edit)
    edit.top = {"node": {"metadata": {"a": 1, "b": 2}}, **edit.top}
    edit.clusters.insert(0, {"name": "other"})
    assert fingerprints(edit) == before
    assert len(set(before)) == 2


def test_no_two_findings_are_taken_for_one() -> None:
    edit = Edit()
    mutations.gate.shadow(edit)
    edit.top["static_resources"]["listeners"].append(edit.listener)
    first, second = fingerprints(edit)
    assert (first[:-2], first[-2:], second[-2:]) == (second[:-2], ":1", ":2")


def test_a_result_has_a_region_even_where_lines_are_not_known() -> None:
    edit = Edit()
    mutations.gate.shadow(edit)
    edit.top["node"]["metadata"] = {"filler": "x" * MAX_YAML_BYTES}
    report = check(json.dumps(edit.top).encode())
    (result,) = formatters.to_sarif(report, "dump.json", "1")["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}


def test_sarif_names_files_as_uris() -> None:
    report = check(Edit().text().replace("shadow_mode", "x").encode())
    assert report.findings == ()
    edit = Edit()
    mutations.unchecked.no_listener(edit)
    report = check(edit.text().encode())

    def uri(name: str) -> Any:
        (result,) = formatters.to_sarif(report, name, "1")["runs"][0]["results"]
        return result["locations"][0]["physicalLocation"]

    assert uri("/etc/my envoy.yaml") == {
        "artifactLocation": {"uri": "file:///etc/my%20envoy.yaml"},
        "region": {"startLine": 1},
    }
    assert uri("a/b#c.yaml")["artifactLocation"] == {"uri": "a/b%23c.yaml"}


def test_operators_can_say_what_the_file_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rules(*arguments: str) -> list[tuple[str, str]]:
        _, out, _ = ends(capsys, file, "--json", *arguments)
        return [(one["rule"], one["severity"]) for one in json.loads(out)["findings"]]

    file = written(tmp_path, mutations.bypass_raw.tcp_to_something_else)
    assert rules() == [("bypass-tcp", "warning")]
    assert rules("--provider-cluster", "other") == [("bypass-tcp", "error")]
    assert rules("--next-hop", "other") == []
    assert rules("--provider-host", "127.*")[0] == ("bypass-tcp", "error")
    assert ("bypass-without-gate", "error") in rules("--gate-cluster", "other")
    removed = rules("--credential-header", "X-My-Credential")
    assert removed.count(("trust-credential-leaves", "warning")) == 2


def test_weights_have_an_order() -> None:
    assert [weight.rank for weight in Severity] == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--provider-cluster", "provder"), "did you mean provider?"),
        (("--next-hop", "Provider"), "did you mean provider?"),
        (("--gate-cluster", "authz"), "its clusters are gate, provider"),
    ],
)
def test_a_name_that_is_in_no_file_is_an_error_with_the_nearest_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, str], line: str
) -> None:
    file = written(tmp_path)
    what = f"{' '.join(arguments)}: no cluster of that name in {file}; {line}"
    assert ends(capsys, file, *arguments) == (2, "", f"admit: {what}\n")


def test_a_host_that_is_no_provider_and_in_no_file_is_an_error_with_the_nearest_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path)
    assert ends(capsys, file, "--not-a-provider", "*")[0] != 2
    near = lint(Path(file).read_bytes(), lint_options()).hosts[-1]
    mistyped = f"x{near}"
    what = f"--not-a-provider {mistyped}: no such host in {file}; did you mean {near}?"
    assert ends(capsys, file, "--not-a-provider", mistyped) == (2, "", f"admit: {what}\n")


def test_a_name_need_be_in_one_of_several_files_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    files = (
        written(tmp_path),
        written(tmp_path / "other", mutations.bypass_raw.tcp_to_something_else),
    )
    arguments = (*files, "--next-hop", "other", "--json")
    code, out, err = ends(capsys, *arguments)
    found = json.loads(out)["files"]
    assert (code, err, [(one["file"], one["findings"]) for one in found]) == (
        0,
        "",
        [(file, []) for file in files],
    )
    _, out, _ = ends(capsys, *files, "--sarif")
    runs = json.loads(out)["runs"]
    assert [one["automationDetails"]["id"] for one in runs] == [
        f"envoy-lint/file://{file}/" for file in files
    ]
    code, out, _ = ends(capsys, *files, "--fail-on", "warning")
    assert (code, [line for line in out.splitlines() if " listener, " in line]) == (
        1,
        [line for line in out.splitlines() if any(file in line for file in files)],
    )
