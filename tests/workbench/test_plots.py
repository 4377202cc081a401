"""Figures: the numbers they hold are the records' numbers, and no text becomes markup."""

from __future__ import annotations

import pytest

from cos.search.trace import SearchTrace
from workbench.plots import accuracy_by_cost, accuracy_curves, cost_by_kind, differences, reward_by_step


def trace_with(rewards: list[float], name: str = "Read") -> SearchTrace:
    trace = SearchTrace()
    last = len(rewards)
    rows = [{"id": i, "parent": i - 1, "path": [0] * i, "depth": i, "status": "open", "reward": r} for i, r in enumerate(rewards, start=1)]
    for row in rows[:-1]:
        row["name"] = name
    rows[-1]["answer"] = "<b>4</b>"
    trace.apply({"kind": "expanded", "round": 1, "nodes": rows, "merged": []})
    trace.apply({"kind": "answered", "round": 1, "answer": "4", "chosen": last, "reward": 0.5, "score": None, "why": ""})
    return trace


def test_rewards_stand_at_their_steps() -> None:
    figure = reward_by_step({"step_beam": trace_with([0.9, 0.4, 0.8]), "vote": SearchTrace()}, threshold=0.3)
    (line,) = figure.data
    assert (list(line.x), list(line.y), line.name) == ([1, 2, 3], [0.9, 0.4, 0.8], "step beam")
    assert figure.layout.shapes[0].y0 == 0.3


def test_text_is_no_markup() -> None:
    (line,) = reward_by_step({"m": trace_with([0.5, 0.5], '<a href="x">y</a>')}).data
    assert all("<" not in text for text in line.text)


def test_accuracy_lines_are_sorted_by_cost_with_their_intervals() -> None:
    rows = [
        {"method": "vote", "n": 16, "accuracy": 0.5, "ci95": [0.4, 0.65], "tokens": 900.0},
        {"method": "vote", "n": 4, "accuracy": 0.4, "ci95": [0.35, 0.45], "tokens": 300.0},
        {"method": "greedy", "n": 1, "accuracy": 0.3, "tokens": 90.0},
    ]
    vote, greedy = accuracy_by_cost(rows).data
    assert list(vote.x) == [300.0, 900.0] and list(vote.y) == [0.4, 0.5]
    assert vote.error_y.array == pytest.approx((0.05, 0.15)) and vote.error_y.arrayminus == pytest.approx((0.05, 0.1))
    assert list(greedy.error_y.array) == [0.0]
    assert accuracy_by_cost(rows, "n").layout.xaxis.type == "linear"
    with pytest.raises(KeyError):
        accuracy_by_cost(rows, "watts")


def test_curves_over_n_and_over_flops_show_the_same_points() -> None:
    rows = [
        {"method": "vote", "n": 16, "accuracy": 0.5, "ci95": [0.4, 0.65], "flops": 9e9},
        {"method": "vote", "n": 4, "accuracy": 0.4, "ci95": [0.35, 0.45], "flops": 3e9},
        {"method": "free", "n": 1, "accuracy": 0.3, "ci95": [0.2, 0.4], "flops": 0.0},
    ]
    lines = accuracy_curves(rows, {1: 0.3, 4: 0.6, 16: 0.9}).data
    found = [(line.name, list(line.x), list(line.y), line.xaxis) for line in lines]
    assert found == [
        ("vote", [4, 16], [0.4, 0.5], "x"),
        ("free", [1], [0.3], "x"),
        ("vote", [3e9, 9e9], [0.4, 0.5], "x2"),  # what has no known FLOPs can't stand on a scale of them
        ("pass@N", [1, 4, 16], [0.3, 0.6, 0.9], "x"),
    ]
    assert [line.showlegend for line in lines[:3]] == [True, True, False]


def test_costs_are_stacked_by_kind() -> None:
    trace = trace_with([0.5, 0.5])
    trace.meter.policy_decode, trace.meter.reward_step = 70, 30
    figure = cost_by_kind({"step_beam": trace, "none": SearchTrace()})
    assert {bar.name: list(bar.x) for bar in figure.data} == {
        "policy reads": [0, 0],
        "policy writes": [70, 0],
        "reward reads": [0, 0],
        "reward judges": [30, 0],
    }
    assert figure.layout.barmode == "stack" and list(figure.data[0].y) == ["step beam", "none"]


def test_differences_carry_their_intervals_and_what_is_sure_is_filled() -> None:
    pairs = [
        {"ours": "step_beam", "theirs": "vote", "difference": 0.1, "ci95": [0.04, 0.2], "p_holm": 0.01},
        {"ours": "best_of_n", "theirs": "vote", "difference": -0.02, "ci95": [-0.1, 0.05], "p_holm": 0.6},
    ]
    (points,) = differences(pairs).data
    assert list(points.x) == [0.1, -0.02] and list(points.y) == ["step beam - vote", "best of n - vote"]
    assert points.error_x.array == pytest.approx((0.1, 0.07)) and points.error_x.arrayminus == pytest.approx((0.06, 0.08))
    assert list(points.marker.symbol) == ["circle", "circle-open"]
