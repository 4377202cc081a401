"""AI2D's three published rules against verdicts worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.problems.benchmarks import ai2d
from cos.problems.benchmarks.items import Item

PARTS = ["leaf", "root", "stem", "flower"]


def item(answer: str) -> Item:
    return Item("1", "?", answer, world="ai2d", kind="choice", truth={"choices": PARTS})


@pytest.mark.parametrize(
    ("gold", "text", "lmms_eval", "vlmevalkit", "cos"),
    [
        ("B", "B", True, True, True), ("B", "b", True, False, True), ("B", "B.", True, True, False), ("B", "(B)", True, True, True),
        ("B", "B. root", True, True, False), ("B", "B: root", False, True, False), ("B", "b. root", False, True, False),
        ("B", "The answer is B", False, True, False), ("B", "The answer is B.", False, True, False), ("B", "root", False, True, False),
        ("B", "Root.", False, True, False), ("B", "the root and the stem", False, False, False), ("B", "**B**", True, True, False),
        ("B", "A", False, False, False), ("B", "A. root", False, False, False), ("B", "A or B", False, False, False),
        ("A", "A leaf", False, True, False), ("A", "A. The root is B", True, False, False), ("B", "B) root", False, True, False),
        ("B", " B \n", True, True, True), ("B", "[B]", True, True, False), ("B", "B, root", False, True, False),
        ("B", "B\n\nbecause it is under the ground there", False, False, False), ("B", "E", False, False, False),
        ("B", "", False, False, False), ("B", None, False, False, False), ("D", "correct answer is D", False, True, False),
        ("D", "flowers", False, True, False), ("B", "((B))", True, True, True),
    ],
)  # fmt: skip
def test_rules(gold: str, text: str | None, lmms_eval: bool, vlmevalkit: bool, cos: bool) -> None:
    found = {name: verdict.right for name, verdict in ai2d.grades(item(gold), text).items()}
    assert found == {"lmms_eval": lmms_eval, "vlmevalkit": vlmevalkit, "cos": cos}


HUB: dict[str, Any] = {"question": "Which?", "options": PARTS, "answer": "2", "image": {"bytes": b"1"}}
TSV: dict[str, Any] = {"index": "9", "question": "Which?", **dict(zip("ABCD", PARTS, strict=True)), "answer": "C", "category": "plants"}


def test_a_gold_index_and_a_gold_letter_are_the_same_item() -> None:
    hub, tsv = ai2d.item(HUB, "official"), ai2d.item(TSV, "official")
    end = "\nAnswer with the option's letter from the given choices directly."
    assert hub.question == tsv.question == "Which?\nA. leaf\nB. root\nC. stem\nD. flower" + end
    assert (hub.answer, tsv.answer, hub.truth["choices"]) == ("C", "C", tsv.truth["choices"])
    assert (hub.id, tsv.id, tsv.truth["groups"]) == ("", "9", {"category": "plants"})
    assert ai2d.item({**HUB, "answer": 0}, "cos").answer == "A"
    think = " \nThink step-by-step first and then answer with the option's letter from the given choices directly."
    assert ai2d.item(HUB, "cos").question == "Which?\nA. leaf\nB. root\nC. stem\nD. flower" + think


@given(st.text())
def test_no_text_breaks_the_rules(text: str) -> None:
    assert all(verdict.right in (True, False) for verdict in ai2d.grades(item("B"), text).values())
