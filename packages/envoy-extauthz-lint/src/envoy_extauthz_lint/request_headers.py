"""Name the headers that determine what a request is, for every family of rules."""

from __future__ import annotations

PSEUDO = (":authority", ":method", ":path", ":scheme")
"""Pseudo-headers of a request (RFC 9113, section 8.3.1)."""

BODY = ("content-encoding", "content-length", "content-type", "host")
"""Headers by which a recipient reads the body, and the host where the request names none."""

DETERMINING = (*BODY, "transfer-encoding")
"""Headers that may be set in an HTTP/1.1 message and determine how it is read (RFC 9112)."""
