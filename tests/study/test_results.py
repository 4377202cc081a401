"""Points, differences and tables of studies, against numbers made by hand and the formulas of other libraries."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap, sem, t

from cos.metrics import holm, mcnemar, wilson
from cos.study.results import (
    Difference,
    Point,
    Result,
    apart,
    between,
    corrected,
    over_seeds,
    paired,
    panel,
    said,
    seeded,
    share,
    statistic,
    table,
)


def test_a_share_has_wilsons_interval() -> None:
    found = share("vote", 4, [True] * 3 + [False] * 7)
    assert (found.value, found.low, found.high) == tuple(wilson(3, 10)) and found.count == 10


def test_one_seed_is_resampled_as_scipy_does() -> None:
    values = np.random.default_rng(0).normal(size=80)
    ours = over_seeds(values, draws=4000)
    theirs = bootstrap((values,), np.mean, n_resamples=4000, method="percentile", random_state=np.random.default_rng(1)).confidence_interval
    assert ours.value == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_where_problems_do_not_differ_it_is_students_interval_over_seeds() -> None:
    """Three trainings that differ much on problems that do not differ."""
    found = over_seeds(np.array([[0.2] * 50, [0.5] * 50, [0.8] * 50]))
    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx(t.interval(0.95, df=2, loc=0.5, scale=0.3 / math.sqrt(3)))
    same = over_seeds(np.array([[0.5] * 50] * 3))
    assert same.low == same.high == pytest.approx(0.5)
    with pytest.raises(ValueError, match="no values"):
        over_seeds([])


def test_where_seeds_do_not_differ_it_is_students_interval_over_problems() -> None:
    values = np.random.default_rng(0).normal(size=40)
    found = over_seeds(np.stack([values] * 3))
    assert (found.low, found.high) == pytest.approx(t.interval(0.95, df=39, loc=values.mean(), scale=sem(values)))


@pytest.mark.parametrize(("by_seed", "by_problem", "by_chance"), [(0.05, 0.2, 0.4), (0.2, 0.05, 0.05), (0.0, 0.3, 0.3)])
def test_three_seeds_hold_the_truth_as_often_as_they_say(by_seed: float, by_problem: float, by_chance: float) -> None:
    """Trainings whose true mean is 0, drawn 400 times: 95 % of the intervals hold it. (Much by seed: 76 % of a bootstrap's.)"""
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        values = by_seed * rng.normal(size=(3, 1)) + by_problem * rng.normal(size=(1, 60)) + by_chance * rng.normal(size=(3, 60))
        found = over_seeds(values)
        held += found.low <= 0 <= found.high
    assert held >= 0.93 * 400


def test_a_statistic_is_the_mean_over_seeds() -> None:
    values = np.arange(10.0)

    def mean(index: NDArray[np.intp]) -> float:
        return float(values[index].mean())

    found = statistic("s", "x", 10, [mean, lambda index: mean(index) + 1])
    assert found.value == pytest.approx(5.0) and found.low < 5.0 < found.high
    nothing = statistic("s", "x", 3, [lambda index: math.nan])
    assert math.isnan(nothing.value) and panel("t", "x", [nothing]).points == ()


def test_pairs_are_compared_problem_by_problem() -> None:
    ours, theirs = [True, True, True, False, True], [False, True, False, False, True]
    found = paired("a", "b", "here", ours, theirs)
    assert found.value == pytest.approx(0.4) and found.p == mcnemar(ours, theirs) == 0.5
    rows = corrected([found, replace(found, p=0.01), replace(found, p=None)])
    assert [row.p_holm for row in rows] == [*holm([0.5, 0.01]), None]


def test_a_run_may_serve_all_seeds() -> None:
    found = between("dpo", "before", "greedy", [[1, 1, 0], [1, 0, 0]], [[0, 1, 0]])
    assert found.value == pytest.approx((1 / 3 + 0) / 2) and found.p is None


def test_other_problems_are_compared_by_their_means() -> None:
    found = apart("shift", "test", "greedy", [0, 0, 0, 1], [1] * 40)
    assert found.value == pytest.approx(-0.75) and found.high < 0


def test_what_is_shown_is_said() -> None:
    sure = Difference("a", "b", "N = 4", 0.05, 0.01, 0.09, 0.001, 0.004)
    assert said(sure) == "N = 4: a - b +5.0 points (+1.0 to +9.0), p 0.004 (Holm): better"
    assert said(replace(sure, p_holm=0.06)).endswith("not shown to differ")  # though its own interval is clear of 0
    assert said(Difference("a", "b", "round 1", -8.0, -9.5, -7.0, unit="tokens")) == ("round 1: a - b -8.0 tokens (-9.5 to -7.0): fewer")
    assert said(Difference("a", "b", "w", -0.1, -0.3, 0.1)).endswith("not shown to differ")


def test_the_table_has_every_number() -> None:
    points = [Point("vote", 16, 0.45, 0.4, 0.5, 240), seeded("long", "w = 1", [12.0, 12.0])]
    result = Result((panel("accuracy", "N", points[:1]), panel("tokens", "kind", points[1:], percent=False)), (), ("It holds.",))
    lines = table(result).splitlines()
    assert lines[0] == "accuracy" and lines[2].split() == ["vote", "16", "45.0%", "40.0%", "to", "50.0%", "240"]
    assert lines[6].split() == ["long", "w", "=", "1", "12.0", "12.0", "to", "12.0", "2"] and lines[-1] == "It holds."
