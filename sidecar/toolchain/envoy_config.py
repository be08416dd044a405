"""The reference Envoy configurations, and putting an installation's own places into them.

Theory of operation
-------------------
`envoy/jwt.yaml` and `envoy/mtls.yaml` are complete: they run as they stand. What differs between a
laptop, a test and a deployment is a handful of *places* (ports, two addresses, file paths), found
here by the names the files give them: listener ``applications``, clusters ``gate`` and
``provider``, secret ``provider-credential``. Nothing else is ever touched, so what the demo and the
tests run is what the reference says.

A place that is not there exactly once is an error: a renderer that quietly replaced nothing would
leave a default address in force.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from sidecar.toolchain.errors import ToolchainError
from sidecar.toolchain.places import repository_root

LISTENER = "applications"
GATE = "gate"
PROVIDER = "provider"
CREDENTIAL = "provider-credential"

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What the mTLS listener presents, and whom it believes.

    Attributes:
        certificate: The gateway's own certificate chain, PEM.
        private_key: Its key, PEM.
        trust_domain: SPIFFE trust domain of the clients, such as ``acme.example``.
        trust_bundle: The trust domain's roots, PEM.
    """

    certificate: Path
    private_key: Path
    trust_domain: str
    trust_bundle: Path


def reference(name: Literal["jwt", "mtls"]) -> str:
    """The text of ``envoy/<name>.yaml``.

    Raises:
        ToolchainError: The package is installed without its repository.
    """
    return (repository_root() / "envoy" / f"{name}.yaml").read_text(encoding="utf-8")


def render(
    template: str,
    *,
    listener_port: int,
    admin_port: int,
    gate: Address,
    upstream: Address,
    credential_file: Path,
    tls: TlsFiles | None = None,
) -> str:
    """A reference configuration with its places filled in.

    Args:
        template: Text of a reference configuration, as from `reference`.
        listener_port: Port of the applications' listener; 0 lets the kernel choose.
        admin_port: Port of the admin interface; 0 lets the kernel choose.
        gate: IP address and port of the gate's ext_authz service.
        upstream: IP address and port of the provider.
        credential_file: An SDS file, as from `credential_document`.
        tls: Required by a configuration with a TLS listener, refused by one without.

    Returns:
        YAML for ``envoy -c``.

    Raises:
        ToolchainError: A place is missing, or is there more than once.
    """
    config = yaml.safe_load(template)
    listener = _named(config["static_resources"]["listeners"], LISTENER)
    _set_address(listener, listener_port)
    _set_address(config["admin"], admin_port)
    for cluster, (host, port) in ((GATE, gate), (PROVIDER, upstream)):
        _set_endpoint(_named(config["static_resources"]["clusters"], cluster), host, port)
    source = _only("credential source", (n for n in _nodes(config) if n.get("name") == CREDENTIAL))
    source["sds_config"]["path_config_source"]["path"] = str(credential_file)
    _set_tls(listener, tls)
    return str(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def credential_document(value: str) -> str:
    """The SDS file that holds the provider's credential.

    Args:
        value: The whole header value, such as ``Bearer sk-…``.

    Returns:
        JSON, which is YAML; so no character of the value can change its structure.

    Raises:
        ToolchainError: The value is empty, or has a character no header value may have. Envoy
            would refuse every call with such a credential, one by one; here it is one clear error.
    """
    if not value or not value.isascii() or not value.isprintable() or value != value.strip():
        raise ToolchainError("the provider's credential is empty or holds a control character")
    secret = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": CREDENTIAL,
        "generic_secret": {"secret": {"inline_string": value}},
    }
    return json.dumps({"resources": [secret]}, indent=2) + "\n"


def _set_address(holder: dict[str, Any], port: int) -> None:
    holder["address"]["socket_address"]["port_value"] = port


def _set_endpoint(cluster: dict[str, Any], host: str, port: int) -> None:
    found = [node["endpoint"] for node in _nodes(cluster) if "endpoint" in node]
    endpoint = _only(f"endpoint of cluster {cluster['name']}", found)
    endpoint["address"]["socket_address"] = {"address": host, "port_value": port}


def _set_tls(listener: dict[str, Any], tls: TlsFiles | None) -> None:
    sockets = [node["transport_socket"] for node in _nodes(listener) if "transport_socket" in node]
    if tls is None:
        if sockets:
            raise ToolchainError("this configuration has a TLS listener; its files must be given")
        return
    common = _only("TLS listener", sockets)["typed_config"]["common_tls_context"]
    certificate = _only("certificate", common["tls_certificates"])
    certificate["certificate_chain"] = {"filename": str(tls.certificate)}
    certificate["private_key"] = {"filename": str(tls.private_key)}
    validator = common["validation_context"]["custom_validator_config"]["typed_config"]
    domain = _only("trust domain", validator["trust_domains"])
    domain["name"] = tls.trust_domain
    domain["trust_bundle"] = {"filename": str(tls.trust_bundle)}


def _named(candidates: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return _only(name, [candidate for candidate in candidates if candidate.get("name") == name])


def _only(what: str, candidates: Iterable[dict[str, Any]]) -> dict[str, Any]:
    found = list(candidates)
    if len(found) != 1:
        raise ToolchainError(f"the Envoy configuration has {len(found)} × {what}; expected 1")
    return found[0]


def _nodes(value: object) -> Iterator[dict[str, Any]]:
    """Every mapping in a configuration, outermost first."""
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from _nodes(child)
