"""Stored objects through real Envoy, a real gate and the real SDK."""
