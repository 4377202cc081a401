"""Claims that several worlds share: arithmetic, comparisons, extremes and orders found in a sentence, each with its verdict.

A term is a number or a name whose value is known ("red", "the red bar"), so "12 + 5 = 17", "red is more than blue" and
"9 is the largest of 3, 9 and 4" are read by the same patterns. Standard library only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from cos.problems.world import Verdict

NUMBER = r"(?<![\w.])\d{1,4}(?!\w)"
"""Pattern of a plain integer; bounded, so that no text is slow to read."""
LARGEST, SMALLEST = "largest|highest|tallest|longest|biggest|greatest|maximum", "smallest|lowest|shortest|least|minimum"
MORE, LESS = "more|greater|larger|higher|taller|longer|bigger", "less|smaller|lower|shorter|fewer"
_COMMA = r"(?:,? and |, ?| ?& ?)"


@dataclass(frozen=True)
class Claim:
    """One claim found in a text: is it true, what the truth is in one phrase, and which plain numbers it works on and comes to."""

    true: bool
    why: str
    kind: Literal["see", "compute"]
    used: tuple[int, ...] = ()
    result: int | None = None


def normalise(text: str) -> str:
    """Lower case, single spaces, plain minus signs, "it is" for "it's", at most 4,000 characters: what the patterns of a world are for."""
    plain = text.lower().replace("\u2212", "-").replace("\u2013", "-").replace("\u2019", "'").replace("it's ", "it is ")
    return " ".join(plain.split())[:4000]


def take(pattern: re.Pattern[str], text: str, judge: Callable[[re.Match[str]], Claim | None]) -> tuple[list[Claim], str]:
    """The claims at every match, and the text with them blotted out (`#`, same length), so that no other pattern reads them again.

    A match that `judge` gives None for is left in the text.
    """
    claims: list[Claim] = []

    def keep(match: re.Match[str]) -> str:
        claim = judge(match)
        if claim is None:
            return match.group()
        claims.append(claim)
        return "#" * len(match.group())

    return claims, pattern.sub(keep, text)


def read_claims(text: str, names: Mapping[str, int] | None = None, noun: str = "") -> tuple[list[Claim], str]:
    """All shared claims of a normalised text, and the text with them blotted out.

    `names`: lower-case names and their true values; `noun`: a word that may follow a name ("bar"). All claims are of kind "compute".
    """
    reader = _Reader(dict(names or {}), noun)
    found: list[Claim] = []
    for pattern, judge in zip(_patterns(tuple(sorted(reader.names)), noun), reader.judges(), strict=True):
        claims, text = take(pattern, text, judge)
        found += claims
    return found, text


def stray(claims: Sequence[Claim], named: Sequence[int], known: Iterable[int]) -> int | None:
    """The first number a claim works on that comes from nowhere, None where there is none.

    Where the step names its values (`named`), or other claims of the step come to a result, numbers must be among those;
    else among `known`, the quantities that the picture holds.
    """
    for index, claim in enumerate(claims):
        results = [other.result for place, other in enumerate(claims) if place != index and other.result is not None]
        allowed = Counter([*named, *results] or known)
        for number in claim.used:
            if allowed[number] <= 0:
                return number
            allowed[number] -= 1
    return None


def unread(rest: str, opener: re.Pattern[str]) -> str:
    """The first number, sign, or word that opens a claim (`opener`) in what is left of a text whose claims are blotted out; else "".

    With it a step is not all read: "the red bar reaches brown" is not taken for right because the sentence after it is.
    """
    left = re.search(rf"\d+|[+=<>]|{opener.pattern}", rest)
    return left.group() if left else ""


def settle(claims: Sequence[Claim], left: str = "") -> Verdict:
    """The verdict on a step that makes these claims: wrong where any is false, neutral where there is none or some could not be read
    (`left`, from `unread`)."""
    if not claims:
        return Verdict(None, "nothing here can be checked")
    kind: Literal["see", "compute"] = "compute" if any(claim.kind == "compute" for claim in claims) else "see"
    for claim in claims:
        if not claim.true:
            return Verdict(0, claim.why, kind)
    return Verdict(None, f"not all of it can be checked: {left!r}") if left else Verdict(1, claims[0].why, kind)


@lru_cache(maxsize=1024)
def _words(names: tuple[str, ...]) -> str:
    """Pattern of any of the names, the longest first."""
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


@lru_cache(maxsize=1024)
def _patterns(names: tuple[str, ...], noun: str) -> tuple[re.Pattern[str], ...]:
    tail = f"(?: {noun})?" if noun else ""
    words = _words(names)
    term = rf"(?:(?:the )?\b(?:{words})\b{tail}|{NUMBER})" if words else f"(?:{NUMBER})"
    listing = rf"{term}(?:{_COMMA}{term})*"
    extreme = rf"(?:the )?(?P<word>{LARGEST}|{SMALLEST})(?: {noun or 'one'}| value| number)?"
    equal = "=|is|equals?|makes?|gives?"
    word = rf"(?:{term}|\b[a-z]+\b)"
    forms = (
        rf"(?P<sum>{term}(?: ?(?:\+|-|\bplus\b|\bminus\b) ?{term})+) ?(?:{equal}) ?(?P<result>-?\d{{1,4}})(?!\w)",
        rf"(?P<sum>{term}(?:{_COMMA}{term})+) (?:together )?(?:makes?|adds? up to|sums? to|totals?) (?P<result>-?\d{{1,4}})(?!\w)",
        rf"(?P<list>{listing}) (?:has|have) {extreme} (?P<result>{NUMBER})",
        rf"{extreme} (?:of|among) (?P<list>{listing}) is (?P<result>{term})",
        rf"(?P<result>{term}) is {extreme} (?:of|among) (?P<list>{listing})",
        rf"(?P<a>{term}) (?:is )?(?P<by>{NUMBER}) (?P<word>{MORE}|{LESS}) than (?P<b>{term})",
        rf"(?P<a>{term}) (?:is )?(?P<word>(?:{MORE}|{LESS}) than|equal to|the same as) (?P<b>{term})",
        rf"(?P<row>{term}(?: ?[<>] ?{term})+)",
        rf"(?P<sum>{term}(?: ?[-+] ?{term})+) ?=(?! ?-?\d)",
        rf"(?P<sum>{word}(?:(?: ?\+ ?| - ){word})+ ?= ?{word}|{word}(?: ?[<>] ?{word})+)",
    )
    return tuple(re.compile(form) for form in forms)


class _Reader:
    """Judges of the shared patterns, in their order, over one table of names."""

    def __init__(self, names: dict[str, int], noun: str) -> None:
        self.names = names
        words = _words(tuple(sorted(names)))
        self.term = re.compile(rf"\b(?:{words})\b|\d+" if words else r"\d+")

    def judges(self) -> tuple[Callable[[re.Match[str]], Claim], ...]:
        return (self.sums, self.sums, self.extreme, self.extreme, self.extreme, self.gap, self.order, self.row, self.hole, self.hole)

    def terms(self, text: str) -> tuple[list[int], tuple[int, ...]]:
        """The values of all terms, and those of them that stand as plain numbers."""
        found = self.term.findall(text)
        values = [self.names[term] if term in self.names else int(term) for term in found]
        return values, tuple(value for term, value in zip(found, values, strict=True) if term not in self.names)

    def sums(self, match: re.Match[str]) -> Claim:
        text, claimed = match["sum"], int(match["result"])
        values, used = self.terms(text)
        joins = re.findall(r"\+|-|\bplus\b|\bminus\b", text)
        signs = [1] + [-1 if join in ("-", "minus") else 1 for join in joins or values[1:]]
        result = sum(sign * value for sign, value in zip(signs, values, strict=True))
        return Claim(result == claimed, f"{text} is {result}" + _not(result, claimed), "compute", used, claimed)

    def extreme(self, match: re.Match[str]) -> Claim:
        values, used = self.terms(match["list"])
        claimed = self.terms(match["result"])[0][0]
        result = max(values) if match["word"] in LARGEST.split("|") else min(values)
        return Claim(
            result == claimed, f"the {match['word']} of {match['list']} is {result}" + _not(result, claimed), "compute", used, claimed
        )

    def gap(self, match: re.Match[str]) -> Claim:
        (a, b), used = self.terms(match["a"] + " , " + match["b"])
        gap = (a - b) * (1 if match["word"] in MORE.split("|") else -1)
        why = f"{match['a']} is {gap} {match['word']} than {match['b']}" + _not(gap, int(match["by"]))
        return Claim(gap == int(match["by"]), why, "compute", used, int(match["by"]))

    def order(self, match: re.Match[str]) -> Claim:
        (a, b), used = self.terms(match["a"] + " , " + match["b"])
        word = match["word"].split()[0]
        true = a > b if word in MORE.split("|") else a < b if word in LESS.split("|") else a == b
        return Claim(true, f"{match['a']} is {'' if true else 'not '}{match['word']} {match['b']}", "compute", used)

    def row(self, match: re.Match[str]) -> Claim:
        values, used = self.terms(match["row"])
        signs = re.findall("[<>]", match["row"])
        true = all(a < b if sign == "<" else a > b for a, sign, b in zip(values, signs, values[1:], strict=False))
        return Claim(true, match["row"] if true else f"{match['row']} is not so", "compute", used)

    def hole(self, match: re.Match[str]) -> Claim:
        """A sum or an order with something else where a number belongs; what is whole was read before."""
        return Claim(False, f"{match['sum']} comes to no number", "compute", self.terms(match["sum"])[1])


def _not(result: int, claimed: int) -> str:
    return "" if result == claimed else f", not {claimed}"
