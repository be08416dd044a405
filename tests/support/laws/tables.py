"""Tables of a trust state as plain values, which compare by content."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sidecar.core.memory import Remembered
from sidecar.core.snapshot import TrustState
from sidecar.core.withdrawals import WithdrawalIndex


def differences(one: TrustState, other: TrustState, *leave_out: str) -> list[str]:
    """Names of the tables in which two states differ."""
    return [
        each.name
        for each in fields(TrustState)
        if each.name not in leave_out
        and table(getattr(one, each.name)) != table(getattr(other, each.name))
    ]


def table(value: Any) -> Any:
    """A table as plain values that compare by content; withdrawals of one node in no order."""
    if isinstance(value, WithdrawalIndex):
        authored = {node: sorted(map(repr, found)) for node, found in value.authored.items()}
        return value.entries, dict(value.exact), value.patterns, authored
    if hasattr(value, "takeovers"):
        return remembered(value)
    if hasattr(value, "items"):
        return {key: table(each) for key, each in value.items()}
    return frozenset(value) if hasattr(value, "isdisjoint") else value


def remembered(memory: Remembered) -> tuple[Any, ...]:
    return (
        memory.takeovers,
        memory.successors,
        memory.statements,
        memory.adapted,
        memory.withdrawn,
        memory.declared,
    )
