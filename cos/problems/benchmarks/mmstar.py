"""MMStar (val: 1500): four choices, written in the question itself.

Rule: `eval/vlmeval/evaluate/mmstar.py` of MMStar-Benchmark/MMStar, right / 1500. lmms-eval's headline is another number: the mean over
the 18 `l2_category` (see `scores.py`).
"""

from __future__ import annotations

import re

from cos.answers import Verdict
from cos.chain import Problem
from cos.problems.benchmarks.items import LETTER, THINK, Item, Prompting, Row, choices, groups, lettered, text
from cos.problems.benchmarks.letters import can_infer, cos_text, judged, no_answer

HUB, SPLIT = "Lin-Chen/MMStar", "val"
_INLINE = re.compile(r"Options:\s*A:\s*(.*?),?\s+B:\s*(.*?)(?:,?\s+C:\s*(.*?))?(?:,?\s+D:\s*(.*))?\s*$", re.DOTALL)
_LEADS = (("option ", "option X"), ("the answer is ", "the answer is X"), ("(", "bracket first"), ("", "first character"))


def item(row: Row, prompt: Prompting) -> Item:
    """An item of a row of the Hub's table or of VLMEvalKit's TSV, whose choices may have columns of their own."""
    question, options = str(row["question"]).strip(), choices(row)
    inline = _INLINE.search(question)
    if not options and inline:
        options = [option.strip() for option in inline.groups() if option is not None]
    elif options and not inline:
        question += "\n" + lettered(options)
    meta = row.get("meta_info") or {}
    truth = {"choices": options, "groups": groups({**row, **meta}, "category", "l2_category", "source", "bench")}
    answer = text(row, "answer")
    question += THINK if prompt == "cos" else LETTER.removesuffix(".")
    name, pictures = str(row["index"]), (row.get("image"),)
    return Item(name, question, answer and answer.upper(), kind="choice", truth=truth, pictures=pictures)


def grades(problem: Problem, given: str | None) -> dict[str, Verdict]:
    """`official` (looks at the head of the text only, so "a cat" is A); `vlmevalkit`; `cos` (the letter and nothing else)."""
    if given is None or not given.strip():
        return no_answer("official", "vlmevalkit", "cos")
    gold = problem.answer or ""
    options = problem.truth["choices"] or [""] * 4
    cos = cos_text(given)
    return {
        "official": _official(given, gold),
        "vlmevalkit": judged(can_infer(given, options), gold),
        "cos": Verdict(cos == gold, "the same text", cos),
    }


def _official(given: str, gold: str) -> Verdict:
    head = given.lower().strip().replace("\n", " ")
    for lead, rule in _LEADS:  # the longest first; a letter right after any of them may be the one that counts
        if head.startswith(lead) and head[len(lead) : len(lead) + 1] == gold.lower():
            return Verdict(True, rule, gold)
    for lead, rule in _LEADS:
        letter = head[len(lead) : len(lead) + 1].upper()
        if head.startswith(lead) and letter in ("A", "B", "C", "D"):
            return Verdict(False, rule, letter)
    return Verdict(False, "no letter at the head")
