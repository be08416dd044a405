"""Options of ``admit publish``: what is published, where to, and how the two authenticate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sidecar.cli import common

To = Annotated[
    str,
    typer.Option(
        "--to",
        help="A folder, such as a web server's; s3://BUCKET/PREFIX of an S3-compatible store; "
        "or tls://HOST/BUCKET/FOLDER of NATS JetStream. Created if needed, but for S3 buckets.",
        metavar="PLACE",
        show_default=False,
    ),
]
Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar=common.HOME_VARIABLE,
        help="The authority's home folder: its repository goes to metadata/ and targets/.",
        show_default=False,
    ),
]
Evidence = Annotated[
    list[Path] | None,
    typer.Option(
        "--evidence",
        help="Folder of evidence: it goes to evidence/, with a listing; repeatable.",
        show_default=False,
    ),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint-url", help="S3: URL of a store that is not AWS's.", show_default=False
    ),
]
Ca = Annotated[
    Path | None,
    typer.Option("--ca", help="S3, NATS: PEM of the CAs, not the system's.", show_default=False),
]
ClientCertificate = Annotated[
    Path | None,
    typer.Option("--client-certificate", help="NATS: the client's chain, PEM.", show_default=False),
]
ClientKey = Annotated[
    Path | None,
    typer.Option("--client-key", help="NATS: its private key, PEM.", show_default=False),
]
CredentialsFile = Annotated[
    Path | None,
    typer.Option("--credentials-file", help="NATS: a .creds file.", show_default=False),
]
NkeyFile = Annotated[
    Path | None,
    typer.Option("--nkey-file", help="NATS: file with an NKey seed.", show_default=False),
]
UserFile = Annotated[
    Path | None,
    typer.Option("--user-file", help="NATS: file with USER:PASSWORD.", show_default=False),
]
