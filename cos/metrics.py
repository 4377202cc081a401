"""Metrics: what the numbers of an evaluation mean, to the formula. numpy only.

Scores say how right a step or a chain looks (higher: more likely right); `right` is the truth, 1 or 0. A metric that is not defined
on its data (no wrong steps, no items) is NaN, never a guess. Randomness comes in as a generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_DRAWS_AT_ONCE = 100  # of a bootstrap: memory stays at 8 bytes x 100 x problems


class Interval(NamedTuple):
    """An estimate with the bounds of its confidence interval."""

    value: float
    low: float
    high: float


class FirstError(NamedTuple):
    """ProcessBench: accuracy on the chains with an error, on those without, and the harmonic mean of both."""

    wrong: float
    right: float
    f1: float


class StepF1(NamedTuple):
    """VisualProcessBench: F1 with right steps as the positive class, with wrong ones, and the mean of both."""

    right: float
    wrong: float
    macro: float


# Selection ------------------------------------------------------------------------------------------------------------------------


def pass_at_n(samples: int, right: int, n: int) -> float:
    """Chance that `n` chains drawn without return from `samples`, of which `right` are right, hold a right one.

    1 - C(samples - right, n) / C(samples, n), unbiased (Codex, arXiv 2107.03374). ValueError unless 0 <= right <= samples and
    1 <= n <= samples.
    """
    if not (0 <= right <= samples and 1 <= n <= samples):
        raise ValueError(f"pass@{n} is not defined for {right} right of {samples} samples")
    return 1.0 - math.comb(samples - right, n) / math.comb(samples, n)


def selector_gap(pass_n: float, selected: float) -> float:
    """What a perfect selector would add: pass@N - accuracy of the selected chains."""
    return pass_n - selected


def recovered(selected: float, pass_1: float, pass_n: float) -> float:
    """Share of the headroom won: (selected - pass@1) / (pass@N - pass@1). Negative where selecting hurts, NaN without headroom."""
    return (selected - pass_1) / (pass_n - pass_1) if pass_n != pass_1 else math.nan


# Ranking --------------------------------------------------------------------------------------------------------------------------


def auc(scores: ArrayLike, right: ArrayLike) -> float:
    """P(score of a random right one > score of a random wrong one), ties count 1/2; pooled. NaN scores rank lowest, one class only: NaN."""
    good, bad = _split(scores, right)
    if not (len(good) and len(bad)):
        return math.nan
    below_and_upto = np.searchsorted(bad, good, "left") + np.searchsorted(bad, good, "right")
    return float(below_and_upto.mean() / (2 * len(bad)))


def group_auc(scores: ArrayLike, right: ArrayLike, groups: Sequence[Hashable]) -> tuple[float, int]:
    """Mean of the AUC inside each group (problem), and how many groups hold both classes and so count. No such group: (NaN, 0).

    Pooled AUC mixes in how hard the problems are; this one asks only which chain of the same problem is better.
    """
    values, truth = _floats(scores), _floats(right)
    rows: dict[Hashable, list[int]] = {}
    for i, group in zip(range(values.size), groups, strict=True):
        rows.setdefault(group, []).append(i)
    each = [auc(values[index], truth[index]) for index in rows.values()]
    defined = [value for value in each if not math.isnan(value)]
    return (math.fsum(defined) / len(defined), len(defined)) if defined else (math.nan, 0)


def stratified_auc(scores: ArrayLike, right: ArrayLike, strata: Sequence[Hashable]) -> float:
    """AUC over the pairs that lie in the same stratum (depth, length), all pairs alike: what is left when strata can't help. No such
    pair: NaN."""
    values, truth = _floats(scores), _floats(right)
    won = pairs = 0.0
    for stratum in dict.fromkeys(strata):
        index = [i for i, own in enumerate(strata) if own == stratum]
        size = float(truth[index].sum() * (1 - truth[index]).sum())
        if size:
            won, pairs = won + size * auc(values[index], truth[index]), pairs + size
    return won / pairs if pairs else math.nan


def rank_correlation(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Spearman's: the correlation of the ranks, ties at their mean rank. NaN where one of them is constant."""
    first, second = (_ranks(_floats(values)) for values in (ours, theirs))
    if not (first.size and np.ptp(first) and np.ptp(second)):
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])


def tpr_at_fpr(scores: ArrayLike, right: ArrayLike, fpr: float = 0.05) -> float:
    """The largest share of right ones that "score >= threshold" accepts, over all thresholds that accept at most `fpr` of the wrong ones.

    No interpolation: a threshold that exists. One class only: NaN.
    """
    good, bad = _split(scores, right)
    if not (len(good) and len(bad)):
        return math.nan
    accepted = 1.0 - np.searchsorted(bad, good, "left") / len(bad)  # share of wrong ones at or above each right one's score
    allowed = accepted <= fpr
    return float(allowed.mean())  # accepted falls as the score rises, so the allowed ones are just those above the threshold


# Steps ----------------------------------------------------------------------------------------------------------------------------


def first_error_f1(predicted: Sequence[int | None], gold: Sequence[int | None]) -> FirstError:
    """ProcessBench (arXiv 2412.06559): is the index of the first wrong step found? None or -1 says "no step is wrong".

    Over chains with an error: share with the same index; over those without: share with none predicted; F1 is the harmonic mean of
    these two accuracies, 0 where both are 0. A judge's answer that does not parse is given as -2, so it never matches. Where one
    kind of chain is missing, its accuracy and the F1 are NaN.
    """
    pairs = [(-1 if mine is None else mine, -1 if truth is None else truth) for mine, truth in zip(predicted, gold, strict=True)]
    wrong = _share([mine == truth for mine, truth in pairs if truth != -1])
    right = _share([mine == truth for mine, truth in pairs if truth == -1])
    return FirstError(wrong, right, 0.0 if wrong == right == 0 else 2 * wrong * right / (wrong + right))


def macro_f1(predicted: Sequence[bool], gold: Sequence[float | None]) -> StepF1:
    """VisualProcessBench (arXiv 2503.10291): every step is judged; `gold` is 1 right, 0 wrong, None neutral, which is left out.

    The F1 of a class that is neither there nor predicted is 0. ValueError for a label that is none of the three.
    """
    if any(label not in (0, 1, None) for label in gold):
        raise ValueError("labels must be 1 (right), 0 (wrong) or None (neutral)")
    pairs = [(bool(mine), label == 1) for mine, label in zip(predicted, gold, strict=True) if label is not None]
    right, wrong = (_f1([(mine == side, truth == side) for mine, truth in pairs]) for side in (True, False))
    return StepF1(right, wrong, (right + wrong) / 2)


# Calibration ----------------------------------------------------------------------------------------------------------------------


def brier(predicted: ArrayLike, target: ArrayLike) -> float:
    """mean (p - y)^2; `target` is 0 or 1, or the success rate of roll-outs from the prefix (say which)."""
    return float(np.mean(np.square(_floats(predicted) - _floats(target)))) if np.size(predicted) else math.nan


def signed_bias(predicted: ArrayLike, target: ArrayLike) -> float:
    """mean (p - y): above 0 the rewards promise too much."""
    return float(np.mean(_floats(predicted) - _floats(target))) if np.size(predicted) else math.nan


def reliability(predicted: ArrayLike, target: ArrayLike, bins: int = 10) -> Floats:
    """(bins, 3): count, mean prediction, mean target of each uniform bin [i/bins, (i+1)/bins), the last one closed; NaN means where empty.

    ValueError for predictions outside [0, 1].
    """
    p, y = _floats(predicted), _floats(target)
    if not np.all((p >= 0) & (p <= 1)):
        raise ValueError("predictions must lie in [0, 1]")
    place = np.minimum((p * bins).astype(int), bins - 1)
    count, of_p, of_y = (np.bincount(place, weights=w, minlength=bins) for w in (np.ones_like(p), p, y))
    size = np.where(count > 0, count, np.nan)
    return np.stack([count, of_p / size, of_y / size], axis=1)


def ece(predicted: ArrayLike, target: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error: sum over the bins of n_b / N x |mean target - mean prediction|."""
    table = reliability(predicted, target, bins)
    gaps = np.abs(table[:, 2] - table[:, 1])
    return float(np.nansum(table[:, 0] * gaps) / table[:, 0].sum()) if table[:, 0].any() else math.nan


def mce(predicted: ArrayLike, target: ArrayLike, bins: int = 10) -> float:
    """Maximum calibration error: the largest gap of a bin that is not empty."""
    table = reliability(predicted, target, bins)
    return float(np.nanmax(np.abs(table[:, 2] - table[:, 1]))) if table[:, 0].any() else math.nan


# Intervals and tests --------------------------------------------------------------------------------------------------------------


def wilson(right: int, total: int, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion; without trials (NaN, 0, 1)."""
    if not total:
        return Interval(math.nan, 0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = right / total
    scale = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    # at the ends the bounds are exactly 0 and 1, which rounding misses
    return Interval(share, 0.0 if right == 0 else centre - half, 1.0 if right == total else centre + half)


def bootstrap_mean(values: ArrayLike, rng: np.random.Generator, draws: int = 2000, level: float = 0.95) -> Interval:
    """Mean of one value a problem, with the percentile interval over resampled problems. ValueError where there are none."""
    sample = _floats(values)
    if not sample.size:
        raise ValueError("no values to resample")
    sizes = [min(_DRAWS_AT_ONCE, draws - done) for done in range(0, draws, _DRAWS_AT_ONCE)]
    means = np.concatenate([sample[rng.integers(sample.size, size=(size, sample.size))].mean(axis=1) for size in sizes])
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(sample.mean()), float(low), float(high))


def resampled(
    units: int, statistic: Callable[[NDArray[np.intp]], float], rng: np.random.Generator, draws: int = 500, level: float = 0.95
) -> Interval:
    """Any statistic of `units` problems, given their indices, with the percentile interval over resampled problems; draws on which it is
    not defined (NaN) are left out. ValueError where there are no problems."""
    if not units:
        raise ValueError("no problems to resample")
    values = [statistic(rng.integers(units, size=units)) for _ in range(draws)]
    defined = [value for value in values if not math.isnan(value)] or [math.nan]
    low, high = np.quantile(defined, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(statistic(np.arange(units)), float(low), float(high))


def paired_difference(ours: ArrayLike, theirs: ArrayLike, rng: np.random.Generator, draws: int = 2000, level: float = 0.95) -> Interval:
    """Mean of `ours - theirs`, problem by problem (same order), with its bootstrap interval over problems."""
    mine, other = _floats(ours), _floats(theirs)
    if mine.shape != other.shape:
        raise ValueError(f"paired values differ in number: {mine.size} and {other.size}")
    return bootstrap_mean(mine - other, rng, draws, level)


def mcnemar(ours: Sequence[bool], theirs: Sequence[bool]) -> float:
    """Exact two-sided p of McNemar's test: are the problems that only one method gets right split evenly? 1 where there are none."""
    pairs = list(zip(map(bool, ours), map(bool, theirs), strict=True))
    only_ours, only_theirs = pairs.count((True, False)), pairs.count((False, True))
    split = only_ours + only_theirs
    tail = sum(math.comb(split, k) for k in range(min(only_ours, only_theirs) + 1))
    return min(1.0, tail / 2 ** (split - 1)) if split else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for several comparisons (Holm, step-down), in the order given: reject where one is at most the level."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _ranks(values: Floats) -> Floats:
    """Rank of each value from 1, ties at their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks


def _split(scores: ArrayLike, right: ArrayLike) -> tuple[Floats, Floats]:
    """Scores of the right and of the wrong ones, each sorted; NaN becomes the lowest."""
    values, truth = _floats(scores), _floats(right)
    if values.shape != truth.shape or not np.all((truth == 0) | (truth == 1)):
        raise ValueError("needs one truth value, 1 or 0, for each score")
    values = np.where(np.isnan(values), -np.inf, values)
    return np.sort(values[truth == 1]), np.sort(values[truth == 0])


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else math.nan


def _f1(pairs: Sequence[tuple[bool, bool]]) -> float:
    """F1 of (predicted, true) pairs: 2 TP / (predicted + true), 0 where nothing is."""
    hits = sum(mine and truth for mine, truth in pairs)
    size = sum(mine for mine, _ in pairs) + sum(truth for _, truth in pairs)
    return 2 * hits / size if size else 0.0
