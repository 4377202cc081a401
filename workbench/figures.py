"""Figures of trainings, labels and rewards, beside those of searches in `workbench.plots`: plain numbers in, a Plotly figure out.

bars({"charts": {1: 2.9, 2: 4.1}, "scenes": {1: 3.0, 2: 5.2}}, x="level", y="steps")
lines({"seen": {20: 0.4, 40: (0.5, 0.4, 0.6)}}, x="steps of training", y="share right", percent=True)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from workbench.plots import PALETTE, SYMBOLS, styled

Value = float | tuple[float, float, float]
"""A number, or an estimate with the bounds of its interval (`cos.metrics.Interval`)."""
Series = Mapping[str, Mapping[Any, Value]]
"""Name -> place on the horizontal axis -> value."""


def bars(series: Series, *, x: str = "", y: str = "", percent: bool = False) -> go.Figure:
    """One bar for each entry of each series, side by side where series share a place; bounds, where given, as error bars.

    `percent`: the values are shares of 1.
    """
    figure = go.Figure()
    for index, (name, values) in enumerate(series.items()):
        colour = PALETTE[index % len(PALETTE)]
        figure.add_bar(x=[str(place) for place in values], name=name, marker_color=colour, **_estimates(values))
    figure.update_xaxes(type="category", showgrid=False)
    return _named(figure, x, y, percent, len(series))


def lines(series: Series, *, x: str = "", y: str = "", percent: bool = False, log: bool = False) -> go.Figure:
    """One line for each series; places are numbers. `percent` as in `bars`; `log`: the places are written as powers would be."""
    figure = go.Figure()
    for index, (name, values) in enumerate(series.items()):
        colour, symbol = PALETTE[index % len(PALETTE)], SYMBOLS[index % len(SYMBOLS)]
        look = {"line": {"color": colour, "width": 2}, "marker": {"color": colour, "symbol": symbol, "size": 8}}
        figure.add_scatter(x=list(values), name=name, mode="lines+markers", **look, **_estimates(values))
    if log:
        places = sorted({place for values in series.values() for place in values})
        figure.update_xaxes(type="log", tickvals=places, ticktext=[f"{place:g}" for place in places])
    return _named(figure, x, y, percent, len(series))


def histograms(groups: Mapping[str, Sequence[float]], *, x: str = "", y: str = "", bins: int = 20) -> go.Figure:
    """How the values of each group, between 0 and 1, are spread: shares of the group, one histogram over the other."""
    figure = go.Figure()
    for index, (name, values) in enumerate(groups.items()):
        figure.add_histogram(
            x=list(values),
            name=f"{name} ({len(values)})",
            xbins={"start": 0, "end": 1.0001, "size": 1 / bins},
            histnorm="probability",
            marker_color=PALETTE[index % len(PALETTE)],
            opacity=0.6,
        )
    return _named(figure, x, y, True, len(groups)).update_layout(barmode="overlay")


def _estimates(values: Mapping[Any, Value]) -> dict[str, Any]:
    """The heights, and the bounds of those that have some."""
    found = [value if isinstance(value, tuple) else (value, value, value) for value in values.values()]
    error = {"type": "data", "thickness": 1, "visible": any(low < high for _, low, high in found)}
    error["array"] = [high - middle for middle, _, high in found]
    error["arrayminus"] = [middle - low for middle, low, _ in found]
    return {"y": [middle for middle, _, _ in found], "error_y": error}


def _named(figure: go.Figure, x: str, y: str, percent: bool, count: int) -> go.Figure:
    figure.update_xaxes(title=x, automargin=True)
    figure.update_yaxes(title=y, tickformat=".0%" if percent else None)
    return styled(figure).update_layout(showlegend=count > 1)
