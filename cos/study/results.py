"""What a study comes to: panels of measured points with their intervals, the differences that it tests, and both as a table.

panel("accuracy by N", "N", [share("vote", 16, rights), ...])
corrected([paired("best_of_n", "vote", "N = 16", ours, theirs, seed)])

Intervals are 95 %: Wilson's for a share of problems, else a bootstrap over problems; where there are several seeds, a t interval over both
(`t_interval`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from cos.metrics import Interval, bootstrap_mean, holm, mcnemar, paired_difference, wilson

Statistic = Callable[[NDArray[np.intp]], float]
"""A statistic of some problems, given their indices; NaN where it is not defined."""
DRAWS = 2000
"""Of a bootstrap over two lots of problems, as many as `metrics.bootstrap_mean` takes."""


@dataclass(frozen=True)
class Point:
    """One measured value. `count`: the problems (of all seeds alike) that it rests on."""

    series: str
    x: float | str
    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Panel:
    """Points that belong on one pair of axes. `percent`: they are shares; `log`: x doubles rather than adds up."""

    title: str
    x: str
    points: tuple[Point, ...]
    percent: bool = True
    log: bool = False


@dataclass(frozen=True)
class Difference:
    """`ours` less `theirs`. `p` is McNemar's, None where values are no plain rights and wrongs of one run; `p_holm` corrects it for all
    differences of the study. `unit`: of value and bounds, which are shares where it is `points`."""

    ours: str
    theirs: str
    where: str
    value: float
    low: float
    high: float
    p: float | None = None
    p_holm: float | None = None
    unit: str = "points"


@dataclass(frozen=True)
class Result:
    """All of it. `notes`: what the figures alone do not say, a sentence each."""

    panels: tuple[Panel, ...]
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """`{panels, differences, notes}`."""
        return asdict(self)


# Points ---------------------------------------------------------------------------------------------------------------------------


def share(series: str, x: float | str, right: Sequence[bool]) -> Point:
    """The share of problems that are right."""
    return Point(series, x, *wilson(sum(map(bool, right)), len(right)), len(right))


def seeded(series: str, x: float | str, values: ArrayLike, seed: int = 0) -> Point:
    """The mean of `values`, (seeds, problems) or (problems,); see `over_seeds`."""
    table = _table(values)
    return Point(series, x, *over_seeds(table, seed), table.shape[1])


def statistic(series: str, x: float | str, count: int, runs: Sequence[Statistic], seed: int = 0, draws: int = 500) -> Point:
    """The mean over `runs` (one a seed) of a statistic of `count` problems. The interval is a bootstrap over problems, draws on which the
    statistic is not defined left out; with several runs `t_interval`, the bootstrap being what problems would change."""
    rng = np.random.default_rng(seed)

    def mean(index: NDArray[np.intp]) -> float:
        return math.fsum(run(index) for run in runs) / len(runs)

    found = np.array([value for _ in range(draws) if not math.isnan(value := mean(rng.integers(count, size=count)))] or [math.nan])
    if len(runs) == 1:
        low, high = np.quantile(found, [0.025, 0.975])
        return Point(series, x, mean(np.arange(count)), float(low), float(high), count)
    return Point(series, x, *t_interval([run(np.arange(count)) for run in runs], float(found.var()), count), count)


def panel(title: str, x: str, points: Sequence[Point], *, percent: bool = True, log: bool = False) -> Panel:
    """The panel of these points; those that are not defined (NaN) are left out."""
    return Panel(title, x, tuple(point for point in points if not math.isnan(point.value)), percent, log)


def over_seeds(values: ArrayLike, seed: int = 0, draws: int = DRAWS) -> Interval:
    """Mean of `values` (seeds, problems), the problems the same in every seed; the interval holds what another training and other problems
    would change (`t_interval`). One row: a bootstrap over problems alone. ValueError where there is nothing."""
    table = _table(values)
    if len(table) < 2:
        return bootstrap_mean(table.ravel(), np.random.default_rng(seed), draws)
    problems = table.mean(axis=0)
    return t_interval(table.mean(axis=1), problems.var(ddof=1) / problems.size if problems.size > 1 else 0.0, problems.size)


def t_interval(by_seed: ArrayLike, by_problems: float, problems: int) -> Interval:
    """Mean of one value a seed, within t standard errors. Their square is the variance of the seeds' mean plus `by_problems`, that of the
    same mean over other problems; the degrees of freedom are Welch's and Satterthwaite's. A bootstrap of three seeds is too narrow by far:
    it knows no seed but these. What problem and seed do together is in both parts, so the interval errs on the wide side."""
    means = np.asarray(by_seed, dtype=np.float64)
    parts = np.array([means.var(ddof=1) / means.size, by_problems])
    freedom = np.array([means.size - 1, max(1, problems - 1)])
    if not parts.sum() > 0:  # all alike, or not defined
        return Interval(float(means.mean()), *[float(means.mean() + parts.sum())] * 2)
    half = stdtrit(parts.sum() ** 2 / (parts**2 / freedom).sum(), 0.975) * math.sqrt(parts.sum())
    return Interval(float(means.mean()), float(means.mean() - half), float(means.mean() + half))


def _table(values: ArrayLike) -> NDArray[np.float64]:
    return np.atleast_2d(np.asarray(values, dtype=np.float64))


# Differences ----------------------------------------------------------------------------------------------------------------------


def paired(ours: str, theirs: str, where: str, mine: Sequence[bool], other: Sequence[bool], seed: int = 0) -> Difference:
    """Problem by problem, rights and wrongs of one run each."""
    gain = paired_difference(mine, other, np.random.default_rng(seed))
    return Difference(ours, theirs, where, *gain, mcnemar(mine, other))


def between(ours: str, theirs: str, where: str, mine: ArrayLike, other: ArrayLike, seed: int = 0, unit: str = "points") -> Difference:
    """Values (seeds, problems) of two trainings, the same seeds and problems in both (one row of `other` serves all seeds)."""
    return Difference(ours, theirs, where, *over_seeds(_table(mine) - _table(other), seed), unit=unit)


def apart(ours: str, theirs: str, where: str, mine: ArrayLike, other: ArrayLike, seed: int = 0) -> Difference:
    """Means over two different lots of problems."""
    first, second = np.asarray(mine, dtype=np.float64), np.asarray(other, dtype=np.float64)
    rng = np.random.default_rng(seed)
    means = [rng.choice(first, first.size).mean() - rng.choice(second, second.size).mean() for _ in range(DRAWS)]
    low, high = np.quantile(means, [0.025, 0.975])
    return Difference(ours, theirs, where, float(first.mean() - second.mean()), float(low), float(high))


def corrected(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """With Holm's correction over all that have a p."""
    adjusted = iter(holm([row.p for row in differences if row.p is not None]))
    return tuple(row if row.p is None else replace(row, p_holm=next(adjusted)) for row in differences)


def said(row: Difference) -> str:
    """A difference in words: how much, how sure, and what it shows at the level of 5 %."""
    sure = row.low > 0 or row.high < 0 if row.p_holm is None else row.p_holm <= 0.05
    points = row.unit == "points"
    up, down = ("better", "worse") if points else ("more", "fewer")
    verdict = (up if row.value > 0 else down) if sure else "not shown to differ"
    value, low, high = (f"{number * (100 if points else 1):+.1f}" for number in (row.value, row.low, row.high))
    p = "" if row.p_holm is None else f", p {row.p_holm:.2g} (Holm)"
    return f"{row.where}: {row.ours} - {row.theirs} {value} {row.unit} ({low} to {high}){p}: {verdict}"


# As text --------------------------------------------------------------------------------------------------------------------------


def table(result: Result) -> str:
    """Every point in a line of its own, panel after panel; then the differences and the notes."""
    lines: list[str] = []
    for one in result.panels:
        wide = max([len(point.series) for point in one.points], default=0) + 2
        far = max([len(_x(point.x)) for point in one.points] + [len(one.x)]) + 2
        lines += ["", one.title, f"{'':<{wide}}{one.x:>{far}}{'value':>10}{'95 % interval':>20}{'problems':>10}"]
        for point in one.points:
            value, *bounds = (_number(number, one.percent) for number in (point.value, point.low, point.high))
            lines.append(f"{point.series:<{wide}}{_x(point.x):>{far}}{value:>10}{' to '.join(bounds):>20}{point.count:>10}")
    lines += [""] if result.differences or result.notes else []
    return "\n".join([*lines[1:], *map(said, result.differences), *result.notes])


def _x(x: float | str) -> str:
    return x if isinstance(x, str) else f"{x:.4g}"


def _number(value: float, percent: bool) -> str:
    return f"{value:.1%}" if percent else f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
