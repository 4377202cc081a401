"""The world of bar charts: read, sum, difference, compare, extremes, count above a line, order, with the truth of every step.

`truth` holds `content` (`bars`: colour and value, left to right or top to bottom), `style` (see `chart_pictures`) and `ask`
(see `chart_questions`). A chain reads bars step by step, then works on what was read.
"""

from __future__ import annotations

import random
from typing import Any

from cos.problems.chart_chains import chain, corrupt, reason
from cos.problems.chart_checks import check
from cos.problems.chart_pictures import COLOURS, TOP, draw, draw_style
from cos.problems.chart_questions import draw_ask, draw_kind, word
from cos.problems.world import Truth

__all__ = ["NAME", "chain", "check", "corrupt", "describe", "draw", "sample"]

NAME = "charts"
_BARS = {1: (3, 4), 2: (4, 5), 3: (4, 6)}


def sample(rng: random.Random, split: str, level: int) -> dict[str, Any]:
    """Draw `{question, answer, kind, truth}`; in `shift` the style is one that no other split has."""
    style = draw_style(rng, split == "shift")
    kind, yes = draw_kind(rng, level), rng.random() < 0.5
    while True:
        count = rng.randint(*_BARS[level])
        bars = list(zip(rng.sample(list(COLOURS), count), rng.sample(range(1, TOP + 1), count), strict=True))
        ask = draw_ask(rng, kind, level, bars, style["horizontal"], yes)
        if ask is not None:
            break
    truth = {"content": {"bars": [list(bar) for bar in bars]}, "style": style, "ask": ask}
    answer = reason(bars, ask, random.Random(0)).answer
    return {"question": word(rng, ask, style["horizontal"]), "answer": answer, "kind": ask["kind"], "truth": truth}


def describe(truth: Truth) -> str:
    """Every bar from left to right, or from top to bottom: "red 12, blue 5, green 9."."""
    return ", ".join(f"{name} {value}" for name, value in truth["content"]["bars"]) + "."
