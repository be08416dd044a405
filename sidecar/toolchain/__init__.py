"""Finds the programs that the sidecar runs, and checks their versions."""

from __future__ import annotations

from sidecar.toolchain.errors import ToolchainError
from sidecar.toolchain.find import opa_path

__all__ = ["ToolchainError", "opa_path"]
