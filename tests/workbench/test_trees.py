"""The tree as a figure: every node once, the same numbers and shapes as the trace, no text as markup, rounds that add up to the whole."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from hypothesis import given
from hypothesis import strategies as st

from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.protocols import Prompt
from cos.search.methods import Settings
from cos.search.scheduler import solve
from cos.search.trace import SCHEMA, SearchTrace
from workbench.trees import forest, tree


def beam() -> SearchTrace:
    return solve(Prompt("How many bars are red?"), ScriptedPolicy(), ScriptedScorer(), "step_beam", Settings(n=8, width=2))


def nodes_of(figure: go.Figure) -> list[go.Scatter]:
    """The traces that hold nodes."""
    return [part for part in figure.data if part.mode == "markers+text"]


def test_every_node_stands_once_with_its_reward_and_shape() -> None:
    trace = beam()
    drawn = nodes_of(tree(trace, lambda answer: answer == trace.answer))
    assert len(drawn) == len({node.round for node in trace.nodes})
    places = {place for part in drawn for place in zip(part.x, part.y, strict=True)}
    said = [text for part in drawn for text in part.hovertext]
    assert len(places) == len(said) == len(trace.nodes)
    for node in trace.nodes[1:]:
        assert any(f"reward {node.reward:.2f}" in text for text in said)
    squares = sum(symbol == "square" for part in drawn for symbol in part.marker.symbol)
    assert squares == 1 + sum(node.answer is not None for node in trace.nodes)
    ticked = [text for part in drawn for text in part.text if "✓" in text]
    assert len(ticked) == sum(node.answer == trace.answer for node in trace.leaves() if node.answer is not None)


def test_the_slider_adds_round_after_round() -> None:
    figure = tree(beam())
    steps = figure.layout.sliders[0].steps
    shown = [step.args[0]["visible"] for step in steps]
    assert all(shown[-1]) and len(shown[0]) == len(figure.data)
    counts = [sum(flags) for flags in shown]
    assert counts == sorted(set(counts)) and all(flags[-1] for flags in shown)
    rounds = [place for place, part in enumerate(figure.data) if part.mode == "markers+text"]
    assert [sum(flags[place] for place in rounds) for flags in shown] == list(range(1, len(rounds) + 1))
    assert not tree(SearchTrace()).layout.sliders  # nothing was drawn yet


def test_an_edge_is_dark_on_the_way_to_the_answer_alone() -> None:
    trace = beam()
    dark = [part for part in tree(trace).data if part.mode == "lines" and part.line.width > 2]
    assert trace.chosen is not None
    assert sum(int(np.isnan(part.x).sum()) for part in dark) == trace.nodes[trace.chosen].depth


def test_searches_stand_side_by_side_under_what_they_answered() -> None:
    trace = beam()
    figure = forest({"step_beam": trace, "none": SearchTrace(), "third": trace, "fourth": trace}, lambda answer: False, columns=3)
    assert [note.text for note in figure.layout.annotations[:2]] == [f"step beam: {trace.answer} ✗", "none: no answer"]
    assert len(nodes_of(figure)) == 4


@given(st.text(max_size=60))
def test_no_text_makes_a_tag(text: str) -> None:
    trace = SearchTrace()
    start: dict[str, object] = {
        "schema": SCHEMA,
        "question": text,
        "image": None,
        "method": text,
        "settings": {},
        "seed": 0,
        "models": {},
        "problem": None,
    }
    trace.apply({"kind": "start", "round": 0, "gold": text, **start})
    step = {"id": 1, "parent": 0, "path": [0], "depth": 1, "name": text, "thought": text, "reflection": text, "status": "open", "round": 1}
    answer = {"id": 2, "parent": 1, "path": [0, 0], "depth": 2, "answer": text, "status": "finished", "round": 2}
    trace.apply({"kind": "expanded", "round": 1, "nodes": [step, answer], "merged": []})
    for figure in (tree(trace), forest({text: trace})):
        said = [words for part in nodes_of(figure) for words in (*part.hovertext, *part.text)]
        said += [note.text for note in figure.layout.annotations]
        for words in said:
            assert "<" not in str(words).replace("<br>", "").replace("<b>", "").replace("</b>", "")
