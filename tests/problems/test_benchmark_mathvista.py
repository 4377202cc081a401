"""MathVista's rules against verdicts worked out by hand from the original code."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.problems.benchmarks import mathvista
from cos.problems.benchmarks.items import Item

CHOICES = ["Yes", "No"]
TOWNS = ["Paris", "London", "New York"]


def choice(answer: str, options: list[str]) -> Item:
    return Item("1", "?", answer, world="mathvista", kind="choice", truth={"choices": options, "type": "text", "precision": None})


def free(answer: str, kind: str, precision: int | None = None) -> Item:
    return Item("1", "?", answer, world="mathvista", kind="free", truth={"choices": [], "type": kind, "precision": precision})


@pytest.mark.parametrize(
    ("options", "gold", "text", "read", "rule"),
    [
        (TOWNS, "London", "B", "London", "letter"),
        (TOWNS, "London", "(B)", "London", "first letter in brackets"),
        (TOWNS, "London", "(b)", "London", "first letter in brackets"),
        (TOWNS, "London", "b.", "London", "letter"),
        (TOWNS, "London", "London", "London", "the text of a choice"),
        (TOWNS, "London", "london", "London", "letter"),
        (TOWNS, "London", "B. London", "London", "letter"),
        (TOWNS, "London", "The answer is B", "London", "letter"),
        (TOWNS, "London", "first (B), or (C)", "London", "first letter in brackets"),  # the first, unlike M3CoT
        (TOWNS, "Paris", "first (B), or (A)", "London", "first letter in brackets"),
        (TOWNS, "London", "Londn", "London", "nearest choice"),
        (TOWNS, "New York", "York", "Paris", "nearest choice"),  # 4 changes to Paris come before 4 to New York
        (TOWNS, "London", 'The answer is "London".', "London", 'The answer is "..."'),
        (TOWNS, "London", "(E)", "Paris", "nearest choice"),  # no such option, so "E" is a text: 5 changes to Paris
        (CHOICES, "No", "None of them", "No", "nearest choice"),
        (["3/11", "8/11", "6/11"], "8/11", "(B) 8/11", "8/11", "first letter in brackets"),
        (["A", "B", "C"], "B", "B", "B", "the text of a choice"),
        (["B", "A"], "A", "A", "B", "the text of a choice"),  # ... but then a letter is a letter
        (CHOICES, "Yes", "", None, "no answer"),  # the original takes the choice nearest to nothing: "No"
        (CHOICES, "No", "   ", None, "no answer"),
        (CHOICES, "No", None, None, "no answer"),
    ],
)
def test_choices(options: list[str], gold: str, text: str | None, read: str | None, rule: str) -> None:
    verdict = mathvista.grades(choice(gold, options), text)["official"]
    assert (verdict.read, verdict.rule, verdict.right) == (read, rule, read == gold)


@pytest.mark.parametrize(
    ("kind", "precision", "gold", "text", "read"),
    [
        ("integer", None, "5", "5", "5"), ("integer", None, "5", " 5 ", "5"), ("integer", None, "5", "5.0", "5"),
        ("integer", None, "5", "5.9", "5"),  # cut off, not rounded
        ("integer", None, "6", "5.9", "5"), ("integer", None, "1234", "1,234", "1234"), ("integer", None, "5", "5 cm", "5"),
        ("integer", None, "5", "$5", "5"), ("integer", None, "5", "it is 5", "5"), ("integer", None, "5", "3 + 2 = 5", "5"),
        ("integer", None, "-5", "-5", "-5"), ("integer", None, "5", "five", None), ("integer", None, "5", "inf", None),
        ("integer", None, "5", 'The answer is "5".', "5"), ("integer", None, "5", None, None), ("integer", None, "5", "", None),
        ("float", 1, "1.2", "1.2", "1.2"), ("float", 1, "1.2", "1.24", "1.2"), ("float", 1, "1.2", "1.25", "1.2"),  # round half to even
        ("float", 1, "1.3", "1.26", "1.3"), ("float", 2, "1.23", "1.23", "1.23"), ("float", 2, "1.20", "1.2", "1.2"),  # texts are compared
        ("float", 1, "2.0", "2", "2.0"), ("float", 2, "0.5", "0.50", "0.5"), ("float", 1, "1.5", "about 1.5 m", "1.5"),
        ("float", None, "1.5", "1.50", "1.5"), ("float", None, "3", "3.0", "3.0"),  # no precision: nothing is rounded
        ("float", 1, "1.2", "a lot", None),
        ("list", None, "[1, 2]", "[1, 2]", "[1, 2]"), ("list", None, "[1, 2]", "[1,2]", "[1, 2]"),
        ("list", None, "[2007, 2008]", "between [2007, 2008]", "[2007, 2008]"), ("list", None, "[1, 2]", "1, 2", None),
        ("list", None, "[1, 2]", "[2, 1]", "[2, 1]"), ("list", None, "[1, 2]", "[1, 2", None),
    ],
)  # fmt: skip
def test_numbers_and_lists(kind: str, precision: int | None, gold: str, text: str | None, read: str | None) -> None:
    verdict = mathvista.grades(free(gold, kind, precision), text)["official"]
    same = read == (f"{float(gold):.1f}" if kind == "float" and precision is None else gold)
    assert (verdict.read, verdict.right) == (read, same)


@pytest.mark.parametrize(
    ("item", "text", "official", "vlmevalkit", "cos"),
    [
        (choice("London", TOWNS), "B", True, True, True),
        (choice("London", TOWNS), "(B)", True, True, True),
        (choice("London", TOWNS), "B. London", True, True, True),
        (choice("London", TOWNS), "London", True, True, False),  # CoS's gold is the letter, and L is none of A to J
        (choice("London", TOWNS), "Beijing", False, False, True),  # ... and B is: taken for the letter; nearest to it is Paris
        (choice("London", TOWNS), "Londn", True, False, False),  # only the original takes the nearest
        (free("5", "integer"), "5", True, True, True),
        (free("5", "integer"), "5.0", True, False, False),  # int("5.0") fails in VLMEvalKit
        (free("1.2", "float", 1), "1.24", True, False, False),
        (free("1.20", "float", 2), "1.2", False, True, False),
        (free("[1, 2]", "list"), "[1,2]", True, True, False),
        (free("5", "integer"), None, False, False, False),
    ],
)
def test_variants(item: Item, text: str | None, official: bool, vlmevalkit: bool, cos: bool) -> None:
    found = {name: verdict.right for name, verdict in mathvista.grades(item, text).items()}
    assert found == {"official": official, "vlmevalkit": vlmevalkit, "cos": cos}


ROW: dict[str, Any] = {"pid": "7", "question": "How long?", "unit": "cm", "precision": 1.0, "answer": "1.2", "choices": None,
    "question_type": "free_form", "answer_type": "float", "image": "images/7.jpg", "decoded_image": {"bytes": b"x", "path": None},
    "metadata": {"language": "english", "skills": ["geometry reasoning", "arithmetic reasoning"], "grade": ""}}  # fmt: skip


def test_prompts_are_those_of_the_original_and_of_cos() -> None:
    hint = "Please answer the question requiring a floating-point number with one decimal place and provide the final value, e.g., "
    assert mathvista.item(ROW, "official").question == f"Question: How long? (Unit: cm)\nHint: {hint}1.2, 1.3, 1.4, at the end.\nSolution:"
    asked = {"unit": None, "question_type": "multi_choice", "answer_type": "text", "choices": TOWNS, "answer": "Paris"}
    choices = "Question: How long?\nChoices:\n(A) Paris\n(B) London\n(C) New York"
    hint = "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end."
    assert mathvista.item({**ROW, **asked}, "official").question == f"{choices}\n{hint}\nSolution:"
    think = "Think step-by-step first and then answer the question with a single number or an option letter."
    assert mathvista.item({**ROW, **asked}, "cos").question == f"{choices}\n{think}"
    two = mathvista.item({**ROW, "precision": 2}, "official").question
    assert "with two decimal places" in two and "1.23, 1.34, 1.45" in two
    assert "requiring an integer answer" in mathvista.item({**ROW, "answer_type": "integer", "precision": None}, "official").question
    assert "requiring a Python list" in mathvista.item({**ROW, "answer_type": "list"}, "official").question


def test_an_item_keeps_what_sub_scores_need() -> None:
    item = mathvista.item(ROW, "cos")
    assert (item.id, item.answer, item.pictures) == ("7", "1.2", ({"bytes": b"x", "path": None},))
    wanted = {"language": "english", "skills": ["geometry reasoning", "arithmetic reasoning"]}
    assert item.truth["groups"] == {"question_type": "free_form", "answer_type": "float", **wanted}
    assert (
        mathvista.item({**ROW, "answer": "left "}, "cos").answer == "left " and mathvista.item({**ROW, "answer": ""}, "cos").answer is None
    )
    assert mathvista.item({**ROW, "decoded_image": None}, "cos").pictures == ("images/7.jpg",)
    with pytest.raises(ValueError, match="choices"):
        mathvista.item({**ROW, "question_type": "multi_choice"}, "cos")


@given(st.text())
def test_no_text_breaks_the_rules(text: str) -> None:
    for item in (choice("No", CHOICES), free("5", "integer"), free("1.5", "float", 1), free("[1]", "list")):
        assert all(verdict.right in (True, False) for verdict in mathvista.grades(item, text).values())
