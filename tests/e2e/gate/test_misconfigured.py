"""The gate behind an Envoy that somebody set up badly: it rests on as little of Envoy as it can.

Each case is the reference configuration with one protection taken away, before the same real gate.
Probes go through the good Envoy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from admissibility_devtools.demo.authorities import PROD, UNLISTED_BASE, now
from admissibility_devtools.demo.stage import AUDIENCE
from admissibility_devtools.tools.envoy_config import reference
from tests.process.envoy.config import GATE, filters, host, manager
from tests.support.site.envoy import Answer
from tests.support.site.processes import stalled
from tests.support.site.site import envoy_before
from tests.support.site.stand import Stand
from tests.support.site.talk import (
    CHAT,
    JSON_TYPE,
    Lines,
    Seen,
    Talk,
    chunked,
    credential_line,
    head,
)

Change = Callable[[dict[str, Any]], None]


@contextmanager
def misconfigured(stand: Stand, folder: Path, change: Change) -> Iterator[Talk]:
    """Speak through an Envoy with one change, before the stage's gate."""
    config = yaml.load(reference("jwt"), Loader=yaml.CSafeLoader)
    change(config)
    template = yaml.safe_dump(config, sort_keys=False)
    with envoy_before(stand, stand.stage.listen, folder / "envoy", template) as envoy:
        yield stand.talk_to(envoy.port)


def partial(config: dict[str, Any]) -> None:
    filters(config)[GATE]["with_request_body"] |= {
        "allow_partial_message": True,
        "max_request_bytes": 100,
    }


def as_text(config: dict[str, Any]) -> None:
    filters(config)[GATE]["with_request_body"]["pack_as_bytes"] = False


def upgrades(config: dict[str, Any]) -> None:
    manager(config)["upgrade_configs"] = [{"upgrade_type": "websocket"}]


def joined(config: dict[str, Any]) -> None:
    filters(config)[GATE]["encode_raw_headers"] = False


def nameless(config: dict[str, Any]) -> None:
    for route in host(config)["routes"]:
        settings = route["typed_per_filter_config"][GATE]
        settings["check_settings"].pop("context_extensions")


def failing_open(config: dict[str, Any]) -> None:
    filters(config)[GATE]["failure_mode_allow"] = True


def trusting(config: dict[str, Any]) -> None:
    """What clients say about themselves goes on to the gate, in whatever spelling."""
    held = manager(config)
    held.pop("early_header_mutation_extensions")
    held["common_http_protocol_options"].pop("headers_with_underscores_action")
    held["forward_client_cert_details"] = "ALWAYS_FORWARD_ONLY"


def sneaking(talk: Talk) -> bytes:
    """An admitted model within the first hundred bytes, and another after them."""
    return talk.body()[:-1] + b" " * 100 + b', "model": "%s"}' % UNLISTED_BASE.encode()


def upgrading(talk: Talk) -> Answer:
    body = sneaking(talk)
    lines = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    return talk.raw(head(talk, "POST", CHAT, [*lines, ("Content-Length", str(len(body)))]) + body)


SPOOFED: Lines = [
    ("X-Forwarded-Client-Cert", f"URI={PROD}"),
    ("x_environment_credential", "x"),
    ("X-Admissibility-Reason", "admitted"),
]
CASES: dict[str, tuple[Change, Callable[[Talk], Answer], tuple[int, str]]] = {
    "a prefix of the body": (partial, lambda t: t.call(sneaking(t)), (413, "body_incomplete")),
    "a prefix of a chunked body": (
        partial,
        lambda t: t.raw(chunked(t, sneaking(t))),
        (413, "body_incomplete"),
    ),
    "a repaired body": (
        as_text,
        lambda t: t.call(t.body(user="@").replace(b"@", b"\xff\xfe")),
        (400, "malformed_request"),
    ),
    "an upgrade without its body": (upgrades, upgrading, (400, "malformed_request")),
    "headers joined": (joined, lambda t: t.call(), (403, "unsupported_operation")),
    "a route without a provider": (nameless, lambda t: t.call(), (403, "unsupported_operation")),
    "failing open, malformed": (failing_open, lambda t: t.call(b"{"), (400, "malformed_request")),
    "spoofed identity": (
        trusting,
        lambda t: t.call(lines=[JSON_TYPE, *SPOOFED]),
        (401, "credential_missing"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_gate_refuses_by_itself_what_envoy_should_not_have_let_so_far(
    stand: Stand, talk: Talk, tmp_path: Path, name: str
) -> None:
    change, send, verdict = CASES[name]
    with misconfigured(stand, tmp_path, change) as bad:
        assert talk.seen(lambda: send(bad)) == Seen(verdict, ())


def test_a_body_as_text_is_taken_only_where_it_is_the_exact_bytes(
    stand: Stand, talk: Talk, tmp_path: Path
) -> None:
    with misconfigured(stand, tmp_path, as_text) as bad:
        body = bad.body(user="\u00e9 in UTF-8")
        seen = talk.seen(lambda: bad.call(body))
    assert (seen.verdict, [r.body for r in seen.reached]) == ((200, "admitted"), [body])


def test_a_stalled_policy_engine_denies_before_an_envoy_that_fails_open_gives_up(
    stand: Stand, talk: Talk, tmp_path: Path
) -> None:
    with misconfigured(stand, tmp_path, failing_open) as shared:
        # Older than the stage, so no lease of another test's credential answers in place of OPA.
        earlier = stand.stage.issuer.svid(PROD, AUDIENCE, now() - timedelta(hours=2))
        bad = replace(shared, credential=credential_line(earlier))
        mark = len(talk.upstream.received)
        with stalled(stand.stage.opa_pid()):
            verdict = bad.verdict()
        assert (verdict, len(talk.upstream.received) - mark) == ((503, "deadline_exceeded"), 0)


def test_what_a_client_wrote_under_our_prefix_never_reaches_the_provider(
    stand: Stand, talk: Talk, tmp_path: Path
) -> None:
    with misconfigured(stand, tmp_path, trusting) as bad:
        lines = [*bad.lines, SPOOFED[2], ("x-admissibility-reason", "again")]
        seen = talk.seen(lambda: bad.call(lines=lines))
    (received,) = seen.reached
    ours = [name for name, _ in received.headers if name.startswith("x-admissibility-")]
    assert (seen.verdict, ours, received.header("x-environment-credential")) == (
        (200, "admitted"),
        [],
        (),
    )
