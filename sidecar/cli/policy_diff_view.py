"""Prints the result of a replay, as tables for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from sidecar.cli.policy_view import MAX_SHOWN, plain_table
from sidecar.cli.tables import show_table
from sidecar.formats.amounts import amount
from sidecar.policy.replay import Answer, Change, Difference, Group, RuleHit, Tally


def difference_json(difference: Difference) -> dict[str, Any]:
    """Return the whole result of a replay."""
    return {
        "records": difference.records,
        "changed": difference.changed,
        "kinds": dict(difference.kinds),
        "warnings_only": difference.warnings,
        "unlike_recorded": difference.unlike_recorded,
        "malformed": difference.malformed,
        "rules": [
            {"jurisdiction": jurisdiction, "code": code, "appears": more, "disappears": fewer}
            for jurisdiction, code, more, fewer in _by_rule(difference)
        ],
        "restated": dict(difference.restated),
        "groups": [_group(*one) for one in _largest_first(difference)],
        "ungrouped": difference.ungrouped,
        "changes": [_change(change) for change in difference.changes],
    }


def _change(change: Change) -> dict[str, Any]:
    facts = change.record.facts
    return {
        "id": change.record.id,
        "time": change.record.time,
        "kind": change.kind,
        "environment": facts.get("environment", {}).get("id"),
        "models": facts.get("request", {}).get("models"),
        "before": _side(change.before),
        "after": _side(change.after),
    }


def _side(answer: Answer) -> dict[str, Any]:
    def listed(found: frozenset[RuleHit]) -> list[dict[str, str]]:
        return [asdict(one) for one in sorted(found)]

    return {
        "allow": answer.allow,
        "violations": listed(answer.violations),
        "warnings": listed(answer.warnings),
    }


def print_difference(console: Console, difference: Difference) -> None:
    """Print how many decisions change, by jurisdiction and rule, and the first of them by id."""
    kinds = difference.kinds
    console.print(
        f"{amount(difference.records, 'question')} replayed: "
        f"{amount(difference.changed, 'decision changes', 'decisions change')}"
        f" ({kinds['denied']} denied now, {kinds['allowed']} allowed now,"
        f" {kinds['reasons']} denied for other reasons);"
        f" {difference.warnings} differ in warnings only"
    )
    for pattern, count in sorted(difference.restated.items()):
        console.print(
            f"as if {pattern} had declared other jurisdictions: {amount(count, 'question')}"
        )
    if difference.unlike_recorded:
        console.print(
            f"! {difference.unlike_recorded} were recorded otherwise than the policies before"
            " decide now: they were decided by other policies",
            style="yellow",
        )
    if difference.malformed:
        console.print(
            f"! {difference.malformed} were not compared: their facts lack fields that these"
            " policies need; a gate of another release recorded them",
            style="yellow",
        )
    if not difference.changed:
        return
    rules = plain_table("jurisdiction", "rule", "denies now", "no more")
    for jurisdiction, code, more, fewer in _by_rule(difference):
        rules.add_row(jurisdiction or "(the call)", code, str(more), str(fewer))
    console.print(rules)
    groups: list[tuple[str | Text, ...]] = []
    for group, tally in _largest_first(difference)[:MAX_SHOWN]:
        rules_changed = [f"+ {code}" for _, code in group.appears]
        rules_changed += [f"- {code}" for _, code in group.disappears]
        # To the second: the id finds the line in a log.
        first = f"{tally.first} {tally.since[:19]}Z"
        models = ", ".join(group.models)
        changed = ", ".join(rules_changed)
        groups.append(
            (str(tally.decisions), _kind(group.kind), models, group.environment, changed, first)
        )
    show_table(
        console, ("decisions", "are", "models", "environment", "rules", "first decision"), groups
    )
    more = max(0, len(difference.groups) - MAX_SHOWN)
    if more or difference.ungrouped:
        rest = (
            f", and {amount(difference.ungrouped, 'decision')} beyond"
            if difference.ungrouped
            else ""
        )
        console.print(f"… and {amount(more, 'more group')}{rest} (--json)")


def _kind(kind: str) -> Text:
    style = {"denied": "bold red", "allowed": "bold green"}.get(kind, "yellow")
    return Text({"reasons": "other reasons"}.get(kind, f"{kind} now"), style)


def _largest_first(difference: Difference) -> list[tuple[Group, Tally]]:
    return sorted(difference.groups.items(), key=lambda one: (-one[1].decisions, one[0]))


def _group(group: Group, tally: Tally) -> dict[str, Any]:
    def listed(rules: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
        return [{"jurisdiction": jurisdiction, "code": code} for jurisdiction, code in rules]

    return {
        "kind": group.kind,
        "environment": group.environment,
        "models": list(group.models),
        "appears": listed(group.appears),
        "disappears": listed(group.disappears),
        **asdict(tally),
    }


def _by_rule(difference: Difference) -> list[tuple[str, str, int, int]]:
    touched = sorted(difference.appears.keys() | difference.disappears.keys())
    return [(*rule, difference.appears[rule], difference.disappears[rule]) for rule in touched]
