"""Beam searches against a plain reference, and what each does that the others don't."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from search_scripts import PROMPT, STEPS, answer_text, by_hash, lengths, numbers, step_text

from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.protocols import Prompt
from cos.search.asking import Settings
from cos.search.growth import Search
from cos.search.scheduler import run, solve
from cos.search.trace import SearchTrace

Path = tuple[int, ...]


class Reference:
    """Beams over plain tuples. A path is (name of its stream, texts, product of its rewards); no two texts are equal."""

    def __init__(self, n: int, seed: int) -> None:
        self.n, self.seed, self.found = n, seed, dict[tuple[str, ...], float]()

    def draw(self, path: Path, texts: tuple[str, ...]) -> tuple[str, ...]:
        return (*texts, numbers(PROMPT, texts, random.Random(repr((self.seed, path)))))

    def children(self, live: list[Any], n: int) -> list[Any]:
        """`n` draws, spread evenly; those that end in an answer are put aside."""
        made: Counter[Path] = Counter()
        children = []
        for i in range(n):
            path, texts, score = live[i * len(live) // n]
            drawn = self.draw((*path, made[path]), texts)
            children.append(((*path, made[path]), drawn, score * by_hash(PROMPT, drawn)))
            made[path] += 1
        self.found |= {texts: score for _, texts, score in children if len(texts) > STEPS}
        return [child for child in children if len(child[1]) <= STEPS]

    def beam(self, width: Callable[[int], int]) -> set[tuple[str, ...]]:
        """The chains that a beam comes to, its width given by the round (from 0)."""
        live: list[Any] = [((), (), 1.0)]
        for round in range(STEPS + 1):
            live = sorted(self.children(live, self.n), key=lambda child: -child[2])[: width(round)]
        return set(self.found)


def chains(trace: SearchTrace) -> set[tuple[str, ...]]:
    return {tuple(node.text for node in trace.line(leaf)) for leaf in trace.pool()}


def searched(method: str, settings: Settings, script: Any = numbers, rule: Any = by_hash) -> SearchTrace:
    return solve(PROMPT, ScriptedPolicy(script), ScriptedScorer(rule), method, settings)


@pytest.mark.parametrize(("n", "width"), [(12, 3), (16, 4), (7, 3), (5, 5), (6, 1)])
def test_a_beam_is_the_reference(n: int, width: int) -> None:
    for seed in range(3):
        assert chains(searched("step_beam", Settings(n=n, width=width, seed=seed))) == Reference(n, seed).beam(lambda round: width)


@pytest.mark.parametrize("anneal", [0.5, 0.7, 1.0])
def test_an_annealed_beam_narrows_from_n_to_its_width(anneal: float) -> None:
    trace = searched("annealed_beam", Settings(n=12, width=2, anneal=anneal))
    assert chains(trace) == Reference(12, 0).beam(lambda round: max(2, math.ceil(12 * anneal**round)))
    assert [len(trace.frontier(round)) for round in (2, 3, 4)] == [max(2, math.ceil(12 * anneal**i)) for i in range(3)]


@pytest.mark.parametrize(("n", "width"), [(12, 3), (16, 4), (7, 3), (3, 8)])
def test_subtrees_are_greedy_searches_that_never_compete(n: int, width: int) -> None:
    k = min(n, width)
    sizes = [n * (i + 1) // k - n * i // k for i in range(k)]
    reference = Reference(n, 0)
    first = reference.children([((), (), 1.0)], n)
    for tree in range(k):
        live = first[sum(sizes[:tree]) : sum(sizes[: tree + 1])]
        while live:
            live = reference.children([max(live, key=lambda child: child[2])], sizes[tree])
    assert chains(searched("dvts", Settings(n=n, width=width))) == set(reference.found)


def test_two_subtrees_may_go_on_from_equal_steps_and_each_has_its_own_draws() -> None:
    def script(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        return step_text(0, "same") if not texts else numbers(prompt, texts, rng)

    trace = searched("dvts", Settings(n=8, width=4), script)
    assert [node.count for node in trace.children(trace.root)] == [8]
    second = [node for node in trace.nodes if node.round == 2]
    assert sum(node.count for node in second) == 8 and sum(node.status in ("kept", "chosen") for node in second) == 4


def trap(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
    """A first step that looks good and leads nowhere, and one that looks less good and leads to the answer."""
    if not texts:
        return step_text(0, rng.choice(["shiny", "plain"]))
    kind = "shiny" if "shiny" in texts[0] else "plain"
    return step_text(1, f"{kind} {rng.getrandbits(60)}") if len(texts) == 1 else answer_text(2, kind)


def trap_rule(prompt: Prompt, texts: tuple[str, ...]) -> float:
    shiny = "shiny" in texts[0]
    return (0.9 if shiny else 0.6) if len(texts) == 1 else 0.1 if shiny else 0.8


def test_looking_ahead_and_going_back_get_out_of_a_trap_that_a_beam_falls_into() -> None:
    for seed in range(4):
        assert searched("step_beam", Settings(n=8, width=1, seed=seed), trap, trap_rule).answer == "shiny"
        assert searched("lookahead", Settings(n=8, width=1, seed=seed), trap, trap_rule).answer == "plain"
        trace = searched("retrace", Settings(n=8, width=1, seed=seed), trap, trap_rule)
        assert trace.answer == "plain"
        # shiny kept; all below it are bad; plain, passed over before, is taken up: 8 equally good steps; their answers
        assert [len({node.parent for node in trace.nodes if node.round == r}) for r in range(1, 5)] == [1, 1, 1, 8]
        assert sum(node.count for node in trace.nodes[1:]) == 4 * 8
        assert any(": back" in node.why for node in trace.nodes)


def test_going_back_has_an_end() -> None:
    bad = searched("retrace", Settings(n=4, width=2, retraces=3), rule=lambda prompt, texts: 0.2)
    assert bad.answer is not None
    assert sum(node.count for node in bad.nodes[1:]) == 4 * (STEPS + 1 + 3)  # each time the first step is redone
    never = searched("retrace", Settings(n=4, width=2, retraces=0), rule=lambda prompt, texts: 0.2)
    assert chains(never) == chains(searched("step_beam", Settings(n=4, width=2), rule=lambda prompt, texts: 0.2))


def test_where_the_policy_has_only_one_way_to_go_on_it_is_gone_in_the_end() -> None:
    def one(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        return numbers(prompt, texts, random.Random(0))

    for good in range(STEPS + 1):  # the first so many pieces look right, the others wrong
        trace = searched("retrace", Settings(n=4, width=2), one, lambda prompt, texts, good=good: 0.9 if len(texts) <= good else 0.1)
        assert trace.answer is not None and len(trace.nodes) == 1 + STEPS + 1


def test_looking_ahead_costs_one_more_piece_a_candidate() -> None:
    n, (first, later, answer) = 16, lengths()
    meter = searched("lookahead", Settings(n=n, width=4)).meter
    ahead = (STEPS - 1) * later + answer  # N (S - 1) L of the cost model, the answer being one of S pieces
    assert meter.policy_decode == n * (first + (STEPS - 1) * later + answer + ahead)
    assert meter.reward_calls == n * (STEPS + 1 + STEPS)


def test_candidates_are_ranked_by_where_they_lead() -> None:
    n, width, seed = 9, 2, 3
    trace = searched("lookahead", Settings(n=n, width=width, seed=seed))
    scores = {}
    for child in trace.children(trace.root):
        tip = numbers(PROMPT, (child.text,), random.Random(repr((PROMPT.question, (child.text,)))))  # what temperature 0 draws
        scores[child.id] = by_hash(PROMPT, (child.text,)) * by_hash(PROMPT, (child.text, tip))
    assert [node.id for node in trace.frontier(3)] == sorted(scores, key=lambda id: -scores[id])[:width]  # round 2 looked ahead


@pytest.mark.parametrize("method", ["step_beam", "annealed_beam", "dvts", "retrace", "rebase", "particle"])
@examples(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 12), width=st.integers(1, 5), kinds=st.integers(1, 4))
def test_a_search_that_cannot_tell_candidates_apart_draws_the_chains_of_best_of_n(
    method: str, seed: int, n: int, width: int, kinds: int
) -> None:
    def few(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        value = str(rng.randrange(kinds))
        return answer_text(len(texts), value) if len(texts) >= 2 and rng.random() < 0.5 else step_text(len(texts), value)

    def drawn(name: str) -> Counter[tuple[str, ...]]:
        trace = searched(name, Settings(n=n, width=width, seed=seed, threshold=0.0), few, lambda prompt, texts: 0.5)
        return Counter({tuple(node.text for node in trace.line(leaf)): leaf.count for leaf in trace.leaves()})

    if method == "dvts":  # there copies are dealt to subtrees: the same number of chains, on other streams
        assert sum(drawn(method).values()) >= n
    elif method in ("rebase", "particle"):  # a path that has ended takes its draws with it
        assert drawn(method) == drawn("best_of_n")
    else:
        assert not drawn("best_of_n") - drawn(method)


def bits(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
    said = "".join("1" if ">1<" in text else "0" for text in texts)
    return answer_text(4, said) if len(texts) == 4 else step_text(len(texts), "1" if rng.random() < 0.4 else "0")


@pytest.mark.parametrize("method", ["step_beam", "annealed_beam", "dvts", "lookahead", "rebase", "particle", "mcts", "retrace"])
def test_with_the_truth_as_reward_a_step_search_finds_more_than_the_pool_holds(method: str) -> None:
    def truth(prompt: Prompt, texts: tuple[str, ...]) -> float:
        return float(">1<" in texts[-1] or ">1111<" in texts[-1])

    searches = [Search(PROMPT, name, Settings(n=12, seed=seed)) for name in (method, "best_of_n") for seed in range(16)]
    for _ in run(searches, ScriptedPolicy(bits), ScriptedScorer(truth)):
        pass
    found = [search.trace.answer == "1111" for search in searches]
    assert sum(found[:16]) > sum(found[16:])


@pytest.mark.parametrize(
    "method", ["step_greedy", "step_beam", "dvts", "annealed_beam", "lookahead", "retrace", "rebase", "particle", "mcts"]
)
def test_verifying_every_g_steps(method: str) -> None:
    whole = searched(method, Settings(n=6, width=2, granularity=STEPS + 1))
    if method not in ("mcts", "step_greedy"):  # which draws `width` a time, or goes on from one alone
        assert chains(whole) == chains(searched("best_of_n", Settings(n=6)))
        assert whole.answer == searched("best_of_n", Settings(n=6)).answer
    two = searched(method, Settings(n=6, width=2, granularity=2))
    assert two.answer is not None and {node.depth for node in two.nodes if node.status == "pruned"} <= {2, 3, 4}


def test_paths_that_are_all_finished_at_once_end_the_search() -> None:
    def two(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        return answer_text(1, str(rng.getrandbits(60))) if texts else step_text(0, str(rng.getrandbits(60)))

    for method in ("step_beam", "annealed_beam", "dvts", "lookahead", "rebase", "particle"):
        trace = searched(method, Settings(n=8, width=4), two, lambda prompt, texts: 0.7)
        assert trace.ended == "answered" and {node.status for node in trace.pool()} == {"finished", "chosen"}
        assert sum(leaf.count for leaf in trace.pool()) == 8 + (8 if method == "lookahead" else 0)


def test_what_was_looked_ahead_to_takes_no_place_of_its_own() -> None:
    """Every draw is the same step, which the look-ahead wrote before: it stands for the round's draws, and for no more."""

    def alike(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        if len(texts) == STEPS:
            return answer_text(STEPS, "1")
        return step_text(len(texts), "same" if texts else str(rng.getrandbits(60)))

    trace = searched("lookahead", Settings(n=4, width=4), alike)
    ranks = {int(of) for node in trace.nodes for of in re.findall(r"rank \d+ of (\d+)", node.why or "")}
    assert ranks == {4}
