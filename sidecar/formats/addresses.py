"""Reads ``HOST:PORT`` of configuration files."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator

_EXPECTED = "{!r} is not HOST:PORT, with a port up to 65535"
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}")


def split_address(text: str) -> tuple[str, int]:
    """Split ``host:port``; an IPv6 address is in brackets.

    Raises:
        ValueError: Not such an address.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(_EXPECTED.format(text))
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif not _HOST.fullmatch(host):
        raise ValueError(_EXPECTED.format(text))
    return host, int(port)


def checked_address(text: str) -> str:
    """Return the address as it is; see ``split_address``."""
    split_address(text)
    return text


HostPort = Annotated[str, AfterValidator(checked_address)]
"""A field of a configuration file."""
