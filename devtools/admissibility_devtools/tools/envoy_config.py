"""The reference Envoy configurations, and putting an installation's own places into them.

Theory of operation
-------------------
The files under `envoy/` are complete: there is nothing to add before they run. What differs between
a laptop, a test and a deployment is a handful of *places* (ports, addresses, file paths, the name
of another hop), found here by the names the files give them: listener ``applications``, clusters
``gate``, ``provider`` and ``second-hop``, secret ``provider-credential``. Nothing else is ever
touched, so the demo and the tests run what the reference has.

A place that is not there exactly once is an error: a renderer that quietly replaced nothing would
leave a default address in force. So is a file that is given for a place that is not there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from sidecar import resources
from sidecar.opa.errors import ProgramError

LISTENER = "applications"
GATE = "gate"
PROVIDER = "provider"
SECOND_HOP = "second-hop"
CREDENTIAL = "provider-credential"
TRUSTED_FORWARDER = "trusted_forwarder"

Address = tuple[str, int]
Gated = Literal["jwt", "mtls", "xfcc-gate", "egress", "azure", "bedrock", "vertex", "vllm"]
"""Every reference configuration that has a gate, for `render`."""
Sandbox = Literal["sandbox", "sandbox-azure", "sandbox-bedrock", "sandbox-vertex", "sandbox-vllm"]
"""The references for evaluators; the first one is for OpenAI."""
Name = Gated | Sandbox | Literal["registration", "xfcc-edge"]
"""Every reference: `registration` asks the gate twice; `render_edge` takes the one without."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The certificate and trusted roots of an mTLS listener, or of the route to a second hop.

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


def reference(name: Name) -> str:
    """Return the text of ``envoy/<name>.yaml``.

    Raises:
        ResourceError: The installation is incomplete.
    """
    return resources.envoy_configuration(name)


def render(
    template: str,
    *,
    listener_port: int,
    admin_port: int,
    gate: Address | Path,
    upstream: Address,
    credential_file: Path,
    tls: TlsFiles | None = None,
    provider_roots: Path | None = None,
    trusted_forwarder: str | None = None,
) -> str:
    """Return a reference configuration with a gate, with its places filled in.

    Args:
        template: Text of a reference configuration, as from `reference`.
        listener_port: Port of the applications' listener; 0 lets the kernel choose.
        admin_port: Port of the admin interface; 0 lets the kernel choose.
        gate: IP address and port of the gate's ext_authz service, or the path of its socket.
        upstream: IP address and port of the provider.
        credential_file: An SDS file, as from `credential_document`; where calls are signed, a
            shared credentials file of AWS, in a folder of its own.
        tls: Required by a configuration with a TLS listener, refused by one without.
        provider_roots: PEM with the roots that a provider's certificate must chain to; required
            where the provider is reached over TLS, refused elsewhere.
        trusted_forwarder: SPIFFE ID of the one peer that forwards client certificates; required
            by a configuration that has one, refused elsewhere.

    Returns:
        YAML for ``envoy -c``.

    Raises:
        ProgramError: A place is missing, or is there more than once.
    """
    config = _parsed(template)
    listener = _set_ports(config, listener_port, admin_port)
    if isinstance(gate, Path):
        _endpoint(_cluster(config, GATE))["address"] = {"pipe": {"path": str(gate)}}
    else:
        _set_endpoint(_cluster(config, GATE), *gate)
    _set_endpoint(_cluster(config, PROVIDER), *upstream)
    _set_credential(config, credential_file)
    _set_listener_tls(listener, tls)
    _set_provider_roots(_cluster(config, PROVIDER), provider_roots)
    _set_trusted_forwarder(listener, trusted_forwarder)
    return _text(config)


def render_edge(
    template: str,
    *,
    listener_port: int,
    admin_port: int,
    second_hop: Address,
    peer: str,
    tls: TlsFiles,
) -> str:
    """Return the reference configuration of a first hop, without a gate, with its places filled in.

    Args:
        template: Text of a reference configuration, as from `reference`.
        listener_port: Port of the workloads' listener; 0 lets the kernel choose.
        admin_port: Port of the admin interface; 0 lets the kernel choose.
        second_hop: IP address and port of the Envoy with the gate.
        peer: SPIFFE ID that the second hop must prove.
        tls: For both ends.

    Returns:
        YAML for ``envoy -c``.

    Raises:
        ProgramError: A place is missing, or is there more than once.
    """
    config = _parsed(template)
    listener = _set_ports(config, listener_port, admin_port)
    cluster = _cluster(config, SECOND_HOP)
    _set_endpoint(cluster, *second_hop)
    _set_listener_tls(listener, tls)
    _set_svid(_only("TLS to the second hop", _tls_contexts(cluster)), tls)
    _only("peer", _uri_matchers(cluster))["matcher"]["exact"] = peer
    return _text(config)


def credential_document(value: str) -> str:
    """Return the SDS file that holds the provider's credential.

    Args:
        value: The whole header value, such as ``Bearer sk-…``.

    Returns:
        JSON, which is YAML; so no character of the value can change its structure.

    Raises:
        ProgramError: The value is empty, or has a character no header value may have. Envoy
            would refuse every call with such a credential, one by one; here it is one clear error.
    """
    if not value or not value.isascii() or not value.isprintable() or value != value.strip():
        raise ProgramError("the provider's credential is empty or holds a control character")
    secret = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        "name": CREDENTIAL,
        "generic_secret": {"secret": {"inline_string": value}},
    }
    return json.dumps({"resources": [secret]}, indent=2) + "\n"


# libyaml reads and writes a configuration in 5 ms, PyYAML in Python in 36.
def _parsed(template: str) -> Any:  # noqa: ANN401 - YAML has any shape
    return yaml.load(template, Loader=yaml.CSafeLoader)


def _text(config: dict[str, Any]) -> str:
    return str(yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True))


def _cluster(config: dict[str, Any], name: str) -> dict[str, Any]:
    return _named(config["static_resources"]["clusters"], name)


def _set_ports(config: dict[str, Any], listener_port: int, admin_port: int) -> dict[str, Any]:
    listener = _named(config["static_resources"]["listeners"], LISTENER)
    _set_address(listener, listener_port)
    _set_address(config["admin"], admin_port)
    return listener


def _set_credential(config: dict[str, Any], file: Path) -> None:
    """Secrets are found by name; the signer's by the one key that only it has."""
    every = list(nodes(config))
    secrets = [node["sds_config"] for node in every if node.get("name") == CREDENTIAL]
    signers = [
        node["credentials_file_provider"] for node in every if "credentials_file_provider" in node
    ]
    source = _only("credential source", secrets + signers)
    if secrets:
        source["path_config_source"]["path"] = str(file)
    else:
        source["credentials_data_source"] = {
            "filename": str(file),
            "watched_directory": {"path": str(file.parent)},
        }


def _set_address(holder: dict[str, Any], port: int) -> None:
    holder["address"]["socket_address"]["port_value"] = port


def _endpoint(cluster: dict[str, Any]) -> dict[str, Any]:
    found = [node["endpoint"] for node in nodes(cluster) if "endpoint" in node]
    return _only(f"endpoint of cluster {cluster['name']}", found)


def _set_endpoint(cluster: dict[str, Any], host: str, port: int) -> None:
    _endpoint(cluster)["address"]["socket_address"] = {"address": host, "port_value": port}


def _tls_contexts(holder: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        node["transport_socket"]["typed_config"]["common_tls_context"]
        for node in nodes(holder)
        if "transport_socket" in node
    ]


def _uri_matchers(holder: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in nodes(holder) if node.get("san_type") == "URI"]


def _set_listener_tls(listener: dict[str, Any], tls: TlsFiles | None) -> None:
    contexts = _tls_contexts(listener)
    if tls is not None:
        _set_svid(_only("TLS listener", contexts), tls)
    elif contexts:
        raise ProgramError("this configuration has a TLS listener; its files must be given")


def _set_svid(common: dict[str, Any], tls: TlsFiles) -> None:
    certificate = _only("certificate", common["tls_certificates"])
    certificate["certificate_chain"] = {"filename": str(tls.certificate)}
    certificate["private_key"] = {"filename": str(tls.private_key)}
    validator = common["validation_context"]["custom_validator_config"]["typed_config"]
    domain = _only("trust domain", validator["trust_domains"])
    domain["name"] = tls.trust_domain
    domain["trust_bundle"] = {"filename": str(tls.trust_bundle)}


def _set_provider_roots(cluster: dict[str, Any], roots: Path | None) -> None:
    contexts = _tls_contexts(cluster)
    if roots is not None:
        context = _only("TLS to the provider", contexts)
        context["validation_context"]["trusted_ca"] = {"filename": str(roots)}
    elif contexts:
        raise ProgramError("this configuration reaches its provider over TLS; give its roots")


def _set_trusted_forwarder(listener: dict[str, Any], trusted_forwarder: str | None) -> None:
    """Set the forwarder as the peer that may connect and as the extension of the route."""
    routes = [node for node in nodes(listener) if TRUSTED_FORWARDER in node]
    if trusted_forwarder is not None:
        _only("peer", _uri_matchers(listener))["matcher"]["exact"] = trusted_forwarder
        for extensions in routes:
            extensions[TRUSTED_FORWARDER] = trusted_forwarder
    elif routes:
        raise ProgramError("this configuration believes another hop; its name must be given")


def _named(candidates: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return _only(name, [candidate for candidate in candidates if candidate.get("name") == name])


def _only(what: str, candidates: Iterable[dict[str, Any]]) -> dict[str, Any]:
    found = list(candidates)
    if len(found) != 1:
        raise ProgramError(f"the Envoy configuration has {len(found)} × {what}; expected 1")
    return found[0]


def nodes(value: object) -> Iterator[dict[str, Any]]:
    """Yield every mapping in a configuration, outermost first."""
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from nodes(child)
