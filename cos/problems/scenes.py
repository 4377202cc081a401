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
from cos.problems import tally
from cos.problems.scenes_ask import ask
from cos.problems.scenes_check import check
from cos.problems.scenes_draw import draw, style
from cos.problems.scenes_words import ALL_COLOURS, COLOURS, SHAPES, SIDE, Group, Thing, in_order, label, members, noun

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
    """The chain that follows from these things, be they what the picture holds or what was misread.

    A step that works first names what it works on (`chart_chains`).
    """
    kind = asked["kind"]
    if kind in ("relation", "further", "distance"):
        return _two_things(things, asked, turned)
    look, groups = _look(things), [members(things, group) for group in asked["groups"]]
    if kind == "odd":
        return _odd(look, groups[0], asked)
    if kind == "extreme":
        if not groups[0]:
            return Chain((look, _count(things, asked["groups"][0])), "none")
        step, best = _most(things, groups[0], asked["axis"], asked["way"])
        return Chain((look, step), best["shape" if asked["groups"][0][0] else "colour"])
    if kind == "spread":
        if not groups[0]:
            return Chain((look, _count(things, asked["groups"][0])), "0")
        (least, low), (most, high) = (_most(things, groups[0], asked["axis"], way) for way in (-1, 1))
        difference, answer = _minus(high, low, asked["axis"])
        return Chain((look, least, most, difference), answer)
    counting = [_count(things, group) for group in asked["groups"]]
    if kind == "count":
        return Chain((look, *counting), str(len(groups[0])))
    (a, b), names = (len(group) for group in groups), asked["groups"]
    uses = f"This uses {a} {noun(names[0], a)} and {b} {noun(names[1], b)}."
    if kind == "compare":
        return Chain((look, *counting, Step("compare", uses, _compare(a, b))), "yes" if a > b else "no")
    sign, total = ("+", a + b) if kind == "sum" else ("-", a - b)
    name = "add" if kind == "sum" else "subtract"
    return Chain((look, *counting, Step(name, uses, f"{a} {sign} {b} = {total}.")), str(total))


def _where(thing: Thing) -> str:
    return f"It is in the {'left' if thing['x'] < SIDE / 2 else 'right'} half, near the {'top' if thing['y'] < SIDE / 2 else 'bottom'}."


def _look(things: Sequence[Thing]) -> Step:
    """Where there is something and of which colour, in reading order; shapes are looked at when they are asked for (docs/log.md)."""
    seen = [f"{thing['colour']} at {thing['x']}, {thing['y']}" for thing in in_order(things)]
    listed = ", ".join(seen[:-1]) + " and " * (len(seen) > 1) + seen[-1] if seen else "nothing"
    return Step("look", f"I see {listed}.", f"There {'is' if len(seen) == 1 else 'are'} {len(seen)} {noun(['', ''], len(seen))}.")


def _count(things: Sequence[Thing], group: Group) -> Step:
    inside = members(things, group)
    told = tally.count(((thing["colour"], "yes" if thing in inside else "no") for thing in in_order(things)), "yes")
    counted = f"There {'is' if len(inside) == 1 else 'are'} {len(inside)} {noun(group, len(inside))}."
    return Step(f"count {noun(group, 2) if group[1] else group[0]}", told, counted)


def _compare(a: int, b: int) -> str:
    return f"{a} is {'equal to' if a == b else 'less than' if a < b else 'more than'} {b}."


def _minus(high: Thing, low: Thing, axis: str) -> tuple[Step, str]:
    result = high[axis] - low[axis]
    uses = f"This uses the {label(high)} {high[axis]} and the {label(low)} {low[axis]}."
    return Step("subtract", uses, f"{high[axis]} - {low[axis]} = {result}."), str(result)


def _most(things: Sequence[Thing], inside: Sequence[Thing], axis: str, way: int) -> tuple[Step, Thing]:
    """Which of those inside is the first or last along an axis: all things one by one, with the best number so far."""
    best: Thing | None = None
    told: list[tuple[str, str, int | None]] = []
    for thing in in_order(things):
        member = thing in inside
        better = member and (best is None or way * (thing[axis] - best[axis]) > 0)
        best = thing if better else best
        named = f"{thing['colour']} {thing[axis]}" if member else thing["colour"]
        told.append((named, "yes" if better else "no", None if best is None else int(best[axis])))
    assert best is not None
    word = "smallest" if way < 0 else "largest"
    return Step(f"find {word}", tally.tell(told), f"The {word} is {best[axis]}, that of the {label(best)}."), best


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
    return Chain((*steps, Step("compare", uses, _compare(a[axis], b[axis]))), answer)


def _odd(look: Step, found: Sequence[Thing], asked: Mapping[str, Any]) -> Chain:
    same = asked["same"]
    tally = Counter(thing[same] for thing in found).most_common()
    odd = next(thing for thing in found if thing[same] == tally[-1][0])
    group = [tally[0][0], ""] if same == "colour" else ["", tally[0][0]]
    told = f"The other {len(found) - 1} things are {group[0] or noun(group, 2)}."
    return Chain((look, Step("find odd", f"Only the {label(odd)} differs.", told)), odd[asked["want"]])


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
