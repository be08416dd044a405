"""``admit declare``: environments, deployments, and specifications for what is tuned."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from sidecar.binding import declared as read_declared
from sidecar.cli import (
    adapter_folder,
    common,
    declare_bedrock,
    extensions,
    manifests,
)
from sidecar.cli.common import (
    CliError,
    DeclarationOption,
    SignedByOption,
    command_group,
)
from sidecar.cli.option_groups import grouped
from sidecar.cli.served_options import ServedOptions
from sidecar.cli.signing_checks import SigningOptions
from sidecar.cli.written import Written
from sidecar.core.evidence import Statement
from sidecar.core.predicates import (
    DEPLOYMENT_BINDING,
    ENVIRONMENT,
    SPECIFICATION,
    DeploymentBinding,
    Environment,
    Specification,
    Subject,
    specification_blob,
)
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet

ExtendsOption = Annotated[
    str | None,
    typer.Option(
        metavar="DIGEST|FILE",
        help="The specification that this one extends: its digest, or its envelope "
        "(*.dsse.json), with which this one is compared.",
    ),
]

app = command_group("Declare an environment, a deployment or a specification.")


@app.callback()
def _group() -> None:
    """Declare an environment, a deployment or a specification."""


@app.command()
@grouped
def environment(
    spiffe_id: Annotated[str, typer.Argument(help="The environment, as its SVIDs name it.")],
    jurisdiction: Annotated[list[str], typer.Option(help="Jurisdiction, e.g. eu; repeatable.")],
    sector: Annotated[str, typer.Option(help="Sector, e.g. finance.")],
    purpose: Annotated[str, typer.Option(help="Purpose, e.g. customer-support.")],
    risk_class: Annotated[str, typer.Option(help="Risk class, e.g. limited.")],
    owner: Annotated[str, typer.Option(help="Who is responsible for it.")],
    signing: SigningOptions,
    base_model: Annotated[
        list[str] | None,
        typer.Option(help="provider/id, or a pattern, that may be called un-adapted; repeatable."),
    ] = None,
    tuning_model: Annotated[
        list[str] | None,
        typer.Option(
            help="provider/id of a base model, or a pattern, that may be tuned from "
            "here; repeatable."
        ),
    ] = None,
    declaration: DeclarationOption = None,
    days: Annotated[float, typer.Option(help="Days that the declaration is valid.")] = 365,
) -> None:
    """Declare an environment: jurisdictions, purpose, and base models it may call or tune.

    Examples:
        admit declare environment spiffe://acme.example/env/prod --home acme
            --jurisdiction eu --sector finance --purpose customer-support
            --risk-class limited --owner acme-model-risk --out evidence
    """
    at = common.now()
    common.workload_id(spiffe_id, "environment")
    blob = spiffe_id.encode("utf-8")
    declared = Environment(
        jurisdictions=tuple(jurisdiction),
        sector=sector,
        purpose=purpose,
        risk_class=risk_class,
        owner=owner,
        window=common.window(at, days),
        base_models=tuple(base_model or ()),
        tuning_models=tuple(tuning_model or ()),
        declarations=common.pairs(declaration, "--declaration"),
    )
    subject = Subject(spiffe_id, DigestSet(hashlib.sha256(blob).hexdigest()))
    statement = Statement(subject, ENVIRONMENT, declared)
    written = signing.issue(signing.owner(), statement)
    facts = _facts(written, declared.window, signing.beside, ".subject.txt", blob)
    common.report(
        f"Declared {spiffe_id}.",
        facts,
        as_json=signing.as_json,
        subject=spiffe_id,
        **written.more(),
    )


@app.command()
@grouped
def deployment(
    name: Annotated[str, typer.Argument(help="The deployment, as calls name it.")],
    signing: SigningOptions,
    server: ServedOptions,
    manifest: Annotated[
        Path | None,
        typer.Option(help="Envelope (*.dsse.json) of the manifest of the model that it runs."),
    ] = None,
    base_model: Annotated[
        str | None, typer.Option(help="provider/id of the base model that it runs instead.")
    ] = None,
    signed_by: SignedByOption = None,
    adapter: Annotated[
        Path | None,
        typer.Option(help="The adapter's folder that it serves: must be the manifest's."),
    ] = None,
    days: Annotated[float, typer.Option(help="Days until the binding ends.")] = 1,
) -> None:
    """Declare, as its provider, which model a deployment runs. Sign again before it ends.

    With --served, nothing is signed unless the server states that the name runs this adapter; the
    binding declares the digest that it states, and what that proves (served-digest, served-proof).

    Examples:
        admit declare deployment support-prod --manifest manifest.dsse.json
            --home provider-of-record --days 1 --out evidence
    """
    at = common.now()
    provider, model, blob = _target(manifest, base_model, signed_by)
    stated = _check_adapter(name, adapter, manifest, server, quiet=signing.as_json)
    binding = DeploymentBinding(provider, name, model, common.window(at, days), stated)
    subject = Subject(name, DigestSet(hashlib.sha256(blob).hexdigest()))
    statement = Statement(subject, DEPLOYMENT_BINDING, binding)
    written = signing.issue(signing.owner(), statement)
    facts = _facts(written, binding.window, signing.beside, ".subject.txt", blob)
    title = f"Bound deployment {name} to {provider}/{model}."
    common.report(
        title,
        facts,
        as_json=signing.as_json,
        deployment=name,
        provider=provider,
        model=model,
        **written.more(),
    )


def _target(
    manifest: Path | None, base_model: str | None, signed_by: Path | None
) -> tuple[str, str, bytes]:
    """Return provider and model that are run, and the bytes whose digest is the subject's.

    Raises:
        CliError: Neither is given, or both; or a base model without its provider.
    """
    if manifest is not None and base_model is None:
        handed = manifests.read(manifest, signed_by)
        model = handed.manifest.model
        return model.provider, model.id, handed.envelope.payload
    if base_model is not None and manifest is None:
        provider, slash, model_id = base_model.partition("/")
        if not (provider and slash and model_id):
            raise CliError(f"--base-model: {base_model!r} is not provider/id")
        return provider, model_id, base_model.encode()
    raise CliError("a deployment runs one model: give either --manifest or --base-model")


def _check_adapter(
    name: str, folder: Path | None, manifest: Path | None, server: ServedOptions, *, quiet: bool
) -> dict[str, str]:
    """Require that a folder is the one that the manifest binds, and is served; where it is given.

    Returns:
        What the binding declares of the server.

    Raises:
        CliError: It is not, or there is nothing to compare with.
        SourceError: The server does not answer.
        BindingError: It lists no adapter of this name.
    """
    if folder is None:
        if server.served_url is not None:
            raise CliError("--served: is compared with a folder: give --adapter and --manifest")
        return {}
    if manifest is None:
        raise CliError("--adapter: is compared with a manifest: give --manifest")
    known = manifests.read(manifest)
    compared = adapter_folder.compare(folder, manifest, known, None, quiet=quiet)
    if not compared.same:
        rows = "".join(f"; {what}: {names}" for what, names in compared.shown().items())
        raise CliError(
            f"{folder}: is not the folder that the manifest binds: its artifact is "
            f"{compared.found}, expected {compared.expected}{rows}"
        )
    served = server.check(name, folder, known.manifest, compared)
    if served is None:
        return {}
    if not served.same:
        raise CliError(f"{server.served_url}: {'; '.join(served.compared.differences)}")
    common.warn(*served.compared.unproven)
    return served.declarations()


@app.command()
@grouped
def specification(
    name: Annotated[str, typer.Argument(help="Name of the specification, e.g. support-v4.")],
    signing: SigningOptions,
    model: Annotated[
        list[str],
        typer.Option(help="provider/id, or a pattern, that may be tuned under it; repeatable."),
    ],
    environments: Annotated[
        Path, typer.Option(help="Environments in which the result may run (YAML, JSON).")
    ],
    envelope: Annotated[Path, typer.Option(help="The evaluation envelope (YAML, JSON).")],
    extends: ExtendsOption = None,
    days: Annotated[float, typer.Option(help="Days during which jobs may start under it.")] = 30,
) -> None:
    """Declare, before a model is tuned, where it may run and which suites it must pass first.

    A tuning job names the digest that this prints; the manifest of its outcome then binds exactly
    these environments and suites. With --extends, models that were tuned under the extended
    specification may be bound again under this one, which adds to it and takes nothing away.

    Examples:
        admit declare specification support-v4 --home acme
            --model openai/gpt-4o-mini-2024-07-18 --envelope envelope.yaml
            --environments environments.yaml --out evidence
    """
    at = common.now()
    owner = signing.owner()
    older = None if extends is None else extensions.extended(owner, extends)
    given = Specification(
        models=tuple(model),
        environments=read_declared.environments(environments),
        envelope=read_declared.envelope(envelope),
        window=common.window(at, days),
        extends=None if older is None else DigestSet(older.digest),
    )
    unanswered = given.unanswered()
    if unanswered:
        raise CliError("the envelope has no compliance suite for " + ", ".join(unanswered))
    if older is not None:
        extensions.check(older, given)
    blob = specification_blob(given.environments, given.envelope)
    digest = DigestSet(hashlib.sha256(blob).hexdigest())
    statement = Statement(Subject(name, digest), SPECIFICATION, given)
    written = signing.issue(owner, statement)
    facts = _facts(written, given.window, signing.beside, ".subject.json", blob)
    more: dict[str, object] = {"specification": name, **written.more()}
    if older is not None:
        facts["extends"] = older.digest
        more["compared"] = older.specification is not None
    common.report(f"Specified {name}.", facts, as_json=signing.as_json, **more)


def _facts(
    written: Written, window: Window, blobs: Path, suffix: str, blob: bytes
) -> dict[str, str]:
    """Write the file that the subject's digest is of, and return the rows of the report."""
    return {
        **written.facts(),
        "until": common.until(window),
        "blob": written.beside(blobs, suffix, blob),
    }


app.command("bedrock-deployment")(declare_bedrock.bedrock_deployment)
