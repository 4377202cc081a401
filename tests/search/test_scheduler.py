"""The scheduler: budgets of a batch, who waits for whom, progress, and that one bad question ends only its own search."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from search_scripts import PROMPT, STEPS, answer_text, as_bytes, by_hash, numbers, step_text

from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.protocols import Costs, Draw, Piece, Prompt, Scored, ToScore
from cos.search.asking import Settings
from cos.search.growth import Search
from cos.search.methods import METHODS
from cos.search.scheduler import TOKENS, run
from cos.search.trace import SearchTrace

LONG = Prompt("a long story")


class Watched(ScriptedPolicy):
    """Keeps the batches it was asked for, and how many prompts were open then."""

    def __init__(self, script: Any = numbers, costs: Costs | None = None) -> None:
        super().__init__(script, costs=costs)
        self.batches: list[list[Draw]] = []
        self.opened: list[int] = []

    def draw(self, requests: Sequence[Draw]) -> list[list[Piece]]:
        self.batches.append(list(requests))
        self.opened.append(sum(not place.texts for place in self.tree.places.values()))
        return super().draw(requests)


def finish(searches: Sequence[Search], policy: Any, scorer: Any = None, **options: Any) -> list[SearchTrace]:
    for _ in run(searches, policy, scorer or ScriptedScorer(by_hash), **options):
        pass
    return [search.trace for search in searches]


def several(count: int = 6) -> list[Search]:
    return [Search(PROMPT, ("best_of_n", "step_beam", "mcts")[i % 3], Settings(n=8, width=3, seed=i)) for i in range(count)]


def test_a_batch_has_no_more_rows_than_allowed_and_the_traces_are_the_same() -> None:
    free, narrow = Watched(), Watched()
    wanted = [as_bytes(trace) for trace in finish(several(), free)]
    assert [as_bytes(trace) for trace in finish(several(), narrow, rows=10)] == wanted
    assert max(map(len, narrow.batches)) <= 10 < max(map(len, free.batches))
    alone = Watched()
    finish(several(1), alone, rows=3)
    assert {len(batch) for batch in alone.batches} == {3, 2}  # 8 rows


def test_keys_and_values_of_batches_and_live_searches_stay_within_the_memory() -> None:
    costs = Costs(kv_bytes_per_token=2.0)
    free, tight = Watched(costs=costs), Watched(costs=costs)
    wanted = [as_bytes(trace) for trace in finish(several(), free)]
    one = 8 * TOKENS * 2.0
    assert [as_bytes(trace) for trace in finish(several(), tight, memory=2.2 * one)] == wanted
    assert max(free.opened) == 6 and tight.opened[0] == 2  # two by the guess; then by what the first ones came to hold
    own = Watched(costs=Costs(kv_bytes_per_token=2.0, kv_room=2.2 * one))
    assert [as_bytes(trace) for trace in finish(several(), own)] == wanted
    assert (own.opened, [*map(len, own.batches)]) == (tight.opened, [*map(len, tight.batches)])  # by itself as much as it has room for
    rows = Watched(costs=costs)
    assert [as_bytes(trace) for trace in finish(several(1), rows, memory=3.5 * 2.0 * (256 + 5))] == wanted[:1]
    assert max(map(len, rows.batches)) == 3  # a row may come to the prompt's 5 tokens and a step of 256
    assert [as_bytes(trace) for trace in finish(several(1), Watched(costs=costs), memory=0.0)] == wanted[:1]


def story(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
    """Eleven steps for a long story, else those of `numbers`."""
    if prompt == LONG:
        return answer_text(11, "end") if len(texts) == 11 else step_text(len(texts), str(rng.getrandbits(60)))
    return numbers(prompt, texts, rng)


def test_chains_are_drawn_whole_alone_and_piece_by_piece_beside_a_step_search() -> None:
    alone, beside = Watched(story), Watched(story)
    (whole,) = finish([Search(LONG, "best_of_n", Settings(n=3))], alone)
    assert [{draw.to for draw in batch} for batch in alone.batches] == [{"answer"}]
    searches = [Search(LONG, "best_of_n", Settings(n=3)), Search(PROMPT, "step_beam", Settings(n=4, width=2))]
    order = [(event.search, event.data["kind"]) for event in run(searches, beside, ScriptedScorer(by_hash))]
    assert order.index((1, "ended")) < order.index((0, "expanded"))  # the short search has not waited for the long chains
    assert as_bytes(searches[0].trace) == as_bytes(whole)
    assert [len(batch) for batch in beside.batches] == [7] * (STEPS + 1) + [3]
    assert [draw.to for draw in beside.batches[-1]] == ["answer"] * 3  # with nobody left who waits, the rest in one go
    assert {draw.max_steps for draw in beside.batches[-1]} == {Settings.max_steps + 1 - (STEPS + 1)}


def test_a_search_is_taken_up_as_soon_as_rows_are_free() -> None:
    policy = Watched()
    finish(
        [Search(PROMPT, "adaptive_n", Settings(n=6, seed=1)), *[Search(PROMPT, "vote", Settings(n=6, seed=i)) for i in range(3)]],
        policy,
        rows=12,
    )
    assert policy.opened[0] == 2 and max(map(len, policy.batches)) <= 12


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    finish(several(), Watched(), rows=8, progress=lambda ended, of: told.append((ended, of)))
    assert told[0] == (0, 6) and told[-1] == (6, 6)
    assert [ended for ended, _ in told] == sorted({ended for ended, _ in told})


def faulty(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
    """What goes wrong is what the question says."""
    if prompt.question == "nonsense":
        return "<|reasoning_end|> no chain at all"
    if prompt.question == "empty":
        return answer_text(1, "") if texts else step_text(0, "x")
    if prompt.question == "endless":
        return step_text(len(texts), str(rng.getrandbits(60)))
    return numbers(prompt, texts, rng)


class Touchy(ScriptedPolicy):
    """Can't write about one question."""

    def draw(self, requests: Sequence[Draw]) -> list[list[Piece]]:
        if any(self.tree.places[request.parent].prompt.question == "unwritable" for request in requests):
            raise RuntimeError("no kernel for this")
        return super().draw(requests)


class Fragile(ScriptedScorer):
    """Can't score one question."""

    def score(self, requests: Sequence[ToScore]) -> list[Scored]:
        if any(self.tree.places[request.parent].prompt.question == "unscorable" for request in requests):
            raise RuntimeError("no score for this")
        return super().score(requests)


@pytest.mark.parametrize("method", METHODS)
def test_a_bad_question_ends_only_its_own_search_with_the_reason(method: str) -> None:
    questions = ("good", "nonsense", "empty", "endless", "unscorable", "unwritable")
    searches = [Search(Prompt(question), method, Settings(n=4, width=2, max_steps=4)) for question in questions]
    searches.append(Search(Prompt("gone", "no/such/picture.png"), method, Settings(n=4, width=2, max_steps=4)))
    policy, scorer = Touchy(faulty), Fragile(by_hash)
    good, nonsense, empty, endless, unscorable, unwritable, gone = finish(searches, policy, scorer)
    (alone,) = finish([Search(Prompt("good"), method, Settings(n=4, width=2, max_steps=4))], ScriptedPolicy(faulty))
    assert as_bytes(good) == as_bytes(alone)
    assert (nonsense.ended, endless.ended) == ("no_answer", "no_answer")
    assert "malformed" in nonsense.ended_why and "cut" in endless.ended_why
    assert {node.status for node in endless.leaves()} <= {"cut", "pruned"} and all(node.why for node in endless.leaves())
    assert (empty.ended, empty.answer) == ("answered", "")
    if method in ("greedy", "sample", "vote"):
        assert unscorable.ended == "answered"
    else:
        assert (unscorable.ended, unscorable.ended_why) == ("failed", "RuntimeError: no score for this")
    assert (unwritable.ended, unwritable.ended_why) == ("failed", "RuntimeError: no kernel for this")
    assert gone.ended == "failed" and "no/such/picture.png: no such picture" in gone.ended_why
    assert not policy.tree.places and not scorer.tree.places
