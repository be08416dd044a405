"""Shows an authority: its keys, its metadata, and what it publishes."""

from __future__ import annotations

from typing import Any

from sidecar.authority.home import Description
from sidecar.authority.settings import duration_text
from sidecar.cli.tables import show_table, stdout
from sidecar.core import kinds, wire
from sidecar.core.window import rfc3339


def description_json(found: Description) -> dict[str, Any]:
    """Return the description as JSON values."""
    return {
        "name": found.name,
        "repository": str(found.repository),
        "keys": {
            role: {"uri": key.uri, "fingerprint": key.fingerprint()}
            for role, key in found.keys.items()
        },
        "metadata": {
            name: {"version": found.versions[name], "expires": rfc3339(found.expires[name])}
            for name in found.versions
        },
        "authority": wire.plain(found.document),
        "trust_domains": [wire.plain(domain) for domain in found.trust_domains],
        "withdrawals": [wire.plain(entry) for entry in found.withdrawals],
        "failures": [wire.plain(entry) for entry in found.failures],
        "supersessions": [wire.plain(entry) for entry in found.supersessions],
    }


def print_description(found: Description) -> None:
    """Print the description as tables."""
    console = stdout()
    console.print(f"[bold]{found.name}[/bold]  publishes {found.repository}", soft_wrap=True)
    show_table(console, ("key", "where", "fingerprint"), _key_rows(found))
    published = _published_rows(found)
    show_table(console, ("published key", "may sign", "until", "fingerprint"), published)
    show_table(console, ("metadata", "version", "expires", "signed for"), _metadata_rows(found))
    for domain in found.trust_domains:
        jwks = len(domain.jwks["keys"]) if domain.jwks else 0
        console.print(
            f"vouches for {domain.name}: {jwks} JWT keys, {len(domain.x509_roots)} X.509 roots",
            soft_wrap=True,
        )
    withdrawn = [
        (
            entry.kind,
            entry.subject,
            entry.reason,
            "at once" if entry.effective is None else rfc3339(entry.effective),
        )
        for entry in found.withdrawals
    ]
    if withdrawn:
        show_table(console, ("withdrawn", "subject", "reason", "from"), withdrawn)
    else:
        console.print("nothing is withdrawn")
    for failure in found.failures:
        console.print(f"failed: manifest {failure.manifest}, {failure.reason}", soft_wrap=True)
    for one in found.supersessions:
        console.print(f"superseded: manifest {one.manifest} by {one.by}", soft_wrap=True)


def _key_rows(found: Description) -> list[tuple[str, str, str]]:
    return [(role, key.uri, key.fingerprint()) for role, key in found.keys.items()]


def _published_rows(found: Description) -> list[tuple[str, str, str, str]]:
    return [
        (
            "attestation",
            ", ".join(kind.noun for kind in kinds.KINDS if kind.urn in key.predicate_types),
            rfc3339(key.window.not_after) if key.active else "retired",
            key.public_key().fingerprint,
        )
        for key in found.document.keys
    ]


def _metadata_rows(found: Description) -> list[tuple[str, str, str, str]]:
    signed_for = {
        "root": found.periods.root,
        "targets": found.periods.targets,
        "snapshot": found.periods.snapshot,
        "timestamp": found.periods.timestamp,
        "trust-domains": found.periods.trust_domains,
    }
    return [
        (name, str(number), rfc3339(found.expires[name]), duration_text(signed_for[name]))
        for name, number in found.versions.items()
    ]
