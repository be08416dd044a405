"""Checks Envoy configurations: ``admit envoy …``.

Reads the files, passes them to `envoy_extauthz_lint` and prints the reports. Exit status 0 where no
finding is as severe as ``--fail-on``, 1 where one is, 2 where a file cannot be read or no file has
what an option names.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from envoy_extauthz_lint import (
    LintError,
    LintFinding,
    LintOptions,
    LintReport,
    Severity,
    formatters,
    lint,
    unknown_names,
)
from envoy_extauthz_lint.document import MAX_BYTES
from sidecar import resources
from sidecar.cli.common import CliError, JsonOption, command_group
from sidecar.cli.lint_options import CREDENTIAL_HEADER, lint_options
from sidecar.cli.tables import stdout
from sidecar.formats.amounts import amount

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}
STDIN = "-"
DRIVER = "admit envoy lint"
MOST_LINES = 6
"""Maximum number of further lines that a row of the table lists."""

KnownFilter = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TYPE", help="A filter that leaves an admitted request as it is; repeatable."
    ),
]
NextHop = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A cluster that is another Envoy with the gate."),
]

app = command_group("Check an Envoy configuration for paths around the gate.")


class FailOn(StrEnum):
    """The least severity that fails a build."""

    ERROR = "error"
    WARNING = "warning"


@app.callback()
def _group() -> None:
    """Check an Envoy configuration for paths around the gate."""


@app.command(name="lint")
def lint_file(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="A bootstrap, or a /config_dump; - for stdin."),
    ],
    gate_cluster: Annotated[
        str, typer.Option(metavar="NAME", help="The gate's cluster, where it is not `gate`.")
    ] = "",
    provider_cluster: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A cluster that is a provider; repeatable."),
    ] = None,
    provider_host: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Further hosts of providers; repeatable."),
    ] = None,
    not_a_provider: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Hosts that serve no model; repeatable."),
    ] = None,
    known_filter: KnownFilter = None,
    next_hop: NextHop = None,
    credential_header: Annotated[
        str, typer.Option(metavar="NAME", help="Header with the environment's credential.")
    ] = CREDENTIAL_HEADER,
    fail_on: Annotated[
        FailOn, typer.Option(help="The least severe finding that makes the exit status 1.")
    ] = FailOn.ERROR,
    as_json: JsonOption = False,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0.")] = False,
) -> None:
    """Report what lets a request pass unchecked, by rule and place.

    Examples:
        admit envoy lint envoy.yaml
        admit envoy lint config_dump.json --json
    """
    if as_json and as_sarif:
        raise CliError("--json and --sarif: one of them")
    options = lint_options(
        gate_cluster=gate_cluster,
        provider_clusters=provider_cluster or (),
        provider_hosts=provider_host or (),
        not_providers=not_a_provider or (),
        known_filters=known_filter or (),
        next_hops=next_hop or (),
        credential_header=credential_header,
    )
    reports = _reports(files, options)
    if as_json:
        print(json.dumps(formatters.all_to_json(reports), indent=2, ensure_ascii=False))
    elif as_sarif:
        found = formatters.all_to_sarif(reports, version("admissibility-sidecar"), DRIVER)
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for file, report in reports.items():
            _show(stdout(), report, file)
    failed = any(report.fails(Severity(fail_on.value)) for report in reports.values())
    raise typer.Exit(1 if failed else 0)


def _reports(files: list[str], options: LintOptions) -> dict[str, LintReport]:
    """Check files, and that one of them has each cluster that the options name."""
    reports = {}
    for file in files:
        try:
            reports[file] = lint(_read(file), options)
        except LintError as error:
            raise CliError(f"{file}: {error}") from error
    clusters = [name for report in reports.values() for name in report.clusters]
    hosts = [name for report in reports.values() for name in report.hosts]
    types = [name for report in reports.values() for name in report.types]
    if unknown := unknown_names(options, clusters, reports, hosts, types):
        raise CliError("\n".join(unknown))
    return reports


@app.command()
def reference(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Reference configuration, e.g. jwt.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Print a reference configuration that came with admit; without a name, list them.

    Examples:
        admit envoy reference
        admit envoy reference jwt > envoy.yaml
    """
    if name:
        text = resources.envoy_configuration(name)
        print(json.dumps({"name": name, "text": text}) if as_json else text, end="")
        return
    paths = resources.envoy_configurations()
    if as_json:
        print(json.dumps({each: str(path) for each, path in paths.items()}, indent=2))
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for each in sorted(paths):
        table.add_row(each, _title(paths[each]))
    stdout().print(table)


def _title(path: Path) -> str:
    """Return what a reference configuration is for: the first sentence of its head."""
    words = []
    for line in path.read_text("utf-8").splitlines():
        text = line.removeprefix("#").strip()
        if not line.startswith("#") or not text:
            break
        words.append(text)
    sentence, _, _ = " ".join(words).partition(". ")
    return sentence.rstrip(".")


def _read(file: str) -> bytes:
    """Read the file or standard input, up to one byte more than the linter accepts."""
    if file == STDIN:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        with Path(file).open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}") from error


def _show(console: Console, report: LintReport, file: str) -> None:
    if report.findings:
        console.print(_table(report))
        console.print()
    kind = "dump" if report.dumped else "bootstrap"
    checked = (
        f"{file}: {kind}, {amount(report.listeners, 'listener')}, {amount(report.routes, 'route')}"
        f"; gate: {report.gate or 'not found'}"
        f"; providers: {', '.join(report.providers) or 'none found'}"
    )
    console.print(Text(checked), soft_wrap=True)
    counts = ", ".join(amount(report.count(weight), weight.value) for weight in Severity)
    more = ". Rules: admit docs envoy-lint"
    console.print(Text(counts + (more if report.findings else "")))


def _table(report: LintReport) -> Table:
    table = Table(show_lines=False, pad_edge=False, box=None, header_style="bold")
    for heading in ("severity", "rule", "line"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what and where", overflow="fold")
    alike: dict[tuple[Severity, str, str], list[LintFinding]] = {}
    for one in report.findings:
        alike.setdefault((one.severity, one.rule, one.message), []).append(one)
    for one, *more in alike.values():
        what = Text.assemble(one.message, "\n" if one.where else "", (one.where, "dim"))
        if more:
            what.append(f"\n… and {amount(len(more), 'more place')}{_lines(more)}", "dim")
        what.append(f"\nremedy: {one.remedy}", "green")
        line = str(one.line) if one.line else ""
        weight = Text(one.severity.value, STYLES[one.severity])
        table.add_row(weight, Text(one.rule), line, what)
    return table


def _lines(found: list[LintFinding]) -> str:
    """List the lines of further places, as many as fit."""
    known = list(dict.fromkeys(str(one.line) for one in found if one.line))
    if not known:
        return ""
    listed = ", ".join(known[:MOST_LINES])
    return f": line {listed}" + (", …" if len(known) > MOST_LINES else "")
