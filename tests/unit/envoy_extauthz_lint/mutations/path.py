"""A path or a header is one thing to the gate and another one to the provider."""

from __future__ import annotations

from tests.unit.envoy_extauthz_lint.edit import Edit
from tests.unit.envoy_extauthz_lint.mutations.case import breaks


@breaks("path-rewritten")
def path_rewritten(edit: Edit) -> None:
    edit.action["prefix_rewrite"] = "/v2/"


@breaks("path-filter-view")
def path_for_filters(edit: Edit) -> None:
    edit.manager["path_normalization_options"] = {"http_filter_transformation": {}}


@breaks("path-normalized")
def path_normalized(edit: Edit) -> None:
    edit.manager["normalize_path"] = True


@breaks("path-normalized")
def path_left_to_runtime(edit: Edit) -> None:
    del edit.manager["normalize_path"]


@breaks("path-normalized")
def slashes_merged(edit: Edit) -> None:
    edit.manager["merge_slashes"] = True


@breaks("path-escaped-slashes")
def slashes_unescaped(edit: Edit) -> None:
    edit.manager["path_with_escaped_slashes_action"] = "UNESCAPE_AND_FORWARD"


@breaks("path-escaped-slashes")
def slashes_rejected(edit: Edit) -> None:
    edit.manager["path_with_escaped_slashes_action"] = 2


@breaks("path-parameters-ignored")
def parameters_ignored(edit: Edit) -> None:
    edit.table["ignore_path_parameters_in_path_matching"] = True


@breaks("path-header-changed")
def encoding_set(edit: Edit) -> None:
    header = {"key": "Content-Encoding", "value": "gzip"}
    edit.route["request_headers_to_add"] = [{"header": header}]


@breaks("path-header-changed")
def type_removed(edit: Edit) -> None:
    edit.host["request_headers_to_remove"].append("content-type")
