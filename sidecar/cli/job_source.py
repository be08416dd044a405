"""Opens the jobs of a provider's account; each provider's SDK is an extra of its own."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sidecar.cli.extras import missing_extra
from sidecar.cli.provider_options import BEDROCK, AccountOptions

if TYPE_CHECKING:
    from sidecar.binder.bedrock_creator import BedrockCreator
    from sidecar.binder.submission import JobCreator, Submission
    from sidecar.binding.source import JobSource

COMMAND = "admit job"


def for_job(account: AccountOptions, job: str) -> AccountOptions:
    """Return the options with the API that a job's id is of: only Bedrock's are ARNs."""
    return replace(account, api=BEDROCK) if job.startswith("arn:") else account


def open_source(account: AccountOptions, job: str | None = None) -> JobSource:
    """Return an account's jobs; nothing is asked yet.

    Args:
        account: As options name it.
        job: The job that will be asked for, whose ARN states its region.

    Raises:
        CliError: An option does not fit, or the extra is not installed.
        BinderError: A credential cannot be read.
    """
    if account.api == BEDROCK:
        api = account.bedrock(COMMAND, job)
        found = _module("sidecar.binding.bedrock_source", BEDROCK).BedrockSource(account.name, api)
    else:
        reached = account.endpoint()
        found = _module("sidecar.binder.openai_source", "openai").OpenAiSource(
            account.name, reached
        )
    source: JobSource = found
    return source


def open_creator(account: AccountOptions) -> JobCreator:
    """Return what creates jobs at OpenAI or Azure OpenAI; see ``open_source``."""
    module = _module("sidecar.binder.openai_creator", "openai")
    creator: JobCreator = module.OpenAiCreator(account.name, account.endpoint())
    return creator


def open_bedrock_creator(account: AccountOptions, work: Path) -> BedrockCreator:
    """Return what creates jobs at Bedrock; see ``open_source``."""
    api = account.bedrock(COMMAND, None)
    creator: BedrockCreator = bedrock_module().BedrockCreator(api, work)
    return creator


def bedrock_module() -> Any:  # noqa: ANN401 - the module of an optional extra
    """Return ``sidecar.binder.bedrock_creator``.

    Raises:
        CliError: The extra is not installed.
    """
    return _module("sidecar.binder.bedrock_creator", BEDROCK)


def request_body(submission: Submission, api: str) -> dict[str, Any]:
    """Return the request that creates a job, as the provider's SDK is given it.

    Raises:
        CliError: The extra is not installed.
    """
    name, extra = ("bedrock", BEDROCK) if api == BEDROCK else ("openai", "openai")
    body: dict[str, Any] = _module(f"sidecar.binder.{name}_creator", extra).request_body(submission)
    return body


def _module(name: str, extra: str) -> Any:  # noqa: ANN401 - the module of an optional extra
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise missing_extra(COMMAND, extra, error) from error
