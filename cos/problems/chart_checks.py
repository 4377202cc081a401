"""The verdict on any step about a bar chart: every claim that can be read in it is compared with the truth of the picture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

from cos.chain import Problem, Step
from cos.problems import tally
from cos.problems.chart_pictures import COLOURS
from cos.problems.chart_questions import ORDINALS
from cos.problems.claims import LARGEST, LESS, MORE, NUMBER, SMALLEST, Claim, normalise, read_claims, settle, stray, take, unread
from cos.problems.world import Verdict

_C = rf"\b(?:{'|'.join(COLOURS)})\b"
_OTHER = r"\b(?:black|white|gr[ae]y|cyan|teal|magenta|violet|turquoise|gold|beige)(?= bar)"
_ORDINAL = rf"{'|'.join(ORDINALS)}|last|[1-6](?:st|nd|rd|th)"
_IS = r"(?:is|are|reach(?:es)?|ends?|lies?|stands?|stops?|goes?|go|has|have|shows?)"
_OVER, _UNDER = rf"above|over|beyond|past|(?:{MORE}) than", rf"below|under|(?:{LESS}) than"
_LINE = rf"(?:the )?(?:(?:grid )?line (?:at |of )?)?(?P<line>{NUMBER})"
_COUNTS = {"no": 0, "none": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_COUNT = re.compile(rf"(?P<n>{NUMBER}|\b(?:{'|'.join(_COUNTS)})\b) (?:of the )?(?:bars?|values?) {_IS} (?P<side>{_OVER}|{_UNDER}) {_LINE}")
_BARS = re.compile(r"\bthe bars are (?P<names>[a-z]+(?:(?:,? and |, )[a-z]+)*)")
_TOTAL = re.compile(rf"\bthere (?:is|are) (?P<n>{NUMBER}|{'|'.join(_COUNTS)}) bars?\b")
_ORDERED = re.compile(r"\bthat is (?P<names>[a-z]+(?:(?:,? and |, )[a-z]+)+)")
_OF = re.compile(rf"(?P<word>{LARGEST}|{SMALLEST}) (?:of|among) [^.;]*?(?P<whose>, that of (?:the )?(?P<name>[a-z]+))")
_LISTED = re.compile(r"\b(?:they are|these are|it is|this is|namely|uses|take) ([^.;]*)")
_LISTS = re.compile(r"\b(?:they are|these are|uses|take) ([^.;]*)|([^.;]*) makes? ")
_PLACE = re.compile(rf"(?P<nth>{_ORDINAL}) (?:bar )?(?:from|on|at) the (?P<edge>left|right|top|bottom) is (?:the )?(?P<name>{_C})")
_PLACE_BACK = re.compile(
    rf"(?P<name>{_C})(?: bar)? is (?:the )?(?P<nth>{_ORDINAL}) (?:bar )?(?:from|on|at) the (?P<edge>left|right|top|bottom)"
)
_MOST = re.compile(rf"\b(?P<word>{LARGEST}|{SMALLEST}) (?:bar |one )?is (?:the )?(?P<name>{_C})")
_MOST_BACK = re.compile(rf"(?P<name>{_C})(?: bar)? is the (?P<word>{LARGEST}|{SMALLEST})\b(?! of)")
_NEXT = re.compile(rf"\b(?:next to|beside) (?:the )?(?P<name>{_C})")
_BETWEEN = re.compile(rf"\bbetween (?:the lines )?(?:at )?(?P<low>{NUMBER}) and (?P<high>{NUMBER})")
_ON = re.compile(rf"\b(?:on|at) the (?:grid )?line (?:at |of )?(?P<value>{NUMBER})")
_SIDE = re.compile(rf"\b{_IS} (?P<side>above|over|beyond|past|below|under) {_LINE}")
_LINK = r"(?:'s value|'s end|bar|value|end|is|are|reaches|goes|has|shows|stands|ends|at|of|a|the|exactly|equals?|up|to)"
_VALUE = re.compile(
    rf"(?P<name>{_C}|\b(?:it|its value|its end))(?: ?{_LINK}\b){{0,5}} ?[:=]? ?(?P<value>{NUMBER})(?! (?:{MORE}|{LESS}|bars?)\b)"
)
_OPENER = re.compile(
    r"\bthere (?:is|are)\b|\bis (?:above|below)\b|"
    rf"\breach(?:es)?\b|\bline at\b|\bbetween\b|\b(?:they are|it is|uses|take) (?:[^.;]*(?:, | and ))?{_C} (?!and\b|bars?\b)(?=[a-z])"
    rf"|\b(?!(?:the|this|that|its)\b|{_C})[a-z]+ bars? #"
)
"""Words after which a value comes."""


def check(problem: Problem, step: Step) -> Verdict:
    """The verdict on one step by the truth of this problem's picture, whatever steps came before. Never raises."""
    facts = _Facts(problem, step)
    claims = facts.claims()
    return settle(claims, unread(facts.rest, _OPENER))


class _Facts:
    """What one step says of one chart. Text already understood is blotted out, positions stay, so subjects can be looked up."""

    def __init__(self, problem: Problem, step: Step) -> None:
        self.bars: list[tuple[str, int]] = [(name, value) for name, value in problem.truth["content"]["bars"]]
        self.values = dict(self.bars)
        self.ask: Mapping[str, Any] = problem.truth["ask"]
        self.horizontal = bool(problem.truth["style"]["horizontal"])
        self.name = normalise(step.name)
        self.text = self.rest = normalise(f"{step.thought} ; {step.reflection}")
        self.about = self.text if re.search(_C, self.text) else self.name + " " + self.text
        self.named: list[int] = []

    def claims(self) -> list[Claim]:
        """All claims, those about bars that don't exist first."""
        found = self.absent() + self.one_by_one() + self.take(_COUNT, self.count)
        found += self.take(_BARS, self.all_bars) + self.take(_TOTAL, self.total) + self.take(_ORDERED, self.ordered)
        for match in list(_OF.finditer(self.rest)):
            found.append(self.that_of(match))
            start, end = match.span("whose")
            self.rest = self.rest[:start] + "#" * (end - start) + self.rest[end:]
        shared, self.rest = read_claims(self.rest, self.values, "bar")
        for pattern, judge in (
            (_VALUE, self.value),
            (_PLACE, self.place),
            (_PLACE_BACK, self.place),
            (_MOST, self.most),
            (_MOST_BACK, self.most),
            (_NEXT, self.next_to),
            (_BETWEEN, self.between),
            (_ON, self.on_line),
            (_SIDE, self.beyond),
        ):
            found += self.take(pattern, judge)
        return found + shared + self.operands(shared) + self.twice()

    def take(self, pattern: re.Pattern[str], judge: Callable[[re.Match[str]], Claim | None]) -> list[Claim]:
        claims, self.rest = take(pattern, self.rest, judge)
        return claims

    def absent(self) -> list[Claim]:
        named = [
            match
            for match in re.finditer(f"{_C}|{_OTHER}", self.about)
            if not re.search(r"\b(?:no|not a|isn't a) $", self.about[: match.start()])
        ]
        missing = [match.group() for match in named if match.group() not in self.values]
        return [Claim(False, f"there is no {name} bar", "see") for name in missing]

    def subject(self, match: re.Match[str]) -> str | None:
        """The bar that a claim without a name is about: the last one named before it, else the one in the step's name."""
        before = re.findall(_C, self.text[: match.start()]) or re.findall(_C, self.name)[:1]
        return before[-1] if before and before[-1] in self.values else None

    def one_by_one(self) -> list[Claim]:
        """A tally of all bars: each once, with its value, on the side of the line where it is, and with the count so far."""
        told, self.rest = tally.read(self.rest)
        if told is None:
            return []
        line, faults = self.ask.get("line"), list(tally.faults(told, {self.ask.get("side", "")}))
        for one in told:
            name, _, value = one.thing.partition(" ")
            if name not in self.values or value != str(self.values[name]):
                faults.append(f"{name} is {self.values.get(name, 'not there')}, not {value}")
            elif line is None or one.word != ("above" if self.values[name] > line else "below" if self.values[name] < line else "on"):
                faults.append(f"{name} {value} is not {one.word} {line}")
        names = [one.thing.split()[0] for one in told]
        if sorted(names) != sorted(self.values):
            faults.append("it does not go through all bars, each once")
        return [Claim(not faults, faults[0] if faults else f"it counts {told[-1].so_far}", "compute")]

    def all_bars(self, match: re.Match[str]) -> Claim:
        names = re.split(r",? and |, ", match["names"])
        return Claim(sorted(names) == sorted(self.values), f"the bars are {', '.join(self.values)}", "see")

    def total(self, match: re.Match[str]) -> Claim:
        claimed = _COUNTS[match["n"]] if match["n"] in _COUNTS else int(match["n"])
        return _same(f"there are {len(self.bars)} bars", len(self.bars), claimed)

    def ordered(self, match: re.Match[str]) -> Claim | None:
        """The bars asked for by their values, in the order asked for."""
        asked = [name for name in self.asked() if name in self.values]
        if self.ask["kind"] != "order" or not asked:
            return None
        truth = sorted(asked, key=self.values.__getitem__, reverse=bool(self.ask.get("down")))
        return Claim(re.split(r",? and |, ", match["names"]) == truth, f"in order they are {', '.join(truth)}", "compute")

    def that_of(self, match: re.Match[str]) -> Claim:
        """Whose value the largest or smallest of those asked for is."""
        asked = [name for name in self.asked() if name in self.values] or list(self.values)
        best = (max if match["word"] in LARGEST.split("|") else min)(self.values[name] for name in asked)
        true = match["name"] in asked and self.values[match["name"]] == best
        return Claim(true, f"the {match['word']} is {best}, {'' if true else 'not '}that of {match['name']}", "compute")

    def count(self, match: re.Match[str]) -> Claim:
        line, over = int(match["line"]), re.fullmatch(_OVER, match["side"]) is not None
        claimed = _COUNTS[match["n"]] if match["n"] in _COUNTS else int(match["n"])
        inside = {name for name, value in self.bars if (value > line if over else value < line)}
        side = "above" if over else "below"
        if (line, side) != (self.ask.get("line", line), self.ask.get("side", side)):
            return Claim(False, f"asked is {self.ask['side']} {self.ask['line']}, not {side} {line}", "compute")
        if claimed != len(inside):
            return Claim(False, f"{_bars(len(inside))} {side} {line}, not {claimed}", "compute")
        listed = _LISTED.search(self.text, match.end()) or _LISTED.search(self.text)
        names = set(re.findall(_C, listed.group(1))) & set(self.values) if listed else set()
        for name in sorted(names ^ inside) if names or (listed and "none" in listed.group(1)) else ():
            return Claim(False, f"{name} {self.values[name]} is {'not ' if name in names else 'also '}{side} {line}", "compute")
        return Claim(True, f"{_bars(claimed)} {side} {line}", "compute")

    def place(self, match: re.Match[str]) -> Claim | None:
        if match["name"] not in self.values:
            return None
        edge, nth = match["edge"], match["nth"]
        if (edge in ("top", "bottom")) != self.horizontal:
            return Claim(False, f"the bars do not go from the {edge}", "see")
        place = len(self.bars) - 1 if nth == "last" else ORDINALS.index(nth) if nth in ORDINALS else int(nth[0]) - 1
        if place >= len(self.bars):
            return Claim(False, f"there are only {len(self.bars)} bars", "see")
        truth = self.bars[place if edge in ("left", "top") else len(self.bars) - 1 - place][0]
        return _same(f"the {nth} bar from the {edge} is {truth}", truth, match["name"])

    def most(self, match: re.Match[str]) -> Claim | None:
        if match["name"] not in self.values:
            return None
        pick = max if match["word"] in LARGEST.split("|") else min
        truth = pick(self.values, key=self.values.__getitem__)
        return _same(f"the {match['word']} bar is {truth}", truth, match["name"])

    def next_to(self, match: re.Match[str]) -> Claim | None:
        name, other = self.subject(match), match["name"]
        if name is None or other not in self.values:
            return None
        order = list(self.values)
        true = abs(order.index(name) - order.index(other)) == 1
        return Claim(true, f"{name} is {'' if true else 'not '}next to {other}", "see")

    def between(self, match: re.Match[str]) -> Claim | None:
        name = self.subject(match)
        if name is None:
            return None
        true = int(match["low"]) < self.values[name] < int(match["high"])
        return Claim(true, f"{name} is {self.values[name]}{',' if true else ', not'} between {match['low']} and {match['high']}", "see")

    def on_line(self, match: re.Match[str]) -> Claim | None:
        name = self.subject(match)
        return None if name is None else _same(f"{name} is {self.values[name]}", self.values[name], int(match["value"]))

    def beyond(self, match: re.Match[str]) -> Claim | None:
        name = self.subject(match)
        if name is None:
            return None
        over, line = re.fullmatch(_OVER, match["side"]) is not None, int(match["line"])
        true = self.values[name] > line if over else self.values[name] < line
        return Claim(true, f"{name} is {self.values[name]}, {'' if true else 'not '}{match['side']} {line}", "see")

    def value(self, match: re.Match[str]) -> Claim | None:
        name = match["name"] if match["name"] in COLOURS else self.subject(match)
        if name is None or name not in self.values:
            return None
        self.named.append(int(match["value"]))
        return _same(f"{name} is {self.values[name]}", self.values[name], int(match["value"]))

    def asked(self) -> list[str]:
        """The bars that the question is about, the largest and smallest by their names; empty where it names none."""
        ends = {"largest": max(self.bars, key=lambda bar: bar[1])[0], "smallest": min(self.bars, key=lambda bar: bar[1])[0]}
        return [ends.get(term, term) for term in self.ask.get("bars", ())]

    def twice(self) -> list[Claim]:
        """A list of what is used, counted or added that names a bar more often than the question does."""
        lists = [Counter(re.findall(_C, "".join(match.groups("")))) for match in _LISTS.finditer(self.text)]
        again = [name for names in lists for name, count in names.items() if count > max(1, self.asked().count(name))]
        return [Claim(False, f"{again[0]} is taken twice", "compute")] if again else []

    def operands(self, shared: list[Claim]) -> list[Claim]:
        """Working on values claims that they are the ones asked for: false for a number from nowhere, a bar that the question is not
        about, and an extreme that leaves a bar out."""
        asked = self.asked()
        values = [self.values[name] for name in asked if name in self.values]  # a question put to another picture may name bars it lacks
        sums = [a + b for a, b in combinations(values, 2)]
        line = [self.ask["line"]] if "line" in self.ask else []
        others = [name for name in re.findall(_C, self.text) if name in self.values and name not in asked] if asked and shared else []
        if others:
            return [Claim(False, f"{others[0]} is not asked for here", "compute")]
        number = stray(shared, self.named + line if self.named else [], [*(values or self.values.values()), *sums, *line])
        if number is not None:
            return [Claim(False, f"{number} is not a value used here", "compute")]
        lists = [claim for claim in shared if len(claim.used) > 1 and claim.result is not None]
        if self.ask["kind"] == "extreme" and any(set(values) - set(claim.used) for claim in lists):
            return [Claim(False, "not all the bars asked for are in it", "compute")]
        return []


def _same(why: str, truth: object, claimed: object) -> Claim:
    return Claim(truth == claimed, why if truth == claimed else f"{why}, not {claimed}", "see")


def _bars(count: int) -> str:
    return "1 bar is" if count == 1 else f"{count} bars are"
