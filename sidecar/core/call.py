"""What the request path proved about a request before the predicate is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

OBJECT_ID = re.compile(
    r"[A-Za-z0-9_-]{1,256}|arn:aws[a-z-]{0,16}:[a-z0-9-]{1,32}:[A-Za-z0-9._:/-]{1,256}"
)
"""An id of a stored object, or an ARN, which is AWS's."""


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """An object stored upstream that a request builds on, and that may hold other models.

    Attributes:
        kind: What it is, e.g. ``response``, ``conversation``, ``file``.
        id: As the provider named it.
    """

    kind: str
    id: str


@dataclass(frozen=True, slots=True)
class Call:
    """A well-formed request with every model it can reach (predicate step 0).

    Attributes:
        provider: From the route's configuration, never from the client.
        operation: A name of the operation table, e.g. ``chat.completions``.
        models: Every model id it would run, in order of appearance, without repeats.
        stream: Whether the reply is asked for as a stream.
        modalities: Output modalities asked for; lower case, sorted.
        tool_types: Types of tools offered to the model, sorted.
        tuned: Every model id it would tune, without repeats.
        deployments: Those of ``models`` and ``tuned`` that are names of deployments: which model
            they run is for a deployment binding to say.
        references: Objects stored upstream that it builds on; each must have been registered.
        owned: Objects stored upstream that it reads or changes without running them; with
            registration on, each must have been registered for the caller's environment.
        inputs: Files and other objects stored upstream that its input names; found only where
            registration is on, and then each must be the caller's environment's.
        specification: SHA-256, in hex, of the environment specification that came with a tuning
            job.
        modelless: Whether the operation can neither name nor reach a model, so that only the
            environment is asked about.
        ignored: Names that the upstream ignores, for the decision log alone.
        sandbox: Whether it came over a sandbox route, to a model that need not be active yet.
    """

    provider: str
    operation: str
    models: tuple[str, ...]
    stream: bool = False
    modalities: tuple[str, ...] = ()
    tool_types: tuple[str, ...] = ()
    tuned: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    owned: tuple[Reference, ...] = ()
    inputs: tuple[Reference, ...] = ()
    specification: str | None = None
    modelless: bool = False
    ignored: tuple[str, ...] = ()
    sandbox: bool = False

    @property
    def named(self) -> tuple[str, ...]:
        """Every model id to authorise, without repeats; empty only for a modelless operation."""
        return tuple(dict.fromkeys((*self.models, *self.tuned)))


@dataclass(frozen=True, slots=True)
class Credential:
    """A verified SVID.

    Attributes:
        spiffe_id: The environment it names.
        trust_domain: Of that id.
        kind: ``jwt-svid`` or ``x509-svid``.
        expires: When it ceases to hold.
        authority: Whose published roots vouch for it.
    """

    spiffe_id: str
    trust_domain: str
    kind: str
    expires: datetime
    authority: str
