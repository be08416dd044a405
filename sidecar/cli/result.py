"""``admit result``: an evaluator countersigns the results of the declared envelope."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from sidecar.authority import home as authority
from sidecar.authority.open_home import Home
from sidecar.authority.signing import TestedModel
from sidecar.cli import common, manifests
from sidecar.cli.common import CliError, SignedByOption
from sidecar.cli.manifests import ManifestFile
from sidecar.cli.option_groups import grouped
from sidecar.cli.signing_checks import StatementOptions
from sidecar.cli.written import Written
from sidecar.core.documents import Failure
from sidecar.core.evidence import Statement
from sidecar.core.predicates import Manifest, Result
from sidecar.core.window import Window, rfc3339
from sidecar.evaluation import countersign
from sidecar.evaluation.countersign import Measured
from sidecar.evaluation.measured import SuiteCases, measured, read_cases
from sidecar.evaluation.report_formats import READERS
from sidecar.evaluation.reports import MAX_REPORT_BYTES, BoundName, read_report

NOT_PASSED = 3
"""Exit code where the result was signed and is FAILED."""


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """Where scores come from: a results file, tools' reports, or both; an option group."""

    results: Annotated[
        Path | None,
        typer.Option(
            help="JSON list of {name, score, digest, model, kind?, jurisdiction?, samples?, …}."
        ),
    ] = None
    report: Annotated[
        list[str] | None,
        typer.Option(help=f"TOOL=FILE, of {', '.join(sorted(READERS))}; repeatable."),
    ] = None
    suite: Annotated[
        list[str] | None,
        typer.Option(
            help="SUITE=KEY: the measurement of the reports that is the suite's; repeatable."
        ),
    ] = None
    cases: Annotated[
        list[str] | None,
        typer.Option(
            help="SUITE=FOLDER, SUITE=FILE.jsonl or SUITE=NUMBER of cases; one for each --suite, "
            "since a report does not name cases that were left out. With a folder the questions "
            "are compared, otherwise only their number, which the result then states."
        ),
    ] = None
    binding: Annotated[
        list[Path] | None,
        typer.Option(
            help="For a report that names a deployment: the provider's binding of it to the "
            "manifest (*.dsse.json), in force when the run began; repeatable."
        ),
    ] = None
    binding_signed_by: Annotated[
        Path | None,
        typer.Option(help="PEM public key of the provider, which must have signed --binding."),
    ] = None

    def scores(self, handed: ManifestFile) -> tuple[Measured, ...]:
        """Return the scores of all sources.

        Raises:
            CliError: There is none, or an option is not of its form.
            EvaluationError: A file is no such file, or not of the manifest and all of its suites.
        """
        if self.results is None and not self.report:
            raise CliError("no scores: give --results FILE, or --report TOOL=FILE with --suite")
        rows: tuple[Measured, ...] = ()
        if self.results is not None:
            rows = countersign.read_results(common.read(self.results))
        if not any((self.report, self.suite, self.cases, self.binding)):
            return rows
        read = [
            read_report(tool, common.read(Path(path), max_bytes=MAX_REPORT_BYTES))
            for tool, path in (_pair(t, "--report", "TOOL=FILE") for t in self.report or ())
        ]
        keys: dict[str, list[str]] = {}
        for text in self.suite or ():
            name, key = _pair(text, "--suite", "SUITE=KEY")
            keys.setdefault(name, []).append(key)
        counts, model = self._counts(keys, handed.manifest), handed.manifest.model.id
        return (*rows, *measured(read, keys, counts, model, self._bound(handed)))

    def _bound(self, handed: ManifestFile) -> list[BoundName]:
        """Return the deployments that their provider bound to the manifest."""
        if not self.binding:
            return []
        if self.binding_signed_by is None:
            raise CliError("--binding: give the provider's public key: --binding-signed-by PEM")
        found = []
        for path in self.binding:
            digest, bound = manifests.read_binding(path, self.binding_signed_by)
            if digest != handed.digest:
                raise CliError(
                    f"{path}: binds {bound.deployment} to {bound.provider}/{bound.model}, manifest"
                    f" {digest}, not to {handed.digest}"
                )
            found.append(BoundName(bound.deployment, bound.window))
        return found

    def _counts(self, keys: dict[str, list[str]], manifest: Manifest) -> dict[str, SuiteCases]:
        """Return the cases of each suite that is taken from a report."""
        counts: dict[str, SuiteCases] = {}
        for text in self.cases or ():
            name, value = _pair(text, "--cases", "SUITE=FOLDER, SUITE=FILE.jsonl or SUITE=NUMBER")
            digests = [each.digest.sha256 for each in manifest.envelope.suites if each.name == name]
            if name in counts or name not in keys or not digests:
                fault = "is given twice" if name in counts else "is in no --suite"
                raise CliError(f"--cases: {name} {fault if digests else 'is no declared suite'}")
            number = value.isascii() and value.isdigit()
            counts[name] = SuiteCases(int(value)) if number else read_cases(Path(value), digests)
        return counts


@grouped
def result(
    manifest: Annotated[Path, typer.Argument(help="The manifest's envelope (*.dsse.json).")],
    signing: StatementOptions,
    given: ScoreOptions,
    performed: Annotated[
        str | None,
        typer.Option(
            help="When the suites were run; as scores and reports state it, else now, if not given."
        ),
    ] = None,
    days: Annotated[float, typer.Option(help="Days that the result is valid from then on.")] = 90,
    signed_by: SignedByOption = None,
) -> None:
    """Countersign scores: PASSED only if every declared suite reached its threshold.

    The scores come from --results, from reports of evaluation tools, or from both.
    A FAILED result is signed as well; the command then ends with exit status 3.

    Examples:
        admit result manifest.dsse.json --results results.json --home evaluator
            --performed 2026-11-29 --days 90 --out evidence
    """
    at = common.now()
    stated = common.instant(performed, "--performed")
    if stated is not None and stated > at:
        raise CliError(f"--performed lies in the future: {rfc3339(stated)}")
    handed = manifests.read(manifest, signed_by)
    opened = signing.owner()
    _check_independent(opened, handed)
    scores = given.scores(handed)
    begun = _begun(scores, stated, at)
    statement = _statement(handed, scores, common.window(begun, days), at)
    tested = TestedModel.of(handed.artifact, handed.manifest)
    written = signing.issue(opened, statement, manifest=handed.manifest, tested=tested)
    published = authority.describe(opened).failures
    earlier = {f.result for f in published if _is_of(f, handed.digest, tested)}
    _report(statement.predicate, handed, written, as_json=signing.as_json)
    common.warn(*(_counted(each) for each in scores if each.counted))
    if statement.predicate.result != countersign.PASSED:
        common.warn(
            "FAILED: published; the model stays inadmissible until this authority takes it back "
            f"(admit retract {written.digest})",
            *_short(statement.predicate),
        )
        raise typer.Exit(NOT_PASSED)
    common.warn(*(_still_failed(digest) for digest in sorted(earlier)))


def _is_of(failure: Failure, digest: str, tested: TestedModel) -> bool:
    """Return whether a failure is of a manifest's model, also under another manifest."""
    same = (failure.model, failure.run) == (tested.model, tested.run)
    return failure.manifest == digest or failure.artifact == tested.artifact or same


def _statement(
    handed: ManifestFile, scores: tuple[Measured, ...], window: Window, at: datetime
) -> Statement[Result]:
    """Return what is signed: a failure whatever its window, and no agreement that has ended."""
    statement = countersign.countersign(handed.manifest, handed.digest, scores, window)
    if window.not_after <= at and statement.predicate.result == countersign.PASSED:
        raise CliError(
            f"the suites were run at {rfc3339(window.not_before)}: a result of --days has ended by"
            " now; run them again"
        )
    return statement


def _begun(scores: tuple[Measured, ...], stated: datetime | None, at: datetime) -> datetime:
    """Return when the window of the result begins: when the first of the suites was run."""
    known = [each.performed for each in scores if each.performed is not None]
    earliest = min(known, default=None)
    if stated is not None and earliest is not None and stated > earliest:
        raise CliError(
            f"--performed {rfc3339(stated)} is later than the scores state: {rfc3339(earliest)}"
        )
    begun = stated or earliest or at
    if begun > at:
        raise CliError(f"the suites were run at {rfc3339(begun)}, which lies in the future")
    return begun


def _counted(score: Measured) -> str:
    return (
        f"{score.name}: only the number of cases was compared with the report, and the result "
        "states that; a suite's folder (--cases SUITE=FOLDER) has their questions compared too"
    )


def _still_failed(digest: str) -> str:
    return (
        f"the FAILED result {digest} of this model stays published, and so the model "
        f"inadmissible; to take it back: admit retract {digest}"
    )


def _pair(text: str, option: str, form: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise CliError(f"{option}: {text!r} is not {form}")
    return name, value


def _check_independent(home: Home, handed: ManifestFile) -> None:
    """Refuse a producer that countersigns its own work; the gate would not count it either."""
    listed = authority.describe(home).document.keys
    if any(manifests.signed_with(handed.envelope, key.public_key()) for key in listed):
        raise CliError(f"{home.name} signed this manifest itself: another authority must evaluate")


def _report(found: Result, handed: ManifestFile, written: Written, *, as_json: bool) -> None:
    scores = ", ".join(
        f"{item.name} {item.annotations.score:g}/{item.annotations.threshold:g}"
        for item in found.configuration
    )
    facts = {
        **written.facts(),
        "manifest": handed.digest,
        "scores": scores,
        "until": common.until(found.window),
    }
    model = handed.manifest.model.id
    title = f"Countersigned {found.result} for {model}."
    common.report(title, facts, as_json=as_json, result=found.result, model=model, **written.more())


def _short(found: Result) -> list[str]:
    return [
        f"{item.name}: {item.annotations.score:g} is below {item.annotations.threshold:g}"
        for item in found.configuration
        if item.annotations.score < item.annotations.threshold
    ]
