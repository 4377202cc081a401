"""Reading drills against the truth of their pictures; facts against the checkers of the worlds."""

from __future__ import annotations

import random
import re

import pytest

from cos import problems
from cos.chain import Step
from cos.models import embedded
from cos.models.encode import Encoder
from cos.problems.facts import facts
from cos.train.data import IGNORE
from cos.train.drills import SHORT, WRONG, drill


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """The embedded models' own: every number is one token."""
    return embedded.new("policy").encoder


@pytest.mark.parametrize("world", ["charts", "scenes", "digits"])
def test_facts_are_right_by_the_worlds_own_checker(world: str) -> None:
    for problem in problems.problems(f"{world}:train", 6):
        for fact in facts(problem):
            said = f"{fact.opening} {', '.join(map(str, fact.values))}."
            assert problems.check(problem, Step("read", said, "")).label == 1, said
            wrong = said.replace(str(fact.values[0]), str((fact.values[0] + 1) % (fact.top + 1)), 1)
            assert problems.check(problem, Step("read", wrong, "")).label == 0, wrong
    assert facts(problems.problems("refusals:train", 1)[0]) == []


@pytest.mark.parametrize("short", [0.0, 1.0])
@pytest.mark.parametrize("world", ["charts", "scenes", "digits"])
def test_targets_are_the_truth_and_hints_say_whether_it_stands_there(encoder: Encoder, world: str, short: float) -> None:
    labels = []
    for index, problem in enumerate(problems.problems(f"{world}:train", 8)):
        stand_in = encoder.stand_in(*problems.SIZE)
        row = drill(encoder, "Look.", problem, index, stand_in, random.Random(index), short)
        told = {fact.key: fact.values for fact in facts(problem)}
        true = [target for target in row.targets if target != IGNORE]
        said = [row.ids[at + 1] for at, target in enumerate(row.targets) if target != IGNORE]
        assert [at - 1 for at, _ in row.hints] == [at for at, target in enumerate(row.targets) if target != IGNORE]
        assert [label for _, label in row.hints] == [float(a == b) for a, b in zip(said, true, strict=True)]
        reply = encoder.decode(row.ids).split("assistant\n")[1]
        for key in told:  # each fact once, its key before its numbers
            assert len(re.findall(rf"\b{key}\b", reply)) >= 1
        assert sorted(int(encoder.decode([token])) for token in true) == sorted(value for values in told.values() for value in values)
        assert ("reaches" in reply or " is " in reply) == (short == 0)
        labels += [label for _, label in row.hints]
    assert 0.3 < sum(labels) / len(labels) < 0.85  # about 1 - WRONG of them are true
    assert 0 < WRONG < 1 and 0 < SHORT < 1
