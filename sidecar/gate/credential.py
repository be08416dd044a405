"""Who calls: exactly one environment, by an SVID that its own trust domain vouches for.

A JWT-SVID in the configured header, an X.509-SVID of the mTLS connection, or both; both must name
the same environment. There is no third source.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sidecar.core.call import Credential
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.gate import jwt_svid, x509_svid
from sidecar.gate.http_request import HttpRequest
from sidecar.gate.keyring import Keyring


def verify(
    request: HttpRequest, keyring: Keyring, *, header: str, audience: str, now: datetime
) -> Credential:
    """Verify what the request came with.

    Args:
        request: The request.
        keyring: Of the trust state this decision relies on.
        header: Name (lower case) of the header with a JWT-SVID.
        audience: What a JWT-SVID must be meant for.
        now: The decision's reference time.

    Raises:
        AdmissibilityError: ``credential_missing``, ``credential_invalid``, ``credential_expired``
            or ``trust_stale``.
    """
    token = request.header(header)
    found = []
    if token is not None:
        found.append(jwt_svid.verify(token, keyring, audience=audience, now=now))
    if request.certificate:
        found.append(x509_svid.verify(request.certificate, request.principal, keyring, now=now))
    elif request.principal:
        raise jwt_svid.invalid(
            "the connection has a principal without its certificate: have the operator set"
            " include_peer_certificate"
        )
    if not found:
        raise AdmissibilityError(
            Reason.CREDENTIAL_MISSING, f"neither the header {header} nor a client certificate"
        )
    if len({credential.spiffe_id for credential in found}) > 1:
        raise jwt_svid.invalid("the JWT-SVID and the client certificate name two environments")
    return replace(found[-1], expires=min(credential.expires for credential in found))
