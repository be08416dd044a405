"""What is read, how, and what is refused with one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from envoy_extauthz_lint import LintError, document
from envoy_extauthz_lint.document import MAX_BYTES, MAX_YAML_BYTES
from envoy_extauthz_lint.node import camel
from tests.unit.envoy_extauthz_lint.edit import Edit, check, finding_lines

REFERENCE = Edit().text()


def refused(data: bytes | str) -> str:
    with pytest.raises(LintError) as caught:
        check(data.encode() if isinstance(data, str) else data)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("text", "the file is not a message; Envoy would refuse it"),
        ("- a\n", "the file is not a message; Envoy would refuse it"),
        ("admin: {a: 1\n", "line 2: not YAML: did not find expected ',' or '}'"),
        ("node: {}\n---\nnode: {}\n", "line 2: not YAML: but found another document"),
        ("node: {}\nadmin: {}\nnode: {}\n", "line 3: the key 'node' is given twice"),
        ('{"node": {"id": "a", "id": "b"}}', "line 1: the key 'id' is given twice"),
        ("node: &a {b: *a}\n", "line 1: an alias inside its own anchor"),
        ("a: &a {b: 1}\nnode: {<<: *a}\n", "line 2: merge keys (<<) are not read; write the"),
        ("node: !!python/object:os.system {}\n", "line 1: the tag 'tag:yaml.org,2002:python/"),
        ("node: !mine a\n", "line 1: the tag '!mine' is not read"),
        ("? [a, b]\n: c\n", "line 1: a key that is not a string"),
        ("[" * 200, "line 1: nested deeper than 100"),
        ("[" * 200_000, "line 1: nested deeper than 100"),
        ("node: " + "{a: " * 200_000, "line 1: nested deeper than 100"),
        ("- " * 200_000, "line 1: nested deeper than 100"),
        ("[" * (MAX_YAML_BYTES + 1), "nested deeper than 100"),
        (
            "node:\n{% if x %}\n  id: a\n{% endif %}\n",
            "line 2: not YAML: found character that cannot start any token; a template must be",
        ),
        (
            "node: {id: {{ x }}}\n",
            "line 1: a key that is not a string; a template must be",
        ),
        ('{"node": {{ x }}}', "line 1: a key that is not a string; a template must be"),
        ("node: *a\n", "line 1: not YAML: found undefined alias"),
        ("node: &a {}\nadmin: &a {}\n", "line 2: the anchor 'a' is given twice"),
        ("node: " + "[" * 120 + "]" * 120, "line 1: nested deeper than 100"),
        (
            "resources: []\n",
            "neither an Envoy bootstrap nor a configuration dump: none of configs,",
        ),
        ("xds: {}\n", "xds has 0 gateways (none), expected one;"),
        (
            "xds: {a/b: {configs: []}, a/c: {configs: []}}\n",
            "xds has 2 gateways (a/b, a/c), expected one; translate the objects of one gateway",
        ),
        ("xds: {a/b: {clusters: []}}\n", "xds has no configs; translate with --type all"),
        ("static_resources: []\n", "line 1: /static_resources is not a message; Envoy would"),
        (
            "static_resources: {listeners: {}}\n",
            "line 1: /static_resources/listeners is not a list",
        ),
        (
            "static_resources: {}\nlayered_runtime: {layers: []}\nlayeredRuntime: {}\n",
            "the file layered_runtime and layeredRuntime are one field, given twice",
        ),
    ],
)
def test_a_bad_file_is_one_line_that_says_where(text: str, line: str) -> None:
    assert line in refused(text)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("timeout: 2s", "timeout: 1 second", "is not a duration such as 1.5s"),
        ("failure_mode_allow: false", "failure_mode_allow: maybe", "is not true or false"),
        ("failure_mode_allow: false", "failure_mode_allow: 0", "is not true or false"),
        ("max_request_bytes: ", "max_request_bytes: 0x", "is not a whole number"),
        ("transport_api_version: V3", "transport_api_version: V9", "is none of AUTO, V2, V3"),
        ("stat_prefix: admissibility", "stat_prefix: [a]", "is not a text"),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_error_and_no_default(
    old: str, new: str, line: str
) -> None:
    assert old in REFERENCE
    assert line in refused(REFERENCE.replace(old, new))


@pytest.mark.slow
def test_the_sizes_that_are_read_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(b" " * (MAX_BYTES + 1)) == f"{MAX_BYTES + 1} bytes; at most {MAX_BYTES} are read"
    large = b"#" * (MAX_YAML_BYTES + 1)
    assert refused(large) == f"{len(large)} bytes; of YAML at most {MAX_YAML_BYTES} are read"
    assert refused(b"node: \xff") == "not UTF-8"
    monkeypatch.setattr(document, "MAX_NODES", 1000)
    many = b'{"node": [' + b"1," * 1000 + b"1]}"
    assert refused(many + b" " * MAX_YAML_BYTES) == "more than 1000 values"


def test_aliases_cannot_make_a_small_file_large() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "too many values or levels once aliases are expanded" in refused("\n".join(lines))


def both_spellings(value: Any, key: str = "") -> Any:
    """A configuration with every field name in camelCase; keys of maps are data."""
    free = key in {
        "typed_per_filter_config",
        "context_extensions",
        "typed_extension_protocol_options",
    }
    if isinstance(value, dict):
        return {
            (name if free or name.startswith("@") else camel(name)): both_spellings(child, name)
            for name, child in value.items()
        }
    if isinstance(value, list):
        return [both_spellings(child, key) for child in value]
    return value


@pytest.mark.parametrize("base", ["jwt", "mtls"])
def test_camel_case_json_and_yaml_are_one_configuration(base: str) -> None:
    edit = Edit(base)
    edit.gate["shadow_mode"] = True
    edit.settings["disable_request_body_buffering"] = True
    expected = sorted(edit.found())
    assert len(expected) == 2
    assert sorted(finding_lines(json.dumps(edit.top))) == expected
    assert sorted(finding_lines(json.dumps(edit.top, indent=2))) == expected
    assert sorted(finding_lines(yaml.safe_dump(both_spellings(edit.top)))) == expected


def test_what_egctl_translates_for_a_gateway_is_read_as_a_dump_of_its_envoy() -> None:
    top = yaml.safe_load(Edit().text())
    static = top.pop("static_resources")
    kinds = ("listener", "cluster")
    dump = {
        "configs": [
            {"@type": f"type.googleapis.com/envoy.admin.v3.{section}", kind: held}
            for section, kind, held in (
                ("BootstrapConfigDump", "bootstrap", top),
                *(
                    (
                        f"{kind.title()}sConfigDump",
                        f"static_{kind}s",
                        [{kind: one} for one in static[f"{kind}s"]],
                    )
                    for kind in kinds
                ),
            )
        ]
    }
    translated = json.dumps({"xds": {"acme/gateway": dump}, "gateways": []})
    assert finding_lines(translated) == finding_lines(json.dumps(dump))
    failing = translated.replace('"failure_mode_allow": false', '"failure_mode_allow": true')
    assert finding_lines(failing) != finding_lines(translated)
    assert check(translated.encode()).providers == check(json.dumps(dump).encode()).providers


def test_large_json_is_read_without_lines() -> None:
    edit = Edit()
    edit.gate["shadow_mode"] = True
    edit.top["node"]["metadata"] = {"filler": "x" * MAX_YAML_BYTES}
    (finding,) = check(json.dumps(edit.top).encode()).findings
    assert (finding.rule, finding.line) == ("gate-shadow", 0)


def test_json_that_is_no_yaml_is_still_read() -> None:
    edit = Edit()
    edit.top["node"]["metadata"] = {"smile": "😀"}
    text = json.dumps(edit.top)
    assert "\\ud83d" in text
    assert finding_lines(text) == []


@pytest.mark.parametrize(
    "value", ["yes", "on", "y", "True", "TRUE", '"true"', '"Yes"', '"1"', '"t"']
)
def test_what_envoy_takes_for_true_is_true(value: str) -> None:
    text = REFERENCE.replace("failure_mode_allow: false", f"failure_mode_allow: {value}")
    assert [line.split(" ")[1] for line in finding_lines(text)] == ["gate-fail-open"]


def test_a_typed_struct_is_what_it_holds() -> None:
    edit = Edit()
    edit.gate["shadow_mode"] = True
    value = dict(edit.gate)
    struct = {
        "@type": "type.googleapis.com/xds.type.v3.TypedStruct",
        "type_url": value.pop("@type"),
        "value": value,
    }
    edit.filters[0]["typed_config"] = struct
    (line,) = edit.found()
    assert line.startswith("warning gate-shadow")


def test_a_protection_that_is_null_counts_as_missing() -> None:
    edit = Edit()
    edit.gate["deny_at_disable"] = None
    assert [line.split(" ")[1] for line in edit.found()] == ["gate-deny-at-disable"]


def test_a_finding_has_its_line_and_its_place() -> None:
    text = REFERENCE.replace("failure_mode_allow: false", "failure_mode_allow: true")
    (finding,) = check(text.encode()).findings
    assert text.splitlines()[finding.line - 1].strip() == "failure_mode_allow: true"
    value: Any = yaml.load(text, Loader=yaml.CSafeLoader)
    for step in finding.place.split("/")[1:]:
        value = value[int(step) if isinstance(value, list) else step]
    assert value is True


def test_a_place_is_a_json_pointer_even_with_odd_keys() -> None:
    edit = Edit()
    edit.top["static_resources"]["a/b~c"] = {"secret_access_key": "x"}
    (finding,) = check(edit.text().encode()).findings
    assert finding.place == "/static_resources/a~1b~0c/secret_access_key"


def test_a_finding_never_repeats_a_key() -> None:
    edit = Edit()
    key = "sk-proj-ABCDEFGHIJKLMNOP123456"
    edit.top["static_resources"]["secrets"] = [{"name": "a", "inline": key}]
    report = check(edit.text().encode())
    assert [one.rule for one in report.findings] == ["key-in-file"]
    assert key not in str(report)
