"""What a stand-in gate answers, and what comes of it on either side of Envoy."""

from __future__ import annotations

from sidecar._pb import ext_authz_pb2 as pb
from tests.process.envoy.doubles import Received
from tests.process.envoy.sites import Wired
from tests.support.site.envoy import Answer


def header(name: str, value: str) -> pb.HeaderValueOption:
    """A line that the gate sets."""
    return pb.HeaderValueOption(
        header=pb.HeaderValue(key=name, value=value),
        append_action=pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def without(answer: Answer, *names: str) -> Answer:
    """An answer without the lines of these names, which differ from one to the next."""
    kept = {name: value for name, value in answer.headers.items() if name not in names}
    return Answer(answer.status, kept, answer.body)


def by_envoy(status: int, body: bytes = b"") -> Answer:
    """An answer that Envoy makes by itself."""
    headers = {
        "server": "admissibility-gateway",
        "connection": "close",
        "content-length": str(len(body)),
    }
    if body:
        headers["content-type"] = "text/plain"
    return Answer(status, headers, body)


def received_by(wired: Wired) -> list[Received]:
    """What reached the provider, with every signature verified."""
    return [wired.site.seen(received) for received in wired.provider.received]
