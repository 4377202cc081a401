"""Calibration: what a reward is worth as a probability, learnt from a validation set and kept beside the reward model.

calibration = Calibration.load("model/calibration.json")
calibration.probability(0.8)      # how often a step with this reward is right
calibration.low(0.8)              # at least so many of ten roll-outs from there come out right, nine times in ten

Temperature scaling is that of "On Calibration of Modern Neural Networks" (arXiv 1706.04599); isotonic regression after Zadrozny and
Elkan (2002) by pooling adjacent violators; quantiles of roll-out success by the weighted pinball loss, after "Instance-Adaptive
Scaling" (arXiv 2506.09338), whose N = ln(1 - C) / ln(1 - low) `adaptive_n` takes. No torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cos.errors import UserError
from cos.scores import EDGE
from cos.store import read, write

FILE = "calibration.json"
"""Its name beside a model."""
LEVELS = (0.1, 0.5, 0.9)
"""The quantiles of the paper."""
ISOTONIC_FROM = 1000
"""With fewer labels isotonic regression overfits (Niculescu-Mizil and Caruana, 2005): then the temperature counts."""
BINS = 50
"""Groups of like rewards that quantiles are taken in: ours, so that each holds many values."""

PREFIXES = round(1 / min(LEVELS))
"""Prefixes that quantiles need: under ten there is no tenth of them."""

Floats = NDArray[np.float64]
Curve = tuple[tuple[float, float], ...]
"""(reward, value) with rising rewards; straight lines between, constant beyond the ends."""


@dataclass(frozen=True)
class Calibration:
    """From a reward in [0, 1] to probabilities. `about` says what it was fitted on."""

    method: str
    """`isotonic` or `temperature`: what `probability` uses."""
    temperature: float
    isotonic: Curve
    quantiles: Mapping[str, Curve] = field(default_factory=dict)
    """Level ("0.1") -> quantile of the share of roll-outs that come out right; empty where too few roll-outs were seen."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Metric -> the threshold on the raw reward that was best for it."""
    about: Mapping[str, Any] = field(default_factory=dict)

    def probability(self, reward: float) -> float:
        """How likely a step with this reward is right."""
        if self.method == "temperature":
            return scaled(reward, self.temperature)
        return _at(self.isotonic, reward)

    def low(self, reward: float) -> float:
        """The 10 % quantile of the share of roll-outs from here that come out right; without roll-outs, the probability."""
        return _at(self.quantiles["0.1"], reward) if "0.1" in self.quantiles else self.probability(reward)

    def save(self, path: str | Path) -> None:
        """Write it as one record (docs/formats.md)."""
        write(path, "calibration", [asdict(self)])

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """The inverse of `save`. Raises UserError where the file holds no calibration."""
        found = list(read(path, "calibration", cls._from_json))
        if len(found) != 1:
            raise UserError(f"{path}: one calibration is needed, it has {len(found)}; make it again with cos calibrate")
        return found[0]

    @classmethod
    def _from_json(cls, row: Mapping[str, Any]) -> Calibration:
        curves = {level: _curve(points) for level, points in row["quantiles"].items()}
        if row["method"] not in ("isotonic", "temperature"):
            raise ValueError(f"method {row['method']!r}")
        thresholds = {name: float(value) for name, value in row["thresholds"].items()}
        return cls(row["method"], float(row["temperature"]), _curve(row["isotonic"]), curves, thresholds, dict(row["about"]))


@dataclass(frozen=True)
class Rollouts:
    """Prefixes of chains: the reward of each, the share of its roll-outs that came out right, and how many there were."""

    rewards: Sequence[float] = ()
    shares: Sequence[float] = ()
    counts: Sequence[int] = ()


def fit(
    rewards: Sequence[float], labels: Sequence[float], rollouts: Rollouts, thresholds: Mapping[str, float], about: Mapping[str, Any]
) -> Calibration:
    """Fit everything. `labels` are 1 or 0 (or soft), one for each reward. Raises ValueError where there are none."""
    if not len(rewards):
        raise ValueError("no labelled steps to calibrate on")
    curves: dict[str, Curve] = {}
    if len(rollouts.rewards) >= PREFIXES:
        binned = bins_of(rollouts.rewards, rollouts.counts)
        curves = {f"{level:g}": quantile(binned, rollouts.shares, rollouts.counts, level) for level in LEVELS}
    method = "isotonic" if len(rewards) >= ISOTONIC_FROM else "temperature"
    found = {**about, "labels": len(rewards), "rollouts": int(sum(rollouts.counts))}
    return Calibration(method, temperature(rewards, labels), isotonic(rewards, labels), curves, thresholds, found)


def temperature(rewards: ArrayLike, labels: ArrayLike) -> float:
    """The T in [0.01, 100] for which sigmoid(logit(reward) / T) has the least negative log-likelihood, to about 1e-9.

    The likelihood is concave in 1 / T, so its slope has one zero, which bisection finds. T is 1 where the rewards say nothing (all 1/2).
    """
    z, y = _logits(rewards), np.asarray(labels, dtype=np.float64)
    low, high = math.log(0.01), math.log(100.0)
    if not z.any():
        return 1.0
    for _ in range(60):
        middle = (low + high) / 2
        slope = float(((_sigmoid(z * math.exp(middle)) - y) * z).sum())
        low, high = (middle, high) if slope < 0 else (low, middle)
    return math.exp(-(low + high) / 2)


def scaled(reward: float, temperature: float) -> float:
    """sigmoid(logit(reward) / temperature), the reward clipped to [EDGE, 1 - EDGE]."""
    return float(_sigmoid(_logits([reward]) / temperature)[0])


def isotonic(rewards: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> Curve:
    """The rising curve with the least weighted squared error."""
    w = np.ones_like(_floats(rewards)) if weights is None else _floats(weights)
    return _pool(_floats(rewards), _floats(labels), w, lambda values, weight: float(np.average(values, weights=weight)))


def quantile(rewards: ArrayLike, values: ArrayLike, weights: ArrayLike, level: float) -> Curve:
    """The rising curve with the least weighted pinball loss at `level`: sum of w x max(level x d, (level - 1) x d), d = value - curve."""
    return _pool(_floats(rewards), _floats(values), _floats(weights), lambda x, w: weighted_quantile(x, w, level))


def weighted_quantile(values: Floats, weights: Floats, level: float) -> float:
    """The smallest value at or under which at least `level` of the weight lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    place = int(np.searchsorted(reached, level * reached[-1] * (1 - 1e-12)))
    return float(values[order][min(place, len(order) - 1)])


def bins_of(rewards: ArrayLike, weights: ArrayLike, bins: int = BINS) -> Floats:
    """Each reward replaced by the weighted mean of its group; groups are of about equal weight, and equal rewards stay together."""
    x, w = _floats(rewards), _floats(weights)
    if not x.size:
        return x
    places, inverse = np.unique(x, return_inverse=True)
    mass = np.bincount(inverse, weights=w)
    group = np.minimum((np.cumsum(mass) - mass / 2) / mass.sum() * bins, bins - 1).astype(int)
    total, sums = np.bincount(group, weights=mass), np.bincount(group, weights=mass * places)
    means: Floats = (sums / np.maximum(total, 1e-300))[group][inverse]
    return means


def _pool(x: Floats, y: Floats, w: Floats, statistic: Callable[[Floats, Floats], float]) -> Curve:
    """Pool adjacent violators: neighbours whose values fall become one block, whose value is the statistic of all its members."""
    order = np.argsort(x, kind="stable")
    x, y, w = x[order], y[order], w[order]
    cuts = [*np.flatnonzero(np.r_[True, x[1:] != x[:-1]]), len(x)]
    blocks: list[tuple[int, int, float]] = []  # from, to, value
    for start, end in pairwise(cuts):
        blocks.append((start, end, statistic(y[start:end], w[start:end])))
        while len(blocks) > 1 and blocks[-2][2] >= blocks[-1][2]:
            (start, _, _), (_, end, _) = blocks[-2:]
            blocks[-2:] = [(start, end, statistic(y[start:end], w[start:end]))]
    points: dict[float, float] = {}
    for start, end, value in blocks:
        points |= {float(x[start]): value, float(x[end - 1]): value}
    return tuple(points.items())


def _at(curve: Curve, reward: float) -> float:
    """The curve's value; a reward that is no number counts as the lowest."""
    rewards, values = zip(*curve, strict=True)
    return float(np.interp(-math.inf if math.isnan(reward) else reward, rewards, values))


def _curve(points: Sequence[Sequence[float]]) -> Curve:
    found = tuple((float(reward), float(value)) for reward, value in points)
    if not found or any(a[0] >= b[0] for a, b in pairwise(found)):
        raise ValueError("a curve needs points with rising rewards")
    return found


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _logits(rewards: ArrayLike) -> Floats:
    p = np.clip(np.nan_to_num(_floats(rewards)), EDGE, 1 - EDGE)
    logits: Floats = np.log(p / (1 - p))
    return logits


def _sigmoid(z: Floats) -> Floats:
    out: Floats = 1 / (1 + np.exp(-np.clip(z, -700, 700)))
    return out
