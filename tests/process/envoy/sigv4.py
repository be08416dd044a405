"""AWS's side of a signature: whether a request, as it arrived, is what was signed.

The canonical request is made by botocore, from nothing but what arrived and the secret that both
sides hold; Envoy's signer and this one have no line in common.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.process.envoy.doubles import Received

KEY_ID, SECRET, TOKEN = "AKIDENVOY", "secret-of-envoy/+", "session-of-envoy"
REGION, SERVICE = "eu-central-1", "bedrock"
SIGNED = "signed by Envoy"
_LINE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>[0-9]{8})/(?P<region>[^/]+)/"
    r"(?P<service>[^/]+)/aws4_request, SignedHeaders=(?P<names>[a-z0-9;-]+), "
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


def credentials_file(key_id: str = KEY_ID) -> str:
    """A shared credentials file, as Envoy reads it."""
    return (
        f"[default]\naws_access_key_id = {key_id}\naws_secret_access_key = {SECRET}\n"
        f"aws_session_token = {TOKEN}\n"
    )


def key_of(received: Received) -> str:
    """The access key id a call was signed with; its secret is the same for every id here."""
    found = _LINE.fullmatch(received.headers["authorization"])
    assert found is not None, received.headers
    return found["key"]


def unsigned(received: Received) -> Received:
    """The call without its signature, which holds; `SIGNED` stands where it was."""
    found = _LINE.fullmatch(received.headers["authorization"])
    assert found is not None, received.headers
    names = found["names"].split(";")
    assert set(names) >= {"host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
    request = AWSRequest(
        received.method,
        f"https://{received.headers['host']}{received.target}",
        headers={name: received.headers[name] for name in names},
        data=received.body,
    )
    request.context["timestamp"] = received.headers["x-amz-date"]
    credentials = Credentials(found["key"], SECRET, TOKEN)
    signer = SigV4Auth(credentials, found["service"], found["region"])
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    digest = hashlib.sha256(received.body).hexdigest()
    assert (
        (found["region"], found["service"], found["signature"]),
        received.headers["x-amz-content-sha256"],
        received.headers["x-amz-security-token"],
    ) == ((REGION, SERVICE, signature), digest, TOKEN)
    gone = {"x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
    kept = {name: value for name, value in received.headers.items() if name not in gone}
    return replace(received, headers={**kept, "authorization": SIGNED})
