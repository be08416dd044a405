"""When the certificates of PEM files are in force, for errors and checks that name the file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from cryptography import x509

from sidecar.core.window import rfc3339


def certificates_of(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a PEM file: a chain, or the roots of a bundle.

    Raises:
        OSError: The file cannot be read.
        ValueError: It has no certificate, or one that is malformed.
    """
    return tuple(x509.load_pem_x509_certificates(path.read_bytes()))


def not_in_force(paths: Iterable[Path], now: datetime) -> str:
    """Return which certificates of these files are not in force, to be added to a TLS error.

    OpenSSL says that *a* certificate has expired and not which: the other side's, one of the CAs
    in a file of our own, or, where the other side refused it, our own.

    Args:
        paths: PEM files; one that cannot be read adds nothing.
        now: The time to compare with.

    Returns:
        ``; FILE has a certificate that …`` for each such file; empty where there is none.
    """
    found = []
    for path in paths:
        try:
            held = certificates_of(path)
        except (OSError, ValueError):
            continue
        for each in held:
            begin, end = each.not_valid_before_utc, each.not_valid_after_utc
            if now >= end:
                found.append(f"; {path} has a certificate that ended at {rfc3339(end)}")
            elif now < begin:
                found.append(f"; {path} has a certificate that begins at {rfc3339(begin)}")
    return "".join(found)
