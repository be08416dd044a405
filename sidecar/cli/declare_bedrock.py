"""``admit declare bedrock-deployment``: the model that a deployment runs, as AWS states it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from sidecar.binding import bedrock
from sidecar.cli import common, manifests
from sidecar.cli.aws_options import AwsOptions
from sidecar.cli.common import CliError, SignedByOption
from sidecar.cli.option_groups import grouped
from sidecar.cli.signing_checks import SigningOptions
from sidecar.core.evidence import Statement
from sidecar.core.predicates import DEPLOYMENT_BINDING, DeploymentBinding, Subject
from sidecar.core.wire import DigestSet

COMMAND = "admit declare bedrock-deployment"
ArnArgument = Annotated[
    str,
    typer.Argument(help="ARN of a custom model deployment or of a provisioned throughput."),
]
ManifestOption = Annotated[
    Path | None,
    typer.Option(help="Envelope (*.dsse.json) of the manifest of the model that it must run."),
]


@grouped
def bedrock_deployment(
    arn: ArnArgument,
    signing: SigningOptions,
    aws: AwsOptions,
    manifest: ManifestOption = None,
    signed_by: SignedByOption = None,
    provider: Annotated[
        str, typer.Option(help="The provider, as the gate's routes name it.")
    ] = bedrock.PROVIDER,
    days: Annotated[float, typer.Option(help="Days until the binding ends.")] = 1,
) -> None:
    """Ask Amazon Bedrock which model a deployment runs, and declare it for a short time.

    Without --manifest it must run a base model. Sign again before the binding ends.

    Examples:
        admit declare bedrock-deployment
            arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abc
            --manifest manifest.dsse.json --home provider-of-record
    """
    at = common.now()
    model = aws.open(COMMAND, arn).deployment(arn).model
    blob = _base(provider, model) if manifest is None else _adapted(manifest, signed_by, model)
    binding = DeploymentBinding(provider, arn, model, common.window(at, days))
    subject = Subject(arn, DigestSet(hashlib.sha256(blob).hexdigest()))
    statement = Statement(subject, DEPLOYMENT_BINDING, binding)
    written = signing.issue(signing.owner(), statement)
    facts = {
        **written.facts(),
        "until": common.until(binding.window),
        "blob": written.beside(signing.beside, ".subject.txt", blob),
    }
    common.report(
        f"Bound deployment {arn} to {provider}/{model}, as Amazon Bedrock states it.",
        facts,
        as_json=signing.as_json,
        deployment=arn,
        provider=provider,
        model=model,
        **written.more(),
    )


def _base(provider: str, model: str) -> bytes:
    if model.startswith("arn:"):
        raise CliError(f"it runs {model}, which is adapted: give its --manifest")
    return f"{provider}/{model}".encode()


def _adapted(path: Path, signed_by: Path | None, model: str) -> bytes:
    """Return the manifest's payload, whose digest is the binding's subject."""
    handed = manifests.read(path, signed_by)
    if handed.manifest.model.id != model:
        raise CliError(
            f"{path}: is the manifest of {handed.manifest.model.id}, but it runs {model}"
        )
    return handed.envelope.payload
