"""Writes a report as one HTML page: scores against thresholds, failing cases, signatures.

The page has no script and loads nothing: it can be mailed, printed and opened from a disk. What
models answered is hostile: everything is escaped, what cannot be seen or turns the direction of a
line is shown by its code point, and the content security policy permits styles alone.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from sidecar.core.window import rfc3339
from sidecar.evaluation.cost import SCOPE
from sidecar.evaluation.report.record import Report, SuiteRecord, suite_label

MAX_CASES = 50
"""Failing cases of a suite that are shown."""
MAX_CHARS = 2_000
"""Characters shown of each text of a case."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif;
  --good: #1b7f3b; --bad: #c62828; --line: #8886 }
@media (prefers-color-scheme: dark) { :root { --good: #5fd08a; --bad: #ff8a80 } }
body { margin: 0 auto; padding: 1rem; max-width: 60rem }
h1 { font-size: 1.4rem; line-height: 1.25; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem } h3 { font-size: 1rem; margin: 1.5rem 0 .25rem }
.verdict { font-weight: 600 } .good { color: var(--good) } .bad { color: var(--bad) }
.dim { opacity: .75 } code, pre { font: .85rem/1.4 ui-monospace, monospace }
code { overflow-wrap: anywhere } td[data-of=until] { white-space: nowrap }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: break-word; font-variant-numeric: tabular-nums }
.suite { display: grid; grid-template-columns: minmax(10rem, 1fr) 2fr; gap: .25rem 1rem;
  align-items: center; padding: .6rem 0; border-bottom: 1px solid var(--line) }
svg { width: 100%; height: auto; display: block }
svg text { font: 11px system-ui, sans-serif; fill: currentColor }
.axis { stroke: currentColor; opacity: .35 } .interval { stroke: currentColor; stroke-width: 5;
  opacity: .35; stroke-linecap: round } .limit { stroke: var(--bad); stroke-width: 2 }
.point.good { fill: var(--good) } .point.bad { fill: var(--bad) }
.earlier { fill: none; stroke: currentColor; stroke-width: 1.5 }
details { border: 1px solid var(--line); border-radius: 6px; padding: .4rem .8rem; margin: .5rem 0 }
summary { cursor: pointer; overflow-wrap: anywhere }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .25rem 0 .75rem; padding: .5rem;
  border-left: 3px solid var(--line) }
@media (max-width: 40rem) { .suite { grid-template-columns: 1fr }
  table.wide, table.wide tbody, table.wide tr, table.wide td { display: block }
  table.wide thead { display: none } table.wide td { border: 0; padding: .1rem 0 }
  table.wide tr { border-bottom: 1px solid var(--line); padding: .5rem 0 }
  table.wide td:empty { display: none }
  table.wide td::before { content: attr(data-of) ": "; opacity: .75 } }
@media print { :root { color-scheme: light; font-size: 11pt; --good: #1b7f3b; --bad: #c62828 }
  body { max-width: none; padding: 0 } details, .suite, tr { break-inside: avoid }
  h2, h3 { break-after: avoid }
  details::details-content { content-visibility: visible; block-size: auto } }
"""
_LEFT, _RIGHT, _WIDTH = 10, 410, 420
_SHOWN_ANYWAY = frozenset("\n\t")


def html_page(report: Report) -> str:
    """Return the whole page; complete for itself, in UTF-8."""
    verdict, colour = _verdict(report)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(f"Evaluation of {report.model}")}</title>
<style>{_STYLE}</style></head><body>
<h1>Evaluation of {_text(report.model)}</h1>
<p class="verdict {colour}">{_text(verdict)}</p>
<p class="dim">Manifest <code>{_text(report.manifest)}</code>, reported at {rfc3339(report.at)}</p>
<h2>Scores against thresholds</h2>
<p class="dim">The point is the score, the bar its 95&nbsp;% interval, the red line the
threshold{", the ring the score before" if report.earlier else ""}.</p>
{"".join(_plot(report, record) for record in report.records) or "<p>Nothing was run.</p>"}
{_missing(report)}
<h2>Signatures</h2>
{_signatures(report)}
{_measurements(report)}
{_comparison(report)}
{_used(report)}
<h2>Failing cases</h2>
{"".join(map(_failing, report.records)) or "<p>Nothing was run.</p>"}
</body></html>
"""


def _verdict(report: Report) -> tuple[str, str]:
    failed_results = [each for each in report.signatures if each.outcome != "PASSED"]
    against = "A result that is given here is FAILED: it stands until its evaluator takes it back."
    if report.passed:
        count = len(report.declared)
        ran = "The one suite" if count == 1 else f"All {count} suites"
        passed = f"{ran} of the envelope passed."
        if failed_results:
            return f"{passed} {against}", "bad"
        signed = all(report.signed(record) for record in report.records)
        return passed if signed else f"{passed} Not countersigned.", "good"
    failed = [record.label for record in report.records if not record.passed]
    parts = [f"Not passed: {', '.join(failed)}."] if failed else []
    if report.missing:
        parts.append(f"Not run: {', '.join(map(suite_label, report.missing))}.")
    return " ".join([*parts, against] if failed_results else parts), "bad"


def _plot(report: Report, record: SuiteRecord) -> str:
    good = "good" if record.passed else "bad"
    word = "passed" if record.passed else "not passed"
    before = report.before(record)
    ring = ""
    if before is not None:
        ring = f'<circle class="earlier" cx="{_x(before.score)}" cy="16" r="8"/>'
    label = (
        f"score {record.score:.4f}, threshold {record.threshold:g}, interval {record.low:.4f}"
        f" to {record.high:.4f}"
    )
    return f"""<div class="suite"><div><strong>{_text(record.label)}</strong>
<span class="dim">{_text(record.kind)}, {record.samples} cases</span><br>
<span class="{good}">{word}</span> {record.score:.4f}
<span class="dim">threshold {record.threshold:g},
interval {record.low:.3f} to {record.high:.3f}{_wide(record)}</span></div>
<svg viewBox="0 0 {_WIDTH} 40" role="img" aria-label="{_text(label)}">
<line class="axis" x1="{_LEFT}" x2="{_RIGHT}" y1="16" y2="16"/>
<line class="interval" x1="{_x(record.low)}" x2="{_x(record.high)}" y1="16" y2="16"/>
<line class="limit" x1="{_x(record.threshold)}" x2="{_x(record.threshold)}" y1="3" y2="29"/>{ring}
<circle class="point {good}" cx="{_x(record.score)}" cy="16" r="5"/>
<text x="{_LEFT}" y="38">0</text><text x="{_RIGHT}" y="38" text-anchor="end">1</text></svg></div>
"""


def _wide(record: SuiteRecord) -> str:
    """Return a remark where a suite passed and its interval reaches below the threshold."""
    if not record.passed or record.low >= record.threshold:
        return ""
    return "; it reaches below the threshold: few cases, or a score close to it"


def _x(value: float) -> str:
    """Return the place of a score on the axis."""
    return f"{_LEFT + value * (_RIGHT - _LEFT):.1f}"


def _missing(report: Report) -> str:
    names = ", ".join(_text(suite_label(suite)) for suite in report.missing)
    return f'<p class="bad">Declared and not run: {names}.</p>' if names else ""


def _signatures(report: Report) -> str:
    """Return each result with the suites whose score it states, and the suites that have none."""
    rows = []
    for each in report.signatures:
        stated = [record.label for record in report.records if report.signed(record) is each]
        outcome = (
            f'<span class="{"good" if each.outcome == "PASSED" else "bad"}">{each.outcome}</span>'
        )
        key = (
            f"<code>{_text(each.signer)}</code>"
            if each.signer
            else '<span class="bad">signature not checked</span>'
        )
        whole = len(stated) == len(report.records) and not report.missing
        scores = "all suites" if whole else _text(", ".join(stated)) or "none of these scores"
        result = f"<code>{_text(each.digest)}</code>"
        rows.append((outcome, scores, key, f"{each.until:%Y-%m-%d}", result))
    unsigned = [record.label for record in report.records if report.signed(record) is None]
    table = _table(("result", "scores of", "signed by", "until", "digest"), rows) if rows else ""
    if not unsigned:
        return table
    return f'{table}<p class="bad">Not signed: {_text(", ".join(unsigned))}.</p>'


def _measurements(report: Report) -> str:
    """Return how each suite was measured, and what a reader compares: digests of suite and log."""
    rows = []
    for record in report.records:
        tool = _text(record.tool)
        if record.called and record.called != report.model:
            tool += f"<br>called as <code>{_text(record.called)}</code>"
        log = f"<code>{_text(record.report)}</code>" if record.report else ""
        if record.report and record.report not in report.logs:
            log += (
                '<br><span class="bad">the log is not in the run\'s folder, or was changed</span>'
            )
        digest = f"<code>{_text(record.digest)}</code>"
        rows.append((_text(record.label), digest, tool, _text(record.performed), log))
    headings = ("suite", "digest of the suite", "measured by", "from", "digest of the log")
    return f"<h2>Measurements</h2>{_table(headings, rows)}" if rows else ""


def _comparison(report: Report) -> str:
    if not report.earlier:
        return ""
    others = "<br>".join(
        f"{_text(relation)} <code>{_text(manifest)}</code>"
        for manifest, relation in report.compared_with()
    )
    rows = [row for record in report.records for row in _compared(report, record)]
    table = _table(("suite", "before", "now", "change", "cases"), rows)
    return f'<h2>Compared with an earlier manifest</h2><p class="dim">{others}</p>{table}'


def _compared(report: Report, record: SuiteRecord) -> Iterator[tuple[str, ...]]:
    before = report.before(record)
    if before is None:
        yield _text(record.label), "", f"{record.score:.4f}", "new", ""
        return
    was = {case.id: case.score for case in before.cases}
    worse = [case.id for case in record.cases if case.score < was.get(case.id, 0)]
    better = [case.id for case in record.cases if case.score > was.get(case.id, 1)]
    change = record.score - before.score
    cases = [f"worse: {_text(', '.join(worse))}"] if worse else []
    cases += [f"better: {_text(', '.join(better))}"] if better else []
    if record.digest != before.digest:
        cases.append("another edition of the suite")
    colour = "bad" if change < 0 else "good" if change > 0 else "dim"
    yield (
        _text(record.label),
        f"{before.score:.4f}",
        f"{record.score:.4f}",
        f'<span class="{colour}">{change:+.4f}</span>',
        "<br>".join(cases) or "none",
    )


def _used(report: Report) -> str:
    """Return what the answers took, of the model and of each judge; nothing if no run states it."""
    found = [(record, used) for record in report.records for used in record.used]
    if not found:
        return ""
    rows = [
        (
            _text(record.label),
            ("judge " if used.judge else "model ") + f"<code>{_text(used.model)}</code>",
            f"{used.input_tokens:,}",
            f"{used.output_tokens:,}",
            f"{used.seconds:,.1f} s",
            "not known" if used.cost is None else f"{used.cost:,.4f}",
        )
        for record, used in found
    ]
    total = report.cost()
    if total is not None:
        judged = f"of that judges {total['judges']:,.4f}" if total["judges"] else ""
        rows.append(("all suites", judged, "", "", "", f"{total['model'] + total['judges']:,.4f}"))
    headings = ("suite", "answers of", "tokens in", "tokens out", "time", "cost")
    return (
        f'<h2>Tokens, time and cost</h2><p class="dim">{SCOPE.capitalize()}, and a provider may'
        " bill them. Several were under way at a time; costs are in the currency of the prices that"
        f" were given, as if no token had been served from a cache.</p>{_table(headings, rows)}"
    )


def _failing(record: SuiteRecord) -> str:
    failing = record.failing
    title = f"<h3>{_text(record.label)}: {len(failing)} of {record.samples} below 1</h3>"
    shown = "".join(
        f"<details><summary><code>{_text(case.id)}</code> {case.score:g}"
        f' <span class="dim">{_text(case.excerpt)}</span></summary>'
        f"{_part('asked', case.asked)}{_part('expected', case.reference)}"
        f"{_part('answered', case.answer)}{_part('judged', case.judged or None)}</details>"
        for case in failing[:MAX_CASES]
    )
    more = len(failing) - MAX_CASES
    return title + shown + (f"<p>and {more} more</p>" if more > 0 else "")


def _part(name: str, value: Any) -> str:  # noqa: ANN401 - a field of a case is any JSON value
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
    cut = f"… and {len(text) - MAX_CHARS} characters more" if len(text) > MAX_CHARS else ""
    return f'<span class="dim">{name}</span><pre dir="ltr">{_text(text[:MAX_CHARS])}{cut}</pre>'


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table; the cells are HTML already."""
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-of="{heading}">{cell}</td>'
            for heading, cell in zip(headings, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return f'<table class="wide"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _text(text: str) -> str:
    """Escape a text; what cannot be seen, or turns the direction of a line, by its code point."""
    return escape("".join(map(_visible, text)), quote=True)


def _visible(character: str) -> str:
    if character in _SHOWN_ANYWAY or unicodedata.category(character) not in {
        "Cc",
        "Cf",
        "Cn",
        "Co",
        "Cs",
        "Zl",
        "Zp",
    }:
        return character
    return f"\\u{{{ord(character):x}}}"
