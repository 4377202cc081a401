"""The small marks that all drawings share: escaped text, the colour of a reward, a reward as a badge, counts in words."""

from __future__ import annotations

import html
import math
from functools import lru_cache
from importlib.resources import files

STOPS = ((0.0, (194, 65, 12)), (0.5, (196, 160, 82)), (1.0, (15, 118, 110)))
"""Reward -> RGB: rust, sand, teal. Told apart by eyes that see no red or no green, and by lightness."""
UNSCORED = "var(--cos-unscored)"


def escape(text: object) -> str:
    """Text from outside, fit for element content and for quoted attributes."""
    return html.escape(str(text), quote=True)


def colour(reward: float | None) -> str:
    """CSS colour of a reward in [0, 1]; a theme variable where there is none."""
    if reward is None or not math.isfinite(reward):
        return UNSCORED
    reward = min(max(reward, 0.0), 1.0)
    (low, from_rgb), (high, to_rgb) = STOPS[:2] if reward <= 0.5 else STOPS[1:]
    share = (reward - low) / (high - low)
    return "#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in zip(from_rgb, to_rgb, strict=True))


def badge(reward: float | None) -> str:
    """A reward as number, bar and colour."""
    if reward is None:
        return '<span class="reward none" title="not scored">–</span>'
    return (
        f'<span class="reward" style="--tone:{colour(reward)};--share:{100 * reward:.0f}%" title="reward {reward:.3f}">'
        f'<i class="bar"></i><b>{reward:.2f}</b></span>'
    )


def clip(text: str, most: int) -> str:
    """At most `most` characters on one line, with an ellipsis where some were left out. Not escaped."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"


def count(number: float) -> str:
    """A count for people: 950, 12.4 k, 3.1 M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= size:
            return f"{number / (1e3 if unit == 'k' else size):.1f} {unit}"
    return f"{number:,.0f}"


@lru_cache(maxsize=1)
def stylesheet() -> str:
    """The rules of all drawings and pages (`style.css`)."""
    return (files("workbench") / "style.css").read_text("utf-8")


def rules(*parts: str) -> str:
    """The named parts of the stylesheet: each begins with a comment such as `/* tree */`."""
    found = {}
    for part in stylesheet().split("\n/* ")[1:]:
        name, _, text = part.partition(" */\n")
        found[name] = text
    return "\n".join(found[name] for name in parts)


def colours() -> str:
    """The variables at the top of the stylesheet, light and dark, and the typefaces that Gradio gives to its pages."""
    fonts = ':root { --font-mono: ui-monospace, "DejaVu Sans Mono", monospace; --font: system-ui, "DejaVu Sans", sans-serif; }\n'
    return fonts + stylesheet().split("\n/* ")[0]
