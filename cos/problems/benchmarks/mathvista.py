"""MathVista (testmini: 1000): numbers, lists, and choices whose gold answer is the choice's text.

Rules: `evaluation/{build_query,extract_answer,calculate_score}.py` of lupantech/MathVista. Its last resort to find the answer in a
response is GPT; here that is the text between the answer tokens, and then `_extract`. Nothing is read from an empty answer, where the
original takes the choice nearest to nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from cos import answers
from cos.answers import Verdict
from cos.chain import Problem
from cos.problems.benchmarks.items import Item, Prompting, Row, choices, groups, lettered, text
from cos.problems.benchmarks.letters import can_infer, cos_text, no_answer

HUB, SPLIT = "AI4Math/MathVista", "testmini"
_GROUPS = ("language", "source", "category", "task", "context", "grade", "skills")
_HINTS = {
    "choice": "and provide the correct option letter, e.g., A, B, C, D, at the end.",
    "integer": "requiring an integer answer and provide the final value, e.g., 1, 2, 3, at the end.",
    "float1": "requiring a floating-point number with one decimal place and provide the final value, e.g., 1.2, 1.3, 1.4, at the end.",
    "float2": "requiring a floating-point number with two decimal places and provide the final value, e.g., 1.23, 1.34, 1.45, at the end.",
    "list": "requiring a Python list as an answer and provide the final list, e.g., [1, 2, 3], [1.2, 1.3, 1.4], at the end.",
}
_THINK = "\nThink step-by-step first and then answer the question with a single number or an option letter."
_QUOTED = re.compile(r'The answer is "(.*)"\.')
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def item(row: Row, prompt: Prompting) -> Item:
    """An item of a row. `official`: the query of `create_one_query` without examples, stripped as there, the hint after the choices."""
    kind = "choice" if row["question_type"] == "multi_choice" else "free"
    options = choices(row, "choices") if kind == "choice" else []
    precision = row.get("precision")
    truth: dict[str, Any] = {"choices": options, "type": str(row["answer_type"])}
    truth["precision"] = int(float(precision)) if precision not in (None, "") else None
    unit = text(row, "unit")
    lines = [f"Question: {row['question']}" + (f" (Unit: {unit})" if unit else "")]
    lines += ["Choices:\n" + lettered(options, "({}) {}")] if options else []
    if prompt == "official":
        name = "choice" if kind == "choice" else truth["type"]
        hint = _HINTS[f"float{2 if truth['precision'] == 2 else 1}" if name == "float" else name]
        question = "\n".join([*lines, f"Hint: Please answer the question {hint}", "Solution:"])
    else:
        question = "\n".join(lines) + _THINK
    meta = row.get("metadata") or {}
    truth["groups"] = groups({**row, **meta}, "question_type", "answer_type", *_GROUPS)
    pictures = (row.get("decoded_image") or row.get("image"),)
    answer = None if text(row, "answer") is None else str(row["answer"])  # not stripped, for the gold of a choice is its text
    return Item(str(row["pid"]), question, answer, kind=kind, truth=truth, pictures=pictures)


def grades(problem: Problem, given: str | None) -> dict[str, Verdict]:
    """`official`; `vlmevalkit` (choices by `can_infer`, numbers equal as numbers); `cos` (equal but for capitals, nothing rounded)."""
    if given is None or not given.strip():
        return no_answer("official", "vlmevalkit", "cos")
    gold = problem.answer or ""
    official = _official(problem, given, gold)
    return {"official": official, "vlmevalkit": _vlmevalkit(problem, given, gold, official), "cos": _cos(problem, given, gold)}


def _official(problem: Problem, given: str, gold: str) -> Verdict:
    options, kind = problem.truth["choices"], problem.truth["type"]
    found, rule = _extract(problem, given)
    read: str | None
    if problem.kind == "choice":
        read, how = _choice(found, options)
        rule = how or rule
    else:
        read = _number(found, kind, problem.truth["precision"])
        gold = _number(gold, kind, None) or gold if kind == "float" and problem.truth["precision"] is None else gold
        rule = rule if read is not None else f"no {kind} in the text"
    return Verdict(read == gold, rule, read)


def _extract(problem: Problem, given: str) -> tuple[str, str]:
    """The answer in the text, and by which rule, in the order of `extract_answer`."""
    options, kind = problem.truth["choices"], problem.truth["type"]
    if problem.kind == "choice" and given in options:
        return given, "the text of a choice"
    if problem.kind != "choice" and kind in ("integer", "float"):
        try:
            return str(int(given) if kind == "integer" else float(given)), kind
        except (ValueError, OverflowError):
            pass
    if quoted := _QUOTED.search(given):
        return quoted[1], 'The answer is "..."'
    if problem.kind == "choice":
        letter = answers.letter(given, options) if not re.search(r"\([a-zA-Z]\)", given) else None
        return (letter, "letter") if letter else (given, "as it stands")
    if kind == "list":
        lists = re.findall(r"\[[^\[\]]*\]", given)
        return (lists[-1], "last list in the text") if lists else (given, "as it stands")
    numbers = _NUMBER.findall(given)
    return (numbers[-1].replace(",", ""), "last number in the text") if numbers else (given, "as it stands")


def _choice(found: str, options: Sequence[str]) -> tuple[str, str]:
    """The choice that the text means, and by which rule ("" where the one before decided): `normalize_extracted_answer`."""
    found, rule = found.strip(), ""
    if bracket := re.search(r"\(([a-zA-Z])\)", found):
        found, rule = bracket[1].upper(), "first letter in brackets"
    if len(found) == 1 and 0 <= ord(found) - 65 < len(options):
        return options[ord(found) - 65], rule
    if found in options:
        return found, rule
    return min(options, key=lambda option: _distance(found, option)), "nearest choice"


def _number(found: str, kind: str, precision: int | None) -> str | None:
    try:
        if kind == "integer":
            return str(int(float(found)))
        if kind == "float":
            return str(float(found) if precision is None else round(float(found), precision))
        if kind == "list":
            value = ast.literal_eval(found)
            return str(value) if isinstance(value, list) else None
    except (ValueError, OverflowError, SyntaxError, MemoryError, RecursionError):
        return None
    return found.strip()


def _vlmevalkit(problem: Problem, given: str, gold: str, official: Verdict) -> Verdict:
    options = problem.truth["choices"]
    if problem.kind == "choice":
        letter, rule = can_infer(given, options)
        read = options[ord(letter) - 65] if letter and letter != "Z" else None
        return Verdict(read == gold, rule, read)
    found, rule = _extract(problem, given)
    try:
        numeric: dict[str, type[float]] = {"integer": int, "float": float}
        kind = numeric.get(problem.truth["type"])
        right = kind(found) == kind(gold) if kind else official.right
    except (ValueError, OverflowError):
        right = False
    return Verdict(right, rule, official.read)


def _cos(problem: Problem, given: str, gold: str) -> Verdict:
    """`get_loose_foramt`: with a letter as gold, the first character of a longer answer counts where it is a letter from A to J."""
    read = cos_text(given)
    if problem.kind == "choice":
        options = problem.truth["choices"]
        gold = chr(65 + options.index(gold)) if gold in options else gold
        read = read.strip()
        read = read[0] if len(read) > 1 and read[0] in "ABCDEFGHIJ" else read
    return Verdict(read.title() == gold.title(), "equal but for capitals", read)


def _distance(one: str, other: str) -> int:
    """Levenshtein's edit distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        last, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]
