"""The pinned programs the sidecar is built and run with, and how they are found."""

from __future__ import annotations

from sidecar.toolchain.errors import ToolchainError
from sidecar.toolchain.find import envoy_path, go_path, node_path, opa_path

__all__ = ["ToolchainError", "envoy_path", "go_path", "node_path", "opa_path"]
