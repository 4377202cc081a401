"""The report card: what the rewards of judged chains are worth, in numbers (docs/formats.md). Where one is not defined it is None.

calibration = calibrate(validation, {"set": "charts:validation"})
card = report(test, calibration, seed=0)          # its threshold and its calibration come from the validation records alone
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cos.card.selection import best_of_n
from cos.card.steps import Floats, Judged, Record, Steps, best_thresholds, chains_of, rollouts_of, steps_of
from cos.metrics import (
    auc,
    brier,
    ece,
    first_error_f1,
    group_auc,
    macro_f1,
    mce,
    rank_correlation,
    reliability,
    resampled,
    signed_bias,
    stratified_auc,
    tpr_at_fpr,
)
from cos.rewards.calibrate import Calibration, fit

HALF = 0.5
"""The threshold where none was chosen on other data; the card says so."""
STRATA = 20
"""Groups of steps of like length."""


def calibrate(records: Sequence[Record], about: Mapping[str, Any]) -> Calibration:
    """Calibration and thresholds from validation records. Raises ValueError where they hold no labelled steps."""
    steps = steps_of(records)
    about = {**about, "questions": len(records)}
    return fit(steps.reward.tolist(), steps.label.tolist(), rollouts_of(records), best_thresholds(steps, chains_of(records)), about)


def report(records: Sequence[Record], calibration: Calibration | None, seed: int = 0) -> dict[str, Any]:
    """All figures of the card. `calibration` None: the threshold is HALF, and there are no calibrated figures."""
    steps, answers, chains = steps_of(records), steps_of(records, answers=True), chains_of(records)
    thresholds = {name: (calibration.thresholds if calibration else {}).get(name, HALF) for name in ("macro_f1", "first_error_f1")}
    rng = np.random.default_rng(seed)
    calibrated = np.array([calibration.probability(reward) for reward in steps.reward]) if calibration else None
    card = {
        "questions": len(records),
        "chains": len(chains),
        **_ranking(steps, rng),
        "answer_auc": auc(answers.reward, answers.label),
        **_errors(steps, chains, thresholds),
        **_trust(steps.reward, steps.label, ""),
        **({} if calibrated is None else _trust(calibrated, steps.label, "_calibrated")),
        **_looking(steps),
        "peeks": {"depth": _peek(steps, steps.depth, steps.depth), "length": _peek(steps, steps.size, _bins(steps.size))},
        **_last(chains),
        "edits": _edits(records, thresholds["first_error_f1"]),
        "best_of_n": best_of_n(records),
        "by": {name: _by(steps, chains, getattr(steps, name), name, thresholds) for name in ("depth", "kind", "level", "group")},
        "thresholds": thresholds,
        "calibration": None if calibration is None else {"method": calibration.method, "temperature": calibration.temperature},
        "curves": _curves(steps, calibrated),
    }
    groups = {name: [row[name] for row in card["by"]["group"].values()] for name in ("macro_f1", "first_error_f1")}
    means = {f"{name}_mean_of_groups": _mean([value for value in own if not math.isnan(value)]) for name, own in groups.items()}
    plain: dict[str, Any] = _plain(card | means)
    return plain


def _ranking(steps: Steps, rng: np.random.Generator) -> dict[str, Any]:
    inside, both = group_auc(steps.reward, steps.label, steps.question.tolist())
    low, high = _interval(steps, rng)
    return {
        "steps": len(steps.reward),
        "right_share": _mean(steps.label),
        "auc": auc(steps.reward, steps.label),
        "auc_ci95": [low, high],
        "auc_by_question": inside,
        "questions_with_both": both,
        "tpr_at_fpr": {str(fpr): tpr_at_fpr(steps.reward, steps.label, fpr) for fpr in (0.01, 0.05, 0.1)},
    }


def _interval(steps: Steps, rng: np.random.Generator) -> tuple[float, float]:
    """95 % bootstrap interval of the pooled AUC over questions."""
    rows = [np.flatnonzero(steps.question == question) for question in np.unique(steps.question)]
    if not rows:
        return math.nan, math.nan

    def drawn(units: Any) -> float:
        index = np.concatenate([rows[unit] for unit in units])
        return auc(steps.reward[index], steps.label[index])

    found = resampled(len(rows), drawn, rng)
    return found.low, found.high


def _errors(steps: Steps, chains: Sequence[Judged], thresholds: Mapping[str, float]) -> dict[str, float]:
    """First-error F1 (ProcessBench) and F1 of both classes (VisualProcessBench)."""
    found = first_error_f1([chain.predicted(thresholds["first_error_f1"]) for chain in chains], [chain.first_error for chain in chains])
    sides = macro_f1([bool(reward >= thresholds["macro_f1"]) for reward in steps.reward], steps.label.tolist())
    defined = len(set(steps.label.tolist())) == 2
    return {
        "first_error_f1": found.f1,
        "first_error_wrong": found.wrong,
        "first_error_right": found.right,
        "macro_f1": sides.macro if defined else math.nan,
        "f1_right": sides.right if defined else math.nan,
        "f1_wrong": sides.wrong if defined else math.nan,
    }


def _trust(predicted: Floats, label: Floats, suffix: str) -> dict[str, float]:
    """How far rewards are from probabilities that the step is right."""
    metrics = {"brier": brier, "ece": ece, "mce": mce, "signed_bias": signed_bias}
    shown = np.clip(np.nan_to_num(predicted), 0, 1)
    return {name + suffix: metric(shown, label) for name, metric in metrics.items()}


def _looking(steps: Steps) -> dict[str, float]:
    """Does it look? AUC of all steps and of those that read the picture, and how far rewards move, with another and a blank picture."""
    sees, works = (steps.where(steps.kind == kind) for kind in ("see", "compute"))
    found = {"see_auc": auc(sees.reward, sees.label), "compute_auc": auc(works.reward, works.label)}
    for view in ("swapped", "blank"):
        for prefix, part in (("", steps), ("see_", sees)):
            shown = getattr(part, view)
            known = ~np.isnan(shown)
            found[f"{prefix}auc_{view}"] = auc(shown[known], part.label[known])
        moved = np.abs(steps.reward - getattr(steps, view))
        found[f"moved_{view}"] = _mean(moved[~np.isnan(moved)])
    return found


def _peek(steps: Steps, value: Floats, strata: Floats) -> dict[str, float]:
    """How much of a ranking could come from `value` alone, and what is left of it among steps that are alike in it."""
    alone = auc(value, steps.label)
    return {
        "rank_correlation": rank_correlation(steps.reward, value),
        "auc_alone": max(alone, 1 - alone),
        "auc_within": stratified_auc(steps.reward, steps.label, strata.tolist()),
    }


def _bins(values: Floats) -> Floats:
    """Number of the group of like values that each lies in; equal values stay together."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, STRATA + 1)[1:-1])) if values.size else values
    groups: Floats = np.searchsorted(edges, values, "left").astype(np.float64)
    return groups


def _last(chains: Sequence[Judged]) -> dict[str, float]:
    """Share of the chains (two labelled steps or more) whose lowest reward is the last one's alone, and what chance would give."""
    long = [chain.rewards for chain in chains if len(chain.rewards) > 1]
    lowest = [rewards[-1] < min(rewards[:-1]) for rewards in long]
    return {"lowest_is_last": _mean(lowest), "lowest_is_last_by_chance": _mean([1 / len(rewards) for rewards in long])}


def _edits(records: Sequence[Record], threshold: float) -> dict[str, Any]:
    """Right chains as they are and written another way: share that is accepted whole, and the change of the mean reward."""
    found = {}
    for name in ("reworded", "reordered", "filler"):
        pairs = [(row["edits"]["right"], row["edits"][name]) for row in records if name in row["edits"]]
        before, after = ([edit["steps"] for edit in side] for side in zip(*pairs, strict=True)) if pairs else ([], [])
        found[name] = {
            "chains": len(pairs),
            "accepted_before": _mean([min(rewards) >= threshold for rewards in before]),
            "accepted_after": _mean([min(rewards) >= threshold for rewards in after]),
            "moved": _mean([abs(_mean(new) - _mean(old)) for old, new in zip(before, after, strict=True)]),
            "bias": _mean([_mean(new) - _mean(old) for old, new in zip(before, after, strict=True)]),
        }
    return found


def _by(steps: Steps, chains: Sequence[Judged], column: Any, name: str, thresholds: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    found = {}
    for value in np.unique(column):
        part = steps.where(column == value)
        own = [chain for chain in chains if chain.group == value] if name == "group" else []
        row = {"steps": len(part.reward), "right_share": _mean(part.label), "auc": auc(part.reward, part.label)}
        row |= {
            key: metric(np.clip(part.reward, 0, 1), part.label) for key, metric in (("brier", brier), ("ece", ece), ("bias", signed_bias))
        }
        errors = _errors(part, own, thresholds)
        row |= {key: errors[key] for key in (("macro_f1", "first_error_f1") if name == "group" else ("macro_f1",))}
        label = str(int(value)) if name == "depth" else str(value)
        found[label or "other"] = row
    return found


def _curves(steps: Steps, calibrated: Floats | None) -> dict[str, Any]:
    """What the figures draw: reliability (count, mean reward, share right), rewards of right and wrong steps in 20 bins, the ROC."""
    shown = np.clip(np.nan_to_num(steps.reward), 0, 1)
    places = np.unique(steps.reward)[::-1]
    good, bad = (np.sort(steps.reward[steps.label == side]) for side in (1, 0))
    roc = [[float((bad >= place).mean()), float((good >= place).mean())] for place in places[:: max(1, len(places) // 100)]]
    bins = np.linspace(0, 1, 21)
    return {
        "reliability": reliability(shown, steps.label).tolist(),
        "reliability_calibrated": None if calibrated is None else reliability(np.clip(calibrated, 0, 1), steps.label).tolist(),
        "rewards_right": np.histogram(shown[steps.label == 1], bins)[0].tolist(),
        "rewards_wrong": np.histogram(shown[steps.label == 0], bins)[0].tolist(),
        "roc": [[0.0, 0.0], *roc, [1.0, 1.0]] if len(good) and len(bad) else [],
    }


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _plain(value: Any) -> Any:
    """JSON values: NaN, which JSON can't say, becomes None; floats of ten digits."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 10) if math.isfinite(value) else None
    return value
