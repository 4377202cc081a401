"""The world of charts: right chains, wrong chains, pictures and splits, each checked by an independent reading of the truth."""

from __future__ import annotations

import random
import re
from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.chain import Problem, Step
from cos.problems import charts
from cos.problems.chart_pictures import COLOURS, bar_box, draw_style, plot_box, shade
from cos.problems.world import SPLITS, generate

STEPS = {1: (2, 3), 2: (3, 6), 3: (4, 8)}
BARS = [["red", 12], ["blue", 5], ["green", 9], ["pink", 20]]


def problem(ask: dict[str, Any] | None = None, horizontal: bool = False) -> Problem:
    style = {**draw_style(random.Random(1), False), "horizontal": horizontal}
    return Problem("p", "?", truth={"content": {"bars": BARS}, "style": style, "ask": ask or {"kind": "sum", "bars": ["red", "blue"]}})


def brute(problem: Problem) -> str:
    """The gold answer, worked out anew from the picture's content."""
    bars, ask = problem.truth["content"]["bars"], problem.truth["ask"]
    ranked = sorted(bars, key=lambda bar: bar[1])
    value = {**dict(bars), "largest": ranked[-1][1], "smallest": ranked[0][1]}
    picked = [value[term] for term in ask.get("bars", [])]
    match ask["kind"]:
        case "read":
            return str((bars if ask["from"] in ("left", "top") else bars[::-1])[ask["at"]][1])
        case "sum":
            return str(sum(picked))
        case "difference":
            return str(abs(picked[0] - picked[1]))
        case "count":
            return str(len([v for _, v in bars if (v - ask["line"]) * (1 if ask["side"] == "above" else -1) > 0]))
        case "order":
            names = [name for name, _ in ranked if name in ask["bars"]]
            return ", ".join(names[::-1] if ask["down"] else names)
        case "extreme":
            best = [bar for bar in ranked if bar[0] in ask["bars"]][-1 if ask["which"] == "largest" else 0]
            return str(best[0] if ask["want"] == "bar" else best[1])
    if ask["by"]:
        return f"{ask['bars'][picked.index(max(picked))]}, {max(picked) - min(picked)}"
    gap = sum(picked[:-1]) - picked[-1]
    return "yes" if (gap > 0) == ask["more"] else "no"


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("level", [1, 2, 3])
def test_chains_are_right_and_end_in_the_gold_answer(split: str, level: int) -> None:
    for made in generate(charts, split, 300, 5, level):
        chain = charts.chain(made, random.Random(made.id))
        assert [charts.check(made, step).label for step in chain.steps] == [1] * len(chain.steps), chain
        assert made.answer == chain.answer == brute(made)
        assert STEPS[level][0] <= len(chain.steps) <= STEPS[level][1]
        assert charts.check(made, chain.steps[0]).kind == "see"
        last = chain.steps[-1]
        if made.kind not in ("compare", "order"):
            assert re.search(rf"\b{made.answer}\b", f"{last.thought} {last.reflection}".lower())


def test_texts_are_short_and_numbers_small() -> None:
    words = set()
    for made in generate(charts, "train", 600, 6):
        for step in charts.chain(made, random.Random(0)).steps:
            most = 30 if step.name == "count" else 14  # a tally of up to six bars
            assert len(step.name.split()) <= 3 and len(step.thought.split()) <= most and len(step.reflection.split()) <= 14
            words |= set(re.findall(r"\w+", f"{step.name} {step.thought} {step.reflection}".lower()))
    assert all(int(word) < 100 for word in words if word.isdigit())
    assert len([word for word in words if not word.isdigit()]) < 80


def test_corrupted_chains_are_wrong_somewhere() -> None:
    wrong_steps = hurt = total = 0
    for made in generate(charts, "train", 600, 7):
        rng = random.Random(made.id)
        changed = charts.corrupt(made, charts.chain(made, rng), rng)
        labels = [charts.check(made, step).label for step in changed.steps]
        wrong_steps += 0 in labels
        hurt += 0 in labels or changed.answer != made.answer
        total += 1
    assert hurt / total > 0.98
    assert 0.8 < wrong_steps / total < 1


def test_the_same_seed_gives_the_same_problem_and_pixels() -> None:
    once, again = (list(generate(charts, "train", 6, 9)) for _ in range(2))
    assert once == again
    assert once != list(generate(charts, "train", 6, 10))
    for first, second in zip(once, again, strict=True):
        assert charts.draw(first.truth).tobytes() == charts.draw(second.truth).tobytes()


def test_splits_do_not_meet() -> None:
    contents = {split: {str(made.truth["content"]) for made in generate(charts, split, 300)} for split in SPLITS}
    for one, other in combinations(("train", "validation", "test"), 2):
        assert not contents[one] & contents[other]
    assert not contents["shift"] & (contents["train"] | contents["validation"])


def test_shift_has_styles_of_its_own() -> None:
    seen = [[draw_style(random.Random(seed), shift) for seed in range(400)] for shift in (False, True)]
    for key in ("ground", "tone", "font"):
        plain, shifted = ({str(style[key]) for style in styles} for styles in seen)
        assert not plain & shifted
    shades = [{shade(style, name) for style in styles for name in COLOURS} for styles in seen]
    assert len(shades[0] & shades[1]) < 0.02 * len(shades[1])


@pytest.mark.parametrize("shift", [False, True])
def test_no_two_colours_look_alike(shift: bool) -> None:
    for seed in range(300):
        style = draw_style(random.Random(seed), shift)
        shades = [np.array(shade(style, name), float) for name in COLOURS]
        assert min(float(np.linalg.norm(one - other)) for one, other in combinations(shades, 2)) > 55


def test_answers_and_wordings_are_varied() -> None:
    made = list(generate(charts, "train", 1500, 11))
    yes_no = Counter(one.answer for one in made if one.answer in ("yes", "no"))
    assert 0.4 < yes_no["yes"] / yes_no.total() < 0.6
    for kind in {one.kind for one in made}:
        answers = Counter(one.answer for one in made if one.kind == kind)
        assert answers.most_common(1)[0][1] <= 0.5 * answers.total()
        masked = {re.sub(rf"\b({'|'.join([*COLOURS, 'and'])}|\d+)\b|,", "", one.question) for one in made if one.kind == kind}
        assert len(masked) >= 6
    reads = sum(one.kind == "read" for one in made if one.level == 1)
    assert reads <= sum(one.level == 1 for one in made) / 3


def test_every_question_names_what_it_asks_for() -> None:
    for made in generate(charts, "train", 600, 12):
        named = {term for term in made.truth["ask"].get("bars", []) if term in COLOURS}
        assert named == set(re.findall("|".join(COLOURS), made.question.lower()))
        assert "{" not in made.question


@pytest.mark.parametrize("split", ["train", "shift"])
def test_bars_end_where_their_values_say(split: str) -> None:
    for made in generate(charts, split, 60, 13):
        style, bars = made.truth["style"], made.truth["content"]["bars"]
        pixels = np.asarray(charts.draw(made.truth)).astype(int)
        assert pixels.shape == (320, 320, 3)
        left, top, right, bottom = plot_box(style)
        for place, (name, value) in enumerate(bars):
            box = bar_box(style, place, len(bars), value)
            row, column = int((box[1] + box[3]) / 2), int((box[0] + box[2]) / 2)
            line = pixels[row, left + 2 : right] if style["horizontal"] else pixels[top : bottom - 2, column][::-1]
            inside = np.abs(line - shade(style, name)).sum(axis=1) < 90
            length = int(np.argmin(inside)) if not inside.all() else len(inside)
            whole = right - left if style["horizontal"] else bottom - top
            assert abs((length + 2) / whole * 20 - value) < 0.3, (made.id, name)
            assert np.abs(pixels[row, column] - shade(style, name)).sum() < 90


def test_describe_lists_bars_in_order() -> None:
    assert charts.describe(problem().truth) == "red 12, blue 5, green 9, pink 20."


JUDGED = [
    ("The red bar reaches 12.", "Its end lies between 10 and 15.", 1, "red is 12"),
    ("RED IS 12", "", 1, "red is 12"),
    ("the  red bar's value is 12", "hm", 1, "red is 12"),
    ("The red bar reaches 14.", "Its end lies between 10 and 15.", 0, "red is 12, not 14"),
    ("The red bar reaches 12.", "Its end lies between 5 and 10.", 0, "red is 12, not between 5 and 10"),
    ("The red bar reaches 12.", "Its end is on the line at 10.", 0, "red is 12, not 10"),
    ("The pink bar reaches 20.", "Its end is on the line at 20.", 1, "pink is 20"),
    ("The brown bar reaches 12.", "Its end lies between 10 and 15.", 0, "there is no brown bar"),
    ("The grey bar reaches 12.", "", 0, "there is no grey bar"),
    ("There is no brown bar.", "", None, ""),
    ("The second bar from the left is blue.", "It stands next to green.", 1, "the second bar from the left is blue"),
    ("The second bar from the right is blue.", "", 0, "the second bar from the right is green, not blue"),
    ("The first bar from the top is red.", "", 0, "the bars do not go from the top"),
    ("The fifth bar from the left is red.", "", 0, "there are only 4 bars"),
    ("The second bar from the left is blue.", "It stands next to pink.", 0, "blue is not next to pink"),
    ("The largest bar is pink.", "Its end is on the line at 20.", 1, "the largest bar is pink"),
    ("The smallest bar is green.", "", 0, "the smallest bar is blue, not green"),
    ("Pink is the tallest bar.", "", 1, "the tallest bar is pink"),
    ("12 + 5 = 17.", "This uses red 12 and blue 5.", 1, ""),
    ("12 + 5 = 18.", "This uses red 12 and blue 5.", 0, "12 + 5 is 17, not 18"),
    ("12 + 6 = 18.", "This uses red 12 and blue 6.", 0, "blue is 5, not 6"),
    ("12 + 6 = 18.", "This uses red 12 and blue 5.", 0, "6 is not a value used here"),
    ("12 + 6 = 18.", "", 0, "6 is not a value used here"),
    ("12 + 5 = 17.", "", 1, ""),
    ("17 + 9 = 26.", "Red and blue make 17, green is 9.", 0, "green is not asked for here"),
    ("12 + 9 = 21.", "This uses red 12 and green 9.", 0, "green is not asked for here"),
    ("12 + 9 = 21.", "", 0, "9 is not a value used here"),
    ("12 is more than 5.", "This uses red 12 and blue 5.", 1, ""),
    ("12 is less than 5.", "This uses red 12 and blue 5.", 0, "12 is not less than 5"),
    ("2 bars are above 10.", "They are red 12 and pink 20.", 1, "2 bars are above 10"),
    ("3 bars are above 10.", "They are red 12, pink 20 and green 11.", 0, "2 bars are above 10, not 3"),
    ("2 bars are above 10.", "They are red 12 and green 9.", 0, "green 9 is not above 10"),
    ("1 bar is below 9.", "It is blue 5.", 1, "1 bar is below 9"),
    ("2 bars are above 10.", "This uses red 12 and pink 20.", 1, "2 bars are above 10"),
    ("2 bars are above 10.", "This uses red 12.", 0, "pink 20 is also above 10"),
    ("2 bars are above 10.", "This uses red 12, red 12 and pink 20.", 0, "red is taken twice"),
    ("2 bars are above 10.", "This uses none of them.", 0, "pink 20 is also above 10"),
    ("0 bars are above 20.", "This uses none of them.", 1, "0 bars are above 20"),
    ("12 + 12 = 24.", "This uses red 12 and red 12.", 0, "red is taken twice"),
    ("The bars are red, blue, pink and green.", "There are 4 bars.", 1, "the bars are"),
    ("The bars are red, blue and pink.", "There are 4 bars.", 0, "the bars are"),
    ("The bars are red, red, blue, pink and green.", "There are 4 bars.", 0, "the bars are"),
    ("The bars are red, blue, pink and green.", "There are 5 bars.", 0, "there are 4 bars, not 5"),
    ("It is red: the red bar reaches 12.", "", 1, "red is 12"),
    ("2 bars are above 10.", "This uses pink photograph and red 12.", None, "not all of it"),
    ("photograph bars are above 10.", "This uses red 12 and pink 20.", None, "not all of it"),
    ("I look at the chart.", "This is what is asked.", None, ""),
    ("", "", None, ""),
]


@pytest.mark.parametrize(("thought", "reflection", "label", "why"), JUDGED)
def test_verdicts_by_hand(thought: str, reflection: str, label: int | None, why: str) -> None:
    verdict = charts.check(problem(), Step("look", thought, reflection))
    assert verdict.label == label, verdict
    assert why in verdict.why
    if "uses" in reflection:  # what is used may come first, as in the world's own chains
        assert charts.check(problem(), Step("look", reflection, thought)).label == label


def test_an_order_says_which_bars_it_is() -> None:
    asked = problem({"kind": "order", "bars": ["red", "blue", "green"], "down": True})
    for said, label in (("red, green, blue", 1), ("red, blue, green", 0), ("green, blue", 0), ("red, green, photograph", 0)):
        step = Step("order", "This uses red 12, blue 5 and green 9.", f"12 > 9 > 5, that is {said}.")
        assert charts.check(asked, step).label == label, said


OF_THREE = [
    ("17 + 9 = 26.", "Red and blue make 17, green is 9.", 1, ""),
    ("18 + 9 = 27.", "Red and blue make 18, green is 9.", 0, "red and blue is 17, not 18"),
    ("12 + 5 + 9 = 26", "", 1, ""),
    ("5 < 9 < 12.", "This uses blue 5, green 9 and red 12.", 1, ""),
    ("5 < 12 < 9.", "This uses blue 5, green 9 and red 12.", 0, "5 < 12 < 9 is not so"),
    ("5 < 9.", "This uses blue 5, green 9 and green 9.", 0, "green is taken twice"),
    ("24 is more than 9.", "Red and red make 24, green is 9.", 0, "red is taken twice"),
    ("12 is the largest of 12, 5, 9.", "This uses red 12, blue 5 and green 9.", 1, ""),
    ("9 is the largest of 12, 5, 9.", "This uses red 12, blue 5 and green 9.", 0, "the largest of 12, 5, 9 is 12, not 9"),
    ("The largest of 12, 5 and 9 is 12, that of red.", "This uses red 12, blue 5 and green 9.", 1, ""),
    ("The largest of 12, 5 and 9 is 12, that of green.", "This uses red 12, blue 5 and green 9.", 0, "not that of green"),
    ("The largest of 12, 5 and 9 is 12, that of circle.", "This uses red 12, blue 5 and green 9.", 0, "not that of circle"),
]


@pytest.mark.parametrize(("thought", "reflection", "label", "why"), OF_THREE)
def test_verdicts_on_three_bars(thought: str, reflection: str, label: int, why: str) -> None:
    verdict = charts.check(problem({"kind": "sum", "bars": ["red", "blue", "green"]}), Step("work", thought, reflection))
    assert (verdict.label, verdict.kind) == (label, "compute")
    assert why in verdict.why


def test_the_ends_of_the_chart_and_the_line_are_part_of_the_question() -> None:
    ends = problem({"kind": "sum", "bars": ["largest", "smallest"]})
    assert charts.check(ends, Step("add", "20 + 5 = 25.", "This uses pink 20 and blue 5.")).label == 1
    assert charts.check(ends, Step("add", "20 + 9 = 29.", "This uses pink 20 and green 9.")).why == "green is not asked for here"
    count = problem({"kind": "count", "line": 10, "side": "above"})
    assert charts.check(count, Step("count", "2 bars are above 10.", "They are red 12 and pink 20.")).label == 1
    assert charts.check(count, Step("count", "2 bars are above 11.", "They are red 12 and pink 20.")).label == 0


def test_the_subject_may_stand_in_the_name() -> None:
    assert charts.check(problem(), Step("read red", "It reaches 12.", "")).label == 1
    assert charts.check(problem(), Step("read red", "It reaches 13.", "")).label == 0
    assert charts.check(problem(), Step("read brown", "It reaches 13.", "")).label == 0


def test_an_extreme_that_leaves_a_bar_out_is_wrong() -> None:
    asked = problem({"kind": "extreme", "bars": ["red", "blue", "pink"], "which": "largest", "want": "bar"})
    assert charts.check(asked, Step("pick", "12 is the largest of 12, 5.", "This uses red 12 and blue 5.")).label == 0
    assert charts.check(asked, Step("pick", "20 is the largest of 12, 5, 20.", "This uses red 12, blue 5 and pink 20.")).label == 1


def test_horizontal_charts_go_from_the_top() -> None:
    assert charts.check(problem(horizontal=True), Step("", "The first bar from the top is red.", "")).label == 1
    assert charts.check(problem(horizontal=True), Step("", "The first bar from the left is red.", "")).label == 0


@given(st.text(), st.text(), st.text())
def test_any_text_gets_a_verdict(name: str, thought: str, reflection: str) -> None:
    assert charts.check(problem(), Step(name, thought, reflection)).label in (0, 1, None)


WORDS = [
    *COLOURS,
    "bar",
    "is",
    "12",
    "5",
    "+",
    "=",
    "-",
    ",",
    "and",
    "make",
    "largest",
    "of",
    "the",
    "its",
    "line",
    "at",
    "<",
    "more",
    "than",
]


@given(st.lists(st.sampled_from([*WORDS, "bars", "above", "second", "left", "from", "0", "99999", "²", "٣"]), max_size=40))
def test_any_words_of_the_world_get_a_verdict(words: list[str]) -> None:
    assert charts.check(problem(), Step("", " ".join(words), "")).label in (0, 1, None)


@given(st.integers(0, 10_000), st.data())
def test_mutated_right_chains_get_verdicts(seed: int, data: st.DataObject) -> None:
    made = next(generate(charts, "train", 1, seed))
    step = data.draw(st.sampled_from(charts.chain(made, random.Random(seed)).steps))
    at = data.draw(st.integers(0, len(step.thought)))
    changed = Step(step.name, step.thought[:at] + data.draw(st.text(max_size=3)) + step.thought[at:], step.reflection)
    assert charts.check(made, changed).label in (0, 1, None)
