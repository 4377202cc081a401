"""The checker of the world `digits`: finds the claims of a step by regular expressions and holds them against the truth."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from cos.chain import Problem, Step
from cos.problems import tally
from cos.problems.claims import normalise, read_claims, stray, unread
from cos.problems.digits_words import ROW, predicate_holds, side, values_of
from cos.problems.world import Verdict

_N = r"(?<!\d)\d{1,4}(?!\d)"
_PLACE = rf"(?:{'|'.join(ROW)}|last|(?:top|middle|bottom)[ -](?:left|centre|center|middle|right))\b"
_PREDICATE = rf"odd|even|(?:more|larger|greater|less|smaller) than {_N}|at (?:most|least) {_N}"
_NOT_MORE = r"(?! (?:more|less|larger|smaller|greater)\b)(?! ?[-+=])"  # so that "first is 5 more than third" is not read as "first is 5"
_READ = re.compile(
    rf"\b(?P<who>{_PLACE}|it)(?: digit| number| one)? (?:is|shows|reads|equals|=) (?:an? )?(?:(?P<n>{_N}){_NOT_MORE}|(?P<p>{_PREDICATE}))"
)
_EXTREME = re.compile(rf"\b(largest|smallest|larger|smaller)(?: digit| number| value| one)? is (?:the )?(?:({_N})|({_PLACE}))")
_AT = re.compile(rf"\b(?P<end>largest|smallest) (?:digit|one) is {_N}, (?:that )?at (?:the )?(?P<place>[a-z -]+)")
_COUNT = re.compile(rf"({_N}) (?:digits? |of them )(?:is|are) ({_PREDICATE})")
_USE = re.compile(rf"\b(?P<place>{_PLACE}) (?P<v>{_N})|\b(?:(?P<label>\w+) )?sum (?P<s>{_N})|\b(?P<end>largest|smallest) (?P<e>{_N})")
_OPENER = re.compile(
    r"\b(?:digits?|number|it) (?:is|are|shows|reads)\b|\b(?:more|less|larger|smaller|greater) than\b|\bat (?:most|least)\b"
    rf"|\buses (?!(?:the )?#)|\buses [^.|]*\b{_PLACE} (?!and\b|digit)(?=[a-z])"
)
"""Words after which a value comes."""
_LABEL = re.compile(rf"\b(?:{_PLACE}|(?:\w+ )?sum|largest|smallest) (?={_N})")


@dataclass(frozen=True)
class _Facts:
    """The truth that claims are held against: place -> digit, the groups of places asked about with their labels, and what is counted."""

    values: dict[str, int]
    groups: list[list[str]]
    labels: list[str]
    predicate: str

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
        return max(asked, default=-1) if word.startswith("larg") else min(asked, default=-1)

    def sums(self, label: str | None, names: list[str | None]) -> list[int]:
        """What "the sum" may be: the total of the labelled group; or of the digits asked about before (or after) the one that is added."""
        if label in self.labels:
            return [sum(self.values[name] for name in self.groups[self.labels.index(label)])]
        found = []
        for group in self.groups:
            row = [self.values[name] for name in group]
            for cut in [group.index(name) for name in names if name in group] if names else range(len(group) + 1):
                found += [sum(row[:cut]), sum(row[cut + 1 if names else cut :])]
        return found


def check(problem: Problem, step: Step) -> Verdict:
    """Right if the step claims something and all of it is true, wrong if any claim is false, else neutral. Never raises."""
    ask = problem.truth["ask"]
    values = values_of(problem.truth)
    groups = [
        [name for name in group if name in values] for group in ask["groups"]
    ]  # a question put to another picture may name places it lacks
    facts = _Facts(values, groups, ask["labels"], ask.get("predicate", ""))
    thought, reflection = normalise(step.thought), normalise(step.reflection)
    seen = list(_seen(facts, f"{thought} | {reflection}"))
    worked = list(_worked_out(facts, _READ.sub("#", thought), _READ.sub("#", reflection)))
    if not seen and not worked:
        return Verdict(None, "it claims nothing that can be checked")
    wrong = [fault for fault in [*seen, *worked] if fault]
    left = "" if wrong else unread(_rest(facts, _READ.sub("#", f"{thought} | {reflection}")), _OPENER)
    label = 0 if wrong else None if left else 1
    why = wrong[0] if wrong else f"not all of it can be checked: {left!r}" if left else "all its claims are true"
    return Verdict(label, why, "compute" if worked else "see")


def _rest(facts: _Facts, text: str) -> str:
    """What is left of a text when all claims that are read in it are blotted out."""
    used = Counter(match["v"] or match["s"] or match["e"] for match in _USE.finditer(text))
    text = tally.read(text)[1]
    rest = _COUNT.sub("#", _EXTREME.sub("#", read_claims(_LABEL.sub("", text), facts.values, "digit")[1]))

    def blot(match: re.Match[str]) -> str:
        used[match.group()] -= 1
        return match.group() if used[match.group()] < 0 else "#"

    return re.sub(_N, blot, rest)


def _seen(facts: _Facts, text: str) -> Iterator[str]:
    """A fault, or "" where true, for each claim about the digit in a place; "it" is the place named last."""
    last: str | None = None
    for match in _READ.finditer(text):
        place = last if match["who"] == "it" else facts.place(match["who"])
        if place is None:
            if match["who"] != "it":
                yield f"there is no {match['who']} digit"
            continue
        last, value = place, facts.values[place]
        true = int(match["n"]) == value if match["n"] else predicate_holds(_predicate(match["p"]), value)
        yield "" if true else f"{place} is {value}, not {match['n'] or match['p']}"


def _predicate(text: str) -> str:
    return re.sub(r"larger|greater", "more", text).replace("smaller", "less")


def _worked_out(facts: _Facts, thought: str, reflection: str) -> Iterator[str]:
    """A fault, or "" where true, for each claim worked out, and for each value that the step says it uses."""
    both = f"{thought} | {reflection}"
    (first, thought), (second, reflection) = tally.read(thought), tally.read(reflection)
    for told in (first, second):
        if told is not None:
            yield from _one_by_one(facts, told, _COUNT.search(f"{thought} | {reflection}"))
    used = list(_USE.finditer(reflection)) or list(_USE.finditer(thought))
    amounts = [int(match["v"] or match["s"] or match["e"]) for match in used]
    yield from _uses(facts, used)
    if used and used[0].string is reflection:
        yield from _uses(facts, list(_USE.finditer(thought)))
    claims, _ = read_claims(_LABEL.sub("", both), facts.values, "digit")
    yield from ("" if claim.true else claim.why for claim in claims)
    nowhere = stray(claims, amounts, [*facts.values.values(), *facts.sums(None, [])])
    if nowhere is not None:
        yield f"{nowhere} is not among what it uses" if amounts else f"there is no {nowhere} to work with"
    for match in _EXTREME.finditer(both):
        value = facts.end(match[1])
        claimed = int(match[2]) if match[2] else facts.values.get(facts.place(match[3]) or "")
        yield "" if claimed == value else f"the {match[1]} is {value}"
        names = [facts.place(use["place"]) for use in used if use["place"]]
        whole = any(sorted(group) == sorted(name or "" for name in names) for group in facts.groups)
        alone = all(amount == value for amount in amounts)
        yield "" if whole or alone else f"it uses neither all digits asked for nor the {match[1]} alone"
    for match in _AT.finditer(both):
        place = facts.place(match["place"]) or ""
        asked = [name for group in facts.groups for name in group]
        best = facts.end(match["end"])
        yield "" if place in asked and facts.values[place] == best else f"the {match['end']} is {best}, which is not at {match['place']}"
    for match in _COUNT.finditer(both):
        yield from _counted(facts, match, [facts.place(use["place"]) for use in used if use["place"]])


def _uses(facts: _Facts, used: list[re.Match[str]]) -> Iterator[str]:
    names = [facts.place(match["place"]) for match in used if match["place"]]
    if len(set(names)) < len(names):
        yield "it uses a digit twice"
    others = [match["end"] or f"{match['label'] or ''} sum" for match in used if not match["place"]]
    if len(set(others)) < len(others):
        yield f"it uses the {others[0].strip()} twice"
    for match in used:
        if match["place"]:
            place = facts.place(match["place"])
            if place is None:
                yield f"there is no {match['place']} digit"
            else:
                yield "" if int(match["v"]) == facts.values[place] else f"{place} is {facts.values[place]}, not {match['v']}"
        elif match["end"]:
            value = facts.end(match["end"])
            yield "" if int(match["e"]) == value else f"the {match['end']} is {value}, not {match['e']}"
        else:
            yield "" if int(match["s"]) in facts.sums(match["label"], names) else f"no sum here is {match['s']}"


def _one_by_one(facts: _Facts, told: list[tally.Told], counted: re.Match[str] | None) -> Iterator[str]:
    """A tally of all digits asked for: each once, with its value, and with the count so far of those that `counted` speaks of."""
    yield from tally.faults(told, {facts.predicate.split(" ")[0]}, int(counted[1]) if counted else None)
    names = []
    for one in told:
        name, _, value = one.thing.rpartition(" ")
        place = facts.place(name)
        names.append(place or "")
        if place is None or value != str(facts.values[place]):
            yield f"{name} is {facts.values[place] if place else 'not there'}, not {value}"
        elif facts.predicate and one.word != side(facts.predicate, facts.values[place]):
            yield f"{name} {value} is not {one.word}"
    asked = [name for group in facts.groups for name in group]
    yield "" if sorted(names) == sorted(asked) else "it does not go through all digits asked for, each once"


def _counted(facts: _Facts, match: re.Match[str], names: list[str | None]) -> Iterator[str]:
    predicate = _predicate(match[2])
    if facts.predicate and any(predicate_holds(predicate, n) != predicate_holds(facts.predicate, n) for n in range(10)):
        yield f"asked is which are {facts.predicate}"
    hits = [name for group in facts.groups for name in group if predicate_holds(predicate, facts.values[name])]
    yield "" if int(match[1]) == len(hits) else f"{len(hits)} are {predicate}, not {match[1]}"
    if names:
        yield "" if sorted(hits) == sorted(name or "" for name in names) else f"those that are {predicate}: {', '.join(hits) or 'none'}"
