"""``admit verify`` and ``admit explain``: the structural predicate without gate, Envoy or OPA.

Both read ``trust.yaml``, refresh every authority once, and assess one model in one environment. No
credential is presented, so step 1 is asked as if the environment had shown a valid one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sidecar.authority import checks
from sidecar.cli import (
    assessment_view,
    common,
    dry_run,
    evidence_view,
    not_counting,
    refresh_status,
)
from sidecar.cli.common import CliError, present
from sidecar.cli.long_work import progress
from sidecar.cli.not_counting import NotCounting
from sidecar.cli.option_groups import grouped
from sidecar.cli.tables import stdout
from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call, Credential
from sidecar.core.facts import Facts
from sidecar.core.proving import proofs, prove
from sidecar.core.reasons import AdmissibilityError
from sidecar.core.snapshot import TrustState
from sidecar.core.window import rfc3339
from sidecar.extract import call_builder
from sidecar.impact.assumed import assumed_credential
from sidecar.impact.possible_calls import CALLING, TUNING
from sidecar.providers import PROVIDERS, operation_names
from sidecar.providers.provider import Provider as ProviderTable
from sidecar.trust.config import load
from sidecar.trust.load_once import load_once
from sidecar.trust.refresher import AuthorityStatus

Model = Annotated[str, typer.Argument(help="The model id that a call would name.")]
Environment = Annotated[str, typer.Option("--environment", "-e", help="SPIFFE ID.")]
OptionalModel = Annotated[str | None, typer.Argument(help="The model id that a call would name.")]
OptionalEnvironment = Annotated[str | None, typer.Option("--environment", "-e", help="SPIFFE ID.")]
Trust = Annotated[
    Path, typer.Option("--trust", "-t", envvar="ADMIT_TRUST", help="The operator's trust.yaml.")
]
Provider = Annotated[str, typer.Option(help="The provider that a route would lead to.")]
Operation = Annotated[str, typer.Option(help="The operation a call would use.")]
IsDeployment = Annotated[
    bool, typer.Option("--deployment", help="The model id is the name of a deployment.")
]
Tune = Annotated[
    bool,
    typer.Option(
        "--tune",
        help="Ask whether the model may be tuned, not run; so does a specification, or the "
        f"operation {TUNING}.",
    ),
]
SpecificationDigest = Annotated[
    str | None,
    typer.Option("--specification", help="Digest of the specification that a job would name."),
]
Sandbox = Annotated[
    bool, typer.Option("--sandbox", help="Ask as over a sandbox route, for an evaluator's call.")
]
Api = Annotated[
    str | None,
    typer.Option(
        help="The route's api, if it is not the provider; it determines what a name denotes."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

DEFAULT_TRUST = Path("trust.yaml")
DEFAULT_CONFIG = Path("sidecar.yaml")


@dataclass(frozen=True, slots=True)
class AssessedQuestion:
    """One assessment with its inputs.

    Attributes:
        call: The assumed call.
        credential: The assumed credential, with which step 1 is evaluated.
        at: The reference time.
        assessment: The assessment.
        statuses: The status of each authority.
        not_counting: What was signed about a denied call and counts for nothing now.
        state: The trust state that was assessed.
    """

    call: Call
    credential: Credential
    at: datetime
    assessment: Assessment
    statuses: tuple[AuthorityStatus, ...]
    not_counting: tuple[NotCounting, ...]
    state: TrustState

    def to_json(self) -> dict[str, Any]:
        """Return the assessment for programs."""
        value = assessment_view.to_json(self.assessment, asked=self.asked())
        value["not_counting"] = [asdict(one) for one in self.not_counting]
        return value

    def show_summary(self, console: Console) -> None:
        """Print the answer, what does not count towards another, and what could not be read."""
        console.print(assessment_view.summary(self.assessment))
        for line in not_counting.lines(self.not_counting):
            console.print(line)
        refresh_status.print_problems(console, self.statuses)

    def proofs(self) -> Iterator[tuple[Assessment, Facts]]:
        """Yield what policies would be asked about, in order, with what it rests on."""
        for each in proofs(self.call, self.credential, self.state, self.at):
            yield each, prove(self.call, self.credential, each, rfc3339(self.at), "")

    def asked(self) -> dict[str, str]:
        """Return the query, for ``assessment_view.to_json``."""
        return {
            "model": self.call.named[0],
            "environment": self.credential.spiffe_id,
            "provider": self.call.provider,
            "operation": self.call.operation,
            "at": rfc3339(self.at),
        }


@dataclass(frozen=True, slots=True)
class NameOptions:
    """Whether a name is a model or a deployment, run or tuned; an option group.

    Attributes:
        deployment: The name is a deployment's.
        tune: The model is to be tuned, not run; so it is wherever a specification is named.
        specification: Digest of the specification that a job would name.
        sandbox: It is called over a sandbox route.
        api: Name of the route's table of operations; ``None`` where it is the provider's.
    """

    deployment: IsDeployment = False
    tune: Tune = False
    specification: SpecificationDigest = None
    sandbox: Sandbox = False
    api: Api = None

    def call(self, model: str, provider: str, operation: str) -> Call:
        """Return the call that would run one model, or tune it.

        A name is a deployment's where its API has it so, as the gate reads it.

        Raises:
            CliError: It is the name of a router, which the gate refuses.
        """
        deployments: tuple[str, ...] = (model,) if self.deployment else ()
        table = PROVIDERS.get(self.api or provider)
        models = (model,) if table is None else table.named(model)
        if not (self.tune or self.specification is not None or operation == TUNING):
            if table is not None and not self.deployment:
                deployments = _deployments(table, models)
            return Call(provider, operation, models, deployments=deployments, sandbox=self.sandbox)
        return Call(
            provider,
            TUNING if operation == CALLING else operation,
            (),
            tuned=models,
            deployments=deployments,
            specification=self.specification,
            sandbox=self.sandbox,
        )


def _deployments(table: ProviderTable, models: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return call_builder.deployments(table, models, ())
    except AdmissibilityError as error:
        raise CliError(f"the gate refuses this name: {error.message}") from error


AS_IT_IS = NameOptions()


def inquire(
    model: str,
    environment: str,
    trust: Path,
    provider: str,
    operation: str,
    how: NameOptions = AS_IT_IS,
) -> AssessedQuestion:
    """Refresh every authority once and assess one model in one environment."""
    call = how.call(model, provider, operation)
    common.workload_id(environment, "--environment")
    _check_operation(operation)
    config = load(present(trust, "--trust"))
    with progress("verifying evidence") as advanced:
        state, statuses = load_once(config, advanced)
    now = datetime.now(UTC)
    credential = assumed_credential(config.operator, environment, now)
    assessment = assess(call, credential, state, now)
    unheeded = not_counting.not_counting(assessment, call, environment, state, now)
    return AssessedQuestion(call, credential, now, assessment, statuses, unheeded, state)


@dataclass(frozen=True, slots=True)
class QuestionOptions:
    """Options that name a call to assess; an option group."""

    model: OptionalModel = None
    environment: OptionalEnvironment = None
    trust: Trust = DEFAULT_TRUST
    provider: Provider = "openai"
    operation: Operation = CALLING

    @property
    def given(self) -> bool:
        """Whether a call is named."""
        return self.model is not None or self.environment is not None

    def inquire(self, how: NameOptions, otherwise: str) -> AssessedQuestion:
        """Assess the call; ``otherwise`` is what could be given in its place.

        Raises:
            CliError: Model or environment is missing.
        """
        if self.model is None or self.environment is None:
            raise CliError(f"give MODEL and --environment, or {otherwise}")
        return inquire(self.model, self.environment, self.trust, self.provider, self.operation, how)


@grouped
def verify(
    asked: QuestionOptions,
    how: NameOptions,
    evidence: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file or folder of evidence instead of a model: show each file's signers, "
            "whether it is accepted, and the grant it lacks; repeatable."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify whether a model is structurally admissible in an environment now.

    Exit status 0 if it is, 1 if it is not, 2 if that cannot be verified. With --evidence, 0 if
    every file is accepted.

    Examples:
        admit verify ft:gpt-4o-2024-08-06:acme:support-v3:abc123
            --environment spiffe://acme.example/env/prod --trust trust.yaml
        admit verify --evidence evidence --trust trust.yaml
    """
    if evidence:
        if asked.given:
            raise CliError("--evidence: leave MODEL and --environment out")
        config = load(present(asked.trust, "--trust"))
        with progress("verifying evidence") as advanced:
            state, _ = load_once(config, advanced)
        found = evidence_view.judge(evidence, state, datetime.now(UTC))
        raise typer.Exit(evidence_view.show(found, as_json=as_json))
    inquired = asked.inquire(how, "--evidence PATH")
    if as_json:
        print(json.dumps(inquired.to_json(), indent=2))
    else:
        inquired.show_summary(stdout())
    raise typer.Exit(0 if inquired.assessment.admissible else 1)


@grouped
def explain(
    asked: QuestionOptions,
    how: NameOptions,
    request: Annotated[
        Path | None,
        typer.Option(
            help="A raw HTTP request instead of a model: what the gate reads in it and decides."
        ),
    ] = None,
    config: Annotated[
        Path, typer.Option("--config", "-c", help="The gate's sidecar.yaml, with --request.")
    ] = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show every numbered step of the predicate, its outcome, what is missing and the remedy.

    With ``--request FILE`` (``-`` for standard input), also what the gate reads from the request:
    operation, credential, every model id with its place, and the decision of the policies. Exit
    status as for ``verify``.

    Examples:
        admit explain ft:gpt-4o-2024-08-06:acme:support-v3:abc123
            --environment spiffe://acme.example/env/prod --trust trust.yaml
        admit explain --request request.http --config sidecar.yaml
    """
    if request is not None:
        if asked.given:
            raise CliError("--request: the file names model and environment; leave them out")
        if how.deployment or how.tune or how.specification is not None:
            raise CliError("--request: the file names what is called or tuned; leave that out")
        dry_run.explain(
            request,
            config,
            provider=asked.provider,
            api=how.api,
            sandbox=how.sandbox,
            as_json=as_json,
        )
    inquired = asked.inquire(how, "--request FILE")
    assessment = inquired.assessment
    if as_json:
        value = inquired.to_json()
        value["authorities"] = refresh_status.to_json(inquired.statuses)
        print(json.dumps(value, indent=2))
    else:
        console = stdout()
        console.print(assessment_view.steps_table(assessment, asked=inquired.asked()))
        inquired.show_summary(console)
    raise typer.Exit(0 if assessment.admissible else 1)


def _check_operation(name: str) -> None:
    """Refuse a misspelt operation, which no manifest covers: the remedy would mislead.

    Raises:
        CliError: No provider has an operation of this name.
    """
    for problem in checks.unknown("operation", name, operation_names()):
        raise CliError(f"--operation: {problem}")
