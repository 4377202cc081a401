"""Figures of trainings, labels and rewards, beside those of searches in `workbench.plots`: plain numbers in, a Plotly figure out.

bars({"charts": {1: 2.9, 2: 4.1}, "scenes": {1: 3.0, 2: 5.2}}, x="level", y="steps")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from workbench.plots import PALETTE, styled

Value = float | tuple[float, float, float]
"""A number, or an estimate with the bounds of its interval."""


def bars(series: Mapping[str, Mapping[Any, Value]], *, x: str, y: str, percent: bool = False) -> go.Figure:
    """One bar for each entry of each series, side by side where series share a place; bounds, where given, as error bars.

    `percent`: the values are shares of 1.
    """
    figure = go.Figure()
    for index, (name, values) in enumerate(series.items()):
        estimates = [(value, value, value) if isinstance(value, float | int) else value for value in values.values()]
        figure.add_bar(
            x=[str(place) for place in values],
            y=[middle for middle, _, _ in estimates],
            error_y={
                "array": [high - middle for middle, _, high in estimates],
                "arrayminus": [middle - low for middle, low, _ in estimates],
                "visible": any(low < high for _, low, high in estimates),
                "thickness": 1,
            },
            name=name,
            marker_color=PALETTE[index % len(PALETTE)],
        )
    figure.update_xaxes(title=x, type="category")
    figure.update_yaxes(title=y, tickformat=".0%" if percent else None)
    return styled(figure).update_layout(showlegend=len(series) > 1)
