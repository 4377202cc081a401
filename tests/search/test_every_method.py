"""Every method by its name, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cos.__main__ import main
from cos.search.methods import FIRST, METHODS, ONE_CHAIN
from cos.search.trace import SearchTrace

ROOT = Path(__file__).parent.parent.parent
NAMES = (
    "greedy sample vote best_of_n weighted_vote step_greedy step_beam dvts annealed_beam lookahead rebase particle mcts retrace adaptive_n"
)


def test_the_methods_are_those_that_were_promised_and_each_is_described() -> None:
    assert set(METHODS) == set(NAMES.split()) and set(FIRST) | ONE_CHAIN <= set(METHODS)
    page = (ROOT / "docs" / "methods.md").read_text("utf-8")
    assert all(method.__doc__ and f"| `{name}` |" in page for name, method in METHODS.items())


def test_evaluation_takes_them_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--policy", "scripted", "--reward", "scripted", "--n", "3", "--width", "2", "--out", str(tmp_path)]
    assert main(["eval", "--set", "all:test", "--limit", "3", "--methods", ",".join(METHODS), *options, "--json"]) == 0
    methods = json.loads(capsys.readouterr().out)["methods"]
    assert set(methods) == set(METHODS)
    for row in methods.values():
        assert row["tokens"] > 0 and row["seconds"] >= 0 and 0 <= row["parse_rate"] <= 1 and "flops" in row


@pytest.mark.parametrize(
    ("method", "options", "kept"),
    [
        ("mcts", ["--mcts-value", "rollout", "--exploration", "2"], {"mcts_value": "rollout", "exploration": 2.0}),
        ("particle", ["--particle-output", "sampled", "--granularity", "2"], {"particle_output": "sampled", "granularity": 2}),
        ("retrace", ["--threshold", "0.3", "--retraces", "1", "--selector", "vote"], {"threshold": 0.3, "retraces": 1, "selector": "vote"}),
        ("rebase", ["--softmax-temperature", "0.5"], {"softmax_temperature": 0.5}),
        ("adaptive_n", ["--certainty", "0.8"], {"certainty": 0.8}),
        ("lookahead", ["--lookahead", "2"], {"lookahead": 2}),
        ("annealed_beam", ["--anneal", "0.7"], {"anneal": 0.7}),
    ],
)
def test_its_options_reach_a_method(method: str, options: list[str], kept: dict[str, object], tmp_path: Path) -> None:
    picture = str(ROOT / "docs" / "pictures" / "chart.png")
    models = ["--policy", "scripted", "--reward", "scripted", "--n", "4", "--trace", str(tmp_path / "t.json")]
    assert main(["solve", picture, "What is it?", "--method", method, *models, *options]) == 0
    settings = SearchTrace.load(tmp_path / "t.json").settings
    assert {key: settings[key] for key in kept} == kept


def test_a_kept_trace_is_shown_as_another_rule_would_have_ended_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, file = str(ROOT / "docs" / "pictures" / "chart.png"), str(tmp_path / "t.json")
    assert main(["solve", picture, "How many?", "--policy", "scripted", "--reward", "scripted", "--trace", file, "--seed", "3"]) == 0
    capsys.readouterr()
    answers = {}
    for rule in ("answer", "min", "max"):
        assert main(["trace", "show", file, "--aggregator", rule, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        scores = {
            leaf["id"]: {"answer": leaf["reward"], "min": min(steps), "max": max(steps)}[rule]
            for leaf in sorted(shown["nodes"], key=lambda node: node["path"])  # of equals the one drawn first
            if leaf["status"] in ("finished", "chosen") and leaf["answer"] is not None
            for steps in [[shown["nodes"][id]["reward"] for id in above(shown["nodes"], leaf)]]
        }
        assert shown["chosen"] == max(scores, key=lambda id: scores[id]) and shown["ended"] == "answered"
        answers[rule] = shown["answer_why"]
    assert len(set(answers.values())) == 3
    assert main(["trace", "show", file, "--selector", "weighted_vote", "--aggregator", "log_odds"]) == 2
    assert "weighted_vote adds scores up" in capsys.readouterr().err


def above(nodes: list[dict[str, Any]], leaf: dict[str, Any]) -> list[int]:
    """Ids of the steps on the way to a leaf."""
    parent = leaf["parent"]
    return [*above(nodes, nodes[parent]), parent] if parent else []
