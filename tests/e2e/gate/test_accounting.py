"""A thousand calls of every kind: what the SDK saw, the decision log and the metrics agree."""

from __future__ import annotations

import gzip
import json
import random
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import openai
import requests
from prometheus_client.parser import text_string_to_metric_families

from admissibility_devtools.demo.authorities import LAB, LISTED_BASE, PROD, UNLISTED_BASE
from admissibility_devtools.demo.caller import CREDENTIAL_HEADER, PLACEHOLDER_KEY
from tests.support.site.site import logged
from tests.support.site.stand import Stand
from tests.support.site.talk import until
from tests.support.site.tokens import claims, es256, header

CALLS = 1000
THREADS = 8
CHAT, RESPONSES = "chat.completions", "responses"
PATHS = {CHAT: "/chat/completions", RESPONSES: "/responses", "embeddings": "/embeddings"}


@dataclass(frozen=True, slots=True)
class Account:
    """One decision as the client, the log or the metrics know it; the labels of the metrics."""

    outcome: str
    reason: str
    jurisdiction: str
    operation: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of call, and how it must end."""

    weight: int
    status: int
    account: Account
    operation: str = CHAT
    model: str = ""
    environment: str | None = PROD
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


def denied(reason: str, jurisdiction: str = "eu", operation: str = CHAT) -> Account:
    return Account("deny", reason, jurisdiction, operation)


def admitted(operation: str = CHAT) -> Account:
    return Account("allow", "admitted", "eu", operation)


UNREAD = ("none", "unknown")
"""Labels of a call that was refused before its environment and its operation were known."""

KINDS = (
    Kind(30, 200, admitted()),
    Kind(20, 200, admitted(RESPONSES), operation=RESPONSES),
    Kind(15, 200, admitted(), model=LISTED_BASE),
    Kind(10, 403, denied("base_model_not_listed"), model=UNLISTED_BASE),
    Kind(5, 403, denied("manifest_missing"), model="ft:unheard-of"),
    Kind(8, 403, denied("environment_not_covered"), environment=LAB),
    Kind(5, 403, denied("operation_not_covered", operation="embeddings"), operation="embeddings"),
    Kind(5, 403, denied("environment_unknown", "none"), environment=f"{PROD}/other"),
    Kind(8, 401, denied("credential_missing", "none"), environment=None),
    Kind(5, 401, denied("credential_expired", "none"), environment="expired"),
    Kind(5, 401, denied("credential_invalid", "none"), environment="spiffe://other.example/x"),
    Kind(8, 400, denied("malformed_request", *UNREAD), body=b'{"model": "a", "model": "b"}'),
    Kind(4, 400, denied("ambiguous_model", *UNREAD), body=b'{"model": "a", "models": ["b"]}'),
    Kind(
        4,
        415,
        denied("unsupported_encoding", *UNREAD),
        body=gzip.compress(b"{}"),
        headers=(("content-encoding", "gzip"),),
    ),
    Kind(
        4,
        403,
        denied("unsupported_operation", *UNREAD),
        operation=RESPONSES,
        body=b'{"model": "a", "prompt": {"id": "c"}}',
    ),
)


@dataclass(frozen=True, slots=True)
class Sight:
    """What the SDK made of one reply."""

    kind: Kind
    status: int
    reason: str
    id: str


class Caller:
    """The ``openai`` SDK with one connection pool for all threads."""

    def __init__(self, stand: Stand) -> None:
        self._model = stand.model
        self._tokens = {None: "", "expired": es256(stand.key, header(), claims(exp=1))}
        for kind in KINDS:
            if kind.environment not in self._tokens:
                claimed = claims(sub=kind.environment)
                self._tokens[kind.environment] = es256(stand.key, header(), claimed)
        self._last = threading.local()
        self._client = openai.OpenAI(
            api_key=PLACEHOLDER_KEY,
            base_url=stand.stage.gateway,
            max_retries=0,
            timeout=30,
            http_client=openai.DefaultHttpxClient(event_hooks={"response": [self._note]}),
        )

    def _note(self, reply: Any) -> None:
        """The SDK gives an answer's value; status and decision id are in the reply under it."""
        self._last.status = int(reply.status_code)
        self._last.id = str(reply.headers["x-admissibility-decision-id"])

    def close(self) -> None:
        self._client.close()

    def call(self, kind: Kind) -> Sight:
        """One call of a kind."""
        body = kind.body or json.dumps({"model": kind.model or self._model, "input": "x"}).encode()
        headers = {"content-type": "application/json", **dict(kind.headers)}
        if kind.environment is not None:
            headers[CREDENTIAL_HEADER] = self._tokens[kind.environment]
        reason = "admitted"
        try:
            self._client.post(
                PATHS[kind.operation], cast_to=object, content=body, options={"headers": headers}
            )
        except openai.APIStatusError as error:
            reason = str(error.code)
        return Sight(kind, self._last.status, reason, self._last.id)


def in_metrics(url: str) -> Counter[Account]:
    """``admissibility_decisions_total`` by all its labels."""
    text = requests.get(f"{url}/metrics", timeout=10).text
    return Counter(
        {
            Account(**sample.labels): int(sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "admissibility_decisions_total"
        }
    )


def in_log(lines: Iterable[dict[str, Any]]) -> Counter[Account]:
    """The same from the decision log."""
    return Counter(
        Account(
            line["outcome"],
            line["reason"],
            "+".join(line["jurisdictions"]) or "none",
            line["operation"] or "unknown",
        )
        for line in lines
    )


def test_sdk_decision_log_and_metrics_agree_over_a_thousand_calls(stand: Stand) -> None:
    kinds = random.Random(20260601).choices(KINDS, [kind.weight for kind in KINDS], k=CALLS)
    expected = Counter(kind.account for kind in kinds)
    assert set(kinds) == set(KINDS)
    before = in_metrics(stand.stage.metrics)
    mark = len(stand.stage.upstream.received)
    caller = Caller(stand)
    with ThreadPoolExecutor(THREADS) as pool:
        sights = list(pool.map(caller.call, kinds))
    caller.close()

    seen = Counter((sight.status, sight.reason) for sight in sights)
    assert seen == Counter((kind.status, kind.account.reason) for kind in kinds)
    assert [(s.status, s.reason) for s in sights] == [(k.status, k.account.reason) for k in kinds]
    assert len(stand.stage.upstream.received) - mark == seen[(200, "admitted")]

    ids = {sight.id for sight in sights}
    lines = logged(stand.stage.decision_log, ids)
    assert (len(ids), Counter(line["id"] for line in lines)) == (CALLS, Counter(ids))
    by_id = {line["id"]: line for line in lines}
    assert [by_id[sight.id]["reason"] for sight in sights] == [s.reason for s in sights]
    assert in_log(lines) == expected

    def counted() -> Counter[Account]:
        after = in_metrics(stand.stage.metrics)
        after.subtract(before)
        return +after

    assert until(counted, expected) == expected
