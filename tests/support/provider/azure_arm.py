"""Stands in for Azure Resource Manager's deployments and for a managed identity, byte for byte.

Records are those of ``Microsoft.CognitiveServices/accounts/deployments``, API 2025-09-01, over
HTTPS as the SDK insists on; the token comes from App Service's endpoint for a managed identity.
"""

from __future__ import annotations

import copy
import http.server
import json
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.http_listener import listening
from tests.support.https_server import certificate
from tests.support.simulator.svid import Issuer, pem

SUBSCRIPTION, GROUP, RESOURCE = "00000000-0000-4000-8000-000000000001", "tuning", "acme-openai"
TOKEN = "eyJhbGciOiJub25lIn0.standin-arm-token-0123456789.c2lnbmF0dXJl"
IDENTITY = "standin-identity-header-0123456789"
_LIST = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.CognitiveServices"
    f"/accounts/{RESOURCE}/deployments"
)


@dataclass
class AzureArm:
    """The resource: its deployments, and how it misbehaves.

    Attributes:
        url: Of Resource Manager.
        variables: Of a process whose managed identity may read it.
        deployments: Name → record.
        status: Answered instead, if not 200.
    """

    url: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: int = 200
    changes: int = 0

    def deploy(
        self, name: str, model: str, version: str = "1", sku: str = "GlobalStandard"
    ) -> None:
        """Create a deployment, or point it at another model."""
        self.changes += 1
        self.deployments[name] = {
            "id": f"{_LIST}/{name}",
            "type": "Microsoft.CognitiveServices/accounts/deployments",
            "name": name,
            "sku": {"name": sku, "capacity": 10},
            "properties": {
                "model": {"format": "OpenAI", "name": model, "version": version},
                "versionUpgradeOption": "NoAutoUpgrade",
                "currentCapacity": 10,
                "capabilities": {"chatCompletion": "true"},
                "raiPolicyName": "Microsoft.DefaultV2",
                "rateLimits": [{"key": "request", "renewalPeriod": 60, "count": 10}],
                "provisioningState": "Succeeded",
            },
            "systemData": {
                "createdBy": "ops@acme.example",
                "createdByType": "User",
                "createdAt": "2026-11-01T08:00:00.1234567Z",
                "lastModifiedBy": "ops@acme.example",
                "lastModifiedByType": "User",
                "lastModifiedAt": f"2026-11-01T08:00:{self.changes:02}.1234567Z",
            },
            "etag": f'"{self.changes:08}-0000-4000-8000-000000000000"',
        }

    def change(self, name: str, **properties: Any) -> None:
        """Change properties of a deployment, as a write would."""
        self.changes += 1
        record = copy.deepcopy(self.deployments[name])
        record["properties"] |= properties
        record["etag"] = f'"{self.changes:08}-0000-4000-8000-000000000000"'
        self.deployments[name] = record

    def entry(self, **more: Any) -> dict[str, Any]:
        """Return the deployments of an account in ``binder.yaml``."""
        return {
            "subscription": SUBSCRIPTION,
            "resource_group": GROUP,
            "resource": RESOURCE,
            "endpoint_url": self.url,
            "check_seconds": 0.2,
            **more,
        }


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    arm: AzureArm

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        query = parse_qs(split.query)
        if split.path == "/msi/token":
            self._token(query)
            return
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._error(401, "InvalidAuthenticationToken", "The access token is invalid.")
        elif query.get("api-version") != ["2025-09-01"]:
            self._error(400, "InvalidApiVersionParameter", "The api-version is invalid.")
        elif self.arm.status != 200:
            self._error(self.arm.status, "InternalServerError", "Try again later.")
        elif split.path == _LIST:
            self._answer({"value": list(self.arm.deployments.values())})
        else:
            found = re.fullmatch(f"{re.escape(_LIST)}/([^/]+)", split.path)
            record = None if found is None else self.arm.deployments.get(found[1])
            if record is None:
                self._error(404, "DeploymentNotFound", "The deployment does not exist.")
            else:
                self._answer(record)

    def _token(self, query: dict[str, list[str]]) -> None:
        if self.headers.get("x-identity-header") != IDENTITY:
            self._error(403, "Forbidden", "no such identity")
            return
        self._answer(
            {
                "access_token": TOKEN,
                "expires_on": str(int(datetime.now(UTC).timestamp()) + 3600),
                "resource": query["resource"][0],
                "token_type": "Bearer",
                "client_id": "00000000-0000-4000-8000-000000000002",
            }
        )

    def _error(self, status: int, code: str, message: str) -> None:
        self._answer({"error": {"code": code, "message": message}}, status)

    def _answer(self, value: Any, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving_arm(folder: Path) -> Iterator[AzureArm]:
    """Serve a resource over HTTPS, and its managed identity over HTTP, on the loopback."""
    arm, issuer = AzureArm(), Issuer()
    ca = folder / "arm-ca.pem"
    ca.write_text(pem(issuer.root(datetime.now(UTC))))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder, issuer, "arm.pem"))
    made = type("ArmHandler", (_Handler,), {"arm": arm})
    with listening(made, context) as resource, listening(made) as identity:
        arm.url = f"https://localhost:{resource}"
        arm.variables = {
            "IDENTITY_ENDPOINT": f"http://127.0.0.1:{identity}/msi/token",
            "IDENTITY_HEADER": IDENTITY,
            "REQUESTS_CA_BUNDLE": str(ca),
        }
        yield arm
