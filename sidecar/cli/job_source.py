"""Loads the adapter of OpenAI and Azure OpenAI, which needs an extra."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from sidecar.cli import provider_options
from sidecar.cli.extras import missing_extra


def creator_module() -> Any:  # noqa: ANN401 - the module of an optional extra
    """Return ``sidecar.binder.openai_creator``.

    Raises:
        CliError: The extra is not installed.
    """
    try:
        return importlib.import_module("sidecar.binder.openai_creator")
    except ModuleNotFoundError as error:
        raise missing_extra("admit job", "openai", error) from error


def open_ai(
    api: str,
    provider: str | None,
    base_url: str | None,
    api_version: str | None,
    key_file: Path | None,
    credential_file: Path | None,
) -> Any:  # noqa: ANN401 - of an optional extra
    """Return the source of an account's jobs, as options name it."""
    reached = provider_options.endpoint(api, base_url, api_version, key_file, credential_file)
    return creator_module().OpenAiSource(provider or api, reached)
