"""Scenes: coloured shapes on a 10 x 10 lattice; where they are, how many there are, which one differs. A world with truth.

`truth`: `content.things` = `[{colour, shape, x, y}]` in reading order, `style` as in `scenes_draw.style`, `ask` as in `scenes_ask`.
No torch: PIL and the standard library.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cos.chain import Chain, Problem, Step
from cos.problems.scenes_ask import ask
from cos.problems.scenes_check import check
from cos.problems.scenes_draw import draw, style
from cos.problems.scenes_words import ALL_COLOURS, COLOURS, SHAPES, SIDE, Group, Thing, in_order, is_a, label, members, noun

__all__ = ["NAME", "chain", "check", "corrupt", "describe", "draw", "sample"]
NAME = "scenes"


def sample(rng: random.Random, split: str, level: int) -> dict[str, Any]:
    """Draw `{question, answer, kind, truth}`; `shift` takes looks that no other split has."""
    dark = rng.random() < 0.5
    things, asked, question, answer = ask(rng, level, (*COLOURS, "white" if dark else "black"))
    content = {"things": in_order(things)}
    truth = {"content": content, "style": style(rng, split, dark, len(things)), "ask": asked}
    return {"question": question, "answer": answer, "kind": asked["kind"], "truth": truth}


def describe(truth: Mapping[str, Any]) -> str:
    """Every thing in reading order: `red circle 3 7, blue star 6 2.`"""
    return ", ".join(f"{label(thing)} {thing['x']} {thing['y']}" for thing in in_order(truth["content"]["things"])) + "."


def chain(problem: Problem, rng: random.Random) -> Chain:
    """A chain whose every step is right; `rng` varies the order in which single things are read."""
    return _write(problem.truth["content"]["things"], problem.truth["ask"], rng.random() < 0.25)


def corrupt(problem: Problem, chain: Chain, rng: random.Random) -> Chain:
    """A plausible wrong chain: a picture misread and reasoned on from there, or one or two claims changed with nothing carried on."""
    asked = problem.truth["ask"]
    for _ in range(40):
        if rng.random() < 0.5:
            seen = _misread(problem.truth["content"]["things"], asked, rng)
            wrong = _write(seen, asked, rng.random() < 0.25)
        else:
            wrong = _slip(chain, rng)
            if rng.random() < 0.3:
                wrong = _slip(wrong, rng)
        if any(check(problem, step).label == 0 for step in wrong.steps) and (wrong.answer != chain.answer or rng.random() < 0.5):
            return wrong if rng.random() < 0.9 else replace(wrong, answer=_swap(wrong.answer or "", rng))
    return replace(chain, answer=_swap(chain.answer or "", rng))


def _write(things: Sequence[Thing], asked: Mapping[str, Any], turned: bool) -> Chain:
    """The chain that follows from these things, be they what the picture holds or what was misread."""
    kind = asked["kind"]
    if kind in ("relation", "further", "distance"):
        return _two_things(things, asked, turned)
    steps = [step for group in asked["groups"] for step in _find(things, group)]
    groups = [members(things, group) for group in asked["groups"]]
    if kind == "odd":
        return _odd(steps, groups[0], asked)
    if kind == "extreme":
        if not groups[0]:
            return Chain(tuple(steps), "none")
        step, best = _most(groups[0], asked["axis"], asked["way"])
        return Chain((*steps, step), best["shape" if asked["groups"][0][0] else "colour"])
    if kind == "spread":
        if not groups[0]:
            return Chain(tuple(steps), "0")
        (least, low), (most, high) = (_most(groups[0], asked["axis"], way) for way in (-1, 1))
        difference, answer = _minus(high, low, asked["axis"])
        return Chain((*steps, least, most, difference), answer)
    counting = [_count(things, group) for group in asked["groups"]]
    if kind == "count":
        return Chain((*steps, *counting), str(len(groups[0])))
    (a, b), names = (len(group) for group in groups), asked["groups"]
    uses = f"This uses {a} {noun(names[0], a)} and {b} {noun(names[1], b)}."
    if kind == "compare":
        tally = counting if asked["tally"] else []
        return Chain((*steps, *tally, Step("compare", _compare(a, b), uses)), "yes" if a > b else "no")
    sign, total = ("+", a + b) if kind == "sum" else ("-", a - b)
    name = "add" if kind == "sum" else "subtract"
    return Chain((*steps, *counting, Step(name, f"{a} {sign} {b} = {total}.", uses)), str(total))


def _where(thing: Thing) -> str:
    return f"It is in the {'left' if thing['x'] < SIDE / 2 else 'right'} half, near the {'top' if thing['y'] < SIDE / 2 else 'bottom'}."


def _find(things: Sequence[Thing], group: Group) -> list[Step]:
    """One step for each of the group, or one that says that there is none."""
    name = f"find {noun(group, 2) if group[1] else group[0] or 'things'}"
    steps = []
    for thing in members(things, group):
        article = "An" if thing["colour"] == "orange" else "A"
        steps.append(Step(name, f"{article} {label(thing)} is at {thing['x']}, {thing['y']}.", _where(thing)))
    none = Step(name, f"There is no {noun(group)}.", f"None of the {len(things)} things is {is_a(group)}.")
    return steps or [none]


def _count(things: Sequence[Thing], group: Group) -> Step:
    found = members(things, group)
    places = " and ".join(f"{thing['x']}, {thing['y']}" for thing in found)
    told = f"{'It is' if len(found) == 1 else 'They are'} at {places}." if found else f"None of the {len(things)} things is {is_a(group)}."
    return Step("count", f"There {'is' if len(found) == 1 else 'are'} {len(found)} {noun(group, len(found))}.", told)


def _compare(a: int, b: int) -> str:
    return f"{a} is {'equal to' if a == b else 'less than' if a < b else 'more than'} {b}."


def _minus(high: Thing, low: Thing, axis: str) -> tuple[Step, str]:
    result = high[axis] - low[axis]
    uses = f"This uses the {label(high)} {high[axis]} and the {label(low)} {low[axis]}."
    return Step("subtract", f"{high[axis]} - {low[axis]} = {result}.", uses), str(result)


def _most(found: Sequence[Thing], axis: str, way: int) -> tuple[Step, Thing]:
    best = max(found, key=lambda thing: way * thing[axis])
    values = [str(thing[axis]) for thing in found]
    listed = ", ".join(values[:-1]) + " and " + values[-1] if values[1:] else values[0]
    word = "smallest" if way < 0 else "largest"
    thought = f"The {word} of {listed} is {best[axis]}."
    return Step(f"find {word}", thought, f"This is the {label(best)} at {best['x']}, {best['y']}."), best


def _two_things(things: Sequence[Thing], asked: Mapping[str, Any], turned: bool) -> Chain:
    a, b = (members(things, asked[part])[0] for part in "ab")
    axis, way = asked["axis"], asked["way"]
    steps = [Step(f"find {label(t)}", f"The {label(t)} is at {t['x']}, {t['y']}.", _where(t)) for t in ((b, a) if turned else (a, b))]
    if asked["kind"] == "distance":
        last, answer = _minus(*((b, a) if way > 0 else (a, b)), axis)
        return Chain((*steps, last), answer)
    holds = (a[axis] - b[axis]) * way > 0
    uses = f"This uses the {label(a)} {a[axis]} and the {label(b)} {b[axis]}."
    answer = ("yes" if holds else "no") if asked["kind"] == "relation" else label(a if holds else b)
    return Chain((*steps, Step("compare", _compare(a[axis], b[axis]), uses)), answer)


def _odd(steps: list[Step], found: Sequence[Thing], asked: Mapping[str, Any]) -> Chain:
    same = asked["same"]
    tally = Counter(thing[same] for thing in found).most_common()
    odd = next(thing for thing in found if thing[same] == tally[-1][0])
    group = [tally[0][0], ""] if same == "colour" else ["", tally[0][0]]
    told = f"The other {len(found) - 1} things are {group[0] or noun(group, 2)}."
    return Chain((*steps, Step("find odd", f"Only the {label(odd)} differs.", told)), odd[asked["want"]])


def _misread(things: Sequence[Thing], asked: Mapping[str, Any], rng: random.Random) -> list[Thing]:
    """The things with one misread: its place, colour or shape, one missed or one too many."""
    seen = [dict(thing) for thing in things]
    pairs = [tuple(asked[part]) for part in "ab" if part in asked]
    asked_about = [t for t in seen if (t["colour"], t["shape"]) in pairs or any(t in members(seen, g) for g in asked.get("groups", ()))]
    thing = rng.choice(asked_about or seen)
    what = "place" if pairs else rng.choice(("place", "place", "colour", "shape", "missed", "extra"))
    if what == "place":
        axis = asked.get("axis", rng.choice("xy")) if rng.random() < 0.7 else rng.choice("xy")
        thing[axis] = max(0, min(SIDE - 1, thing[axis] + rng.choice((-3, -2, -1, -1, 1, 1, 2, 3))))
    elif what == "missed" and asked["kind"] != "odd":
        seen.remove(thing)
    elif what == "extra" and asked["kind"] != "odd":
        group = rng.choice(asked["groups"])
        seen.append(
            {
                "colour": group[0] or rng.choice(COLOURS),
                "shape": group[1] or rng.choice(SHAPES),
                "x": rng.randrange(SIDE),
                "y": rng.randrange(SIDE),
            }
        )
    else:
        thing.update({"colour": rng.choice(COLOURS)} if what == "colour" else {"shape": rng.choice(SHAPES)})
    return in_order(seen)


def _slip(chain: Chain, rng: random.Random) -> Chain:
    """One word or number of one step changed, all else left."""
    at = rng.randrange(len(chain.steps))
    step, field = chain.steps[at], rng.choice(("thought", "reflection"))
    steps = list(chain.steps)
    steps[at] = replace(step, **{field: _swap(getattr(step, field), rng)})
    return replace(chain, steps=tuple(steps))


OPPOSITES = {"left": "right", "top": "bottom", "less": "more", "smallest": "largest"}
OPPOSITES |= {value: key for key, value in OPPOSITES.items()} | {"equal to": "more than", "yes": "no", "no": "yes"}


def _swap(text: str, rng: random.Random) -> str:
    """Change one number, colour, shape or side named in a text into another."""
    words = "|".join((r"\d+", *ALL_COLOURS, *SHAPES, *OPPOSITES))
    found = list(re.finditer(rf"\b({words})(?=e?s?\b)", text))
    if not found:
        return text
    spot = rng.choice(found)
    word = spot.group()
    if word.isdigit():
        new = str(rng.choice([n for n in (int(word) + by for by in (-2, -1, -1, 1, 1, 2)) if n >= 0]))
    else:
        group: Sequence[str] = next((words for words in (COLOURS, SHAPES) if word in words), COLOURS)
        new = OPPOSITES.get(word) or rng.choice([other for other in group if other != word])
    return text[: spot.start()] + new + text[spot.end() :]
