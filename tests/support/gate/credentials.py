"""An issuer of credentials, good and forged, and the gate's answer to each."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sidecar.core.call import Credential
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.http_request import HttpRequest
from sidecar.identity import credential
from sidecar.identity.trust_bundles import TrustBundles
from tests.support.gate.requests import HEADER
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.svid import AUDIENCE, Issuer, pem
from tests.support.simulator.world import World, admitted_world

HOUR = timedelta(hours=1)
Outcome = Credential | tuple[Reason, str]


@dataclass
class Bench:
    """A world with an issuer, and the gate's answer to what it issues."""

    issuer: Issuer = field(default_factory=Issuer)
    world: World = field(default_factory=admitted_world)
    domain: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.domain = self.issuer.document(NOW)

    def bundles(self) -> TrustBundles:
        self.world.parties["customer"].trust_domains = [self.domain]
        return TrustBundles.of(self.world.state())

    def ask(
        self,
        token: str | None = None,
        certificate: str | None = None,
        principal: str = "",
        now: datetime = NOW,
        extra: tuple[tuple[str, str], ...] = (),
    ) -> Outcome:
        headers = extra if token is None else ((HEADER, token), *extra)
        request = HttpRequest(
            "POST",
            "/v1/x",
            headers=headers,
            principal=principal,
            certificate="" if certificate is None else quote(certificate, safe=""),
        )
        try:
            return credential.verify(
                request, self.bundles(), header=HEADER, audience=AUDIENCE, now=now
            )
        except AdmissibilityError as error:
            return error.reason, error.message

    def token(self, **changes: Any) -> str:
        return self.issuer.jwt_svid(ENV, NOW, **changes)

    def signed(self, header: dict[str, Any], claims: dict[str, Any] | None = None) -> str:
        """A token with any header at all, really signed by the issuer's key."""
        key = self.issuer.jwt_key
        message = ".".join(b64(json.dumps(part).encode()) for part in (header, claims or CLAIMS))
        der = key.sign(message.encode(), ec.ECDSA(hashes.SHA256()))
        return f"{message}.{b64(jwt.utils.der_to_raw_signature(der, key.curve))}"

    def leaf(self, *uris: str, **changes: Any) -> str:
        certificate, _ = self.issuer.x509_svid(*(uris or (ENV,)), now=NOW, **changes)
        return pem(certificate)


CLAIMS = {"sub": ENV, "aud": [AUDIENCE], "exp": int((NOW + HOUR).timestamp())}
HEAD = {"alg": "ES256", "kid": "jwt-1"}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def invalid(why: str) -> Outcome:
    return Reason.CREDENTIAL_INVALID, why


def unknown_key(named: str = "with another kid") -> Outcome:
    return Reason.CREDENTIAL_KEY_UNKNOWN, (
        f"customer has published no key {named} of trust domain acme.example, with which the"
        " JWT-SVID is signed"
    )


def no_root(intermediates: int = 0) -> Outcome:
    through = f" through {intermediates} intermediate(s)" if intermediates else ""
    return Reason.CREDENTIAL_KEY_UNKNOWN, (
        "customer has published no X.509 root of trust domain acme.example to which the client"
        f" certificate leads{through}"
    )


def jwks(public: Any, kid: str, **changes: Any) -> dict[str, Any]:
    kind = (
        jwt.algorithms.ECAlgorithm
        if isinstance(public, ec.EllipticCurvePublicKey)
        else jwt.algorithms.RSAAlgorithm
    )
    return {"keys": [{**json.loads(kind.to_jwk(public)), "kid": kid, **changes}]}
