"""Public hosts behind routes without the gate: known ones, and ones that nobody named."""

from __future__ import annotations

from sidecar.cli.lint_options import lint_options
from tests.unit.envoy_extauthz_lint.edit import FILTER_CONFIG, SEAL, TLS, TYPES, Edit
from tests.unit.envoy_extauthz_lint.mutations.bypass_unasked import second_listener
from tests.unit.envoy_extauthz_lint.mutations.case import TRUSTED, breaks

NEWCOMER = "api.newcomer.example"
CALLS = "/v1/chat/completions"


def to_host(edit: Edit, host: str, *prefixes: str) -> None:
    """Give a second listener without the gate routes to a host."""
    second_listener(edit)
    listener = edit.top["static_resources"]["listeners"][1]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["route_config"]["virtual_hosts"][0]["routes"] = [
        {"match": {"prefix": prefix}, "route": {"cluster": "other"}} for prefix in prefixes
    ]
    cluster(edit, host)


def cluster(edit: Edit, host: str) -> None:
    """Add cluster ``other``, over TLS."""
    context = {
        "@type": f"{TYPES}{TLS}UpstreamTlsContext",
        "sni": host,
        "common_tls_context": TRUSTED,
        "auto_sni_san_validation": True,
    }
    tls = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    edit.another("other", host, type="STRICT_DNS", transport_socket=tls)


@breaks("bypass-without-gate")
def known_host(edit: Edit) -> None:
    to_host(edit, "api.groq.com", "/")


@breaks("bypass-without-gate")
def known_host_of_a_control_plane(edit: Edit) -> None:
    to_host(edit, "bedrock-agent-runtime.eu-central-1.amazonaws.com", "/")


@breaks(
    "bypass-without-gate", options=lint_options(not_providers=["*.cognitiveservices.azure.com"])
)
def known_host_that_serves_no_model(edit: Edit) -> None:
    to_host(edit, "speech.cognitiveservices.azure.com", "/")


@breaks("bypass-unknown-host")
def unknown_host_of_calls(edit: Edit) -> None:
    to_host(edit, NEWCOMER, CALLS)


@breaks("bypass-unknown-host")
def unknown_host_on_a_route_without_the_gate(edit: Edit) -> None:
    cluster(edit, NEWCOMER)
    off = {"@type": FILTER_CONFIG, "disabled": True}
    # Without the injector nothing but its host shows what the cluster is.
    names = [one["name"] for one in edit.filters[edit.at : -1] if one["name"] != SEAL]
    route = {"match": {"prefix": "/v1/new"}, "route": {"cluster": "other"}}
    edit.host["routes"].insert(0, {**route, "typed_per_filter_config": dict.fromkeys(names, off)})


@breaks("bypass-unknown-host")
def unknown_host_beside_calls(edit: Edit) -> None:
    to_host(edit, NEWCOMER, "/anthropic/", "/")


@breaks("bypass-unknown-host")
def unknown_address_of_calls(edit: Edit) -> None:
    to_host(edit, "8.8.4.4", "/v1/")


@breaks("bypass-without-gate")
def unknown_host_of_anything(edit: Edit) -> None:
    to_host(edit, NEWCOMER, "/")


@breaks("bypass-without-gate")
def internal_host_of_calls(edit: Edit) -> None:
    to_host(edit, "models.team.svc.cluster.local", CALLS)


@breaks("bypass-without-gate", options=lint_options(not_providers=[NEWCOMER]))
def host_of_calls_that_serves_no_model(edit: Edit) -> None:
    to_host(edit, NEWCOMER, CALLS)


@breaks("bypass-without-gate", options=lint_options(provider_hosts=[NEWCOMER]))
def unknown_host_that_is_named(edit: Edit) -> None:
    to_host(edit, NEWCOMER, CALLS)
