"""Some operators require specifications, and change what they require.

It is drawn apart, as endings are: the other worlds, and what is drawn in them, stay as they were.
"""

from __future__ import annotations

from random import Random

from tests.support.laws.history import Require

SHARE = 0.3
ROLES = ((), (), ("auditor",), ("auditor", "customer"))
JURISDICTIONS = ((), (), (("us", ("auditor",)),), (("eu", ("auditor",)), ("us", ("customer",))))


def drawn(seed: int) -> bool:
    """Whether the operator of a seed is such a one."""
    return Random(f"operator {seed}").random() < SHARE


def changes(seed: int, length: int) -> dict[int, Require]:
    """After how many operations the operator of a seed changes what it requires, and to what."""
    rng = Random(f"requirements {seed}")
    places = rng.sample(range(1, length + 1), min(length, rng.randint(1, 3)))
    return {
        at: Require(rng.choice(ROLES), rng.choice(JURISDICTIONS), rng.random() < 0.6)
        for at in sorted(places)
    }
