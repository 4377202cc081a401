"""Right chains for questions about bar charts, and chains with a mistake made on purpose."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cos.chain import Chain, Problem, Step
from cos.problems import tally
from cos.problems.chart_checks import check
from cos.problems.chart_pictures import COLOURS, TOP
from cos.problems.chart_questions import ORDINALS, Ask

TURNED = 0.25
"""Share of the chains that read in another order than that of the question."""


def chain(problem: Problem, rng: random.Random) -> Chain:
    """A chain whose every step is right and that ends in the gold answer; `rng` varies the order of reading."""
    return reason(problem.truth["content"]["bars"], problem.truth["ask"], rng)


def corrupt(problem: Problem, chain: Chain, rng: random.Random) -> Chain:
    """The chain with a plausible mistake: a misread picture carried through to the answer, another question answered, one claim
    changed, or a wrong answer.

    Which steps are wrong now is for `check` to say; a change that hurts nothing is tried again a few times.
    """
    for _ in range(8):
        changed = _corrupt(problem, chain, rng)
        if changed.answer != problem.answer or any(check(problem, step).label == 0 for step in changed.steps):
            break
    return changed


def _corrupt(problem: Problem, chain: Chain, rng: random.Random) -> Chain:
    drawn = rng.random()
    if drawn < 0.45:
        misread = reason(_misread(problem, rng), problem.truth["ask"], rng)
        return misread if rng.random() < 0.7 else _slip(problem, misread, rng)
    if drawn < 0.53:
        return reason(problem.truth["content"]["bars"], _misheard(problem, rng), rng)
    if drawn < 0.92:
        slipped = _slip(problem, chain, rng)
        return slipped if rng.random() < 0.8 else _slip(problem, slipped, rng)
    return replace(chain, answer=_nudge(chain.answer or "", rng, list(COLOURS)))


def reason(bars: Sequence[Sequence[Any]], ask: Ask, rng: random.Random) -> Chain:
    """The chain that answers `ask` if the picture held these bars (for a misread picture: wrong, but of one piece)."""
    writer = _Writer([(name, value) for name, value in bars], rng)
    answer = getattr(writer, ask["kind"])(ask)
    return Chain(tuple(writer.steps), str(answer))


def whereabouts(value: int) -> str:
    """Where a bar's end lies among the numbered lines, in words."""
    low = value // 5 * 5
    return f"Its end is on the line at {value}." if value == low else f"Its end lies between {low} and {low + 5}."


@dataclass
class _Writer:
    """Writes the steps; one method a kind of question, each returns the answer.

    A step that works first names what it works on, in the order of the question: a small model copies a value after its bar's name, and
    hardly ever gets it right before it (docs/log.md).
    """

    bars: list[tuple[str, int]]
    rng: random.Random
    steps: list[Step] = field(default_factory=list)

    def add(self, name: str, thought: str, reflection: str) -> None:
        self.steps.append(Step(name, thought, reflection))

    def value(self, name: str) -> int:
        return dict(self.bars)[name]

    def see(self, names: Sequence[str]) -> None:
        for name in self.turned(names):
            self.add(f"read {name}", f"The {name} bar reaches {self.value(name)}.", whereabouts(self.value(name)))

    def turned(self, names: Sequence[str]) -> Sequence[str]:
        """As asked for, mostly, as in the other worlds: which one comes next is easier learned from an order (docs/log.md)."""
        return self.rng.sample(names, len(names)) if self.rng.random() < TURNED else names

    def find(self, terms: Sequence[str]) -> list[str]:
        """Read the bars of all terms, finding the largest or smallest first; their names, in the order of the terms."""
        found: dict[str, str] = {}
        for term in self.turned(terms):
            pick = max if term == "largest" else min
            name = pick(self.bars, key=lambda bar: bar[1])[0] if term in ("largest", "smallest") else term
            if name != term:
                self.add(f"find {term}", f"The {term} bar is {name}.", whereabouts(self.value(name)))
            self.see([name])
            found[term] = name
        return [found[term] for term in terms]

    def uses(self, names: Sequence[str]) -> str:
        return f"This uses {_list([f'{name} {self.value(name)}' for name in names])}."

    def read(self, ask: Ask) -> int:
        place, edge = ask["at"], ask["from"]
        spot = place if edge in ("left", "top") else len(self.bars) - 1 - place
        name = self.bars[spot][0]
        beside = self.bars[self.rng.choice([at for at in (spot - 1, spot + 1) if 0 <= at < len(self.bars)])][0]
        self.add(f"find {ORDINALS[place]}", f"The {ORDINALS[place]} bar from the {edge} is {name}.", f"It stands next to {beside}.")
        self.see([name])
        return self.value(name)

    def total(self, names: Sequence[str]) -> int:
        total = self.value(names[0])
        for index, name in enumerate(names[1:], start=1):
            before = f"{_list(names[:index]).capitalize()} make {total}, {name} is {self.value(name)}."
            worked = f"{total} + {self.value(name)} = {total + self.value(name)}."
            self.add("add", self.uses(names[:2]) if index == 1 else before, worked)
            total += self.value(name)
        return total

    def sum(self, ask: Ask) -> int:
        return self.total(self.find(ask["bars"]))

    def subtract(self, names: Sequence[str]) -> int:
        first, second = sorted(names, key=lambda name: -self.value(name))
        gap = self.value(first) - self.value(second)
        self.add("subtract", self.uses(names), f"{self.value(first)} - {self.value(second)} = {gap}.")
        return gap

    def difference(self, ask: Ask) -> int:
        return self.subtract(self.find(ask["bars"]))

    def compare(self, ask: Ask) -> str:
        names = ask["bars"]
        self.see(names)
        left, right = (self.total(names[:2]) if len(names) == 3 else self.value(names[0])), self.value(names[-1])
        link = "more than" if left > right else "less than" if left < right else "equal to"
        used = f"{_list(names[:2]).capitalize()} make {left}, {names[2]} is {right}." if len(names) == 3 else self.uses(names)
        self.add("compare", used, f"{left} is {link} {right}.")
        if ask["by"]:
            return f"{names[0] if left > right else names[1]}, {self.subtract(names)}"
        return "yes" if (left > right if ask["more"] else left < right) else "no"

    def extreme(self, ask: Ask) -> str | int:
        names, which = ask["bars"], ask["which"]
        self.see(names)
        best = (max if which == "largest" else min)(names, key=self.value)
        numbers = _list([str(self.value(name)) for name in names])
        self.add(f"pick {which}", self.uses(names), f"The {which} of {numbers} is {self.value(best)}, that of {best}.")
        return best if ask["want"] == "bar" else self.value(best)

    def count(self, ask: Ask) -> int:
        names, line, above = [name for name, _ in self.bars], ask["line"], ask["side"] == "above"
        inside = [name for name in names if (self.value(name) > line if above else self.value(name) < line)]
        self.add("find bars", f"The bars are {_list(names)}.", f"There are {len(names)} bars.")
        for name in names:
            self.add(f"read {name}", f"The {name} bar reaches {self.value(name)}.", f"It is {self.side(name, line)} {line}.")
        verb = "bar is" if len(inside) == 1 else "bars are"
        told = tally.count(((f"{name} {self.value(name)}", self.side(name, line).split()[0]) for name in names), ask["side"])
        self.add("count", told, f"{len(inside)} {verb} {ask['side']} {line}.")
        return len(inside)

    def side(self, name: str, line: int) -> str:
        value = self.value(name)
        return "above" if value > line else "below" if value < line else "on the line at"

    def order(self, ask: Ask) -> str:
        self.see(ask["bars"])
        names = sorted(ask["bars"], key=self.value, reverse=ask["down"])
        sign = " > " if ask["down"] else " < "
        row = sign.join(str(self.value(name)) for name in names)
        self.add("order", self.uses(ask["bars"]), f"{row}, that is {', '.join(names)}.")
        return ", ".join(names)


def _list(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)


def _misread(problem: Problem, rng: random.Random) -> list[tuple[str, int]]:
    """The bars as someone would see them who misreads one value by a little, or takes one bar for another."""
    bars = [(name, value) for name, value in problem.truth["content"]["bars"]]
    ask = problem.truth["ask"]
    needed = [name for name in ask.get("bars", ()) if name in COLOURS] or [name for name, _ in bars]
    name = rng.choice(needed)
    place = [bar[0] for bar in bars].index(name)
    value = bars[place][1]
    other = rng.choice([at for at in range(len(bars)) if at != place])
    if rng.random() < 0.8:
        by = rng.choice((1, 1, 1, 2, 2, 3)) * rng.choice((-1, 1))
        bars[place] = (name, value + by if 0 <= value + by <= TOP else value - by)
    elif rng.random() < 0.5:
        bars[place], bars[other] = (name, bars[other][1]), (bars[other][0], value)
    else:
        bars[place], bars[other] = bars[other], bars[place]
    return bars


def _misheard(problem: Problem, rng: random.Random) -> dict[str, Any]:
    """What was asked, but for one bar, place or line."""
    ask = dict(problem.truth["ask"])
    if "line" in ask:
        return {**ask, "line": max(1, ask["line"] + rng.choice((-5, -2, -1, 1, 2, 5)))}
    if "at" in ask:
        return {**ask, "at": rng.choice([at for at in range(len(problem.truth["content"]["bars"])) if at != ask["at"]])}
    others = [name for name, _ in problem.truth["content"]["bars"] if name not in ask["bars"]]
    bars = list(ask["bars"])
    if others:
        bars[rng.randrange(len(bars))] = rng.choice(others)
    return {**ask, "bars": bars}


def _slip(problem: Problem, chain: Chain, rng: random.Random) -> Chain:
    """One claim of one step changed; where it was the answer's own number, the answer often follows."""
    at = rng.randrange(len(chain.steps))
    step = chain.steps[at]
    part = rng.choice(("thought", "thought", "thought", "reflection", "reflection"))
    before = getattr(step, part)
    after = _nudge(before, rng, [name for name, _ in problem.truth["content"]["bars"]] * 4 + list(COLOURS))
    steps = (*chain.steps[:at], replace(step, **{part: after}), *chain.steps[at + 1 :])
    answer = chain.answer or ""
    old, new = (set(re.findall(r"\w+", text)) for text in (before, after))
    gone, come = old - new, new - old
    if at == len(steps) - 1 and answer in gone and len(come) == 1 and rng.random() < 0.7:
        answer = come.pop()
    return Chain(steps, answer)


_TURNED = {"more": "less", "less": "more", "largest": "smallest", "smallest": "largest", "above": "below", "below": "above"}
_TURNED |= {"left": "right", "right": "left", "top": "bottom", "bottom": "top", "+": "-", "yes": "no", "no": "yes", "<": ">", ">": "<"}


def _nudge(text: str, rng: random.Random, names: Sequence[str]) -> str:
    """One word of the text changed: a number by a little, a colour to another of `names`, a direction to its opposite; a coarse
    claim ("lies between 5 and 10") to that of another height."""
    if " lies between " in text or " on the line at " in text:
        near = int(re.findall(r"\d+", text)[0])
        return whereabouts(rng.choice([value for value in range(max(0, near - 5), min(TOP, near + 9) + 1) if whereabouts(value) != text]))
    found = [
        match
        for match in re.finditer(r"\w+|[+<>]", text)
        if match.group().isdigit() or match.group().lower() in {*COLOURS, *_TURNED, *ORDINALS}
    ]
    weights = [0.3 if match.group().lower() in _TURNED else 1.0 for match in found]
    if not found:
        return text
    match = rng.choices(found, weights)[0]
    return text[: match.start()] + _other(match.group(), rng, names) + text[match.end() :]


def _other(word: str, rng: random.Random, names: Sequence[str]) -> str:
    if word.isdigit():
        by = rng.choice((1, 1, 1, 2, 2, 3)) * rng.choice((-1, 1))
        return str(int(word) + by if int(word) + by >= 0 else int(word) - by)
    low = word.lower()
    if low in _TURNED:
        return _TURNED[low]
    pool: Mapping[str, Any] | Sequence[str] = ORDINALS[:4] if low in ORDINALS else names
    other = rng.choice([name for name in pool if name != low])
    return other.capitalize() if word[0].isupper() else other
