"""A search as an interactive Plotly tree, for notebooks: point at a node to read its step, move the slider to see the search grow.

tree(trace, is_right).show()                        # one search: every step in full
forest({"best_of_n": one, "step_beam": other})      # several side by side, a line a node

The drawing is that of the app's tree (`workbench.render.tree`): depth to the right, one row a leaf, the reward as colour, circles for
steps, squares for answers, crosses for what was cut off or is no step; what a search has dropped is small and faint.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from cos.search.trace import Node, SearchTrace
from workbench.plots import plain, styled
from workbench.render.marks import STOPS, clip, colour
from workbench.render.tree import Place, describe, layout, most_telling

_INK, _UNSCORED = "#1d2324", "#a3a196"
_EDGES = {"dropped": ("#dcd8cd", 1.0), "kept": ("#8a8f8c", 1.6), "chosen": (_INK, 2.4)}
_SIZES = {"dropped": 6, "kept": 10, "chosen": 13}
_LINE = 56  # characters of a line in a label
_BEND = (0.0, 0.15, 0.3, 0.45, 0.55, 0.7, 0.85, 1.0)
IsRight = Callable[[str], bool]


def tree(trace: SearchTrace, is_right: IsRight | None = None, *, dark: bool = False) -> go.Figure:
    """One search. The slider, where there are several rounds, shows the nodes drawn up to a round; their status is that at the end.

    `is_right` says whether an answer is the known one: right answers are ticked.
    """
    places, _, height = layout(most_telling(trace))
    figure = go.Figure()
    rounds = sorted({place.node.round for place in places})
    for number in rounds:
        figure.add_traces(_edges(places, number))
    for number in rounds:  # above all edges
        figure.add_trace(_nodes(places, number, is_right, _told))
    figure.add_trace(_colour_bar())
    _bare(figure, places, 0.2)
    styled(figure, dark=dark, height=int(max(320, 1.25 * height)) + 90)
    if len(rounds) > 2:  # the root has a round of its own
        figure.update_layout(sliders=[_slider(rounds)])
    return figure.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 8}, hovermode="closest", showlegend=False)


def forest(traces: Mapping[str, SearchTrace], is_right: IsRight | None = None, *, columns: int = 3, dark: bool = False) -> go.Figure:
    """Several searches, each under its name and the answer that it came to; a node says one line when pointed at."""
    rows = -(-len(traces) // columns)
    titles = [f"{plain(name.replace('_', ' '))}: {_ended(trace, is_right)}" for name, trace in traces.items()]
    figure = make_subplots(rows, columns, subplot_titles=titles, horizontal_spacing=0.02, vertical_spacing=min(0.1, 0.28 / rows))
    for index, trace in enumerate(traces.values()):
        at = {"row": index // columns + 1, "col": index % columns + 1}
        places, _, _ = layout(most_telling(trace))
        for part in (*_edges(places), _nodes(places, None, is_right, lambda node: plain(clip(describe(node), 110)))):
            figure.add_trace(part, **at)
        _bare(figure, places, 0.34, **at)
    styled(figure, dark=dark, height=60 + 230 * rows)
    return figure.update_layout(margin={"l": 8, "r": 8, "t": 32, "b": 8}, hovermode="closest", showlegend=False).update_annotations(
        font={"size": 13}
    )


def _edges(places: Sequence[Place], number: int | None = None) -> list[go.Scatter]:
    """To what was dropped, to what was not, and on the way to the answer; of one round, or of all."""
    at = {place.node.id: place for place in places}
    edges = [(at[place.node.parent], place) for place in places if place.node.parent is not None and number in (None, place.node.round)]
    return [_lines([edge for edge in edges if _group(edge[1].node) == name], *look) for name, look in _EDGES.items()]


def _nodes(places: Sequence[Place], number: int | None, is_right: IsRight | None, says: Callable[[Node], str]) -> go.Scatter:
    """The nodes of one round, or of all."""
    own = [place for place in places if number in (None, place.node.round)]
    leaves = {place.node.id for place in places} - {place.node.parent for place in places}
    return go.Scatter(
        x=_packed([place.x for place in own]),
        y=_packed([place.y for place in own]),
        mode="markers+text",
        marker={
            "color": [_paint(place.node) for place in own],
            "symbol": [_symbol(place.node) for place in own],
            "size": _packed([_SIZES[_group(place.node)] for place in own]),
            "line": {"width": _packed([1.5 * (place.node.status == "chosen") for place in own]), "color": _INK},
            "opacity": 1,
        },
        text=[_label(place.node, is_right) if place.node.id in leaves else "" for place in own],
        textposition="middle right",
        textfont={"size": 11},
        hovertext=[says(place.node) for place in own],
        hoverinfo="text",
        cliponaxis=False,
    )


def _lines(edges: Sequence[tuple[Place, Place]], tone: str, width: float) -> go.Scatter:
    """All edges as one line with gaps, each bent as in the app's drawing."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for start, end in edges:
        xs += [*(start.x + (end.x - start.x) * t for t in _BEND), None]
        ys += [*(start.y + (end.y - start.y) * t * t * (3 - 2 * t) for t in _BEND), None]
    return go.Scatter(x=_packed(xs), y=_packed(ys), mode="lines", line={"color": tone, "width": width}, hoverinfo="skip")


def _packed(values: Sequence[float | None]) -> NDArray[np.float32]:
    """Plotly writes an array as its bytes, a list as a line a number: far more in a notebook."""
    return np.array(values, dtype=np.float32)


def _group(node: Node) -> str:
    if node.status in ("pruned", "cut", "malformed"):
        return "dropped"
    return "chosen" if node.status == "chosen" else "kept"


def _paint(node: Node) -> str:
    return _INK if node.id == 0 else _UNSCORED if node.reward is None else colour(node.reward)


def _symbol(node: Node) -> str:
    if node.status in ("cut", "malformed"):
        return "x-thin-open"
    return "square" if node.id == 0 or node.answer is not None else "circle"


def _label(node: Node, is_right: IsRight | None) -> str:
    """A leaf's answer, ticked where it is right, and how often it was drawn."""
    if node.answer is None:
        return ""
    tick = "✓ " if is_right and is_right(node.answer) else ""
    many = f" ×{node.count}" if node.count > 1 else ""
    return f" {tick}{plain(clip(node.answer, 12) or '(empty)')}{many}"


def _told(node: Node) -> str:
    """A node in full: what it is, its thought and its reflection, in lines of a readable length."""
    head = "<br>".join(plain(line) for line in textwrap.wrap(describe(node), _LINE))
    bodies = [text for text in (node.thought, node.reflection) if text]
    body = "".join("<br>" + "<br>".join(plain(line) for line in textwrap.wrap(clip(text, 400), _LINE)) for text in bodies)
    return f"<b>{head}</b>{body}"


def _ended(trace: SearchTrace, is_right: IsRight | None) -> str:
    if trace.answer is None:
        return "no answer"
    sign = "" if is_right is None else " ✓" if is_right(trace.answer) else " ✗"
    return plain(clip(trace.answer, 16)) + sign


def _colour_bar() -> go.Scatter:
    """Nothing but the scale of the rewards."""
    scale = [[at, f"rgb{tone}"] for at, tone in STOPS]
    bar = {"title": {"text": "reward"}, "thickness": 10, "len": 0.6, "y": 0.6, "outlinewidth": 0}
    marker = {"color": [0.5], "colorscale": scale, "cmin": 0, "cmax": 1, "showscale": True, "colorbar": bar, "size": 0.1}
    return go.Scatter(x=[None], y=[None], mode="markers", marker=marker, hoverinfo="skip")


def _bare(figure: go.Figure, places: Sequence[Place], room: float, **at: int) -> None:
    """No axes, the root on the left, the first row at the top, and room for the answers on the right, as a share of the width."""
    xs, ys = [place.x for place in places], [place.y for place in places]
    width = max(xs) - min(xs) + 1
    figure.update_xaxes(visible=False, range=[min(xs) - 0.04 * width, max(xs) + room * width], **at)
    figure.update_yaxes(visible=False, range=[max(ys) + 8, min(ys) - 8], **at)


def _slider(rounds: Sequence[int]) -> dict[str, Any]:
    """What was drawn up to each round; the last step shows all. The order is that of `tree`: edges by round, nodes by round, the scale."""
    steps = []
    for number in rounds:
        shown = [*(of <= number for of in rounds for _ in _EDGES), *(of <= number for of in rounds), True]
        steps.append({"label": str(number), "method": "restyle", "args": [{"visible": shown}]})
    return {"active": len(rounds) - 1, "steps": steps, "currentvalue": {"prefix": "drawn up to round "}, "pad": {"t": 8}, "len": 0.9}
