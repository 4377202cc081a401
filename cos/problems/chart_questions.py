"""Questions about bar charts: what is asked (`ask`, JSON values) and how it is worded.

A *term* of an ask is a colour, or "largest" / "smallest" for the bar that has to be found first.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

Ask = Mapping[str, Any]
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
_WEIGHTS: dict[int, dict[str, float]] = {
    1: {"read": 0.25, "sum": 0.28, "difference": 0.27, "compare": 0.2},
    2: {"sum": 0.3, "difference": 0.2, "extreme": 0.2, "count": 0.15, "compare": 0.15},
    3: {"order": 0.25, "sum": 0.2, "difference": 0.2, "count": 0.2, "compare": 0.15},
}


def draw_kind(rng: random.Random, level: int) -> str:
    """A kind of question of this level."""
    return rng.choices(list(_WEIGHTS[level]), list(_WEIGHTS[level].values()))[0]


def draw_ask(
    rng: random.Random, kind: str, level: int, bars: Sequence[tuple[str, int]], horizontal: bool, yes: bool
) -> dict[str, Any] | None:
    """What to ask of these bars; None where the kind does not suit them (draw another chart then).

    `yes`: the answer wanted, where it is yes or no; fixed before the bars are drawn, so that both are equally frequent.
    """
    values, names = dict(bars), [name for name, _ in bars]
    rng.shuffle(names)
    top = max(values, key=values.__getitem__)
    ends = ["largest", "smallest"]
    if kind == "read":
        return {"kind": kind, "at": rng.randrange(len(bars)), "from": rng.choice(("top", "bottom") if horizontal else ("left", "right"))}
    if kind == "sum":
        return {"kind": kind, "bars": ends if level == 3 else names[: level + 1]}
    if kind == "difference":
        first, second = sorted(names[:2], key=lambda name: -values[name])
        terms = [first, second] if level == 1 else ["largest", next(n for n in names if n != top)] if level == 2 else ends
        return {"kind": kind, "bars": terms}
    if kind == "compare":
        return _compare(rng, level, names, values, yes)
    if kind == "extreme":
        if len(bars) == 4 and rng.random() < 0.5:
            names = [name for name, _ in bars]
        elif len(bars) != 4:
            names = names[:3]
        return {"kind": kind, "bars": names, "which": rng.choice(ends), "want": rng.choice(("bar", "value"))}
    if kind == "count":
        if len(bars) < 5 if level == 3 else len(bars) != 4:
            return None
        side, line = rng.choice(("above", "below")), rng.randint(5, 15)
        inside = sum(value > line if side == "above" else value < line for value in values.values())
        near = min(abs(value - line) for value in values.values()) <= 1
        return {"kind": kind, "line": line, "side": side} if inside and near else None
    names = names[: rng.choice((3, 4))]
    return {"kind": "order", "bars": names, "down": rng.random() < 0.5}


def _compare(rng: random.Random, level: int, names: Sequence[str], values: Mapping[str, int], yes: bool) -> dict[str, Any] | None:
    """Level 1: is a more than b; level 2: which of two, and by how much; level 3: are two together more than a third."""
    count = 3 if level == 3 else 2
    terms, more = list(names[:count]), rng.random() < 0.5
    if level == 2:
        return {"kind": "compare", "bars": terms, "more": True, "by": True}
    gap = values[terms[0]] - values[terms[1]] if level == 1 else values[terms[0]] + values[terms[1]] - values[terms[2]]
    wanted = gap > 0 if yes == more else gap < 0
    return {"kind": "compare", "bars": terms, "more": more, "by": False} if wanted and abs(gap) <= 6 else None


def word(rng: random.Random, ask: Ask, horizontal: bool) -> str:
    """The question in one of at least six wordings of its kind."""
    form = rng.choice(_forms(ask))
    high, low = ("longest", "shortest") if horizontal else ("tallest", "shortest")
    bars = [{"largest": high, "smallest": low}.get(term, term) for term in ask.get("bars", ())]
    more, less = ("longer", "shorter") if horizontal else ("taller", "shorter")
    parts = {
        "a": bars[0] if bars else "",
        "b": bars[1] if len(bars) > 1 else "",
        "c": bars[2] if len(bars) > 2 else "",
        "all": ", ".join(bars[:-1]) + f" and {bars[-1]}" if bars else "",
        "more": more if ask.get("more") else less,
        "longer": more,
        "most": high if ask.get("which") == "largest" else low,
        "side": ask.get("side", ""),
        "line": ask.get("line", ""),
        "place": ORDINALS[ask["at"]] if "at" in ask else "",
        "edge": ask.get("from", ""),
    }
    return form.format(**parts)


def _forms(ask: Ask) -> tuple[str, ...]:
    kind, terms = ask["kind"], ask.get("bars", ())
    if kind in ("sum", "difference"):
        ends = "_largest" if terms[0] == "largest" else ""
        return _FORMS[kind + ends]
    if kind == "compare":
        return _FORMS["compare_by" if ask["by"] else "compare_sum" if len(terms) == 3 else "compare"]
    if kind == "extreme":
        return _FORMS["extreme_" + ask["want"]]
    if kind == "order":
        return _FORMS["order_down" if ask["down"] else "order_up"]
    return _FORMS[kind]


_FORMS: dict[str, tuple[str, ...]] = {
    "read": (
        "What is the value of the {place} bar from the {edge}?",
        "How much does the {place} bar from the {edge} show?",
        "Counting from the {edge}, what is the value of the {place} bar?",
        "Read the value of the {place} bar from the {edge}.",
        "Which value does the {place} bar from the {edge} reach?",
        "What number does the {place} bar from the {edge} stand for?",
    ),
    "sum": (
        "What is the sum of {all}?",
        "How much do {all} make together?",
        "Add up the {all} bars. What is the total?",
        "What is the total of {all}?",
        "What do the bars {all} add up to?",
        "Find the sum of the {all} bars.",
    ),
    "sum_largest": (
        "What is the sum of the {a} and the {b} bar?",
        "How much do the {a} and the {b} bar make together?",
        "Add the {a} bar and the {b} bar. What is the total?",
        "What is the total of the {a} bar and the {b} bar?",
        "What do the {a} and the {b} bar add up to?",
        "Find the sum of the {a} bar and the {b} bar.",
    ),
    "difference": (
        "What is the difference between {a} and {b}?",
        "How much {longer} is {a} than {b}?",
        "By how much is the {a} bar {longer} than the {b} bar?",
        "How far is {a} above {b}?",
        "What is {a} minus {b}?",
        "How many more does {a} have than {b}?",
    ),
    "difference_largest": (
        "What is the difference between the {a} bar and the {b} bar?",
        "How much {longer} is the {a} bar than the {b} bar?",
        "By how much is the {a} bar {longer} than the {b} one?",
        "How far is the {a} bar above the {b} bar?",
        "What is the {a} bar minus the {b} bar?",
        "How many more does the {a} bar have than the {b} one?",
    ),
    "compare": (
        "Is {a} {more} than {b}?",
        "Is the {a} bar {more} than the {b} bar?",
        "Does the chart show {a} {more} than {b}?",
        "Is it true that {a} is {more} than {b}?",
        "Compare {a} and {b}: is {a} {more}?",
        "Is {a} the {more} one of {a} and {b}?",
    ),
    "compare_by": (
        "Which is {longer}, {a} or {b}, and by how much?",
        "Which bar is {longer}, {a} or {b}? By how much?",
        "Is {a} or {b} {longer}, and by how much?",
        "Of {a} and {b}, which is {longer} and by how much?",
        "Name the {longer} bar of {a} and {b} and the difference.",
        "Compare {a} and {b}: which is {longer}, by how much?",
    ),
    "compare_sum": (
        "Are {a} and {b} together {more} than {c}?",
        "Is {a} plus {b} {more} than {c}?",
        "Put together, are {a} and {b} {more} than {c}?",
        "Is the sum of {a} and {b} {more} than {c}?",
        "Are the {a} and {b} bars together {more} than the {c} bar?",
        "Is it true that {a} and {b} together are {more} than {c}?",
    ),
    "extreme_bar": (
        "Which of {all} is the {most}?",
        "Which bar is the {most}: {all}?",
        "Of {all}, which is the {most}?",
        "Name the {most} of the bars {all}.",
        "What colour is the {most} of {all}?",
        "Look at {all}: which is the {most}?",
    ),
    "extreme_value": (
        "What is the value of the {most} of {all}?",
        "Of {all}, what is the value of the {most}?",
        "How much does the {most} of {all} show?",
        "Look at {all}: what is the value of the {most}?",
        "Which value does the {most} of {all} reach?",
        "Read the {most} of the bars {all}.",
    ),
    "count": (
        "How many bars are {side} {line}?",
        "How many bars end {side} {line}?",
        "Count the bars {side} {line}.",
        "How many of the bars are {side} the line at {line}?",
        "What is the number of bars {side} {line}?",
        "How many values are {side} {line}?",
    ),
    "order_up": (
        "List {all} from lowest to highest.",
        "Sort {all} from lowest to highest.",
        "Put {all} in order, lowest first.",
        "Order {all} by value, lowest first.",
        "What is the order of {all}, from low to high?",
        "Name {all} in rising order.",
    ),
    "order_down": (
        "List {all} from highest to lowest.",
        "Sort {all} from highest to lowest.",
        "Put {all} in order, highest first.",
        "Order {all} by value, highest first.",
        "What is the order of {all}, from high to low?",
        "Name {all} in falling order.",
    ),
}
