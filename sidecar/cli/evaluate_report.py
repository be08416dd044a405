"""``admit evaluate report``: one page for people, JUnit for CI, JSON for programs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from sidecar.cli import common, manifests
from sidecar.cli.common import CliError, JsonOption, SignedByOption
from sidecar.cli.tables import show_table, stdout
from sidecar.core import dsse
from sidecar.core.evidence import parse_statement
from sidecar.core.keys import PublicKey
from sidecar.core.predicates import Result
from sidecar.core.reasons import EvidenceError
from sidecar.core.window import rfc3339
from sidecar.durable.files import write_atomically
from sidecar.evaluation.report.junit import junit_xml
from sidecar.evaluation.report.page import html_page
from sidecar.evaluation.report.record import (
    MAX_RECORD_BYTES,
    Report,
    Signature,
    SuiteRecord,
    read_record,
    report,
    suite_key,
    suite_label,
)
from sidecar.evaluation.runner.evaluate import RECORD

NOT_PASSED = 3
"""Exit status where a suite is not passed, or was not run."""


def report_(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Folders of runs, or one that holds them.", show_default=False),
    ],
    manifest: Annotated[Path, typer.Option(help="The manifest (*.dsse.json).")],
    result: Annotated[
        list[Path] | None, typer.Option(help="A signed result about it; repeatable.")
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option(help="PEM public key of an evaluator, to verify the results; repeatable."),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Runs of the parent or of the superseded manifest, to compare with."),
    ] = None,
    signed_by: SignedByOption = None,
    out: Annotated[Path, typer.Option(help="The HTML page.")] = Path("evaluation.html"),
    junit: Annotated[Path | None, typer.Option(help="JUnit XML as well, into this file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write an HTML page of scores, thresholds and signers.

    The page holds everything and loads nothing. Exit status 3 if a declared suite is not passed or
    was not run.

    Examples:
        admit evaluate report runs --manifest manifest.dsse.json
            --result result.dsse.json --key evaluator.pem --out evaluation.html
    """
    handed = manifests.read(manifest, signed_by)
    keys = [PublicKey.from_pem(common.read(path).decode("ascii", "replace")) for path in key or []]
    declared = {suite_key(suite) for suite in handed.manifest.envelope.suites}
    records = [
        record
        for record in _records(runs)
        # A folder of all runs holds those of other manifests too.
        if record.manifest == handed.digest and record.key in declared
    ]
    found = report(
        handed.manifest,
        handed.digest,
        records,
        [_signature(path, handed.digest, keys) for path in result or []],
        _records(against or []),
        common.now(),
        _logs(runs),
    )
    write_atomically(out, html_page(found).encode("utf-8", "replace"), mode=0o600)
    if junit is not None:
        write_atomically(junit, junit_xml(found).encode("utf-8"), mode=0o600)
    if as_json:
        print(json.dumps(_facts(found, out), indent=2))
    else:
        headings = ("suite", "verdict", "score", "threshold", "before", "below 1", "signed")
        show_table(stdout(), headings, [*_rows(found)])
        print(f"report: {out}")
    if not found.passed:
        raise typer.Exit(NOT_PASSED)


def _rows(found: Report) -> Iterator[tuple[str, ...]]:
    for record in found.records:
        before, signed = found.before(record), found.signed(record)
        state = "no" if signed is None else signed.outcome
        yield (
            record.label,
            "passed" if record.passed else "NOT passed",
            f"{record.score:.4f}",
            f"{record.threshold:g}",
            "" if before is None else f"{before.score:.4f}",
            f"{len(record.failing)} of {record.samples}",
            state if signed is None or signed.signer else f"{state}, not checked",
        )
    for suite in found.missing:
        yield suite_label(suite), "NOT run", "", f"{suite.threshold:g}", "", "", ""


def _records(folders: Iterable[Path]) -> list[SuiteRecord]:
    found = []
    for folder in folders:
        here = folder / RECORD
        paths = [here] if here.is_file() else sorted(folder.glob(f"*/{RECORD}"))
        if not paths:
            raise CliError(f"{folder}: no run that was graded ({RECORD}) is in it")
        found += [
            read_record(common.read(path, max_bytes=MAX_RECORD_BYTES), str(path)) for path in paths
        ]
    return found


def _logs(folders: Iterable[Path]) -> Iterator[str]:
    """Yield the digest of each log in the folders of runs."""
    for folder in folders:
        for path in (*folder.glob("logs/*.json"), *folder.glob("*/logs/*.json")):
            with path.open("rb") as file:
                yield hashlib.file_digest(file, "sha256").hexdigest()


def _signature(path: Path, manifest: str, keys: list[PublicKey]) -> Signature:
    try:
        envelope = dsse.parse(common.read(path))
        statement = parse_statement(envelope.payload)
    except EvidenceError as error:
        raise CliError(f"{path}: {error}") from error
    if not isinstance(statement.predicate, Result):
        raise CliError(f"{path}: is evidence, but not a result")
    if statement.subject.digest.sha256 != manifest:
        raise CliError(
            f"{path}: is about the manifest {statement.subject.digest.sha256}, not {manifest}"
        )
    signers = [each for each in keys if manifests.signed_with(envelope, each)]
    if keys and not signers:
        raise CliError(f"{path}: not signed by any key that was given")
    predicate = statement.predicate
    return Signature(
        envelope.digest,
        predicate.result,
        signers[0].fingerprint if signers else "",
        {
            (e.annotations.kind, e.name, e.annotations.jurisdiction, e.digest.sha256): (
                e.annotations.score
            )
            for e in predicate.configuration
        },
        predicate.window.not_after,
    )


def _facts(found: Report, out: Path) -> dict[str, Any]:
    return {
        "model": found.model,
        "manifest": found.manifest,
        "passed": found.passed,
        "report": str(out),
        "not_run": [suite_label(suite) for suite in found.missing],
        "cost": found.cost(),
        "suites": [_suite_facts(found, record) for record in found.records],
    }


def _suite_facts(found: Report, record: SuiteRecord) -> dict[str, Any]:
    signed, before = found.signed(record), found.before(record)
    return {
        **record.model_dump(exclude={"cases", "manifest", "model"}),
        "log_kept": record.report in found.logs,
        "below_1": [{"id": case.id, "score": case.score} for case in record.failing],
        "before": None if before is None else before.score,
        "signed": None
        if signed is None
        else {
            "result": signed.digest,
            "outcome": signed.outcome,
            "key": signed.signer or None,
            "until": rfc3339(signed.until),
        },
    }
