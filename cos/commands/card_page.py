"""A report card as one HTML page that needs nothing else: findings, table, figures (Plotly, its script inside)."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import plotly.graph_objects as go

from cos.card.findings import table

Card = Mapping[str, Any]

GOOD, BAD, BESIDE = "#0f766e", "#c2410c", "#64748b"
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#2a3130;background:#fff}"
    "pre{overflow-x:auto;background:#f5f4f0;padding:1rem;font-size:13px}h2{margin-top:2.5rem;font-size:1.15rem}li{margin:.3rem 0}"
)


def page(card: Card) -> str:
    """The whole page."""
    title = f"Report card: {card['reward']} on {card['set']}"
    found = "".join(f"<li>{escape(text)}</li>" for text in card["findings"]) or "<li>No weakness shows in these figures.</li>"
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>",
        f"<p>Threshold and calibration from {escape(str(card['threshold_from']))}.</p><ul>{found}</ul>",
        f"<pre>{escape(table(card))}</pre>",
    ]
    for index, (heading, figure) in enumerate(figures(card).items()):
        drawn = figure.to_html(full_html=False, include_plotlyjs=index == 0, div_id=f"figure-{index}", config={"displaylogo": False})
        parts.append(f"<h2>{escape(heading)}</h2>{drawn}")
    return "\n".join([*parts, "</html>\n"])


def figures(card: Card) -> dict[str, go.Figure]:
    """Heading -> figure, of what the card has."""
    drawn = {
        "Rewards of right and of wrong steps": _histogram(card["curves"]),
        "Reliability: how often is a step with this reward right?": _reliability(card["curves"]),
        "Right steps kept against wrong steps kept": _roc(card["curves"]["roc"]),
        "Does it look? AUC with the true, another and a blank picture": _views(card),
        "By depth: AUC, and the share of steps that are right": _depths(card["by"]["depth"]),
        "Does it hold? Right chains accepted, as they are and written another way": _edits(card["edits"]),
    }
    if card["best_of_n"]:
        drawn["Best of N by aggregator"] = _best(card["best_of_n"])
    return drawn


def _figure(x: str, y: str, **layout: Any) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template="simple_white", height=340, margin={"l": 60, "r": 20, "t": 20, "b": 50}, legend={"orientation": "h", "y": 1.12}, **layout
    )
    figure.update_xaxes(title=x)
    figure.update_yaxes(title=y)
    return figure


def _histogram(curves: Card) -> go.Figure:
    figure = _figure("reward", "steps", barmode="overlay")
    middles = [(index + 0.5) / 20 for index in range(20)]
    for name, colour in (("right", GOOD), ("wrong", BAD)):
        figure.add_bar(x=middles, y=curves[f"rewards_{name}"], width=0.05, name=f"{name} steps", marker_color=colour, opacity=0.6)
    return figure


def _reliability(curves: Card) -> go.Figure:
    figure = _figure("mean reward, or probability", "share right")
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": "#8a8f8c"}, showlegend=False, hoverinfo="skip")
    for name, key, colour in (("as given", "reliability", BAD), ("calibrated", "reliability_calibrated", GOOD)):
        rows = [row for row in curves[key] or [] if row[0]]
        sizes = [6 + 18 * row[0] / max(row[0] for row in rows) for row in rows]
        figure.add_scatter(
            x=[row[1] for row in rows],
            y=[row[2] for row in rows],
            text=[f"{row[0]:.0f} steps" for row in rows],
            name=name,
            mode="lines+markers",
            marker={"size": sizes, "color": colour},
        )
    return figure


def _roc(points: list[list[float]]) -> go.Figure:
    figure = _figure("share of wrong steps kept", "share of right steps kept")
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": "#8a8f8c"}, hoverinfo="skip")
    figure.add_scatter(x=[x for x, _ in points], y=[y for _, y in points], mode="lines", line={"color": GOOD})
    return figure.update_layout(showlegend=False)


def _views(card: Card) -> go.Figure:
    figure = _figure("", "AUC", barmode="group")
    for name, prefix, colour in (("reading steps", "see_", GOOD), ("all steps", "", BESIDE)):
        values = [card[f"{prefix}auc"], card[f"{prefix}auc_swapped"], card[f"{prefix}auc_blank"]]
        figure.add_bar(x=["true picture", "another", "blank"], y=values, name=name, marker_color=colour)
    figure.add_hline(y=0.5, line={"dash": "dot", "color": "#8a8f8c"})
    return figure.update_yaxes(range=[0, 1.02])


def _depths(rows: Card) -> go.Figure:
    figure = _figure("step", "")
    for name, key, colour in (("AUC", "auc", GOOD), ("share right", "right_share", BESIDE)):
        text = [f"{row['steps']} steps" for row in rows.values()]
        values = [row[key] for row in rows.values()]
        figure.add_scatter(x=list(rows), y=values, text=text, name=name, mode="lines+markers", line={"color": colour})
    return figure.update_yaxes(range=[0, 1.02])


def _edits(rows: Card) -> go.Figure:
    figure = _figure("", "share accepted", barmode="group")
    for name, key, colour in (("as they are", "accepted_before", BESIDE), ("written another way", "accepted_after", GOOD)):
        figure.add_bar(x=list(rows), y=[row[key] for row in rows.values()], name=name, marker_color=colour)
    return figure.update_yaxes(range=[0, 1.02], tickformat=".0%")


def _best(best: Card) -> go.Figure:
    figure = _figure("aggregator", f"accuracy at {best['n']} chains")
    rows = sorted(best["aggregators"].items(), key=lambda pair: -pair[1]["accuracy"])
    values = [row["accuracy"] for _, row in rows]
    bars = [row["ci95"] for _, row in rows]
    error = {"type": "data", "array": [high - value for (_, high), value in zip(bars, values, strict=True)]}
    error["arrayminus"] = [value - low for (low, _), value in zip(bars, values, strict=True)]
    figure.add_bar(x=[name for name, _ in rows], y=values, error_y=error, marker_color=GOOD, showlegend=False)
    lines = {f"pass@{best['n']}": best["pass_at_n"], "one chain": best["pass_at_1"]}
    lines |= {name.replace("_", " "): best[name]["accuracy"] for name in ("vote",) if name in best}
    for name, value in lines.items():
        figure.add_hline(y=value, line={"dash": "dash", "color": BESIDE, "width": 1}, annotation_text=name, annotation_position="right")
    return figure.update_yaxes(range=[0, 1.02], tickformat=".0%").update_layout(margin={"r": 90})
