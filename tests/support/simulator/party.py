"""An authority of the simulator: its keys and everything it publishes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sidecar.core.documents import WithdrawalKind, read_authority, read_withdrawals
from sidecar.core.grants import Grant
from sidecar.core.kinds import BY_URN
from sidecar.core.snapshot import AuthorityView
from tests.support.simulator.constants import DAY, NOW
from tests.support.simulator.keys import SimKey
from tests.support.simulator.predicates import sha, stamp, window

ALL_TYPES = tuple(BY_URN)


@dataclass
class Party:
    """An authority with its keys and everything it would publish."""

    name: str
    key: SimKey = field(default_factory=SimKey.ed25519)
    key_window: dict[str, str] = field(default_factory=lambda: window(365, 365))
    predicate_types: tuple[str, ...] = ALL_TYPES
    trust_domains: list[dict[str, Any]] = field(default_factory=list)
    withdrawals: list[dict[str, str]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    supersessions: list[dict[str, str]] = field(default_factory=list)
    retired: list[SimKey] = field(default_factory=list)
    expires: datetime = NOW + 7 * DAY
    heard_since_start: bool = True

    def view(self) -> AuthorityView:
        document = {
            "type": "urn:admissibility:authority:v1",
            "name": self.name,
            "keys": [
                {
                    "pem": key.pem,
                    "window": self.key_window,
                    "predicateTypes": list(self.predicate_types),
                    "status": "retired" if key in self.retired else "active",
                }
                for key in (self.key, *self.retired)
            ],
            "trustDomains": self.trust_domains,
        }
        withdrawals = {
            "type": "urn:admissibility:withdrawals:v1",
            "entries": self.withdrawals,
            "failures": self.failures,
            "supersessions": self.supersessions,
        }
        return AuthorityView(
            name=self.name,
            document=read_authority(json.dumps(document).encode(), name=self.name),
            withdrawals=read_withdrawals(json.dumps(withdrawals).encode()),
            expires=self.expires,
            version=1,
            heard_since_start=self.heard_since_start,
        )

    def withdraw(
        self, kind: WithdrawalKind | str, subject: str, effective: datetime = NOW - DAY
    ) -> None:
        self.withdrawals.append(
            {
                "kind": str(kind),
                "subject": subject,
                "reason": "shown to be unfit",
                "effective": stamp(effective),
            }
        )

    def rotate(self) -> None:
        """Retire the key and go on with a new one."""
        self.retired.append(self.key)
        self.key = SimKey.ed25519()

    def fail(self, manifest: str, suite: dict[str, Any], **model: str) -> None:
        """Publish that a suite of a manifest failed; ``model`` is of an entry's optional fields."""
        digest = suite["digest"]["sha256"]
        entry = {"manifest": manifest, "suite": digest, "result": sha("FAILED"), "reason": "bias"}
        self.failures.append(entry | model)


def grant(role: str, **changes: Any) -> Grant:
    values: dict[str, Any] = {
        "role": role,
        "jurisdictions": ("eu", "us"),
        "sectors": ("**",),
        "models": ("openai/**",),
        "environments": ("spiffe://acme.example/**",),
    }
    return Grant(**{**values, **changes})
