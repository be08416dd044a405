"""A grant covers what every one of its patterns covers, and nothing by being left out."""

from __future__ import annotations

import dataclasses
import re

import pytest

from sidecar.core.grants import Floor, Grant, OperatorTrust, Scope

PROD = "spiffe://acme.example/prod/chat"
GIVEN = Grant(
    role="provider",
    jurisdictions=("eu", "us"),
    sectors=("finance",),
    models=("openai/ft:*",),
    environments=("spiffe://acme.example/prod/*",),
    base_models=("openai/gpt-4o-*",),
)
HERE = Scope(PROD, "finance", "openai/ft:m")


def test_a_grant_covers_its_own_role_in_its_whole_scope() -> None:
    assert GIVEN.covers("provider", HERE, ("eu", "us"))
    assert GIVEN.covers("provider", dataclasses.replace(HERE, model=None), ())


@pytest.mark.parametrize(
    ("role", "scope", "jurisdictions"),
    [
        ("producer", HERE, ("eu",)),
        ("provider", dataclasses.replace(HERE, environment="spiffe://acme.example/lab/x"), ()),
        ("provider", dataclasses.replace(HERE, sector="retail"), ()),
        ("provider", dataclasses.replace(HERE, model="openai/gpt-4o"), ()),
        ("provider", HERE, ("eu", "uk")),
    ],
    ids=["role", "environment", "sector", "model", "jurisdiction"],
)
def test_one_part_outside_is_outside(
    role: str, scope: Scope, jurisdictions: tuple[str, ...]
) -> None:
    assert not GIVEN.covers(role, scope, jurisdictions)


@pytest.mark.parametrize("part", ["jurisdictions", "sectors", "models", "environments"])
def test_a_grant_without_patterns_covers_nothing(part: str) -> None:
    empty: dict[str, tuple[str, ...]] = {part: ()}
    assert not dataclasses.replace(GIVEN, **empty).covers("provider", HERE, ("eu",))  # type: ignore[arg-type]


def test_silence_denies_by_role_unless_the_grant_says_otherwise() -> None:
    roles = ("regulator", "customer", "provider", "evaluator", "producer", "auditor")
    found = {role: dataclasses.replace(GIVEN, role=role).silence_denies for role in roles}
    assert found == dict.fromkeys(roles[:3], True) | dict.fromkeys(roles[3:], False)
    assert not dataclasses.replace(GIVEN, silence="ignored").silence_denies
    assert dataclasses.replace(GIVEN, role="auditor", silence="denies").silence_denies


def operator(**changes: re.Pattern[str] | None) -> OperatorTrust:
    rule = {"adapted_names": re.compile("ft:.*")} | changes
    other = dataclasses.replace(GIVEN, environments=("spiffe://other.example/**",))
    return OperatorTrust({"maker": (GIVEN,), "elsewhere": (other,)}, **rule)  # type: ignore[arg-type]


def test_a_base_model_is_answered_for_only_in_the_scope_of_the_grant() -> None:
    base = dataclasses.replace(HERE, model=None)
    trust = operator()
    assert trust.base_model_grantees("openai", "gpt-4o-mini", base, ("eu",)) == ("maker",)
    assert trust.base_model_grantees("openai", "gpt-4o-mini", base, ("uk",)) == ()
    assert trust.base_model_grantees("openai", "o3", base, ("eu",)) == ()
    assert trust.base_model_grantees("azure", "gpt-4o-mini", base, ("eu",)) == ()


def test_no_name_is_a_base_models_without_the_rule_or_against_it() -> None:
    base = dataclasses.replace(HERE, model=None)
    wide = dataclasses.replace(GIVEN, base_models=("**",))
    ruled = dataclasses.replace(operator(), grants={"maker": (wide,)})
    unruled = dataclasses.replace(ruled, adapted_names=None)
    found = [
        trust.base_model_grantees("openai", name, base, ("eu",))
        for trust, name in ((ruled, "gpt"), (ruled, "ft:gpt"), (unruled, "gpt"))
    ]
    assert found == [("maker",), (), ()]


def test_floors_are_those_whose_pattern_matches_in_the_order_written() -> None:
    every, prod = Floor(("**",), roles=("auditor",)), Floor(("spiffe://acme.example/prod/*",))
    lab = Floor(("spiffe://acme.example/lab/*",))
    trust = dataclasses.replace(operator(), floors=(every, lab, prod))
    assert trust.floors_of(PROD) == (every, prod)
