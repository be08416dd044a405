"""Options that name a provider's API and the credential for it, shared between commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sidecar.binder import secrets
from sidecar.binder.endpoint import AZURE, OPENAI, Endpoint
from sidecar.cli.common import CliError

VARIABLES = {OPENAI: "OPENAI_API_KEY", AZURE: "AZURE_OPENAI_API_KEY"}

ApiOption = Annotated[str, typer.Option("--api", help="openai or azure.")]
ProviderOption = Annotated[
    str | None,
    typer.Option("--provider", help="As the gate's routes name it; the API's name if not given."),
]
BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        "--base-url", help="Of the API, of the gateway before it, or of the Azure resource."
    ),
]
ApiVersionOption = Annotated[
    str | None, typer.Option("--api-version", help="Azure's dated API; without it /openai/v1.")
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        help="File (0600) with the API key; else OPENAI_API_KEY or AZURE_OPENAI_API_KEY.",
    ),
]
CredentialFileOption = Annotated[
    Path | None,
    typer.Option(
        "--credential-file",
        help="File (0600) with the environment's credential, where the calls go through the gate; "
        "Envoy then adds the API key.",
    ),
]


def endpoint(
    api: str,
    base_url: str | None,
    api_version: str | None,
    key_file: Path | None,
    credential_file: Path | None,
) -> Endpoint:
    """Return how a provider is reached; the key is never an argument.

    Raises:
        CliError: The API is not known, or an option does not fit it.
        BinderError: A credential cannot be read.
    """
    if api not in VARIABLES:
        raise CliError(f"--api: {api!r} is neither {OPENAI} nor {AZURE}")
    if api_version is not None and api != AZURE:
        raise CliError("--api-version: only Azure has one")
    credential = None if credential_file is None else secrets.from_file(credential_file)
    if key_file is not None:
        key = secrets.from_file(key_file)
    elif credential is not None:
        key = None
    else:
        key = _from_environment(api)
    return Endpoint(api, base_url, key, api_version, credential)


def _from_environment(api: str) -> secrets.Secret | None:
    found = secrets.from_variable_or_none(VARIABLES[api])
    if found is None and api == OPENAI:
        raise CliError(f"no API key: give --key-file, or set {VARIABLES[api]}")
    return found
