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


def soon(begin: datetime, end: datetime, now: datetime) -> bool:
    """Return whether a fifth of a certificate's life, or less, is left: whatever its length is."""
    return end - now < (end - begin) / 5


def served_too_long(chain: Path, client_ca: Path | None, now: datetime) -> tuple[str, ...]:
    """Return a sentence for each file of a server that has ended, or ends soon.

    Args:
        chain: The server's certificates; the first to end counts.
        client_ca: CAs of its clients, of which the last to end counts; ``None`` for none.
        now: The time to compare with.
    """
    counted = [(chain, min, "clients refuse this server; put a renewed one in its place")]
    if client_ca is not None:
        refused = "this server refuses every client; put a renewed one in its place, and restart"
        counted.append((client_ca, max, refused))
    found = []
    for path, choose, then in counted:
        try:
            which = choose(certificates_of(path), key=lambda each: each.not_valid_after_utc)
        except (OSError, ValueError):
            continue  # what cannot be read leaves in use what was read before
        begin, end = which.not_valid_before_utc, which.not_valid_after_utc
        if now >= end:
            found.append(f"{path} ended at {rfc3339(end)}: {then}")
        elif soon(begin, end, now):
            found.append(f"{path} ends at {rfc3339(end)}: then {then}")
    return tuple(found)
