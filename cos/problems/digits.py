"""World `digits`: rows and grids of real handwritten digits; sums, differences, extremes, counts, comparisons.

A place is named by where it stands: "first" to "sixth" in a row, "top left" to "bottom right" in a grid.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cos.chain import Chain, Problem, Step
from cos.problems import digits_check, tally
from cos.problems.digits_words import COMPARE, QUESTIONS, ROW, grid_names, places, predicate_holds, side, values_of
from cos.problems.handwriting import draw, draw_style, scans_of
from cos.problems.world import Truth

__all__ = ["NAME", "chain", "check", "corrupt", "describe", "draw", "sample", "solve"]

NAME = "digits"
check = digits_check.check

_LAYOUTS = {1: ((1, 3), (2, 2)), 2: ((1, 4), (2, 3)), 3: ((1, 4), (2, 3), (3, 3), (2, 2))}
_KINDS = {
    1: ("pair_sum", "pair_difference", "pair_extreme", "pair_compare"),
    2: ("pair_sum", "pair_difference", "sum", "sum", "extreme", "count", "count", "where"),
    3: ("sum", "extreme", "count", "where", "range", "compare_sums"),
}
_NUMBER_WORDS = {2: "two", 3: "three", 4: "four", 5: "five"}


def sample(rng: random.Random, split: str, level: int) -> dict[str, Any]:
    """Draw a layout, a question and digits that answer it; the scans come from the forms of the split."""
    kind = rng.choice(_KINDS[level])
    rows, columns = (
        (2, rng.choice((2, 3)))
        if kind == "compare_sums"
        else rng.choice([shape for shape in _LAYOUTS[level] if shape != (2, 2) or level < 3])
    )
    names = list(ROW[:columns]) if rows == 1 else grid_names(rows, columns)
    ask = _ask(rng, kind, level, rows, names)
    digits = _digits(rng, ask, names)
    pool = scans_of(split)
    numbers = [rng.choice(pool[digit]) for digit in digits]
    cut = [slice(row * columns, (row + 1) * columns) for row in range(rows)]
    content = {"rows": [digits[part] for part in cut], "scans": [numbers[part] for part in cut]}
    truth = {"content": content, "style": draw_style(rng, split, rows * columns), "ask": ask}
    fields = {name: ask.get(name, "") for name in ("scope", "word", "predicate")}
    fields |= {"a": ask["groups"][0][0], "b": ask["groups"][0][1], "one": ask["labels"][0], "two": ask["labels"][-1], "line": ask["line"]}
    question = rng.choice(QUESTIONS[kind]).format(**fields)
    return {"question": question, "answer": solve(ask, dict(zip(names, digits, strict=True))), "kind": kind, "truth": truth}


def describe(truth: Truth) -> str:
    """Every digit after the name of its place, in reading order: "first 5, second 3, third 1."."""
    return ", ".join(f"{place} {value}" for place, value in values_of(truth).items()) + "."


def chain(problem: Problem, rng: random.Random) -> Chain:
    """Read what is asked for, one digit a step (mostly in order), then work it out."""
    ask = problem.truth["ask"]
    order = [place for group in ask["groups"] for place in group]
    if rng.random() < 0.25:
        order.reverse()
    return _write(ask, values_of(problem.truth), order, rng)


def corrupt(problem: Problem, right: Chain, rng: random.Random) -> Chain:
    """A plausible wrong chain: digits misread or a slip in the arithmetic, carried on to the end; or one or two claims changed in place."""
    ask, values = problem.truth["ask"], values_of(problem.truth)
    asked = [place for group in ask["groups"] for place in group]
    read = [step.name.removeprefix("read ") for step in right.steps if step.name.startswith("read ")]
    order = read if sorted(read) == sorted(asked) else asked
    way = rng.random()
    if way < 0.45:
        for place in rng.sample(asked, rng.choice((1, 1, 2))):
            values[place] = _other(rng, values[place])
        return _write(ask, values, order, rng)
    if way < 0.65:
        slipped = _write(ask, values, order, rng, slip=(rng.randrange(3), rng.choice((-2, -1, 1, 2))))
        if slipped.steps != right.steps and any(check(problem, step).label == 0 for step in slipped.steps):
            return slipped
    steps = list(right.steps)
    for _ in range(rng.choice((1, 1, 2))):
        index = rng.randrange(len(steps))
        steps[index] = _change(problem, steps[index], rng)
    return replace(right, steps=tuple(steps))


def solve(ask: Mapping[str, Any], values: Mapping[str, int]) -> str:
    """The answer to `ask` if the digits were `values` (place -> digit)."""
    kind, groups = ask["kind"], [[values[place] for place in group] for group in ask["groups"]]
    first = groups[0]
    if kind == "compare_sums":
        return "yes" if COMPARE[ask["word"]](sum(first), sum(groups[1])) else "no"
    if kind == "pair_compare":
        return "yes" if COMPARE[ask["word"]](*first) else "no"
    if kind == "count":
        return str(sum(predicate_holds(ask["predicate"], value) for value in first))
    if kind in ("extreme", "pair_extreme", "where"):
        extreme = max(first) if ask["word"] in ("largest", "larger") else min(first)
        return ask["groups"][0][first.index(extreme)] if kind == "where" else str(extreme)
    return str(sum(first) if kind in ("sum", "pair_sum") else max(first) - min(first))


def _ask(rng: random.Random, kind: str, level: int, rows: int, names: list[str]) -> dict[str, Any]:
    """What is asked: `groups` of places, their `labels`, and the words of the question."""
    ask: dict[str, Any] = {"kind": kind, "labels": [""], "line": "", "scope": ""}
    if kind in ("pair_compare", "pair_extreme", "compare_sums"):
        ask["word"] = rng.choice(("larger", "smaller"))
    elif kind in ("extreme", "where"):
        ask["word"] = rng.choice(("largest", "smallest"))
    elif kind == "count":
        ask["predicate"] = rng.choice(("even", "odd", f"more than {rng.randint(3, 6)}"))
    if kind.startswith("pair"):
        ask["groups"] = [rng.sample(names, 2)]
    elif kind == "compare_sums":
        ask["line"] = "row" if len(names) == 4 and rng.random() < 0.5 else "column"
        ask["labels"] = rng.sample(list(dict.fromkeys(name.split()[ask["line"] == "column"] for name in names)), 2)
        ask["groups"] = [[name for name in names if label in name.split()] for label in ask["labels"]]
    else:
        ask["scope"], group = rng.choice(_scopes(kind, level, rows, names))
        ask["groups"] = [group]
    return ask


def _scopes(kind: str, level: int, rows: int, names: list[str]) -> list[tuple[str, list[str]]]:
    """The wordings and places of the sets of digits that may be asked about, sized so that the chain keeps to its level's steps."""
    sizes = {"sum": (3,) if level == 2 else (3, 4), "range": (3, 4, 5)}.get(kind, (3, 4) if level == 2 else (3, 4, 5, 6))
    if rows == 1:
        least = 4 if level == 3 else 3
        ends = [
            (f"the {end} {_NUMBER_WORDS[k]} digits", names[:k] if end == "first" else names[-k:])
            for end in ("first", "last")
            for k in range(least, min(len(names), 6))
        ]
        found = [*ends, ("all digits", names), ("all digits", names)]
    else:
        lines = [
            (f"the digits in the {name.split()[0]} row", [other for other in names if other.split()[0] == name.split()[0]])
            for name in names
        ]
        lines += [
            (f"the digits in the {name.split()[1]} column", [other for other in names if other.split()[1] == name.split()[1]])
            for name in names
        ]
        found = [*dict(lines).items(), ("all digits", names), ("all digits", names)]
    return [(scope, group) for scope, group in found if len(group) in sizes]


def _digits(rng: random.Random, ask: Mapping[str, Any], names: Sequence[str]) -> list[int]:
    """Digits for all places: no ties where they would spoil the question, sums up to 20, answers spread evenly."""
    kind, size = ask["kind"], len(ask["groups"][0])
    target, pool = "", range(10)
    if "compare" in kind:
        target = rng.choice(("yes", "no"))
    elif kind == "count":
        target = str(rng.randint(1, size))
    elif kind == "extreme":
        bound = rng.randint(0, 5)
        target, pool = (str(9 - bound), range(10 - bound)) if ask["word"] == "largest" else (str(bound), range(bound, 10))
    while True:
        values = {name: rng.choice(pool if name in ask["groups"][0] else range(10)) for name in names}
        first = [values[name] for name in ask["groups"][0]]
        sums = [sum(values[name] for name in group) for group in ask["groups"]]
        if "sum" in kind and max(sums) > 20:
            continue
        if (kind in ("pair_compare", "pair_extreme") and first[0] == first[1]) or (kind == "compare_sums" and sums[0] == sums[1]):
            continue
        if kind == "where" and first.count(max(first) if ask["word"] == "largest" else min(first)) > 1:
            continue
        if not target or solve(ask, values) == target:
            return list(values.values())


def _write(
    ask: Mapping[str, Any], values: Mapping[str, int], order: Sequence[str], rng: random.Random, slip: tuple[int, int] = (-1, 0)
) -> Chain:
    """The chain for digits as they were read. `slip` (n, d): the n-th result of arithmetic is off by d, and what follows builds on it.

    A step that works first names what it works on (`chart_chains`).
    """
    steps = [_read(place, values[place], rng, ask.get("predicate", "")) for place in order]
    slips = [slip[1] if index == slip[0] else 0 for index in range(8)]
    kind, groups, answer = ask["kind"], ask["groups"], solve(ask, values)
    if kind in ("sum", "pair_sum", "compare_sums"):
        sums = [_add(steps, group, values, slips) for group in groups]
        if kind == "compare_sums":
            uses = " and ".join(f"the {label} sum {total}" for label, total in zip(ask["labels"], sums, strict=True))
            steps.append(_compare(sums, uses))
            return Chain(tuple(steps), "yes" if COMPARE[ask["word"]](*sums) else "no")
        answer = str(sums[0])
    elif kind == "pair_compare":
        steps.append(_compare([values[place] for place in groups[0]], _and([f"{place} {values[place]}" for place in groups[0]])))
    elif kind == "count":
        hits = sum(predicate_holds(ask["predicate"], values[place]) for place in groups[0])
        told = ((f"{place} {values[place]}", side(ask["predicate"], values[place])) for place in groups[0])
        found = hits + (slips[0] if hits + slips[0] >= 0 else 1)
        comes = f"{found} digit is {ask['predicate']}." if found == 1 else f"{found} digits are {ask['predicate']}."
        steps.append(Step("count", tally.count(told, ask["predicate"].split()[0]), comes))
        answer = str(found)
    elif kind in ("extreme", "where", "pair_extreme"):
        steps.append(_extreme(ask["word"].replace("er", "est"), groups[0], values, where=kind == "where"))
    else:
        answer = str(_subtract(steps, kind, groups[0], values, slips))
    return Chain(tuple(steps), answer)


def _read(place: str, value: int, rng: random.Random, asked: str = "") -> Step:
    """What stands in a place, and whether it is what is `asked` for, else something else of it."""
    parity = f"It is an {'odd' if value % 2 else 'even'} digit."
    size = "It is more than 4." if value > 4 else "It is at most 4."
    told = rng.choice((parity, size))
    if asked in ("odd", "even"):
        told = parity
    elif asked:
        told = f"It is {asked if predicate_holds(asked, value) else asked.replace('more than', 'at most')}."
    return Step(f"read {place}", f"The {place} digit is {value}.", told)


def _add(steps: list[Step], group: Sequence[str], values: Mapping[str, int], slips: list[int]) -> int:
    total = values[group[0]]
    for index, place in enumerate(group[1:]):
        before = f"the sum {total}" if index else f"{group[0]} {total}"
        result = max(0, total + values[place] + slips.pop(0))
        steps.append(Step("add", f"This uses {before} and {place} {values[place]}.", f"{total} + {values[place]} = {result}."))
        total = result
    return total


def _subtract(steps: list[Step], kind: str, group: Sequence[str], values: Mapping[str, int], slips: list[int]) -> int:
    high, low = max(group, key=lambda place: values[place]), min(group, key=lambda place: values[place])
    if high == low:  # all digits are equal
        high, low = group[0], group[1]
    uses = _and([f"{place} {values[place]}" for place in group])
    if kind == "range":
        steps += [_extreme("largest", group, values), _extreme("smallest", group, values)]
        uses = f"the largest {values[high]} and the smallest {values[low]}"
    result = max(0, values[high] - values[low] + slips[0])
    steps.append(Step("subtract", f"This uses {uses}.", f"{values[high]} - {values[low]} = {result}."))
    return result


def _extreme(word: str, group: Sequence[str], values: Mapping[str, int], where: bool = False) -> Step:
    best = (max if word == "largest" else min)(group, key=lambda place: values[place])
    listed = _and([f"{place} {values[place]}" for place in group])
    return Step(f"find {word}", f"This uses {listed}.", f"The {word} digit is {values[best]}{f', at {best}' if where else ''}.")


def _compare(pair: Sequence[int], uses: str) -> Step:
    relation = "more than" if pair[0] > pair[1] else "less than" if pair[0] < pair[1] else "equal to"
    return Step("compare", f"This uses {uses}.", f"{pair[0]} is {relation} {pair[1]}.")


def _and(items: Sequence[str]) -> str:
    return ", ".join(items[:-1]) + (" and " if len(items) > 1 else "") + items[-1]


def _other(rng: random.Random, value: int, top: int = 9) -> int:
    """Another number, near as a rule."""
    near = [value + shift for shift in (-3, -2, -2, -1, -1, -1, 1, 1, 1, 2, 2, 3) if 0 <= value + shift <= top]
    return rng.choice(near)


_SWAPS = (("odd", "even"), ("an even", "an odd"), ("more than 4", "at most 4"), ("is more than", "is less than"), ("largest", "smallest"))


def _change(problem: Problem, step: Step, rng: random.Random) -> Step:
    """The step with one number, place or word changed so that it is wrong; the step itself where no try gives that."""
    names = places(problem.truth)
    for _ in range(30):
        field = rng.choice(("thought", "thought", "reflection"))
        text = getattr(step, field)
        way = rng.random()
        if way < 0.6 and (numbers := list(re.finditer(r"\d+", text))):
            hit = rng.choice(numbers)
            text = text[: hit.start()] + str(_other(rng, int(hit.group()), 99 if int(hit.group()) > 9 else 12)) + text[hit.end() :]
        elif way < 0.8 and (found := [name for name in names if name in text]):
            text = text.replace(rng.choice(found), rng.choice(names), 1)
        elif pairs := [pair if pair[0] in text else pair[::-1] for pair in _SWAPS if pair[0] in text or pair[1] in text]:
            text = text.replace(*rng.choice(pairs), 1)
        changed = replace(step, **{field: text})
        if check(problem, changed).label == 0:
            return changed
    return step
