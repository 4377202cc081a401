"""The world of handwritten digits: scans, right and wrong chains, the checker, pictures, splits, by independent readings of the truth."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.chain import Problem, Step
from cos.problems import digits, handwriting
from cos.problems.digits_words import grid_names
from cos.problems.world import SPLITS, generate

STEPS = {1: (2, 3), 2: (3, 5), 3: (4, 8)}


def problem(rows: list[list[int]], **ask: Any) -> Problem:
    """A problem with these digits; the scans don't matter to the checker."""
    return Problem("p", "?", truth={"content": {"rows": rows, "scans": rows}, "style": {}, "ask": {"labels": [""], **ask}})


ROW = problem([[5, 3, 1]], kind="sum", groups=[["first", "second", "third"]])
GRID = problem(
    [[5, 3], [4, 8]],
    kind="compare_sums",
    labels=["left", "right"],
    word="larger",
    groups=[["top left", "bottom left"], ["top right", "bottom right"]],
)


def brute(made: Problem) -> str:
    """The gold answer, worked out anew from the picture's content and the words of the question."""
    rows, ask, text = made.truth["content"]["rows"], made.truth["ask"], made.question
    names = ["first", "second", "third", "fourth", "fifth", "sixth"]
    if len(rows) > 1:
        names = [
            f"{a} {b}"
            for a in {2: "top bottom", 3: "top middle bottom"}[len(rows)].split()
            for b in {2: "left right", 3: "left centre right"}[len(rows[0])].split()
        ]
    value = dict(zip(names, [digit for row in rows for digit in row], strict=False))
    lists = [[value[name] for name in group] for group in ask["groups"]]
    asked = lists[0]
    if made.kind == "compare_sums":
        one, two = sum(lists[0]), sum(lists[1])
        return "yes" if (one > two and "larger" in text) or (one < two and "smaller" in text) else "no"
    if made.kind == "pair_compare":
        return "yes" if (asked[0] > asked[1] and "larger" in text) or (asked[0] < asked[1] and "smaller" in text) else "no"
    if made.kind == "count":
        bound = int(text.split("more than ")[1][0]) if "more than" in text else None
        return str(len([d for d in asked if (d > bound if bound is not None else d % 2 == (" odd" in text))]))
    if made.kind in ("extreme", "pair_extreme"):
        return str(sorted(asked)[-1 if "larg" in text else 0])
    if made.kind == "where":
        best = sorted(asked)[-1 if "largest" in text else 0]
        assert asked.count(best) == 1
        return next(name for name in ask["groups"][0] if value[name] == best)
    return str(sum(asked) if "sum" in made.kind else abs(max(asked) - min(asked)))


def test_scans_are_those_of_the_data_set() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = datasets.load_digits()
    assert np.array_equal(handwriting.scans(), theirs.images.astype(np.uint8))
    assert "".join(handwriting.labels()) == "".join(map(str, theirs.target))


def test_no_scan_is_in_two_splits() -> None:
    numbers = {split: {number for pool in handwriting.scans_of(split).values() for number in pool} for split in SPLITS}
    for one, other in combinations(("train", "validation", "test"), 2):
        assert not numbers[one] & numbers[other]
    assert numbers["shift"] == numbers["test"]
    assert sum(len(numbers[split]) for split in ("train", "validation", "test")) == 1797


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("level", [1, 2, 3])
def test_chains_are_right_and_end_in_the_gold_answer(split: str, level: int) -> None:
    labels = "".join(handwriting.labels())
    for made in generate(digits, split, 300, 5, level):
        chain = digits.chain(made, random.Random(made.id))
        assert [digits.check(made, step).label for step in chain.steps] == [1] * len(chain.steps), chain
        assert made.answer == chain.answer == brute(made)
        assert STEPS[level][0] <= len(chain.steps) <= STEPS[level][1]
        assert digits.check(made, chain.steps[0]).kind == "see"
        assert digits.check(made, chain.steps[-1]).kind == "compute"
        content = made.truth["content"]
        assert [[int(labels[number]) for number in row] for row in content["scans"]] == content["rows"]
        last = f"{chain.steps[-1].thought} {chain.steps[-1].reflection}"
        assert made.answer in ("yes", "no") or made.answer in last


def test_corrupted_chains_are_wrong_somewhere() -> None:
    wrong_steps = hurt = 0
    for made in generate(digits, "train", 600, 7):
        rng = random.Random(made.id)
        changed = digits.corrupt(made, digits.chain(made, rng), rng)
        labels = [digits.check(made, step).label for step in changed.steps]
        wrong_steps += 0 in labels
        hurt += 0 in labels or changed.answer != made.answer
    assert hurt > 0.97 * 600
    assert wrong_steps > 0.95 * 600


def test_answers_are_spread() -> None:
    made = list(generate(digits, "train", 1500, 8))
    for kind in {one.kind for one in made}:
        answers = Counter(one.answer for one in made if one.kind == kind)
        assert answers.most_common(1)[0][1] <= 0.58 * answers.total(), (kind, answers)
    assert Counter(one.answer for one in made).most_common(1)[0][1] < 0.15 * len(made)


def test_the_same_seed_gives_the_same_problem_and_pixels() -> None:
    once, again = (list(generate(digits, "train", 6, 9)) for _ in range(2))
    assert once == again != list(generate(digits, "train", 6, 10))
    for first, second in zip(once, again, strict=True):
        assert digits.draw(first.truth).tobytes() == digits.draw(second.truth).tobytes()


def test_shift_has_papers_of_its_own() -> None:
    papers = {split: {one.truth["style"]["paper"] for one in generate(digits, split, 90)} for split in SPLITS}
    assert papers["train"] == papers["test"] == set(handwriting.PAPERS)
    assert papers["shift"] == set(handwriting.SHIFT_PAPERS)


@pytest.mark.parametrize("split", ["train", "shift"])
def test_ink_lies_in_the_cells_and_only_there(split: str) -> None:
    for made in generate(digits, split, 45, 11):
        style, rows = made.truth["style"], made.truth["content"]["rows"]
        picture = digits.draw(made.truth)
        assert picture.size == (320, 320) and picture.mode == "RGB"
        far = np.abs(np.asarray(picture, dtype=int) - np.array(style["ink"])).sum(axis=2)
        ink = far < 90
        boxes = handwriting.cell_boxes(len(rows), len(rows[0]), style["shift"])
        covered = np.zeros((320, 320), dtype=bool)
        for x, y, side in boxes:
            part = np.s_[max(0, round(y - 0.7 * side)) : round(y + 0.7 * side), max(0, round(x - 0.7 * side)) : round(x + 0.7 * side)]
            assert ink[part].mean() > 0.01, (made.id, style["paper"])
            covered[part] = True
            assert side / 2 <= x <= 320 - side / 2 and side / 2 <= y <= 320 - side / 2
        assert ink[~covered].mean() < 0.002


def test_describe_names_every_digit_in_order() -> None:
    assert digits.describe(ROW.truth) == "first 5, second 3, third 1."
    assert digits.describe(GRID.truth) == "top left 5, top right 3, bottom left 4, bottom right 8."
    assert grid_names(3, 3)[4] == "middle centre"


@pytest.mark.parametrize(
    ("made", "thought", "reflection", "label"),
    [
        (ROW, "The first digit is 5.", "It is an odd digit.", 1),
        (ROW, "the  FIRST digit is 5", "it is more than 4", 1),
        (ROW, "The first digit is 6.", "It is an even digit.", 0),
        (ROW, "The first digit is 5.", "It is an even digit.", 0),
        (ROW, "The last digit is 1.", "It is at most 4.", 1),
        (ROW, "The fourth digit is 1.", "It is at most 4.", 0),
        (ROW, "The top left digit is 5.", "It is an odd digit.", 0),
        (ROW, "5 + 3 = 8.", "This uses first 5 and second 3.", 1),
        (ROW, "5 + 3 = 9.", "This uses first 5 and second 3.", 0),
        (ROW, "6 + 3 = 9.", "This uses first 6 and second 3.", 0),
        (ROW, "6 + 3 = 9.", "This uses first 5 and second 3.", 0),
        (ROW, "6 + 3 = 9.", "", 0),
        (ROW, "first 5 + second 3 = 9.", "", 0),
        (ROW, "8 + 1 = 9.", "This uses the sum 8 and third 1.", 1),
        (ROW, "4 + 5 = 9.", "This uses the sum 4 and first 5.", 1),
        (ROW, "7 + 1 = 8.", "This uses the sum 7 and third 1.", 0),
        (ROW, "5 is more than 3.", "This uses first 5 and second 3.", 1),
        (ROW, "5 is less than 3.", "This uses first 5 and second 3.", 0),
        (ROW, "The largest digit is 5.", "This uses first 5.", 1),
        (ROW, "The largest digit is 3.", "This uses second 3.", 0),
        (ROW, "The largest digit is 5.", "This uses second 3.", 0),
        (ROW, "The largest digit is 5.", "This uses first 5, second 3 and third 1.", 1),
        (ROW, "The largest digit is 3.", "This uses first 5, second 3 and third 1.", 0),
        (ROW, "The largest digit is 5.", "This uses first 5 and third 1.", 0),
        (ROW, "The largest digit is 5.", "This uses first 5, second 3 and third 2.", 0),
        (ROW, "The smallest digit is 1.", "This uses third 1 and second photograph.", None),
        (ROW, "5 + 5 = 10.", "This uses first 5 and first 5.", 0),
        (ROW, "8 + 8 = 16.", "This uses the sum 8 and the sum 8.", 0),
        (ROW, "3 digits are odd.", "This uses first 5, second 3 and third 1.", 1),
        (ROW, "2 digits are odd.", "This uses first 5 and second 3.", 0),
        (ROW, "1 digit is more than 4.", "This uses first 5.", 1),
        (ROW, "1 digit is more than 4.", "This uses second 3.", 0),
        (ROW, "5 - 1 = 4.", "This uses the largest 5 and the smallest 1.", 1),
        (ROW, "Let us look.", "That is a nice picture.", None),
        (ROW, "", "", None),
        (GRID, "9 is less than 11.", "This uses the left sum 9 and the right sum 11.", 1),
        (GRID, "9 is less than 11.", "This uses the right sum 9 and the left sum 11.", 0),
        (GRID, "5 + 4 = 9.", "This uses top left 5 and bottom left 4.", 1),
        (GRID, "The bottom right digit is 8.", "It is more than 4.", 1),
        (GRID, "The middle left digit is 8.", "It is more than 4.", 0),
    ],
)
def test_the_checker_by_hand(made: Problem, thought: str, reflection: str, label: int | None) -> None:
    assert digits.check(made, Step("", thought, reflection)).label == label
    if "uses" in reflection:  # what is used may come first, as in the world's own chains
        assert digits.check(made, Step("", reflection, thought)).label == label


@given(st.text(max_size=80), st.text(max_size=80))
def test_the_checker_takes_any_text(thought: str, reflection: str) -> None:
    assert digits.check(ROW, Step("", thought, reflection)).label in (0, 1, None)


@given(st.integers(0, 400), st.integers(0, 10**6))
def test_the_checker_takes_mutated_chains(index: int, seed: int) -> None:
    rng = random.Random(seed)
    made = next(iter(generate(digits, "train", 1, index)))
    words = ["first", "9", "12", "-", "+", "=", "is", "more than", "the sum", "top left", "digits are", "odd", "99999", "largest"]
    for step in digits.chain(made, rng).steps:
        cut = rng.randrange(len(step.thought))
        changed = replace(step, thought=step.thought[:cut] + rng.choice(words) + step.thought[cut + rng.randrange(3) :])
        assert digits.check(made, changed).label in (0, 1, None)
