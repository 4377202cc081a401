"""The policy on a server: greedy it writes what the local engine writes; requests are few, plain, and in vLLM's dialect."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import Served, serving
from PIL import Image

from cos.__main__ import main
from cos.chain import Chain, Step
from cos.engine.remote import RemotePolicy, plain, plain_piece
from cos.engine.server import Server
from cos.engine.torch_engine import TorchPolicy
from cos.errors import UserError
from cos.label import speaker, verdicts
from cos.models import embedded
from cos.models.scripted import ScriptedScorer
from cos.models.vlm import VLM, load
from cos.problems import draw, problems
from cos.protocols import Draw, Piece, Policy, Prompt, ToRead
from cos.search.asking import Settings
from cos.search.scheduler import solve
from cos.template import ANSWER_END, FORMAT_TOKENS, STEP_END, pieces

GREEDY = Draw(0, 7, (0,), temperature=0.0, max_tokens=60, max_steps=6, to="answer")
CHAIN = pieces(Chain((Step("Look", "There is a red bar", "it is seen"), Step("Say", "It is 7 high", "as read")), "7"))


@pytest.fixture(scope="module")
def vlm() -> VLM:
    return load(embedded.path("policy"))


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    (problem,) = problems("charts:test", 1)
    return [Prompt(problem.question, draw(problem)), Prompt("How many red?")]


@pytest.fixture(scope="module")
def remote(vlm: VLM) -> Iterator[tuple[RemotePolicy, list[tuple[str, dict[str, Any]]]]]:
    with serving(Served(vlm)) as server:
        yield RemotePolicy(Server(server.name)), server.seen


def said(row: list[Piece]) -> list[tuple[str, tuple[int, ...], str]]:
    return [(piece.text, piece.tokens, piece.ending) for piece in row]


def test_greedy_is_the_local_engine_whole_and_step_by_step(vlm: VLM, remote: tuple[RemotePolicy, list[Any]], prompts: list[Prompt]) -> None:
    policy, seen = remote
    local, rows = TorchPolicy(vlm), {}
    policies: tuple[Policy, ...] = (local, policy)
    for one in policies:
        seen.clear()
        opened = one.open([*prompts, prompts[0]])
        asks = [replace(GREEDY, parent=root.handle, path=(i,)) for i, root in enumerate(opened)]
        rows[one] = [(root.prefill_tokens, root.vision_calls) for root in opened], one.draw(asks)
    assert rows[policy][0] == rows[local][0] and rows[policy][0][0][1] == 1
    for here, there in zip(rows[local][1], rows[policy][1], strict=True):
        assert said(there) == said(here) and here[-1].ending in ("answer", "cut")
        assert [piece.logprob for piece in there] == pytest.approx([piece.logprob for piece in here], abs=2e-3)
    assert [path for path, _ in seen].count("/v1/chat/completions") == 2 + 2  # two prompts opened once, two equal ones drawn once each
    assert [path for path, _ in seen].count("/v1/completions") == 1  # the one without a picture goes as tokens
    whole = rows[policy][1][0]
    parent = policy.open(prompts[:1])[0].handle
    for piece in whole[:2]:
        ((step,),) = policy.draw([replace(GREEDY, parent=parent, to="step")])
        assert (step.text, step.tokens) == (piece.text, piece.tokens) and step.text.endswith(STEP_END)
        parent = step.handle


def test_going_on_from_given_pieces_is_what_the_local_engine_does(
    vlm: VLM, remote: tuple[RemotePolicy, list[Any]], prompts: list[Prompt]
) -> None:
    found = []
    for one in (TorchPolicy(vlm), remote[0]):
        opened = one.open(prompts)
        read = one.read([ToRead(root.handle, tuple(CHAIN[:2])) for root in opened])
        rows = one.draw([replace(GREEDY, parent=given.handles[1], to="step", max_tokens=20) for given in read])
        found.append(([given.tokens for given in read], [said(row) for row in rows]))
    assert found[0] == found[1]


def scripted(path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """Writes two steps and an answer, a word a token, and different ones for each of n."""
    if path == "/tokenize":
        return {"tokens": [len(body["prompt"])] if body["prompt"] in {*FORMAT_TOKENS, "<image>"} else [1, 2]}
    choices = []
    last = body["messages"][-1]
    for index in range(body.get("n", 1)):
        texts = pieces(Chain((Step("Look", f"I see {index}", "so"), Step("Say", "it is so", "so")), str(index)))
        left = texts[last["content"].count(STEP_END) if last["role"] == "assistant" else 0 :]
        words = [word for text in (left if STEP_END not in body.get("stop", []) else left[:1]) for word in text.split(" ")]
        entries = [{"token": word + " " * (word[-1] != ">"), "logprob": -0.5} for word in words][: body["max_tokens"]]
        text = "".join(str(entry["token"]) for entry in entries)
        choices.append({"index": index, "message": {"content": text}, "logprobs": {"content": entries}})
    return {"choices": choices[::-1], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}


def test_many_draws_below_one_place_are_one_request_with_a_seed_of_the_search() -> None:
    with serving(scripted) as server:
        policy = RemotePolicy(Server(server.name))
        root, other = policy.open([Prompt("How many?"), Prompt("How few?")])
        server.seen.clear()
        ask = Draw(root.handle, 3, (0,), max_tokens=50, to="step")
        rows = policy.draw([replace(ask, path=(i,)) for i in range(5)] + [replace(ask, parent=other.handle), replace(ask, temperature=0.0)])
        bodies = [body for _, body in server.seen]
        assert sorted(body["n"] for body in bodies) == [1, 1, 5]
        assert [f"I see {i}" in row[0].text for i, row in enumerate(rows[:5])] == [True] * 5  # in order, whatever order they came in
        assert all(row[0].text.endswith(STEP_END) and row[0].ending == "step" for row in rows)
        assert len({body["seed"] for body in bodies}) == 1 and bodies[0]["stop"] == [STEP_END, ANSWER_END]
        assert bodies[0]["logit_bias"] == {str(len("<image>")): -100.0}
        again = policy.draw([replace(ask, seed=4)])
        assert server.seen[-1][1]["seed"] != bodies[0]["seed"] and again[0][0].logprob == pytest.approx(-0.5 * len(again[0][0].tokens))


def test_a_whole_chain_is_cut_into_its_pieces_and_at_the_limits() -> None:
    with serving(scripted) as server:
        policy = RemotePolicy(Server(server.name))
        (root,) = policy.open([Prompt("How many?")])
        ask = Draw(root.handle, 3, (0,), max_tokens=50, max_steps=4, to="answer")
        (row,) = policy.draw([ask])
        expected = pieces(Chain((Step("Look", "I see 0", "so"), Step("Say", "it is so", "so")), "0"))
        assert [piece.text for piece in row] == expected and [piece.ending for piece in row] == ["step", "step", "answer"]
        assert [len(piece.tokens) for piece in row] == [len(text.split(" ")) for text in expected]
        (short,) = policy.draw([replace(ask, max_steps=2)])
        assert [piece.text for piece in short] == expected[:2]
        (cut,) = policy.draw([replace(ask, max_tokens=2)])
        assert [(piece.ending, len(piece.tokens)) for piece in cut] == [("cut", 2)]
        ((step,),) = policy.draw([replace(ask, parent=row[0].handle, to="step")])
        message = server.seen[-1][1]["messages"][-1]
        assert (step.text, message) == (expected[1], {"role": "assistant", "content": expected[0]})
        policy.close([root.handle])
        assert not policy._places.at


def tenth(fault: str) -> Callable[[int, str], str]:
    return lambda number, path: fault if number % 10 == 0 else ""


def test_a_search_is_the_same_on_a_server_that_drops_every_tenth_request_and_babbles() -> None:
    traces = []
    for fault in ("", "drop", "malformed"):
        with serving(scripted, fault=tenth(fault)) as server:
            policy = RemotePolicy(Server(server.name, first_wait=0.01))
            trace = solve(Prompt("How many?"), policy, ScriptedScorer(), "step_beam", Settings(n=4, width=4))
            traces.append([(node.path, node.text, node.tokens, node.reward) for node in trace.nodes])
            assert trace.answer in {"0", "1", "2", "3"} and trace.meter.policy_prefill == 9 and server.count > 30
    assert traces[0] == traces[1] == traces[2]


def test_a_server_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    words = ["How many?", "--method", "vote", "--n", "2", "--json", "--reward", "scripted"]
    with serving(scripted) as server:
        assert main(["solve", str(tmp_path / "a.png"), *words, "--policy", server.name]) == 0
        assert json.loads(capsys.readouterr().out)["answer"] in {"0", "1"}
    assert main(["solve", str(tmp_path / "a.png"), *words, "--policy", server.name]) == 2
    assert capsys.readouterr().err.strip().count("\n") == 0


def test_a_servers_model_without_chains_can_still_speak() -> None:
    def talks(path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if path == "/tokenize":
            return {"tokens": [1, 2, 3]}
        said = {"content": [{"token": "Answer: Good<|im_end|>", "logprob": -0.1}]}
        choice = {"index": 0, "message": {"content": "Answer: Good<|im_end|>"}, "logprobs": said, "token_ids": [5]}
        return {"choices": [choice], "usage": {"prompt_tokens": 9}}

    with serving(talks) as server:
        (reply,) = speaker(RemotePolicy(Server(server.name), chains=False))([Prompt("Judge.")])
        assert verdicts(reply.text, Chain((), "7")) == ["good"] and reply.meter.policy_decode == 1


def test_a_model_without_the_format_tokens_is_refused() -> None:
    with serving(lambda path, body: {"tokens": [1, 2, 3]}) as server, pytest.raises(UserError, match="lacks the format tokens"):
        RemotePolicy(Server(server.name))


@given(st.lists(st.sampled_from(["<|", "|>", "<", ">", "/s", "[", "[INST]", "image", " ", *FORMAT_TOKENS])).map("".join))
def test_nothing_in_plain_text_is_a_mark(text: str) -> None:
    made = plain(text)
    assert made.replace("\u200b", "") == text
    assert not any(mark in made for mark in (*FORMAT_TOKENS, "</s>", "<image>", "[INST]", "<|image|>"))
    assert [mark for mark in FORMAT_TOKENS if mark in plain_piece(text)] == [mark for mark in FORMAT_TOKENS if mark in text]
