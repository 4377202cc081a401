"""M3CoT's rule against verdicts worked out by hand from the original `judge_answer`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.problems.benchmarks import m3cot
from cos.problems.benchmarks.items import Item

CHOICES = ["red", "green", "dark red", "none of them"]


def item(answer: str) -> Item:
    return Item("1", "?", answer, world="m3cot", kind="choice", truth={"choices": CHOICES})


@pytest.mark.parametrize(
    ("text", "letter", "rule"),
    [
        ("(B)", "B", "last letter in brackets"), ("(b)", "B", "last letter in brackets"), ("(A), no: (C)", "C", "last letter in brackets"),
        ("see (x) and red", "X", "last letter in brackets"),  # a letter in brackets hides all else, option or not
        ("green (B", "B", "text of a choice"), ("It is GREEN", "B", "text of a choice"),
        ("green, not red", "B", "text of a choice"),  # both are there: the last in the order of the choices
        ("red, not green", "B", "text of a choice"), ("dark red", "C", "text of a choice"), ("red", "A", "text of a choice"),
        ("none of them", "D", "text of a choice"), ("hundred", "A", "text of a choice"),  # inside a word, too
        ("B", "B", "capital letter"), ("B.", "B", "capital letter"), ("B and C", "C", "capital letter"), ("C or B", "C", "capital letter"),
        ("A big one", "A", "capital letter"), ("b", "B", "small letter"), ("a big one", "A", "small letter"),
        ("B or c", "B", "capital letter"),
        ("B:", None, "no letter, and no choice's text"), ("E", None, "no letter, and no choice's text"),
        ("**B**", None, "no letter, and no choice's text"), ("pink", None, "no letter, and no choice's text"),
        ("A\tB", None, "no letter, and no choice's text"),  # words part at the blank alone
        ("A\nB", "B", "capital letter"), ("(A) [Answer] (B)", "B", "last letter in brackets"),
        ("[Answer] (B) [Rationale] (C)", "B", "last letter in brackets"), ("[Answer] B [Context] (C)", "B", "capital letter"),
        ("[Answer] (A) [Answer] (B)", "B", "last letter in brackets"), ("[Rationale] (C)", "C", "last letter in brackets"),
    ],
)  # fmt: skip
def test_official(text: str, letter: str | None, rule: str) -> None:
    assert m3cot.choice(text, CHOICES) == (letter, rule)
    verdict = m3cot.grades(item("B"), text)["official"]
    assert (verdict.right, verdict.read) == (letter == "B", letter)


@pytest.mark.parametrize(
    ("text", "official", "cos"),
    [
        ("B", True, True), ("(B)", True, True), ("b", True, False), ("B.", True, False), ("green", True, False), ("", False, False),
        (None, False, False), ("C", False, False),
    ],
)  # fmt: skip
def test_variants(text: str | None, official: bool, cos: bool) -> None:
    assert {name: verdict.right for name, verdict in m3cot.grades(item("B"), text).items()} == {"official": official, "cos": cos}


ROW: dict[str, Any] = {"id": "x-1", "question": "Which?", "choices": CHOICES, "context": "Look.", "answer": "B", "image": {"bytes": b"1"},
    "domain": "science", "topic": "physics", "category": "c", "rationale": "r", "split": "test"}  # fmt: skip


def test_items() -> None:
    asked = "[Question]\nWhich?\n[Choices]\n(A) red\n(B) green\n(C) dark red\n(D) none of them"
    end = "\nAnswer with the option's letter from the given choices directly."
    assert m3cot.item(ROW, "official").question == f"[Context]\nLook.\n\n{asked}{end}"
    assert m3cot.item({**ROW, "context": ""}, "official").question == asked + end
    assert m3cot.item(ROW, "cos").question.endswith("\nThink step-by-step first and then answer" + end[7:])
    assert m3cot.item({**ROW, "answer": 2}, "cos").answer == "C"
    assert m3cot.item(ROW, "cos").truth["groups"] == {"domain": "science", "topic": "physics", "category": "c"}
    assert m3cot.choice("G", ["1", "2", "3", "4", "5", "6", "7"])[0] is None  # the alphabet ends with F


@given(st.text())
def test_no_text_breaks_the_rules(text: str) -> None:
    assert all(verdict.right in (True, False) for verdict in m3cot.grades(item("B"), text).values())
