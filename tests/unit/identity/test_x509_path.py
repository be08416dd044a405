"""A leaf below intermediates leads to a root, and every kind of path that must not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.call import Credential
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.window import rfc3339
from sidecar.identity import x509_path, xfcc
from sidecar.identity.trust_bundles import DomainRoots
from sidecar.identity.x509_svid import MAX_CHAIN_CHARS, load_chain
from tests.support.examples import examples
from tests.support.gate.credentials import HOUR, Bench, Outcome, invalid, no_root
from tests.support.simulator.constants import ENV, NOW, SECOND
from tests.support.simulator.svid import pem, usage
from tests.unit.identity.authorities import YEAR, Authority, builder, named, new_key

GOOD = Credential(ENV, "acme.example", "x509-svid", NOW + HOUR, "customer")
URI, DNS = x509.UniformResourceIdentifier, x509.DNSName


def ask(
    bench: Bench, roots: Sequence[Authority], leaf: x509.Certificate, *above: Authority
) -> Outcome:
    """What the gate answers to a connection of ``leaf`` with a chain of certificates above it."""
    bench.domain["x509Roots"] = [pem(root.certificate) for root in roots]
    chain = pem(leaf) + "".join(pem(each.certificate) for each in above)
    header = (xfcc.HEADER, f'Chain="{quote(chain, safe="")}"')
    return bench.ask(certificate=pem(leaf), extra=(header,) if above else ())


def below(root: Authority, count: int) -> tuple[Authority, ...]:
    """Intermediates below a root, the one that is nearest the leaf first."""
    made = [root]
    for number in range(count):
        made.append(made[-1].sub(f"intermediate {number}"))
    return tuple(reversed(made[1:]))


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority.root()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_leaf_below_intermediates_names_its_environment(
    bench: Bench, root: Authority, count: int
) -> None:
    above = below(root, count)
    assert ask(bench, [root], above[0].leaf(), *above) == GOOD
    assert ask(bench, [root], above[0].leaf(), *above, root) == GOOD
    assert ask(bench, [root], above[0].leaf(), *reversed(above)) == GOOD
    assert ask(bench, [root], above[0].leaf(), *above[1:]) == (
        no_root(count - 1) if count > 1 else no_root()
    )


def test_a_direct_leaf_of_a_root_needs_none(bench: Bench, root: Authority) -> None:
    stranger = Authority.root("stranger").sub("x")
    assert ask(bench, [root], root.leaf()) == GOOD
    assert ask(bench, [root], root.leaf(), stranger) == GOOD


def test_an_intermediate_that_is_published_as_a_root_is_one(bench: Bench, root: Authority) -> None:
    (middle,) = below(root, 1)
    assert ask(bench, [middle], middle.leaf()) == GOOD


def test_more_than_four_intermediates_are_refused(bench: Bench, root: Authority) -> None:
    above = below(root, 5)
    assert ask(bench, [root], above[0].leaf(), *above) == invalid(
        "5 intermediates came with it; at most 4 may"
    )


def test_a_credential_ends_with_the_first_certificate_of_its_path(
    bench: Bench, root: Authority
) -> None:
    soon = root.sub("soon", ends=NOW + HOUR / 2)
    assert ask(bench, [root], soon.leaf(), soon) == replace(GOOD, expires=NOW + HOUR / 2)
    later = root.sub("soon", key=soon.key, ends=NOW + HOUR / 3)
    for order in permutations((soon, later)):
        found = ask(bench, [root], soon.leaf(), *order)
        assert found == replace(GOOD, expires=NOW + HOUR / 2)


def chained(root: Authority, **changes: Any) -> tuple[x509.Certificate, Authority]:
    middle = root.sub("middle", **changes)
    return middle.leaf(), middle


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ca": False}, "is no CA: its basic constraints do not say so"),
        ({"ca": None}, "is no CA: its basic constraints do not say so"),
        ({"cert_sign": False}, "may not sign certificates: its key usage lacks keyCertSign"),
        ({"cert_sign": None}, "may not sign certificates: its key usage lacks keyCertSign"),
        ({"begins": NOW + timedelta(seconds=1)}, "is not valid yet"),
        (
            {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)},
            "may not sign for clients: its extended key usage lacks clientAuth",
        ),
        ({"odd": True}, "has a critical extension that is not understood: 1.2.3.4"),
        (
            {"uris": ("spiffe://other.example",)},
            "names spiffe://other.example, not its trust domain spiffe://acme.example",
        ),
        (
            {"uris": ("spiffe://acme.example/workload",)},
            "names spiffe://acme.example/workload, not its trust domain spiffe://acme.example",
        ),
    ],
)
def test_an_intermediate_that_may_not_issue_is_refused(
    bench: Bench, root: Authority, changes: dict[str, Any], expected: str
) -> None:
    leaf, middle = chained(root, **changes)
    found = ask(bench, [root], leaf, middle)
    assert found == invalid(f"the intermediate CN=middle {expected}")


def test_an_expired_intermediate_is_an_expired_credential(bench: Bench, root: Authority) -> None:
    leaf, middle = chained(root, ends=NOW)
    assert ask(bench, [root], leaf, middle) == (
        Reason.CREDENTIAL_EXPIRED,
        "the intermediate CN=middle has expired",
    )


def test_what_an_intermediate_may_have_is_accepted(bench: Bench, root: Authority) -> None:
    leaf, middle = chained(
        root,
        uris=("spiffe://acme.example",),
        path_length=0,
        purposes=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,),
    )
    assert ask(bench, [root], leaf, middle) == GOOD


def test_a_small_rsa_key_is_no_intermediate(bench: Bench, root: Authority) -> None:
    small = rsa.generate_private_key(65537, 1024)
    middle = root.sub("middle", key=small)
    assert ask(bench, [root], middle.leaf(), middle) == invalid(
        "the intermediate CN=middle has an RSA key of 1024 bits, not 2048"
    )


def test_a_weak_digest_signs_no_intermediate(bench: Bench, root: Authority) -> None:
    leaf, middle = chained(root, digest=hashes.SHA224())
    assert ask(bench, [root], leaf, middle) == no_root(1)


def test_path_lengths_are_kept(bench: Bench) -> None:
    root = Authority.root(path_length=1)
    one, two = root.sub("one", path_length=1), root.sub("two", path_length=0)
    assert ask(bench, [root], one.leaf(), one) == GOOD
    deep = one.sub("deep")
    assert ask(bench, [root], deep.leaf(), deep, one) == invalid(
        "the root CN=root allows 1 intermediate(s) below it, not 2"
    )
    deep = two.sub("deep")
    assert ask(bench, [root], deep.leaf(), deep, two) == invalid(
        "the intermediate CN=two allows 0 intermediate(s) below it, not 1"
    )


def test_unrelated_intermediates_lead_nowhere(bench: Bench, root: Authority) -> None:
    same_name = Authority.root().sub("middle")
    _, middle = chained(root)
    assert ask(bench, [root], same_name.leaf(), middle) == no_root(1)
    other = Authority.root("other")
    assert ask(bench, [root], other.leaf(), other, middle) == no_root(2)


def test_certificates_that_issued_each_other_are_a_loop(bench: Bench, root: Authority) -> None:
    first = Authority.root("first")
    second = first.sub("second")
    looped = second.sub("first", key=first.key)
    assert ask(bench, [root], second.leaf(), second, looped) == invalid(
        "CN=second issued its own issuer"
    )
    crossed = root.sub("first", key=first.key)
    assert ask(bench, [root], second.leaf(), second, looped, crossed) == GOOD


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"cert_sign": False}, "may not sign certificates: its key usage lacks keyCertSign"),
        ({"ends": NOW}, "has expired"),
        ({"begins": NOW + timedelta(seconds=1)}, "is not valid yet"),
        ({"odd": True}, "has a critical extension that is not understood: 1.2.3.4"),
    ],
)
def test_a_root_must_be_allowed_to_issue_too(
    bench: Bench, changes: dict[str, Any], expected: str
) -> None:
    root = Authority.root(**changes)
    (middle,) = below(root, 1)
    assert ask(bench, [root], root.leaf()) == invalid(f"the root CN=root {expected}")
    assert ask(bench, [root], middle.leaf(), middle) == invalid(f"the root CN=root {expected}")


def test_a_root_without_a_key_usage_is_one(bench: Bench) -> None:
    root = Authority.root(cert_sign=None)
    assert ask(bench, [root], root.leaf()) == GOOD


def test_a_root_that_expired_begins_no_path(root: Authority) -> None:
    end = root.certificate.not_valid_after_utc
    assert x509_path.root_problem(root.certificate, end - SECOND) == ""
    assert x509_path.root_problem(root.certificate, end) == f"CN=root expired at {rfc3339(end)}"


def test_a_chain_of_more_characters_than_are_read_is_refused() -> None:
    chain = "x" * (MAX_CHAIN_CHARS + 1)
    with pytest.raises(AdmissibilityError) as caught:
        load_chain(chain)
    assert (caught.value.reason, caught.value.message) == (
        Reason.CREDENTIAL_INVALID,
        "the chain has 65537 characters; at most 65536",
    )


def only(*permitted: x509.GeneralName, excluded: Sequence[x509.GeneralName] = ()) -> dict[str, Any]:
    return {"constraints": x509.NameConstraints(permitted or None, excluded or None)}


@pytest.mark.parametrize(
    ("constrained", "expected"),
    [
        (only(URI("acme.example")), None),
        (only(URI("ACME.example"), DNS("other.example")), None),
        (only(URI(".example")), None),
        (only(excluded=[URI("other.example"), URI(".acme.example")]), None),
        (only(URI("other.example")), f"does not permit the name {ENV}"),
        (only(URI(".acme.example")), f"does not permit the name {ENV}"),
        (only(URI("cme.example")), f"does not permit the name {ENV}"),
        (only(URI(".example"), excluded=[URI("acme.example")]), f"does not permit the name {ENV}"),
        (
            only(URI("spiffe://acme.example")),
            "has a name constraint that is not understood: 'spiffe://acme.example' is not a host",
        ),
        (
            only(URI("acme.example"), x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))),
            "has a name constraint that is not understood: on RegisteredID",
        ),
    ],
)
@pytest.mark.parametrize("place", ["root", "intermediate"])
def test_name_constraints_on_uris_are_kept(
    bench: Bench, place: str, constrained: dict[str, Any], expected: str | None
) -> None:
    root = Authority.root("top", **(constrained if place == "root" else {}))
    middle = root.sub("top", **(constrained if place == "intermediate" else {}))
    found = ask(bench, [root], middle.leaf(), middle)
    assert found == (GOOD if expected is None else invalid(f"the {place} CN=top {expected}"))


@pytest.mark.parametrize(
    "uri",
    ["urn:acme.example", "spiffe:///env/prod", "spiffe://acme.example:443/env/prod", "spiffe:"],
)
def test_a_uri_without_a_plain_host_is_below_no_constraint(uri: str) -> None:
    """RFC 5280 §4.2.1.10: a constraint on URIs refuses what has no host that it could cover."""
    root = Authority.root(**only(excluded=[URI("other.example")]))
    roots = DomainRoots("customer", verified=True, jwt_keys={}, x509_roots=(root.certificate,))
    with pytest.raises(AdmissibilityError) as refused:
        x509_path.expiry(root.leaf(uri), (), "acme.example", roots, NOW)
    assert (refused.value.reason, str(refused.value)) == invalid(
        f"the root CN=root has name constraints, and below it {uri} has no host to compare"
    )


@pytest.mark.parametrize(
    ("form", "dns"),
    [
        (DNS("acme.example"), ("x.acme.example",)),
        (x509.DirectoryName(named("acme")), ()),
    ],
    ids=["a DNS name", "a subject"],
)
def test_a_constraint_on_another_form_refuses_names_of_that_form(
    bench: Bench, form: x509.GeneralName, dns: tuple[str, ...]
) -> None:
    root = Authority.root(**only(form))
    (middle,) = below(root, 1)
    expected = f"has a name constraint that is not understood: on {type(form).__name__}"
    assert ask(bench, [root], middle.leaf(dns=dns), middle) == invalid(
        f"the root CN=root {expected}"
    )
    assert ask(bench, [root], root.leaf()) == GOOD


def test_a_constraint_on_mail_refuses_a_subject_with_an_address(bench: Bench) -> None:
    """RFC 5280 §4.2.1.10: it applies to emailAddress in the subject, too."""
    root = Authority.root(**only(x509.RFC822Name("acme.example")))
    assert ask(bench, [root], root.leaf(mail=("someone@acme.example",))) == invalid(
        "the root CN=root has a name constraint that is not understood: on RFC822Name"
    )
    assert ask(bench, [root], root.leaf()) == GOOD


def test_intermediates_name_nobody(bench: Bench, root: Authority) -> None:
    """The identity is the connection's certificate, whatever the header begins with."""
    (middle,) = below(root, 1)
    other = quote(pem(middle.leaf(ENV + "2")) + pem(middle.certificate), safe="")
    bench.domain["x509Roots"] = [pem(root.certificate)]
    forged = (xfcc.HEADER, f'Chain="{other}";URI={ENV}2')
    assert bench.ask(certificate=pem(middle.leaf()), extra=(forged,)) == GOOD
    assert bench.ask(extra=(forged,)) == bench.ask()
    assert middle.certificate.not_valid_after_utc == NOW + YEAR


@pytest.mark.parametrize("text", ["", "x", 'Chain="x"', 'Chain="%ff"', "Chain=x", 'Chain="",'])
def test_an_unreadable_chain_adds_nothing(bench: Bench, root: Authority, text: str) -> None:
    (middle,) = below(root, 1)
    bench.domain["x509Roots"] = [pem(root.certificate)]
    leaf = pem(middle.leaf())
    assert bench.ask(certificate=leaf, extra=((xfcc.HEADER, text),)) == no_root()
    assert bench.ask(certificate=pem(root.leaf()), extra=((xfcc.HEADER, text),)) == GOOD


@settings(max_examples=examples(150), deadline=None, derandomize=True, database=None)
@given(
    oid=st.sampled_from(
        [
            ExtensionOID.BASIC_CONSTRAINTS,
            ExtensionOID.KEY_USAGE,
            ExtensionOID.EXTENDED_KEY_USAGE,
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
            ExtensionOID.NAME_CONSTRAINTS,
            ExtensionOID.CERTIFICATE_POLICIES,
        ]
    ),
    data=st.one_of(
        st.binary(max_size=24),
        st.sampled_from([b"\x30\x00", b"\x30\x02\xa0\x00", b"\x30\x06\xa0\x04\x30\x02\x86\x00"]),
    ),
)
def test_an_issuer_with_any_bytes_for_an_extension_is_an_answer(
    oid: ObjectIdentifier, data: bytes
) -> None:
    """Really signed by the root, so that nothing but the extension stands in the way."""
    root, key = Authority.root(), new_key()
    made = builder(named("odd"), key, root.name, NOW - YEAR, NOW + YEAR)
    if oid != ExtensionOID.BASIC_CONSTRAINTS:
        basic = x509.BasicConstraints(ca=True, path_length=None)
        made = made.add_extension(basic, critical=True)
    if oid != ExtensionOID.KEY_USAGE:
        made = made.add_extension(usage(ca=True), critical=True)
    made = made.add_extension(x509.UnrecognizedExtension(oid, data), critical=True)
    middle = Authority(named("odd"), key, made.sign(root.key, hashes.SHA256()))
    found = ask(Bench(), [root], middle.leaf(), middle)
    if isinstance(found, tuple):
        reason, message = found
        assert reason is Reason.CREDENTIAL_INVALID
        assert message.startswith("the intermediate CN=odd ")
    else:
        assert found == GOOD
        assert oid in {ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ExtensionOID.NAME_CONSTRAINTS}
