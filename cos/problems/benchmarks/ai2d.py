"""AI2D (test: 3088), with labels masked (`ai2d`) or not (`ai2d_no_mask`): two sets whose scores can't be compared.

Which of the two a local file holds only its name can tell (VLMEvalKit: AI2D_TEST, AI2D_TEST_NO_MASK): name the set that it is.
"""

from __future__ import annotations

import re
import string

from cos.answers import Verdict
from cos.chain import Problem
from cos.problems.benchmarks.items import LETTER, THINK, Item, Prompting, Row, choices, groups, lettered, text
from cos.problems.benchmarks.letters import can_infer, cos_text, judged, no_answer

HUB, SPLIT = "lmms-lab/ai2d", "test"
HUB_NO_MASK = "lmms-lab/ai2d-no-mask"
_BARE = str.maketrans("", "", string.punctuation)


def item(row: Row, prompt: Prompting) -> Item:
    """An item of the Hub's table (list of options, gold an index as text) or of VLMEvalKit's TSV (columns A to D, gold a letter)."""
    options, gold = choices(row, "options"), text(row, "answer")
    answer = chr(65 + int(gold)) if gold is not None and gold.isdigit() else gold
    question = f"{row['question']}\n" + lettered(options) + (" " + THINK if prompt == "cos" else LETTER)
    truth = {"choices": options, "groups": groups(row, "category")}
    name = text(row, "index") or text(row, "question_id") or ""
    return Item(name, question, answer, kind="choice", truth=truth, pictures=(row.get("image"),))


def grades(problem: Problem, given: str | None) -> dict[str, Verdict]:
    """`lmms_eval` (a letter and a point at the head, else the whole text, but for case and punctuation), `vlmevalkit`, `cos`."""
    if given is None or not given.strip():
        return no_answer("lmms_eval", "vlmevalkit", "cos")
    gold, cos = problem.answer or "", cos_text(given)
    return {
        "lmms_eval": _lmms_eval(given.strip(), gold),
        "vlmevalkit": judged(can_infer(given, problem.truth["choices"]), gold),
        "cos": Verdict(cos.lower() == gold.lower(), "the same text but for case", cos),
    }


def _lmms_eval(given: str, gold: str) -> Verdict:
    head = re.match(r"\s*([A-Z])\.", given)
    read = (head[1] if head else given).lower().translate(_BARE)
    rule = "letter and point at the head" if head else "the whole text but for case and punctuation"
    return Verdict(read == gold.lower(), rule, read.upper() or None)
