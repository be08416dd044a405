"""For each rule the least changes of a reference configuration that break it.

One module for each family of rules. A change is found by its name there, as ``gate.shadow``; all of
them together are ``CASES``.
"""

from __future__ import annotations

from tests.unit.envoy_extauthz_lint.mutations import (
    added,
    bypass_hosts,
    bypass_onward,
    bypass_raw,
    bypass_unasked,
    case,
    cluster,
    gate,
    key,
    operation,
    order,
    path,
    seal,
    trust,
    unchecked,
)
from tests.unit.envoy_extauthz_lint.mutations.case import Case, Change

__all__ = [
    "CASES",
    "Case",
    "Change",
    "added",
    "bypass_hosts",
    "bypass_onward",
    "bypass_raw",
    "bypass_unasked",
    "case",
    "cluster",
    "gate",
    "key",
    "operation",
    "order",
    "path",
    "seal",
    "trust",
    "unchecked",
]

SECTIONS = (
    gate,
    seal,
    bypass_unasked,
    bypass_raw,
    bypass_onward,
    added,
    bypass_hosts,
    order,
    path,
    trust,
    key,
    cluster,
    operation,
    unchecked,
)
_PLACES = {section.__name__: place for place, section in enumerate(SECTIONS)}

CASES: list[Case] = sorted(
    case.REGISTERED, key=lambda registered: _PLACES[registered.change.__module__]
)
"""Every change, in the order of ``SECTIONS``, whichever module was imported first.

A module that is not among them is an error here, not a set of changes that nobody tries.
"""
