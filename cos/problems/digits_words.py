"""The words of the world `digits`: names of places, ways to ask, and what its predicates mean."""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import chain

from cos.problems import tally
from cos.problems.world import Truth

ROW = ("first", "second", "third", "fourth", "fifth", "sixth")
COMPARE: dict[str, Callable[[int, int], bool]] = {"larger": operator.gt, "smaller": operator.lt}

QUESTIONS = {
    "pair_sum": (
        "What is the sum of the {a} digit and the {b} digit?",
        "Add the {a} and the {b} digit. What do you get?",
        "What do the {a} digit and the {b} digit make together?",
        "What is the {a} digit plus the {b} digit?",
        "How much are the {a} and {b} digits in total?",
        "Find the sum of the {a} and the {b} digit.",
    ),
    "pair_difference": (
        "What is the difference between the {a} digit and the {b} digit?",
        "How far apart are the {a} and the {b} digit?",
        "By how much do the {a} digit and the {b} digit differ?",
        "What is the gap between the {a} and the {b} digit?",
        "Take the smaller of the {a} and {b} digits from the larger. What is left?",
        "Find the difference of the {a} and the {b} digit.",
    ),
    "pair_extreme": (
        "What is the {word} of the {a} and the {b} digit?",
        "Which is the {word} digit, the {a} or the {b}?",
        "Look at the {a} and the {b} digit. What is the {word} one?",
        "Of the {a} digit and the {b} digit, what is the {word}?",
        "Give the {word} of the {a} and {b} digits.",
        "What value has the {word} of the {a} and the {b} digit?",
    ),
    "pair_compare": (
        "Is the {a} digit {word} than the {b} digit?",
        "Is the {a} digit {word} than the {b}?",
        "Compare the {a} and the {b} digit. Is the {a} one {word}?",
        "Would you say that the {a} digit is {word} than the {b} one?",
        "Is it true that the {a} digit is {word} than the {b} digit?",
        "Of the {a} and {b} digits, is the {a} one {word}?",
    ),
    "sum": (
        "What is the sum of {scope}?",
        "Add up {scope}. What do you get?",
        "What is the total of {scope}?",
        "What do {scope} make together?",
        "How much is the sum of {scope}?",
        "Find the total of {scope}.",
    ),
    "extreme": (
        "What is the {word} of {scope}?",
        "Which digit is the {word} among {scope}?",
        "Look at {scope}. What is the {word}?",
        "Find the {word} of {scope}.",
        "What value has the {word} of {scope}?",
        "Among {scope}, what is the {word}?",
    ),
    "where": (
        "Where is the {word} of {scope}?",
        "Look at {scope}. Where is the {word}?",
        "In which place is the {word} of {scope}?",
        "Among {scope}, where is the {word}?",
        "What is the place of the {word} of {scope}?",
        "Find the place of the {word} of {scope}.",
    ),
    "count": (
        "How many of {scope} are {predicate}?",
        "Count {scope} that are {predicate}. How many are there?",
        "Among {scope}, how many are {predicate}?",
        "Look at {scope}. How many are {predicate}?",
        "What number of {scope} are {predicate}?",
        "Of {scope}, how many are {predicate}?",
    ),
    "range": (
        "What is the difference between the largest and the smallest of {scope}?",
        "How far apart are the largest and the smallest of {scope}?",
        "Look at {scope}. What is the largest minus the smallest?",
        "By how much do the largest and the smallest of {scope} differ?",
        "Take the smallest of {scope} from the largest. What is left?",
        "What is the gap between the largest and the smallest of {scope}?",
    ),
    "compare_sums": (
        "Is the sum of the {one} {line} {word} than that of the {two} {line}?",
        "Is the total of the {one} {line} {word} than the total of the {two} {line}?",
        "Add up the {one} {line} and the {two} {line}. Is the {one} sum {word}?",
        "Do the digits in the {one} {line} have a {word} sum than those in the {two} {line}?",
        "Compare the sums of the {one} and {two} {line}. Is the {one} one {word}?",
        "Is the {one} {line} {word} in sum than the {two} {line}?",
    ),
}


def grid_names(rows: int, columns: int) -> list[str]:
    """The places of a grid, row by row: "top left", "top centre", ..."""
    across = ("left", "right") if columns == 2 else ("left", "centre", "right")
    return [f"{row} {column}" for row in (("top", "bottom") if rows == 2 else ("top", "middle", "bottom")) for column in across]


def places(truth: Truth) -> list[str]:
    """The names of all places of the picture, in reading order."""
    rows = truth["content"]["rows"]
    return list(ROW[: len(rows[0])]) if len(rows) == 1 else grid_names(len(rows), len(rows[0]))


def values_of(truth: Truth) -> dict[str, int]:
    """Place -> digit, in reading order."""
    return dict(zip(places(truth), chain(*truth["content"]["rows"]), strict=True))


def predicate_holds(predicate: str, value: int) -> bool:
    """Whether a digit is "even", "odd", "more than k", "less than k", "at most k" or "at least k"."""
    if predicate in ("even", "odd"):
        return value % 2 == (predicate == "odd")
    words, bound = predicate.rsplit(" ", 1)
    compare = {"more than": operator.gt, "less than": operator.lt, "at most": operator.le, "at least": operator.ge}[words]
    return bool(compare(value, int(bound)))


def side(predicate: str, value: int) -> str:
    """On which side of "even", "odd" or "more than k" a digit is, in one word or two."""
    word = predicate.split()[0]
    return word if predicate_holds(predicate, value) else tally.OTHER[word]
