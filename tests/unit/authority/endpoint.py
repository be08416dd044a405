"""A bundle endpoint and a Workload API on the loopback, with real certificates."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.support.http_listener import listening
from tests.support.simulator.svid import Issuer
from tests.unit.authority.reader import NOW

Answer = tuple[int, dict[str, str], bytes]


def root_entry(issuer: Issuer) -> dict[str, Any]:
    """The CA of a trust domain as an entry of its bundle."""
    der = issuer.root(NOW).public_bytes(serialization.Encoding.DER)
    return {"kty": "EC", "use": "x509-svid", "x5c": [base64.b64encode(der).decode()]}


def bundle(issuer: Issuer, *more: dict[str, Any], **fields: object) -> bytes:
    """A SPIFFE bundle with one X.509 and one JWT authority."""
    keys = [root_entry(issuer), *issuer.jwks()["keys"], *more]
    return json.dumps({"keys": keys, **fields}).encode()


@contextmanager
def serving(
    folder: Path,
    issuer: Issuer,
    answer: Callable[[str], Answer],
    *uris: str,
    dns: tuple[str, ...] = (),
) -> Iterator[str]:
    """Serve ``answer`` for each path over TLS; gives the endpoint's URL."""
    certificate, key = issuer.x509_svid(*uris, now=NOW, dns=dns)
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            return

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with listening(Handler, context, handle_error=lambda *_: None) as port:
        yield f"https://localhost:{port}/bundle"


@contextmanager
def workload_api(
    socket: Path, x509_bundles: dict[str, bytes], jwt_bundles: dict[str, bytes]
) -> Iterator[str]:
    """A server that speaks the two bundle calls of the SPIFFE Workload API."""
    pb = pytest.importorskip("spiffe._proto.workload_pb2")

    def stream(message: Any) -> Any:
        def respond(_: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            metadata = dict(context.invocation_metadata())
            assert metadata["workload.spiffe.io"] == "true"
            yield message

        return grpc.unary_stream_rpc_method_handler(
            respond, response_serializer=lambda found: bytes(found.SerializeToString())
        )

    server = grpc.server(ThreadPoolExecutor(2))
    handlers = {
        "FetchX509Bundles": stream(pb.X509BundlesResponse(bundles=x509_bundles)),
        "FetchJWTBundles": stream(pb.JWTBundlesResponse(bundles=jwt_bundles)),
    }
    name = "SpiffeWorkloadAPI"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    try:
        yield f"unix://{socket}"
    finally:
        server.stop(None).wait()


def ders(*certificates: x509.Certificate) -> bytes:
    """Certificates in DER, one after another, as the Workload API sends them."""
    return b"".join(c.public_bytes(serialization.Encoding.DER) for c in certificates)
