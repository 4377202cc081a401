"""Pictures of bar charts: how they may look (styles) and how they are drawn. Value v ends exactly v twentieths along the axis."""

from __future__ import annotations

import colorsys
import random
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

SIZE, FINE = 320, 2
"""Side of a picture in pixels, and how many times finer it is drawn before it is averaged down."""
TOP, TICKS = 20, (0, 5, 10, 15, 20)
COLOURS = {
    "red": (0, 0.82, 0.86),
    "orange": (27, 0.94, 0.97),
    "yellow": (53, 0.80, 0.96),
    "green": (132, 0.62, 0.62),
    "blue": (216, 0.74, 0.82),
    "purple": (276, 0.56, 0.64),
    "pink": (335, 0.42, 0.97),
    "brown": (24, 0.62, 0.48),
}
"""Name -> hue in degrees, saturation, value of its plain shade; a style's tone shifts and scales them."""
_TONES = ((0, 1.0, 1.0), (3, 0.92, 1.0), (-3, 1.05, 0.94), (0, 0.82, 1.0), (2, 1.0, 0.91), (-2, 0.9, 1.05))
_TONES_SHIFT = ((4, 0.72, 0.97), (-4, 1.12, 1.04), (-1, 0.96, 0.87))
_GROUNDS = (
    ("#ffffff", "#ffffff", "#2b2b2b", "#d9d9d9"),
    ("#ffffff", "#f1f4f8", "#27313d", "#d3dae3"),
    ("#faf6ec", "#fffdf7", "#3a3226", "#e2dac8"),
    ("#edf2f7", "#ffffff", "#243447", "#d5dee8"),
    ("#f3f3f3", "#ffffff", "#333333", "#d6d6d6"),
)
_GROUNDS_SHIFT = (
    ("#e8f3e8", "#f6fcf6", "#20362a", "#cfe0cf"),
    ("#f5ecf3", "#fdf8fc", "#3d2638", "#e3d2df"),
    ("#1d2129", "#12151a", "#e6e9ee", "#3a414c"),
    ("#dcdcdc", "#e8e8e8", "#1c1c1c", "#c4c4c4"),
)
_WORDS = (
    ("A", "B", "C", "D", "E", "F"),
    ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat"),
    ("tea", "milk", "rice", "corn", "salt", "figs"),
    ("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
)
_TITLES = ("", "", "", "Sales", "Results", "Points", "Visitors", "Harvest")


def draw_style(rng: random.Random, shift: bool) -> dict[str, Any]:
    """A look (JSON values); with `shift` its ground, tone, bar width, grid and finish are ones that no other split has."""
    return {
        "horizontal": rng.random() < 0.5,
        "ground": list(rng.choice(_GROUNDS_SHIFT if shift else _GROUNDS)),
        "tone": list(rng.choice(_TONES_SHIFT if shift else _TONES)),
        "seed": rng.randrange(1000),
        "width": round(rng.uniform(0.84, 0.94) if shift and rng.random() < 0.5 else rng.uniform(0.5, 0.8), 2),
        "grid": rng.choice(("dotted", "fine", "none") if shift else ("solid", "solid", "dashed", "none")),
        "finish": rng.choice(("hatched", "rounded", "flat") if shift else ("flat", "flat", "outlined")),
        "frame": rng.random() < 0.4,
        "left": rng.randint(44, 50),
        "right": rng.randint(12, 22),
        "top": rng.randint(18, 26),
        "bottom": rng.randint(32, 40),
        "font": rng.randint(18, 20) if shift else rng.randint(15, 17),
        "words": list(rng.choice(((), *_WORDS))),
        "title": rng.choice(_TITLES),
    }


def shade(style: Mapping[str, Any], name: str) -> tuple[int, int, int]:
    """The RGB colour that a named bar has in this style."""
    hue, saturation, value = COLOURS[name]
    turn, rich, light = style["tone"]
    wobble = random.Random(f"{style['seed']}/{name}")
    red, green, blue = colorsys.hsv_to_rgb((hue + turn) % 360 / 360, min(1.0, saturation * rich), min(1.0, value * light))
    return (_wobbled(red, wobble), _wobbled(green, wobble), _wobbled(blue, wobble))


def plot_box(style: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the plot in pixels of the finished picture; 0 and 20 lie on its ends."""
    head = 16 if style["title"] else 0
    return style["left"], style["top"] + head, SIZE - style["right"], SIZE - style["bottom"]


def bar_box(style: Mapping[str, Any], place: int, count: int, value: int) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the bar at `place` of `count`, in pixels of the finished picture."""
    left, top, right, bottom = plot_box(style)
    if style["horizontal"]:
        slot, end = (bottom - top) / count, left + (right - left) * value / TOP
        middle, half = top + slot * (place + 0.5), slot * style["width"] / 2
        return left, middle - half, end, middle + half
    slot, end = (right - left) / count, bottom - (bottom - top) * value / TOP
    middle, half = left + slot * (place + 0.5), slot * style["width"] / 2
    return middle - half, end, middle + half, bottom


def draw(truth: Mapping[str, Any]) -> Image.Image:
    """The chart, 320 x 320 RGB; the same truth gives the same pixels."""
    style, bars = truth["style"], truth["content"]["bars"]
    page, plot, ink, _ = style["ground"]
    image = Image.new("RGB", (SIZE * FINE, SIZE * FINE), page)
    pen = ImageDraw.Draw(image)
    pen.rectangle(_fine(plot_box(style)), fill=plot)
    _grid(pen, style)
    for place, (name, value) in enumerate(bars):
        _bar(pen, style, bar_box(style, place, len(bars), value), shade(style, name))
    _axes(pen, style)
    _texts(pen, style, len(bars))
    if style["title"]:
        left, _, right, _ = plot_box(style)
        pen.text(((left + right) / 2 * FINE, 17 * FINE), style["title"], fill=ink, font=_font(style["font"] + 1), anchor="mm")
    return image.reduce(FINE)


def _bar(pen: ImageDraw.ImageDraw, style: Mapping[str, Any], box: tuple[float, float, float, float], fill: tuple[int, int, int]) -> None:
    left, top, right, bottom = _fine(box)
    dark = (int(fill[0] * 0.62), int(fill[1] * 0.62), int(fill[2] * 0.62))
    if style["finish"] == "rounded":
        corners = (False, True, True, False) if style["horizontal"] else (True, True, False, False)
        pen.rounded_rectangle((left, top, right, bottom), radius=5 * FINE, fill=fill, corners=corners)
        return
    pen.rectangle((left, top, right, bottom), fill=fill, outline=dark if style["finish"] == "outlined" else None, width=FINE)
    if style["finish"] == "hatched":
        for at in range(int(left), int(right), 6 * FINE):
            pen.line((at, top, at, bottom), fill=tuple(int(part * 0.86) for part in fill), width=FINE)


def _grid(pen: ImageDraw.ImageDraw, style: Mapping[str, Any]) -> None:
    kind, colour = style["grid"], style["ground"][3]
    if kind == "none":
        return
    on, off = {"dashed": (6, 5), "dotted": (2, 4)}.get(kind, (SIZE, 0))
    for value in range(TOP + 1) if kind == "fine" else TICKS:
        x0, y0, x1, y1 = _line(style, value)
        length, at = max(x1 - x0, y1 - y0), 0.0
        while at < length:
            end = min(at + on * FINE, length)
            across = (x0 + at, y0, x0 + end, y1) if y0 == y1 else (x0, y0 + at, x1, y0 + end)
            pen.line(across, fill=colour, width=FINE * (2 if kind == "fine" and value in TICKS else 1))
            at = end + off * FINE


def _axes(pen: ImageDraw.ImageDraw, style: Mapping[str, Any]) -> None:
    left, top, right, bottom = _fine(plot_box(style))
    ink = style["ground"][2]
    if style["frame"]:
        pen.rectangle((left, top, right, bottom), outline=ink, width=FINE)
    pen.line((left, top, left, bottom), fill=ink, width=FINE)
    pen.line((left, bottom, right, bottom), fill=ink, width=FINE)
    for value in TICKS:
        x0, _, _, y1 = _line(style, value)
        tick = (x0, bottom, x0, bottom + 5 * FINE) if style["horizontal"] else (left - 5 * FINE, y1, left, y1)
        pen.line(tick, fill=ink, width=FINE)


def _texts(pen: ImageDraw.ImageDraw, style: Mapping[str, Any], count: int) -> None:
    left, _, _, bottom = _fine(plot_box(style))
    ink, font, gap = style["ground"][2], _font(style["font"]), 8 * FINE
    for value in TICKS:
        x0, _, _, y1 = _line(style, value)
        at, anchor = ((x0, bottom + gap), "mt") if style["horizontal"] else ((left - gap, y1), "rm")
        pen.text(at, str(value), fill=ink, font=font, anchor=anchor)
    for place in range(count if style["words"] else 0):
        x0, y0, x1, y1 = _fine(bar_box(style, place, count, TOP))
        at, anchor = ((left - gap, (y0 + y1) / 2), "rm") if style["horizontal"] else (((x0 + x1) / 2, bottom + 18 * FINE), "ms")
        pen.text(at, style["words"][place], fill=ink, font=_font(14), anchor=anchor)


def _line(style: Mapping[str, Any], value: int) -> tuple[float, float, float, float]:
    """The grid line of a value, from end to end, in fine pixels."""
    left, top, right, bottom = _fine(plot_box(style))
    if style["horizontal"]:
        x = left + (right - left) * value / TOP
        return x, top, x, bottom
    y = bottom - (bottom - top) * value / TOP
    return left, y, right, y


def _fine(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left * FINE, top * FINE, right * FINE, bottom * FINE


def _wobbled(part: float, rng: random.Random) -> int:
    return max(0, min(255, round(part * 255) + rng.randint(-4, 4)))


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size * FINE)
