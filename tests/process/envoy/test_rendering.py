"""Filling in a reference's places changes them and nothing else, and Envoy takes what comes out.

What a file needs and was not given is an error; so is what it has no place for.
"""

from __future__ import annotations

import re
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from admissibility_devtools.tools.envoy_config import (
    Gated,
    Name,
    TlsFiles,
    credential_document,
    reference,
    render,
    render_edge,
)
from admissibility_devtools.tools.find import ENVOY
from sidecar.opa.errors import ProgramError
from sidecar.opa.location import locate
from tests.process.envoy import sigv4
from tests.process.envoy.certificates import serve_as
from tests.process.envoy.config import (
    ALL,
    Config,
    address,
    chain,
    extensions,
    filters,
    loaded,
    named,
    provider,
)
from tests.process.envoy.sites import SITES
from tests.support.site.envoy import EnvoyProcess, exchange, request_bytes
from tests.support.site.spiffe import TrustDomain


def test_the_lines_that_end_tls_at_a_shared_edge_do_so(tmp_path: Path) -> None:
    text, replaced = re.subn(r"^#\|", "", reference("jwt"), flags=re.M)
    assert replaced == 10
    _, roots = serve_as("gateway.example", tmp_path / "tls")
    for name in ("gateway.pem", "gateway.key"):
        text = text.replace(f"/etc/envoy/tls/{name}", str(tmp_path / "tls" / "server.pem"))
    config = yaml.load(text, Loader=yaml.CSafeLoader)
    assert list(chain(config)) == ["name", "transport_socket", "filters"]
    socket = chain(config).pop("transport_socket")
    rendered = yaml.load(
        render(yaml.safe_dump(config), **places(tmp_path, "jwt")), Loader=yaml.CSafeLoader
    )
    chain(rendered)["transport_socket"] = socket
    (listener,) = rendered["static_resources"]["listeners"]
    listener["address"]["socket_address"]["port_value"] = 0
    rendered["admin"]["address"]["socket_address"]["port_value"] = 0
    trusting = ssl.create_default_context(cafile=str(roots))
    with EnvoyProcess(yaml.safe_dump(rendered), tmp_path / "envoy") as envoy:
        answer = exchange(envoy.port, request_bytes("POST", "/v1/x"), trusting)
    assert answer.status == 503  # by way of TLS; there is no gate


def places(folder: Path, name: Name) -> dict[str, Any]:
    credential = folder / "credential.yaml"
    provider = name.removeprefix("sandbox-")
    key = sigv4.credentials_file() if provider == "bedrock" else credential_document("Bearer sk-x")
    credential.write_text(key, encoding="utf-8")
    site = next((each for each in SITES.values() if each.name == provider), SITES["jwt"])
    roots = serve_as(site.host, folder / "roots")[1] if site.tls else None
    return {
        "listener_port": 1,
        "admin_port": 2,
        "gate": ("127.0.0.3", 3),
        "upstream": ("127.0.0.4", 4),
        "credential_file": credential,
        "tls": files(folder) if site.mutual else None,
        "provider_roots": roots,
        "trusted_forwarder": "spiffe://corp.example/door" if name == "xfcc-gate" else None,
    }


def files(folder: Path) -> TlsFiles:
    domain = TrustDomain("corp.example", folder / "spiffe")
    svid = domain.issue("/gateway")
    return TlsFiles(svid.certificate, svid.private_key, domain.name, domain.bundle)


def edge_places(folder: Path) -> dict[str, Any]:
    return {
        "listener_port": 1,
        "admin_port": 2,
        "second_hop": ("127.0.0.3", 3),
        "peer": "spiffe://corp.example/next",
        "tls": files(folder),
    }


def rendered(name: Name, folder: Path) -> str:
    if name == "xfcc-edge":
        return render_edge(reference(name), **edge_places(folder))
    return render(reference(name), **places(folder, name))


@pytest.mark.parametrize("name", ALL)
def test_envoy_itself_accepts_each_file_without_a_warning(name: Name, tmp_path: Path) -> None:
    path = tmp_path / "envoy.yaml"
    path.write_text(rendered(name, tmp_path), encoding="utf-8")
    ran = subprocess.run(
        [str(locate(ENVOY)), "--mode", "validate", "-c", str(path), "--log-level", "warning"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"configuration '{path}' OK\n", "")


def put(config: Config, filled: dict[str, Any]) -> None:
    """What filling in the places is to change, told by the paths to them."""
    config["admin"]["address"]["socket_address"]["port_value"] = 2
    (listener,) = config["static_resources"]["listeners"]
    listener["address"]["socket_address"]["port_value"] = 1
    for cluster, number in zip(config["static_resources"]["clusters"], (3, 4), strict=False):
        address(cluster).update(address=f"127.0.0.{number}", port_value=number)
    holders = [chain(config), provider(config)]
    for holder in holders if filled["tls"] else []:
        if "transport_socket" in holder:
            put_tls(holder["transport_socket"]["typed_config"]["common_tls_context"], filled["tls"])


def put_tls(common: Config, tls: TlsFiles) -> None:
    common["tls_certificates"] = [
        {
            "certificate_chain": {"filename": str(tls.certificate)},
            "private_key": {"filename": str(tls.private_key)},
        }
    ]
    validator = common["validation_context"]["custom_validator_config"]["typed_config"]
    validator["trust_domains"] = [
        {"name": "corp.example", "trust_bundle": {"filename": str(tls.trust_bundle)}}
    ]


@pytest.mark.parametrize("name", SITES)
def test_rendering_changes_the_places_and_nothing_else(name: Gated, tmp_path: Path) -> None:
    filled = places(tmp_path, name)
    expected = loaded(name)
    put(expected, filled)
    key = str(filled["credential_file"])
    if name == "bedrock":
        source = filters(expected)["envoy.filters.http.aws_request_signing"]["credential_provider"]
        source["credentials_file_provider"]["credentials_data_source"] = {
            "filename": key,
            "watched_directory": {"path": str(tmp_path)},
        }
    else:
        injector = filters(expected)["envoy.filters.http.credential_injector"]
        source = injector["credential"]["typed_config"]["credential"]["sds_config"]
        source["path_config_source"]["path"] = key
    if filled["provider_roots"]:
        common = provider(expected)["transport_socket"]["typed_config"]["common_tls_context"]
        common["validation_context"]["trusted_ca"] = {"filename": str(filled["provider_roots"])}
    if forwarder := filled["trusted_forwarder"]:
        common = chain(expected)["transport_socket"]["typed_config"]["common_tls_context"]
        common["validation_context"]["match_typed_subject_alt_names"] = named(
            "URI", filled["trusted_forwarder"]
        )
        for told in extensions(expected):
            told["trusted_forwarder"] = forwarder
    assert yaml.load(render(reference(name), **filled), Loader=yaml.CSafeLoader) == expected


def test_rendering_the_first_hop_changes_its_places_and_nothing_else(tmp_path: Path) -> None:
    filled = edge_places(tmp_path)
    expected = loaded("xfcc-edge")
    put(expected, filled)
    common = provider(expected)["transport_socket"]["typed_config"]["common_tls_context"]
    common["validation_context"]["match_typed_subject_alt_names"] = named("URI", filled["peer"])
    assert (
        yaml.load(render_edge(reference("xfcc-edge"), **filled), Loader=yaml.CSafeLoader)
        == expected
    )


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("jwt", {"name: gate\n": "name: other\n"}, "has 0 × gate; expected 1"),
        ("jwt", {"name: provider-credential": "name: another"}, "0 × credential source"),
        ("bedrock", {"credentials_file_provider": "another"}, "0 × credential source"),
        ("jwt", {"    - name: applications\n": "    - name: x\n"}, "0 × applications"),
    ],
)
def test_a_place_that_is_missing_is_an_error_and_not_a_default(
    name: Gated, changes: dict[str, str], message: str, tmp_path: Path
) -> None:
    text = reference(name)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(ProgramError, match=message):
        render(text, **places(tmp_path, name))


@pytest.mark.parametrize(
    ("name", "place", "message"),
    [
        ("mtls", "tls", "has a TLS listener; its files must be given"),
        ("egress", "provider_roots", "reaches its provider over TLS; give its roots"),
        ("xfcc-gate", "trusted_forwarder", "believes another hop; its name must be given"),
    ],
)
def test_what_a_file_needs_must_be_given_and_what_it_has_no_place_for_must_not(
    name: Gated, place: str, message: str, tmp_path: Path
) -> None:
    filled = places(tmp_path, name)
    with pytest.raises(ProgramError, match=message):
        render(reference(name), **{**filled, place: None})
    with pytest.raises(ProgramError, match="has 0 × "):
        render(reference("jwt"), **{**places(tmp_path, "jwt"), place: filled[place]})


@pytest.mark.parametrize("value", ["", " Bearer x", "Bearer x\n", "Bearer \x00", "Bearer é"])
def test_a_credential_that_no_header_can_carry_is_refused_at_once(value: str) -> None:
    with pytest.raises(ProgramError, match="credential is empty or holds"):
        credential_document(value)
