"""``admit policy …`` and ``admit waive`` as people run them: what is shown, and the exit status."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sidecar.authority import home as authority
from sidecar.core import dsse
from sidecar.core.evidence import Statement, parse_statement
from sidecar.core.predicates import WAIVER, Subject, Waiver
from sidecar.core.wire import DigestSet
from sidecar.opa import tree
from tests.process.policies.opa import POLICIES
from tests.process.policy.admit import admit, told
from tests.process.policy.keys import write_pair
from tests.process.policy.lawful import Lawful
from tests.process.policy.toy import STRICTER, write_toy
from tests.process.service.site import Site
from tests.support.simulator.constants import ENV, MODEL, NOW
from tests.support.simulator.predicates import sha, window
from tests.support.simulator.svid import Issuer
from tests.support.simulator.world import World, admitted_world, present

# ---- list, check, test, new, docs ----------------------------------------------------------------


def test_list_tells_every_rule_as_table_as_json_and_as_markdown(tmp_path: Path) -> None:
    here = ("--policies", write_toy(tmp_path, more=STRICTER))
    found = told("policy", "list", *here)
    assert [(rule["code"], rule["state"], rule["effective_on"]) for rule in found] == [
        ("xx.enough", "enforced", "2026-01-01"),
        ("xx.known", "shadow", "2026-01-01"),
        ("xx.much", "advisory", "2027-01-01"),
    ]
    assert found[0]["citation"] == "Law of X, Article 1 | 2"
    shown = admit("policy", "list", *here).stdout.splitlines()
    assert [line.split() for line in shown[:2]] == [
        ["rule", "state", "since", "citation"],
        ["xx.enough", "enforced", "2026-01-01", "Law", "of", "X,", "Article", "1", "|", "2"],
    ]
    lines = admit("policy", "list", "--markdown", *here).stdout.splitlines()
    assert lines[2] == "| `xx.enough` | enforced | 2026-01-01 | Law of X, Article 1 \\| 2 |"
    assert len(lines) == 5


def test_check_says_what_and_where_and_fails(tmp_path: Path) -> None:
    assert admit("policy", "check", "--policies", POLICIES).stdout.count("✓") == 5
    nothing = admit("policy", "check", "--policies", tmp_path, code=2)
    assert nothing.stderr == (
        f"admit: {tmp_path}: no policies with a capabilities.json in there"
        "; name their folder with --policies, or make one with `admit policy copy`\n"
    )


def test_test_shows_each_package_and_fails_for_a_gap(tmp_path: Path) -> None:
    policies = write_toy(tmp_path)
    (policies / "schemas").mkdir()
    (policies / "schemas" / "facts.schema.json").write_text("{}")
    (policies / "jurisdiction" / "xx" / "xx_test.rego").write_text(
        "package jurisdiction.xx_test\n\nimport data.jurisdiction.xx\n\n"
        'test_enough if count(xx.deny) == 1 with input as {"score": 1, "subject": "m"}\n'
    )
    done = admit("policy", "test", "--policies", policies, code=1)
    assert "1 test, 0 failed\nslowest, " in done.stdout
    assert " ms: jurisdiction.xx_test.test_enough\n" in done.stdout
    assert "not covered: jurisdiction/xx/xx.rego: 28\n" in done.stdout
    value = told("policy", "test", "--run", "enough", "--policies", policies)
    assert (value["failed"], value["coverage"]) == ([], None)


def test_a_package_is_called_by_its_id_also_where_the_id_has_a_hyphen() -> None:
    report = told("policy", "test", "--run", "eu-finance_test", "--policies", POLICIES)
    assert {case["package"] for case in report["tests"]} == {"jurisdiction.eu-finance_test"}


def test_new_says_what_it_wrote_and_refuses_to_do_it_twice(tmp_path: Path) -> None:
    policies = write_toy(tmp_path)
    done = admit("policy", "new", "yy", "--policies", policies)
    assert done.stdout.splitlines() == [
        f"created {policies}/jurisdiction/yy/yy.rego",
        f"created {policies}/jurisdiction/yy/yy_test.rego",
        f"created {policies}/jurisdiction/yy/cases.json",
        f"created {policies}/params/yy/data.json",
        f"created {policies}/schemas/params.yy.schema.json",
        "Next, before anything is changed, both of these pass:",
        f"  admit policy check --policies {policies}",
        f"  admit policy test --policies {policies} --run yy_test",
        f"Then name the provision in {policies}/jurisdiction/yy/yy.rego and change the rule.",
    ]
    again = admit("policy", "new", "yy", "--policies", policies, code=2)
    assert (
        again.stderr == f"admit: {policies}/jurisdiction/yy exists already; nothing was written\n"
    )
    edited = told("policy", "new", "yy", "--sector", "retail", "--policies", policies)["edited"]
    assert edited == f"{policies}/params/yy/data.json"


def test_docs_writes_the_pages(tmp_path: Path) -> None:
    policies, out = write_toy(tmp_path / "p"), tmp_path / "out"
    done = admit("policy", "docs", "--policies", policies, "--out", out)
    assert done.stdout.splitlines() == [f"{out}/README.md", f"{out}/xx.md"]


def test_a_group_of_commands_offers_nothing_but_its_commands() -> None:
    assert "completion" not in admit("policy", "--help").stdout


# ---- build and verify ----------------------------------------------------------------------------


def test_what_one_builds_and_signs_another_verifies(tmp_path: Path) -> None:
    key, public = write_pair(tmp_path, "operator")
    _, stranger = write_pair(tmp_path, "stranger")
    policies, out = write_toy(tmp_path / "p"), tmp_path / "policy.tar.gz"
    expected = {
        "bundle": str(out),
        "revision": tree.read(policies).revision,
        "jurisdictions": "xx",
        "algorithm": "ES256",
    }
    assert told("policy", "build", "--key", key, "--out", out, "--policies", policies) == expected
    assert told("policy", "verify", out, "--key", public) == expected
    refused = admit("policy", "verify", out, "--key", stranger, code=2).stderr
    assert refused.startswith(f"admit: {out}: OPA refuses the policies: ")
    private = admit("policy", "verify", out, "--key", key, code=2).stderr
    assert private == f"admit: {key}: no public key in PEM\n"
    assert sorted(path.name for path in tmp_path.glob("*policy*")) == ["policy.tar.gz"]


# ---- explain -------------------------------------------------------------------------------------


def site_of(folder: Path, world: World) -> Site:
    """An installation in the present; ``NOW`` is now."""
    issuer = Issuer()
    world.parties["customer"].trust_domains = [issuer.document(NOW)]
    site = Site(folder, world, issuer)
    site.write()
    return site


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> datetime:
    return present(monkeypatch)


def explained(site: Site, code: int) -> Any:
    return told("policy", "explain", MODEL, "--environment", ENV, "--trust", site.trust,
                "--policies", POLICIES, code=code)  # fmt: skip


def finance() -> Lawful:
    return Lawful(("eu",), "finance")


@pytest.mark.usefixtures("now")
def test_explain_names_what_fired_with_its_citation_and_counts_what_held(tmp_path: Path) -> None:
    lawful = finance()
    del lawful.environment["declarations"]["ict-register-reference"]
    site = site_of(tmp_path, lawful.world())
    found = explained(site, 1)
    assert (found["admissible"], found["policies"]["allow"]) == (True, False)
    (violation,) = found["policies"]["violations"]
    assert (violation["code"], violation["state"]) == ("eu-finance.dora_register", "enforced")
    assert found["policies"]["held"]["eu-finance"] >= 1
    shown = admit("policy", "explain", MODEL, "-e", ENV, "-t", site.trust, "--policies", POLICIES,
                  code=1).stdout  # fmt: skip
    assert shown.startswith("denied by policies sha256:")
    assert shown.splitlines()[1] == f"{MODEL} in {ENV}, chat.completions"
    held = found["policies"]["held"]["eu-finance"]
    assert f"eu-finance: {held} of {held + 1} rules hold" in shown.splitlines()
    for text in ("eu-finance.dora_register", violation["citation"], violation["remedy"]):
        assert text in " ".join(shown.split())


@pytest.mark.usefixtures("now")
def test_explain_asks_about_the_other_evidence_that_counts_as_a_gate_does(tmp_path: Path) -> None:
    lawful = finance()
    world = lawful.world()
    silent = {**lawful.environment, "declarations": {}}
    world.join("parent", *(replace(each, trust_domains=()) for each in world.grants["customer"]))
    world.declare(
        label="newer", signer="parent", jurisdictions=["eu"], sector="finance",
        window=window(1, 30), **silent,
    )  # fmt: skip
    assert explained(site_of(tmp_path / "both", world), 0)["policies"]["allow"] is True
    world.evidence.pop("environment")
    found = explained(site_of(tmp_path / "newer", world), 1)["policies"]
    assert "eu-finance.dora_register" in {one["code"] for one in found["violations"]}


@pytest.mark.usefixtures("now")
def test_explain_shows_a_waiver_and_who_gave_it(tmp_path: Path) -> None:
    lawful = finance()
    del lawful.environment["declarations"]["ict-register-reference"]
    world = lawful.world()
    world.waive("eu-finance.dora_register", window=window(1, 90))
    found = explained(site_of(tmp_path, world), 0)
    waived = [
        (one["code"], one["state"], one["authority"]) for one in found["policies"]["warnings"]
    ]
    assert ("eu-finance.dora_register", "waived", "regulator") in waived
    shown = admit("policy", "explain", MODEL, "-e", ENV, "-t", tmp_path / "trust.yaml",
                  "--policies", POLICIES).stdout  # fmt: skip
    assert shown.startswith("allowed by policies sha256:")
    assert "waived by regulator" in shown


@pytest.mark.usefixtures("now")
def test_explain_says_of_a_waiver_that_excuses_nothing_why(tmp_path: Path) -> None:
    lawful = finance()
    del lawful.environment["declarations"]["ict-register-reference"]
    del lawful.approvals["customer"]["declarations"]["model-risk-sign-off"]
    world = lawful.world()
    for rule in ("eu-finance.dora_register", "eu-finance.gone", "eu.art6_risk_class",
                 "eu-finance.model_risk_sign_off"):  # fmt: skip
        world.waive(rule, label=rule, window=window(1, 90))
    site = site_of(tmp_path, world)
    found = explained(site, 1)
    assert {one["rule"]: one["why_not"] for one in found["policies"]["waivers"]} == {
        "eu-finance.dora_register": "",
        "eu-finance.gone": "no policy has this rule",
        "eu.art6_risk_class": "the rule holds",
        "eu-finance.model_risk_sign_off": "the violation has another subject",
    }
    shown = admit("policy", "explain", MODEL, "-e", ENV, "-t", site.trust, "--policies", POLICIES,
                  code=1).stdout  # fmt: skip
    assert [line for line in shown.splitlines() if line.startswith("! the waiver of")] == [
        f"! the waiver of {one['rule']} by regulator for {ENV} excuses nothing here:"
        f" {one['why_not']}"
        for one in found["policies"]["waivers"]
        if one["why_not"]
    ]


@pytest.mark.usefixtures("now")
def test_explain_does_not_ask_the_policies_what_the_structure_refuses(tmp_path: Path) -> None:
    lawful = finance()
    del lawful.approvals["regulator"]
    site = site_of(tmp_path, lawful.world())
    found = explained(site, 1)
    assert (found["reason"], found["policies"]) == ("approval_missing", None)
    shown = admit("policy", "explain", MODEL, "-e", ENV, "-t", site.trust, code=1).stdout
    assert "approval_missing" in shown
    assert shown.rstrip().endswith("The policies were not asked.")


@pytest.mark.usefixtures("now")
def test_explain_loses_nothing_in_a_narrow_terminal(tmp_path: Path) -> None:
    lawful = finance()
    del lawful.approvals["regulator"]
    site = site_of(tmp_path, lawful.world())
    asked = ("policy", "explain", MODEL, "-e", ENV, "-t", site.trust)
    words = {
        columns: sorted("".join(admit(*asked, code=1, COLUMNS=columns).stdout.split()))
        for columns in ("80", "100", "400")
    }
    assert words["80"] == words["100"] == words["400"]


# ---- waive ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def regulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("authorities") / "regulator"
    authority.init(home, "regulator", now=datetime.now(UTC))
    return home


def waive(regulator: Path, out: Path, *about: object) -> Statement[Any]:
    """The statement that was signed."""
    said = told("waive", "eu.art10_data_governance", "--jurisdiction", "eu", "--days", "7",
                "--reason", "transition", "--home", regulator, "--out", out, *about)  # fmt: skip
    assert (said["rule"], said["jurisdiction"]) == ("eu.art10_data_governance", "eu")
    envelope = dsse.parse(Path(said["file"]).read_bytes())
    assert envelope.digest == said["digest"]
    assert Path(said["file"]).name == f"waiver-{said['digest'][:12]}.dsse.json"
    statement = parse_statement(envelope.payload)
    assert said["subject"] == statement.subject.name
    return statement


def test_a_waiver_is_for_one_environment(regulator: Path, tmp_path: Path) -> None:
    statement = waive(regulator, tmp_path, "--environment", ENV)
    lasts = statement.predicate.window
    assert statement == Statement(
        Subject(ENV, DigestSet(sha(ENV))),
        WAIVER,
        Waiver("eu.art10_data_governance", "eu", "transition", lasts),
    )
    assert (lasts.not_after - lasts.not_before).days == 7


def test_a_waiver_is_for_one_manifest(regulator: Path, tmp_path: Path) -> None:
    world = admitted_world()
    manifest = tmp_path / "manifest.dsse.json"
    manifest.write_bytes(world.evidence["manifest"])
    statement = waive(regulator, tmp_path / "out", "--manifest", manifest)
    assert statement.subject == Subject(MODEL, DigestSet(world.digests["manifest"]))


def test_a_waiver_of_nothing_or_of_two_things_is_refused(regulator: Path, tmp_path: Path) -> None:
    words = ("waive", "x.y", "--jurisdiction", "eu", "--reason", "r", "--home", regulator,
             "--out", tmp_path / "out")  # fmt: skip
    both = ("--environment", ENV, "--manifest", tmp_path / "m")
    for about in ((), both):
        assert admit(*words, *about, code=2).stderr == (
            "admit: a waiver is for one subject: give either --environment or --manifest\n"
        )
    assert "SPIFFE ID" in admit(*words, "--environment", "env/prod", code=2).stderr
    assert not (tmp_path / "out").exists()
