"""MMMU (validation: 900): choices and open answers, up to seven pictures an item.

Rules: `mmmu/utils/eval_utils.py` of MMMU-Benchmark/MMMU. Where a response names no choice, the original draws one (seed 42): here that
is wrong, and counted as drawn only under the name `random_fallback`.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Sequence

from cos.answers import Verdict
from cos.chain import Problem
from cos.problems.benchmarks.items import LETTER, THINK, Item, Prompting, Row, choices, groups, lettered, text
from cos.problems.benchmarks.letters import Found, judged, no_answer

HUB, SPLIT = "MMMU/MMMU", "validation"
PICTURES = 7
DOMAINS = {
    "Art and Design": "Art Art_Theory Design Music",
    "Business": "Accounting Economics Finance Manage Marketing",
    "Science": "Biology Chemistry Geography Math Physics",
    "Health and Medicine": "Basic_Medical_Science Clinical_Medicine Diagnostics_and_Laboratory_Medicine Pharmacy Public_Health",
    "Humanities and Social Science": "History Literature Sociology Psychology",
    "Tech and Engineering": "Agriculture Architecture_and_Engineering Computer_Science Electronics Energy_and_Power Materials "
    "Mechanical_Engineering",
}
"""The 30 subjects by domain (`DOMAIN_CAT2SUB_CAT`)."""

_SHORT = "\nAnswer the question using a single word or phrase."
_THINK_NUMBER = "\nThink step-by-step first and then answer the question with a single number."
_KEYS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_NUMBERS = (
    r"-?\b\d{1,3}(?:,\d{3})+\b",
    r"-?(?<!\d)\d+(?:\.\d+)?[eE][+-]?\d+",
    r"-?(?:(?<!\d)\d+\.\d+|\.\d+|(?<!\d)\d+\b)(?![eE][+-]?\d+)(?![,\d])",
)
"""As in `extract_numbers`, but for `(?<!\\d)`, which finds the same and does not take minutes on a long row of digits."""


def item(row: Row, prompt: Prompting) -> Item:
    """An item of a row. Choices one a line as in lmms-eval; the marks `<image 1>` stay in the text, the pictures in their order."""
    is_open = str(row.get("question_type", "")) == "open"
    options = [] if is_open else choices(row, "options")
    subject = re.sub(r"^[a-z]+_|_\d+$", "", str(row["id"]))
    domain = next((name for name, subjects in DOMAINS.items() if subject in subjects.split()), None)
    question = str(row["question"]) + ("" if is_open else "\n" + lettered(options))
    question += (_THINK_NUMBER if is_open else THINK) if prompt == "cos" else (_SHORT if is_open else LETTER)
    known = {**row, "domain": domain, "subject": subject}
    keys = ("domain", "subject", "subfield", "question_type", "topic_difficulty", "img_type")
    truth = {"choices": options, "groups": groups(known, *keys)}
    pictures = tuple(row.get(f"image_{number}") for number in range(1, PICTURES + 1))
    kind = "open" if is_open else "choice"
    return Item(str(row["id"]), question, text(row, "answer"), kind=kind, truth=truth, pictures=pictures)


def grades(problem: Problem, given: str | None) -> dict[str, Verdict]:
    """`official` without the random choice, `random_fallback` with it, `cos` (its own step before the official code)."""
    if problem.kind == "open":
        official = Verdict(False, "no answer") if given is None else _open(given, problem.answer or "")
        return {"official": official, "random_fallback": official, "cos": official}
    options, gold = problem.truth["choices"], problem.answer or ""
    verdicts = no_answer("official", "cos")
    if given is not None and given.strip():
        verdicts = {
            "official": judged(choice(given, options), gold),
            "cos": judged(choice(_post_process(given.strip(), options), options), gold),
        }
    drawn = verdicts["official"]
    if drawn.read is None:
        letter = chr(65 + random.Random(f"42/{problem.id}").randrange(len(options)))
        drawn = Verdict(letter == gold, "drawn at random", letter)
    return {"official": verdicts["official"], "random_fallback": drawn, "cos": verdicts["cos"]}


def choice(given: str, options: Sequence[str]) -> Found:
    """`parse_multi_choice_response`: bracketed letters, else letters alone, else (over 5 words) contents; of several the last one."""
    for mark in ",.!?;:'":
        given = given.strip(mark)
    given = f" {given} "
    letters = [chr(65 + place) for place in range(len(options))]
    for rule, form in (("letter in brackets", "({})"), ("letter alone", " {} ")):
        if found := [letter for letter in letters if form.format(letter) in given]:
            return max(found, key=lambda letter: given.rfind(form.format(letter))), rule
    lower = given.lower()
    inside = [place for place, option in enumerate(options) if option.lower() in lower] if len(given.split()) > 5 else []
    if not inside:
        return None, "no letter, and no choice's text"
    return letters[max(inside, key=lambda place: lower.rfind(options[place].lower()))], "text of a choice"


def _post_process(given: str, options: Sequence[str]) -> str:
    """The CoS evaluator's step before: the first character where it is an option's letter, else the first choice whose text is there."""
    letters = [chr(65 + place) for place in range(len(options))]
    if len(given) > 1 and given[0] in letters:
        return given[0]
    return next((letter for letter, option in zip(letters, options, strict=True) if len(given) > 1 and option in given), given)


def _open(given: str, gold: str) -> Verdict:
    """`parse_open_response` and `eval_open`: the gold text inside a key phrase, or the gold number (rounded to 2 places) among those found.

    `_normal` rounds both sides; there is no tolerance beyond it.
    """
    golds = [form for one in _golds(gold) for form in _normal(one)]
    phrases, rule = _phrases(given)
    found = [form for one in [*phrases, *(n for phrase in phrases for n in numbers(phrase))] for form in _normal(one)]
    read = "; ".join(dict.fromkeys(str(one).strip() for one in found)) or None
    for one in found:
        if isinstance(one, str) and any(isinstance(form, str) and form in one for form in golds):
            return Verdict(True, f"gold text in {rule}", read)
        if isinstance(one, float) and one in golds:
            return Verdict(True, f"gold number in {rule}", read)
    return Verdict(False, rule, read)


def _golds(gold: str) -> list[str]:
    """Several golds are written as a Python list."""
    try:
        listed = ast.literal_eval(gold) if gold.startswith("[") else None
    except (ValueError, SyntaxError):  # an interval such as [0, 1)
        listed = None
    return [str(one) for one in listed] if isinstance(listed, list) else [gold]


def _phrases(given: str) -> tuple[list[str], str]:
    """The shortest tail after a key word in each line, or the whole text where no line has one."""
    given = given.strip().strip(".").lower()
    lines = given.split("\n")  # the original also splits before capitals, of which there are none once it is in small letters
    found = []
    for number, line in enumerate(lines, start=1):
        keys = (*_KEYS, "=") if number == len(lines) else _KEYS
        shortest = ""
        for key in keys:
            tail = line.split(key)[-1].strip()
            if key in line and (not shortest or len(tail) < len(shortest)):
                shortest = tail
        if shortest and shortest not in (":", ",", ".", "!", "?", ";", "'"):
            found.append(shortest)
    return (found, "a key phrase") if found else ([given], "the whole text")


def numbers(phrase: str) -> list[str]:
    """All numbers, by three patterns: with commas, scientific, simple."""
    return [found for pattern in _NUMBERS for found in re.findall(pattern, phrase)]


def _normal(one: str) -> list[str | float]:
    """`normalize_str`: a number to two places, else small letters; a single character with a blank before and one after it."""
    one = one.strip()
    try:
        return [round(float(one.replace(",", "")), 2)]
    except ValueError:
        one = one.lower()
        return [f" {one}", f"{one} "] if len(one) == 1 else [one]
