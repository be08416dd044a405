"""A dump of a running Envoy has the findings of the file it was started from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from admissibility_devtools.tools.envoy_config import credential_document
from envoy_extauthz_lint import LintError
from tests.support.site.envoy import EnvoyProcess
from tests.support.site.spiffe import TrustDomain
from tests.unit.envoy_extauthz_lint import mutations
from tests.unit.envoy_extauthz_lint.edit import ENVOY, Edit, check, finding_lines

REFERENCES = sorted(path.stem for path in ENVOY.glob("*.yaml"))


def startable(edit: Edit, folder: Path) -> str:
    """A reference that can start here: ports of the kernel's choice, files that exist."""
    folder.mkdir(exist_ok=True)
    domain = TrustDomain("acme.example", folder / "spiffe")
    svid = domain.issue("/gateway")
    (folder / "provider.yaml").write_text(credential_document("Bearer sk-x"))
    (folder / "aws").write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    files = {
        "/etc/envoy/credential/provider.yaml": folder / "provider.yaml",
        "/etc/envoy/credential/aws": folder / "aws",
        "/etc/envoy/credential": folder,
        "/etc/ssl/certs/ca-certificates.crt": domain.bundle,
        "/run/spiffe/svid.pem": svid.certificate,
        "/run/spiffe/svid.key": svid.private_key,
        "/run/spiffe/bundle.pem": domain.bundle,
    }

    def placed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: placed(child) for key, child in value.items()}
        if isinstance(value, list):
            return [placed(child) for child in value]
        return str(files[value]) if isinstance(value, str) and value in files else value

    edit.top = placed(edit.top)
    for holder in (edit.top["admin"], edit.listener):
        holder["address"]["socket_address"]["port_value"] = 0
    edit.top["admin"]["allow_paths"].append({"exact": "/config_dump?include_eds"})
    for cluster in edit.clusters:
        # No name is looked up; by its SNI a provider is known all the same.
        address = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        address["address"]["socket_address"]["address"] = "127.0.0.1"
    return edit.text()


def dumped(text: str, folder: Path) -> str:
    with EnvoyProcess(text, folder / "envoy") as envoy:
        status, dump = envoy.ask_admin("/config_dump?include_eds")
    assert status == 200
    return dump


def delivered(folder: Path, name: str, kind: str, *resources: dict[str, Any]) -> dict[str, Any]:
    """A source that delivers these, as a control plane would."""
    typed = {"@type": f"type.googleapis.com/envoy.config.{kind}"}
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"resources": [{**typed, **one} for one in resources]}))
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_dump_of_a_running_reference_tells_what_its_file_tells(name: str, tmp_path: Path) -> None:
    text = startable(Edit(name), tmp_path)
    dump = dumped(text, tmp_path)
    assert sorted(finding_lines(dump)) == sorted(finding_lines(text))
    file, running = check(text.encode()), check(dump.encode())
    assert (running.dumped, running.routes, running.gate, running.providers) == (
        True,
        file.routes,
        file.gate,
        file.providers,
    )


CHANGES = (
    mutations.gate.shadow,
    mutations.gate.enabled_for_half,
    mutations.gate.partial_body,
    mutations.gate.timeout_left_out,
    mutations.gate.mutations_of_the_path,
    mutations.gate.error_is_ok,
    mutations.bypass_unasked.body_skipped_on_calls,
    mutations.bypass_unasked.disabled_for_one_of_two_clusters,
    mutations.path.slashes_rejected,
    mutations.operation.admin_of_the_runtime,
    mutations.operation.runtime_of_the_admin,
    mutations.operation.streams_for_a_day,
    mutations.key.key_left_out,
    mutations.bypass_onward.websocket_everywhere,
    mutations.bypass_raw.tcp_to_something_else,
)


def test_what_is_wrong_in_a_file_is_wrong_in_its_dump(tmp_path: Path) -> None:
    edit = Edit()
    for change in CHANGES:
        change(edit)
    # Two chains of one listener must differ in what they match.
    edit.listener["filter_chains"][1]["filter_chain_match"] = {"destination_port": 9}
    text = startable(edit, tmp_path)
    expected = sorted(finding_lines(text))
    assert len(expected) >= len(CHANGES)
    assert sorted(finding_lines(dumped(text, tmp_path))) == expected


def test_routes_that_come_from_elsewhere_are_found_in_the_dump(tmp_path: Path) -> None:
    edit = Edit()
    mutations.bypass_unasked.disabled_on_a_route(edit)
    table = edit.manager.pop("route_config")
    source = delivered(tmp_path, "routes", "route.v3.RouteConfiguration", table)
    edit.manager["rds"] = {"route_config_name": "provider", "config_source": source}
    text = startable(edit, tmp_path)
    rules = [line.split(" ")[1] for line in finding_lines(text)]
    assert rules == ["unchecked-nothing", "unchecked-routes"]
    (line,) = finding_lines(dumped(text, tmp_path))
    assert line == (
        "warning bypass-gate-disabled [virtual host provider, route 1, typed_per_filter_config,"
        " envoy.filters.http.ext_authz] provider provider is reached without the gate;"
        " Envoy adds the provider's credential by credential_injector;"
        " the seal denies such requests (403)"
    )


def test_listeners_and_clusters_that_come_from_elsewhere_are_found_in_the_dump(
    tmp_path: Path,
) -> None:
    edit = Edit()
    mutations.gate.shadow(edit)
    text = startable(edit, tmp_path)
    dynamic = {}
    for kind, name, values in (
        ("listener.v3.Listener", "lds", [edit.listener]),
        ("cluster.v3.Cluster", "cds", edit.clusters),
    ):
        dynamic[f"{name}_config"] = delivered(tmp_path, name, kind, *values)
    expected = finding_lines(text)
    del edit.top["static_resources"]
    edit.top["dynamic_resources"] = dynamic
    rules = [line.split(" ")[1] for line in finding_lines(edit.text())]
    assert rules == ["unchecked-listeners", "unchecked-clusters"]
    assert finding_lines(dumped(edit.text(), tmp_path)) == expected


def rules(text: str) -> list[str]:
    return [line.split(" ")[1] for line in finding_lines(text)]


def test_routes_of_scopes_that_come_from_elsewhere_are_found_in_the_dump(tmp_path: Path) -> None:
    edit = Edit()
    mutations.bypass_unasked.disabled_on_a_route(edit)
    table = edit.manager.pop("route_config")
    key = {"fragments": [{"string_key": "a"}]}
    scope = {"name": "a", "route_configuration_name": "provider", "key": key}
    extractor = {"name": "x-scope", "element_separator": ",", "index": 0}
    edit.manager["scoped_routes"] = {
        "name": "scopes",
        "scope_key_builder": {"fragments": [{"header_value_extractor": extractor}]},
        "rds_config_source": delivered(tmp_path, "rds", "route.v3.RouteConfiguration", table),
        "scoped_rds": {
            "scoped_rds_config_source": delivered(
                tmp_path, "scopes", "route.v3.ScopedRouteConfiguration", scope
            )
        },
    }
    text = startable(edit, tmp_path)
    assert rules(text) == ["unchecked-nothing", "unchecked-routes"]
    assert rules(dumped(text, tmp_path)) == ["bypass-gate-disabled"]


def test_a_gate_that_comes_from_elsewhere_is_found_in_the_dump(tmp_path: Path) -> None:
    edit = Edit()
    mutations.gate.shadow(edit)
    entry = edit.filters[edit.at]
    entry["config_discovery"] = {
        "config_source": delivered(
            tmp_path, "ecds", "core.v3.TypedExtensionConfig", json.loads(json.dumps(entry))
        ),
        "type_urls": [entry.pop("typed_config")["@type"]],
    }
    text = startable(edit, tmp_path)
    assert set(rules(text)) == {
        "bypass-without-gate",
        "unchecked-gate-conditional",
        "seal-misplaced",
    }
    assert rules(dumped(text, tmp_path)) == ["gate-shadow"]


def test_endpoints_that_come_from_elsewhere_are_found_in_the_dump(tmp_path: Path) -> None:
    edit = Edit()
    text = startable(edit, tmp_path)
    provider = edit.clusters[1]
    assignment = {**provider.pop("load_assignment"), "cluster_name": "endpoints"}
    source = delivered(tmp_path, "eds", "endpoint.v3.ClusterLoadAssignment", assignment)
    provider["type"] = "EDS"
    provider["eds_cluster_config"] = {"service_name": "endpoints", "eds_config": source}
    assert finding_lines(text) == []
    assert rules(edit.text()) == ["cluster-provider-plaintext", "unchecked-clusters"]
    assert finding_lines(dumped(edit.text(), tmp_path)) == []


def test_a_part_of_a_dump_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    dump = json.loads(dumped(startable(Edit(), tmp_path), tmp_path))
    kinds = {section["@type"].rpartition(".")[2]: section for section in dump["configs"]}

    def of(*names: str) -> list[str]:
        lines = finding_lines(json.dumps({"configs": [kinds[name] for name in names]}))
        return [line.split(" ")[1] for line in lines]

    assert of("BootstrapConfigDump") == []
    assert of("ListenersConfigDump", "ClustersConfigDump") == ["unchecked-bootstrap"]
    assert of("RoutesConfigDump") == [
        "unchecked-listeners",
        "unchecked-clusters",
        "unchecked-bootstrap",
    ]
    with pytest.raises(LintError, match="is not a list"):
        check(b'{"configs": {}}')
