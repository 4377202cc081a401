"""Records to Plotly figures: pure, without gradio or torch; the app and the notebooks show the same figure.

reward_by_step({"step_beam": trace}).show()
accuracy_by_cost([{"method": "vote", "n": 16, "accuracy": 0.43, "ci95": [0.39, 0.47], "tokens": 900.0}, ...]).show()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cos.search.trace import SearchTrace
from workbench.render.cards import KINDS

PALETTE = ("#0f766e", "#c2410c", "#4f6bb0", "#a07c1c", "#8b4a86", "#4d7c3a", "#64748b")
"""One colour a method, of unlike lightness."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "x")
_COSTS = {"tokens": "tokens a question (all token-forwards)", "flops": "FLOPs a question", "seconds": "seconds a question", "n": "N"}


def reward_by_step(traces: Mapping[str, SearchTrace], threshold: float = 0.5, *, dark: bool = False) -> go.Figure:
    """The rewards along the path of each search's answer, the answer's own last; searches without an answer are left out."""
    figure = go.Figure()
    for index, (name, trace) in enumerate(traces.items()):
        if trace.chosen is None:
            continue
        line = [node for node in trace.line(trace.nodes[trace.chosen]) if node.reward is not None]
        figure.add_scatter(
            x=[node.depth for node in line],
            y=[node.reward for node in line],
            text=[plain(node.name if node.is_step else f"answer {node.answer}") for node in line],
            name=plain(name.replace("_", " ")),
            mode="lines+markers",
            hovertemplate="%{text}: %{y:.3f}<extra>%{fullData.name}</extra>",
            **_look(index),
        )
    figure.add_hline(y=threshold, line={"dash": "dot", "width": 1, "color": "#8a8f8c"})
    figure.update_xaxes(title="step", dtick=1)
    figure.update_yaxes(title="reward", range=[-0.03, 1.03])
    return styled(figure, dark=dark)


def accuracy_by_cost(rows: Iterable[Mapping[str, Any]], cost: str = "tokens", *, dark: bool = False) -> go.Figure:
    """Accuracy against what it cost, one line a method with its 95 % intervals.

    Each row: `method`, `accuracy` in [0, 1], `ci95` (low, high; may be missing) and the cost under its name (`tokens`, `flops`,
    `seconds` or `n`). Raises KeyError for a cost that a row does not have.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(str(row["method"]), []).append(row)
    figure = go.Figure()
    for index, (method, points) in enumerate(groups.items()):
        points = sorted(points, key=lambda row: row[cost])
        shares = [row["accuracy"] for row in points]
        bounds = [row.get("ci95") or (row["accuracy"], row["accuracy"]) for row in points]
        error = {"type": "data", "thickness": 1, "array": [high - share for (_, high), share in zip(bounds, shares, strict=True)]}
        error["arrayminus"] = [share - low for (low, _), share in zip(bounds, shares, strict=True)]
        figure.add_scatter(
            x=[row[cost] for row in points],
            y=shares,
            error_y=error,
            name=plain(method.replace("_", " ")),
            mode="lines+markers",
            **_look(index),
        )
    figure.update_xaxes(title=_COSTS.get(cost, cost), type="linear" if cost == "n" else "log")
    figure.update_yaxes(title="accuracy", tickformat=".0%")
    return styled(figure, dark=dark)


def accuracy_curves(rows: Sequence[Mapping[str, Any]], ceiling: Mapping[int, float] | None = None, *, dark: bool = False) -> go.Figure:
    """Accuracy against N and against FLOPs, side by side; rows as in `accuracy_by_cost`, with both costs. `ceiling`: N -> pass@N."""
    figure = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.03)
    for column, cost in enumerate(("n", "flops"), start=1):
        part = accuracy_by_cost([row for row in rows if row[cost] > 0], cost, dark=dark)
        for trace in part.data:
            trace.update(legendgroup=trace.name, showlegend=column == 1)
            figure.add_trace(trace, row=1, col=column)
        figure.update_xaxes(title=_COSTS[cost], type="log", row=1, col=column)
    if ceiling:
        line = {"dash": "dot", "width": 1, "color": "#8a8f8c"}
        figure.add_scatter(x=list(ceiling), y=list(ceiling.values()), name="pass@N", mode="lines", line=line, row=1, col=1)
    counts = sorted({row["n"] for row in rows} | {*(ceiling or ())})
    figure.update_xaxes(tickvals=counts, ticktext=[str(n) for n in counts], row=1, col=1)
    figure.update_yaxes(title="accuracy", tickformat=".0%", row=1, col=1)
    figure.update_yaxes(tickformat=".0%")
    return styled(figure, dark=dark, height=420)


def styled(figure: go.Figure, *, dark: bool = False, height: int = 300) -> go.Figure:
    """The common look: no frame, no fill, so that it sits on any page, light or dark."""
    ink, grid = ("#d7dcd9", "#343c3e") if dark else ("#2a3130", "#e3e0d8")
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 56, "r": 16, "t": 16, "b": 44},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": ink, "size": 13},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(gridcolor=grid, linecolor=grid, zeroline=False)
    figure.update_yaxes(gridcolor=grid, linecolor=grid, zeroline=False)
    return figure


def _look(index: int) -> dict[str, Any]:
    colour, symbol = PALETTE[index % len(PALETTE)], SYMBOLS[index % len(SYMBOLS)]
    return {"line": {"color": colour, "width": 2}, "marker": {"color": colour, "symbol": symbol, "size": 8}}


def plain(text: str | None) -> str:
    """Plotly reads a little HTML in labels (links, line breaks): no text may open a tag."""
    return (text or "").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def accuracy_view(rows: Sequence[Mapping[str, Any]], ceiling: Mapping[int, float], cost: str = "n", *, dark: bool = False) -> go.Figure:
    """Accuracy against one cost, with pass@N (`ceiling`: N -> share): a curve against N, else a line for the largest N.

    Rows as in `accuracy_by_cost`; those whose cost is not known (0) are left out.
    """
    figure = accuracy_by_cost([row for row in rows if row[cost] > 0], cost, dark=dark)
    line = {"dash": "dot", "width": 1.5, "color": "#8a8f8c"}
    if cost == "n":
        counts = sorted({row["n"] for row in rows} | {*ceiling})
        figure.add_scatter(x=list(ceiling), y=list(ceiling.values()), name="pass@N", mode="lines", line=line)
        figure.update_xaxes(type="log", tickvals=counts, ticktext=[str(n) for n in counts])
    elif ceiling:
        most = max(ceiling)
        figure.add_hline(y=ceiling[most], line=line, annotation_text=f"pass@{most}", annotation_position="top left")
    figure.update_yaxes(rangemode="tozero")
    return styled(figure, dark=dark, height=380)


def auc_by_group(groups: Mapping[str, Mapping[str, Mapping[str, Any]]], *, dark: bool = False) -> go.Figure:
    """A report card's AUC by depth, kind, level, ... (`card["by"]`), one panel each; a group's number of steps shows when pointed at."""
    figure = make_subplots(cols=max(1, len(groups)), shared_yaxes=True, horizontal_spacing=0.04, subplot_titles=[f"by {n}" for n in groups])
    for column, rows in enumerate(groups.values(), start=1):
        figure.add_bar(
            x=[plain(name) for name in rows],
            y=[row["auc"] for row in rows.values()],
            text=[f"{row['steps']} steps" for row in rows.values()],
            textposition="none",
            hovertemplate="%{x}: AUC %{y:.3f}, %{text}<extra></extra>",
            marker_color=PALETTE[(column - 1) % len(PALETTE)],
            showlegend=False,
            row=1,
            col=column,
        )
    figure.add_hline(y=0.5, line={"dash": "dot", "width": 1, "color": "#8a8f8c"})
    figure.update_xaxes(type="category")
    figure.update_yaxes(range=[0, 1.02])
    return styled(figure, dark=dark, height=300).update_layout(margin={"t": 32, "r": 40, "b": 64})


def cost_by_kind(traces: Mapping[str, SearchTrace], *, dark: bool = False) -> go.Figure:
    """What each search cost in token-forwards, by kind: what policy and reward model had to read, what was written, what was judged."""
    figure = go.Figure()
    names = [plain(name.replace("_", " ")) for name in traces]
    for (kind, says), tone in zip(KINDS, ("#9db8c9", "#2f6f96", "#d9c08a", "#a8741a"), strict=True):
        counts = [getattr(trace.meter, kind) for trace in traces.values()]
        figure.add_bar(y=names, x=counts, name=says, orientation="h", marker_color=tone, hovertemplate="%{y}: %{x:,} %{fullData.name}")
    figure.update_xaxes(title="token-forwards")
    figure.update_yaxes(autorange="reversed")
    return styled(figure, dark=dark, height=110 + 24 * len(names)).update_layout(
        barmode="stack", margin={"l": 110}, legend={"traceorder": "normal"}
    )


def differences(pairs: Sequence[Mapping[str, Any]], *, dark: bool = False) -> go.Figure:
    """Each method less its reference, in points of accuracy with the 95 % interval: rows of a summary's `paired` (`cos.summary`).

    Filled where p by Holm is below 0.05.
    """
    figure = go.Figure()
    sure = ["circle" if pair["p_holm"] < 0.05 else "circle-open" for pair in pairs]
    figure.add_scatter(
        x=[pair["difference"] for pair in pairs],
        y=[plain(f"{pair['ours']} - {pair['theirs']}".replace("_", " ")) for pair in pairs],
        error_x={
            "array": [pair["ci95"][1] - pair["difference"] for pair in pairs],
            "arrayminus": [pair["difference"] - pair["ci95"][0] for pair in pairs],
            "thickness": 1.5,
        },
        text=[f"p {pair['p_holm']:.2g}" for pair in pairs],
        mode="markers",
        marker={"symbol": sure, "size": 10, "color": PALETTE[0]},
        hovertemplate="%{y}: %{x:+.1%}, %{text}<extra></extra>",
    )
    figure.add_vline(x=0, line={"width": 1, "color": "#8a8f8c"})
    figure.update_xaxes(title="difference in accuracy", tickformat="+.0%")
    figure.update_yaxes(autorange="reversed")
    return styled(figure, dark=dark, height=110 + 28 * len(pairs)).update_layout(margin={"l": 210, "b": 54})
