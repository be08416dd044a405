"""What the newer rules are about is configuration that Envoy itself takes.

A rule about what no Envoy loads would find nothing, and a near miss that none loads proves nothing.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from admissibility_devtools.tools.envoy_config import credential_document
from admissibility_devtools.tools.find import ENVOY
from envoy_extauthz_lint import LintError
from sidecar.opa.location import locate
from tests.unit.envoy_extauthz_lint import mutations
from tests.unit.envoy_extauthz_lint.edit import Edit
from tests.unit.envoy_extauthz_lint.mutations import CASES, Change

MODULES = {one.__name__ for one in (mutations.added, mutations.bypass_hosts)}
ALSO = (
    mutations.gate.off_by_a_runtime_key_and_open_otherwise,
    mutations.order.requests_compressed_behind,
    mutations.order.requests_compressed_before,
    mutations.order.body_processed_on_a_route,
    mutations.order.key_on_arrival,
    mutations.order.key_by_header_mutation_before,
    mutations.order.asked_twice_on_a_route_that_enables_it,
    mutations.order.lua_in_a_matcher,
    mutations.order.lua_chosen_at_run_time,
    mutations.order.lua_in_a_matcher_in_the_router,
    mutations.order.reader_fail_open_on_a_host,
    mutations.order.route_selected_again_by_a_processor,
    mutations.bypass_onward.upgraded_by_code_behind_the_gate,
    mutations.bypass_onward.upgraded_by_a_gate_that_a_route_disables,
    mutations.key.key_in_a_log_by_the_longer_name,
    mutations.key.key_in_a_log_by_the_first_of_several,
    mutations.key.key_in_a_log_from_the_environment,
    mutations.key.key_in_a_trace_from_the_environment,
    mutations.key.credential_in_a_log_by_metadata,
    mutations.key.credential_in_a_log_of_all_metadata,
    mutations.key.key_of_a_collector,
    mutations.key.key_of_one_provider_for_another,
)
CHANGES = [case.change for case in CASES if case.change.__module__ in MODULES]


def validated(edit: Edit, folder: Path) -> str:
    """What Envoy has against a configuration; empty where it takes it."""
    for listener in edit.top["static_resources"]["listeners"]:
        listener["address"]["socket_address"]["port_value"] = 0
    credential = folder / "credential.yaml"
    credential.write_text(credential_document("Bearer x"), encoding="utf-8")
    path = folder / "envoy.yaml"
    text = edit.text().replace("/etc/envoy/credential/provider.yaml", str(credential))
    path.write_text(text, encoding="utf-8")
    ran = subprocess.run(
        [str(locate(ENVOY)), "--mode", "validate", "-c", str(path), "--log-level", "critical"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode == 0) == (ran.stdout == f"configuration '{path}' OK\n")
    return ran.stderr


@pytest.mark.parametrize(
    "change",
    [*CHANGES, *ALSO, *mutations.order.HARMLESS, *mutations.key.HARMLESS],
    ids=lambda change: change.__name__,
)
def test_envoy_takes_what_is_found_and_what_nearly_is(change: Change, tmp_path: Path) -> None:
    edit = Edit()
    change(edit)
    assert validated(edit, tmp_path) == ""


@pytest.mark.parametrize(
    ("spelt", "taken"), [("static", True), ("Static", True), ("strict-dns", False)]
)
def test_envoy_and_the_linter_take_the_same_spellings_of_an_enum(
    spelt: str, taken: bool, tmp_path: Path
) -> None:
    edit = Edit()
    for cluster in edit.clusters:
        cluster["type"] = spelt
    edit.gate["transport_api_version"] = "v3" if taken else "v-3"
    edit.gate["status_on_error"] = {"code": "serviceunavailable"}
    assert (validated(edit, tmp_path) == "") == taken
    try:
        found = edit.found()
    except LintError:
        found = ["refused"]
    assert found == ([] if taken else ["refused"])
