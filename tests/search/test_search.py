"""Methods and scheduler together, on scripted models: budgets, choices, order, determinism, failures."""

from __future__ import annotations

import random
from typing import Any

import pytest
from PIL import Image
from search_scripts import PROMPT, STEPS, answer_text, as_bytes, by_hash, finish, lengths, numbers, step_text

from cos.errors import UserError
from cos.models.scripted import IMAGE_TOKENS, ScriptedPolicy, ScriptedScorer, words
from cos.protocols import Costs, Draw, Piece, Prompt
from cos.search.growth import Search
from cos.search.methods import METHODS, Settings
from cos.search.scheduler import solve
from cos.search.select import rechosen, select
from cos.search.trace import SearchTrace


def test_counters_equal_the_formulas_of_the_cost_model() -> None:
    n, width = 16, 4
    image = Image.new("RGB", (8, 8))
    costs = Costs(flops_per_token=10, flops_per_image=1000, kv_bytes_per_token=2)
    first, later, answer = lengths()
    total = first + (STEPS - 1) * later + answer
    c = IMAGE_TOKENS + len(words(PROMPT.question))
    for method in ("best_of_n", "weighted_vote", "step_beam", "dvts", "annealed_beam", "rebase", "particle"):
        policy, scorer = ScriptedPolicy(numbers, costs=costs), ScriptedScorer(by_hash, costs=costs)
        meter = solve(Prompt(PROMPT.question, image), policy, scorer, method, Settings(n=n, width=width)).meter
        assert (meter.policy_prefill, meter.policy_decode) == (c, n * total)
        assert (meter.reward_prefill, meter.reward_step) == (c, n * (total + STEPS + 1))  # one tag a piece
        assert (meter.vision_calls, meter.reward_calls) == (2, n * (STEPS + 1))
        assert meter.flops == 10 * meter.tokens + 2 * 1000
        assert meter.kv_peak_bytes == 2 * meter.tokens
    greedy = solve(Prompt(PROMPT.question, image), ScriptedPolicy(numbers), ScriptedScorer(), "greedy").meter
    assert (greedy.policy_decode, greedy.reward_prefill, greedy.vision_calls) == (total, 0, 1)


def bits(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
    """Four steps that each say 0 or 1, with 1 drawn three times in ten; the answer repeats what the steps said."""
    said = "".join("1" if ">1<" in text else "0" for text in texts)
    return answer_text(4, said) if len(texts) == 4 else step_text(len(texts), "1" if rng.random() < 0.3 else "0")


def ones(prompt: Prompt, texts: tuple[str, ...]) -> float:
    """The truth: a step that says 1 is right, and so is the answer 1111."""
    return float(">1<" in texts[-1] or ">1111<" in texts[-1])


@pytest.mark.parametrize("method", ["step_greedy", "step_beam"])
def test_step_search_finds_the_known_best_where_best_of_n_does_not(method: str) -> None:
    searches = [Search(PROMPT, name, Settings(n=16, width=4, seed=seed)) for name in (method, "best_of_n") for seed in range(20)]
    traces = finish(*searches, policy=ScriptedPolicy(bits), scorer=ScriptedScorer(ones))
    found = [trace.answer == "1111" for trace in traces]
    assert sum(found[:20]) >= 18
    assert sum(found[20:]) <= 7  # pass@16 is 1 - (1 - 0.3 ** 4) ** 16 = 12 %


def test_a_path_with_an_earlier_wrong_step_is_never_kept_before_a_right_one() -> None:
    for trace in finish(
        *[Search(PROMPT, "step_beam", Settings(n=12, width=3, seed=seed)) for seed in range(10)],
        policy=ScriptedPolicy(bits),
        scorer=ScriptedScorer(ones),
    ):
        for round in range(1, 5):
            drawn = [node for node in trace.nodes[1:] if node.round == round]
            right = {node.id: all(n.reward == 1.0 for n in trace.line(node)) for node in drawn}
            if any(right[node.id] for node in drawn if node.status == "pruned"):
                assert all(right[node.id] for node in drawn if node.status in ("kept", "chosen"))


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("greedy", "sample")])
def test_one_candidate_is_one_sample(method: str) -> None:
    settings = Settings(n=1, width=4, seed=5, threshold=0.0)  # nothing to go back from
    one, sample = finish(Search(PROMPT, method, settings), Search(PROMPT, "sample", Settings(seed=5)))
    assert [node.text for node in one.nodes] == [node.text for node in sample.nodes]
    assert one.answer == sample.answer and one.answer is not None
    assert one.meter.policy_decode == sample.meter.policy_decode


def test_greedy_takes_temperature_zero_and_does_not_heed_the_seed() -> None:
    traces = finish(*[Search(PROMPT, "greedy", Settings(seed=seed)) for seed in range(5)])
    assert len({tuple(node.text for node in trace.nodes) for trace in traces}) == 1


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_bytes_whatever_runs_beside(method: str) -> None:
    def search() -> Search:
        return Search(PROMPT, method, Settings(n=8, width=3, seed=11), score_all=True)

    (alone,) = finish(search())
    others = [Search(Prompt(f"is it red {i}"), name, Settings(n=4, seed=i)) for i, name in enumerate(METHODS)]
    after = finish(*others, search())[-1]
    narrow = finish(search(), *others[::-1], rows=5)[0]
    assert as_bytes(alone) == as_bytes(after) == as_bytes(narrow)
    (other,) = finish(Search(PROMPT, method, Settings(n=8, width=3, seed=12)))
    assert method == "greedy" or as_bytes(other) != as_bytes(alone)


def uneven(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
    """Chains of 1 to 5 steps."""
    count = len(texts)
    return answer_text(count, str(rng.getrandbits(60))) if count and rng.random() < 0.3 else step_text(count, str(rng.getrandbits(60)))


def test_finished_beams_are_neither_extended_nor_repeated_and_do_not_crowd_out_live_ones() -> None:
    for seed in range(5):
        trace = solve(PROMPT, ScriptedPolicy(uneven), ScriptedScorer(), "step_beam", Settings(n=12, width=3, max_steps=5, seed=seed))
        parents = {node.parent for node in trace.nodes}
        assert not [node for node in trace.nodes if node.answer is not None and node.id in parents]
        assert len({(node.parent, node.text) for node in trace.nodes}) == len(trace.nodes)
        last_round = max(node.round for node in trace.nodes)
        for round in range(2, last_round + 1):
            live = [node for node in trace.nodes if node.round == round - 1 and node.is_step and node.status != "cut"]
            assert len(trace.frontier(round)) == min(3, len(live))
            assert sum(node.round == round for node in trace.nodes) == 12
        scores = {}
        for leaf in trace.pool():
            steps, answer = trace.rewards(leaf)
            scores[leaf.id] = 0.2 * sum(r or 0 for r in steps) / len(steps) + 0.8 * (answer or 0)
        assert trace.chosen == max(scores, key=lambda id: scores[id])


def test_equal_children_are_merged_scored_once_and_counted_in_votes() -> None:
    def few(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        return answer_text(1, rng.choice("aab")) if texts else step_text(0, "same")

    (trace,) = finish(Search(PROMPT, "weighted_vote", Settings(n=10)), policy=ScriptedPolicy(few), scorer=ScriptedScorer(lambda p, t: 0.5))
    assert trace.nodes[1].count == 10
    assert sum(leaf.count for leaf in trace.pool()) == 10 and len(trace.pool()) <= 2
    assert trace.meter.reward_calls == 1 + len(trace.pool())
    (vote,) = finish(Search(PROMPT, "vote", Settings(n=10)), policy=ScriptedPolicy(few))
    sizes = {leaf.answer: leaf.count for leaf in vote.pool()}
    assert vote.answer == max(sizes, key=lambda answer: sizes[answer])
    assert vote.meter.policy_decode == 10 * (len(words(step_text(0, "same"))) + len(words(answer_text(1, "a"))))


def places(frequent: float, rare: float) -> dict[str, int]:
    """Draws below each first step in round 2 of a beam of width 4, where 9 in 10 first steps say "frequent"."""

    def script(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        return step_text(0, "frequent" if rng.random() < 0.9 else "rare") if not texts else answer_text(1, str(rng.getrandbits(60)))

    def rule(prompt: Prompt, texts: tuple[str, ...]) -> float:
        return frequent if ">frequent<" in texts[0] else rare

    trace = finish(Search(PROMPT, "step_beam", Settings(seed=3)), policy=ScriptedPolicy(script), scorer=ScriptedScorer(rule))[0]
    assert {node.thought: node.count for node in trace.children(trace.root)} == {"frequent": 14, "rare": 2}
    return {str(node.thought): len(trace.children(node)) for node in trace.children(trace.root)}


def test_equal_candidates_keep_their_places_in_the_beam_and_ties_are_shared_in_turn() -> None:
    assert places(0.9, 0.1) == {"frequent": 16, "rare": 0}
    assert places(0.1, 0.9) == {"frequent": 8, "rare": 8}  # two copies of the better one, then two of the other
    assert places(0.5, 0.5) == {"frequent": 14, "rare": 2}  # none is dropped


def test_the_aggregator_decides_in_every_method_that_scores() -> None:
    def two(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        mine = ("even" if ">even<" in texts[0] else "mixed") if texts else rng.choice(["even", "mixed"])
        return step_text(len(texts), mine) if len(texts) < 2 else answer_text(2, mine)

    table = {"even": (0.6, 0.6, 0.5), "mixed": (0.2, 0.9, 0.9)}  # min 0.6 > 0.2; answer 0.5 < 0.9

    def rule(prompt: Prompt, texts: tuple[str, ...]) -> float:
        return table["even" if ">even<" in texts[0] else "mixed"][len(texts) - 1]

    for method in ("best_of_n", "weighted_vote", "step_beam"):
        answers = []
        for aggregator in ("min", "answer"):
            settings = Settings(n=8, width=8, aggregator=aggregator, seed=1)
            answers.append(finish(Search(PROMPT, method, settings), policy=ScriptedPolicy(two), scorer=ScriptedScorer(rule))[0].answer)
        if method != "weighted_vote":  # there the number of votes counts too
            assert answers == ["even", "mixed"]
    kept = []
    for aggregator in ("prod", "last"):
        settings = Settings(n=16, width=1, step_aggregator=aggregator)
        trace = finish(Search(PROMPT, "step_beam", settings), policy=ScriptedPolicy(two), scorer=ScriptedScorer(rule))[0]
        kept.append(trace.answer)
    assert kept == ["even", "even"]  # one parent: the same order
    for aggregator, first in (("prod", "even"), ("last", "mixed")):  # 0.6 x 0.6 > 0.2 x 0.9, but 0.6 < 0.9
        settings = Settings(n=16, width=16, step_aggregator=aggregator)
        trace = finish(Search(PROMPT, "step_beam", settings), policy=ScriptedPolicy(two), scorer=ScriptedScorer(rule))[0]
        (best,) = [node for node in trace.nodes if node.round == 2 and node.why.startswith("rank 1 of 16")]
        assert best.thought == first


@pytest.mark.parametrize("method", ["step_beam", "dvts", "mcts", "rebase", "particle", "retrace", "adaptive_n"])
def test_selector_and_aggregator_of_a_finished_search_change_without_a_model(method: str) -> None:
    for seed in range(4):
        searches = {
            (selector, aggregator): Search(PROMPT, method, Settings(n=8, width=3, seed=seed, selector=selector, aggregator=aggregator))
            for selector in ("best_of_n", "weighted_vote", "vote")
            for aggregator in ("cos", "min", "answer")
        }
        finish(*searches.values(), policy=ScriptedPolicy(bits), scorer=ScriptedScorer(by_hash))
        kept = SearchTrace.from_json(searches["best_of_n", "cos"].trace.to_json())
        for (selector, aggregator), search in searches.items():
            if method != "adaptive_n" or selector == "best_of_n":  # which decides as best_of_n does
                assert select(kept, selector, aggregator) == search.trace.answer
                assert rechosen(kept, selector, aggregator).to_json()["nodes"] == search.trace.to_json()["nodes"]


@pytest.mark.parametrize("method", METHODS)
def test_the_picture_reaches_policy_and_scorer(method: str) -> None:
    def models() -> tuple[ScriptedPolicy, ScriptedScorer]:
        return ScriptedPolicy(needs_image=True), ScriptedScorer(needs_image=True)

    blind, seeing = Prompt("what"), Prompt("what", Image.new("RGB", (9, 9), "red"))
    for prompt, ended in ((blind, "failed"), (seeing, "answered")):
        policy, scorer = models()
        (trace,) = finish(Search(prompt, method, score_all=True), policy=policy, scorer=scorer)
        assert trace.ended == ended
    assert trace.image is not None and len(trace.image["sha256"]) == 64
    assert all(node.reward is not None for node in trace.nodes if node.is_step or node.answer)


def test_rewards_for_display_cost_and_change_nothing() -> None:
    for method in METHODS:
        shown, plain = finish(Search(PROMPT, method, score_all=True), Search(PROMPT, method))
        assert shown.answer == plain.answer
        ours, theirs = shown.to_json(times=False)["meter"], plain.to_json(times=False)["meter"]
        assert ours == theirs


def test_a_path_without_end_is_cut_and_says_so() -> None:
    def endless(prompt: Prompt, texts: tuple[str, ...], rng: random.Random) -> str:
        return step_text(len(texts), "on")

    for method in ("sample", "step_beam"):
        (trace,) = finish(Search(PROMPT, method, Settings(max_steps=3)), policy=ScriptedPolicy(endless))
        assert trace.answer is None and trace.ended == "no_answer" and trace.ended_why.endswith("1 cut")
        assert trace.nodes[-1].why == "4 steps and no answer, limit 3"
    (trace,) = finish(Search(PROMPT, "vote", Settings(max_tokens=7)), policy=ScriptedPolicy(endless))
    assert {node.why for node in trace.leaves()} == {"no end after 7 tokens, limit 7"}


def test_draws_carry_seed_path_and_limits() -> None:
    seen: list[Draw] = []

    class Watched(ScriptedPolicy):
        def draw(self, requests: Any) -> list[list[Piece]]:
            seen.extend(requests)
            return super().draw(requests)

    settings = Settings(n=4, width=2, seed=9, temperature=0.7, top_p=0.9, max_tokens=99)
    finish(Search(PROMPT, "step_beam", settings), policy=Watched())
    assert {(d.seed, d.temperature, d.top_p, d.max_tokens, d.to) for d in seen} == {(9, 0.7, 0.9, 99, "step")}
    assert [d.path for d in seen[:4]] == [(0,), (1,), (2,), (3,)]
    assert len({d.path for d in seen}) == len(seen)


SETTINGS_THAT_MAKE_NO_SEARCH: list[tuple[dict[str, Any], str]] = [
    ({"n": 0}, "n is 0"),
    ({"granularity": 0}, "granularity is 0"),
    ({"top_p": 0.0}, "top_p"),
    ({"aggregator": "best"}, "'best'"),
    ({"selector": "sample"}, "best_of_n, weighted_vote"),
    ({"selector": "weighted_vote", "aggregator": "log_odds"}, "weighted_vote adds scores up"),
    ({"mcts_value": "hope"}, "reward, rollout"),
    ({"particle_output": "worst"}, "best, sampled"),
    ({"anneal": 0.0}, "anneal"),
    ({"certainty": 1.0}, "certainty"),
    ({"softmax_temperature": 0.0}, "softmax_temperature"),
    ({"threshold": 1.5}, "threshold"),
    ({"retraces": -1}, "retraces"),
    ({"exploration": float("nan")}, "exploration"),
]


@pytest.mark.parametrize(("change", "part"), SETTINGS_THAT_MAKE_NO_SEARCH)
def test_settings_that_make_no_search_are_refused(change: dict[str, Any], part: str) -> None:
    with pytest.raises(UserError, match=part):
        Settings(**change)
    with pytest.raises(UserError, match="no search method"):
        Search(PROMPT, "magic")
