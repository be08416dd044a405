"""Servers over TLS."""
