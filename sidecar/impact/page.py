"""Writes an impact as one HTML page: the lineage graph as SVG, and the tables below it.

The page has no script and loads nothing: it can be mailed, printed and opened from a disk. Every
name in it comes from evidence and is escaped; the content security policy permits styles alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from sidecar.core.window import rfc3339
from sidecar.impact.compare import Impact
from sidecar.impact.graph import GraphNode, LineageGraph, lineage_graph

MAX_NODES = 2000
"""Most nodes of a graph that is drawn; of a larger one there are the tables alone."""

_WIDTH, _BOX, _ROW, _MARGIN = 400, 310, 30, 24
_SCREEN = 24
"""Rows of a graph that are seen at once."""
_SHOWN_CHARS = 42
_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { margin: 2rem; max-width: none }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse } th, td { text-align: left; padding: .25rem 1.5rem .25rem 0;
  border-bottom: 1px solid #8884; overflow-wrap: anywhere; vertical-align: top }
.graph { overflow: auto; border: 1px solid #8884; border-radius: 6px; max-height: 85vh }
svg { font: 12px system-ui, sans-serif; display: block }
rect { fill: Canvas; stroke: #888 } text { fill: CanvasText }
.withdrawn rect { stroke: #c62828; stroke-width: 2 } .base-model rect { stroke-dasharray: 4 2 }
.environment rect { rx: 11px } path { fill: none; stroke: #8889 }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def impact_page(found: Impact) -> str:
    """Return the whole page; complete for itself, in UTF-8."""
    entry, graph = found.entry, lineage_graph(found)
    title = f"Impact of withdrawing {entry.kind} {entry.subject}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>
<style>{_STYLE}</style></head><body>
<h1>{escape(title)}</h1>
<p>By {escape(found.authority)}, assessed at {rfc3339(found.at)}. Of {found.admissible} calls
that are admissible now, {found.stopped} would be denied. Nothing is published yet.</p>
{_facts(found)}
<h2>Lineage</h2>
{_drawn(graph)}
<h2>What would stop</h2>
{_stops(found)}
<h2>Callers</h2>
{_callers(found)}
</body></html>
"""


def _facts(found: Impact) -> str:
    rows = (
        ("models", str(len(found.models))),
        ("environments", str(len(found.environments))),
        ("jurisdictions", ", ".join(found.jurisdictions) or "none"),
    )
    return _table((), rows)


def _stops(found: Impact) -> str:
    if not found.stops:
        return "<p>Nothing.</p>"
    rows = (
        (
            ", ".join(stop.models) or "(calls that name no model)",
            stop.environment,
            ", ".join(stop.jurisdictions),
            ", ".join(stop.operations),
            f"{stop.reason}: {stop.detail}",
        )
        for stop in found.stops
    )
    return _table(("model", "environment", "jurisdictions", "operations", "reason"), rows)


def _callers(found: Impact) -> str:
    if found.seen is None:
        return "<p>Not counted: no decision log was read.</p>"
    since = rfc3339(found.seen.since)
    if not found.callers:
        return f"<p>No admitted call since {since} would stop.</p>"
    rows = (
        (name, str(one.calls), rfc3339(one.first), rfc3339(one.last))
        for name, one in found.callers.items()
    )
    heading = f"<p>Admitted calls since {since}.</p>"
    return heading + _table(("caller", "calls", "first", "last"), rows)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in headings)
    lines = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows
    )
    return f"<table>{f'<tr>{head}</tr>' if head else ''}\n{lines}</table>"


def _drawn(graph: LineageGraph) -> str:
    if len(graph.rows) > MAX_NODES:
        return f"<p>Not drawn: {len(graph.rows)} nodes are more than {MAX_NODES}.</p>"
    rows = _rows(graph)
    at = {
        node: (_MARGIN + column * _WIDTH, _MARGIN + round(rows[node] * _ROW))
        for column, layer in enumerate(graph.layers)
        for node in layer
    }
    width = max(x for x, _ in at.values()) + _BOX + _MARGIN
    height = max(y for _, y in at.values()) + _ROW + _MARGIN
    edges = "\n".join(_edge(at[start], at[end]) for start, end in graph.edges)
    nodes = "\n".join(_node(node, *place) for node, place in sorted(at.items()))
    return (
        f'<div class="graph"><svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="lineage of what would stop">\n{edges}\n{nodes}\n</svg></div>'
    )


def _rows(graph: LineageGraph) -> dict[GraphNode, float]:
    """Return the row of each node; beside a long column a short one is at the top, where one looks.

    In the middle of the long one, what is withdrawn would be below the first screen.
    """
    rows = dict(graph.rows)
    if max(rows.values()) > _SCREEN:
        for layer in graph.layers:
            if len(layer) <= _SCREEN:
                ordered = sorted(layer, key=graph.rows.__getitem__)
                rows |= {node: float(place) for place, node in enumerate(ordered)}
    return rows


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x, y, to_x, to_y = start[0] + _BOX, start[1] + 11, end[0], end[1] + 11
    bend = _WIDTH - _BOX
    return f'<path d="M{x} {y}C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"/>'


def _node(node: GraphNode, x: int, y: int) -> str:
    full = f"{node.what}: {node.name}" + (f" ({node.detail})" if node.detail else "")
    return (
        f'<g class="{node.what.replace(" ", "-")}"><title>{escape(full)}</title>'
        f'<rect x="{x}" y="{y}" width="{_BOX}" height="22" rx="3"/>'
        f'<text x="{x + 8}" y="{y + 15}">{escape(_shortened(node.name))}</text></g>'
    )


def _shortened(name: str) -> str:
    """Cut a long name in the middle: names differ at both ends."""
    if len(name) <= _SHOWN_CHARS:
        return name
    half = (_SHOWN_CHARS - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
