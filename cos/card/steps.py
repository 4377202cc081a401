"""The judged steps of many questions as columns, and thresholds on their rewards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cos.rewards.calibrate import Rollouts

Record = Mapping[str, Any]
Floats = NDArray[np.float64]
Column = NDArray[Any]

_NUMBERS = ("reward", "label", "depth", "size", "swapped", "blank")
FEWEST = 4
"""Roll-outs that a prefix needs to count: with fewer the quantiles of their success would be those of a coin (ours)."""


@dataclass(frozen=True)
class Steps:
    """Labelled steps (or answers), one entry of each column a distinct step of a question; neutral and unknown ones are left out."""

    reward: Floats
    label: Floats
    """1 right, 0 wrong; a soft label counts as right from 1/2 on."""
    depth: Floats
    size: Floats
    """Characters."""
    swapped: Floats
    blank: Floats
    """Rewards with another and with a blank picture; NaN where there are none."""
    question: Column
    kind: Column
    level: Column
    group: Column

    def where(self, kept: Column) -> Steps:
        """Those that a boolean column (or indices) keeps."""
        return Steps(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))


def steps_of(records: Sequence[Record], *, answers: bool = False) -> Steps:
    """The labelled steps of the records; with `answers` the answers in their place."""
    rows = [
        (*(_number(node[key]) for key in _NUMBERS), index, node["kind"], record)
        for index, record in enumerate(records)
        for node in record["nodes"]
        if node["label"] is not None and (node["kind"] == "answer") == answers
    ]
    numbers = np.array([row[:6] for row in rows], dtype=np.float64).reshape(-1, 6).T
    numbers[1] = numbers[1] >= 0.5
    columns = {
        "question": np.array([row[6] for row in rows], dtype=int),
        "kind": np.array([row[7] for row in rows], dtype=str),
        "level": np.array([str(row[8]["level"]) for row in rows], dtype=str),
        "group": np.array([row[8]["group"] for row in rows], dtype=str),
    }
    return Steps(**dict(zip(_NUMBERS, numbers, strict=True)), **columns)


@dataclass(frozen=True)
class Judged:
    """The labelled steps of one chain: labels (1 or 0) and rewards, neutral and unknown steps left out."""

    labels: tuple[float, ...]
    rewards: tuple[float, ...]
    group: str

    @property
    def first_error(self) -> int | None:
        """Index of the first wrong step."""
        return next((at for at, label in enumerate(self.labels) if label == 0), None)

    def predicted(self, threshold: float) -> int | None:
        """Index of the first step whose reward is under the threshold."""
        return next((at for at, reward in enumerate(self.rewards) if not reward >= threshold), None)


def chains_of(records: Sequence[Record]) -> list[Judged]:
    """Every distinct chain that has a labelled step."""
    found = []
    for record in records:
        for chain in record["chains"]:
            nodes = [node for at in chain["path"] if (node := record["nodes"][at])["kind"] != "answer" and node["label"] is not None]
            if nodes:
                labels = tuple(float(node["label"] >= 0.5) for node in nodes)
                found.append(Judged(labels, tuple(node["reward"] for node in nodes), record["group"]))
    return found


def rollouts_of(records: Sequence[Record]) -> Rollouts:
    """What became of steps that at least FEWEST roll-outs went on from: those of their label, else the question's own sampled chains that
    share the step, which are roll-outs from it."""
    rewards, shares, counts = [], [], []
    for record in records:
        drawn, right = [0] * len(record["nodes"]), [0.0] * len(record["nodes"])
        for chain in record["chains"]:
            for at in chain["path"] if chain["right"] is not None else ():
                drawn[at] += chain["count"]
                right[at] += chain["count"] * chain["right"]
        for node, sampled in zip(record["nodes"], zip(drawn, right, strict=True), strict=True):
            count, good = node["rollouts"] or sampled
            if count >= FEWEST and node["kind"] != "answer":
                rewards.append(node["reward"])
                shares.append(good / count)
                counts.append(int(count))
    return Rollouts(rewards, shares, counts)


def best_thresholds(steps: Steps, chains: Sequence[Judged]) -> dict[str, float]:
    """The thresholds with the greatest macro F1 and the greatest first-error F1; the middle one of several that are equally good.

    Candidates lie between the rewards that occur (at most 400 of them), below and above all.
    """
    places = np.unique(steps.reward)
    if places.size > 400:
        places = np.unique(np.quantile(places, np.linspace(0, 1, 400)))
    candidates = np.r_[0.0, (places[1:] + places[:-1]) / 2, 1.0 + 1e-6]
    found = {"macro_f1": _macro(steps, candidates), "first_error_f1": _first_errors(chains, candidates)}
    return {name: _middle(candidates, values) for name, values in found.items() if not np.isnan(values).all()}


def _macro(steps: Steps, thresholds: Floats) -> Floats:
    """Macro F1 at each threshold."""
    good, bad = (np.sort(steps.reward[steps.label == side]) for side in (1, 0))
    kept, passed = (len(side) - np.searchsorted(side, thresholds, "left") for side in (good, bad))  # right and wrong ones accepted
    with np.errstate(invalid="ignore"):
        right = np.nan_to_num(2 * kept / (kept + passed + len(good)))
        caught, lost = len(bad) - passed, len(good) - kept
        wrong = np.nan_to_num(2 * caught / (caught + lost + len(bad)))
    both: Floats = (right + wrong) / 2
    return both if len(good) and len(bad) else np.full(len(thresholds), math.nan)


def _first_errors(chains: Sequence[Judged], thresholds: Floats) -> Floats:
    """First-error F1 at each threshold: a wrong chain counts where r_k < t <= min(r_0 .. r_k-1), a right one where t <= all."""
    spans: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for chain in chains:
        at = chain.first_error
        before = min(chain.rewards[:at], default=math.inf)
        spans[at is None].append((-math.inf if at is None else chain.rewards[at], before))
    if not (spans[True] and spans[False]):
        return np.full(len(thresholds), math.nan)
    shares = []
    for side in (True, False):
        low, high = np.array(spans[side]).T
        shares.append(((low[:, None] < thresholds) & (thresholds <= high[:, None])).mean(0))
    with np.errstate(invalid="ignore"):
        f1: Floats = np.nan_to_num(2 * shares[0] * shares[1] / (shares[0] + shares[1]))
    return f1


def _middle(candidates: Floats, values: Floats) -> float:
    best = np.flatnonzero(values >= np.nanmax(values) - 1e-12)
    return float(candidates[best[len(best) // 2]])


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
