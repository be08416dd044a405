"""Draws calls a second and processor time per call as bars, in SVG without a library."""

from __future__ import annotations

from html import escape

from tests.bench.report import NAMES, Report, Row

_WIDTH, _BAR, _GAP, _LEFT, _TOP = 900, 22, 14, 300, 60
_COLOURS = ("#3b6ea5", "#c5713d")


def svg(report: Report, connections: int) -> str:
    """Return a chart of the rows at one number of connections."""
    rows = [row for row in report.rows if row.connections == connections]
    height = _TOP + len(rows) * (2 * _BAR + _GAP) + 20
    fastest = max((row.per_second for row in rows), default=1.0)
    dearest = max((_cpu(row) for row in rows), default=1.0) or 1.0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" font-size="13" role="img">',
        f"<title>Calls a second and processor time per call, {connections} connections</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="24" font-size="15">{connections} connections; '
        f"load {escape(report.host.get('load', ''))}</text>",
        _legend(),
    ]
    for number, row in enumerate(rows):
        top = _TOP + number * (2 * _BAR + _GAP)
        parts.append(f'<text x="10" y="{top + _BAR}">{escape(NAMES[row.way])}</text>')
        parts.append(_bar(top, row.per_second / fastest, f"{row.per_second:,.0f} calls/s", 0))
        if _cpu(row):
            parts.append(_bar(top + _BAR, _cpu(row) / dearest, f"{_cpu(row):,.0f} µs", 1))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _cpu(row: Row) -> float:
    """Processor time per call of what Envoy asks, in microseconds."""
    return sum(cost for part, cost in row.cpu.items() if part not in {"Envoy", "upstream"})


def _legend() -> str:
    names = ("calls a second", "processor time per call of what Envoy asks")
    return "".join(
        f'<rect x="{_LEFT + 180 * n}" y="34" width="12" height="12" fill="{_COLOURS[n]}"/>'
        f'<text x="{_LEFT + 18 + 180 * n}" y="45">{name}</text>'
        for n, name in enumerate(names)
    )


def _bar(top: int, share: float, text: str, colour: int) -> str:
    width = max(1, round(share * (_WIDTH - _LEFT - 130)))
    return (
        f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{_BAR - 3}" '
        f'fill="{_COLOURS[colour]}"/>'
        f'<text x="{_LEFT + width + 6}" y="{top + _BAR - 8}">{escape(text)}</text>'
    )
