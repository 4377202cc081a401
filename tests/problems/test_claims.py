"""Shared claims, against sentences judged by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.problems.claims import normalise, read_claims, settle, stray

NAMES = {"red": 12, "blue": 5, "green": 9}

TRUE = [
    "12 + 5 = 17.",
    "12 plus 5 is 17",
    "12+5+3=20",
    "5 − 12 = -7",
    "17 minus 5 makes 12",
    "12 and 5 make 17",
    "Red and blue make 17",
    "red, blue and green together make 26",
    "the red bar + blue = 17",
    "12 is more than 5.",
    "5 is less than the red bar",
    "red is taller than blue",
    "5 is equal to 5",
    "red is 7 more than blue",
    "blue is 4 less than green",
    "The largest of 3, 9, 4 is 9",
    "9 is the largest of 3, 9 and 4",
    "3 is the smallest of 3, 9, 4",
    "the tallest of red, blue and green is red",
    "5 < 9 < 12",
    "blue < green < red",
    "12 > 9 > 5",
]
FALSE = [
    ("12 + 5 = 18.", "12 + 5 is 17, not 18"),
    ("12 - 5 = 6", "12 - 5 is 7, not 6"),
    ("12 + 5 =brown.", "12 + 5 comes to no number"),
    ("red + 5 = photograph", "red + 5 comes to no number"),
    ("red and green make 20", "red and green is 21, not 20"),
    ("5 is more than 12", "5 is not more than 12"),
    ("blue is longer than red", "blue is not longer than red"),
    ("red is 6 more than blue", "red is 7 more than blue, not 6"),
    ("the largest of 3, 9, 4 is 4", "the largest of 3, 9, 4 is 9, not 4"),
    ("8 is the largest of 3, 9, 4", "the largest of 3, 9, 4 is 9, not 8"),
    ("5 < 12 < 9", "5 < 12 < 9 is not so"),
    ("the smallest of red, blue and green is green", "the smallest of red, blue and green is 5, not 9"),
]


@pytest.mark.parametrize("text", TRUE)
def test_true_claims(text: str) -> None:
    claims, rest = read_claims(normalise(text), NAMES, "bar")
    assert [claim.true for claim in claims] == [True]
    assert not any(letter.isdigit() for letter in rest)


@pytest.mark.parametrize(("text", "why"), FALSE)
def test_false_claims_say_why(text: str, why: str) -> None:
    claims, _ = read_claims(normalise(text), NAMES, "bar")
    assert [(claim.true, claim.why) for claim in claims] == [(False, why)]
    assert settle(claims).label == 0


@pytest.mark.parametrize(
    "text", ["", "Let me look.", "red 12, blue 5", "the 12 bars", "v1.12 + more", "99999 + 1 = 100000", "9999 + 1 = 10000"]
)
def test_no_claim_is_neutral(text: str) -> None:
    claims, _ = read_claims(normalise(text), NAMES, "bar")
    assert claims == [] and settle(claims).label is None


def test_without_names_only_numbers_are_terms() -> None:
    claims, _ = read_claims("red and blue make 17; 2 + 2 = 4")
    assert [claim.used for claim in claims] == [(2, 2)]


def test_numbers_from_nowhere() -> None:
    claims, _ = read_claims("12 + 6 = 18. 18 + 3 = 21")
    assert stray(claims, [12, 5, 3], []) == 6
    assert stray(claims, [12, 6, 3], []) is None
    twice, _ = read_claims("12 + 12 = 24")
    assert stray(twice, [12], []) == 12
    assert stray(twice, [], [12, 12]) is None


@given(st.lists(st.integers(0, 99), min_size=2, max_size=5), st.integers(0, 400))
def test_sums_agree_with_python(numbers: list[int], claimed: int) -> None:
    claims, _ = read_claims(f"{' + '.join(map(str, numbers))} = {claimed}")
    assert [claim.true for claim in claims] == [sum(numbers) == claimed]


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    clean = normalise(text)
    _, rest = read_claims(clean, NAMES, "bar")
    assert len(rest) == len(clean)
