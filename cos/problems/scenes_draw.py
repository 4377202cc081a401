"""How a scene looks: styles (those of `shift` are never seen in the other splits) and the picture itself."""

from __future__ import annotations

import colorsys
import math
import random
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageDraw

from cos.problems.scenes_words import SIDE

PIXELS, OVER = 320, 2  # drawn OVER times as large, then averaged down: smooth edges
MARGIN = 31
RADIUS = 22.5  # about a seventh of the picture across
HUES = {"red": 0, "orange": 28, "yellow": 51, "green": 130, "blue": 217, "purple": 276, "pink": 328}
SPREAD = {"red": 3, "orange": 3, "yellow": 3, "green": 14, "blue": 8, "purple": 6, "pink": 6}
VIVID = {"red": (0.86, 0.88), "orange": (0.92, 0.97), "yellow": (0.85, 0.97), "green": (0.75, 0.65)}
VIVID |= {"blue": (0.80, 0.86), "purple": (0.68, 0.70), "pink": (0.42, 0.97)}
PATTERNS = ("plain", "dots", "shade")
SHIFT_PATTERNS = ("stripes", "checks", "rings")


def style(rng: random.Random, split: str, dark: bool, count: int) -> dict[str, Any]:
    """A look for a scene of `count` things: `things` has `[dx, dy, scale, tilt, hue, saturation, value]` for each in reading order.

    Offsets are in pixels, tilt in degrees, the shade's three in units of the colour's own spread. `shift` takes backgrounds, shades,
    sizes and tilts from outside the ranges of the other splits.
    """
    shift = split == "shift"

    def off(low: float, high: float) -> float:
        """Within +-low; for shift between low and high on either side."""
        return round(rng.choice((-1, 1)) * rng.uniform(low * 1.1, high) if shift else rng.uniform(-low, low), 3)

    hue, saturation, value = off(1, 1.7), off(1, 1.6), off(1, 1.6)
    things = []
    for _ in range(count):
        shade = [round(part + rng.uniform(-0.1, 0.1), 3) for part in (hue, saturation, value)] if shift else [off(1, 1) for _ in range(3)]
        things.append([round(rng.uniform(-2, 2), 2), round(rng.uniform(-2, 2), 2), round(1 + off(0.06, 0.1), 3), off(6, 14), *shade])
    tint = round(rng.random(), 3)
    return {
        "dark": dark,
        "pattern": rng.choice(SHIFT_PATTERNS if shift else PATTERNS),
        "tint": [tint, round(rng.uniform(0.09, 0.14) if shift else rng.uniform(0, 0.08), 3), round(rng.random(), 3)],
        "outline": rng.choice((1.0, 3.5)) if shift else rng.choice((0.0, 2.0)),
        "things": things,
    }


def centre(thing: Mapping[str, Any], look: list[float]) -> tuple[float, float]:
    """Where a thing's middle is, in pixels of the finished picture."""
    step = (PIXELS - 2 * MARGIN) / (SIDE - 1)
    return MARGIN + thing["x"] * step + look[0], MARGIN + thing["y"] * step + look[1]


def draw(truth: Mapping[str, Any]) -> Image.Image:
    """The picture, 320 x 320 RGB; the same truth gives the same pixels."""
    image = _background(truth["style"])
    brush = ImageDraw.Draw(image)
    for thing, look in zip(truth["content"]["things"], truth["style"]["things"], strict=True):
        x, y = (OVER * part for part in centre(thing, look))
        fill = shade(thing["colour"], look[4:7])
        rim = tuple(int(part * 0.72) for part in fill) if thing["colour"] != "black" else (80, 80, 84)
        width = OVER * truth["style"]["outline"]
        if width:
            _shape(brush, thing["shape"], x, y, OVER * RADIUS * look[2], look[3], rim)
        _shape(brush, thing["shape"], x, y, OVER * RADIUS * look[2] - width, look[3], fill)
    return image.reduce(OVER)


def shade(colour: str, offset: list[float]) -> tuple[int, int, int]:
    """RGB of a colour name at an offset (hue, saturation, value, in units of the colour's spread)."""
    hue, saturation, value = offset
    if colour in ("black", "white"):
        level = int(28 + 10 * value) if colour == "black" else int(243 + 6 * value)
        return level, level, level
    base_s, base_v = VIVID[colour]
    tone = ((HUES[colour] + SPREAD[colour] * hue) % 360 / 360, min(1, base_s + 0.05 * saturation), min(1, base_v + 0.04 * value))
    red, green, blue = colorsys.hsv_to_rgb(*tone)
    return int(255 * red), int(255 * green), int(255 * blue)


def _background(look: Mapping[str, Any]) -> Image.Image:
    hue, saturation, level = look["tint"]
    value = 0.17 + 0.08 * level if look["dark"] else 0.86 + 0.08 * level
    tones = [tuple(int(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value + change)) for change in (0, 0.035)]
    size = PIXELS * OVER
    image = Image.new("RGB", (size, size), tones[0])
    brush = ImageDraw.Draw(image)
    match look["pattern"]:
        case "dots":
            for x in range(20, size, 40):
                for y in range(20, size, 40):
                    brush.ellipse((x - 5, y - 5, x + 5, y + 5), fill=tones[1])
        case "shade":
            image.paste(tones[1], mask=Image.linear_gradient("L").resize((size, size)))
        case "stripes":
            for x in range(0, 2 * size, 60):
                brush.line((x, 0, x - size, size), fill=tones[1], width=20)
        case "checks":
            for x in range(0, size, 64):
                for y in range(x % 128, size, 128):
                    brush.rectangle((x, y, x + 63, y + 63), fill=tones[1])
        case "rings":
            for radius in range(40, size, 70):
                box = (size / 2 - radius, size / 2 - radius, size / 2 + radius, size / 2 + radius)
                brush.ellipse(box, outline=tones[1], width=18)
    return image


def _shape(brush: ImageDraw.ImageDraw, shape: str, x: float, y: float, radius: float, tilt: float, fill: tuple[int, ...]) -> None:
    if shape == "circle":
        radius *= 0.94
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
        return
    brush.polygon([(x + radius * px, y + radius * py) for px, py in _corners(shape, math.radians(tilt))], fill=fill)


def _corners(shape: str, tilt: float) -> list[tuple[float, float]]:
    if shape == "cross":
        arm, end = 0.34, 0.98
        right = [(end, -arm), (end, arm), (arm, arm)]
        points = [_turn(point, quarter * math.pi / 2) for quarter in range(4) for point in right]
    elif shape == "star":
        points = [_turn((0, -(1.08 if k % 2 == 0 else 0.46)), k * math.pi / 5) for k in range(10)]
    else:
        count, reach, first = {"square": (4, 1.2, math.pi / 4), "triangle": (3, 1.12, 0.0)}[shape]
        points = [_turn((0, -reach), first + k * 2 * math.pi / count) for k in range(count)]
    return [_turn(point, tilt) for point in points]


def _turn(point: tuple[float, float], angle: float) -> tuple[float, float]:
    cos, sin = math.cos(angle), math.sin(angle)
    return point[0] * cos - point[1] * sin, point[0] * sin + point[1] * cos
