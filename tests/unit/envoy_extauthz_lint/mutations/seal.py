"""Changes of the seal, each of which lets it pass more than what the gate admitted."""

from __future__ import annotations

from typing import Any

from tests.unit.envoy_extauthz_lint.edit import FILTER_CONFIG, GATE, HTTP, SEAL, Edit
from tests.unit.envoy_extauthz_lint.mutations.case import breaks

PER_ROUTE = f"{HTTP}rbac.v3.RBACPerRoute"


def rules(edit: Edit) -> list[dict[str, Any]]:
    """What the seal requires: the boolean, and the gate's name."""
    (permission,) = edit.seal["rules"]["policies"]["admitted"]["permissions"]
    found: list[dict[str, Any]] = permission["and_rules"]["rules"]
    return found


def matcher(edit: Edit, number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = rules(edit)[number]["sourced_metadata"]["metadata_matcher"]
    return found


def settings(edit: Edit, value: dict[str, Any]) -> None:
    """What the route of calls says to the seal."""
    edit.route["typed_per_filter_config"][SEAL] = value


def writer(edit: Edit, place: int, namespace: str) -> None:
    """A filter that writes metadata where it is configured to."""
    rule = {
        "header": "x-any",
        "on_header_present": {"metadata_namespace": namespace, "key": "admitted"},
    }
    name = "header_to_metadata"
    typed = {"@type": f"{HTTP}header_to_metadata.v3.Config", "request_rules": [rule]}
    edit.filters.insert(edit.at + place, {"name": name, "typed_config": typed})


@breaks("seal-missing")
def seal_left_out(edit: Edit) -> None:
    edit.unseal()


@breaks("seal-missing")
def seal_about_another_namespace(edit: Edit) -> None:
    for number in (0, 1):
        matcher(edit, number)["filter"] = "mine"


@breaks("seal-policy")
def seal_that_exempts_a_path(edit: Edit) -> None:
    path = {"url_path": {"path": {"exact": "/healthz"}}}
    policy = {"permissions": [path], "principals": [{"any": True}]}
    edit.seal["rules"]["policies"]["health"] = policy


@breaks("seal-policy")
def seal_with_an_alternative(edit: Edit) -> None:
    edit.seal["rules"]["policies"]["admitted"]["permissions"].append({"any": True})


@breaks("seal-policy")
def seal_with_or(edit: Edit) -> None:
    policy = edit.seal["rules"]["policies"]["admitted"]
    policy["permissions"] = [{"or_rules": {"rules": [*rules(edit), {"any": True}]}}]


@breaks("seal-policy")
def seal_inverted(edit: Edit) -> None:
    matcher(edit)["invert"] = True


@breaks("seal-policy")
def seal_negated(edit: Edit) -> None:
    policy = edit.seal["rules"]["policies"]["admitted"]
    policy["permissions"] = [{"not_rule": policy["permissions"][0]}]


@breaks("seal-policy")
def seal_of_false(edit: Edit) -> None:
    matcher(edit)["value"] = {"bool_match": False}


@breaks("seal-policy")
def seal_of_any_value(edit: Edit) -> None:
    matcher(edit)["value"] = {"present_match": True}


@breaks("seal-policy")
def seal_from_the_route(edit: Edit) -> None:
    rules(edit)[0]["sourced_metadata"]["metadata_source"] = "ROUTE"


@breaks("seal-policy")
def seal_that_denies_what_was_admitted(edit: Edit) -> None:
    edit.seal["rules"]["action"] = "DENY"


@breaks("seal-policy")
def seal_that_logs(edit: Edit) -> None:
    edit.seal["rules"]["action"] = "LOG"


@breaks("seal-policy")
def seal_in_shadow_rules(edit: Edit) -> None:
    edit.seal["shadow_rules"] = edit.seal.pop("rules")


@breaks("seal-policy")
def seal_with_a_matcher_instead(edit: Edit) -> None:
    edit.seal["matcher"] = {"matcher_list": {"matchers": []}}


@breaks("seal-policy")
def seal_without_the_name(edit: Edit) -> None:
    del rules(edit)[1]


@breaks("seal-misplaced")
def seal_before_the_gate(edit: Edit) -> None:
    edit.filters.insert(edit.at, edit.filters.pop(edit.at + 1))


@breaks("seal-misplaced")
def seal_behind_the_credential(edit: Edit) -> None:
    edit.filters.insert(edit.at + 1, edit.filters.pop(edit.at + 2))


@breaks("seal-misplaced", "order-changed-behind-gate")
def seal_behind_a_program(edit: Edit) -> None:
    code = {"inline_string": "x = 1"}
    typed = {"@type": f"{HTTP}lua.v3.Lua", "default_source_code": code}
    edit.filters.insert(edit.at + 1, {"name": "lua", "typed_config": typed})


@breaks("seal-forgeable")
def namespace_written_by_another_filter(edit: Edit) -> None:
    writer(edit, 0, GATE)


@breaks("seal-forgeable", "seal-policy", "order-second-authz")
def nameless_behind_another_service(edit: Edit) -> None:
    del rules(edit)[1]
    other = edit.copy_of_the_gate("provider")
    edit.filters.insert(edit.at + 1, other)


@breaks("seal-disabled")
def seal_disabled_on_a_route(edit: Edit) -> None:
    settings(edit, {"@type": FILTER_CONFIG, "disabled": True})


@breaks("seal-disabled")
def seal_emptied_on_a_route(edit: Edit) -> None:
    settings(edit, {"@type": PER_ROUTE})


@breaks("seal-disabled")
def seal_replaced_on_a_route(edit: Edit) -> None:
    anybody = {"permissions": [{"any": True}], "principals": [{"any": True}]}
    settings(edit, {"@type": PER_ROUTE, "rbac": {"rules": {"policies": {"all": anybody}}}})


@breaks("seal-disabled")
def seal_replaced_around_the_filters_own(edit: Edit) -> None:
    inner = {"@type": PER_ROUTE}
    settings(edit, {"@type": FILTER_CONFIG, "config": inner})


@breaks("seal-disabled")
def seal_disabled_in_the_chain(edit: Edit) -> None:
    edit.filters[edit.at + 1]["disabled"] = True


@breaks("seal-disabled")
def seal_with_unknown_settings(edit: Edit) -> None:
    settings(edit, {"@type": "type.googleapis.com/some.Other"})
