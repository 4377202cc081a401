"""ChartQA (test: 1250 by people, 1250 made by machine): numbers within 5 %, words as they are.

Rule: `relaxed_correctness` of pix2struct, the best of several golds. Published numbers are the mean over all or of the two halves: the
same where both are whole (see `scores.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from cos.answers import Verdict, exact, relaxed
from cos.chain import Problem
from cos.problems.benchmarks.items import Item, Prompting, Row, text
from cos.problems.benchmarks.letters import no_answer

HUB, SPLIT = "lmms-lab/ChartQA", "test"
_SHORT = " Answer the question using a single word or phrase."
_THINK = " \nThink step-by-step first and then answer the question with a single number, word, or phrase."
_HALVES = {"human_test": "human", "augmented_test": "augmented", "0": "human", "1": "augmented", "machine": "augmented"}


def item(row: Row, prompt: Prompting) -> Item:
    """An item of vis-nlp's JSON (`imgname, query, label`), of lmms-lab's table (`question, answer, type`) or of HuggingFaceM4's."""
    question = row["question"] if "question" in row else row["query"]
    found: Any = row["answer"] if "answer" in row else row["label"]
    golds = [str(one) for one in (found if isinstance(found, list) else [found]) if one is not None]
    half = text(row, "type") or text(row, "human_or_machine")
    truth = {"golds": golds, "groups": {"half": _HALVES.get(half, half)} if half else {}}
    pictures = (row.get("image") if row.get("image") is not None else row.get("imgname"),)
    name = text(row, "id") or text(row, "question_id") or ""
    return Item(name, str(question) + (_THINK if prompt == "cos" else _SHORT), golds[0] if golds else None, truth=truth, pictures=pictures)


def grades(problem: Problem, given: str | None) -> dict[str, Verdict]:
    """`relaxed` (outer blanks stripped, as CoS does), `lmms_eval` (blanks count), `exact` (the same text but for case)."""
    if given is None:
        return no_answer("relaxed", "lmms_eval", "exact")
    golds = problem.truth["golds"]
    return {
        "relaxed": _best(given.strip(), golds, relaxed),
        "lmms_eval": _best(given, golds, partial(relaxed, strip=False)),
        "exact": _best(given, golds, exact),
    }


def _best(given: str, golds: Sequence[str], rule: Callable[[str, str], bool]) -> Verdict:
    hit = next((gold for gold in golds if rule(given, gold)), None)
    if hit is None:
        return Verdict(False, "neither within 5 % nor the same text", given or None)
    return Verdict(True, "the same text" if exact(given, hit) else "within 5 %", given)
