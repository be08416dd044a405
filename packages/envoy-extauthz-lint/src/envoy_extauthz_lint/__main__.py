"""The command ``envoy-extauthz-lint``: check files and print what was found.

Exit status 0 where no finding is as severe as ``--fail-on``, 1 where one is, 2 where a file cannot
be read or no file has what an option names.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from envoy_extauthz_lint import (
    LintError,
    LintOptions,
    LintReport,
    Severity,
    formatters,
    lint,
    unknown_names,
)
from envoy_extauthz_lint.document import MAX_BYTES

PROGRAM = "envoy-extauthz-lint"
STDIN = "-"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status.

    Args:
        arguments: Command-line arguments without the program's name; None for the process's own.
    """
    given = _parser().parse_args(arguments)
    options = LintOptions(
        gate_cluster=given.gate_cluster,
        provider_clusters=frozenset(given.provider_cluster),
        provider_hosts=tuple(given.provider_host),
        not_providers=tuple(given.not_a_provider),
        known_filters=frozenset(given.known_filter),
        next_hops=frozenset(given.next_hop),
        credential_header=given.credential_header.lower(),
        inspected_headers=tuple(name.lower() for name in given.inspected_header),
        gate_header_prefix=given.gate_header_prefix.lower(),
        seal_keys=tuple(given.seal_key),
        seal_gate_key=given.seal_gate_key,
    )
    reports: dict[str, LintReport] = {}
    for file in given.files:
        try:
            reports[file] = lint(_read(file), options)
        except (LintError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            print(f"{PROGRAM}: {file}: {reason}", file=sys.stderr)
            return 2
    clusters = [name for report in reports.values() for name in report.clusters]
    hosts = [name for report in reports.values() for name in report.hosts]
    types = [name for report in reports.values() for name in report.types]
    if unknown := unknown_names(options, clusters, reports, hosts, types):
        print("\n".join(f"{PROGRAM}: {line}" for line in unknown), file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps(formatters.all_to_json(reports), indent=2, ensure_ascii=False))
    elif given.sarif:
        found = formatters.all_to_sarif(reports, _version())
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for file, report in reports.items():
            print("\n".join(formatters.to_lines(report, file)))
    return 1 if any(one.fails(Severity(given.fail_on)) for one in reports.values()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Find what in an Envoy configuration lets a request pass without ext_authz.",
    )
    add = parser.add_argument
    text = "a bootstrap, or a /config_dump; - for standard input; several are checked in turn"
    add("files", metavar="FILE", nargs="+", help=text)
    add("--gate-cluster", metavar="NAME", default="", help="cluster of the ext_authz service")
    for option, metavar, text in (
        ("--provider-cluster", "NAME", "cluster to be reached through ext_authz only"),
        ("--provider-host", "PATTERN", "hosts to be reached through ext_authz only"),
        ("--not-a-provider", "PATTERN", "hosts that serve no model"),
        ("--known-filter", "TYPE", "filter that leaves an admitted request as it is"),
        ("--next-hop", "NAME", "cluster that is another Envoy with the ext_authz filter"),
        ("--inspected-header", "NAME", "header that the service reads or refuses"),
        ("--seal-key", "KEY", "boolean in the metadata of an allow"),
    ):
        add(option, metavar=metavar, action="append", default=[], help=f"{text}; repeatable")
    add("--credential-header", metavar="NAME", default="", help="header with the credential")
    add("--gate-header-prefix", metavar="PREFIX", default="", help="of headers the service adds")
    add("--seal-gate-key", metavar="KEY", default="", help="the service's name in that metadata")
    add("--fail-on", choices=["error", "warning"], default="error", help="exit status 1 from here")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print JSON")
    forms.add_argument("--sarif", action="store_true", help="print SARIF 2.1.0")
    return parser


def _read(file: str) -> bytes:
    """Read the file; one byte above the limit is enough for the linter to refuse it."""
    if file == STDIN:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    with Path(file).open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _version() -> str:
    try:
        return version(PROGRAM)
    except PackageNotFoundError:  # carried by another distribution
        return "0"


if __name__ == "__main__":
    sys.exit(main())
