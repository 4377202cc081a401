"""What a reward model says of a chain with several pictures, and a report card's findings."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.render.marks import badge, clip, escape
from workbench.render.tables import table

Column = tuple[str, str, Sequence[float | None]]
"""Name of the picture, its address, the rewards with it."""
_SIGNS = {1.0: "✓ right", 0.0: "✗ wrong"}


def bench(steps: Sequence[tuple[str, str]], columns: Sequence[Column], truths: Sequence[float | None] | None) -> str:
    """Steps (name, text) down, pictures across; `truths`: of each step 1, 0 or None (neutral), None where no truth is known."""
    thumbs = "".join(
        f'<li><img alt="the picture: {escape(name)}" src="{escape(source)}">{escape(name)}</li>' for name, source, _ in columns
    )
    head = ["step", *(name for name, _, _ in columns), *(["truth"] if truths is not None else [])]
    rows = []
    for place, (name, text) in enumerate(steps):
        cells = [f"{place + 1} · {escape(clip(name, 60))}<br><small>{escape(clip(text, 200))}</small>"]
        first = columns[0][2][place]
        for number, (_, _, rewards) in enumerate(columns):
            reward = rewards[place]
            moved = f" <small>{reward - first:+.2f}</small>" if number and reward is not None and first is not None else ""
            cells.append(badge(reward) + moved)
        if truths is not None:
            truth = truths[place]
            cells.append("– neutral" if truth is None else _SIGNS[truth])
        rows.append(cells)
    return f'<ul class="thumbs">{thumbs}</ul>' + table("Rewards by step", head, rows)


def findings(texts: Sequence[str], figures: str, head: str) -> str:
    """What a report card says in words, and its table."""
    rows = "".join(f"<li>{escape(text)}</li>" for text in texts) or "<li>No weakness shows in these figures.</li>"
    table = f'<pre class="plain rows" tabindex="0">{escape(figures)}</pre>'
    return f'<p class="left-out">{escape(head)}</p><ul class="findings">{rows}</ul>{table}'


def facts(rows: Sequence[tuple[str, str]], card: str) -> str:
    """A model: what is known of it, and its card as plain text."""
    body = [[escape(name), escape(value)] for name, value in rows]
    text = f'<pre class="plain" tabindex="0">{escape(card)}</pre>' if card else '<p class="left-out">It has no card (README.md).</p>'
    return table("Model", ("", ""), body) + text
