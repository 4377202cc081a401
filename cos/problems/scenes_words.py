"""The words of the scenes world: colours, shapes, groups of things, and what a group's values are. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
"""Colours that stand out on any background; a light one adds black, a dark one white."""

ALL_COLOURS = (*COLOURS, "black", "white")
SHAPES = ("circle", "square", "triangle", "star", "cross")
SIDE = 10
"""Positions are whole numbers 0..9: x from the left, y from the top."""

Thing = Mapping[str, Any]
"""`{colour, shape, x, y}`."""
Group = Sequence[str]
"""`[colour, shape]`; an empty word stands for any."""


def in_order(things: Iterable[Thing]) -> list[Thing]:
    """Reading order: by y, then x."""
    return sorted(things, key=lambda thing: (thing["y"], thing["x"], thing["colour"], thing["shape"]))


def members(things: Iterable[Thing], group: Group) -> list[Thing]:
    """The things of a group, in reading order."""
    colour, shape = group
    return in_order(t for t in things if colour in ("", t["colour"]) and shape in ("", t["shape"]))


def label(thing: Thing) -> str:
    """`red circle`."""
    return f"{thing['colour']} {thing['shape']}"


def plural(shape: str) -> str:
    """`circles`, `crosses`, `things`."""
    return shape + ("es" if shape == "cross" else "s")


def noun(group: Group, count: int = 1) -> str:
    """`red thing`, `circles`, `red circles`: the group's name for that many."""
    colour, shape = group[0], group[1] or "thing"
    return f"{colour} {shape if count == 1 else plural(shape)}".strip()


def is_a(group: Group) -> str:
    """What follows `is`: `red`, `a circle`, `a red circle`."""
    if not group[1]:
        return group[0]
    name = noun(group)
    return f"{'an' if name[0] == 'o' else 'a'} {name}"
