"""Calibration against scikit-learn, brute force and its own promises."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from cos.errors import UserError
from cos.metrics import ece
from cos.rewards.calibrate import Calibration, Rollouts, bins_of, fit, isotonic, quantile, scaled, temperature, weighted_quantile

rewards_labels = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 1.0]), st.integers(0, 1)), min_size=2, max_size=40)


def draws(count: int, power: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rewards whose logits are `power` times those of the true probabilities, and labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.3, 1.5, count)
    labels = rng.random(count) < 1 / (1 + np.exp(-logits))
    return 1 / (1 + np.exp(-power * logits)), labels.astype(float)


@given(rewards_labels, st.lists(st.integers(1, 9), min_size=40, max_size=40))
def test_isotonic_is_scikit_learns(pairs: list[tuple[float, int]], weights: list[int]) -> None:
    x, y = (list(column) for column in zip(*pairs, strict=True))
    w = weights[: len(x)]
    theirs = IsotonicRegression(out_of_bounds="clip").fit(x, y, sample_weight=w)
    ours = Calibration("isotonic", 1.0, isotonic(x, y, w))
    assert [reward for reward, _ in ours.isotonic] == sorted({reward for reward, _ in ours.isotonic})
    places = [-0.5, 0.0, 0.05, 0.1, 0.3, 0.5, 0.6, 0.99, 1.0, 2.0]
    assert [ours.probability(place) for place in places] == pytest.approx(theirs.predict(places).tolist(), abs=1e-9)


@pytest.mark.parametrize("power", [0.25, 1.0, 3.0])
def test_temperature_undoes_what_was_done_and_nothing_near_is_better(power: float) -> None:
    rewards, labels = draws(4000, power)
    found = temperature(rewards, labels)
    assert found == pytest.approx(power, rel=0.15)

    def loss(t: float) -> float:
        return float(log_loss(labels, [scaled(reward, t) for reward in rewards]))

    assert loss(found) <= min(loss(found * 1.02), loss(found / 1.02))


def test_a_reward_that_says_nothing_keeps_its_temperature_and_learns_the_base_rate() -> None:
    found = fit([0.5] * 1000, [1.0] * 300 + [0.0] * 700, Rollouts(), {}, {})
    assert found.temperature == 1.0 and found.method == "isotonic"
    assert not fit([0.5], [1.0], Rollouts([0.5] * 9, [0.5] * 9, [4] * 9), {}, {}).quantiles and found.low(0.4) == found.probability(0.4)
    assert found.probability(0.1) == found.probability(0.9) == pytest.approx(0.3)


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.4, 0.8]), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(1, 4)), min_size=1, max_size=7)
)
def test_quantiles_have_the_least_pinball_loss_of_all_rising_curves(rows: list[tuple[float, float, int]]) -> None:
    x, y, w = (list(column) for column in zip(*rows, strict=True))
    level, places = 0.1, sorted(set(x))

    def loss(values: dict[float, float]) -> float:
        return sum(c * max(level * (b - values[a]), (level - 1) * (b - values[a])) for a, b, c in rows)

    ours = Calibration("isotonic", 1.0, ((0.0, 0.0),), {"0.1": quantile(x, y, w, level)})
    best = min(
        loss(dict(zip(places, curve, strict=True)))
        for curve in itertools.product(sorted(set(y)), repeat=len(places))
        if list(curve) == sorted(curve)
    )
    mine = {place: ours.low(place) for place in places}
    assert list(mine.values()) == sorted(mine.values()) and loss(mine) == pytest.approx(best, abs=1e-9)


def test_a_weighted_quantile_by_hand() -> None:
    values, weights = np.array([0.5, 0.0, 1.0]), np.array([5.0, 1.0, 4.0])
    found = [weighted_quantile(values, weights, level) for level in (0.05, 0.1, 0.11, 0.6, 0.61, 1.0)]
    assert found == [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 5)), min_size=1, max_size=60), st.integers(1, 8))
def test_bins_keep_the_order_and_the_mean(rows: list[tuple[float, int]], bins: int) -> None:
    x, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = bins_of(x, w, bins)
    order = np.argsort(x, kind="stable")
    assert np.all(np.diff(found[order]) >= -1e-12) and len(np.unique(found.round(9))) <= bins
    assert np.average(found, weights=w) == pytest.approx(np.average(x, weights=w))


@pytest.mark.parametrize("power", [0.3, 4.0])
def test_after_fitting_on_one_half_the_other_half_is_calibrated(power: float) -> None:
    rewards, labels = draws(8000, power, seed=3)
    found = fit(rewards[:4000], labels[:4000], Rollouts(), {}, {})
    raw, mended = (ece(values, labels[4000:]) for values in (rewards[4000:], [found.probability(r) for r in rewards[4000:]]))
    assert raw > 0.08 and mended < 0.03
    few = fit(rewards[:300], labels[:300], Rollouts(), {}, {})
    assert few.method == "temperature" and ece([few.probability(r) for r in rewards[4000:]], labels[4000:]) < 0.05


def test_low_is_met_nine_times_in_ten() -> None:
    rng = np.random.default_rng(1)
    rewards = rng.random(6000)
    chance = rng.beta(1 + 4 * rewards, 1 + 4 * (1 - rewards))  # of success, spread around the reward
    shares = rng.binomial(16, chance) / 16
    found = fit([0.2, 0.8], [0.0, 1.0], Rollouts(rewards[:3000].tolist(), shares[:3000].tolist(), [16] * 3000), {}, {})
    met = np.mean([share >= found.low(reward) for reward, share in zip(rewards[3000:], shares[3000:], strict=True)])
    assert 0.88 < met < 0.95 and found.low(0.9) > found.low(0.1) and found.low(0.7) < 0.7
    assert set(found.quantiles) == {"0.1", "0.5", "0.9"} and found.about["rollouts"] == 48_000


def test_saved_and_loaded_it_says_the_same(tmp_path: Path) -> None:
    rewards, labels = draws(1200, 2.0)
    found = fit(rewards, labels, Rollouts([0.1, 0.9] * 5, [0.0, 1.0] * 5, [4] * 10), {"macro_f1": 0.4}, {"set": "charts:validation"})
    found.save(tmp_path / "calibration.json")
    again = Calibration.load(tmp_path / "calibration.json")
    assert again == found and again.thresholds == {"macro_f1": 0.4} and again.about["set"] == "charts:validation"
    assert 0 <= again.probability(float("nan")) <= again.probability(1.0) <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"method": "magic"},
        {"isotonic": []},
        {"isotonic": [[0.5, 0.1], [0.2, 0.9]]},
        {"temperature": "hot"},
        {"schema": "cos.calibration/9"},
    ],
)
def test_what_is_no_calibration_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "calibration.json"
    fit([0.2, 0.8], [0.0, 1.0], Rollouts(), {}, {}).save(path)
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change) + "\n", "utf-8")
    with pytest.raises(UserError, match=r"calibration\.json, line 1"):
        Calibration.load(path)


def test_nothing_to_fit_on() -> None:
    with pytest.raises(ValueError, match="no labelled steps"):
        fit([], [], Rollouts(), {}, {})
