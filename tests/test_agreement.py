"""How labels agree with the truth, by numbers worked out by hand; and labels of somebody who errs."""

from __future__ import annotations

import random

import pytest

from cos.agreement import agreement
from cos.chain import Chain, Labelled, Problem, Step, StepLabels
from cos.label import mistaken


def labelled(*steps: float | None, answer: float | None = None, drawn: list[int] | None = None, right: list[int] | None = None) -> Labelled:
    chain = Chain(tuple(Step("Look", f"It is {number}.", "Seen.") for number in range(len(steps))), "1")
    details = {"drawn": drawn, "right": right} if drawn else {}
    return Labelled("p/0", Problem("p", "How many?"), chain, StepLabels(steps, answer), {}, details)


def test_agreement_of_hard_labels_by_hand() -> None:
    pairs = [
        (labelled(1, 1, 0), labelled(1, 0, 1)),  # the third label is not the truth's, but says that not all so far is right
        (labelled(1, None), labelled(1, 1)),
        (labelled(0, 1), labelled(0, None)),
    ]
    found = agreement(pairs)
    # steps that both label: (1,1) (1,0) (0,1) (1,1) (0,0); right above wrong, ties half: 1/2 + 1 + 0 + 1/2 + 1/2 + 1 of 6 pairs
    assert found == {"steps": 5, "same": 3 / 5, "so_far": 4 / 5, "auc": pytest.approx(3.5 / 6), "first_error": 2 / 3}


def test_of_rollouts_the_shares_are_ranked() -> None:
    ours = labelled(1, 1, 1, drawn=[4, 4, 0], right=[4, 1, 0])
    assert (agreement([(ours, labelled(1, 0, None))]) or {})["auc"] == 1.0
    hard = labelled(1, 1, 1)
    assert (agreement([(hard, labelled(1, 0, None))]) or {})["auc"] == 0.5


def test_nothing_to_count() -> None:
    assert agreement([]) is None
    assert agreement([(labelled(None), labelled(1))]) == {"steps": 0, "same": None, "so_far": None, "auc": None, "first_error": 1.0}
    assert (agreement([(labelled(1), labelled(1))]) or {})["auc"] is None


def test_mistakes_turn_labels_over() -> None:
    rng, one = random.Random(0), labelled(1, 0, None, 0.25, answer=1)
    assert mistaken(one, 0.0, rng) == one
    assert mistaken(one, 1.0, rng).labels == StepLabels((0, 1, None, 0.75), 0)
    many = [mistaken(labelled(*[1.0] * 10), 0.3, rng).labels.steps.count(0.0) for _ in range(200)]
    assert 0.25 < sum(many) / 2000 < 0.35
