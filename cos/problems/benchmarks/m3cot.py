"""M3CoT (test; the CoS paper's number may be of validation, see its `val_eval.json`): choices with a context.

Rule: `judge_answer` of `utils/metric.py` in LightChen233/M3CoT. Several hits are settled in the order of the choices, not of the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from cos.answers import Verdict
from cos.chain import Problem
from cos.problems.benchmarks.items import LETTER, THINK, Item, Prompting, Row, choices, groups, lettered, text
from cos.problems.benchmarks.letters import Found, cos_text, judged, no_answer

HUB, SPLIT = "LightChen2333/M3CoT", "test"
LETTERS = "ABCDEF"


def item(row: Row, prompt: Prompting) -> Item:
    """An item of a row, laid out as the authors' own input (`save_as_m3it_format`). A whole number as gold is an index."""
    options, context = choices(row, "choices"), text(row, "context")
    gold = row.get("answer")
    answer = LETTERS[gold] if isinstance(gold, int) else text(row, "answer")
    question = f"[Context]\n{context}\n\n" if context else ""
    question += f"[Question]\n{row['question']}\n[Choices]\n" + lettered(options, "({}) {}") + (THINK if prompt == "cos" else LETTER)
    truth = {"choices": options, "groups": groups(row, "domain", "topic", "category")}
    return Item(str(row["id"]), question, answer, kind="choice", truth=truth, pictures=(row.get("image"),))


def grades(problem: Problem, given: str | None) -> dict[str, Verdict]:
    """`official`, and `cos` (the letter and nothing else)."""
    if given is None or not given.strip():
        return no_answer("official", "cos")
    gold, cos = problem.answer or "", cos_text(given)
    return {"official": judged(choice(given, problem.truth["choices"]), gold), "cos": Verdict(cos == gold, "the same text", cos)}


def choice(given: str, options: Sequence[str]) -> Found:
    """The letter that `judge_answer` reads: in brackets (the last), else of a contained choice, a capital, a small letter (last option)."""
    if "[Answer]" in given:
        given = given.split("[Answer]")[-1].split("[Rationale]")[0].split("[Context]")[0]
    if brackets := re.findall(r"\(([A-Za-z])\)", given):
        return brackets[-1].upper(), "last letter in brackets"
    known = list(zip(LETTERS, options, strict=False))
    if inside := [letter for letter, option in known if option.lower() in given.lower()]:
        return inside[-1], "text of a choice"
    words = re.sub(r"[\n.,!?]", " ", given).split(" ")
    for rule, form in (("capital letter", str.upper), ("small letter", str.lower)):
        if named := [letter for letter, _ in known if form(letter) in words]:
            return named[-1], rule
    return None, "no letter, and no choice's text"
