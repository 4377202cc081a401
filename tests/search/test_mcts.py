"""MCTS: PUCT by hand, whole searches against a plain reference, budgets, roll-outs."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from search_scripts import PROMPT, STEPS, by_hash, lengths, numbers, step_text

from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.protocols import Prompt
from cos.search.asking import Settings
from cos.search.growth import Search
from cos.search.mcts import puct
from cos.search.scheduler import run, solve
from cos.search.trace import SearchTrace


def searched(script: Any = numbers, rule: Any = by_hash, **options: Any) -> SearchTrace:
    return solve(PROMPT, ScriptedPolicy(script), ScriptedScorer(rule), "mcts", Settings(**options))


def test_puct_by_hand() -> None:
    c = 1.25 + math.log(19669 / 19652)
    assert puct(0.5, 0.25, 3, 16, 1.25) == pytest.approx(0.5 + c * 0.25 * 4 / 4)
    assert puct(0.5, 0.25, 0, 16, 1.25) == pytest.approx(0.5 + c * 0.25 * 4)
    assert puct(0.7, 0.9, 5, 100, 0.0) == 0.7


class Seen:
    """A node of the reference."""

    def __init__(self, path: tuple[int, ...], texts: tuple[str, ...], score: float) -> None:
        self.path, self.texts, self.score = path, texts, score
        self.children: list[Seen] = []

    def values(self) -> list[float]:
        """The values at and below it."""
        return ([self.score] if self.path else []) + [value for child in self.children for value in child.values()]

    def over(self) -> bool:
        return len(self.texts) > STEPS or (bool(self.children) and all(child.over() for child in self.children))


def reference(n: int, width: int, seed: int, constant: float) -> list[tuple[int, ...]]:
    """Paths gone on from, in order. No two draws are alike, so every prior is 1 / width; every chain has STEPS + 1 pieces."""
    root, order = Seen((), (), 1.0), list[tuple[int, ...]]()

    def urgency(node: Seen, child: Seen) -> float:
        above, values = len(node.values()), child.values()
        c = math.log((above + 19652 + 1) / 19652) + constant
        return sum(values) / len(values) + c / width * math.sqrt(above) / (1 + len(values))

    while not root.over():
        node = root
        while len(node.texts) <= STEPS:
            if node.children:
                node = max((child for child in node.children if not child.over()), key=lambda child, node=node: urgency(node, child))  # type: ignore[misc]
                continue
            if (len(order) + 1) * width > n * (STEPS + 1):
                return order
            order.append(node.path)
            for number in range(width):
                path = (*node.path, number)
                texts = (*node.texts, numbers(PROMPT, node.texts, random.Random(repr((seed, path)))))
                node.children.append(Seen(path, texts, node.score * by_hash(PROMPT, texts)))
            if len(node.texts) == STEPS:  # its children are answers
                break
    return order


@pytest.mark.parametrize(("n", "width", "constant"), [(12, 3, 1.25), (20, 2, 0.5), (9, 4, 3.0)])
def test_a_search_is_the_reference(n: int, width: int, constant: float) -> None:
    for seed in range(3):
        trace = searched(n=n, width=width, exploration=constant, seed=seed)
        expanded = [trace.nodes[node.parent or 0].path for node in trace.nodes[1:]]
        assert list(dict.fromkeys(expanded)) == reference(n, width, seed, constant)


@pytest.mark.parametrize("value", ["reward", "rollout"])
def test_the_budget_is_that_of_n_chains_and_each_node_is_scored_once(value: str) -> None:
    trace = searched(n=12, width=4, mcts_value=value)
    assert 12 * (STEPS + 1) - 4 * (STEPS + 1) < sum(node.count for node in trace.nodes[1:]) <= 12 * (STEPS + 1) + 4 * STEPS
    assert trace.meter.reward_calls == len(trace.nodes) - 1
    assert trace.meter.reward_step == trace.meter.policy_decode + len(trace.nodes) - 1  # T M L and T M (L + 1)
    assert trace.answer_score == max(
        0.2 * sum(n.reward or 0 for n in trace.line(leaf)[:-1]) / STEPS + 0.8 * (leaf.reward or 0) for leaf in trace.pool()
    )


def test_a_tree_that_is_drawn_out_ends_before_its_budget() -> None:
    def one(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        return numbers(prompt, texts, random.Random(0))  # each text has one way to go on

    trace = searched(one, n=50, width=3)
    assert trace.ended == "answered" and len(trace.nodes) == 1 + STEPS + 1
    assert sum(node.count for node in trace.nodes[1:]) == 3 * (STEPS + 1)


def test_with_roll_outs_a_child_is_worth_what_comes_of_it() -> None:
    trace = searched(n=8, width=4, mcts_value="rollout")
    pool = solve(PROMPT, ScriptedPolicy(numbers), ScriptedScorer(by_hash), "best_of_n", Settings(n=4))
    first = [leaf for leaf in trace.pool() if leaf.round == 2]  # four children, and a roll-out of each: on their own streams
    assert [trace.chain(leaf) for leaf in first] == [pool.chain(leaf) for leaf in pool.pool()]
    scores = [0.2 * sum(n.reward or 0 for n in trace.line(leaf)[:-1]) / STEPS + 0.8 * (leaf.reward or 0) for leaf in first]
    second = next(node.parent for node in trace.nodes if node.round == 3)
    assert second == trace.line(first[scores.index(max(scores))])[0].id
    first_step, later, answer = lengths()
    assert sum(node.tokens for node in trace.nodes if node.round <= 2) == 4 * (first_step + (STEPS - 1) * later + answer)


def test_paths_that_come_to_nothing_are_left() -> None:
    def endless(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        return step_text(len(texts), str(rng.getrandbits(60)))

    for value in ("reward", "rollout"):
        trace = searched(endless, n=8, width=2, max_steps=3, mcts_value=value)
        assert trace.ended == "no_answer" and not [node for node in trace.nodes if node.status == "open"]


def test_a_given_start_that_nothing_comes_of_ends_without_an_answer() -> None:
    search = Search(PROMPT, "mcts", Settings(n=4, width=2), given=(step_text(0, "1"),))
    for _ in run([search], ScriptedPolicy(lambda prompt, texts, rng: "no step at all"), ScriptedScorer(by_hash)):
        pass
    assert search.trace.ended == "no_answer"
