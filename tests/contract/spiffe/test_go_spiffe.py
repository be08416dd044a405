"""The gate and go-spiffe agree on X.509-SVIDs, but for those that the gate refuses on purpose."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from sidecar.core.call import Credential
from sidecar.identity import xfcc
from tests.support.gate.credentials import Bench
from tests.support.go_program import built
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.svid import pem
from tests.unit.identity.authorities import Authority

DAY = timedelta(days=1)
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
DOMAIN_URI = x509.UniformResourceIdentifier("acme.example")
OTHER_URI = x509.UniformResourceIdentifier("other.example")
DNS = x509.DNSName("acme.example")


def constrained(**names: Any) -> x509.NameConstraints:
    return x509.NameConstraints(**{"permitted_subtrees": None, "excluded_subtrees": None, **names})


CHANGES: dict[str, dict[str, Any]] = {
    "good": {},
    "no CA": {"ca": False},
    "no basic constraints": {"ca": None},
    "no keyCertSign": {"cert_sign": False},
    "no key usage": {"cert_sign": None},
    "path length 0": {"path_length": 0},
    "path length 1": {"path_length": 1},
    "not yet valid": {"begins": NOW + DAY},
    "expired": {"ends": NOW - DAY},
    "for servers alone": {"purposes": (SERVER,)},
    "for clients": {"purposes": (ExtendedKeyUsageOID.CLIENT_AUTH,)},
    "unknown critical extension": {"odd": True},
    "URI of its trust domain": {"uris": ("spiffe://acme.example",)},
    "URI of another trust domain": {"uris": ("spiffe://other.example",)},
    "URI of a workload": {"uris": ("spiffe://acme.example/x",)},
    "permits the trust domain": {"constraints": constrained(permitted_subtrees=[DOMAIN_URI])},
    "permits another": {"constraints": constrained(permitted_subtrees=[OTHER_URI])},
    "excludes the trust domain": {"constraints": constrained(excluded_subtrees=[DOMAIN_URI])},
    "excludes another": {"constraints": constrained(excluded_subtrees=[OTHER_URI])},
    "constrains DNS names": {"constraints": constrained(permitted_subtrees=[DNS])},
    "SHA-224": {"digest": hashes.SHA224()},
}
"""What is changed in an intermediate, in a root, or in both of two intermediates."""

LEAVES: dict[str, dict[str, Any]] = {
    "leaf": {},
    "leaf of another trust domain": {"uri": "spiffe://other.example/x"},
    "leaf that names the trust domain": {"uri": "spiffe://acme.example"},
    "leaf with a DNS name": {"dns": ("x.acme.example",)},
    "leaf that has expired": {"lifetime": -timedelta(minutes=1)},
}

Case = tuple[Authority, x509.Certificate, tuple[Authority, ...]]


def cases() -> Iterator[tuple[str, Case]]:
    """A root, a leaf, and what was sent with it."""
    good = Authority.root()
    for name, change in CHANGES.items():
        middle = good.sub("middle", **change)
        yield f"intermediate: {name}", (good, middle.leaf(), (middle,))
        upper = good.sub("upper", **change)
        lower = upper.sub("lower")
        yield f"upper intermediate: {name}", (good, lower.leaf(), (lower, upper))
        root = Authority.root("changed", **change)
        yield f"root: {name}", (root, root.leaf(), ())
    for name, leaf in LEAVES.items():
        yield name, (good, good.leaf(**leaf), ())
    stranger = Authority.root("stranger")
    yield "another root", (good, stranger.leaf(), (stranger,))
    missing = good.sub("missing")
    yield "intermediate not sent", (good, missing.leaf(), ())


_SIGNS = "an intermediate must state that it signs certificates (X509-SVID 4.3)"
_CLIENTS = "what issues for servers alone issues for no client (RFC 5280 4.2.1.12)"
_NAMES = "a signing certificate names its trust domain, and no workload (X509-SVID 3.1)"

ON_PURPOSE: dict[str, str] = {
    "intermediate: no key usage": _SIGNS,
    "upper intermediate: no key usage": _SIGNS,
    "intermediate: for servers alone": _CLIENTS,
    "upper intermediate: for servers alone": _CLIENTS,
    "root: for servers alone": _CLIENTS,
    "intermediate: URI of another trust domain": _NAMES,
    "upper intermediate: URI of another trust domain": _NAMES,
    "intermediate: URI of a workload": _NAMES,
    "upper intermediate: URI of a workload": _NAMES,
    "leaf that names the trust domain": "a leaf names a workload (X509-SVID 5.2)",
}
"""What go-spiffe accepts and the gate refuses, and why; the gate accepts nothing beyond it."""


def accepted_by_gate(case: Case) -> bool:
    root, leaf, above = case
    bench = Bench()
    bench.domain["x509Roots"] = [pem(root.certificate)]
    chain = pem(leaf) + "".join(pem(each.certificate) for each in above)
    header = (xfcc.HEADER, f'Chain="{quote(chain, safe="")}"')
    found = bench.ask(certificate=pem(leaf), extra=(header,) if above else ())
    return isinstance(found, Credential) and found.spiffe_id == ENV


def accepted_by_go(program: Path, given: list[Case], folder: Path) -> list[bool]:
    pairs = []
    for number, (root, leaf, above) in enumerate(given):
        chain, roots = folder / f"{number}.chain.pem", folder / f"{number}.roots.pem"
        chain.write_text(pem(leaf) + "".join(pem(each.certificate) for each in above))
        roots.write_text(pem(root.certificate))
        pairs.append(f"{chain}:{roots}")
    time = NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    command = [str(program), time, "acme.example", *pairs]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return [line.startswith("accepted ") for line in done.stdout.splitlines()]


def test_the_gate_refuses_what_go_spiffe_refuses_and_on_purpose_a_few_more(
    tmp_path: Path,
) -> None:
    program = built(Path(__file__).parent / "go_spiffe", "svid", pytest.skip)
    names, given = zip(*cases(), strict=True)
    ours = [accepted_by_gate(case) for case in given]
    theirs = accepted_by_go(program, list(given), tmp_path)
    rows = dict(zip(names, zip(ours, theirs, strict=True), strict=True))
    assert len(rows) == len(names) > 60
    assert {name for name, (our, their) in rows.items() if our and not their} == set()
    assert {name for name, (our, their) in rows.items() if their and not our} == set(ON_PURPOSE)
    assert rows["intermediate: good"] == (True, True)
