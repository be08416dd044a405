"""The reference configurations have no error and no warning."""

from __future__ import annotations

import pytest

from envoy_extauthz_lint import Severity
from sidecar.cli.lint_options import lint_options
from tests.unit.envoy_extauthz_lint.edit import ENVOY, check

REFERENCES = sorted(path.stem for path in ENVOY.glob("*.yaml"))
FIRST_HOP = "xfcc-edge"
NEXT = lint_options(next_hops={"second-hop"})


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_has_neither_error_nor_warning(name: str) -> None:
    report = check((ENVOY / f"{name}.yaml").read_bytes(), NEXT if name == FIRST_HOP else None)
    assert [one for one in report.findings if one.severity is not Severity.NOTE] == []
    assert (report.listeners, report.routes > 0) == (1, True)


def test_every_reference_with_a_gate_shows_its_gate_and_its_provider() -> None:
    seen: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name in REFERENCES:
        report = check((ENVOY / f"{name}.yaml").read_bytes())
        seen[name] = (report.gate, report.providers)
    assert seen.pop(FIRST_HOP) == ("", ())
    assert set(seen.values()) == {("gate", ("provider",))}


def test_a_first_hop_is_a_way_without_the_gate_until_somebody_says_where_it_is() -> None:
    data = (ENVOY / f"{FIRST_HOP}.yaml").read_bytes()
    assert [one.rule for one in check(data).findings] == ["bypass-without-gate"]
