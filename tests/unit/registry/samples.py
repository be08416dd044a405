"""A registration as a gate writes it, and handles to change it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from sidecar.core.window import Window
from sidecar.registry.keys import open_or_create
from sidecar.registry.record import TYPE, AdmittedUse, Key, Registration
from sidecar.registry.store import RegistrationStore
from tests.support.simulator.constants import ENV, MODEL, NOW

KEY = Key("openai", "openai", "response", "resp_1")
USE = AdmittedUse("responses", (MODEL,), (), (), ("text",), ("function",))
MONTH = timedelta(days=30)


def registration(**changes: Any) -> Registration:
    values: dict[str, Any] = {
        "type": TYPE,
        "provider": KEY.provider,
        "api": KEY.api,
        "kind": KEY.kind,
        "id": KEY.id,
        "environment": ENV,
        "uses": (USE,),
        "window": Window(NOW, NOW + MONTH),
        "decision": "d" * 32,
    }
    return Registration(**{**values, **changes})


def store(folder: Path, key: str = "registration.pem") -> RegistrationStore:
    return RegistrationStore.at(folder / "registrations", open_or_create(folder / key))


def files(folder: Path) -> list[Path]:
    """Every registration of a store, by name."""
    return sorted((folder / "registrations").glob("??/*"))
