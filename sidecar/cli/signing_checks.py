"""Checks what a command is about to sign, and refuses it, or warns where ``--force`` is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sidecar import resources
from sidecar.authority import checks
from sidecar.authority import home as authority
from sidecar.authority.checks import Signing, Vocabulary
from sidecar.authority.open_home import Home
from sidecar.authority.signing import TestedModel
from sidecar.cli import common
from sidecar.cli.common import BlobsOption, CliError, HomeOption, JsonOption, OutOption
from sidecar.cli.written import Written
from sidecar.core.evidence import Statement
from sidecar.core.grants import OperatorTrust
from sidecar.core.predicates import Manifest, Predicate
from sidecar.policy import names
from sidecar.providers import PROVIDERS, canonical_name, operation_names
from sidecar.trust import config_file
from sidecar.trust.operator_config import operator_trust

TrustOption = Annotated[
    Path | None,
    typer.Option(
        "--trust",
        envvar="ADMIT_TRUST",
        help="An operator's trust.yaml: also compare with its grants, roles and floors.",
        show_default=False,
    ),
]
PoliciesOption = Annotated[
    Path | None,
    typer.Option(
        "--policies",
        envvar="ADMIT_POLICIES",
        help="Policies to compare names with; by default those that came with admit.",
        show_default=False,
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Sign despite mismatches, with a warning for each.")
]


@dataclass(frozen=True, slots=True)
class ComparisonOptions:
    """What a statement is compared with, as options name it."""

    trust: Path | None
    policies: Path | None
    force: bool


def vocabulary(policies: Path | None) -> Vocabulary:
    """Return the names that this release and a folder of policies know."""
    known = names.read(resources.policies() if policies is None else policies)
    return Vocabulary(
        operation_names(),
        known.sectors,
        known.rules,
        known.risk_classes,
        _further,
        canonical_name,
    )


def _further(model: str) -> tuple[str, ...]:
    """Return the further models of ``provider/id``, by the provider of that name."""
    provider, _, name = model.partition("/")
    table = PROVIDERS.get(provider)
    return () if table is None else tuple(f"{provider}/{each}" for each in table.further(name))


def operator(trust: Path | None) -> OperatorTrust | None:
    """Read grants, roles and floors of a ``trust.yaml``; its roots and folders are not needed.

    Raises:
        CliError: It is not such a file.
    """
    if trust is None:
        return None
    try:
        return operator_trust(config_file.read(common.read(trust)))
    except config_file.FileError as error:
        raise CliError(f"{trust}: {error}") from error


def check(home: Home, signing: Signing, against: ComparisonOptions) -> None:
    """Refuse a statement that does not fit, or warn about it.

    Raises:
        CliError: It does not fit, and ``--force`` is not given. Nothing was signed.
    """
    found = checks.problems(signing, vocabulary(against.policies))
    common.warn(*found)
    if found and not against.force:
        raise CliError(f"{home.name} signed nothing: correct this, or sign it with --force")


@dataclass(frozen=True, slots=True)
class StatementOptions:
    """Options of how a statement is checked, signed and handed out; an option group."""

    home: HomeOption
    trust: TrustOption = None
    policies: PoliciesOption = None
    force: ForceOption = False
    out: OutOption = Path()
    as_json: JsonOption = False

    def owner(self) -> Home:
        """Return the home that signs.

        Raises:
            AuthorityError: There is none.
        """
        return authority.load(self.home)

    def issue(
        self,
        owner: Home,
        statement: Statement[Predicate],
        *,
        manifest: Manifest | None = None,
        keep_older: bool = False,
        tested: TestedModel | None = None,
    ) -> Written:
        """Check, sign and write a statement, and publish the withdrawals that it implies.

        Raises:
            CliError: As ``check``.
        """
        at = common.now()
        signing = Signing(statement, owner.name, at, manifest, operator(self.trust))
        check(owner, signing, ComparisonOptions(self.trust, self.policies, self.force))
        issued = authority.issue(
            owner, statement, at, out=self.out, keep_older=keep_older, tested=tested
        )
        return Written(owner.name, issued)


@dataclass(frozen=True, slots=True)
class SigningOptions(StatementOptions):
    """The same for evidence that names files by their digests; an option group."""

    blobs: BlobsOption = None

    @property
    def beside(self) -> Path:
        """Return the folder of the files whose digests the evidence names."""
        return self.blobs or self.out
