"""Write ``docs/envoy-lint.md`` from the rules.

Run ``python -m tests.unit.envoy_extauthz_lint.generate_page``.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from envoy_extauthz_lint import FAMILIES, LintRule
from envoy_extauthz_lint.known_providers import AS_OF, KNOWN_PROVIDERS, KnownProvider

PAGE = Path(__file__).resolve().parents[3] / "docs" / "envoy-lint.md"

HEAD = """\
# `admit envoy lint`

Reads an Envoy configuration and reports, by rule and place, what lets a request pass without the
gate, or with other content than the gate was asked about. Each finding states its remedy. The rules
are in `packages/envoy-extauthz-lint`, which can be used without the sidecar; this page is generated
from them by `python -m tests.unit.envoy_extauthz_lint.generate_page`.

<!-- run
mkdir envoy && cp "$REPOSITORY"/envoy/*.yaml envoy/ && cp envoy/jwt.yaml envoy.yaml
-->
```sh
admit envoy lint envoy.yaml                          # a table; exit status 1 on an error
admit envoy lint envoy.yaml --fail-on warning        # … or on a warning
admit envoy lint envoy.yaml --json                   # for other programs
admit envoy lint envoy.yaml --sarif > envoy.sarif    # SARIF 2.1.0, for code-scanning services
```

Of an Envoy that is running:

<!-- not run: needs a running Envoy whose admin interface opens `/config_dump` -->
```sh
curl -s '127.0.0.1:9901/config_dump?include_eds' | admit envoy lint -
```

| exit status | meaning |
|---|---|
| 0 | no finding is as severe as `--fail-on` (default: error) |
| 1 | at least one is |
| 2 | a file cannot be read, or no file has a cluster that an option names: a line states which |

Several files are checked in turn. `--gate-cluster`, `--provider-cluster` and `--next-hop` must name
a cluster of at least one of them, because a mistyped name would hide a provider.

| severity | meaning |
|---|---|
| error | a request can pass unchecked, or with other content than was checked |
| warning | a protection against that is missing or weaker than it should be |
| note | nothing can pass unchecked; operation or accounting is harder than it needs to be |

## Input

A bootstrap in YAML or JSON, the JSON of an admin interface's `/config_dump`, or what Envoy
Gateway's `egctl experimental translate --to xds` prints for one gateway. Both spellings of a field
are read (`failure_mode_allow`, `failureModeAllow`), and what Envoy reads as true is true (`yes`,
`"1"`). A duplicate key, a merge key (`<<`) or a value of the wrong type ends with exit status 2:
Envoy would refuse the file, or another program would read it differently.

At most 64 MiB are read, of YAML 4 MiB.

**What cannot be checked is a finding**, family *unchecked*: listeners by LDS, clusters by CDS,
their endpoints by EDS, routes by RDS or scopes, filters by ECDS, unknown filters and settings. Then
check a dump of the running Envoy: all of them but virtual hosts by VHDS are resolved in it, as far
as they had been delivered when it was taken.

Of a listener that neither has the gate nor leads to a provider, only the routes are reported,
because its other settings have no effect on the gate. If one of its clusters is a provider, name it
(`--provider-cluster`, below). In the table, equal findings at several places share a row; `--json`
and `--sarif` list each.

### A dump of a running Envoy

The reference configurations do not allow `/config_dump`: the application shares loopback with the
admin interface, and a dump shows internal addresses. To take one, start the same configuration
beside it with one more line in `admin.allow_paths` (`- exact: /config_dump?include_eds`; the query
is matched too) and other ports, or add the line temporarily. Dump everything: with `resource` or
`mask` parts are missing, and the linter reports which. Envoy writes `[redacted]` for secrets and
for `context_extensions`, so a route's `provider` and `route_class` are checked in the file only.

### How the gate and the providers are recognised

The gate is the cluster called `gate`; or the only one that `ext_authz` filters ask; or
`--gate-cluster NAME`. A cluster is a provider if

- its host, SNI or `host_rewrite_literal` is one of a [known provider](#known-providers) or matches
  `--provider-host PATTERN`, and does not match `--not-a-provider PATTERN`;
- it is named by `--provider-cluster NAME`;
- a route to it has a `provider` in the gate's `context_extensions`;
- Envoy adds a credential to requests for it: with `credential_injector` and its like in a
  listener's chain, in the router or in the cluster's own upstream filters, with `header_mutation`,
  or with `request_headers_to_add` at any level (a literal, `%ENVIRONMENT(…)%`), but not where the
  value is copied from the client's request;
- it is an aggregate of such clusters, or a member of such an aggregate.

A route to a provider without the gate is an error. To any other cluster it is a warning, because
the file does not show what that cluster is. Where it is another Envoy with the gate, pass
`--next-hop NAME` and check that one too. A route to an internal listener of the same file is not
reported, because the listener is checked. A public host that is in no list is an error where the
route, or another one of its virtual host, looks like one for model calls (`bypass-unknown-host`).
Routes that an earlier one hides are checked all the
same.

### The seal

An allow of the gate carries dynamic metadata (`admitted: true`, `gate`), and the reference
configurations have an RBAC filter directly behind `ext_authz` that passes nothing without it: the
seal. Where the linter can rely on it, rules marked *warning behind the seal* are warnings instead
of errors, because requests that skip the gate are denied with 403. It relies on a seal if

- every policy of the filter requires `admitted: true` in the namespace
  `envoy.filters.http.ext_authz`, with action `ALLOW` and no `matcher`;
- only filters stand before it that neither run code nor forward or cache requests, and none that
  writes that namespace; another `ext_authz` filter only where the seal requires the gate's name;
- no route disables or replaces it. For settings of the gate's own filter this must hold for every
  route of the connection manager, and all routes must be in the file.

### In CI

SARIF output has what code-scanning services need beyond the standard (verified against the OASIS
schema of 2.1.0, errata 01): a region for each result, a fingerprint that stays the same when lines
above are edited, and a category for each file (`automationDetails`). Give the file as a path from
the repository's root.

With the exit status:

```sh
admit envoy lint envoy/*.yaml --fail-on warning --next-hop second-hop
```

## Rules
"""

TITLES = {
    "gate": "The gate's filter",
    "seal": "The seal",
    "bypass": "Paths around the gate",
    "order": "Filters before and behind the gate",
    "path": "One path for gate, router and upstream",
    "trust": "Client claims that are trusted",
    "key": "Credentials",
    "cluster": "Clusters",
    "admin": "The admin interface",
    "runtime": "Runtime settings",
    "limit": "Limits",
    "unchecked": "What cannot be checked",
}
WIDTH = 100
BEHIND_SEAL = "warning behind the seal"


def page() -> str:
    """The whole page."""
    parts = [HEAD.rstrip()]
    families: dict[str, list[LintRule]] = {}
    for rule in (rule for family in FAMILIES for rule in family.RULES):
        families.setdefault(rule.id.partition("-")[0], []).append(rule)
    for family, rules in families.items():
        parts.append(f"### {TITLES[family]}")
        parts += [_rule(rule) for rule in rules]
    return "\n\n".join([*parts, _known()]) + "\n"


def _known() -> str:
    """List the hosts of the known providers."""
    rows = [
        f"| {_linked(one)} | {', '.join(f'`{host}`' for host in one.hosts)} | {one.stated} |"
        for one in KNOWN_PROVIDERS
    ]
    intro = (
        f"As of {AS_OF}. A name leads to the provider's public documentation, or its SDK; *stated "
        "in* is where its first host was found, with version or month. `--provider-host` adds to "
        "them, `--not-a-provider` exempts from them."
    )
    head = ["| provider | hosts | stated in |", "|---|---|---|"]
    return "\n".join(["## Known providers", "", _filled(intro), "", *head, *rows])


def _linked(one: KnownProvider) -> str:
    return f"[{one.name}]({one.documentation})" if one.documentation else one.name


def _rule(rule: LintRule) -> str:
    softer = [rule.softer] * bool(rule.softer) + [BEHIND_SEAL] * rule.sealable
    weight = "; ".join([rule.severity.value, *softer])
    refs = f" ({', '.join(rule.refs)})" if rule.refs else ""
    what = rule.summary[0].upper() + rule.summary[1:]
    return "\n".join(
        [
            f"#### `{rule.id}`",
            "",
            _filled(f"*{weight}.* **{what}.** {rule.rationale}{refs}"),
            _filled(f"Remedy: {rule.remedy}"),
        ]
    )


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
