"""The page shows the lineage, readable at 300 nodes, loads nothing and trusts no name."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from sidecar.core.documents import WithdrawalKind
from sidecar.impact.compare import Impact
from sidecar.impact.graph import GraphNode, lineage_graph
from sidecar.impact.page import MAX_NODES, impact_page
from tests.support.simulator.constants import BASE, CHILD, ENV, MODEL
from tests.support.simulator.many import declared_world, model_name, statements
from tests.support.simulator.predicates import sha
from tests.support.simulator.world import admitted_world, tuned_on_world
from tests.unit.impact.asking import impact_of

SVG = "{http://www.w3.org/2000/svg}"


def drawn(page: str) -> ET.Element:
    found = re.search(r"<svg.*</svg>", page, re.DOTALL)
    assert found
    return ET.fromstring(found[0])


def test_the_graph_leads_from_the_subject_by_the_lineage_to_the_environments() -> None:
    world = tuned_on_world()
    corpus = sha(f"training of {MODEL}")
    root = GraphNode("withdrawn", f"corpus {corpus}", "regulator")
    parent = GraphNode("manifest", f"openai/{MODEL}", world.digests["manifest"])
    child = GraphNode("manifest", f"openai/{CHILD}", world.digests["child"])
    environment = GraphNode("environment", ENV, "eu")
    graph = lineage_graph(impact_of(world, WithdrawalKind.CORPUS, corpus))
    assert graph.layers == ((root,), (parent,), (child,), (environment,))
    assert set(graph.edges) == {
        (root, parent),
        (parent, child),
        (parent, environment),
        (child, environment),
    }
    base = GraphNode("base model", f"openai/{BASE}")
    found = impact_of(world, WithdrawalKind.BASE_MODEL, f"openai/{BASE}")
    assert {(root.what, end) for root, end in lineage_graph(found).edges if end == base} == {
        ("withdrawn", base)
    }
    assert (base, environment) in lineage_graph(found).edges


def test_an_environment_that_stops_as_a_whole_is_hit_itself() -> None:
    graph = lineage_graph(impact_of(admitted_world(), WithdrawalKind.ENVIRONMENT, ENV))
    assert [(start.what, end.what) for start, end in graph.edges] == [("withdrawn", "environment")]


def test_what_is_hit_by_way_of_an_approval_is_hit_at_its_manifest() -> None:
    world = admitted_world()
    found = impact_of(world, WithdrawalKind.APPROVAL, world.digests["approval:regulator"])
    edges = lineage_graph(found).edges
    assert {(start.what, end.what) for start, end in edges} == {
        ("withdrawn", "manifest"),
        ("manifest", "environment"),
    }


def many(number: int) -> Impact:
    world = declared_world()
    for each in range(number):
        for place, data in enumerate(statements(world, each)):
            world.evidence[f"{each}:{place}"] = data
    return impact_of(world, WithdrawalKind.BASE_MODEL, f"openai/{BASE}")


@pytest.mark.slow
def test_300_nodes_are_drawn_apart_and_each_is_named_whole() -> None:
    found = many(300)
    svg = drawn(impact_page(found))
    boxes = [(int(r.attrib["x"]), int(r.attrib["y"])) for r in svg.iter(f"{SVG}rect")]
    assert len(boxes) == 303
    for column in {x for x, _ in boxes}:
        rows = sorted(y for x, y in boxes if x == column)
        assert all(below - above >= 22 for above, below in itertools.pairwise(rows))
    top = [
        group.attrib["class"]
        for group in svg.iter(f"{SVG}g")
        if [rect.attrib["y"] for rect in group.iter(f"{SVG}rect")] == ["24"]
    ]
    assert sorted(top) == ["base-model", "environment", "manifest", "withdrawn"]
    titles = {title.text or "" for title in svg.iter(f"{SVG}title")}
    assert sum(f"openai/{model_name(7)} (" in title for title in titles) == 1
    copies = [replace(found.stops[0], environment=f"spiffe://e/{n}") for n in range(MAX_NODES)]
    assert "<svg" not in impact_page(replace(found, stops=tuple(copies)))


def test_names_are_escaped_and_nothing_is_loaded() -> None:
    world = admitted_world()
    found = impact_of(world, WithdrawalKind.MODEL, f"openai/{MODEL}")
    hostile = "openai/</text><script>alert(1)</script>"
    stops = tuple(replace(stop, models=(hostile,), detail="<img src=x>") for stop in found.stops)
    page = impact_page(replace(found, authority="<b>&", stops=stops))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;b&gt;&amp;" in page
    assert re.findall(r"(?:src|href)=|url\(|@import", page.replace("&lt;img src=x&gt;", "")) == []
    assert "default-src 'none'" in page
