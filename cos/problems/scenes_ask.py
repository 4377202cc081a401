"""The questions of the scenes world: for each kind a draw of what is in the picture, what is asked, the wording and the gold answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from cos.problems.scenes_words import SHAPES, SIDE, noun

Ask = dict[str, Any]
Pair = tuple[str, str]
Asked = tuple[list[dict[str, Any]], Ask, str, str]
"""Things, ask, question, answer."""

WORDS = {("x", -1): "left of", ("x", 1): "right of", ("y", -1): "above", ("y", 1): "below"}
FURTHER = {("x", -1): "further left", ("x", 1): "further right", ("y", -1): "higher", ("y", 1): "lower"}
MOST = {("x", -1): "leftmost", ("x", 1): "rightmost", ("y", -1): "topmost", ("y", 1): "lowest"}
LINES = {"x": "columns", "y": "rows"}
SIZES = {1: (3, 4), 2: (4, 5), 3: (5, 7)}
"""How many things a picture of each level has, from and to."""

ASKS = {
    "relation": ("Is the {a} {word} the {b}?", "Does the {a} lie {word} the {b}?", "Would you say the {a} is {word} the {b}?",
                 "Look at the {a} and the {b}: is the {a} {word} the other?", "Is it true that the {a} is {word} the {b}?",
                 "Can the {a} be found {word} the {b}?"),
    "further": ("Which is {word}: the {a} or the {b}?", "What is {word}, the {a} or the {b}?", "Of the {a} and the {b}, which is {word}?",
                "Which of the two lies {word}: the {a} or the {b}?", "Is the {a} or the {b} {word}?",
                "Compare the {a} with the {b}. Which one is {word}?"),
    "distance": ("How many {lines} {word} the {a} is the {b}?", "By how many {lines} is the {b} {word} the {a}?",
                 "The {b} is how many {lines} {word} the {a}?", "Count the {lines}: how far {word} the {a} is the {b}?",
                 "How far {word} the {a} is the {b}, in {lines}?", "What number of {lines} {word} the {a} does the {b} lie?"),
    "count": ("How many {many} are there?", "Count the {many}.", "How many {many} can you see?", "What is the number of {many}?",
              "How many {many} does the picture show?", "Tell me how many {many} there are."),
    "compare": ("Are there more {a} than {b}?", "Does the picture show more {a} than {b}?", "Is the number of {a} larger than that of {b}?",
                "Do you see more {a} than {b}?", "Do the {a} outnumber the {b}?", "Is it true that there are more {a} than {b}?"),
    "sum": ("How many {a} and {b} are there together?", "What is the number of {a} plus that of {b}?",
            "Count the {a} and the {b} together.",
            "How many {a} or {b} are there?", "Add the number of {a} to the number of {b}.", "How many {a} and {b} do you see in all?"),
    "difference": ("How many more {a} than {b} are there?", "By how many do the {a} outnumber the {b}?",
                   "What is the number of {a} minus that of {b}?", "Take the number of {b} from that of {a}. What is left?",
                   "How many {a} are there beyond the number of {b}?", "There are how many more {a} than {b}?"),
    "extreme": ("What {other} is the {word} {one}?", "What is the {other} of the {word} {one}?", "Name the {other} of the {word} {one}.",
                "Of all {many}, what {other} has the {word} one?", "Find the {word} {one}. What is its {other}?",
                "Which {other} does the {word} {one} have?"),
    "spread": ("How many {lines} apart are the {low} and the {high} {one}?", "By how many {lines} do the {many} spread?",
               "How many {lines} lie from the {low} to the {high} {one}?",
                 "What is the distance in {lines} between the {low} and the {high} {one}?",
               "Of all {many}, how many {lines} apart are the {low} and the {high}?",
               "Count the {lines} from the {low} {one} to the {high} {one}."),
    "odd": ("All things but one have the same {same}. What {want} is the other one?", "One thing differs in {same}. What {want} is it?",
            "What {want} is the thing with another {same}?", "Which {want} has the one thing whose {same} differs?",
            "Find the thing that differs in {same}. What is its {want}?", "By {same}, one thing is odd. Name its {want}."),
}  # fmt: skip
"""Kind -> wordings."""

KINDS = {
    1: ("relation", "further", "distance", "count"),
    2: ("count", "compare", "extreme", "odd"),
    3: ("compare", "sum", "difference", "extreme", "spread"),
}


def ask(rng: random.Random, level: int, palette: tuple[str, ...]) -> Asked:
    """Draw a kind of the level and a scene for it. `palette`: the colours that stand out on the background."""
    kind = rng.choice(KINDS[level])
    makers: dict[str, Callable[[random.Random, int, tuple[str, ...], str], Asked]] = {
        **dict.fromkeys(("relation", "further", "distance"), _two_things),
        **dict.fromkeys(("compare", "sum", "difference"), _two_counts),
        **dict.fromkeys(("extreme", "spread"), _along),
        "count": _count,
        "odd": _odd,
    }
    return makers[kind](rng, level, palette, kind)


def _say(rng: random.Random, kind: str, **words: str) -> str:
    return rng.choice(ASKS[kind]).format(**words)


def _place(rng: random.Random, pairs: list[Pair]) -> list[dict[str, Any]]:
    """Give each pair a place, no two closer than two columns or two rows."""
    places: list[tuple[int, int]] = []
    while len(places) < len(pairs):
        spot = rng.randrange(SIDE), rng.randrange(SIDE)
        if all(max(abs(spot[0] - x), abs(spot[1] - y)) >= 2 for x, y in places):
            places.append(spot)
    return [{"colour": c, "shape": s, "x": x, "y": y} for (c, s), (x, y) in zip(pairs, places, strict=True)]


def _fill(
    rng: random.Random, pairs: list[Pair], total: int, colours: list[str], shapes: list[str], alone: tuple[Pair, ...] = ()
) -> list[Pair]:
    """Add pairs up to `total`, none more than twice and those of `alone` not again."""
    pairs = list(pairs)
    while len(pairs) < total:
        pair = rng.choice(colours), rng.choice(shapes)
        if pairs.count(pair) < 2 and pair not in alone:
            pairs.append(pair)
    return pairs


def _total(rng: random.Random, level: int) -> int:
    return rng.randint(*SIZES[level])


def _two_things(rng: random.Random, level: int, palette: tuple[str, ...], kind: str) -> Asked:
    """Two unique things; they often share a colour or a shape with others, so both words count."""
    colours, shapes = rng.sample(palette, 4), rng.sample(SHAPES, 3)
    a, b = rng.sample([(c, s) for c in colours for s in shapes], 2)
    pairs = _fill(rng, [a, b], _total(rng, level), colours, shapes, (a, b))
    axis, way = rng.choice("xy"), rng.choice((-1, 1))
    gap = rng.randint(1, 7) if kind == "distance" else rng.choice((1, 1, 2, 2, 3, 4, 5))
    signed = gap * (way if kind == "distance" else rng.choice((-1, 1)))
    while (things := _place(rng, pairs))[1][axis] - things[0][axis] != signed:
        continue
    words = {"a": " ".join(a), "b": " ".join(b), "lines": LINES[axis]}
    asked: Ask = {"kind": kind, "axis": axis, "way": way, "a": list(a), "b": list(b)}
    if kind == "distance":
        word = {"left of": "to the left of", "right of": "to the right of"}.get(WORDS[axis, way], WORDS[axis, way])
        return things, asked, _say(rng, kind, word=word, **words), str(gap)
    holds = -signed * way > 0
    if kind == "relation":
        return things, asked, _say(rng, kind, word=WORDS[axis, way], **words), "yes" if holds else "no"
    return things, asked, _say(rng, kind, word=FURTHER[axis, way], **words), " ".join(a if holds else b)


def _of(value: str, by: int) -> list[str]:
    """The group of a colour (by 0) or a shape (by 1)."""
    return [value, ""] if by == 0 else ["", value]


def _grouped(rng: random.Random, palette: tuple[str, ...], by: int, wanted: dict[str, int], total: int) -> list[dict[str, Any]]:
    """A scene with exactly so many things of each wanted colour (by 0) or shape (by 1)."""
    pools = [list(palette), list(SHAPES)]
    pairs: list[Pair] = []
    for value, count in wanted.items():
        own = [*pools[:by], [value], *pools[by + 1 :]]
        pairs = _fill(rng, pairs, len(pairs) + count, own[0], own[1])
    rest = [word for word in pools[by] if word not in wanted]
    others = [*pools[:by], rest, *pools[by + 1 :]]
    return _place(rng, _fill(rng, pairs, max(total, len(pairs)), others[0], others[1]))


def _count(rng: random.Random, level: int, palette: tuple[str, ...], kind: str) -> Asked:
    count, by = rng.randint(0, 2) if level == 1 else rng.randint(2, 4), rng.randrange(2)
    total = max(_total(rng, level), count)
    if level == 1 and rng.random() < 0.4:  # colour and shape; the others have one of the two, so that both must be read
        colour, shape = rng.choice(palette), rng.choice(SHAPES)
        pairs: list[Pair] = [(colour, shape)] * count
        while len(pairs) < total:
            pair = (colour, rng.choice(SHAPES)) if rng.random() < 0.5 else (rng.choice(palette), shape)
            if pair != (colour, shape) and pairs.count(pair) < 2:
                pairs.append(pair)
        things, group = _place(rng, pairs), [colour, shape]
    else:
        value = rng.choice((palette, SHAPES)[by])
        things, group = _grouped(rng, palette, by, {value: count}, total), _of(value, by)
    return things, {"kind": kind, "groups": [group]}, _say(rng, kind, many=noun(group, 2)), str(count)


def _two_counts(rng: random.Random, level: int, palette: tuple[str, ...], kind: str) -> Asked:
    by, most = rng.randrange(2), 4 if level == 2 else 5
    first, second = rng.sample((palette, SHAPES)[by], 2)
    options = [(a, b) for a in range(5) for b in range(5) if max(a, 1) + max(b, 1) <= most and a + b >= 2]
    if kind == "compare":
        answer = rng.choice(("yes", "no"))
        a, b = rng.choice([(a, b) for a, b in options if (a > b) == (answer == "yes") and abs(a - b) <= 2])
    elif kind == "sum":
        wanted = rng.randint(2, 5)
        a, b = rng.choice([(a, b) for a, b in options if a + b == wanted and a and b])
        answer = str(wanted)
    else:
        wanted = rng.randint(0, 3)
        a, b = rng.choice([(a, b) for a, b in options if a - b == wanted])
        answer = str(wanted)
    things = _grouped(rng, palette, by, {first: a, second: b}, _total(rng, level))
    groups = [_of(first, by), _of(second, by)]
    question = _say(rng, kind, a=noun(groups[0], 2), b=noun(groups[1], 2))
    return things, {"kind": kind, "groups": groups}, question, answer


def _along(rng: random.Random, level: int, palette: tuple[str, ...], kind: str) -> Asked:
    """The first or last of a group along an axis, or how far the two are apart. The group's things differ in the other word."""
    by, axis, way = rng.randrange(2), rng.choice("xy"), rng.choice((-1, 1))
    count = rng.randint(3, 4) if level == 2 else rng.randint(4, 5) if kind == "extreme" else rng.randint(3, 5)
    value = rng.choice((palette, SHAPES)[by])
    group = _of(value, by)
    own = rng.sample((SHAPES, palette)[by], count)
    pairs: list[Pair] = [(value, word) if by == 0 else (word, value) for word in own]
    rest = [list(palette), list(SHAPES)]
    rest[by].remove(value)
    pairs = _fill(rng, pairs, max(_total(rng, level), count), rest[0], rest[1])
    wanted = rng.randint(3, 9)
    while True:
        things = _place(rng, pairs)
        values = sorted(thing[axis] for thing in things[:count])
        if values[0] < values[1] and values[-2] < values[-1] and (kind == "extreme" or values[-1] - values[0] == wanted):
            break
    words = {"one": noun(group), "many": noun(group, 2), "other": ("shape", "colour")[by], "word": MOST[axis, way], "lines": LINES[axis]}
    question = _say(rng, kind, low=MOST[axis, -1], high=MOST[axis, 1], **words)
    best = max(things[:count], key=lambda thing: way * thing[axis])
    answer = str(wanted) if kind == "spread" else str(best[words["other"]])
    return things, {"kind": kind, "axis": axis, "way": way, "groups": [group]}, question, answer


def _odd(rng: random.Random, level: int, palette: tuple[str, ...], kind: str) -> Asked:
    """Four things, three of one colour (or shape); the other word is free, so it tells nothing."""
    by, total = rng.randrange(2), 4
    common, single = rng.sample((palette, SHAPES)[by], 2)
    things = _grouped(rng, palette, by, {common: total - 1, single: 1}, total)
    same, want = ("colour", "shape")[by], rng.choice(("colour", "shape"))
    odd = next(thing for thing in things if thing[same] == single)
    asked: Ask = {"kind": kind, "same": same, "want": want, "groups": [["", ""]]}
    return things, asked, _say(rng, kind, same=same, want=want), str(odd[want])
