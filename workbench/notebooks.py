"""How figures are shown in notebooks: alive in JupyterLab, and as a picture beside it for pages that run no script, such as GitHub's.

show_figures(pictures=not FAST)      # in a notebook's first cell; from then on a figure at a cell's end shows as it should
cos("data check rows.jsonl")         # a verb of the command line, its progress left out
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import io
import shlex
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import plotly.io as pio
from PIL import Image
from plotly.io.base_renderers import MimetypeRenderer, PlotlyRenderer, PngRenderer

WIDTH, SCALE = 820, 1.5
"""Of a picture: its width in the page, and how many dots each of its pixels has."""


class _Page(MimetypeRenderer):
    """Figures on white, since a page may be dark and the ink of `workbench.plots` is not."""

    def __init__(self, pictures: bool) -> None:
        self.pictures = pictures

    def to_mimebundle(self, fig_dict: dict[str, Any]) -> dict[str, Any]:
        fig_dict["layout"] |= {"paper_bgcolor": "#ffffff", "plot_bgcolor": "#ffffff"}
        shown = {"image/png": _small(PngRenderer(width=WIDTH, scale=SCALE).to_mimebundle(fig_dict)["image/png"])} if self.pictures else {}
        found: dict[str, Any] = PlotlyRenderer().to_mimebundle(fig_dict)
        return found | shown


def _small(png: str) -> str:
    """The same PNG, in base64, of 256 colours: a fifth of the bytes, and nothing that an eye would miss in a figure."""
    drawn = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    file = io.BytesIO()
    drawn.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def show_figures(*, pictures: bool = True) -> None:
    """Show every figure from here on alive; with `pictures` also as PNG, where kaleido and a Chrome are there to draw it. One Chrome is
    started for all, and ends with the kernel."""
    pictures = pictures and _can_draw()
    if pictures:
        import kaleido

        kaleido.start_sync_server(silence_warnings=True)
        warnings.filterwarnings("ignore", "The kopts argument is ignored")  # plotly passes it always
    warnings.filterwarnings("ignore", "IProgress not found")  # tqdm asks for widgets, which its plain bars do without
    pio.renderers["page"] = _Page(pictures)
    pio.renderers.default = "page"


def side_by_side(pictures: Sequence[Image.Image], height: int = 240) -> Image.Image:
    """Pictures in one row, each `height` pixels high."""
    shown = [picture.resize((round(picture.width * height / picture.height), height)) for picture in pictures]
    row = Image.new("RGB", (sum(picture.width + 8 for picture in shown), height), "white")
    for at, picture in enumerate(shown):
        row.paste(picture, (sum(before.width + 8 for before in shown[:at]), 0))
    return row


def cos(line: str) -> int:
    """Run `cos LINE` in this process and show what it prints, but for its progress; the exit code. (A terminal would load torch anew.)"""
    from cos.__main__ import main

    aside = io.StringIO()
    with contextlib.redirect_stderr(aside):
        code = main(shlex.split(line))
    if code == 2:
        sys.stdout.write(aside.getvalue())
    return code


def _can_draw() -> bool:
    if importlib.util.find_spec("kaleido") is None:
        return False
    from choreographer.browsers import Chromium

    return Chromium.find_browser(skip_local=False) is not None
