"""The drawings: every text escaped, every node drawn once, shapes and numbers beside colour, large trees cut and said so."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.search.trace import SCHEMA, Node, SearchTrace
from workbench.render import colour, panel, tree_svg
from workbench.render.marks import clip, count
from workbench.render.tree import MOST_DRAWN, layout, most_telling

HOSTILE = '<img src=x onerror="alert(1)">"\'&<script>alert(2)</script>'


def trace_of(text: str = "seen", nodes: list[dict[str, Any]] | None = None, answer: str | None = "4") -> SearchTrace:
    """A trace of two steps and an answer, each field `text`, with one pruned sibling; or of the given nodes."""
    trace = SearchTrace()
    start = {"schema": SCHEMA, "question": text, "image": None, "method": text, "settings": {}, "seed": 0, "models": {}, "problem": None}
    trace.apply({"kind": "start", "round": 0, "seconds": 0.0, "gold": text, **start})
    step = {"text": text, "name": text, "thought": text, "reflection": text, "status": "open"}
    rows = [
        {"id": 1, "parent": 0, "path": [0], "depth": 1, **step},
        {"id": 2, "parent": 0, "path": [1], "depth": 1, **step},
        {"id": 3, "parent": 1, "path": [0, 0], "depth": 2, **step},
        {"id": 4, "parent": 3, "path": [0, 0, 0], "depth": 3, "text": text, "answer": answer, "status": "finished"},
        {"id": 5, "parent": 3, "path": [0, 0, 1], "depth": 3, "text": text, "status": "malformed", "why": text},
    ]
    trace.apply({"kind": "expanded", "round": 1, "nodes": nodes or rows, "merged": [], "seconds": 0.5})
    if nodes is None:
        trace.apply({"kind": "scored", "round": 1, "rewards": [[1, 0.9], [2, 0.1], [3, 0.25], [4, 0.8]], "shown": False})
        trace.apply({"kind": "decided", "round": 1, "nodes": [{"id": 2, "status": "pruned", "why": text}]})
        trace.apply({"kind": "answered", "round": 1, "answer": answer, "chosen": 4, "reward": 0.8, "score": 0.7, "why": text})
        trace.apply({"kind": "ended", "round": 1, "ended": "answered", "why": text})
    return trace


def yes(answer: str) -> bool:
    return True


def no(answer: str) -> bool:
    return False


class Tags(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


PLAIN = Tags(panel(trace_of(), is_right=yes, selected=2) + panel(trace_of(), is_right=no) + panel(trace_of(), selected=5))


@pytest.mark.parametrize("selected", [None, 1, 2, 4, 5, 10**9])
def test_hostile_text_stays_text(selected: int | None) -> None:
    seen = Tags(panel(trace_of(HOSTILE, answer=HOSTILE), is_right=no, selected=selected))
    assert seen.tags <= PLAIN.tags and seen.attributes <= PLAIN.attributes
    assert not {"img", "script"} & seen.tags and not any(name.startswith("on") for name in seen.attributes)


@given(st.text(max_size=60))
def test_no_text_makes_a_tag(text: str) -> None:
    seen = Tags(panel(trace_of(text, answer=text), is_right=no))
    assert seen.tags <= PLAIN.tags and seen.attributes <= PLAIN.attributes


def test_a_card_shows_number_and_flag_and_the_panel_its_verdict() -> None:
    html = panel(trace_of(), is_right=yes, threshold=0.5)
    assert html.count("⚑ first step under 0.50") == 1 and "0.25" in html and "✓ right" in html
    assert html.index("0.90") < html.index("⚑") and "⚑" not in panel(trace_of(), threshold=0.2)
    assert html.count("✓4") == 1 and "✓4" not in panel(trace_of(), is_right=no)
    assert "✗ wrong" in panel(trace_of(), is_right=no) and "right" not in panel(trace_of()).replace("bright", "")


def test_a_picked_node_shows_its_own_path_and_why_it_was_dropped() -> None:
    trace = trace_of()
    trace.nodes[2].why = "rank 5 of 8, width 4"
    html = panel(trace, selected=2)
    assert "rank 5 of 8, width 4" in html and "pruned" in html and "back to the answer" in html
    assert html.count('<li class="step') == 1


def test_the_tree_is_well_formed_and_draws_each_node_once() -> None:
    trace = trace_of("a & b < c")
    svg = re.search(r"<svg.*</svg>", tree_svg(trace, selected=2))
    assert svg is not None
    nodes = [group for group in ElementTree.fromstring(svg[0]).iter("g") if "data-node" in group.attrib]
    assert [int(group.attrib["data-node"]) for group in nodes] == [0, 1, 2, 3, 4, 5]
    assert {group.attrib["class"] for group in nodes} >= {"node pruned", "node chosen", "node malformed"}
    assert [group.attrib["aria-selected"] for group in nodes].count("true") == 1


def test_leaves_stand_in_rows_and_parents_between_their_children() -> None:
    places, width, height = layout(trace_of().nodes)
    at = {place.node.id: place for place in places}
    assert at[4].y < at[5].y < at[2].y and at[3].y == (at[4].y + at[5].y) / 2
    assert at[0].x < at[1].x == at[2].x < at[3].x < at[4].x <= width and all(0 <= place.y <= height for place in places)


def test_ten_thousand_nodes_are_cut_and_the_answer_stays() -> None:
    rows = [{"id": id, "parent": 0, "path": [id], "depth": 1, "name": "s", "status": "pruned"} for id in range(1, 10_000)]
    rows.append({"id": 10_000, "parent": 9_999, "path": [9_999, 0], "depth": 2, "answer": "7", "status": "chosen"})
    trace = trace_of(nodes=rows)
    drawn = most_telling(trace)
    assert len(drawn) <= MOST_DRAWN and {0, 9_999, 10_000} <= {node.id for node in drawn}
    html = panel(trace)
    assert len(html) < 400_000 and "of 10,001 nodes are not drawn" in html


def test_a_chain_of_any_depth_is_laid_out() -> None:
    nodes = [Node(id, id - 1 if id else None, (0,) * id, id) for id in range(5000)]
    assert len(layout(nodes)[0]) == 5000


@pytest.mark.parametrize(("reward", "wanted"), [(0.0, "#c2410c"), (0.5, "#c4a052"), (1.0, "#0f766e"), (7.0, "#0f766e")])
def test_colours_at_the_stops(reward: float, wanted: str) -> None:
    assert colour(reward) == wanted


def test_a_live_trace_without_anything_is_drawn() -> None:
    assert "reading the picture" in panel(SearchTrace()) and colour(None) == colour(float("nan"))


def test_small_marks() -> None:
    assert [count(number) for number in (0, 950, 12_400, 3.1e6, 2e9)] == ["0", "950", "12.4 k", "3.1 M", "2.0 G"]
    assert clip("a  b\n c", 10) == "a b c" and clip("abcdef", 4) == "abc…"
