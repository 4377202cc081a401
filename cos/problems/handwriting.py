"""Real handwriting on paper: the UCI digit scans, split by form, and the drawing of a row or grid of them.

Scans: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (CC BY 4.0), see `cos/assets/digits/README.md`.
"""

from __future__ import annotations

import random
from functools import lru_cache
from importlib.resources import files
from itertools import chain
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from cos.problems.world import Truth

SIZE = 320
FORMS = {"train": range(0, 10), "validation": range(10, 11), "test": range(11, 14), "shift": range(11, 14)}
"""The forms (one writer's each, as far as the data set lets one tell) whose scans a split uses."""

PAPERS = ("plain", "ruled", "squared", "cards")
SHIFT_PAPERS = ("board", "kraft", "blueprint", "notes")
_DARK_INKS = ((25, 25, 30), (30, 50, 140), (120, 25, 30), (70, 70, 80))
_INKS = {
    "board": ((240, 240, 235), (250, 240, 170), (190, 225, 250)),
    "kraft": ((45, 25, 15), (250, 248, 240)),
    "blueprint": ((245, 250, 255), (255, 225, 120)),
    "notes": ((20, 90, 50), (100, 30, 120), (60, 45, 40)),
}
_GROUNDS = {
    "plain": ((252, 251, 247), (245, 240, 228), (240, 244, 248)),
    "ruled": ((253, 252, 248), (250, 248, 236)),
    "squared": ((252, 252, 252), (246, 248, 242)),
    "cards": ((196, 208, 216), (222, 208, 188), (200, 214, 196)),
    "board": ((38, 66, 54), (44, 48, 54), (40, 52, 72)),
    "kraft": ((196, 160, 116), (180, 148, 112)),
    "blueprint": ((28, 74, 132), (34, 88, 120)),
    "notes": ((232, 230, 226), (206, 198, 190)),
}
_NOTES = ((252, 236, 130), (250, 190, 200), (178, 226, 190), (176, 212, 246))


@lru_cache(maxsize=1)
def labels() -> tuple[str, ...]:
    """The digits of each form, one string a form, in the order of the scans."""
    return tuple((files("cos") / "assets" / "digits" / "labels.txt").read_text("ascii").split())


@lru_cache(maxsize=1)
def scans() -> np.ndarray:
    """All scans, uint8 `[1797, 8, 8]`, ink 0..16."""
    with (files("cos") / "assets" / "digits" / "scans.png").open("rb") as file:
        sheet = np.asarray(Image.open(file))
    tiles = sheet.reshape(sheet.shape[0] // 8, 8, -1, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    return tiles[: sum(map(len, labels()))] // 15


@lru_cache(maxsize=8)
def scans_of(split: str) -> dict[int, tuple[int, ...]]:
    """Digit -> the numbers of the scans of it that this split may use."""
    starts = np.cumsum([0, *map(len, labels())])
    found: dict[int, list[int]] = {digit: [] for digit in range(10)}
    for form in FORMS[split]:
        for index, label in enumerate(labels()[form]):
            found[int(label)].append(int(starts[form]) + index)
    return {digit: tuple(numbers) for digit, numbers in found.items()}


def draw_style(rng: random.Random, split: str, cells: int) -> dict[str, Any]:
    """A paper, an ink, and how each digit lies on it: `[dx, dy]` in parts of a cell, degrees, scale."""
    paper = rng.choice(SHIFT_PAPERS if split == "shift" else PAPERS)
    ink, ground = rng.choice(_INKS.get(paper, _DARK_INKS)), rng.choice(_GROUNDS[paper])
    places = [
        [
            round(rng.uniform(-0.07, 0.07), 3),
            round(rng.uniform(-0.07, 0.07), 3),
            round(rng.uniform(-8, 8), 1),
            round(rng.uniform(0.85, 1.05), 3),
        ]
        for _ in range(cells)
    ]
    shift = [rng.randint(-8, 8), rng.randint(-20, 20)]
    return {"paper": paper, "ink": list(ink), "ground": list(ground), "places": places, "shift": shift, "grain": rng.randrange(10**6)}


def cell_boxes(rows: int, columns: int, shift: list[int]) -> list[tuple[float, float, float]]:
    """Centre x, centre y and side of each cell, row by row, in pixels; a row may lie `shift` off the middle, a grid less."""
    side = min((SIZE - 20) / columns, 96 if rows < 3 else 92)
    dx = shift[0] if columns * side < SIZE - 36 else 0
    dy = shift[1] if rows == 1 else shift[1] // 5
    left, top = (SIZE - columns * side) / 2 + dx, (SIZE - rows * side) / 2 + dy
    return [(left + (column + 0.5) * side, top + (row + 0.5) * side, side) for row in range(rows) for column in range(columns)]


def draw(truth: Truth) -> Image.Image:
    """The digits of `content` on the paper of `style`: RGB, 320x320."""
    content, style = truth["content"], truth["style"]
    grid = content["scans"]
    boxes = cell_boxes(len(grid), len(grid[0]), style["shift"])
    picture = _paper(style, boxes)
    noise = np.random.default_rng(style["grain"])
    ink = tuple(style["ink"])
    for number, box, place in zip(chain(*grid), boxes, style["places"], strict=True):
        mask = _stroke(number, box[2] * 0.86 * place[3], place[2])
        if style["paper"] == "board":
            dust = noise.integers(150, 256, (mask.height, mask.width))
            mask = Image.fromarray((np.asarray(mask) * dust // 255).astype(np.uint8))
        corner = (round(box[0] + place[0] * box[2] - mask.width / 2), round(box[1] + place[1] * box[2] - mask.height / 2))
        picture.paste(ink, corner, mask)
    grain = noise.integers(-3, 4, (SIZE, SIZE, 1), dtype=np.int16)
    return Image.fromarray(np.clip(np.asarray(picture, dtype=np.int16) + grain, 0, 255).astype(np.uint8))


_SHARPEN = [round(255 * (t := min(1.0, max(0.0, (value / 240 - 0.22) / 0.5))) * t * (3 - 2 * t)) for value in range(256)]


def _stroke(number: int, side: float, angle: float) -> Image.Image:
    """One scan as a smooth ink mask: scaled up, turned, and sharpened from 17 grey levels back to the edge of a pen's stroke."""
    padded = np.pad(scans()[number] * 15, 1)
    pixels = round(side * 10 / 8)
    large = Image.fromarray(padded).resize((pixels, pixels), Image.Resampling.BICUBIC)
    return large.rotate(angle, Image.Resampling.BICUBIC).point(_SHARPEN)


def _paper(style: dict[str, Any], boxes: list[tuple[float, float, float]]) -> Image.Image:
    """The sheet below the digits, drawn at twice the size and reduced."""
    paper, ground, rng = style["paper"], tuple(style["ground"]), random.Random(style["grain"])
    big = Image.new("RGB", (SIZE * 2, SIZE * 2), ground)
    pen = ImageDraw.Draw(big)
    if paper in ("ruled", "squared", "blueprint"):
        _lines(pen, paper, rng)
    if paper == "kraft":
        for _ in range(150):
            x, y, tone = rng.randrange(SIZE * 2), rng.randrange(SIZE * 2), rng.choice((-14, 12))
            pen.line((x, y, x + rng.randint(-14, 14), y + rng.randint(-8, 8)), tuple(value + tone for value in ground), 2)
    for box in boxes:
        _cell(pen, paper, (2 * box[0], 2 * box[1], box[2]), rng)
    return big.reduce(2)


def _lines(pen: ImageDraw.ImageDraw, paper: str, rng: random.Random) -> None:
    step = {"ruled": 48, "squared": 32, "blueprint": 40}[paper]
    colour = {"ruled": (186, 208, 232), "squared": (208, 218, 228), "blueprint": (76, 124, 176)}[paper]
    start = rng.randrange(step)
    for at in range(start, SIZE * 2, step):
        pen.line((0, at, SIZE * 2, at), colour, 2)
        if paper != "ruled":
            pen.line((at, 0, at, SIZE * 2), colour, 2)
    if paper == "ruled":
        pen.line((26, 0, 26, SIZE * 2), (236, 176, 176), 3)


def _cell(pen: ImageDraw.ImageDraw, paper: str, box: tuple[float, float, float], rng: random.Random) -> None:
    """What marks a cell: a card, a note, or a light frame; `box` is centre x, centre y (both at twice the size) and half the side."""
    x, y, half = box[0], box[1], box[2] * 0.94
    if paper == "cards":
        pen.rounded_rectangle((x - half + 3, y - half + 4, x + half + 3, y + half + 4), half / 5, (150, 156, 160))
        pen.rounded_rectangle((x - half, y - half, x + half, y + half), half / 5, (254, 253, 250))
    elif paper == "notes":
        tilt = rng.uniform(-0.05, 0.05) * half
        corners = [(x - half, y - half + tilt), (x + half - tilt, y - half), (x + half, y + half - tilt), (x - half + tilt, y + half)]
        pen.polygon([(a + 4, b + 5) for a, b in corners], (176, 170, 164))
        pen.polygon(corners, rng.choice(_NOTES))
    elif paper == "plain":
        pen.rectangle((x - half, y - half, x + half, y + half), outline=(206, 204, 198), width=2)
