"""The trace: replay, files, and that arbitrary scripts leave every draw in it with a status."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cos.chain import Chain, Step
from cos.errors import UserError
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.protocols import Piece, Prompt
from cos.search.growth import Search
from cos.search.methods import METHODS, Settings
from cos.search.scheduler import run, solve
from cos.search.select import select
from cos.search.trace import STATUSES, Node, SearchTrace, append_event, without_times
from cos.template import FORMAT_TOKENS, pieces

PROMPT = Prompt("is it red")


def trace_of(method: str = "step_beam", **options: int) -> SearchTrace:
    return solve(PROMPT, ScriptedPolicy(), ScriptedScorer(), method, Settings(**{"n": 8, "width": 3, **options}))  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_file_journal_and_replay_give_the_same_trace(method: str, tmp_path: Path) -> None:
    search = Search(PROMPT, method, Settings(n=6), problem="p-1", gold="yes")
    for _, event in run([search], ScriptedPolicy(), ScriptedScorer()):
        append_event(tmp_path / "run.jsonl", event)
    search.trace.save(tmp_path / "deep" / "trace.json")
    whole = search.trace.to_json()
    assert SearchTrace.load(tmp_path / "deep" / "trace.json").to_json() == whole
    assert SearchTrace.load(tmp_path / "run.jsonl").to_json() == whole
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["trace.json"]
    for k in range(len(search.trace.events)):
        part = SearchTrace.replay(search.trace.events[:k])
        assert part.ended is None and len(part.nodes) <= len(search.trace.nodes)
    assert (search.trace.problem, search.trace.gold) == ("p-1", "yes")


def test_a_journal_cut_off_in_the_middle_of_a_line_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    events = trace_of().events
    for event in events:
        append_event(tmp_path / "run.jsonl", event)
    text = (tmp_path / "run.jsonl").read_text("utf-8")
    (tmp_path / "run.jsonl").write_text(text[:-20], "utf-8")
    assert len(SearchTrace.load(tmp_path / "run.jsonl").events) == len(events) - 1


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"schema": "cos.trace/9"}', '{"schema": "cos.trace/1"}', '{"schema": "cos.trace/1", "events": [{}]}']
)
@pytest.mark.parametrize("name", ["t.json", "t.jsonl"])
def test_files_that_are_no_traces_are_refused_in_one_line(text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text + "\n" * (name == "t.jsonl"))
    with pytest.raises(UserError) as refusal:
        SearchTrace.load(tmp_path / name)
    assert name in str(refusal.value) and "\n" not in str(refusal.value)
    with pytest.raises(UserError, match=r"no\.json"):
        SearchTrace.load(tmp_path / "no.json")


def test_unknown_kind_and_status_are_refused() -> None:
    events = trace_of().events
    for change in ({"kind": "exploded"}, {"kind": "decided", "nodes": [{"id": 1, "status": "lost", "why": ""}]}):
        with pytest.raises(ValueError):
            SearchTrace.replay([*events[:3], {**events[3], **change}])


def test_helpers_walk_the_tree() -> None:
    trace = trace_of(seed=4)
    leaf = trace.nodes[trace.chosen or 0]
    line = trace.line(leaf)
    assert line[0].parent == 0 and line[-1] is leaf and [n.depth for n in line] == list(range(1, len(line) + 1))
    assert all(node.status == "chosen" for node in line)
    chain = trace.chain(leaf)
    assert pieces(chain) == [node.text for node in line]
    assert trace.rewards(leaf) == ([n.reward for n in line[:-1]], leaf.reward)
    assert trace.answer == chain.answer and trace.answer_reward == leaf.reward
    assert trace.frontier(1) == [trace.root]
    assert {node.parent for node in trace.nodes if node.round == 2} == {node.id for node in trace.frontier(2)}
    assert all(leaf.id not in {n.parent for n in trace.nodes} for leaf in trace.leaves())
    assert trace.children(trace.root) == [node for node in trace.nodes if node.depth == 1]


def test_times_stand_under_one_key() -> None:
    stripped = json.dumps(trace_of().to_json(times=False))
    assert "seconds" not in stripped
    assert without_times([{"seconds": 1, "a": [{"seconds": 2, "b": 3}]}]) == [{"a": [{"b": 3}]}]


def test_selectors_agree_with_the_methods_on_the_same_pool() -> None:
    for seed in range(6):
        pool = trace_of("best_of_n", n=16, seed=seed)
        for method in ("sample", "vote", "best_of_n", "weighted_vote"):
            for n in (1, 4, 16):
                assert select(pool, method, n=n) == trace_of(method, n=n, seed=seed).answer
    with pytest.raises(UserError, match="can't be recomputed"):
        select(pool, "step_beam")


bits = st.one_of(
    st.sampled_from([*FORMAT_TOKENS, *pieces(Chain((Step("a", "b", "c"),) * 2, "5")), "\n", "<|reasoning_start|>\n"]),
    st.text(max_size=6),
)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.lists(bits, max_size=5).map("".join), min_size=1, max_size=6),
    seed=st.integers(0, 99),
    method=st.sampled_from(list(METHODS)),
)
def test_no_script_breaks_a_search_and_every_draw_is_in_its_trace(texts: list[str], seed: int, method: str) -> None:
    drawn: list[Piece] = []

    class Watched(ScriptedPolicy):
        def draw(self, requests):  # type: ignore[no-untyped-def]
            results = super().draw(requests)
            drawn.extend(piece for result in results for piece in result)
            return results

    def script(prompt: Prompt, before: tuple[str, ...], rng: random.Random) -> str:
        right = pieces(Chain((Step("a", str(rng.randrange(3)), "c"),) * (len(before) + 1), "5"))
        return rng.choice([right[len(before)], right[-1], *texts]) if before or rng.random() < 0.5 else right[0]

    search = Search(PROMPT, method, Settings(n=5, width=2, max_steps=4, max_tokens=30, seed=seed), score_all=True)
    for _ in run([search], Watched(script), ScriptedScorer()):
        pass
    trace = search.trace
    assert trace.ended in ("answered", "no_answer"), trace.ended_why
    assert sum((node.count for node in trace.nodes[1:]), 0) == len(drawn)
    assert sum([len(piece.tokens) for piece in drawn]) == trace.meter.policy_decode
    for node in trace.nodes[1:]:
        assert node.status in STATUSES and node.status != "open"
        assert node.why or node.status in ("kept", "chosen", "finished")
        assert (node.status in ("cut", "malformed")) or node.is_step or node.answer is not None
    assert SearchTrace.from_json(json.loads(json.dumps(trace.to_json()))).to_json() == trace.to_json()


def test_node_json_is_a_round_trip() -> None:
    node = Node(3, 1, (0, 2), 2, text="x", answer="5", merged=[[0, 4]], reward=0.5, status="finished")
    again = Node.from_json({**json.loads(json.dumps(node.to_json())), "newer": 1})
    assert again.to_json() == node.to_json() and again.count == 2


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("ended", lambda event: event.update(ended="perhaps"), "ending 'perhaps' is none of"),
        ("expanded", lambda event: event["nodes"][0].update(name=7), "name 7 is no text"),
        ("scored", lambda event: event["rewards"][0].__setitem__(1, "high"), "reward 'high' is no number"),
    ],
)
def test_a_trace_that_was_tampered_with_is_one_line(kind: str, change: Any, reason: str) -> None:
    row = json.loads(json.dumps(solve(Prompt("How many?"), ScriptedPolicy(), ScriptedScorer(), "best_of_n", Settings(n=2)).to_json()))
    change(next(event for event in row["events"] if event["kind"] == kind))
    with pytest.raises(UserError, match=f"damaged .*{reason}"):
        SearchTrace.from_json(row)
