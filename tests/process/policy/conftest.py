from __future__ import annotations

from tests.process.policies.parsed_once import parsed_once

__all__ = ["parsed_once"]
