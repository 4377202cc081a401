"""ChartQA's relaxed accuracy against verdicts worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.problems.benchmarks import chartqa
from cos.problems.benchmarks.items import Item


def item(*golds: str) -> Item:
    return Item("1", "?", golds[0], world="chartqa", truth={"golds": list(golds)})


@pytest.mark.parametrize(
    ("gold", "text", "relaxed", "lmms_eval", "exact"),
    [
        ("100", "100", True, True, True), ("100", "95", True, True, False), ("100", "105", True, True, False),
        ("100", "105.01", False, False, False), ("100", "94.99", False, False, False), ("95", "100", False, False, False),
        ("-100", "-96", True, True, False), ("-100", "96", False, False, False),
        ("0", "0", True, True, True), ("0", "0.0", False, False, False), ("0", "0.01", False, False, False),
        ("0.0", "0", False, False, False),
        ("0%", "0%", True, True, True), ("0%", "0", False, False, False),  # 0 % is zero, too: compared as text
        ("5%", "5%", True, True, True), ("5%", "0.05", True, True, False), ("5%", "5", False, False, False),
        ("5", "5%", False, False, False),
        ("50%", "51%", True, True, False), ("0.5", "50%", True, True, False),
        ("5% ", "5%", True, False, True),  # only without its blank is the gold a number for lmms-eval
        ("5%", "5% ", True, False, True), ("Blue", " blue", True, False, True), ("100", " 100 ", True, True, True),
        ("1,000", "1,000", True, True, True), ("1,000", "1000", False, False, False), ("1000", "1,000", False, False, False),
        ("Blue", "blue", True, True, True), ("Blue", "the blue bar", False, False, False), ("Yes", "yes", True, True, True),
        ("2.5", "2.5 cm", False, False, False), ("2.5 cm", "2.5 cm", True, True, True), ("2019", "2018", True, True, False),  # years, too
        ("1e3", "1000", True, True, False), ("nan", "nan", False, False, True), ("Blue", "", False, False, False),
        ("Blue", None, False, False, False),
    ],
)  # fmt: skip
def test_rules(gold: str, text: str | None, relaxed: bool, lmms_eval: bool, exact: bool) -> None:
    found = {name: verdict.right for name, verdict in chartqa.grades(item(gold), text).items()}
    assert found == {"relaxed": relaxed, "lmms_eval": lmms_eval, "exact": exact}


def test_the_best_of_several_golds_counts_and_the_rule_is_named() -> None:
    found = chartqa.grades(item("red", "100"), "97")["relaxed"]
    assert (found.right, found.rule, found.read) == (True, "within 5 %", "97")
    assert chartqa.grades(item("red", "100"), " RED ")["relaxed"].rule == "the same text"
    assert chartqa.grades(item("red", "100"), "blue")["relaxed"].rule == "neither within 5 % nor the same text"


@pytest.mark.parametrize(
    ("row", "golds", "half"),
    [
        ({"imgname": "a.png", "query": "How?", "label": "5"}, ["5"], None),
        ({"question": "How?", "answer": "5", "type": "human_test", "image": "a.png"}, ["5"], "human"),
        ({"question": "How?", "answer": ["5"], "type": "augmented_test", "image": "a.png"}, ["5"], "augmented"),
        ({"query": "How?", "label": ["5", "five"], "human_or_machine": 0, "image": "a.png"}, ["5", "five"], "human"),
        ({"query": "How?", "label": [5], "human_or_machine": 1, "image": "a.png"}, ["5"], "augmented"),
    ],
)
def test_items_of_all_three_forms(row: dict[str, object], golds: list[str], half: str | None) -> None:
    found = chartqa.item(row, "official")
    assert (found.truth["golds"], found.answer, found.pictures) == (golds, golds[0], ("a.png",))
    assert found.truth["groups"] == ({"half": half} if half else {})
    assert found.question == "How? Answer the question using a single word or phrase."
    think = " \nThink step-by-step first and then answer the question with a single number, word, or phrase."
    assert chartqa.item(row, "cos").question == "How?" + think


@given(st.text(), st.text())
def test_no_text_breaks_the_rules(gold: str, text: str) -> None:
    assert all(verdict.right in (True, False) for verdict in chartqa.grades(item(gold), text).values())
