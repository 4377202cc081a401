"""The checker of the world `digits`: finds the claims of a step by regular expressions and holds them against the truth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cos.chain import Problem, Step
from cos.problems.digits_words import ROW, predicate_holds, values_of
from cos.problems.world import Verdict

_N = r"(?<!\d)\d{1,4}(?!\d)"
_PLACE = rf"(?:{'|'.join(ROW)}|last|(?:top|middle|bottom)[ -](?:left|centre|center|middle|right))\b"
_PREDICATE = rf"odd|even|(?:more|larger|greater|less|smaller) than {_N}|at (?:most|least) {_N}"
_READ = re.compile(
    rf"\b(?P<who>{_PLACE}|it)(?: digit| number| one)? (?:is|shows|reads|equals|=) (?:an? )?(?:(?P<n>{_N})|(?P<p>{_PREDICATE}))"
)
_SUM = re.compile(rf"{_N}(?: ?(?:\+|-|−|plus|minus) ?{_N})+ ?(?:=|is|equals|makes) ?{_N}")
_COMPARE = re.compile(rf"({_N}) is (more than|larger than|greater than|less than|smaller than|equal to) ({_N})")
_EXTREME = re.compile(rf"\b(largest|smallest|larger|smaller)(?: digit| number| value| one)? is (?:the )?(?:({_N})|({_PLACE}))")
_COUNT = re.compile(rf"({_N}) (?:digits? |of them )(?:is|are) ({_PREDICATE})")
_USE = re.compile(rf"\b(?P<place>{_PLACE}) (?P<v>{_N})|\b(?:(?P<label>\w+) )?sum (?P<s>{_N})|\b(?P<end>largest|smallest) (?P<e>{_N})")


@dataclass(frozen=True)
class _Facts:
    """The truth that claims are held against."""

    values: dict[str, int]
    groups: list[list[str]]
    labels: list[str]

    def place(self, name: str) -> str | None:
        """The place that a name means in this picture, None where there is none."""
        name = name.replace("-", " ").replace("center", "centre")
        if name == "last" and "first" in self.values:
            return list(self.values)[-1]
        if name.endswith(" middle"):
            name = name.removesuffix("middle") + "centre"
        return name if name in self.values else None

    def end(self, word: str) -> int:
        """The largest or smallest of the digits asked about."""
        asked = [self.values[name] for group in self.groups for name in group]
        return max(asked) if word.startswith("larg") else min(asked)


def check(problem: Problem, step: Step) -> Verdict:
    """Right if the step claims something and all of it is true, wrong if any claim is false, else neutral. Never raises."""
    ask = problem.truth["ask"]
    facts = _Facts(values_of(problem.truth), ask["groups"], ask["labels"])
    thought, reflection = _plain(step.thought), _plain(step.reflection)
    seen = list(_seen(facts, thought, reflection))
    faults = [*seen, *_worked_out(facts, thought, reflection)]
    if not faults:
        return Verdict(None, "it claims nothing that can be checked")
    wrong = [fault for fault in faults if fault]
    return Verdict(0 if wrong else 1, wrong[0] if wrong else "all its claims are true", "see" if seen else "compute")


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _seen(facts: _Facts, thought: str, reflection: str) -> Iterator[str]:
    """A fault, or "" where true, for each claim about the digit in a place; "it" is the place named last."""
    last: str | None = None
    for match in [*_READ.finditer(thought), *_READ.finditer(reflection)]:
        name = match["who"]
        place = last if name == "it" else facts.place(name)
        if place is None:
            if name != "it":
                yield f"there is no {name} digit"
            continue
        last, value = place, facts.values[place]
        if match["n"]:
            yield "" if int(match["n"]) == value else f"{place} is {value}, not {int(match['n'])}"
        else:
            yield "" if predicate_holds(_predicate(match["p"]), value) else f"{place} is {value}, not {match['p']}"


def _predicate(text: str) -> str:
    return re.sub(r"larger|greater", "more", text).replace("smaller", "less")


def _worked_out(facts: _Facts, thought: str, reflection: str) -> Iterator[str]:
    """A fault, or "" where true, for each claim worked out, and for each value that the step says it uses."""
    both = f"{thought} | {reflection}"
    used = list(_USE.finditer(both))
    yield from _uses(facts, used)
    amounts = sorted(int(match["v"] or match["s"] or match["e"]) for match in used)
    for match in _SUM.finditer(both):
        numbers = [int(number) for number in re.findall(r"\d+", match.group())]
        signs = [-1 if sign in ("-", "−", "minus") else 1 for sign in re.findall(r"\+|-|−|plus|minus", match.group())]
        total = numbers[0] + sum(sign * number for sign, number in zip(signs, numbers[1:-1], strict=True))
        yield "" if total == numbers[-1] else f"the result is {total}, not {numbers[-1]}"
        yield _same(amounts, numbers[:-1])
    for match in _COMPARE.finditer(both):
        one, two = int(match[1]), int(match[3])
        relation = "equal to" if one == two else "more than" if one > two else "less than"
        yield "" if _predicate(match[2]) == relation else f"{one} is {relation} {two}"
        yield _same(amounts, [one, two])
    for match in _EXTREME.finditer(both):
        value = facts.end(match[1])
        claimed = int(match[2]) if match[2] else facts.values.get(facts.place(match[3]) or "")
        yield "" if claimed == value else f"the {match[1]} is {value}"
        yield "" if all(amount == value for amount in amounts) else f"it uses another digit than the {match[1]}"
    for match in _COUNT.finditer(both):
        yield from _counted(facts, match, [facts.place(use["place"]) for use in used if use["place"]])


def _uses(facts: _Facts, used: list[re.Match[str]]) -> Iterator[str]:
    names = [facts.place(match["place"]) for match in used if match["place"]]
    if len(set(names)) < len(names):
        yield "it uses a digit twice"
    for match in used:
        if match["place"]:
            place = facts.place(match["place"])
            if place is None:
                yield f"there is no {match['place']} digit"
            else:
                yield "" if int(match["v"]) == facts.values[place] else f"{place} is {facts.values[place]}, not {int(match['v'])}"
        elif match["end"]:
            value = facts.end(match["end"])
            yield "" if int(match["e"]) == value else f"the {match['end']} is {value}, not {int(match['e'])}"
        else:
            sums = _sums(facts, match["label"], names)
            yield "" if int(match["s"]) in sums else f"no such sum is {int(match['s'])}"


def _sums(facts: _Facts, label: str | None, names: list[str | None]) -> list[int]:
    """What "the sum" may be: the total of the labelled group; or of the digits asked for before (or after) the one that is added."""
    if label in facts.labels:
        return [sum(facts.values[name] for name in facts.groups[facts.labels.index(label)])]
    found = []
    for group in facts.groups:
        row = [facts.values[name] for name in group]
        cuts = [group.index(name) for name in names if name in group] if names else range(len(group) + 1)
        for cut in cuts:
            found += [sum(row[:cut]), sum(row[cut + 1 if names else cut :])]
    return found


def _same(amounts: list[int], numbers: list[int]) -> str:
    return "" if not amounts or amounts == sorted(numbers) else "it works with other numbers than it says it uses"


def _counted(facts: _Facts, match: re.Match[str], names: list[str | None]) -> Iterator[str]:
    predicate = _predicate(match[2])
    hits = [name for group in facts.groups for name in group if predicate_holds(predicate, facts.values[name])]
    yield "" if int(match[1]) == len(hits) else f"{len(hits)} are {predicate}, not {int(match[1])}"
    if names:
        yield "" if sorted(hits) == sorted(name or "" for name in names) else f"those that are {predicate}: {', '.join(hits) or 'none'}"
