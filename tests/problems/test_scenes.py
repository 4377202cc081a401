"""Scenes: right chains by the checker, gold answers by brute force, pictures by their pixels, splits, balance, hostile text."""

import colorsys
import json
import random
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos.chain import Chain, Problem, Step
from cos.problems import scenes, scenes_ask, scenes_draw
from cos.problems.scenes_words import SHAPES
from cos.problems.world import SPLITS, generate

SCENE = [
    {"colour": "red", "shape": "star", "x": 4, "y": 0},
    {"colour": "red", "shape": "circle", "x": 3, "y": 7},
    {"colour": "blue", "shape": "star", "x": 6, "y": 8},
]
LEFT = {"kind": "relation", "axis": "x", "way": -1, "a": ["red", "circle"], "b": ["blue", "star"]}
SPREAD = {"kind": "spread", "axis": "y", "way": 1, "groups": [["", ""]]}
ADD = {"kind": "sum", "groups": [["red", ""], ["blue", ""]]}


def problem(ask: dict, things: list = SCENE) -> Problem:
    return Problem("p", "q", truth={"content": {"things": things}, "style": {}, "ask": ask})


@pytest.mark.parametrize("split", SPLITS)
def test_right_chains_are_right_and_reach_the_gold_answer(split):
    for p in generate(scenes, split, 900, seed=3):
        chain = scenes.chain(p, random.Random(p.id))
        assert 2 <= len(chain.steps) <= {1: 3, 2: 4, 3: 4}[p.level]
        assert chain.answer == p.answer
        for step in chain.steps:
            verdict = scenes.check(p, step)
            assert verdict.label == 1, (p.question, scenes.describe(p.truth), step, verdict)
            assert verdict.kind == ("see" if step.name == "look" or " is at " in step.thought or by_shape(p, step) else "compute")


def by_shape(p: Problem, step: Step) -> bool:
    """Whether the step says which things have a shape, or what shape something has: for that the picture must be looked at again."""
    counts = step.name.startswith("count") and any(shape in step.name for shape in SHAPES)
    return counts or (step.name.startswith("find") and p.kind in ("extreme", "spread", "odd"))


def brute(p: Problem) -> str:
    """The gold answer from the truth alone, in another way than the world's own."""
    things, ask = p.truth["content"]["things"], p.truth["ask"]
    flat = {(t["colour"], t["shape"]): t for t in things}
    sizes = [sum(all(w in ("", t["colour"], t["shape"]) for w in g) for t in things) for g in ask.get("groups", [])]
    if "a" in ask:
        a, b = (flat[tuple(ask[k])][ask["axis"]] * ask["way"] for k in "ab")
        return {"distance": str(b - a), "relation": "yes" if a > b else "no", "further": " ".join(ask["a" if a > b else "b"])}[ask["kind"]]
    if ask["kind"] == "odd":
        tally = Counter(t[ask["same"]] for t in things)
        return next(t[ask["want"]] for t in things if tally[t[ask["same"]]] == 1)
    if ask["kind"] in ("extreme", "spread"):
        word = "".join(ask["groups"][0])
        row = sorted((t[ask["axis"]], t["shape"] if t["colour"] == word else t["colour"]) for t in things if word in t.values())
        assert row[0][0] < row[1][0] and row[-2][0] < row[-1][0]
        return str(row[-1][0] - row[0][0]) if ask["kind"] == "spread" else row[0 if ask["way"] < 0 else -1][1]
    if ask["kind"] == "count":
        return str(sizes[0])
    a, b = sizes
    return {"compare": "yes" if a > b else "no", "sum": str(a + b), "difference": str(a - b)}[ask["kind"]]


def test_gold_answers_agree_with_brute_force_and_scenes_keep_the_rules():
    for p in generate(scenes, "train", 1500, seed=11):
        things = p.truth["content"]["things"]
        assert p.answer == brute(p), (p.question, scenes.describe(p.truth))
        assert scenes_ask.SIZES[p.level][0] <= len(things) <= scenes_ask.SIZES[p.level][1]
        assert max(Counter((t["colour"], t["shape"]) for t in things).values()) <= 2
        assert all(max(abs(s["x"] - t["x"]), abs(s["y"] - t["y"])) >= 2 for s in things for t in things if s is not t)
        for part in "ab":
            if part in p.truth["ask"]:
                assert sum([t["colour"], t["shape"]] == p.truth["ask"][part] for t in things) == 1
        assert json.loads(json.dumps(p.to_json())) == p.to_json()


def test_answers_are_spread():
    answers: dict = defaultdict(Counter)
    for p in generate(scenes, "train", 2400, seed=5):
        answers[p.level, p.kind][p.answer] += 1
    assert {kind for _, kind in answers} == set(scenes_ask.ASKS)
    yes_no = 0
    for (level, kind), tally in answers.items():
        top = tally.most_common(1)[0][1] / tally.total()
        assert top < (0.6 if kind in ("relation", "compare") else 0.45), (level, kind, tally)
        yes_no += tally["yes"] + tally["no"]
    assert yes_no / 2400 < 1 / 3


def test_wordings_all_fill_and_the_asked_words_stand_in_the_question():
    for p in generate(scenes, "train", 1500, seed=8):
        assert "{" not in p.question and len(p.question) < 110
        if "a" in p.truth["ask"]:
            assert all(" ".join(p.truth["ask"][part]) in p.question for part in "ab")
    assert all(len(wordings) >= 6 for wordings in scenes_ask.ASKS.values())


def test_describe_goes_in_reading_order():
    assert scenes.describe(problem(LEFT, SCENE[::-1]).truth) == "red star 4 0, red circle 3 7, blue star 6 8."


def test_splits_never_meet_and_seeds_repeat():
    content = {s: {json.dumps(p.truth["content"]) for p in generate(scenes, s, 150, seed=1)} for s in ("train", "validation", "test")}
    assert not content["train"] & content["validation"] and not content["train"] & content["test"]
    first, again = (list(generate(scenes, "shift", 4, seed=2)) for _ in range(2))
    assert first == again
    assert [scenes.draw(p.truth).tobytes() for p in first] == [scenes.draw(p.truth).tobytes() for p in again]


def test_shift_looks_are_unseen():
    looks = {s: [p.truth["style"] for p in generate(scenes, s, 200, seed=4)] for s in ("train", "shift")}
    assert not {look["pattern"] for look in looks["train"]} & {look["pattern"] for look in looks["shift"]}
    assert all(abs(part) <= 1 for look in looks["train"] for thing in look["things"] for part in thing[4:])
    assert all(abs(part) > 0.99 for look in looks["shift"] for thing in look["things"] for part in thing[4:])


def near(rgb: tuple[int, ...]) -> str:
    """The colour's name by plain rules on hue, lightness and saturation."""
    hue, light, saturation = colorsys.rgb_to_hls(*(part / 255 for part in rgb))
    if (light < 0.25 and saturation < 0.3) or light > 0.9:
        return "black" if light < 0.5 else "white"
    hue *= 360
    for limit, name in ((12, "red"), (40, "orange"), (75, "yellow"), (170, "green"), (245, "blue"), (300, "purple"), (345, "pink")):
        if hue < limit:
            return name
    return "red"


@pytest.mark.parametrize("split", ["train", "shift"])
def test_pixels_show_each_colour_at_its_place(split):
    for p in generate(scenes, split, 60, seed=6):
        image = scenes.draw(p.truth)
        assert image.size == (320, 320) and image.mode == "RGB"
        style = p.truth["style"]
        for thing, look in zip(p.truth["content"]["things"], style["things"], strict=True):
            spot = tuple(round(part) for part in scenes_draw.centre(thing, look))
            assert abs(spot[0] - (31 + thing["x"] * 28.7)) < 4 and abs(spot[1] - (31 + thing["y"] * 28.7)) < 4
            pixel = image.getpixel(spot)
            assert near(pixel) == thing["colour"], (p.id, thing, pixel)


def test_shapes_look_different_and_stay_inside():
    style = {"dark": False, "pattern": "plain", "tint": [0, 0, 1], "outline": 0.0, "things": [[0, 0, 1, 0, 0, 0, 0]]}
    masks = {}
    for shape in SHAPES:
        for place in (0, 9):
            thing = {"colour": "red", "shape": shape, "x": place, "y": place}
            image = scenes.draw({"content": {"things": [thing]}, "style": style})
            mask = np.asarray(image)[:, :, 1] < 120
            rows, columns = np.nonzero(mask)
            assert min(rows.min(), columns.min()) > 3 and max(rows.max(), columns.max()) < 316
            assert 36 <= max(np.ptp(rows), np.ptp(columns)) <= 52  # about 1/7 of 320
        masks[shape] = mask
    for one, other in combinations(masks.values(), 2):
        assert (one & other).sum() < 0.9 * (one | other).sum()


MOST = {"kind": "extreme", "axis": "x", "way": -1, "groups": [["red", ""]]}
VERDICTS = [
    (LEFT, "The red circle is at 3, 7.", "It is in the left half, near the bottom.", 1),
    (LEFT, "the  RED circle is at 3,7", "it is in the LEFT half near the bottom", 1),
    (LEFT, "The red circle is at 3, 7.", "", 1),
    (LEFT, "The red circle is at 4, 7.", "It is in the left half, near the bottom.", 0),
    (LEFT, "The red circle is at 3, 7.", "It is in the right half, near the bottom.", 0),
    (LEFT, "The red circle is at 3, 7.", "It is in the left half, near the top.", 0),
    (LEFT, "The green circle is at 3, 7.", "", 0),
    (LEFT, "A red star is at 3, 7.", "", 0),
    (LEFT, "3 is less than 6.", "This uses the red circle 3 and the blue star 6.", 1),
    (LEFT, "6 is more than 3.", "This uses the red circle 3 and the blue star 6.", 1),
    (LEFT, "3 is less than 6.", "", 1),
    (LEFT, "3 is more than 6.", "This uses the red circle 3 and the blue star 6.", 0),
    (LEFT, "3 is less than 6.", "This uses the red circle 3 and the blue star 5.", 0),
    (LEFT, "2 is less than 6.", "This uses the red circle 2 and the blue star 6.", 0),
    (LEFT, "2 is less than 6.", "This uses the red circle 3 and the blue star 6.", 0),
    (LEFT, "2 is less than 6.", "", 0),
    (LEFT, "3 is less than 4.", "This uses the red circle 3 and the red star 4.", 0),
    (LEFT, "I look at the picture.", "It is nice.", None),
    ({**LEFT, "kind": "distance"}, "6 - 3 = 3.", "This uses the blue star 6 and the red circle 3.", 1),
    ({**LEFT, "kind": "distance"}, "6 - 3 = 4.", "This uses the blue star 6 and the red circle 3.", 0),
    (ADD, "There are 2 red things.", "They are at 4, 0 and 3, 7.", 1),
    (ADD, "There are 2 red things.", "They are at 3, 7 and 4, 0.", 1),
    (ADD, "There are 2 red things.", "They are at 4, 0 and 3, 6.", 0),
    (ADD, "There are 2 red things.", "They are at 4, 0.", 0),
    (ADD, "There are 3 red things.", "", 0),
    (ADD, "There is 1 blue thing.", "It is at 6, 8.", 1),
    (ADD, "There is no green thing.", "None of the 3 things is green.", 1),
    (ADD, "There is no green thing.", "None of the 4 things is green.", 0),
    (ADD, "There is no red thing.", "", 0),
    (ADD, "2 + 1 = 3.", "This uses 2 red things and 1 blue thing.", 1),
    (ADD, "2 + 2 = 4.", "This uses 2 red things and 2 red things.", 0),
    (ADD, "2 + 1 = 4.", "This uses 2 red things and 1 blue thing.", 0),
    (ADD, "1 + 1 = 2.", "This uses 1 red thing and 1 blue thing.", 0),
    (
        {"kind": "extreme", "axis": "x", "way": -1, "groups": [["red", ""]]},
        "The smallest of 4 and 3 is 3.",
        "This is the red circle at 3, 7.",
        1,
    ),
    (
        {"kind": "extreme", "axis": "x", "way": -1, "groups": [["red", ""]]},
        "The smallest of 4 and 3 is 3.",
        "This is the red star at 4, 0.",
        0,
    ),
    (MOST, "The smallest of 4 and 2 is 2.", "", 0),
    (MOST, "The smallest of 4 and 3 is 3.", "This uses the red star 4 and the red circle 3.", 1),
    (MOST, "The smallest of 4 and 3 is 4.", "This uses the red star 4 and the red circle 3.", 0),
    (MOST, "The smallest of 4 and 3 is 3.", "This uses the red star 3 and the red circle 4.", 0),
    (MOST, "The smallest of 4 and 3 is 3.", "This uses the red star 4 and the red star 4.", 0),
    (SPREAD, "8 - 0 = 8.", "This uses the blue star 8 and the red star 0.", 1),
    (SPREAD, "8 - 7 = 1.", "This uses the blue star 8 and the red circle 7.", 0),
    ({"kind": "odd", "same": "colour", "groups": [["", ""]]}, "Only the blue star differs.", "The other 2 things are red.", 1),
    ({"kind": "odd", "same": "colour", "groups": [["", ""]]}, "Only the red star differs.", "The other 2 things are red.", 0),
    ({"kind": "odd", "same": "colour", "groups": [["", ""]]}, "Only the blue star differs.", "The other 2 things are pink.", 0),
]


@pytest.mark.parametrize(("ask", "thought", "reflection", "label"), VERDICTS)
def test_verdicts_by_hand(ask, thought, reflection, label):
    assert scenes.check(problem(ask), Step("work", thought, reflection)).label == label
    if "uses" in reflection:  # what is used may come first, as in the world's own chains
        assert scenes.check(problem(ask), Step("work", reflection, thought)).label == label


def test_verdict_says_why():
    assert scenes.check(problem(LEFT), Step("", "The red circle is at 4, 7.", "")).why == "the red circle is at 3, 7, not 4, 7"


def test_corruption_is_wrong_and_mostly_small():
    rng, wrong, last = random.Random(1), 0, 0
    for p in generate(scenes, "train", 600, seed=7):
        right = scenes.chain(p, rng)
        broken = scenes.corrupt(p, right, rng)
        labels = [scenes.check(p, step).label for step in broken.steps]
        wrong += 0 in labels or broken.answer != p.answer
        last += broken.answer != p.answer
    assert wrong > 570 and last > 100


FIXED = list(generate(scenes, "train", 12, seed=20))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FIXED), st.text(), st.text(), st.text())
def test_arbitrary_text_never_raises(p, name, thought, reflection):
    assert scenes.check(p, Step(name, thought, reflection)).label in (0, 1, None)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FIXED), st.data())
def test_mutated_right_chains_never_raise(p, data):
    for step in scenes.chain(p, random.Random(0)).steps:
        text = step.thought + " " + step.reflection
        cut = data.draw(st.integers(0, len(text)))
        put = data.draw(
            st.sampled_from(["", " 3", "red ", "things", " and ", "7, ", " - 3 = ", " uses the ", "the circle 3", "999", "\u0663"])
        )
        assert scenes.check(p, replace(step, thought=text[:cut] + put + text[cut:])).label in (0, 1, None)
    assert isinstance(scenes.corrupt(p, Chain(scenes.chain(p, random.Random(0)).steps, None), random.Random(1)), Chain)


@pytest.mark.parametrize(
    ("thought", "why"),
    [
        ("I see red at 4, 0, red at 3, 7 and blue at 6, 8.", "all that is there"),
        ("I see red at 4, 0, red at 3, 7 and green at 6, 8.", "there is no green at 6, 8, or not so often"),
        ("I see red at 4, 0 and red at 3, 7.", "blue at 6, 8 is left out"),
        ("I see red at 4, 0, red at 4, 0, red at 3, 7 and blue at 6, 8.", "there is no red at 4, 0, or not so often"),
        ("I see red at 4, 0, red at 3, 7, blue at 6, 8 and a cow.", "'a cow' can't be read"),
        ("I see nothing.", " is left out"),
    ],
)
def test_what_is_seen_is_all_that_is_there(thought: str, why: str) -> None:
    verdict = scenes.check(problem(ADD), Step("look", thought, ""))
    assert verdict.label == (why == "all that is there") and why in verdict.why and verdict.kind == "see"
