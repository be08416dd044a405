"""The conditions on a call as a whole, each through a real gate and real OPA: none can be waived.

What the policies find wrong with a call before, or beside, any rule of a jurisdiction. Two of them
are about the bundle and about the release of the policies, so those cases serve policies that were
changed in exactly that; a code without a case fails here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.core.facts import to_input
from sidecar.opa.location import opa_path
from sidecar.policy import rules
from sidecar.policy.rules import CALL
from tests.process.policies.opa import (
    POLICIES,
    OpaServer,
    build_bundle,
    build_unstamped,
    change_data,
    copy_policies,
)
from tests.process.policies.samples import sample_facts
from tests.process.policy.lawful import Lawful
from tests.support.simulator.predicates import window
from tests.support.site.asking import Said, address_of, ask, ask_in

RULE = "eu-finance.dora_register"


@pytest.fixture(scope="module")
def opa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpaServer]:
    """Real OPA over the policies as they are."""
    folder = tmp_path_factory.mktemp("policies")
    with OpaServer(build_bundle(folder), folder) as server:
        yield server


@contextmanager
def serving(
    folder: Path,
    change: Callable[[Path], None],
) -> Iterator[OpaServer]:
    """Real OPA over policies in which one thing is otherwise."""
    tree = copy_policies(folder)
    change(tree)
    with OpaServer(build_bundle(folder, tree=tree), folder) as server:
        yield server


def of_a_newer_release(tree: Path) -> None:
    """Let the policies insist on a field that this gate does not send yet."""
    path = tree / "admission" / "well_formed.rego"
    text = path.read_text()
    asked = "\tnamed(input.request.operation)\n"
    assert asked in text
    path.write_text(text.replace(asked, f"{asked}\tnamed(input.request.region)\n"))


def ask_excused(server: OpaServer, days: float) -> Said:
    """Call for a customer who is not in the register, and whom the regulator excuses for a time."""
    lawful = Lawful(sector="finance")
    del lawful.environment["declarations"]["ict-register-reference"]
    world = lawful.world()
    world.waive(RULE, window=window(1, days))
    return ask_in(address_of(server), world, lawful.model)


def jurisdiction_unknown(server: OpaServer, _: Path) -> Said:
    return ask(address_of(server), Lawful(jurisdictions=("eu", "atlantis")))


def sector_unknown(server: OpaServer, _: Path) -> Said:
    return ask(address_of(server), Lawful(sector="alchemy"))


def facts_malformed(_: OpaServer, folder: Path) -> Said:
    with serving(folder, of_a_newer_release) as newer:
        return ask(address_of(newer), Lawful())


def policy_data_missing(_: OpaServer, folder: Path) -> Said:
    with serving(folder, lambda tree: change_data(tree, "admission", lease_seconds=0)) as bare:
        return ask(address_of(bare), Lawful())


def waiver_ending(server: OpaServer, _: Path) -> Said:
    return ask_excused(server, 20)


CASES: dict[str, tuple[Callable[[OpaServer, Path], Said], str]] = {
    "facts_malformed": (facts_malformed, "jurisdiction_denied"),
    "jurisdiction_unknown": (jurisdiction_unknown, "jurisdiction_unknown"),
    "policy_data_missing": (policy_data_missing, "jurisdiction_denied"),
    "sector_unknown": (sector_unknown, "jurisdiction_denied"),
    "waiver_ending": (waiver_ending, "admitted"),
}
"""For each condition a call that breaks it and nothing else, and what the caller is told."""


def test_every_condition_has_a_case_and_a_code_of_its_own() -> None:
    conditions = rules.catalogue(opa_path(), POLICIES).of(CALL)
    assert [condition.code for condition in conditions] == sorted(CASES)


def test_a_lawful_call_meets_all_of_them(opa: OpaServer) -> None:
    said = ask(address_of(opa), Lawful())
    assert (said.reason, said.violations, said.warnings) == ("admitted", set(), set())


@pytest.mark.parametrize("code", sorted(CASES))
def test_each_condition_finds_what_breaks_it_and_nothing_else_does(
    opa: OpaServer, tmp_path: Path, code: str
) -> None:
    case, reason = CASES[code]
    said = case(opa, tmp_path)
    if code == "waiver_ending":
        assert (said.reason, said.violations) == (reason, set())
        assert said.warnings == {RULE, code}
    else:
        assert (said.reason, said.violations) == (reason, {code})


def test_a_waiver_that_lasts_is_reported_without_a_word_about_its_end(opa: OpaServer) -> None:
    said = ask_excused(opa, 90)
    assert (said.reason, said.warnings) == ("admitted", {RULE})
    (warning,) = said.outcome.decision.warnings
    assert (warning.state, warning.authority) == ("waived", "regulator")
    (facts,) = said.outcome.asked[-1].facts
    assert [one["rule"] for one in to_input(facts)["waivers"]] == [RULE]


def test_an_answer_without_a_revision_is_none_so_the_gate_never_repeats_what_it_says(
    tmp_path: Path,
) -> None:
    with OpaServer(build_unstamped(tmp_path), tmp_path) as server:
        answer = server.decide(to_input(sample_facts()))
        said = ask(address_of(server), Lawful())
    assert (answer["allow"], answer["revision"]) == (False, "")
    assert [(one["code"], one["subject"]) for one in answer["violations"]] == [
        ("policy_data_missing", "data.revision")
    ]
    assert (said.reason, said.violations) == ("policy_unavailable", set())
