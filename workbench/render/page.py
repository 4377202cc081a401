"""A search, or several of one run, as one HTML file: no server, no network, clicks and keys included."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from importlib.resources import files

from cos.search.trace import Node, SearchTrace
from workbench.render.cards import card, panel
from workbench.render.marks import colours, escape, rules, stylesheet
from workbench.render.tree import most_telling

__all__ = ["bundle", "stylesheet"]


def bundle(
    traces: Sequence[SearchTrace],
    picture: bytes | None = None,
    is_right: Callable[[str], bool] | None = None,
    is_wrong: Callable[[Node], str | None] | None = None,
) -> str:
    """The page. `picture`: PNG bytes. Nothing in it can load or run anything but its own script, whatever the traces say."""
    script = (files("workbench") / "bundle.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    image = f'<img alt="the picture asked about" src="data:image/png;base64,{base64.b64encode(picture).decode()}">' if picture else ""
    panels = "".join(_panel(trace, is_right, is_wrong) for trace in traces)
    question = escape(traces[0].question if traces else "")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}"><title>{question}</title>'
        f"<style>{colours()}{rules('panel', 'tree', 'cards', 'cost', 'bundle')}</style></head>"
        f'<body class="bundle"><header>{image}<h1>{question}</h1></header><main>{panels}</main><script>{script}</script></body></html>\n'
    )


def _panel(trace: SearchTrace, is_right: Callable[[str], bool] | None, is_wrong: Callable[[Node], str | None] | None) -> str:
    """A panel, and hidden below it the card of every node that is drawn, for the script to show."""
    cards = "".join(f'<li data-card="{node.id}"><ol class="steps">{card(node)}</ol></li>' for node in most_telling(trace) if node.id)
    return f'<div class="shelf">{panel(trace, is_right=is_right, is_wrong=is_wrong)}<ol class="all" hidden>{cards}</ol></div>'
