"""Verifies the credential of a request: an SVID that names exactly one environment.

A JWT-SVID in the configured header, an X.509-SVID, or both; both must name the same environment.
The X.509-SVID is that of the mTLS connection. Where the operator names a trusted forwarder, the
workload's TLS ends there: then it is the one that the forwarder sends in XFCC, and the connection
must be the forwarder's own. There is no other source.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sidecar.core.call import Credential
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.http_request import HttpRequest
from sidecar.identity import jwt_svid, x509_svid, xfcc
from sidecar.identity.trust_bundles import TrustBundles


def verify(
    request: HttpRequest, bundles: TrustBundles, *, header: str, audience: str, now: datetime
) -> Credential:
    """Verify the credential of a request.

    Args:
        request: The request.
        bundles: The trust bundles of the decision's trust state.
        header: Name (lower case) of the header with a JWT-SVID.
        audience: The audience that a JWT-SVID must contain.
        now: The decision's reference time.

    Raises:
        AdmissibilityError: ``credential_missing``, ``credential_invalid``, ``credential_expired``,
            ``certificate_not_svid`` or ``trust_stale``.
    """
    token = request.header(header)
    found = []
    if token is not None:
        found.append(jwt_svid.verify(token, bundles, audience=audience, now=now))
    peer = _peer(request, bundles, now)
    if request.trusted_forwarder is not None:
        found.append(_forwarded(request, request.trusted_forwarder, peer, bundles, now))
    elif peer is not None:
        found.append(peer)
    if not found:
        raise AdmissibilityError(
            Reason.CREDENTIAL_MISSING,
            f"the request has neither a JWT-SVID in the header {header} nor a client certificate",
        )
    if len({credential.spiffe_id for credential in found}) > 1:
        raise jwt_svid.invalid("the JWT-SVID and the client certificate name two environments")
    return replace(found[-1], expires=min(credential.expires for credential in found))


def _peer(request: HttpRequest, bundles: TrustBundles, now: datetime) -> Credential | None:
    """Verify the peer of an mTLS connection; ``None`` without mTLS."""
    if request.certificate:
        return x509_svid.verify(
            x509_svid.load(request.certificate),
            request.principal,
            bundles,
            now=now,
            # Envoy sends the gate the leaf alone; the chain of the handshake is in this header.
            intermediates=xfcc.intermediates(request.header(xfcc.HEADER)),
        )
    if request.principal:
        raise jwt_svid.invalid(
            "the connection has a principal without its certificate; have the operator set"
            " include_peer_certificate"
        )
    return None


def _forwarded(
    request: HttpRequest,
    trusted_forwarder: str,
    peer: Credential | None,
    bundles: TrustBundles,
    now: datetime,
) -> Credential:
    """Verify the forwarded SVID; the forwarder's own certificate never names the caller."""
    if peer is None or peer.spiffe_id != trusted_forwarder:
        raise jwt_svid.invalid(
            f"the connection is not from the trusted forwarder {trusted_forwarder}"
        )
    text = request.header(xfcc.HEADER)
    if text is None:
        raise AdmissibilityError(
            Reason.CREDENTIAL_MISSING,
            f"{trusted_forwarder} forwards no client certificate in {xfcc.HEADER}",
        )
    workload = xfcc.verify(text, trusted_forwarder, bundles, now=now)
    return replace(workload, expires=min(workload.expires, peer.expires))
