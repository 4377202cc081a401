"""Answers: one normal form, and one function per rule for "is this answer right?".

How an answer is cut out of a chain is `cos.template.extract_answer`. Here a given answer meets a gold one. Every rule takes
`(given, gold)` as text, is deterministic, never guesses, and says no where either is None (what does not parse is wrong).
Each docstring says what is ambiguous and which way the rule decides. `verdict` says by which part of the default rule it was decided.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from cos.chain import REFUSAL

_MINUS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"), "-")
_QUOTES = {ord(quote): "'" for quote in "\u2018\u2019\u02bc\u0060\u00b4"} | {ord(quote): '"' for quote in "\u201c\u201d"}
_ENDS = " .,;:!?'\"()[]{}*_"
_LEAD = re.compile(rf"(?:(?!\.\d)[{re.escape(_ENDS)}])*")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!,?\d)")
_NUMBER = re.compile(r"([$€£¥]?) ?([+-]?) ?([$€£¥]?) ?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d{1,2})?(?: ?(\D*))?")
_NORMAL_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_REFUSALS = re.compile(
    r"(?:(?:i'm )?sorry[\W_]+(?:but )?)?(?:(?:i|we|you|one|it|this|that|the answer|the question) )?(?:is )?"
    r"(?:(?:cannot|can not|can't|cant|could not|couldn't) "
    r"(?:tell|say|see|know|answer|determine|help|process|be (?:told|seen|determined|answered|known))"
    r"|not (?:shown|visible|in the (?:picture|image|chart)|enough information)|(?:do not|don't) know|insufficient information)\b.*"
    r"|unknown|unanswerable|undetermined"
)

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS = {word: str(value) for value, word in enumerate(_ONES.split())} | {"one hundred": "100"}
for _value, _ten in enumerate(_TENS.split(), start=2):
    _WORDS[_ten] = str(10 * _value)
    _WORDS |= {f"{_ten}{gap}{one}": str(10 * _value + i) for gap in "- " for i, one in enumerate(_ONES.split()[1:10], start=1)}

UNITS: dict[str, str] = {
    spelling: names.split("|")[0]
    for names in (
        "%|percent|per cent", "°|degree|degrees", "$|dollar|dollars|usd", "€|euro|euros|eur", "£|pound sterling|gbp", "¥|yen|jpy",
        "mm|millimeter|millimeters|millimetre|millimetres", "cm|centimeter|centimeters|centimetre|centimetres",
        "m|meter|meters|metre|metres", "km|kilometer|kilometers|kilometre|kilometres", "ft|foot|feet", "inch|inches",
        "g|gram|grams", "kg|kilogram|kilograms", "ml|milliliter|milliliters|millilitre|millilitres", "l|liter|liters|litre|litres",
        "s|sec|second|seconds", "min|minute|minutes", "h|hour|hours", "day|days", "week|weeks", "month|months", "year|years",
        "°c", "°f", "px|pixel|pixels",
    )
    for spelling in names.split("|")
}  # fmt: skip
"""Every spelling of a unit that may follow a number, with the form it is brought to. Other words after a number are text."""


def normalise(text: str) -> str:
    """The normal form of an answer: two answers are the same answer (one cluster of a vote) when their normal forms are equal.

    - Case, white space, and punctuation or brackets at both ends do not count: `" (B). "` is `b`. Typographic minus signs, hyphens
      and quotes are the plain ones.
    - A refusal (`cannot tell`, `not shown`, `It can't be determined from the image`, `unknown`) is `chain.REFUSAL`.
    - Numbers: `3.0`, `+3`, `03` and `three` are `3`; `-0` is `0`; `1e3` is `1000`; words go up to one hundred. `none` and `no` are
      words, not 0. A word is read as a number only where it is the whole answer (so "one" as a pronoun becomes 1).
    - `1,234` is 1234, for a comma with exactly three digits after it separates thousands; `1, 234` and `3,5` are lists (a comma
      is never a decimal mark, and `100,200` is one number: ask `in_order` where a list is due).
    - A unit of `UNITS` after a number stays, in one spelling: `5cm` and `5 centimeters` are `5 cm`, `$5` is `5 $`, `60 percent` is
      `60 %`. So 60 %, 60 and 0.6 are three answers here; `match` is milder.
    - Items between commas are brought to their normal forms one by one: `[2.0,Red]` is `2, red`.

    Normal forms are stable (`normalise(normalise(x)) == normalise(x)`); text of punctuation alone becomes the empty string.
    """
    plain = " ".join(text.translate(_MINUS | _QUOTES).casefold().split())
    plain = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), _trim(plain))
    if _REFUSALS.fullmatch(plain):
        return REFUSAL
    items = (_item(part) for part in plain.split(","))
    return ", ".join(item for item in items if item)


def quantity(text: str) -> tuple[float, str] | None:
    """Number and unit ("" without one) of an answer that is one number, in the sense of `normalise`; None for all else."""
    value, _, unit = normalise(text).partition(" ")
    if not _NORMAL_NUMBER.fullmatch(value) or (unit and unit not in UNITS):
        return None
    return float(value), unit


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, the rule that decided, and what that rule took the answer for (None: it found no answer in the text)."""

    right: bool
    rule: str
    read: str | None = None


def verdict(given: str | None, gold: str | None) -> Verdict:
    """What `match` says, with the part of its rule that decided."""
    if given is None or gold is None:
        return Verdict(False, "no answer" if given is None else "no gold answer")
    ours, theirs = normalise(given), normalise(gold)
    if ours == "":
        return Verdict(False, "no answer but punctuation")
    if ours == theirs:
        return Verdict(True, "same normal form", ours)
    mine, other = quantity(given), quantity(gold)
    if mine is not None and other is not None and mine[0] == other[0] and "" in (mine[1], other[1]):
        return Verdict(True, "same number, one without its unit", ours)
    return Verdict(False, "another answer", ours)


def match(given: str | None, gold: str | None) -> bool:
    """The default rule, for free answers with an exact gold: equal normal forms, or equal numbers where only one names a unit.

    A unit that one side leaves out is taken from the other, for the question usually fixes it: `5 cm` and `60 %` match `5` and `60`.
    Two different units never match, nor does `60 %` match `0.6`. Numbers must be equal: no tolerance, no rounding. A number in a
    sentence (`it is 5`) is text. None, and text of punctuation alone, match nothing.
    """
    return verdict(given, gold).right


def exact(given: str | None, gold: str | None) -> bool:
    """The same text but for case and outer white space. `3.0` is not `3`, and `B.` is not `B` (the rule of the CoS evaluators)."""
    return given is not None and gold is not None and given.strip().lower() == gold.strip().lower()


def number(given: str | None, gold: str | None, *, absolute: float = 0.0, relative: float = 0.0) -> bool:
    """Two numbers no further apart than `absolute`, or than `relative` times the gold one; the larger allowance counts.

    Units as in `match`: one side may leave its unit out, different units do not match, nothing is converted (60 % is not 0.6).
    With a gold of 0 only `absolute` allows anything. One part in 10^9 is always added, for binary fractions.
    """
    ours = quantity(given) if given is not None else None
    theirs = quantity(gold) if gold is not None else None
    if ours is None or theirs is None or (ours[1] != theirs[1] and "" not in (ours[1], theirs[1])):
        return False
    slack = max(absolute, relative * abs(theirs[0])) + 1e-9 * abs(theirs[0])
    return abs(ours[0] - theirs[0]) <= slack


def letter(text: str, options: Sequence[str]) -> str | None:
    """The capital letter of the option (A is the first of `options`) that `text` names, or None.

    In order: a letter alone (`B`, `(b)`, `B.`); the whole answer equal to one option by `normalise`; a letter at the start, then `.`,
    `:` or `)` (`B. red`); the last letter in brackets; a capital letter after `option`, or after `answer is` or `answer:`. A letter
    alone wins over an option whose text is that letter. Two options with the same text name none. `A` as an article is never read.
    """
    letters = [chr(65 + i) for i in range(len(options))]
    plain = normalise(text)
    if len(plain) == 1 and plain.upper() in letters:
        return plain.upper()
    same = [name for name, option in zip(letters, options, strict=True) if plain and normalise(option) == plain]
    if same:
        return same[0] if len(same) == 1 else None
    for pattern in (r"^\s*\(?([A-Za-z])[.:)]", r".*\(([A-Za-z])\)", r".*(?:[Oo]ption|[Aa]nswer(?: is|:))\s*\**([A-Z])\b"):
        found = re.match(pattern, text, re.DOTALL)
        if found and found[1].upper() in letters:
            return found[1].upper()
    return None


def choice(given: str | None, gold: str | None, options: Sequence[str]) -> bool:
    """Multiple choice: both name the same option by `letter`; the gold may be a letter or an option's text (as in MathVista)."""
    if given is None or gold is None:
        return False
    wanted = letter(gold, options)
    return wanted is not None and letter(given, options) == wanted


def relaxed(given: str | None, gold: str | None, tolerance: float = 0.05, *, strip: bool = True) -> bool:
    """ChartQA's relaxed accuracy, as in pix2struct: a float within 5 % of a non-zero gold, else the same text but for case.

    A trailing `%` divides by 100 (so `5%` matches `0.05` and not `5`). A gold of 0 is compared as text, thus `0.0` does not match `0`.
    `1,000` is no float here. `strip`: outer white space does not count, as in CoS; lmms-eval keeps it.
    """
    if given is None or gold is None:
        return False
    if strip:
        given, gold = given.strip(), gold.strip()
    ours, theirs = _plain_float(given), _plain_float(gold)
    if ours is not None and theirs:
        return abs(ours - theirs) / abs(theirs) <= tolerance
    return given.lower() == gold.lower()


def in_order(given: str | None, gold: str | None) -> bool:
    """A list: as many items, each of them a `match` with its counterpart, in the gold's order.

    Items are parted by commas, semicolons, line ends, arrows (`->`), `and` or `then`, with or without brackets around all. A comma
    always parts, so `1,200` is two items, and an item that holds "and" is two items on both sides alike. `<` and `>` are text: they
    state an order of their own. An empty list matches nothing.
    """
    if given is None or gold is None:
        return False
    ours, theirs = _list(given), _list(gold)
    return bool(theirs) and len(ours) == len(theirs) and all(map(match, ours, theirs))


def _trim(text: str) -> str:
    """Without punctuation at the ends, but for the point of `.5`."""
    return _LEAD.sub("", text, count=1).rstrip(_ENDS)


def _item(part: str) -> str:
    """Normal form of one item of an answer that is already in lower case with single spaces."""
    part = _trim(part)
    head, _, tail = part.partition(" ") if part.partition(" ")[2] in UNITS else part.rpartition(" ")
    if part in _WORDS:
        return _WORDS[part]
    if head in _WORDS and tail in UNITS:
        return f"{_WORDS[head]} {UNITS[tail]}"
    found = _NUMBER.fullmatch(part)
    if not found:
        return part
    before, sign, behind, digits, power, unit = found.groups(default="")
    money = before + behind
    if (money and unit) or len(money) > 1 or (unit and unit not in UNITS):
        return part
    value = format(Decimal(sign + digits + power), "f")
    value = value.rstrip("0").rstrip(".") if "." in value else value
    value = "0" if value == "-0" else value
    unit = UNITS[money or unit] if money or unit else ""
    return f"{value} {unit}".strip()


def _list(text: str) -> list[str]:
    parts = re.split(r"[,;\n]|->|\u2192|\b(?:and|then)\b", text.strip().strip("[](){}"), flags=re.IGNORECASE)
    return [part for part in parts if normalise(part)]


def _plain_float(text: str) -> float | None:
    try:
        return float(text.rstrip("%")) / 100.0 if text.endswith("%") else float(text)
    except ValueError:
        return None
