"""Pictures to refuse, and the one door to all worlds."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cos.problems as worlds
from cos.chain import REFUSAL, Step
from cos.errors import UserError
from cos.problems import refusals, textures
from cos.problems.world import SPLITS, home

LOOK = Step("look", "The picture shows no bar chart.", "It looks like noise.")
SOME = [*worlds.problems("all:train", 3), *worlds.problems("refusals:train", 2)]
DECIDE = Step("decide", "The question can't be answered.", "This follows from the first step.")


@pytest.mark.parametrize("split", SPLITS)
def test_refusing_is_right_where_it_should_be(split: str) -> None:
    made = worlds.problems(f"refusals:{split}", 60, 3)
    hurt = 0
    for problem in made:
        rng = random.Random(problem.id)
        chain = worlds.chain(problem, rng)
        assert chain.answer == problem.answer == REFUSAL and len(chain.steps) == 2
        assert [worlds.check(problem, step).label for step in chain.steps] == [1, 1], (chain, problem.kind)
        changed = worlds.corrupt(problem, chain, rng)
        assert [worlds.check(problem, step).label for step in changed.steps].count(0) >= 1, (changed, problem.kind)
        hurt += changed.answer != REFUSAL
        assert problem.truth["ask"]["world"] != problem.kind
    assert 0.5 < hurt / 60 < 0.9
    assert {problem.kind for problem in made} == {"noise", "pattern", "photograph", "blank", *refusals.WORLDS}


@pytest.mark.parametrize("split", SPLITS)
def test_refusing_a_good_picture_is_wrong(split: str) -> None:
    for problem in worlds.problems(f"all:{split}", 90, 3):
        rng = random.Random(problem.id)
        assert [worlds.check(problem, step).label for step in refusals.refuse_wrongly(problem, rng).steps] == [0, 0]
        assert [worlds.check(problem, step).label for step in worlds.chain(problem, rng).steps].count(1) == len(
            worlds.chain(problem, rng).steps
        )


def test_one_refusal_in_some_corruptions() -> None:
    rng = random.Random(1)
    made = worlds.problems("all:train", 300, 4)
    refused = sum(worlds.corrupt(problem, worlds.chain(problem, rng), rng).answer == REFUSAL for problem in made)
    assert 8 <= refused <= 50


def test_true_sentences_about_other_worlds() -> None:
    problem = worlds.problems("digits:train", 1)[0]
    assert worlds.check(problem, Step("", "The picture shows no bar chart.", "")).label == 1
    assert worlds.check(problem, Step("", "The picture shows no handwritten digits.", "")).label == 0
    assert worlds.check(problem, Step("", "The picture shows no bar chart.", "It looks like noise.")).label == 0
    assert worlds.check(problem, DECIDE).label == 0


@pytest.mark.parametrize("split", SPLITS)
def test_pictures_and_descriptions(split: str) -> None:
    for problem in worlds.problems(f"refusals:{split}", 24, 5):
        picture = worlds.draw(problem)
        assert picture.mode == "RGB" and min(picture.size) >= 256
        assert picture.tobytes() == worlds.draw(problem).tobytes()
        if problem.kind in ("noise", "pattern", "photograph"):
            assert np.asarray(picture, dtype=float).std() > 3
            assert worlds.describe(problem) in ("noise.", "a pattern.", "a photograph.")
        if problem.kind == "blank":
            assert np.asarray(picture.convert("L"), dtype=float).std() < 15


def test_photographs_and_contents_are_split() -> None:
    used = {split: set(textures.forms("photograph", split)) for split in SPLITS}
    for one, other in combinations(("train", "validation", "test"), 2):
        assert not used[one] & used[other]
    for split in ("train", "validation", "test"):
        for problem in worlds.problems(f"refusals:{split}", 12):
            for content in (problem.truth["content"], problem.truth["ask"]["truth"]["content"]):
                assert home(content) == split
            if problem.kind in refusals.WORLDS:
                assert home(problem.truth["content"]["truth"]["content"]) == split
    for kind in ("noise", "pattern", "blank"):
        assert not set(textures.forms(kind, "shift")) & set(textures.forms(kind, "train"))


def test_problems_by_name() -> None:
    made = worlds.problems("all:test", 7, 2)
    assert [problem.world for problem in made] == ["charts", "scenes", "digits", "charts", "scenes", "digits", "charts"]
    assert made == worlds.problems("all:test", 7, 2)
    assert Counter(problem.split for problem in made) == {"test": 7}
    assert worlds.problems("digits:shift", 3)[0].world == "digits"
    assert worlds.problems("charts:train", 0) == []
    for spec in ("maps:test", "charts", "charts:exam", ""):
        with pytest.raises(UserError, match="take one of"):
            worlds.problems(spec, 1)


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_breaks_the_door(thought: str, reflection: str) -> None:
    for problem in SOME:
        assert worlds.check(problem, Step("", thought, reflection)).label in (0, 1, None)


def test_noise_is_noise() -> None:
    problem = next(one for one in worlds.problems("refusals:train", 200) if one.kind == "noise")
    asked = problem.truth["ask"]["world"]
    thing = {"charts": "bar chart", "scenes": "coloured shapes", "digits": "handwritten digits"}[asked]
    assert worlds.check(problem, Step("", f"The picture shows no {thing}.", "It looks like noise.")).label == 1
    assert worlds.check(problem, Step("", f"The picture shows no {thing}.", "It looks like a photograph.")).label == 0
    assert worlds.check(problem, LOOK).label == 1
    assert worlds.check(problem, Step("", "Well.", "So.")).label is None
