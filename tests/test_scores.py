"""Scores: every aggregator against numbers by hand, then votes, ties and the edges that no chain may win by."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.scores import AGGREGATORS, WORST, best, cos_score, tie_rate, vote, weighted_vote

STEPS, ANSWER = (0.5, 0.8, 0.2), 0.9
BY_HAND = {
    "last": 0.9,
    "min": 0.2,
    "mean": 0.5,
    "prod": 0.08,
    "max": 0.8,
    "sum": 1.5,
    "sum_log": -2.5257286443082556,
    "log_odds": 0.0,  # 0 + log 4 - log 4
    "mean_odds": (1 + 4 + 0.25) / 3,
    "cos": 0.2 * 0.5 + 0.8 * 0.9,
    "min_mean": 0.35,
    "answer": 0.9,
}
REWARDS = st.lists(st.floats(0, 1), max_size=8)
ANSWERS = st.lists(st.sampled_from([None, "3", "3.0", "three", "4", "red", "Red.", "can't tell", "not shown"]), max_size=9)


def test_every_aggregator_has_its_number() -> None:
    assert {name: pytest.approx(rule(STEPS, ANSWER)) for name, rule in AGGREGATORS.items()} == BY_HAND


def test_the_aggregator_changes_the_choice() -> None:
    even, uneven = ((0.6, 0.6, 0.6), 0.5), ((0.99, 0.3, 0.99), 0.9)
    chosen = {name: best([rule(*even), rule(*uneven)]) for name, rule in AGGREGATORS.items()}
    assert chosen["min"] == 0 and chosen["mean"] == chosen["cos"] == chosen["last"] == chosen["max"] == 1


def test_product_punishes_length_and_mean_does_not() -> None:
    short, long = [0.9] * 2, [0.9] * 8
    assert AGGREGATORS["prod"](short, None) > AGGREGATORS["prod"](long, None)
    assert AGGREGATORS["mean"](short, None) == pytest.approx(AGGREGATORS["mean"](long, None))


@pytest.mark.parametrize("name", AGGREGATORS)
def test_edges(name: str) -> None:
    rule = AGGREGATORS[name]
    assert rule([], None) == WORST
    if name != "answer":
        assert rule(STEPS, None) > WORST
        assert rule([0.5, math.nan], None) == WORST
    assert rule([], math.nan) == WORST
    assert rule([], 0.7) == pytest.approx(rule([0.7], 0.7))
    assert rule([0.0, 1.0], 0.0) > WORST and rule([0.0], 1.0) > WORST


def test_missing_parts_of_the_cos_score_and_of_the_answer() -> None:
    assert cos_score([0.2, 0.4], None) == pytest.approx(0.3)
    assert cos_score([], 0.4) == 0.4
    assert cos_score([0.5], math.nan) == cos_score([math.nan], 0.5) == WORST
    assert cos_score([0.2, 0.4], 0.9, weight=1.0) == pytest.approx(0.3)
    assert cos_score([0.2, 0.4], 0.9, weight=0.0) == pytest.approx(0.9)
    assert AGGREGATORS["answer"](STEPS, None) == WORST
    assert AGGREGATORS["last"]([0.1, 0.6], None) == 0.6


@given(REWARDS, st.none() | st.floats(0, 1))
def test_no_aggregator_gives_nan_and_logs_keep_the_order_of_the_product(steps: list[float], answer: float | None) -> None:
    values = {name: rule(steps, answer) for name, rule in AGGREGATORS.items()}
    assert not any(map(math.isnan, values.values()))
    if steps and min(steps) > 1e-5 and max(steps) < 1 - 1e-5:
        assert math.exp(values["sum_log"]) == pytest.approx(values["prod"])
        assert values["log_odds"] == pytest.approx(sum(math.log(p) - math.log1p(-p) for p in steps), abs=1e-9)


@given(REWARDS.filter(len), st.floats(0, 1), st.data())
def test_a_better_reward_never_lowers_a_score(steps: list[float], answer: float, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(steps) - 1))
    better = [*steps]
    better[place] = data.draw(st.floats(better[place], 1))
    for rule in AGGREGATORS.values():
        assert rule(better, answer) >= rule(steps, answer) - 1e-6 * max(1.0, abs(rule(steps, answer)))
        assert rule(steps, min(1.0, answer + 0.1)) >= rule(steps, answer)


def test_vote_clusters_by_normal_form() -> None:
    assert vote(["4", "3.0", "three", None, None, None]) == ("3.0", {"4": 1, "3": 2})
    assert vote(["b", "a", "A", "B"]) == ("b", {"b": 2, "a": 2})
    assert vote([None, "x", None]) == ("x", {"x": 1})
    assert vote([None, None]) == vote([]) == (None, {})


def test_weighted_vote_sums_clusters() -> None:
    assert weighted_vote(["3", "4", "4.0"], [0.7, 0.4, 0.4]) == ("4", {"3": 0.7, "4": 0.8})
    assert weighted_vote(["a", "b"], [0.5, 0.5])[0] == "a"
    assert weighted_vote(["a", "b", "b"], [0.3, WORST, math.nan]) == ("a", {"a": 0.3, "b": 0.0})
    assert weighted_vote([None, "b"], [0.9, 0.0])[0] == "b"
    assert weighted_vote(["a", "b"], [WORST, WORST])[0] == "a"
    assert weighted_vote([None], [0.9]) == (None, {})
    with pytest.raises(ValueError, match="not negative"):
        weighted_vote(["a"], [-0.1])
    with pytest.raises(ValueError, match="longer"):
        weighted_vote(["a"], [0.1, 0.2])


@given(ANSWERS)
def test_equal_weights_vote_like_heads(answers: list[str | None]) -> None:
    winner, counts = vote(answers)
    assert weighted_vote(answers, [1.0] * len(answers)) == (winner, counts)
    assert sum(counts.values()) == sum(answer is not None for answer in answers)
    assert (winner is None) == all(answer is None for answer in answers)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.floats(0, 1)), max_size=6))
def test_sums_do_not_depend_on_the_order(pairs: list[tuple[str | None, float]]) -> None:
    for order in itertools.islice(itertools.permutations(pairs), 50):
        sums = weighted_vote([answer for answer, _ in order], [score for _, score in order])[1]
        assert sums == weighted_vote([answer for answer, _ in pairs], [score for _, score in pairs])[1]


def test_best() -> None:
    assert best([0.1, 0.9, 0.9]) == 1
    assert best([math.nan, WORST, 0.0]) == 2
    assert best([math.nan, math.nan]) == best([WORST, math.nan]) == 0
    with pytest.raises(ValueError, match="no scores"):
        best([])


def test_tie_rate_and_harmful_ties() -> None:
    pools = [[0.9, 0.9, 0.1], [0.9, 0.8, 0.8], [0.5, 0.5], [0.5, 0.5]]
    assert tie_rate(pools) == 0.75
    assert tie_rate(pools, [["3", "3.0", "4"], ["1", "2", "3"], ["a", "b"], ["a", None]]) == 0.5
    assert tie_rate([]) == 0.0
