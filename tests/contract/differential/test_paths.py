"""Paths: what the gate matches to a route, three readers see as the same path."""

from __future__ import annotations

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sidecar.core.reasons import AdmissibilityError
from sidecar.extract.router import ROUTES
from tests.contract.differential.mutations import spoiled
from tests.contract.differential.paths import CHAT, SEEDS, TOKENS, TRICKS
from tests.contract.differential.upstreams import Upstreams
from tests.support.examples import examples

TUNED = "ft:gpt-4o-2024-08-06:acme:support-v3:abc123"


def matched(method: str, target: str) -> str | None:
    """The gate's side: the path it takes the request for; null where it refuses."""
    try:
        operation, found = ROUTES["openai"].match(method, target)
    except AdmissibilityError:
        return None
    named = {entry.where.partition(" ")[0]: str(entry.value) for entry in found}
    segments = zip(operation.route.split("/"), target.partition("?")[0].split("/"), strict=True)
    return "/".join(named.get(want, sent) if "{" in want else want for want, sent in segments)


def agreed(upstreams: Upstreams, method: str, target: str) -> bool:
    """Check the one property; tells whether the gate knows the route."""
    found = matched(method, target)
    if found is None:
        return False
    assert upstreams.path(target) == ((("path", found.encode()),),) * 3, target
    return True


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", CHAT),
        ("GET", CHAT + "?"),
        ("POST", "/v1/responses"),
        ("GET", "/v1/models/m"),
        ("GET", f"/v1/models/{TUNED}"),
        ("GET", f"/v1/models/{TUNED.replace(':', '%3A')}"),
        ("GET", f"/v1/models/{TUNED.replace(':', '%3a')}"),
        ("GET", "/v1/models/%6d%6D"),
        ("GET", "/v1/models/a@b_c.d-e"),
    ],
)
def test_a_plain_path_is_matched_and_seen_by_all_alike(
    upstreams: Upstreams, method: str, target: str
) -> None:
    assert agreed(upstreams, method, target)


@pytest.mark.parametrize("name", TRICKS)
def test_a_path_with_two_readings_is_refused(upstreams: Upstreams, name: str) -> None:
    methods = ("POST", "GET", "DELETE")
    assert not any(agreed(upstreams, method, TRICKS[name]) for method in methods)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("double slash", (CHAT, None, CHAT)),
        ("double slash first", ("/chat/completions", None, CHAT)),
        ("dot segments", (CHAT, None, CHAT)),
        ("backslash", ("/v1\\chat\\completions", "/v1\\chat\\completions", CHAT)),
        ("tab inside", (CHAT, None, CHAT)),
        ("fragment", (CHAT, CHAT + "#x", CHAT)),
        ("bad encoding", (CHAT + "%zz", None, None)),
    ],
)
def test_the_readers_do_see_different_paths(
    upstreams: Upstreams, name: str, seen: tuple[str | None, ...]
) -> None:
    """CPython, Go and Node in this order; null where it would not serve."""
    readings = upstreams.path(TRICKS[name])
    assert tuple(None if each is None else each[0][1].decode() for each in readings) == seen


@settings(max_examples=examples(1000))
@given(method=st.sampled_from(["GET", "POST"]), target=spoiled(SEEDS, TOKENS, most=1))
def test_whatever_the_gate_matches_is_seen_alike(
    upstreams: Upstreams, method: str, target: bytes
) -> None:
    event("matched" if agreed(upstreams, method, target.decode("latin-1")) else "refused")
