from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from sidecar.binding import declared
from sidecar.binding.errors import BindingError
from tests.unit.binding.samples import ENVELOPE, ENVIRONMENTS, SUITE, lay_out

SUITE_LINE = f"kind: regression, name: r, threshold: 0.9, digest: {SUITE}"
LAW = f"kind: compliance, name: r, threshold: 1, digest: {SUITE}"


def test_yaml_and_json_and_a_bare_list_mean_the_same(tmp_path: Path) -> None:
    folder = lay_out(tmp_path)
    suites = declared.envelope(folder / "envelope.yaml")
    places = declared.environments(folder / "environments.yaml")
    (folder / "envelope.json").write_text(json.dumps(yaml.safe_load(ENVELOPE)))
    (folder / "environments.json").write_text(
        json.dumps(yaml.safe_load(ENVIRONMENTS)["environments"])
    )
    assert declared.envelope(folder / "envelope.json") == suites
    assert declared.environments(folder / "environments.json") == places


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("suites: []", "suites must be a list with at least one entry"),
        ("{}", "must have the key suites and no other"),
        ("suites: [{}]\nmore: 1", "must have the key suites and no other"),
        ("just text", "suites must be a list with at least one entry"),
        ("suites: [text]", "suites.0: unknown: not a mapping"),
        (f"suites: [{{{SUITE_LINE}, treshold: 1}}]", "suites.0: unknown: treshold"),
        (
            "suites: [{kind: regression, name: r, threshold: 1}]",
            "suite r: give either digest or file",
        ),
        (f"suites: [{{{SUITE_LINE}, file: x}}]", "suite r: give either digest or file"),
        (f"suites: [{{{SUITE_LINE}, name: s}}]", "line 1: the key 'name' is given twice"),
        ("suites: [", "line 1: expected the node content"),
        (
            f"suites: [{{{LAW}}}]",
            "suites.0: Value error, a compliance suite names a jurisdiction, no other suite does",
        ),
        (
            f"suites: [{{{LAW}, jurisdiction: no}}]",
            "suites.0.jurisdiction: Input should be a valid string",
        ),
        (
            "suites: [{kind: regression, name: r, threshold: 1, digest: abc}]",
            "suites.0.digest.sha256: String should match pattern",
        ),
        (
            f"suites: [{{kind: regression, name: r, threshold: high, digest: {SUITE}}}]",
            "suites.0.threshold: Input should be a valid number",
        ),
        (
            f"suites: [{{kind: benchmark, name: r, threshold: 1, digest: {SUITE}}}]",
            "suites.0.kind: Input should be 'adversarial', 'regression' or 'compliance'",
        ),
    ],
)
def test_an_envelope_with_a_mistake_is_never_signed(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "envelope.yaml"
    path.write_text(text)
    with pytest.raises(BindingError) as caught:
        declared.envelope(path)
    assert str(caught.value).startswith(f"{path}: {why}")


def test_a_suite_whose_file_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "envelope.yaml"
    path.write_text(ENVELOPE)
    with pytest.raises(BindingError) as caught:
        declared.envelope(path)
    assert str(caught.value) == f"{tmp_path / 'regression.jsonl'}: No such file or directory"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("jurisdictions: [eu]", "jurisdictions: []", "environments.0: jurisdictions: Tuple should"),
        ("    sector: finance\n", "", "environments.0: sector: Field required"),
        ("sector: finance", "sectors: finance", "environments.0: unknown: sectors"),
        ("operations: [chat.completions]", "operations: chat", "environments.0: operations: Input"),
        ("environments:", "environment:", "must have the key environments and no other"),
    ],
)
def test_environments_with_a_mistake_are_never_signed(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    path = tmp_path / "environments.yaml"
    assert old in ENVIRONMENTS
    path.write_text(ENVIRONMENTS.replace(old, new))
    with pytest.raises(BindingError) as caught:
        declared.environments(path)
    assert str(caught.value).startswith(f"{path}: {why}")


def test_declarations_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared, "MAX_BYTES", 16)
    for name in ("e.yaml", "e.json"):
        (tmp_path / name).write_text(json.dumps(yaml.safe_load(ENVIRONMENTS)))
        with pytest.raises(BindingError, match="16"):
            declared.environments(tmp_path / name)


def test_a_declaration_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BindingError, match=r"nothing\.yaml: No such file or directory"):
        declared.environments(tmp_path / "nothing.yaml")
