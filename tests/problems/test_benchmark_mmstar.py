"""MMStar's rule, and VLMEvalKit's extractor, against verdicts worked out by hand from the original code."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.problems.benchmarks import mmstar
from cos.problems.benchmarks.items import Item
from cos.problems.benchmarks.letters import can_infer

COLOURS = ["red", "green", "dark blue", "white"]


def item(answer: str, options: list[str] | None = None) -> Item:
    return Item("1", "?", answer, world="mmstar", kind="choice", truth={"choices": COLOURS if options is None else options})


@pytest.mark.parametrize(
    ("gold", "text", "right", "rule"),
    [
        ("B", "B", True, "first character"), ("B", "b", True, "first character"), ("B", " B.\n", True, "first character"),
        ("B", "B: green", True, "first character"), ("B", "(B)", True, "bracket first"), ("B", "(b) green", True, "bracket first"),
        ("B", "Option B", True, "option X"), ("B", "option b is right", True, "option X"),
        ("B", "The answer is B.", True, "the answer is X"),
        ("B", "the\nanswer is b", True, "the answer is X"), ("B", "the answer is (B)", False, "no letter at the head"),
        ("B", "The answer: B", False, "no letter at the head"), ("B", "green", False, "no letter at the head"),
        ("B", "C", False, "first character"), ("B", "(C) then (B)", False, "bracket first"), ("B", "option C", False, "option X"),
        ("B", "The answer is A", False, "the answer is X"),
        ("A", "a cat on a mat", True, "first character"),  # the trap: an article is a letter here
        ("B", "because of the light", True, "first character"), ("D", "dark blue", True, "first character"),
        ("A", "An animal", True, "first character"), ("B", "**B**", False, "no letter at the head"),
        ("B", "[B]", False, "no letter at the head"),
        ("B", "", False, "no answer"), ("B", "  ", False, "no answer"), ("B", None, False, "no answer"),
        ("B", "(", False, "no letter at the head"), ("B", "I think B", False, "no letter at the head"),
        ("C", "I can't tell", False, "no letter at the head"), ("A", "E", False, "no letter at the head"),
    ],
)  # fmt: skip
def test_official(gold: str, text: str | None, right: bool, rule: str) -> None:
    verdict = mmstar.grades(item(gold), text)["official"]
    assert (verdict.right, verdict.rule) == (right, rule)
    assert (verdict.read is None) == rule.startswith("no ")
    assert verdict.read == gold or not right


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"), ("(B)", "B"), ("B.", "B"), ("**B**", "B"), ("B-", None), ("b", None), ("The answer is B", "B"), ("#### B", "B"),
        ("B is the colour that I can see here", None),  # one letter, but not among the last words
        ("I looked at all of it, and so I say B", "B"), ("It is A or B", None), ("answer is B, not A", "B"),
        ("the correct answer is **C**.", "C"), ("Answer is d", "D"),
        ("red", "A"), ("It is RED.", "A"), ("dark blue", "C"), ("red or white", None), ("pink", None),
        ("A bird that is red", "A"),  # the article among the last words: the guard is off, as upstream by default
        ("a bird that is red", "A"), ("red " + "x" * 60, None),  # too long to look for a choice's text
        ("Z", "Z"), ("Cannot determine the answer", "Z"), ("I can't process this file.", "Z"),
        ("Sorry, I can't help with images of people yet. B", "Z"), ("Failed to obtain answer via API B", None), ("", None),
    ],
)  # fmt: skip
def test_can_infer(text: str, letter: str | None) -> None:
    assert can_infer(text, COLOURS)[0] == letter


@pytest.mark.parametrize(
    ("text", "official", "vlmevalkit", "cos"),
    [
        ("B", True, True, True), ("(B)", True, True, True), ("b", True, False, False), ("B.", True, True, False),
        ("green", False, True, False), ("Sure: B", False, True, False), (None, False, False, False),
    ],
)  # fmt: skip
def test_variants(text: str | None, official: bool, vlmevalkit: bool, cos: bool) -> None:
    found = {name: verdict.right for name, verdict in mmstar.grades(item("B"), text).items()}
    assert found == {"official": official, "vlmevalkit": vlmevalkit, "cos": cos}


ROW: dict[str, Any] = {"index": 3, "question": "What?\nOptions: A: 3, 4, and 5, B: two, C: x: y, D: none", "image": b"x", "answer": "b",
    "category": "math", "l2_category": "geometry", "meta_info": {"source": "AI2D", "split": "test"}}  # fmt: skip


def test_items() -> None:
    found = mmstar.item(ROW, "official")
    assert (found.id, found.answer, found.truth["choices"]) == ("3", "B", ["3, 4, and 5", "two", "x: y", "none"])
    assert found.question == ROW["question"] + "\nAnswer with the option's letter from the given choices directly"
    assert found.truth["groups"] == {"category": "math", "l2_category": "geometry", "source": "AI2D"}
    think = "\nThink step-by-step first and then answer with the option's letter from the given choices directly."
    assert mmstar.item(ROW, "cos").question == ROW["question"] + think
    columns = {"question": "What?", "A": "one", "B": "two", "C": "", "D": None}
    assert mmstar.item({**ROW, **columns}, "cos").question == "What?\nA. one\nB. two" + think
    assert mmstar.item({**ROW, "question": "What? (choose)"}, "cos").truth["choices"] == []
    assert mmstar.grades(item("B", []), "green")["vlmevalkit"].right is False
    assert mmstar.grades(item("B", []), "B")["vlmevalkit"].right is True


@given(st.text())
def test_no_text_breaks_the_rules(text: str) -> None:
    for options in (COLOURS, []):
        assert all(verdict.right in (True, False) for verdict in mmstar.grades(item("B", options), text).values())
