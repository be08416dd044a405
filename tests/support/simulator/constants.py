"""The one model, environment and time that the simulator's worlds are about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
BASE = "gpt-4o-2024-08-06"
MODEL = "ft:gpt-4o-2024-08-06:acme:support-v3:abc123"
CHILD = "ft:gpt-4o-2024-08-06:acme:support-v4:def456"
ENV = "spiffe://acme.example/env/prod"
OPERATION = "chat.completions"
APPROVERS = ("provider", "customer", "regulator")
DEPLOYMENT = "support-prod"
