"""Whatever a file holds: findings, or one clear error. Never a traceback, never a silent pass."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envoy_extauthz_lint import LintError, LintReport, formatters
from tests.support.examples import examples
from tests.unit.envoy_extauthz_lint.edit import ENVOY, check

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
DOCUMENTS = [
    yaml.load(path.read_text(), Loader=yaml.CSafeLoader) for path in sorted(ENVOY.glob("*.yaml"))
]
DUMPED = [
    {
        "configs": [
            {"@type": "x/envoy.admin.v3.BootstrapConfigDump", "bootstrap": document},
            {
                "@type": "x/envoy.admin.v3.ListenersConfigDump",
                "dynamic_listeners": [
                    {"name": one["name"], "active_state": {"listener": one}}
                    for one in document["static_resources"]["listeners"]
                ],
            },
        ]
    }
    for document in DOCUMENTS
]
Path = tuple[str | int, ...]


def paths(value: Any, here: Path = ()) -> list[Path]:
    """Every place in a document."""
    if isinstance(value, dict):
        children = [(*here, key) for key in value]
    elif isinstance(value, list):
        children = [(*here, index) for index in range(len(value))]
    else:
        return [here]
    return [here, *(path for child in children for path in paths(value[child[-1]], child))]


PLACES = [(document, paths(document)) for document in (*DOCUMENTS, *DUMPED)]

odd = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["", "*", "(", "1s", "-1s", "%", "gate", "\ud7ff", "x" * 300, "0.0.0.0"]),
        st.text(max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["name", "@type", "cluster", "regex", "disabled", "typed_config", "a"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


def replaced(value: Any, path: Path, change: Any) -> Any:
    """A copy with one place changed; `change` takes what is there and returns a list of 0 or 1."""
    step, rest = path[0], path[1:]
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, child in pairs:
        if key != step:
            found.append((key, child))
        elif rest:
            found.append((key, replaced(child, rest, change)))
        else:
            found += [(key, new) for new in change(child)]
    return dict(found) if isinstance(value, dict) else [child for _, child in found]


def spoilt(kind: str, held: Any, new: Any, moved: Any) -> list[Any]:
    """What comes into the place of `held`."""
    return {
        "drop": [],
        "replace": [new],
        "list": [[held]],
        "message": [{"name": held}],
        "twice": [[held, held]],
        "move": [moved],
    }[kind]


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    """A reference with a few places dropped, replaced, or nested into themselves."""
    document, places = draw(st.sampled_from(PLACES))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places[1:]))
        kind = draw(st.sampled_from(["drop", "replace", "list", "message", "twice", "move"]))
        new, moved = draw(odd), at(document, draw(st.sampled_from(places[1:])))
        document = replaced(document, path, lambda held: spoilt(kind, held, new, moved))  # noqa: B023
        places = paths(document)
        if len(places) < 2:
            break
    return document


def at(value: Any, path: Path) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def judged(data: bytes) -> LintReport | None:
    """What is found; nothing where the file is refused, with one line."""
    try:
        report = check(data)
    except LintError as error:
        (line,) = str(error).splitlines()
        assert line
        return None
    for one in report.findings:
        assert one.message
        assert "\n" not in one.message
    json.dumps(formatters.to_sarif(report, "envoy.yaml", "0"))
    return report


@settings(CALM, max_examples=examples(150))
@given(spoiled())
def test_a_spoiled_reference_yields_findings_or_one_clear_error(document: Any) -> None:
    judged(json.dumps(document).encode())


@settings(CALM, max_examples=examples(200))
@given(st.binary(max_size=200))
def test_bytes_yield_one_clear_error(data: bytes) -> None:
    assert judged(data) is None


TEXT = (ENVOY / "jwt.yaml").read_bytes()


@settings(CALM, max_examples=examples(200))
@given(st.integers(0, len(TEXT) - 1), st.integers(0, 60), st.binary(max_size=6))
def test_a_torn_file_yields_findings_or_one_clear_error(
    start: int, length: int, put: bytes
) -> None:
    judged(TEXT[:start] + put + TEXT[start + length :])


@settings(CALM, max_examples=examples(100))
@given(st.data())
def test_a_route_that_is_put_before_a_gate_that_is_gone_is_never_passed_over(
    data: st.DataObject,
) -> None:
    # Whatever else changes in the chain: without ext_authz no way to the provider is clean.
    document = data.draw(st.sampled_from(DOCUMENTS))
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]
    chain = manager["typed_config"]["http_filters"]
    kept = [one for one in chain if "ext_authz" not in one["name"]]
    order = data.draw(st.permutations(kept))
    path: Path = ("static_resources", "listeners", 0, "filter_chains", 0, "filters", 0)
    changed = replaced(document, (*path, "typed_config", "http_filters"), lambda _: [list(order)])
    report = judged(json.dumps(changed).encode())
    assert report is not None
    assert "bypass-without-gate" in {one.rule for one in report.findings}
