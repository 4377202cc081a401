"""Pictures that show nothing one could be asked about: noise, patterns, photographs, empty pages. Drawn by seed, 320x320 RGB."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from PIL import Image, ImageFilter, ImageOps

SIZE = 320
FORMS = {
    "noise": ("grey", "colour", "salt", "soft"),
    "pattern": ("gradient", "stripes", "checks", "waves"),
    "photograph": ("china1", "china2"),
    "blank": ("white", "paper", "dark"),
}
"""Kind of picture -> the forms it takes in training."""
VALIDATION_PHOTOGRAPHS, TEST_PHOTOGRAPHS = ("china3",), ("flower1", "flower2", "flower3")
SHIFT_FORMS = {"noise": ("blocks", "streaks"), "pattern": ("rings", "marble"), "photograph": TEST_PHOTOGRAPHS, "blank": ("tint", "shaded")}
"""Forms that only the split `shift` has."""


def forms(kind: str, split: str) -> tuple[str, ...]:
    """The forms of a kind of picture that a split uses."""
    if split == "shift":
        return SHIFT_FORMS[kind]
    if kind == "photograph" and split != "train":
        return VALIDATION_PHOTOGRAPHS if split == "validation" else TEST_PHOTOGRAPHS
    return FORMS[kind]


def draw(kind: str, form: str, seed: int) -> Image.Image:
    """One picture; the same arguments give the same pixels."""
    rng = np.random.default_rng(seed)
    if kind == "photograph":
        return _photograph(form, rng)
    field = {"noise": _noise, "pattern": _pattern, "blank": _blank}[kind](form, rng)
    picture = Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))
    return picture.filter(ImageFilter.GaussianBlur(3)) if form == "soft" else picture


def _noise(form: str, rng: np.random.Generator) -> np.ndarray:
    if form == "grey":
        return np.repeat(rng.normal(rng.uniform(90, 170), 50, (SIZE, SIZE, 1)), 3, axis=2)
    if form == "colour":
        return rng.integers(0, 256, (SIZE, SIZE, 3))
    if form == "salt":
        share, ground = rng.uniform(0.05, 0.3), rng.integers(0, 256, 3)
        dots = rng.integers(0, 2, (SIZE, SIZE, 1)) * 255
        return np.where(rng.random((SIZE, SIZE, 1)) < share, dots, ground)
    if form == "soft":
        return 128 + 5 * rng.normal(0, 60, (SIZE, SIZE, 3))
    if form == "blocks":
        side = int(rng.choice((8, 16, 20)))
        return np.kron(rng.integers(0, 256, (SIZE // side, SIZE // side, 3)), np.ones((side, side, 1)))
    return np.repeat(rng.integers(0, 256, (SIZE, 1, 3)), SIZE, axis=1) + rng.normal(0, 25, (SIZE, SIZE, 3))


def _pattern(form: str, rng: np.random.Generator) -> np.ndarray:
    """Two colours mixed by a share between 0 and 1 at each pixel."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    angle, pace, phase = rng.uniform(0, np.pi), rng.uniform(4, 14), rng.uniform(0, 6)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    wave, cross = np.sin(6.28 * pace * along + phase), np.sin(6.28 * pace * across)
    share = {
        "gradient": lambda: (along - along.min()) / (along.max() - along.min()),
        "stripes": lambda: np.clip(wave * 6 + 0.5, 0, 1),
        "checks": lambda: np.clip(wave * cross * 12 + 0.5, 0, 1),
        "waves": lambda: 0.5 + 0.5 * np.sin(6.28 * (pace * along + 0.3 * np.sin(9 * across + phase))),
        "rings": lambda: 0.5 + 0.5 * np.sin(6.28 * pace * np.hypot(x - 0.5, y - 0.4) * 1.5 + phase),
        "marble": lambda: 0.5 + 0.5 * np.sin(12 * along + 3 * np.sin(7 * across + phase) + 2 * np.sin(17 * along * across)),
    }[form]()
    one = two = rng.integers(0, 256, 3)
    while np.abs(one - two).sum() < 150:  # else a pattern would look like an empty page
        two = rng.integers(0, 256, 3)
    return one + share[..., None] * (two - one)


def _blank(form: str, rng: np.random.Generator) -> np.ndarray:
    low, high = {"white": (250, 256), "paper": (225, 252), "dark": (20, 80), "tint": (120, 230), "shaded": (150, 230)}[form]
    page = np.broadcast_to(rng.integers(low, high, 3).astype(float), (SIZE, SIZE, 3))
    shade = np.linspace(-8, 8, SIZE)[:, None, None] if form == "shaded" else 0
    return page + shade + (rng.integers(-3, 4, (SIZE, SIZE, 1)) if form != "white" else 0)


def _photograph(name: str, rng: np.random.Generator) -> Image.Image:
    """A part of a photograph, perhaps mirrored, brighter or darker."""
    with (files("cos") / "assets" / "photos" / f"{name}.jpg").open("rb") as file:
        photo = Image.open(file).convert("RGB")
    side = int(rng.integers(150, photo.width))
    left, top = (int(start) for start in rng.integers(0, photo.width - side, 2))
    part = photo.crop((left, top, left + side, top + side)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    part = ImageOps.mirror(part) if rng.random() < 0.5 else part
    light = rng.uniform(0.8, 1.2)
    return part.point([min(255, round(value * light)) for value in range(256)] * 3)
