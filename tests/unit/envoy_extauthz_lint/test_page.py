"""The page of the rules says what the rules say."""

from __future__ import annotations

import re

from envoy_extauthz_lint import RULES
from tests.unit.envoy_extauthz_lint.edit import ENVOY
from tests.unit.envoy_extauthz_lint.generate_page import PAGE, TITLES, page


def test_the_committed_page_is_what_the_code_generates() -> None:
    assert PAGE.read_text() == page(), "run `make reference`"


def test_every_rule_says_what_why_and_what_instead() -> None:
    for rule in RULES:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", rule.id), rule
        assert rule.id.partition("-")[0] in TITLES
        assert rule.summary
        assert not rule.summary.endswith("."), rule
        assert rule.rationale.endswith(".")
        assert rule.remedy.endswith(".")
        assert len(rule.summary) <= 110, rule


def test_the_guide_of_operators_points_to_it() -> None:
    assert "](envoy-lint.md)" in (ENVOY.parent / "docs" / "operators.md").read_text()
