"""Options of ``admit evaluate run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Suites = Annotated[list[Path], typer.Argument(help="Suites' folders.", show_default=False)]
ManifestFile = Annotated[Path, typer.Option(help="The manifest that declares them (*.dsse.json).")]
Via = Annotated[
    str, typer.Option(help="Base URL of the sandbox route, such as https://sandbox.example/v1.")
]
CredentialFile = Annotated[
    Path | None,
    typer.Option(help="File with the JWT-SVID of the evaluator's environment, read each time."),
]
CredentialHeader = Annotated[str, typer.Option(help="The header that carries it.")]
Ca = Annotated[Path | None, typer.Option(help="PEM roots of the gateway's certificate.")]
ClientCertificate = Annotated[
    Path | None, typer.Option(help="X.509-SVID (PEM), for a route with mutual TLS.")
]
ClientKey = Annotated[Path | None, typer.Option(help="Its private key (PEM).")]
JudgeVia = Annotated[
    str | None, typer.Option(help="Base URL of the production route, for judge models.")
]
ModelName = Annotated[
    str | None, typer.Option(help="The name to call, where it is a deployment's.")
]
ResultsFile = Annotated[Path, typer.Option(help="Results file for `admit result --results`.")]
Runs = Annotated[Path, typer.Option(help="Folder of all runs: logs, answers, scores.")]
Connections = Annotated[int, typer.Option(min=1, max=1000, help="Requests in flight at once.")]
Retries = Annotated[
    int, typer.Option(min=0, max=100, help="Further attempts after a 429, 5xx or time-out.")
]
TimeoutSeconds = Annotated[
    int, typer.Option(min=1, max=3600, help="Time-out of one attempt of a request.")
]
Price = Annotated[
    list[str] | None,
    typer.Option(
        help="IN,OUT: price of a million tokens of the model; JUDGE=IN,OUT: of a judge; repeatable."
    ),
]
ReuseHours = Annotated[
    float,
    typer.Option(
        min=0, max=8760, help="Hours for which the answers of a run are reused, from its begin."
    ),
]
Restart = Annotated[
    bool,
    typer.Option("--restart", help="Ask every case again, also those that earlier runs answered."),
]
