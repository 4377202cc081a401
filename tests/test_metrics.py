"""Metrics: against brute force, numbers by hand, and scikit-learn or scipy where they are installed."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos import metrics

LABELLED = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), st.integers(0, 1)), min_size=1, max_size=20)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_pass_at_n_is_the_share_of_subsets_with_a_right_chain() -> None:
    for samples in range(1, 7):
        for right, n in itertools.product(range(samples + 1), range(1, samples + 1)):
            subsets = list(itertools.combinations([True] * right + [False] * (samples - right), n))
            assert metrics.pass_at_n(samples, right, n) == pytest.approx(sum(map(any, subsets)) / len(subsets), abs=1e-12)


def test_pass_at_n_holds_for_large_pools_and_refuses_nonsense() -> None:
    assert metrics.pass_at_n(10_000, 1, 100) == pytest.approx(0.01)
    for samples, right, n in [(4, 5, 1), (4, 1, 5), (4, -1, 2), (4, 2, 0)]:
        with pytest.raises(ValueError, match="not defined"):
            metrics.pass_at_n(samples, right, n)


def test_gap_and_share_recovered() -> None:
    assert metrics.selector_gap(0.9, 0.7) == pytest.approx(0.2)
    assert metrics.recovered(0.7, 0.5, 0.9) == pytest.approx(0.5)
    assert metrics.recovered(0.4, 0.5, 0.9) == pytest.approx(-0.25)
    assert math.isnan(metrics.recovered(0.5, 0.5, 0.5))


@given(LABELLED)
def test_auc_and_tpr_equal_their_definitions(rows: list[tuple[float, int]]) -> None:
    scores, right = [score for score, _ in rows], [truth for _, truth in rows]
    good, bad = ([score for score, truth in rows if truth == side] for side in (1, 0))
    if not good or not bad:
        assert math.isnan(metrics.auc(scores, right)) and math.isnan(metrics.tpr_at_fpr(scores, right))
        return
    wins = sum((a > b) + 0.5 * (a == b) for a in good for b in bad) / (len(good) * len(bad))
    assert metrics.auc(scores, right) == pytest.approx(wins)
    for fpr in (0.0, 0.2, 0.5, 1.0):
        rates = [(sum(b >= t for b in bad) / len(bad), sum(a >= t for a in good) / len(good)) for t in [*scores, math.inf]]
        assert metrics.tpr_at_fpr(scores, right, fpr) == pytest.approx(max(hit for false, hit in rates if false <= fpr))


def test_auc_takes_nan_as_the_lowest_score_and_refuses_soft_truth() -> None:
    assert metrics.auc([math.nan, 0.1], [1, 0]) == 0.0
    assert metrics.auc([math.nan, 0.1], [0, 1]) == 1.0
    with pytest.raises(ValueError, match="1 or 0"):
        metrics.auc([0.1, 0.2], [0.5, 1])
    with pytest.raises(ValueError, match="each score"):
        metrics.auc([0.1, 0.2], [1])


def test_group_auc_leaves_out_how_hard_the_problems_are() -> None:
    scores, right, groups = [0.9, 0.8, 0.2, 0.1, 0.5], [1, 0, 0, 1, 1], ["easy", "easy", "hard", "hard", "one-sided"]
    assert metrics.group_auc(scores, right, groups) == (0.5, 2)
    assert metrics.auc(scores, right) == pytest.approx(3 / 6)
    mean, count = metrics.group_auc([0.1], [1], ["a"])
    assert math.isnan(mean) and count == 0


@settings(deadline=None)  # the first call imports the other library
@given(LABELLED)
def test_ranking_and_brier_agree_with_sklearn(rows: list[tuple[float, int]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    scores, right = [score for score, _ in rows], [truth for _, truth in rows]
    if 0 < sum(right) < len(right):
        assert metrics.auc(scores, right) == pytest.approx(sklearn.roc_auc_score(right, scores))
        assert metrics.brier(scores, right) == pytest.approx(sklearn.brier_score_loss(right, scores))
    predicted = [score >= 0.5 for score in scores]
    found = metrics.macro_f1(predicted, right)
    for side, mine in ((1, found.right), (0, found.wrong)):
        assert mine == pytest.approx(sklearn.f1_score(right, predicted, pos_label=side, zero_division=0.0))


def test_first_error_f1_by_hand() -> None:
    gold = [2, 0, 1, 3, -1, None]
    predicted = [2, 0, 3, -1, None, 4]
    wrong, right, f1 = metrics.first_error_f1(predicted, gold)
    assert (wrong, right, f1) == (0.5, 0.5, 0.5)
    assert metrics.first_error_f1([1, -1, -1], [1, 2, -1]) == pytest.approx((0.5, 1.0, 2 / 3))
    assert metrics.first_error_f1([0, 0], [1, -1]) == (0.0, 0.0, 0.0)
    assert metrics.first_error_f1([-2, -1], [-1, -1]).right == 0.5
    only_right = metrics.first_error_f1([-1], [-1])
    assert math.isnan(only_right.wrong) and only_right.right == 1.0 and math.isnan(only_right.f1)


def test_macro_f1_by_hand_leaves_neutral_steps_out() -> None:
    gold = [1, 1, 1, 0, 0, None, None]
    predicted = [True, True, False, True, False, True, False]
    # right: TP 2, predicted 3, true 3; wrong: TP 1, predicted 2, true 2
    assert metrics.macro_f1(predicted, gold) == pytest.approx((2 / 3, 1 / 2, 7 / 12))
    assert metrics.macro_f1([], []) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="labels"):
        metrics.macro_f1([True], [-1])


def test_calibration_by_hand() -> None:
    predicted, target = [0.95, 0.85, 0.15, 1.0, 0.1], [1, 0, 0, 1, 1]
    table = metrics.reliability(predicted, target)
    assert table[9].tolist() == pytest.approx([2, 0.975, 1.0])
    assert table[1].tolist() == pytest.approx([2, 0.125, 0.5])
    assert table[8].tolist() == pytest.approx([1, 0.85, 0.0])
    assert np.isnan(table[0, 1:]).all() and table[:, 0].sum() == 5
    assert metrics.ece(predicted, target) == pytest.approx((2 * 0.025 + 2 * 0.375 + 0.85) / 5)
    assert metrics.mce(predicted, target) == pytest.approx(0.85)
    assert metrics.brier(predicted, target) == pytest.approx((0.0025 + 0.7225 + 0.0225 + 0 + 0.81) / 5)
    assert metrics.signed_bias(predicted, target) == pytest.approx((-0.05 + 0.85 + 0.15 + 0 - 0.9) / 5)


@given(LABELLED)
def test_one_bin_is_the_bias_and_errors_are_ordered(rows: list[tuple[float, int]]) -> None:
    predicted, target = [p for p, _ in rows], [y for _, y in rows]
    assert metrics.ece(predicted, target, bins=1) == pytest.approx(abs(metrics.signed_bias(predicted, target)), abs=1e-12)
    assert abs(metrics.signed_bias(predicted, target)) - 1e-12 <= metrics.ece(predicted, target) <= metrics.mce(predicted, target) + 1e-12


def test_calibration_without_items_or_outside_the_unit_interval() -> None:
    for metric in (metrics.brier, metrics.signed_bias, metrics.ece, metrics.mce):
        assert math.isnan(metric([], []))
    for p in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            metrics.ece([p], [1])


def test_wilson_against_published_numbers() -> None:
    # Newcombe 1998, table I: 81/263, 15/148, 0/20, 1/29
    for right, total, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]:
        interval = metrics.wilson(right, total)
        assert interval == pytest.approx((right / total, low, high), abs=5e-5)
    assert metrics.wilson(0, 0)[1:] == (0.0, 1.0)
    assert metrics.wilson(7, 7).high == 1.0


def test_bootstrap_is_seeded_and_near_the_normal_interval() -> None:
    values = np.random.default_rng(1).random(400) < 0.6
    value, low, high = metrics.bootstrap_mean(values, rng())
    half = 1.96 * math.sqrt(value * (1 - value) / 400)
    assert (low, high) == pytest.approx((value - half, value + half), abs=0.008)
    assert metrics.bootstrap_mean(values, rng()) == (value, low, high)
    assert metrics.bootstrap_mean([2.0], rng()) == (2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="no values"):
        metrics.bootstrap_mean([], rng())


def test_paired_difference_sees_what_unpaired_intervals_hide() -> None:
    theirs = np.random.default_rng(2).random(300)
    value, low, high = metrics.paired_difference(theirs + 0.01, theirs, rng())
    assert (value, low, high) == pytest.approx((0.01, 0.01, 0.01))
    assert metrics.paired_difference([1, 0], [0, 1], rng()).value == 0.0
    with pytest.raises(ValueError, match="differ in number"):
        metrics.paired_difference([1, 0], [1], rng())


def test_mcnemar_enumerates_coin_flips() -> None:
    for only_ours, only_theirs in itertools.product(range(6), range(6)):
        ours = [True] * only_ours + [False] * only_theirs + [True, False]
        theirs = [False] * only_ours + [True] * only_theirs + [True, False]
        split = only_ours + only_theirs
        flips = [abs(sum(flip) * 2 - split) >= abs(only_ours - only_theirs) for flip in itertools.product((0, 1), repeat=split)]
        assert metrics.mcnemar(ours, theirs) == pytest.approx(float(Fraction(sum(flips), len(flips))))
    assert metrics.mcnemar([True] * 2000, [False] * 2000) == 0.0


@settings(deadline=None)  # the first call imports the other library
@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_agrees_with_scipy(only_ours: int, only_theirs: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    if only_ours + only_theirs:
        p = metrics.mcnemar([True] * only_ours + [False] * only_theirs, [False] * only_ours + [True] * only_theirs)
        assert p == pytest.approx(stats.binomtest(only_ours, only_ours + only_theirs).pvalue)


def test_holm_by_hand() -> None:
    assert metrics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert metrics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert metrics.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_rule_rejects(p_values: list[float]) -> None:
    rejected = set()
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[i] * (len(p_values) - rank) > 0.05:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(metrics.holm(p_values)) if p <= 0.05} == rejected


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.integers(0, 1), st.sampled_from("abc")), min_size=1, max_size=25))
def test_stratified_auc_compares_pairs_of_one_stratum_alone(rows: list[tuple[float, int, str]]) -> None:
    pairs = [(a > b) + (a == b) / 2 for a, x, own in rows for b, y, other in rows if x == 1 and y == 0 and own == other]
    found = metrics.stratified_auc([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])
    assert found == pytest.approx(sum(pairs) / len(pairs)) if pairs else math.isnan(found)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=25))
def test_rank_correlation_is_scipys(rows: list[tuple[int, int]]) -> None:
    first, second = ([row[side] for row in rows] for side in (0, 1))
    found = metrics.rank_correlation(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(pytest.importorskip("scipy.stats").spearmanr(first, second).statistic)


def test_resampled_covers_the_truth_as_often_as_it_says() -> None:
    truth, held = 0.3, 0
    for seed in range(60):
        drawn = np.random.default_rng(seed).random(80) < truth
        found = metrics.resampled(80, lambda units, drawn=drawn: float(drawn[units].mean()), rng(), draws=200)  # type: ignore[misc]
        held += found.low <= truth <= found.high
        assert found.value == pytest.approx(drawn.mean())
    assert 50 <= held <= 60
    assert metrics.resampled(3, lambda units: math.nan if len(set(units)) < 2 else 1.0, rng()) == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="no problems"):
        metrics.resampled(0, len, rng())
