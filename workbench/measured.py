"""What a study has measured, as one figure: a panel below the other, a line or a row of dots a series, with 95 % intervals.

measured(json.loads(Path("study.json").read_text())["panels"]).show()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.plots import PALETTE, SYMBOLS, plain, styled

Panel = Mapping[str, Any]
HEIGHT = 380
"""Of a panel, in pixels."""
SPREAD = 0.6
"""What the series of one word on an axis of words take of its place, side by side."""
MOST_TICKS = 12


def measured(panels: Sequence[Panel], *, dark: bool = False) -> go.Figure:
    """The panels of a study's record (docs/formats.md, Studies). A series has the same colour in all of them."""
    shown = [panel for panel in panels if panel["points"]]
    count = max(1, len(shown))
    figure = make_subplots(rows=count, cols=1, subplot_titles=[plain(panel["title"]) for panel in shown], vertical_spacing=0.42 / count)
    names = list(dict.fromkeys(point["series"] for panel in shown for point in panel["points"]))
    known: set[str] = set()
    for row, panel in enumerate(shown, start=1):
        own = [name for name in names if any(point["series"] == name for point in panel["points"])]
        places = _places(panel)
        for order, name in enumerate(own):
            points = [point for point in panel["points"] if point["series"] == name]
            shift = (order + 0.5 - len(own) / 2) * SPREAD / len(own)
            at = [places[point["x"]] + shift if places else point["x"] for point in points]
            figure.add_trace(_series(name, names.index(name), at, points, joined=not places, legend=name not in known), row=row, col=1)
            known.add(name)
        figure.update_xaxes(**_axis(panel, places), row=row, col=1)
        figure.update_yaxes(tickformat=".0%" if panel["percent"] else None, row=row, col=1)
    figure = styled(figure, dark=dark, height=HEIGHT * count + 60)
    below = 130 if shown and _places(shown[-1]) else 56
    return figure.update_layout(margin={"t": 60, "r": 16, "b": below, "l": 64}, legend={"orientation": "v", "y": 1, "x": 1.02})


def _places(panel: Panel) -> dict[str, int]:
    """Where each word of an axis of words stands; empty for an axis of numbers."""
    words = dict.fromkeys(point["x"] for point in panel["points"])
    return {word: place for place, word in enumerate(words)} if all(isinstance(word, str) for word in words) else {}


def _axis(panel: Panel, places: Mapping[str, int]) -> dict[str, Any]:
    if places:
        return {
            "type": "linear",
            "tickvals": [*places.values()],
            "ticktext": [plain(word) for word in places],
            "range": [-0.5, len(places) - 0.5],
        }
    numbers = sorted({point["x"] for point in panel["points"]})
    ticks = {"tickvals": numbers, "ticktext": [f"{number:g}" for number in numbers]} if len(numbers) <= MOST_TICKS else {}
    return {"type": "log" if panel["log"] else "linear", "title": plain(panel["x"]), **ticks}


def _series(name: str, place: int, at: Sequence[float], points: Sequence[Mapping[str, Any]], *, joined: bool, legend: bool) -> go.Scatter:
    colour, symbol = PALETTE[place % len(PALETTE)], SYMBOLS[(place + place // len(PALETTE)) % len(SYMBOLS)]
    return go.Scatter(
        x=at,
        y=[point["value"] for point in points],
        error_y={
            "type": "data",
            "thickness": 1,
            "array": [point["high"] - point["value"] for point in points],
            "arrayminus": [point["value"] - point["low"] for point in points],
        },
        name=plain(name.replace("_", " ")),
        legendgroup=name,
        showlegend=legend,
        mode="lines+markers" if joined else "markers",
        line={"color": colour, "width": 2},
        marker={"color": colour, "symbol": symbol, "size": 8},
    )
