"""Counting one by one: what is written is read back, and every slip in it is found by each world's checker."""

import random
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos import problems
from cos.chain import Problem, Step
from cos.problems import tally
from cos.problems.claims import normalise
from cos.train.judged import recounted, relisted

things = st.lists(
    st.tuples(st.from_regex(r"[a-z]{1,8}( [a-z]{1,8})?( [0-9]{1,2})?", fullmatch=True), st.sampled_from(("even", "odd"))),
    min_size=1,
    max_size=9,
)


@given(things)
def test_what_is_told_is_read_back(told: list[tuple[str, str]]) -> None:
    read, rest = tally.read(normalise(tally.count(told, "odd")))
    assert read is not None and rest.strip("#") == "."
    assert [(one.thing, one.word) for one in read] == told
    assert [one.so_far for one in read] == [[word for _, word in told[: place + 1]].count("odd") for place in range(len(told))]
    assert list(tally.faults(read, {"odd"}, read[-1].so_far)) == []


@given(st.text(max_size=200))
def test_any_text_is_read_without_raising(text: str) -> None:
    tally.read(normalise("One by one: " + text))


SAID = "One by one: red 3 yes 1, blue none above 0, first top left 12 no even 2; no more, at most 4. | There are 3 stars, 2 bars are below"
words = st.sampled_from(re.findall(r"\w+|[^\w ]", SAID))


@given(st.lists(words, max_size=20), st.lists(words, max_size=8))
def test_no_heap_of_its_words_stops_a_checker(thought: list[str], reflection: list[str]) -> None:
    for problem in problems.problems("all:test", 6):
        problems.check(problem, Step("count", "One by one: " + " ".join(thought), " ".join(reflection)))


@given(things, st.randoms(use_true_random=False))
def test_a_number_that_does_not_follow_is_a_fault(told: list[tuple[str, str]], rng: random.Random) -> None:
    read, _ = tally.read(normalise(tally.count(told, "odd")))
    assert read is not None
    at = rng.randrange(len(read))
    read[at] = replace(read[at], so_far=(read[at].so_far or 0) + rng.choice((-1, 1)))
    assert list(tally.faults(read, {"odd"}))
    assert list(tally.faults(read[:0], {"odd"}))


def counting(world: str) -> list[tuple[Problem, Step]]:
    found = []
    for problem in problems.problems(f"{world}:train", 300, 12):
        steps = problems.chain(problem, random.Random(problem.id)).steps
        found += [(problem, step) for step in steps if step.thought.startswith(tally.OPENING)]
    assert len(found) > 25
    return found


@pytest.mark.parametrize("world", ["charts", "digits", "scenes"])
def test_each_word_of_a_tally_counts(world: str) -> None:
    for problem, step in counting(world):
        assert problems.check(problem, step).label == 1
        for match in re.finditer(r"\d+|yes|no\b|none|odd|even|above|below", step.thought):
            other = {"none": "3", **tally.OTHER}.get(match.group()) or str(int(match.group()) + 1)
            changed = replace(step, thought=step.thought[: match.start()] + other + step.thought[match.end() :])
            assert problems.check(problem, changed).label == 0, (problem.question, changed)
        first, *others = step.thought.removeprefix(tally.OPENING).removesuffix(".").split(", ")
        if others:
            assert problems.check(problem, replace(step, thought=f"{tally.OPENING}{', '.join(others)}.")).label == 0
        assert problems.check(problem, replace(step, thought=f"{tally.OPENING}{', '.join([first, first, *others])}.")).label == 0


@pytest.mark.parametrize("world", ["charts", "digits", "scenes"])
def test_a_tally_is_judged_in_whichever_part_it_stands(world: str) -> None:
    for problem, step in counting(world):
        turned = replace(step, thought=step.reflection, reflection=step.thought)
        assert problems.check(problem, turned).label == 1, turned
        wrong = re.sub(r"\d+", lambda number: str(int(number.group()) + 1), step.thought, count=1)
        assert problems.check(problem, replace(turned, reflection=wrong)).label == 0


@pytest.mark.parametrize("world", ["charts", "digits", "scenes"])
def test_tallies_made_wrong_on_purpose_are_wrong(world: str) -> None:
    rng = random.Random(1)
    for problem, step in counting(world):
        wrong = replace(step, thought=relisted(step.thought, rng))
        assert wrong == step or problems.check(problem, wrong).label == 0
        told, again = tally.read(normalise(wrong.thought))[0], recounted(wrong)
        if told and step.name.startswith("count"):
            found = re.search(r"\d+", again.reflection)
            assert found and int(found.group()) == told[-1].so_far
