"""The look: warm paper and ink, one deep green, numbers in a monospaced face; light and dark. Nothing is fetched from anywhere.

The rules are in `style.css` beside this file, and take every colour from the variables at its top.
"""

from __future__ import annotations

from importlib.resources import files

import gradio as gr
from gradio.themes.utils import colors, sizes

from workbench import render

SANS = ("Inter", "Segoe UI", "Helvetica Neue", "Noto Sans", "DejaVu Sans", "ui-sans-serif", "system-ui", "sans-serif")
MONO = ("JetBrains Mono", "SF Mono", "Cascadia Mono", "Consolas", "DejaVu Sans Mono", "ui-monospace", "monospace")
_GREEN = colors.Color(
    *("#edf7f5", "#d3ece8", "#a8d9d2", "#74bfb6", "#3f9f95", "#1d8379", "#0f766e", "#0d5f59", "#0b4b47", "#093b38", "#062826")
)
_PAPER = colors.Color(
    *("#faf8f3", "#f3f0e8", "#e6e2d7", "#cfcabd", "#a3a196", "#787a73", "#585d59", "#414846", "#2b3233", "#1d2324", "#14191a")
)

MASTHEAD = """
<div class="masthead"><svg viewBox="0 0 40 28" width="40" height="28" aria-hidden="true">
<path d="M5 14C14 14 12 5 21 5M5 14C14 14 12 23 21 23M21 5C28 5 28 5 35 5" fill="none" stroke="currentColor" stroke-width="2"/>
<rect x="1" y="10" width="8" height="8" rx="2"/><circle cx="21" cy="5" r="4"/><circle cx="21" cy="23" r="3" class="dropped"/>
<rect x="31" y="1" width="8" height="8" rx="2"/></svg>
<h1>CoS workbench</h1><p>Reasoning in scored steps. Watch several searches look for the answer, side by side.</p></div>
"""

HEAD = (
    "<style>@media (min-width: 901px) { .nav-holder { position: absolute !important; top: 0; right: 0; z-index: 5; border: 0 !important; "
    "background: none !important; } }</style>"
)
"""The links to the pages stand beside the masthead. (They are outside of what Gradio lets `style.css` reach.)"""

SHOW_RESULTS = """() => {
  if (innerWidth <= 900) document.querySelector("#results").scrollIntoView({behavior: "smooth"});
  return [];
}"""
"""On a phone the results are below the questions: go there when a run begins."""


def theme() -> gr.themes.Base:
    """Gradio's own parts in our colours."""
    return gr.themes.Base(
        primary_hue=_GREEN,
        secondary_hue=_GREEN,
        neutral_hue=_PAPER,
        radius_size=sizes.radius_md,
        spacing_size=sizes.spacing_sm,
        text_size=sizes.text_sm,
        font=SANS,
        font_mono=MONO,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_shadow="none",
        block_padding="0px",
        form_gap_width="12px",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_title_text_weight="600",
        input_background_fill="white",
        input_background_fill_dark="*neutral_900",
        input_border_width="1px",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_text_color="white",
        button_cancel_background_fill="transparent",
        button_cancel_background_fill_dark="transparent",
        button_cancel_text_color="#b23a0b",
        button_cancel_text_color_dark="#f0a37f",
        button_cancel_border_color="#d9b3a2",
        button_cancel_border_color_dark="#7a4a36",
    )


def script(name: str) -> str:
    """What a part of a page does by itself: a file of ours beside this one, such as `tree.js`."""
    return (files("workbench") / name).read_text("utf-8")


def css() -> str:
    """The rules for our own parts; what only the pages that look back have is in `pages.css`."""
    return render.stylesheet() + script("pages.css")
