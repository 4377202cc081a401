"""Reading drills against the truth of their pictures; facts against the checkers of the worlds."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from cos import problems
from cos.chain import Chain, Step
from cos.models import embedded
from cos.models.encode import Encoder
from cos.problems.as_read import as_read
from cos.problems.facts import facts
from cos.problems.sums import sums
from cos.train.data import IGNORE, Example, chain_ids
from cos.train.drills import MOST, SHORT, WRONG, computing, computing_steps, reading, written_steps
from cos.train.judged import labels, miscalculated, unseen_example


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    """The embedded models' own: every number is one token."""
    return embedded.new("policy").encoder


@pytest.mark.parametrize("world", ["charts", "scenes", "digits"])
def test_facts_are_right_by_the_worlds_own_checker(world: str) -> None:
    for problem in problems.problems(f"{world}:train", 6):
        for fact in facts(problem):
            said = f"{fact.opening} {', '.join(fact.values)}."
            assert problems.check(problem, Step("read", said, "")).label == 1, said
            assert set(fact.values) <= set(fact.others)
            for other in set(fact.others) - {fact.values[-1]}:
                wrong = f"{fact.opening} {', '.join((*fact.values[:-1], other))}."
                assert problems.check(problem, Step("read", wrong, "")).label == 0, wrong
    assert facts(problems.problems("refusals:train", 1)[0]) == []


@pytest.mark.parametrize("short", [0.0, 1.0])
@pytest.mark.parametrize("world", ["charts", "scenes", "digits"])
def test_targets_are_the_truth_and_hints_say_whether_it_stands_there(encoder: Encoder, world: str, short: float) -> None:
    labels = []
    for index, problem in enumerate(problems.problems(f"{world}:train", 8)):
        stand_in = encoder.stand_in(*problems.SIZE)
        row = reading(encoder, "Look.", problem, index, stand_in, random.Random(index), short=short)
        told = {fact.key: fact.values for fact in facts(problem)}
        true = [target for target in row.targets if target != IGNORE]
        said = [row.ids[at + 1] for at, target in enumerate(row.targets) if target != IGNORE]
        assert [at - 1 for at, _ in row.hints] == [at for at, target in enumerate(row.targets) if target != IGNORE]
        assert [label for _, label in row.hints] == [float(a == b) for a, b in zip(said, true, strict=True)]
        reply = encoder.decode(row.ids).split("assistant\n")[1]
        drawn = [fact for fact in facts(problem) if (fact.key if short else f"{fact.opening} ") in reply]
        assert len(drawn) >= min(len(facts(problem)), MOST)
        written = Counter(encoder.decode([token]).strip() for token in true)
        assert written <= Counter(value for values in told.values() for value in values)
        if len(told) <= MOST:
            assert written == Counter(value for values in told.values() for value in values)
        assert ("reaches" in reply or " is " in reply) == (short == 0)
        labels += [label for _, label in row.hints]
    assert 0.3 < sum(labels) / len(labels) < 0.85  # about 1 - WRONG of them are true
    assert 0 < WRONG < 1 and 0 < SHORT < 1


def _true(opening: str) -> str:
    """What follows a sum's opening, worked out from its words."""
    numbers = [int(number) for number in re.findall(r"\d+", opening)]
    if "=" in opening:
        return str(numbers[0] + numbers[1] if "+" in opening else numbers[0] - numbers[1])
    if opening.startswith("The "):
        return str(max(numbers) if "largest" in opening else min(numbers))
    line, *rest = numbers
    return str(sum(number > line if opening.startswith("Above") else number < line for number in rest))


def test_sums_are_right_and_what_they_are_taken_for_is_wrong() -> None:
    kinds = set()
    for one in sums(random.Random(0), 600):
        kinds.add(re.sub(r"\d+|, | and ", "", one.opening))
        if one.opening.endswith("is") and not one.opening.startswith("The "):
            a, b, _ = map(int, re.findall(r"\d+", one.opening))
            assert one.result == f"{'more than' if a > b else 'less than' if a < b else 'equal to'} {b}"
        else:
            assert one.result == _true(one.opening), one
        assert one.others and one.result not in one.others
    assert len(kinds) == 7  # +, -, is, the largest, the smallest, above, below


def test_a_computing_drill_has_no_picture_and_hints_say_what_is_wrong(encoder: Encoder) -> None:
    row = computing(encoder, random.Random(3), count=40)
    assert row.picture is None and encoder.image_id not in row.ids
    true = {at + 1: target for at, target in enumerate(row.targets) if target != IGNORE}
    assert len(row.hints) == 40 and dict(row.hints).keys() == true.keys()
    for at, label in row.hints:
        assert label == float(row.ids[at] == true[at])
    assert 0.3 < sum(label for _, label in row.hints) / 40 < 0.9
    assert all(label == 1 for _, label in computing(encoder, random.Random(3), wrong=0.0).hints)


def test_sums_as_steps_have_a_tag_each_that_says_whether_the_result_is_right(encoder: Encoder) -> None:
    row = computing_steps(encoder, "How many bars end above 11?", random.Random(5), count=40)
    text = encoder.tokenizer.decode(row.ids)
    assert text.startswith("<|im_start|>user\nHow many bars end above 11?") and row.picture is None
    assert len(row.tags) == 40 and set(row.targets) == {IGNORE}
    labels_of = dict(enumerate(label for _, label in row.tags))
    plain = re.findall(r"<\|reasoning_step_thought_start\|>(\d+) ([+-]) (\d+) = (\d+)\.", text)
    thoughts = re.findall(r"<\|reasoning_step_thought_start\|>(.*?)<", text)
    assert len(thoughts) == 40 and len(plain) > 8
    for at, thought in enumerate(thoughts):
        if match := re.fullmatch(r"(\d+) ([+-]) (\d+) = (\d+)\.", thought):
            a, sign, b, result = match.groups()
            assert labels_of[at] == float(int(a) + int(b) * (1 if sign == "+" else -1) == int(result)), thought
    assert 8 < sum(labels_of.values()) < 32


@pytest.mark.parametrize("world", ["charts", "scenes", "digits"])
def test_a_miscalculated_chain_reads_all_right_and_often_works_wrong(world: str) -> None:
    changed = wrong = 0
    for index, problem in enumerate(problems.problems(f"{world}:train", 80, 5)):
        right = problems.chain(problem, random.Random(index))
        slipped = miscalculated(problem, right, random.Random(index))
        assert [step.name for step in slipped.steps] == [step.name for step in right.steps]
        for step, before in zip(slipped.steps, right.steps, strict=True):
            if problems.check(problem, before).kind == "see":
                assert step == before
            elif step != before:
                changed += 1
                wrong += problems.check(problem, step).label == 0
    assert changed > 25 and wrong > 0.9 * changed


@pytest.mark.parametrize("world", ["charts", "scenes", "digits"])
def test_a_chain_without_its_picture_is_judged_by_what_it_makes_of_its_readings(encoder: Encoder, world: str) -> None:
    wrong = answers = 0
    for index, problem in enumerate(problems.problems(f"{world}:train", 12)):
        row = unseen_example(encoder, problem, random.Random(index))
        right = problems.chain(problem, random.Random(index))
        reads = [problems.check(problem, step).kind == "see" for step in right.steps]
        assert row.picture is None and encoder.image_id not in row.ids
        assert len(row.tags) == reads.count(False) + 1  # the answer too
        first = reads.index(False) if False in reads else len(reads)
        assert [at for at, token in enumerate(row.ids) if token == encoder.tag_id].index(row.tags[0][0]) == first
        assert set(labels(problem, right).steps) == {1.0}
        wrong += any(label == 0 for _, label in row.tags)
        answers += row.tags[-1][1] == 0
    assert 2 <= wrong <= 11 and 1 <= answers <= 11


@pytest.mark.parametrize("world", ["charts", "scenes", "digits"])
def test_a_policys_chain_without_its_picture_is_judged_by_what_it_read_itself(encoder: Encoder, world: str) -> None:
    """Another picture, reasoned on without a mistake: all that can be judged is right, though the answer is not the gold one."""
    misled = 0
    for index, problem in enumerate(problems.problems(f"{world}:train", 30)):
        other = replace(problem, truth={**problem.truth, "content": _mirrored(problem.truth["content"])})
        misread = problems.chain(other, random.Random(index))
        if as_read(problem, misread) is None:
            continue  # of a scene's groups the steps don't say which
        rows = [unseen_example(encoder, problem, random.Random(seed), [misread]) for seed in range(12)]
        said = [row for row in rows if _text(encoder, row).endswith(_text(encoder, misread))]
        assert said and all(label == 1 for row in said for _, label in row.tags), problem.question
        misled += misread.answer != problem.answer
    assert misled >= 5


def _mirrored(content: dict[str, Any]) -> dict[str, Any]:
    """Bars with the values in reverse, nines' complements of digits, shapes on the other side."""
    if "bars" in content:
        names, values = zip(*content["bars"], strict=True)
        return {"bars": [list(bar) for bar in zip(names, values[::-1], strict=True)]}
    if "rows" in content:
        return {**content, "rows": [[9 - digit for digit in row] for row in content["rows"]]}
    return {"things": [{**thing, "x": 9 - thing["x"], "y": 9 - thing["y"]} for thing in content["things"]]}


def _text(encoder: Encoder, what: Example | Chain) -> str:
    """The words of a chain, or of the reply of a row without its tags."""
    if isinstance(what, Example):
        return encoder.tokenizer.decode([token for token in what.ids if token != encoder.tag_id]).removesuffix("<|im_end|>\n")
    return encoder.tokenizer.decode(list(chain_ids(encoder, what)))


def test_a_policy_is_to_write_the_results_of_sums_in_steps_and_nothing_else(encoder: Encoder) -> None:
    row = written_steps(encoder, "How many?", random.Random(3), count=9)
    text = encoder.decode(row.ids)
    assert text.count("work") == 9 and not row.tags and not row.hints and row.picture is None
    for at, target in enumerate(row.targets):
        if target != IGNORE:
            assert row.ids[at + 1] == target
            opening = encoder.decode(row.ids[: at + 1]).rpartition("work")[2].strip(" \n")
            result = encoder.decode([target]).strip()
            if result in ("more", "less", "equal"):
                a, b = (int(number) for number in re.findall(r"\d+", opening)[:2])
                assert result == ("more" if a > b else "less" if a < b else "equal")
            else:
                assert result == _true(re.sub(r"^.*?(?=[A-Z\d])", "", opening, flags=re.DOTALL))
    assert sum(target != IGNORE for target in row.targets) == 9
