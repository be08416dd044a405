"""Makes the lineage graph of an impact, and lays it out in layers from left to right.

Nodes are what is withdrawn, base models, manifests and environments; an edge leads from what is
relied on to what relies on it. A node's layer is the longest path to it. Within a layer, nodes are
ordered by the mean position of their neighbours, in alternating sweeps (Sugiyama, Tagawa and Toda
1981), so that few edges cross.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from sidecar.core.assessment import Chain
from sidecar.core.cascade import manifest_nodes
from sidecar.core.documents import Withdrawal
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.lineage import AnyNode, base_nodes, evidence_nodes, specification_nodes
from sidecar.core.memory import LineageNode
from sidecar.core.predicates import Manifest
from sidecar.impact.compare import Impact

_SWEEPS = 6


@dataclass(frozen=True, slots=True, order=True)
class GraphNode:
    """One node: what it is (``withdrawn``, ``base model``, ``manifest``, ``environment``)."""

    what: str
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LineageGraph:
    """A graph in layers.

    Attributes:
        layers: From left to right, each from top to bottom.
        rows: Node → its row from the top, in units of one node's height; rows of a layer differ by
            at least one.
        edges: Pairs of nodes, sorted; the first is relied on by the second.
    """

    layers: tuple[tuple[GraphNode, ...], ...]
    rows: Mapping[GraphNode, float]
    edges: tuple[tuple[GraphNode, GraphNode], ...]


def lineage_graph(found: Impact) -> LineageGraph:
    """Return the graph of everything that would stop, with the lineage it stops through."""
    root = GraphNode("withdrawn", f"{found.entry.kind} {found.entry.subject}", found.authority)
    edges: set[tuple[GraphNode, GraphNode]] = set()
    whole = {stop.environment for stop in found.stops if not stop.models}
    for stop in found.stops:
        environment = GraphNode("environment", stop.environment, ", ".join(stop.jurisdictions))
        if stop.environment in whole:
            edges.add((root, environment))
        for chain in stop.before.chains:
            path = [*_path(stop.models[0].partition("/")[0], chain, found.entry)]
            struck = [number for number, (_, hit) in enumerate(path) if hit]
            if not struck and stop.environment in whole:
                continue
            # What an older statement or a successor leads to is drawn as hit where it is called.
            nodes = [root, *(node for node, _ in path[min(struck, default=-1) :]), environment]
            edges.update(pairwise(nodes))
    return _laid_out(root, edges)


def _path(provider: str, chain: Chain, entry: Withdrawal) -> Iterator[tuple[GraphNode, bool]]:
    """Yield a chain from its base model to the model called, and whether each is hit directly."""
    signed = [*reversed(chain.parents)]
    if chain.manifest is not None and chain.producer is not None:
        signed.append((chain.manifest, chain.producer))
    base = signed[0][0].predicate.model.base if signed else chain.base
    hit = _hits(entry, base_nodes(provider, base))
    yield GraphNode("base model", f"{provider}/{base}"), hit
    for item, signer in signed:
        yield _manifest(item), _hits(entry, _relied_on(chain, item, signer))


def _relied_on(chain: Chain, item: Evidence[Manifest], signer: Signer) -> Iterator[AnyNode]:
    yield from manifest_nodes(item, signer)
    if item is not chain.manifest:
        return
    for one in chain.suites:
        yield from evidence_nodes(one.result, one.signer)
    for each in chain.approvals:
        yield from evidence_nodes(each.approval, each.signer)
    for named in chain.specifications:
        yield from specification_nodes(named.specification, named.signer)


def _manifest(item: Evidence[Manifest]) -> GraphNode:
    model = item.predicate.model
    return GraphNode("manifest", f"{model.provider}/{model.id}", item.digest)


def _hits(entry: Withdrawal, nodes: Iterable[AnyNode]) -> bool:
    return any(isinstance(n, LineageNode) and entry.hits(n.kind, n.subject) for n in nodes)


def _laid_out(root: GraphNode, edges: set[tuple[GraphNode, GraphNode]]) -> LineageGraph:
    before: dict[GraphNode, list[GraphNode]] = defaultdict(list)
    after: dict[GraphNode, list[GraphNode]] = defaultdict(list)
    for start, end in sorted(edges):
        before[end].append(start)
        after[start].append(end)
    layers = _layers(root, before, after)
    rows = {node: float(row) for layer in layers for row, node in enumerate(layer)}
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        for layer in layers if forth else reversed(layers):
            _order(layer, before if forth else after, rows)
    top = min(rows.values())
    placed = {node: row - top for node, row in rows.items()}
    return LineageGraph(tuple(tuple(layer) for layer in layers), placed, tuple(sorted(edges)))


def _layers(
    root: GraphNode,
    before: Mapping[GraphNode, list[GraphNode]],
    after: Mapping[GraphNode, list[GraphNode]],
) -> list[list[GraphNode]]:
    """Return the nodes by the longest path from the root; a lineage has no cycles."""
    waits = {node: len(starts) for node, starts in before.items()}
    depth, ready = {root: 0}, [root]
    for node in ready:
        for end in after.get(node, ()):
            depth[end] = max(depth.get(end, 0), depth[node] + 1)
            waits[end] -= 1
            if not waits[end]:
                ready.append(end)
    last = max(depth.values())
    layers: list[list[GraphNode]] = [[] for _ in range(last + 1)]
    for node in sorted(depth):
        # Environments end every path: together in the last layer they read as one list.
        layers[last if node.what == "environment" else depth[node]].append(node)
    return [layer for layer in layers if layer]


def _order(
    layer: list[GraphNode],
    neighbours: Mapping[GraphNode, list[GraphNode]],
    rows: dict[GraphNode, float],
) -> None:
    """Order one layer by the mean row of each node's neighbours, and place it near them."""
    wanted = {
        node: fmean(rows[each] for each in neighbours[node]) if neighbours.get(node) else rows[node]
        for node in layer
    }
    layer.sort(key=lambda node: (wanted[node], node))
    free = min(wanted.values())
    for node in layer:
        rows[node] = max(free, wanted[node])
        free = rows[node] + 1
    lower = fmean(rows[node] - wanted[node] for node in layer)
    for node in layer:
        rows[node] -= lower
