"""MMMU's rules against verdicts worked out by hand from the original code."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.problems.benchmarks import mmmu
from cos.problems.benchmarks.items import Item

OPTIONS = ["$6", "the left one", "the right one", "both"]


def choice(answer: str, options: list[str] = OPTIONS, id: str = "validation_Art_1") -> Item:
    return Item(id, "?", answer, world="mmmu", kind="choice", truth={"choices": options})


def asked(answer: str) -> Item:
    return Item("validation_Math_2", "?", answer, world="mmmu", kind="open", truth={"choices": []})


@pytest.mark.parametrize(
    ("text", "letter", "rule"),
    [
        ("B", "B", "letter alone"), ("(B)", "B", "letter in brackets"), ("B.", "B", "letter alone"), ("'B'", "B", "letter alone"),
        (",.!?;:'B", "B", "letter alone"), (".,B", None, "no letter, and no choice's text"),  # stripped in one order, each mark once
        ("The answer is B", "B", "letter alone"), ("(A) or rather (C)", "C", "letter in brackets"),  # the last of several
        ("(C) is better than (A)", "A", "letter in brackets"), ("A or B", "B", "letter alone"), ("B A", "A", "letter alone"),
        ("(B) and C", "B", "letter in brackets"), ("A (B)", "B", "letter in brackets"),  # brackets go before letters alone
        ("A picture of two things", "A", "letter alone"),  # the article is a letter
        ("b", None, "no letter, and no choice's text"), ("(b)", None, "no letter, and no choice's text"),
        ("B, I think", None, "no letter, and no choice's text"),  # not between blanks
        ("**B**", None, "no letter, and no choice's text"), ("option:B", None, "no letter, and no choice's text"),
        ("the left one", None, "no letter, and no choice's text"),  # five words and fewer: contents are not looked for
        ("I would say it is the Left One", "B", "text of a choice"),
        ("not the left one but of course the right one", "C", "text of a choice"),
        ("not the right one but of course the left one", "B", "text of a choice"),
        ("I really can not see any of it", None, "no letter, and no choice's text"), ("E", None, "no letter, and no choice's text"),
        ("B\nbecause", None, "no letter, and no choice's text"), ("the two of them cost $6 together", "A", "text of a choice"),
    ],
)  # fmt: skip
def test_choices(text: str, letter: str | None, rule: str) -> None:
    assert mmmu.choice(text, OPTIONS) == (letter, rule)
    verdict = mmmu.grades(choice("B"), text)["official"]
    assert (verdict.right, verdict.read) == (letter == "B", letter)


@pytest.mark.parametrize(
    ("gold", "text", "right"),
    [
        ("5", "5", True), ("5", "5.0", True), ("5", "5.004", True), ("5", "5.006", False),  # two places, no tolerance
        ("5", "4.99", False), ("1234", "1,234", True), ("1,234.5", "1234.5", True), ("24.6", "The answer is 24.6 cm.", True),
        ("24.6", "24.6cm", True),  # the number is found inside the text
        ("5", "x = 5", True), ("5", "2 + 3 = 5\nfine", True),  # no key word: the whole text, and all its numbers
        ("3", "2 + 3 = 5", False),  # in the last line `=` is a key: only what comes after it counts
        ("3", "2 + 3 = 5\nfine", True),  # in an earlier line it is none
        ("1e3", "1000", True), ("1000", "about 1e3", True), ("-5", "-5", True), ("-5", "5", False), (".5", "0.5", True),
        ("blue", "Blue", True), ("blue", "the sky is blue today", True), ("blue", "It is bluebell", True),  # contained is enough
        ("blue sky", "blue", False), ("x", "x", True),
        ("x", "it is x, I think", False), ("x", "the x y", True), ("x", "next", False),  # one letter: a blank must stand beside it
        ("['5', 'five']", "five", True), ("['5', 'five']", "5", True),
        ("[0, 1)", "it lies in [0, 1)", True),  # no list, though it starts like one
        ("['a', 'b']", "neither", False), ("blue", "", False), ("blue", None, False), ("5", "five", False),
        ("4", "so the result is 4 and not 3", True),  # after the last key word: "4 and not 3", with both numbers
        ("7", "it could be 7", True), ("7", "therefore :\n7", True),  # a tail of punctuation alone is dropped
        ("3", "3 is what I see", False),  # the tail is "what I see"
    ],
)  # fmt: skip
def test_open(gold: str, text: str | None, right: bool) -> None:
    assert mmmu.grades(asked(gold), text)["official"].right is right


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,234", ["1,234", "234"]), ("1.5e3", ["1.5e3", "1", "3"]), ("-2.5, 3", ["-2", "3"]),  # parts of numbers count as numbers
        ("-2.5 and 3", ["-2.5", "3"]), ("12,34", ["34"]), ("none", []), (".5", [".5"]), ("10%", ["10"]), ("x2", ["2"]),
    ],
)  # fmt: skip
def test_numbers(text: str, found: list[str]) -> None:
    assert mmmu.numbers(text) == found


@given(st.text("0123456789.,eE+- a"))
def test_numbers_are_those_of_the_original_patterns(text: str) -> None:
    patterns = (
        r"-?\b\d{1,3}(?:,\d{3})+\b",
        r"-?\d+(?:\.\d+)?[eE][+-]?\d+",
        r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])",
    )
    assert mmmu.numbers(text) == [found for pattern in patterns for found in re.findall(pattern, text)]


def test_the_random_choice_is_kept_apart_and_repeats() -> None:
    drawn = [mmmu.grades(choice("B", id=f"validation_Art_{number}"), "no idea") for number in range(400)]
    assert not any(found["official"].right for found in drawn)
    assert all(found["official"].read is None and found["random_fallback"].rule == "drawn at random" for found in drawn)
    assert 0.15 < sum(found["random_fallback"].right for found in drawn) / 400 < 0.35  # a quarter, by chance
    assert drawn == [mmmu.grades(choice("B", id=f"validation_Art_{number}"), "no idea") for number in range(400)]
    assert mmmu.grades(choice("B"), None)["random_fallback"].rule == "drawn at random"
    assert mmmu.grades(choice("B"), "B")["random_fallback"].rule == "letter alone"


@pytest.mark.parametrize(
    ("gold", "text", "official", "cos"),
    [
        ("B", "B", True, True), ("B", "Bears", False, True),  # CoS takes the first character for the letter
        ("B", "the left one", False, True),  # ... and looks for contents in short texts too
        ("A", "Anything (B)", False, True), ("B", "Anything (B)", True, False), ("B", "", False, False), ("B", "e", False, False),
    ],
)  # fmt: skip
def test_cos_looks_first(gold: str, text: str, official: bool, cos: bool) -> None:
    found = mmmu.grades(choice(gold), text)
    assert (found["official"].right, found["cos"].right) == (official, cos)


ROW: dict[str, Any] = {"id": "validation_Art_Theory_12", "question": "Which <image 2>?", "options": "['left', \"it's <image 1>\"]",
    "answer": "A", "question_type": "multiple-choice", "image_1": {"bytes": b"1"}, "image_2": {"bytes": b"2"}, "image_3": None,
    "topic_difficulty": "Easy", "subfield": "Art", "img_type": "['Photos']"}  # fmt: skip


def test_items() -> None:
    item = mmmu.item(ROW, "official")
    assert item.truth["choices"] == ["left", "it's <image 1>"]
    assert item.question == (
        "Which <image 2>?\nA. left\nB. it's <image 1>\nAnswer with the option's letter from the given choices directly."
    )
    assert item.pictures == ({"bytes": b"1"}, {"bytes": b"2"}, None, None, None, None, None)
    assert {key: item.truth["groups"][key] for key in ("domain", "subject")} == {"domain": "Art and Design", "subject": "Art_Theory"}
    free = mmmu.item({**ROW, "question_type": "open", "options": "[]", "answer": "['a', 'b']"}, "cos")
    assert free.kind == "open" and free.truth["choices"] == [] and free.answer == "['a', 'b']"
    assert free.question == "Which <image 2>?\nThink step-by-step first and then answer the question with a single number."
    assert mmmu.item({**ROW, "answer": "?"}, "cos").answer is None
    for broken in ("[]", "not a list", None):
        with pytest.raises((ValueError, SyntaxError)):
            mmmu.item({**ROW, "options": broken}, "cos")
    assert sum(len(subjects.split()) for subjects in mmmu.DOMAINS.values()) == 30


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["1", "1a", "1.", ",111", "-", "is ", "=", "(B", " A", "\n"])
def test_long_text_takes_no_long_time(piece: str) -> None:
    for item in (choice("B"), asked("5")):
        assert mmmu.grades(item, piece * 30_000 + "x")


@given(st.text())
def test_no_text_breaks_the_rules(text: str) -> None:
    for item in (choice("B"), asked("5"), asked("['a', 'b']")):
        assert all(verdict.right in (True, False) for verdict in mmmu.grades(item, text).values())
