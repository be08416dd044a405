"""What ``admit doctor`` says of a site, and what it says where all is in order.

What differs from run to run is replaced by a word, so that whole reports can be compared.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from sidecar.doctor.diagnosis import Diagnosis, fail, ok
from sidecar.doctor.examine import examine
from sidecar.doctor.installation import Installation, find_installation
from tests.support.site.site import Site

Report = tuple[Diagnosis, ...]
HEALTHY: Report = (
    ok("configuration", "HERE/sidecar.yaml is valid"),
    ok("trust", "5 authorities, each with a pinned root that is well signed"),
    ok("permissions", "state and keys are their owner's alone; nobody else may change the rest"),
    ok("sources", "5 can be read from here"),
    ok("decision log", "HERE/decisions.jsonl: N MiB, room for N MiB"),
    ok("gate", "LOOPBACK: SERVING"),
    ok("readiness", "ready, version 0.1.0, trust epoch N"),
    ok("policy engine", "OPA answers the gate"),
    ok("policies", "sha256:REVISION"),
    ok("authorities", "5 fresh; the first to end is WHO, at TIME (SPAN)"),
    ok("trust domains", "1 with 1 key, none behind"),
    ok("evidence", "1 manifest; no file refused"),
    ok("clock", "within 30 s of Envoy, the gate"),
    ok("certificates", "the gateway speaks plain HTTP"),
    ok("Envoy", "1.40.0 is LIVE at LOOPBACK"),
    ok("ext_authz", "ok N, denied N, error 0; none passed unasked"),
    ok("seal", "behind ext_authz; no request needed it"),
    ok("gate cluster", "gate leads to port N, healthy"),
    ok("canary: a call", "POST /v1/chat/completions got 401 credential_missing from the gate"),
    ok("canary: an upload", "POST /v1/files got 403 unsupported_operation from the gate"),
)

_VARYING = (
    (r"127\.0\.0\.1:\d+", "LOOPBACK"),
    (r"\d+\.\d MiB, room for \d+ MiB", "N MiB, room for N MiB"),
    (r"trust epoch \d+", "trust epoch N"),
    (r"sha256:[0-9a-f]{64}", "sha256:REVISION"),
    (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
    (r"end is [a-z-]+", "end is WHO"),
    (r"\(\d+ (?:s|min|h|d)\)", "(SPAN)"),
    (r"ends in \d+ s", "ends in N s"),
    (r"ok \d+, denied \d+", "ok N, denied N"),
    (r"port \d+", "port N"),
)
"""What differs from run to run, and what stands for it."""


def told(site: Site, found: Report) -> Report:
    """The report without what differs from run to run."""

    def plain(text: str) -> str:
        text = text.replace(str(site.folder), "HERE")
        for pattern, word in _VARYING:
            text = re.sub(pattern, word, text)
        return text

    return tuple(replace(one, detail=plain(one.detail)) for one in found)


def patient(site: Site, **changes: Any) -> Installation:
    """The site as the command would be told of it."""
    assert site.envoy is not None
    host, port = site.envoy.admin
    known = {"envoy_admin": f"{host}:{port}", "gateway": site.envoy.url}
    return find_installation(site.folder / "sidecar.yaml", **{**known, **changes})


def alone(site: Site) -> Installation:
    """The site without an Envoy, for checks that need none."""
    return find_installation(
        site.folder / "sidecar.yaml", envoy_admin="127.0.0.1:1", gateway="http://127.0.0.1:2"
    )


def report(site: Site, **changes: Any) -> Report:
    """What the doctor says of the site."""
    return told(site, examine(patient(site, **changes)))


def but(*changed: Diagnosis) -> Report:
    """The healthy report, with these in place of those of the same name."""
    names = {one.name for one in changed}
    assert names <= {one.name for one in HEALTHY}
    return tuple(
        finding
        for one in HEALTHY
        for finding in ([new for new in changed if new.name == one.name] or [one])
    )


def follows(cause: str, name: str, detail: str) -> Diagnosis:
    """What fails only because something else does points there."""
    return fail(name, detail, f"Fix “{cause}” first, then run the doctor again.", (cause,))
