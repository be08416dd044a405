"""Listing, checking and beginning policies, with the real OPA."""

from __future__ import annotations

import io
import json
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from sidecar.cli import policy_view
from sidecar.opa.errors import PolicyError
from sidecar.opa.location import opa_path
from sidecar.policy import checks, pages, rules, scaffold
from sidecar.policy.checks import Problem
from sidecar.policy.rules import Catalogue, Package, Rule
from sidecar.policy.scaffold import CreatedFiles
from tests.process.policies.opa import POLICIES, ROOT, copy_policies
from tests.process.policy.toy import STRICTER, write_toy

TODAY = date(2026, 11, 21)


def toy_rule(name: str, **changes: object) -> Rule:
    values: dict[str, object] = {
        "package": "xx",
        "code": f"xx.{name}",
        "title": "Enough",
        "description": "The score reaches the floor.",
        "citation": "Law of X, Article 1 | 2",
        "remedy": "Score more.",
        "term": "score",
        "effective_on": "2026-01-01",
        "state": "enforced",
        "file": "jurisdiction/xx/xx.rego",
        "row": 16,
    }
    return Rule(**{**values, **changes})  # type: ignore[arg-type]


# ---- the rules -----------------------------------------------------------------------------------


def test_a_rule_is_what_its_metadata_says(tmp_path: Path) -> None:
    found = rules.catalogue(opa_path(), write_toy(tmp_path, more=STRICTER))
    assert found.rules[0] == toy_rule("enough")
    assert {rule.code: rule.state for rule in found.rules} == {
        "xx.enough": "enforced",
        "xx.known": "shadow",
        "xx.much": "advisory",
    }
    assert found == Catalogue(
        found.rules,
        {
            "": Package("", "The call as a whole", ""),
            "xx": Package("xx", "Country X", "What the tools are tried on."),
        },
        frozenset(),
    )
    assert (found.of("xx"), found.of("us")) == (found.rules, ())


def test_rules_are_listed_as_people_count() -> None:
    codes = [rule.code for rule in rules.catalogue(opa_path(), POLICIES).of("eu")]
    articles = [int(code.removeprefix("eu.art").split("_")[0]) for code in codes]
    assert articles == sorted(articles)
    assert len(set(articles)) > 5


def test_a_rule_denies_from_its_date_on_or_as_early_as_the_operator_says() -> None:
    later = toy_rule("x", effective_on="2026-11-22")
    early = frozenset({"xx.x"})
    assert later.state_on(date(2026, 11, 21)) == "pending"
    assert later.state_on(date(2026, 11, 22)) == "enforced"
    assert later.state_on(TODAY, early) == "enforced"
    shadow = toy_rule("x", state="shadow", effective_on="2026-11-22")
    assert shadow.state_on(TODAY, early) == "shadow"


def test_every_rule_of_ours_is_listed_with_all_it_must_say() -> None:
    found = rules.catalogue(opa_path(), POLICIES)
    listed = [rule for rule in found.rules if rule.package]
    lacking = [rule.code for rule in listed if not all((*_texts(rule), rule.package))]
    written = sum(
        line.startswith(("deny contains", "warn contains"))
        for path in (POLICIES / "jurisdiction").rglob("*.rego")
        if not path.name.endswith("_test.rego")
        for line in path.read_text().splitlines()
    )
    assert (lacking, len(listed)) == ([], written)
    assert {rule.code for rule in found.of("")} >= {"facts_malformed", "jurisdiction_unknown"}


def test_the_table_of_rules_has_every_code_whole_at_eighty_columns() -> None:
    found, stream = rules.catalogue(opa_path(), POLICIES), io.StringIO()
    Console(file=stream, width=80).print(policy_view.rules_table(found, date(2026, 11, 29)))
    text = stream.getvalue()
    assert "…" not in text
    assert {rule.code for rule in found.rules} <= set(text.split())


def _texts(rule: Rule) -> tuple[str, ...]:
    return (
        rule.title, rule.description, rule.citation, rule.remedy, rule.term, rule.effective_on,
    )  # fmt: skip


def test_what_the_operator_enforces_early_is_read_from_its_data(tmp_path: Path) -> None:
    policies = write_toy(tmp_path)
    path = policies / "params" / "admission" / "data.json"
    path.parent.mkdir()
    path.write_text('{"enforce_early": ["xx.enough", 1]}')
    assert rules.catalogue(opa_path(), policies).early == {"xx.enough"}


# ---- the pages -----------------------------------------------------------------------------------


def test_the_reference_pages_say_what_the_rules_say() -> None:
    wanted = pages.pages(rules.catalogue(opa_path(), POLICIES))
    folder = ROOT / "docs" / "policies"
    assert {path.name: path.read_text() for path in folder.glob("*.md")} == wanted


def test_a_page_tells_each_rule_whole(tmp_path: Path) -> None:
    found = pages.pages(rules.catalogue(opa_path(), write_toy(tmp_path, more=STRICTER)))
    assert sorted(found) == ["README.md", "xx.md"]
    assert (
        "## `xx.enough`\n\n**Enough.** The score reaches the floor.\n\n"
        "|  |  |\n| --- | --- |\n"
        "| effect | denies from 2026-01-01 on |\n"
        "| provision | Law of X, Article 1 \\| 2 |\n"
        "| fact | `score` |\n"
        "| remedy | Score more. |\n"
        "| source | `policies/jurisdiction/xx/xx.rego` |\n"
    ) in found["xx.md"]
    assert "| [Country X](xx.md) | `xx` | 3 |" in found["README.md"]
    assert (
        "| [`xx.known`](xx.md#xxknown) | Law of X, Article 4 | shadow: warns, never denies |"
    ) in found["README.md"]


def test_a_page_of_a_package_that_is_gone_is_removed_and_no_other(tmp_path: Path) -> None:
    catalogue = rules.catalogue(opa_path(), write_toy(tmp_path / "toy"))
    out = tmp_path / "out"
    pages.write(catalogue, out)
    (out / "yy.md").write_text((out / "xx.md").read_text())
    (out / "notes.md").write_text("# Ours\n")
    pages.write(catalogue, out)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "notes.md", "xx.md"]


# ---- check ---------------------------------------------------------------------------------------


def found_by(policies: Path) -> dict[str, tuple[Problem, ...]]:
    return {one.name: one.problems for one in checks.check(opa_path(), policies)}


def test_our_policies_pass_every_check() -> None:
    checked = ("format", "types", "data", "lint", "evidence")
    assert found_by(POLICIES) == dict.fromkeys(checked, ())


def spoil_format(tree: Path) -> None:
    path = tree / "lib" / "dates" / "dates.rego"
    path.write_text(path.read_text().replace("\n\n# METADATA", "\n\n\n\n# METADATA", 1))


def spoil_types(tree: Path) -> None:
    (tree / "lib" / "dates" / "added.rego").write_text(
        "package lib.dates\n\nadded if input.environment.riskClass\n"
    )


def spoil_calls(tree: Path) -> None:
    (tree / "lib" / "dates" / "called.rego").write_text(
        "package lib.dates\n\ncalled if time.now_ns() > 0\n"
    )


def spoil_allow(tree: Path) -> None:
    path = tree / scaffold.new(tree, "zz", "2026-11-21").created[0]
    path.write_text(path.read_text() + "\nallow if answered_for\n")


def spoil_data(tree: Path) -> None:
    (tree / "params" / "admission" / "data.json").write_text('{"lease_seconds": "30"}')


def spoil_schema(tree: Path) -> None:
    (tree / "params" / "xx").mkdir()
    (tree / "params" / "xx" / "data.json").write_text("{}")


def spoil_rule(tree: Path) -> None:
    made = scaffold.new(tree, "yy", "2026-11-21")
    path = tree / made.created[0]
    path.write_text(path.read_text().replace("#   citation: Name the provision\n", ""))


SPOILED = [
    (spoil_format, "format", "lib/dates/dates.rego", "not formatted"),
    (
        spoil_types,
        "types",
        "lib/dates/added.rego",
        "undefined ref: input.environment.riskClass; expected one of credential, declarations, id,"
        " jurisdictions, owner, purpose, risk_class, sector, trust_domain",
    ),
    (
        spoil_calls,
        "types",
        "lib/dates/called.rego",
        "a policy may not call time.now_ns: its result depends on more than the facts"
        " (network, clock, randomness or environment); the time is input.now, and"
        " data.lib.dates compares with it",
    ),
    (
        spoil_allow,
        "lint",
        "jurisdiction/zz/zz.rego",
        "a rule called allow is never asked, for a jurisdiction can only deny:"
        " write deny … if not helper",
    ),
    (spoil_data, "data", "params/admission/data.json", "lease_seconds: "),
    (spoil_schema, "data", "params/xx/data.json", "there is no schemas/params.xx.schema.json"),
    (spoil_rule, "lint", "jurisdiction/yy/yy.rego", "the rule has no custom.citation"),
]


@pytest.mark.parametrize("unknown", [True, False])
def test_each_check_finds_what_it_is_there_for_and_nothing_else(
    tmp_path: Path, *, unknown: bool
) -> None:
    """OPA ends its check at an unknown reference: it stands alone, and all others in one tree."""
    tree = copy_policies(tmp_path)
    rows = [row for row in SPOILED if (row[0] is spoil_types) == unknown]
    for spoil, *_ in rows:
        spoil(tree)
    found = found_by(tree)
    for check in {check for _, check, _, _ in rows}:
        files = {file for _, of, file, _ in rows if of == check}
        assert {one.file for one in found[check]} == files
    unseen = [
        says for _, check, file, says in rows
        if not any(one.file == file and says in one.message for one in found[check])
    ]  # fmt: skip
    assert unseen == []
    assert str(tmp_path) not in repr(found)


def test_what_does_not_parse_is_reported_with_its_place_and_is_enough(tmp_path: Path) -> None:
    tree = copy_policies(tmp_path)
    (tree / "lib" / "dates" / "dates.rego").write_text("package lib.dates\n\nx := \n")
    found = found_by(tree)
    assert {(one.file, one.row) for one in found["types"]} == {("lib/dates/dates.rego", 4)}
    assert (found["format"], found["lint"]) == ((), ())


@pytest.mark.parametrize("missing", ["schemas", "lint"])
def test_a_folder_without_what_it_is_checked_against_is_an_error(
    tmp_path: Path, missing: str
) -> None:
    tree = copy_policies(tmp_path)
    (tree / missing).rename(tmp_path / "away")
    with pytest.raises(PolicyError) as caught:
        found_by(tree)
    assert str(caught.value) == f"{tree / missing}: there is no such file"


# ---- test ----------------------------------------------------------------------------------------


def with_tests(folder: Path, *tests: str) -> Path:
    """The toy with tests; the schema of the facts is not about it."""
    policies = write_toy(folder)
    (policies / "schemas").mkdir(exist_ok=True)
    (policies / "schemas" / "facts.schema.json").write_text("{}")
    body = "\n\n".join(tests)
    (policies / "jurisdiction" / "xx" / "xx_test.rego").write_text(
        f"package jurisdiction.xx_test\n\nimport data.jurisdiction.xx\n\n{body}\n"
    )
    return policies


GOOD = 'test_enough if count(xx.deny) == 1 with input as {"score": 1, "subject": "m"}'
BAD = 'test_too_little if count(xx.deny) == 2 with input as {"score": 1, "subject": "m"}'


def test_failures_are_named_and_coverage_waits_for_them(tmp_path: Path) -> None:
    report = checks.run_tests(opa_path(), with_tests(tmp_path, GOOD, BAD))
    assert [(case.name, case.passed) for case in report.cases] == [
        ("test_enough", True),
        ("test_too_little", False),
    ]
    assert all(case.seconds > 0 for case in report.cases)
    assert [case.name for case in report.failed] == ["test_too_little"]
    assert (report.coverage, report.uncovered) == (None, {})


def test_what_no_test_reaches_is_named_by_file_and_row(tmp_path: Path) -> None:
    report = checks.run_tests(opa_path(), with_tests(tmp_path, GOOD))
    assert report.failed == ()
    assert report.coverage is not None
    assert 0 < report.coverage < 100
    assert report.uncovered["jurisdiction/xx/xx.rego"] == ((28, 28),)


def test_a_choice_of_tests_says_nothing_of_coverage(tmp_path: Path) -> None:
    policies = with_tests(tmp_path, GOOD, BAD)
    report = checks.run_tests(opa_path(), policies, "test_enough")
    assert ([case.name for case in report.cases], report.coverage) == (["test_enough"], None)
    with pytest.raises(PolicyError, match=r"^there is no such test$"):
        checks.run_tests(opa_path(), policies, "nothing")
    with pytest.raises(PolicyError, match=r"^OPA refuses the policies: .*rego_parse_error"):
        checks.run_tests(opa_path(), with_tests(tmp_path, "x := "))


# ---- new -----------------------------------------------------------------------------------------


def test_a_new_jurisdiction_and_a_new_sector_pass_every_check_and_test_at_once(
    tmp_path: Path,
) -> None:
    tree = copy_policies(tmp_path)
    sectors = json.loads((tree / "params" / "us" / "data.json").read_text())["sectors"]
    made = scaffold.new(tree, "xx", "2026-11-21")
    assert made == CreatedFiles(
        "xx",
        tuple(
            Path(name)
            for name in (
                "jurisdiction/xx/xx.rego",
                "jurisdiction/xx/xx_test.rego",
                "jurisdiction/xx/cases.json",
                "params/xx/data.json",
                "schemas/params.xx.schema.json",
            )
        ),
        None,
    )
    data = json.loads((tree / "params" / "xx" / "data.json").read_text())
    assert data["sectors"] == dict.fromkeys(sorted({*sectors, "general"}))
    sector = scaffold.new(tree, "xx", "2026-11-21", "finance")
    assert (sector.id, sector.edited) == ("xx-finance", Path("params/xx/data.json"))
    edited = json.loads((tree / "params" / "xx" / "data.json").read_text())
    assert edited["sectors"] == {**data["sectors"], "finance": "xx-finance"}
    scaffold.new(tree, "xx", "2026-11-21", "fishing")  # a sector nobody knew
    assert set(found_by(tree).values()) == {()}
    report = checks.run_tests(opa_path(), tree)
    assert (report.failed, report.coverage) == ((), 100)
    codes = {rule.code for rule in rules.catalogue(opa_path(), tree).rules}
    assert {f"{name}.owner_declared" for name in ("xx", "xx-finance", "xx-fishing")} <= codes


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("eu",), "TREE/jurisdiction/eu exists already; nothing was written"),
        (("eu", "finance"), "TREE/jurisdiction/eu-finance exists already; nothing was written"),
        (
            ("zz", "finance"),
            "TREE/params/zz/data.json does not exist: run `admit policy new zz` before its",
        ),
        (("../x",), "'../x': expected an id of "),
        (("x_y",), "'x_y': expected an id of "),
        (("admission",), "'admission' is the package of the entrypoint"),
        (
            ("eu-retail",),
            "eu-retail is the package of the sector retail in eu: run `admit ",
        ),
        (("eu", "A"), "'A': expected an id of "),
    ],
)
def test_nothing_is_overwritten_and_nothing_is_half_begun(
    tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    tree = copy_policies(tmp_path)
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    with pytest.raises(PolicyError) as caught:
        scaffold.new(tree, words[0], "2026-11-21", *words[1:])
    assert str(caught.value).replace(str(tree), "TREE").startswith(why)
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before


def test_a_schema_without_its_data_is_no_place_to_begin(tmp_path: Path) -> None:
    tree = copy_policies(tmp_path)
    (tree / "schemas" / "params.zz.schema.json").write_text("{}")
    with pytest.raises(PolicyError, match=r"exists already; nothing was written$"):
        scaffold.new(tree, "zz", "2026-11-21")
    assert not (tree / "jurisdiction" / "zz").exists()
    with pytest.raises(PolicyError, match=r"no policies with a capabilities.json in there; "):
        scaffold.new(tmp_path, "zz", "2026-11-21")
