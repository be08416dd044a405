"""Shows on one screen whether the installation is in order (``admit doctor``)."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from sidecar.cli.tables import stdout
from sidecar.doctor.diagnosis import Diagnosis, State, causes
from sidecar.doctor.examine import examine
from sidecar.doctor.installation import Tls, find_installation

Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="ADMIT_CONFIG", help="The gate's sidecar.yaml.")
]
Admin = Annotated[str, typer.Option("--envoy-admin", help="HOST:PORT of Envoy's admin interface.")]
Gateway = Annotated[str, typer.Option("--gateway", help="URL of Envoy's listener, for the canary.")]
Ca = Annotated[Path | None, typer.Option("--ca", help="Roots of the gateway's certificate, PEM.")]
ClientCert = Annotated[
    Path | None,
    typer.Option("--client-cert", help="X.509-SVID for a gateway with mutual TLS, PEM."),
]
ClientKey = Annotated[Path | None, typer.Option("--client-key", help="Its private key, PEM.")]
Private = Annotated[
    list[Path] | None,
    typer.Option("--private", help="A file only its owner may read, e.g. a key; repeatable."),
]
TimeSource = Annotated[
    str | None, typer.Option("--time-source", help="URL of a web server to compare the clock with.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a screen.")]

MIN_ROOM = 20
"""Columns that a text gets in the narrowest terminal."""

_MARKS = {State.OK: ("✓", "green"), State.WARN: ("!", "yellow"), State.FAIL: ("✗", "red")}


def doctor(
    config: Config = Path("sidecar.yaml"),
    envoy_admin: Admin = "127.0.0.1:9901",
    gateway: Gateway = "http://127.0.0.1:10000",
    ca: Ca = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
    private: Private = None,
    time_source: TimeSource = None,
    as_json: AsJson = False,
) -> None:
    """Examine files, gate, OPA, trust, clock, certificates and Envoy, and send a canary.

    The canary is a request that must be denied. Exit status 0 if nothing failed, else 1.

    Examples:
        admit doctor --config sidecar.yaml
        admit doctor --gateway https://models.acme.example --ca ca.pem
    """
    found = examine(
        find_installation(
            config,
            envoy_admin=envoy_admin,
            gateway=gateway,
            tls=Tls(ca, client_cert, client_key),
            private=tuple(private or ()),
            time_source=time_source,
        )
    )
    healthy = not any(finding.state is State.FAIL for finding in found)
    if as_json:
        findings = [asdict(finding) for finding in found]
        value = {"healthy": healthy, "causes": causes(found), "findings": findings}
        print(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        _show(found)
    raise typer.Exit(0 if healthy else 1)


def _show(found: Sequence[Diagnosis]) -> None:
    console = stdout()
    width = max(len(finding.name) for finding in found)
    for finding in found:
        mark, colour = _MARKS[finding.state]
        line = Text.assemble((f"{mark} ", colour), (f"{finding.name:{width}}  ", "bold"))
        in_flight = max(MIN_ROOM, console.width - width - 4)
        first, *more = _wrapped(finding.detail, in_flight) or [""]
        console.print(line + Text(first), soft_wrap=True)
        for rest in more:
            console.print(Text(f"{'':{width}}    {rest}"), soft_wrap=True)
        for number, rest in enumerate(_wrapped(finding.remedy, in_flight)):
            lead = "  " if number else "→ "
            console.print(Text(f"{'':{width}}  {lead}{rest}", style="dim"), soft_wrap=True)
    console.print(_summary(found), soft_wrap=True)


def _wrapped(text: str, in_flight: int) -> list[str]:
    return textwrap.wrap(text, in_flight, break_on_hyphens=False)


def _summary(found: Sequence[Diagnosis]) -> str:
    count = {state: sum(one.state is state for one in found) for state in State}
    line = f"{count[State.OK]} in order, {count[State.WARN]} to look at, {count[State.FAIL]} failed"
    begin = causes(found)
    return f"{line}; begin with: {begin[0]}" if begin else line
