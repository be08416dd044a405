"""The authors' guide builds ``uk`` step by step: what it says is what is there, and it works."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tests.policies import lint
from tests.policies.opa import (
    CAPABILITIES,
    POLICIES,
    ROOT,
    OpaServer,
    build_bundle,
    change_data,
    copy_policies,
    opa,
)
from tests.policies.test_decision import SATISFIED, admitted, facts_in

GUIDE = ROOT / "docs" / "policy-authors.md"


def steps() -> dict[str, str]:
    """What the guide writes into each file: a block goes to the file named last before it."""
    parts = re.split(r"```(?:json|rego)\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL)
    files: dict[str, list[str]] = {}
    for text, block in zip(parts[::2], parts[1::2], strict=False):
        name = re.findall(r"`policies/([\w./-]+\.(?:json|rego))`", text)[-1]
        files.setdefault(name, []).append(block)
    return {name: "\n".join(blocks) for name, blocks in files.items()}


def without_uk(folder: Path) -> Path:
    """A copy of the policies in which nothing of ``uk`` is left."""
    tree = copy_policies(folder)
    shutil.rmtree(tree / "jurisdiction" / "uk")
    shutil.rmtree(tree / "params" / "uk")
    (tree / "schemas" / "params.uk.schema.json").unlink()
    return tree


def built(folder: Path) -> Path:
    """The policies after somebody followed the guide."""
    tree = without_uk(folder)
    for name, text in steps().items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    return tree


def test_the_guide_says_what_is_there() -> None:
    assert steps() == {
        name: (POLICIES / name).read_text()
        for name in (
            "params/uk/data.json",
            "schemas/params.uk.schema.json",
            "jurisdiction/uk/uk.rego",
            "jurisdiction/uk/uk_test.rego",
        )
    }


def test_a_jurisdiction_built_as_the_guide_says_passes_all_checks(tmp_path: Path) -> None:
    tree = built(tmp_path)
    for command in (
        ("fmt", "--list", "--fail"),
        ("check", "--strict", "--bundle", "--schema", tree / "schemas", "--capabilities",
         CAPABILITIES),
        ("test", "--bundle", "--coverage", "--threshold", "100"),
    ):  # fmt: skip
        done = opa(*command, tree)
        assert done.returncode == 0, done.stdout + done.stderr
    assert lint.problems(tree, tmp_path) == []
    assert lint.data_problems(tree, tmp_path) == []


def test_a_jurisdiction_built_as_the_guide_says_is_held_to(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    personal = facts_in("eu", "uk")
    personal["adaptations"][0]["corpora"][0]["classes"] = ["personal-data"]
    for folder in (before, after):
        folder.mkdir()
    with OpaServer(build_bundle(before, tree=without_uk(before)), before) as running:
        unknown = running.decide(facts_in("eu", "uk"))
    with OpaServer(build_bundle(after, tree=built(after)), after) as running:
        assert running.decide(facts_in("eu", "uk")) == admitted("eu", "uk")
        denied = running.decide(personal)
    assert [one["code"] for one in unknown["violations"]] == ["jurisdiction_unknown"]
    assert [one["code"] for one in denied["violations"]] == ["uk.art35_impact_assessment"]


def test_an_id_with_a_hyphen_is_a_sector_only_where_a_jurisdiction_names_it(
    tmp_path: Path,
) -> None:
    tree = copy_policies(tmp_path)
    package = tree / "jurisdiction" / "uk-finance"
    package.mkdir()
    (package / "rules.rego").write_text(
        'package jurisdiction["uk-finance"]\n\nid := "uk-finance"\n\n'
        'deny contains "never" if input.environment.sector != "finance"\n'
    )
    sectors = json.loads((tree / "params" / "uk" / "data.json").read_text())["sectors"]
    change_data(tree, "uk", sectors={**sectors, "finance": "uk-finance"})
    with OpaServer(build_bundle(tmp_path, tree=tree), tmp_path) as extended:
        as_sector = extended.decide(facts_in("uk"))
        alone = extended.decide(facts_in("uk-finance"))
    assert as_sector["jurisdictions"] == {"uk": SATISFIED, "uk-finance": SATISFIED}
    assert [one["code"] for one in alone["violations"]] == ["sector_unknown"]
