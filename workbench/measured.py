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
HEIGHT = 330
"""Of a panel, in pixels."""


def measured(panels: Sequence[Panel], *, dark: bool = False) -> go.Figure:
    """The panels of a study's record (docs/formats.md, Studies). A series has the same colour in all of them."""
    shown = [panel for panel in panels if panel["points"]]
    count = max(1, len(shown))
    titles = [plain(panel["title"]) for panel in shown]
    figure = make_subplots(rows=count, cols=1, subplot_titles=titles, vertical_spacing=0.32 / count)
    names = list(dict.fromkeys(point["series"] for panel in shown for point in panel["points"]))
    known: set[str] = set()
    for row, panel in enumerate(shown, start=1):
        for place, name in enumerate(names):
            points = [point for point in panel["points"] if point["series"] == name]
            if points:
                figure.add_trace(_series(name, place, points, legend=name not in known), row=row, col=1)
                known.add(name)
        words = any(isinstance(point["x"], str) for point in panel["points"])
        figure.update_xaxes(title=plain(panel["x"]), type="category" if words else "log" if panel["log"] else "linear", row=row, col=1)
        if (
            not words
            and (places := sorted({point["x"] for point in panel["points"]}))
            and len(places) < 13
            and panel["x"] != "GFLOPs a problem"
        ):
            figure.update_xaxes(tickvals=places, ticktext=[f"{at:g}" for at in places], row=row, col=1)
        figure.update_yaxes(tickformat=".0%" if panel["percent"] else None, row=row, col=1)
    figure = styled(figure, dark=dark, height=HEIGHT * count + 60)
    return figure.update_layout(margin={"t": 60, "r": 16, "b": 56, "l": 64}, legend={"orientation": "v", "y": 1, "x": 1.02})


def _series(name: str, place: int, points: Sequence[Mapping[str, Any]], *, legend: bool) -> go.Scatter:
    words = any(isinstance(point["x"], str) for point in points)
    colour, symbol = PALETTE[place % len(PALETTE)], SYMBOLS[(place + place // len(PALETTE)) % len(SYMBOLS)]
    return go.Scatter(
        x=[plain(point["x"]) if isinstance(point["x"], str) else point["x"] for point in points],
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
        mode="markers" if words else "lines+markers",
        line={"color": colour, "width": 2},
        marker={"color": colour, "symbol": symbol, "size": 8},
    )
