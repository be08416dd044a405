"""What an authority is told: settings, subjects of withdrawals, roots of trust domains."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sidecar.authority import settings, trust_domains
from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import Home
from sidecar.authority.settings import SETTINGS_FILE, Periods, duration, duration_text
from sidecar.authority.subjects import normalised
from sidecar.core.documents import TrustDomain, WithdrawalKind
from tests.support.simulator.svid import usage

DIGEST = "ab" * 32


def test_settings_read_back_as_they_were_written(acme: Home) -> None:
    data = (acme.path / SETTINGS_FILE).read_bytes()
    assert settings.write(settings.read(data)) == data


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 1", "version: 2", "authority.yaml: version: Input should be 1"),
        (
            "name: acme",
            "nam: acme",
            "authority.yaml: nam: is not a known key; did you mean 'name'?",
        ),
        (
            "name: acme",
            "name: acme\nmore: 1",
            "authority.yaml: more: is not a known key; "
            "known here: keys, may_sign, name, periods, version",
        ),
        (
            "timestamp: 1d",
            "timestamp: 1 day",
            "'1 day' is not a period such as 90d, 24h, 30m or 45s",
        ),
        ("timestamp: 1d", "timestamp: 0s", "the timestamp period is shorter than a second"),
        (
            "- urn:admissibility:approval:v1",
            "- urn:admissibility:approval:v2",
            "not a predicate type: urn:admissibility:approval:v2",
        ),
        (
            "  root:\n    uri: file2:",
            "  root:\n    url: file2:",
            "authority.yaml: keys.root.url: is not a known key; known here: public, uri",
        ),
        (
            "version: 1",
            "version: 1\n  x: [",
            "authority.yaml: line 2: mapping values are not allowed here",
        ),
        (
            "version: 1",
            "version: 1\nversion: 1",
            "authority.yaml: line 2: the key 'version' is given twice",
        ),
    ],
)
def test_broken_settings_are_named(acme: Home, old: str, new: str, message: str) -> None:
    text = (acme.path / SETTINGS_FILE).read_text()
    assert old in text
    with pytest.raises(AuthorityError) as caught:
        settings.read(text.replace(old, new).encode())
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("90d", timedelta(days=90)),
        ("36h", timedelta(hours=36)),
        ("30m", timedelta(minutes=30)),
        ("45s", timedelta(seconds=45)),
    ],
)
def test_periods_are_written_as_they_are_read(text: str, period: timedelta) -> None:
    assert duration(text) == period
    assert duration_text(period) == text


@pytest.mark.parametrize("text", ["", "1", "d", "-1d", "1.5h", "1w", "1d ", "9999999d"])
def test_a_period_is_a_whole_number_and_a_unit(text: str) -> None:
    with pytest.raises(AuthorityError, match="is not a period"):
        duration(text)


def test_no_period_is_shorter_than_metadata_can_say() -> None:
    with pytest.raises(AuthorityError, match="the snapshot period is shorter than a second"):
        Periods(snapshot=timedelta(milliseconds=999))


@pytest.mark.parametrize(
    ("kind", "subject", "expected"),
    [
        ("key", DIGEST, f"sha256:{DIGEST}"),
        ("key", f"sha256:{DIGEST}", f"sha256:{DIGEST}"),
        ("manifest", DIGEST, DIGEST),
        ("approval", f"sha256:{DIGEST}", DIGEST),
        ("result", DIGEST, DIGEST),
        ("corpus", DIGEST, DIGEST),
        ("evaluation", DIGEST, DIGEST),
        ("environment", DIGEST, DIGEST),
        ("environment", "spiffe://acme.example/env/*", "spiffe://acme.example/env/*"),
        ("run", "ftjob-1", "ftjob-1"),
        ("model", "openai/ft:gpt-4o:acme::1", "openai/ft:gpt-4o:acme::1"),
        ("base-model", "openai/gpt-4o-*", "openai/gpt-4o-*"),
        ("authority", "acme", "acme"),
    ],
)
def test_a_withdrawal_names_its_subject_as_the_gate_looks_for_it(
    kind: str, subject: str, expected: str
) -> None:
    assert normalised(WithdrawalKind(kind), subject) == expected


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("key", "acme"),
        ("key", DIGEST.upper()),
        ("manifest", DIGEST[:-1]),
        ("approval", "ft:gpt-4o:acme::1"),
        ("result", ""),
        ("corpus", "training.jsonl"),
        ("evaluation", f"sha512:{DIGEST}"),
        ("environment", "acme.example/env"),
        ("run", ""),
        ("model", "ft:gpt-4o:acme::1"),
        ("model", "/ft:gpt-4o"),
        ("base-model", "gpt-4o-*"),
        ("authority", ""),
    ],
)
def test_a_subject_that_could_withdraw_nothing_is_refused(kind: str, subject: str) -> None:
    with pytest.raises(AuthorityError):
        normalised(WithdrawalKind(kind), subject)


def _jwks(**changes: object) -> bytes:
    return json.dumps({"keys": [{"kty": "EC", "kid": "1", "crv": "P-256", **changes}]}).encode()


def _certificate(*, ca: bool | None, signs: bool | None = None) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=1))
    )
    if ca is not None:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=ca, path_length=None), critical=True
        )
    if signs is not None:
        builder = builder.add_extension(usage(ca=signs), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_trust_domain_is_read_from_its_files() -> None:
    one, two = _certificate(ca=True), _certificate(ca=True, signs=True)
    read = trust_domains.read("acme.example", _jwks(), [one + two])
    assert read == TrustDomain(
        "acme.example",
        {"keys": [{"kty": "EC", "kid": "1", "crv": "P-256"}]},
        (one.decode(), two.decode()),
    )


@pytest.mark.parametrize(
    ("name", "jwks", "roots", "message"),
    [
        ("acme.example", _jwks(d="secret"), [], "JWK Set: it must hold public keys only"),
        (
            "acme.example",
            _jwks(kty="oct", k="secret"),
            [],
            "JWK Set: it must hold public keys only",
        ),
        ("acme.example", _jwks(kid=""), [], "JWK Set: a key has no kid"),
        ("acme.example", b'{"keys": []}', [], "JWK Set: it has no keys"),
        ("acme.example", b'{"keys": ["x"]}', [], "JWK Set: it must hold public keys only"),
        ("acme.example", b"[]", [], "JWK Set: not a JSON object"),
        (
            "acme.example",
            b'{"keys": [{"kty": "EC", "kid": "1"}, {"kty": "EC", "kid": "1"}]}',
            [],
            "JWK Set: two keys have the same kid",
        ),
        ("acme.example", None, [], "give a JWK Set, X.509 roots, or both"),
        ("acme.example", None, [b"x"], "an X.509 root is not a PEM certificate"),
        ("acme.example", None, [_certificate(ca=False)], "an X.509 root is not a CA"),
        (
            "acme.example",
            None,
            [_certificate(ca=None)],
            "an X.509 root is not a CA: it has no basicConstraints",
        ),
        (
            "acme.example",
            None,
            [_certificate(ca=True, signs=False)],
            "an X.509 root may not sign certificates: its keyUsage lacks keyCertSign",
        ),
        ("Acme.example", _jwks(), [], "'Acme.example' is not a SPIFFE trust domain name"),
        (
            "spiffe://acme.example",
            _jwks(),
            [],
            "'spiffe://acme.example' is not a SPIFFE trust domain name",
        ),
    ],
)
def test_roots_that_must_not_be_published_are_refused(
    name: str, jwks: bytes | None, roots: list[bytes], message: str
) -> None:
    with pytest.raises(AuthorityError) as caught:
        trust_domains.read(name, jwks, roots)
    assert str(caught.value) == message
