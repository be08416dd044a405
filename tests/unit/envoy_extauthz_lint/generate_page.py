"""Write ``docs/envoy-lint.md`` from the rules.

Run ``python -m tests.unit.envoy_extauthz_lint.generate_page``.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from envoy_extauthz_lint import FAMILIES, LintRule
from sidecar.cli.lint_options import PROVIDER_HOSTS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "envoy-lint.md"

HEAD = """\
# `admit envoy lint`

Reads an Envoy configuration and reports, by rule and place, what would let a request pass without
the gate, or with other content than the gate was asked about. Generated from the rules in
`packages/envoy-extauthz-lint` by `python -m tests.unit.envoy_extauthz_lint.generate_page`.

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
| 0 | nothing as grave as `--fail-on` (default: error) |
| 1 | something is |
| 2 | the file cannot be read; one line says where and why |

| weight | meaning |
|---|---|
| error | a request can pass unchecked, or with other content than was checked |
| warning | what keeps that from happening is weaker than it should be |
| note | nothing is open; something is harder to run or to account for |

## What it reads

A bootstrap in YAML or JSON, or the JSON of an admin interface's `/config_dump`. Both spellings of a
field count (`failure_mode_allow`, `failureModeAllow`), and what Envoy takes for true is true
(`yes`, `"1"`). A key that is there twice, a merge key (`<<`), or a value of the wrong kind ends in
exit status 2: Envoy would refuse the file, or read it otherwise than the next program.

At most 64 MiB are read, of YAML 4 MiB.

**What cannot be checked is a finding**, family *unchecked*: listeners by LDS, clusters by CDS,
their endpoints by EDS, routes by RDS or scopes, filters by ECDS, unknown filters and settings. Take
a dump of the Envoy that runs then; there all of them but virtual hosts by VHDS are resolved, as far
as they were delivered when it was taken.

Of a listener that neither has the gate nor leads to a provider, only the ways are told: how tidy it
is has nothing to do with the gate. Name its cluster (`--provider-cluster`, below) where it is one.
In the table, one and the same finding at many places is one row; `--json` and `--sarif` have each.

### A dump of a running Envoy

The reference configurations do not open `/config_dump`, because the admin interface shares its
loopback with the application and the dump tells the inside of the network. To take one, start the
same configuration beside it with one more line in `admin.allow_paths`
(`- exact: /config_dump?include_eds`; what stands behind the `?` is matched too) and other ports, or
add the line for as long as it takes. Dump everything: with `resource` or `mask` parts are missing,
and the linter says which. Envoy writes `[redacted]` for secrets and for
`context_extensions`, so what the gate is told on a route (`provider`, `route_class`) is checked in
the file only.

### What is the gate, what is a provider

The gate is the cluster called `gate`; or the one that every `ext_authz` filter asks; or
`--gate-cluster NAME`. A cluster is a provider if

- its host, SNI or `host_rewrite_literal` is a known one ({hosts}), or one of `--provider-host
  PATTERN`;
- it is named by `--provider-cluster NAME`;
- on some route to it the gate is told a `provider`;
- Envoy adds a credential on the way to it;
- it is an aggregate of such clusters, or one of such an aggregate.

A way to a provider without the gate is an error. To any other cluster it is a warning, because
nobody can see from here what is behind it. Where another Envoy behind it has the gate, say
`--next-hop NAME` and check that one too. A way to an internal listener of the same file is none of
its own: the listener is checked. Routes that an earlier one hides are checked all the same.

### In CI

SARIF has what code-scanning services ask for beyond the standard (checked against the OASIS schema
of 2.1.0, errata 01): each result a region and a fingerprint that outlives edits above it, each file
a category of its own (`automationDetails`). Give the file as a path from the repository's root.

With the exit status deciding:

```sh
for file in envoy/*.yaml; do admit envoy lint "$file" --fail-on warning --next-hop second-hop; done
```

## Rules
"""

TITLES = {
    "gate": "The gate's own filter",
    "bypass": "Paths around the gate",
    "order": "Before and behind the gate",
    "path": "One request line for all",
    "trust": "Whose words are believed",
    "key": "Keys",
    "cluster": "Clusters",
    "admin": "The admin interface",
    "runtime": "Runtime settings",
    "limit": "Bounds",
    "unchecked": "What cannot be checked",
}
WIDTH = 100


def page() -> str:
    """The whole page."""
    hosts = ", ".join(f"`{host}`" for host in PROVIDER_HOSTS)
    intro = HEAD.replace("{hosts}", hosts)
    parts = [intro.rstrip()]
    families: dict[str, list[LintRule]] = {}
    for rule in (rule for family in FAMILIES for rule in family.RULES):
        families.setdefault(rule.id.partition("-")[0], []).append(rule)
    for family, rules in families.items():
        parts.append(f"### {TITLES[family]}")
        parts += [_rule(rule) for rule in rules]
    return "\n\n".join(parts) + "\n"


def _rule(rule: LintRule) -> str:
    weight = rule.severity.value + (f"; {rule.softer}" if rule.softer else "")
    refs = f" ({', '.join(rule.refs)})" if rule.refs else ""
    what = rule.summary[0].upper() + rule.summary[1:]
    return "\n".join(
        [
            f"#### `{rule.id}`",
            "",
            _filled(f"*{weight}.* **{what}.** {rule.rationale}{refs}"),
            _filled(f"Instead: {rule.remedy}"),
        ]
    )


def _filled(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
