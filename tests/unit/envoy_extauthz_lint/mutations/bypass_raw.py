"""Ways to the provider of connections and datagrams, which nobody reads as HTTP."""

from __future__ import annotations

from sidecar.cli.lint_options import lint_options
from tests.unit.envoy_extauthz_lint.edit import UDP_PROXY, Edit
from tests.unit.envoy_extauthz_lint.mutations.case import (
    aggregate,
    breaks,
    generic_proxy,
    routed,
    tcp,
)


@breaks("bypass-tcp")
def tcp_to_the_provider(edit: Edit) -> None:
    tcp(edit, "provider")


@breaks("bypass-tcp")
def tcp_to_something_else(edit: Edit) -> None:
    edit.another("other", "127.0.0.1")
    tcp(edit, "other")


@breaks("bypass-tcp")
def tcp_where_no_chain_matches(edit: Edit) -> None:
    tcp(edit, "provider")
    edit.listener["default_filter_chain"] = edit.listener["filter_chains"].pop()


@breaks(
    "bypass-tcp",
    "cluster-provider-plaintext",
    options=lint_options(provider_hosts=("*.models.example",)),
)
def tcp_to_a_host_that_an_operator_names(edit: Edit) -> None:
    edit.another("egress", "eu.models.example")
    tcp(edit, "egress")


@breaks("bypass-tcp")
def tls_passed_through_by_name(edit: Edit) -> None:
    edit.another("egress", "127.0.0.1")
    tcp(edit, "egress", filter_chain_match={"server_names": ["api.openai.com"]})


@breaks("bypass-tcp")
def passed_through_to_wherever(edit: Edit) -> None:
    edit.clusters.append({"name": "passthrough", "type": "ORIGINAL_DST"})
    tcp(edit, "passthrough")


@breaks("bypass-tcp")
def tcp_in_a_listener_of_quic(edit: Edit) -> None:
    tcp(edit, "provider")
    edit.quic()["filter_chains"][0]["filters"] = edit.listener["filter_chains"].pop()["filters"]


@breaks("bypass-tcp")
def tcp_through_a_tunnel(edit: Edit) -> None:
    edit.another("egress", "127.0.0.1")
    tcp(edit, "egress")
    proxy = edit.listener["filter_chains"][1]["filters"][0]["typed_config"]
    proxy["tunneling_config"] = {"hostname": "api.openai.com"}


@breaks("bypass-tcp")
def tcp_to_one_of_several_that_is_the_provider(edit: Edit) -> None:
    aggregate(edit, "all")
    tcp(edit, "all")


@breaks("bypass-tcp")
def http_by_a_proxy_of_anything(edit: Edit) -> None:
    edit.listener["filter_chains"].append({"filters": [generic_proxy("provider")]})


@breaks("bypass-udp")
def udp_to_the_provider(edit: Edit) -> None:
    edit.datagrams(cluster="provider")


@breaks("bypass-udp")
def udp_to_something_else(edit: Edit) -> None:
    edit.another("other", "127.0.0.1")
    edit.datagrams(cluster="other")


@breaks("bypass-udp")
def udp_by_a_matcher(edit: Edit) -> None:
    route = {"@type": f"{UDP_PROXY}v3.Route", "cluster": "provider"}
    edit.datagrams(matcher=routed({"typed_config": route}))


@breaks("bypass-udp")
def udp_to_wherever(edit: Edit) -> None:
    edit.clusters.append({"name": "passthrough", "type": "ORIGINAL_DST"})
    edit.datagrams(cluster="passthrough")


@breaks("bypass-udp")
def udp_through_a_tunnel(edit: Edit) -> None:
    edit.another("egress", "127.0.0.1")
    tunnel = {"proxy_host": "egress.example", "target_host": "api.openai.com"}
    edit.datagrams(cluster="egress", tunneling_config=tunnel)


@breaks("bypass-udp")
def udp_and_nothing_else(edit: Edit) -> None:
    # With the routes goes what showed this cluster to be a provider.
    edit.datagrams(cluster="provider")
    del edit.top["static_resources"]["listeners"][0]
