"""Nothing that is added can admit: over random facts, against the real OPA.

Random facts are the sample with random things taken away, replaced or added. Each question is put
to servers that differ by one rule, one jurisdiction or one sector; the one with more asked of it
never allows what the other denies.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.process.policies import mutations
from tests.process.policies.facts import facts_with_waiver
from tests.process.policies.opa import POLICIES, OpaServer, build_bundle, change_data, copy_policies
from tests.support.examples import examples

# Every jurisdiction of the policies, and every sector that one of them knows.
SECTORS_OF = {
    path.parent.name: sectors
    for path in sorted((POLICIES / "params").glob("*/data.json"))
    if (sectors := json.loads(path.read_text()).get("sectors"))
}
JURISDICTIONS = tuple(SECTORS_OF)
SECTORS = (*sorted({name for sectors in SECTORS_OF.values() for name in sectors}), "alchemy")
CODES = (
    "eu-finance.dora_register", "eu-finance.model_risk_sign_off", "eu.art6_risk_class",
    "us.govern_owner", "uk.art22c_human_intervention", "us-defense.cleared_environment",
    "xx.never", "eu.added", "facts_malformed", "jurisdiction_unknown", "sector_unknown",
)  # fmt: skip
SUBJECTS = ("spiffe://acme.example/support", "ft:gpt-4o-2024-08-06:acme:support-v3:abc123")
SAMPLE = facts_with_waiver("eu")
PATHS = sorted(mutations.fields(SAMPLE), key=str)
RULE = """package jurisdiction.eu

deny contains {"code": "eu.added", "state": "enforced", "subject": input.environment.id} if {
	input.environment.sector == "finance"
}
"""
STRICT = """package jurisdiction["eu-strict"]

id := "eu-strict"

deny contains {"code": "eu-strict.owner", "state": "enforced", "subject": input.environment.id} if {
	input.environment.risk_class != "minimal"
}
"""


@st.composite
def random_facts(draw: st.DrawFn) -> dict[str, Any]:
    """The sample, changed in up to three places, with up to three waivers of anything."""
    facts: dict[str, Any] = copy.deepcopy(SAMPLE)
    for path in draw(st.lists(st.sampled_from(PATHS), max_size=3)):
        try:
            if draw(st.booleans()):
                facts = mutations.without(facts, path)
            else:
                facts = mutations.replaced(facts, path, draw(_VALUES))
        except (KeyError, IndexError, TypeError):
            continue
    if isinstance(facts.get("environment"), dict):
        facts["environment"]["risk_class"] = draw(st.sampled_from(["limited", "minimal", "high"]))
        facts["environment"]["sector"] = draw(st.sampled_from(SECTORS))
    facts["waivers"] = draw(st.lists(_WAIVERS, max_size=3))
    return facts


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 9), st.floats(-1, 2), st.integers(10**300, 10**301),
    st.sampled_from(["", "none", "N/A", "social-scoring", "\u200b", "9999-12-31T23:59:59Z"]),
    st.text(max_size=3), st.just([]), st.just({}), st.just([None]), st.just({"": []}),
)  # fmt: skip
_WAIVERS = st.fixed_dictionaries(
    {
        "rule": st.sampled_from(CODES),
        "jurisdiction": st.sampled_from((*JURISDICTIONS, "xx")),
        "subject": st.sampled_from(SUBJECTS),
        "authority": st.just("the-regulator"),
        "reason": st.just("Because."),
        "not_after": st.sampled_from(["2026-09-01T12:00:01Z", "2026-08-31T00:00:00Z"]),
    }
)
SOME_JURISDICTIONS = st.lists(st.sampled_from(JURISDICTIONS), min_size=1, max_size=3, unique=True)
CALM = settings(
    max_examples=examples(150),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def with_rule(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpaServer]:
    """The policies with one rule more in ``eu``."""
    folder = tmp_path_factory.mktemp("rule")
    tree = copy_policies(folder)
    (tree / "jurisdiction" / "eu" / "added.rego").write_text(RULE)
    with OpaServer(build_bundle(folder, tree=tree), folder) as running:
        yield running


@pytest.fixture(scope="module")
def with_sector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpaServer]:
    """The policies with a package more for the sector retail of ``eu``."""
    folder = tmp_path_factory.mktemp("sector")
    tree = copy_policies(folder)
    package = tree / "jurisdiction" / "eu-strict"
    package.mkdir()
    (package / "rules.rego").write_text(STRICT)
    change_data(tree, "eu", sectors={**_sectors(tree), "retail": "eu-strict"})
    with OpaServer(build_bundle(folder, tree=tree), folder) as running:
        yield running


def _sectors(tree: Path) -> dict[str, str | None]:
    sectors: dict[str, str | None] = json.loads((tree / "params" / "eu" / "data.json").read_text())[
        "sectors"
    ]
    return sectors


def allows(server: OpaServer, facts: dict[str, Any], jurisdictions: list[str]) -> bool:
    """Whether the server allows these facts; an answer that is no decision does not."""
    if isinstance(facts.get("environment"), dict):
        facts = {**facts, "environment": {**facts["environment"], "jurisdictions": jurisdictions}}
    reply = server.ask(facts)
    return reply.status == 200 and reply.json()["result"]["allow"] is True


@CALM
@given(random_facts(), SOME_JURISDICTIONS, st.sampled_from((*JURISDICTIONS, "atlantis")))
def test_adding_a_jurisdiction_never_admits(
    server: OpaServer, facts: dict[str, Any], jurisdictions: list[str], more: str
) -> None:
    before = allows(server, facts, jurisdictions)
    after = allows(server, facts, [*jurisdictions, more])
    assert after <= before
    assert after <= allows(server, facts, [more])


@CALM
@given(random_facts(), SOME_JURISDICTIONS)
def test_adding_a_rule_never_admits(
    server: OpaServer, with_rule: OpaServer, facts: dict[str, Any], jurisdictions: list[str]
) -> None:
    assert allows(with_rule, facts, jurisdictions) <= allows(server, facts, jurisdictions)


@CALM
@given(random_facts(), SOME_JURISDICTIONS)
def test_adding_a_sectors_package_never_admits(
    server: OpaServer, with_sector: OpaServer, facts: dict[str, Any], jurisdictions: list[str]
) -> None:
    assert allows(with_sector, facts, jurisdictions) <= allows(server, facts, jurisdictions)


DECLARED = [
    path for path in PATHS
    if isinstance(mutations.at(SAMPLE, path), str)
    and {"declarations", "classes", "purpose", "owner", "sector", "risk_class"} & set(path)
]  # fmt: skip
UNSEEN = ("\u200b", "\u00ad", "\u2060", "\ufeff", "\u00a0", "\u202e", "\x00", " ", ".", "/", "|")


WORDS = ("none", "N/A", "tbd", "social-scoring", "phi", "personal-data", "export-controlled", "no")


@CALM
@given(
    st.sampled_from(DECLARED), st.sampled_from(WORDS), st.integers(0, 20), st.sampled_from(UNSEEN),
    st.sampled_from(SECTORS), SOME_JURISDICTIONS,
)  # fmt: skip
def test_hiding_something_in_what_is_declared_never_admits(
    early: OpaServer, path: mutations.Path, word: str, place: int, unseen: str, sector: str,
    jurisdictions: list[str],
) -> None:  # fmt: skip
    environment = {**SAMPLE["environment"], "risk_class": "high", "sector": sector}
    plain = mutations.replaced({**SAMPLE, "environment": environment}, path, word)
    hidden = mutations.replaced(plain, path, word[:place] + unseen + word[place:])
    assert allows(early, hidden, jurisdictions) <= allows(early, plain, jurisdictions)


@CALM
@given(random_facts(), SOME_JURISDICTIONS)
def test_taking_all_waivers_away_never_admits(
    server: OpaServer, facts: dict[str, Any], jurisdictions: list[str]
) -> None:
    bare = {**facts, "waivers": []}
    assert allows(server, bare, jurisdictions) <= allows(server, facts, jurisdictions)


def test_the_additions_of_these_properties_can_deny(
    server: OpaServer, with_rule: OpaServer, with_sector: OpaServer
) -> None:
    # The properties above would hold of additions that nobody reads.
    assert allows(server, SAMPLE, ["eu"])
    assert not allows(with_rule, SAMPLE, ["eu"])
    retail = {**SAMPLE, "environment": {**SAMPLE["environment"], "sector": "retail"}}
    assert allows(server, retail, ["eu"])
    assert not allows(with_sector, retail, ["eu"])
