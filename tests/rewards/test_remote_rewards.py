"""Rewards over a server: those of the local scorers on the same model; a judge that gives no log-probabilities is asked for verdicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from loopback import Served, serving
from PIL import Image

from cos.chain import Chain, Step
from cos.engine.server import Server
from cos.errors import UserError
from cos.models import embedded
from cos.models.vlm import VLM, load
from cos.problems import draw, problems
from cos.protocols import Prompt, Scorer, ToScore
from cos.rewards.judge import JudgeScorer
from cos.rewards.remote import RemoteJudge, RemoteScorer, RemoteTagScorer
from cos.rewards.step_tag import StepTagScorer
from cos.template import BAD, GOOD, TAG, TAG_TOKENS, pieces

CHAIN = pieces(Chain((Step("Look", "There is a red bar", "it is seen"), Step("Say", "It is 7 high", "as read")), "7"))
PAIRS: list[tuple[Callable[[VLM], Scorer], Callable[[Server], RemoteScorer]]] = [
    (StepTagScorer, RemoteTagScorer),
    (JudgeScorer, RemoteJudge),
]


@pytest.fixture(scope="module")
def vlm() -> VLM:
    return load(embedded.path("reward"))


@pytest.mark.parametrize(("here", "there"), PAIRS, ids=["step tag", "judge"])
def test_rewards_are_those_of_the_local_scorer(vlm: VLM, here: Callable[[VLM], Scorer], there: Callable[[Server], RemoteScorer]) -> None:
    (problem,) = problems("charts:test", 1)
    prompts = [Prompt(problem.question, draw(problem)), Prompt("How many red?")]
    found = []
    with serving(Served(vlm)) as server:
        client = Server(server.name)
        for scorer in (here(vlm), there(client)):
            opened = scorer.open(prompts)
            whole = scorer.score([ToScore(root.handle, tuple(CHAIN)) for root in opened])
            (first,) = scorer.score([ToScore(opened[0].handle, tuple(CHAIN[:1]))])
            (second,) = scorer.score([ToScore(first.handles[0], tuple(CHAIN[1:2]))])
            assert (first.rewards[0], second.rewards[0]) == pytest.approx(whole[0].rewards[:2], abs=1e-4)
            found.append((whole, [root.vision_calls for root in opened], [root.prefill_tokens for root in opened], second.tokens))
            scorer.close([root.handle for root in opened])
        client.close()
    local, remote = found
    assert local[1] == remote[1] == [1, 0]
    for one, other in zip(local[0], remote[0], strict=True):
        assert other.rewards == pytest.approx(one.rewards, abs=1e-3)
    if here is StepTagScorer:  # a judge's chat marks are counted in another place
        assert [scored.tokens for scored in local[0]] == [scored.tokens for scored in remote[0]] and local[2:] == remote[2:]


def scripted(content: list[str], chances: dict[str, float] | None, single: bool = True) -> Callable[[str, dict[str, Any]], Any]:
    """A chat model that says `content`, its first token having these log-probabilities (None: it refuses to give any)."""

    def answer(path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        if path == "/tokenize":
            return {"tokens": [ord(body["prompt"][-2])] if single else [1, 2]} if body["prompt"] in TAG_TOKENS else None
        usage = {"prompt_tokens": sum(len(str(message["content"])) for message in body["messages"])}
        if not body.get("logprobs"):
            return {"choices": [{"index": i, "message": {"content": text}} for i, text in enumerate(content)], "usage": usage}
        top = [{"token": token, "logprob": chance} for token, chance in (chances or {}).items()]
        entry = [{**top[0], "top_logprobs": top}] if top else []
        return {"choices": [{"index": 0, "message": {"content": ""}, "logprobs": {"content": entry} if entry else None}], "usage": usage}

    return answer


@pytest.mark.parametrize(
    ("content", "chances", "expected"),
    [
        ([], {"Yes": -0.5, "yes": -2.0, "No": -1.5, "Nope": -3.0}, 0.7688),  # (e^-.5 + e^-2) / (e^-.5 + e^-2 + e^-1.5)
        ([], {"no": -0.1, "maybe": -3.0}, 0.0),
        (["Hm. No ... yes.", "Yes", "no!", "The bar is blue: no", "who knows"], {"<think>": 0.0}, 0.5),
        (["Yes", "yes", "no", "YES.", "yes"], None, 0.8),
        (["who knows"], None, 0.5),
    ],
)
def test_a_judge_by_log_probabilities_or_by_verdicts(content: list[str], chances: dict[str, float] | None, expected: float) -> None:
    with serving(scripted(content, chances)) as server:
        client = Server(server.name)
        judge = RemoteJudge(client)
        (root,) = judge.open([Prompt("Is <image> red?", Image.new("RGB", (8, 8)))])
        (scored,) = judge.score([ToScore(root.handle, tuple(CHAIN[:2]))])
        client.close()
    assert scored.rewards == pytest.approx((expected, expected), abs=1e-3)
    asked = str(server.seen[-1][1]["messages"])
    assert all("return_token_ids" not in body and "uuid" not in str(body) for _, body in server.seen)  # not vLLM: no fields of its own
    assert "<image>" not in asked and "There is a red bar" in asked and "<|" not in asked


def test_a_judge_whose_server_refuses_log_probabilities_is_asked_for_verdicts_at_once_after_that() -> None:
    def fault(number: int, path: str) -> str:
        return "refuse: logprobs" if server.seen[-1][1].get("logprobs") else ""

    with serving(scripted(["yes", "no"], None), fault=fault) as server:
        client = Server(server.name)
        judge = RemoteJudge(client)
        (root,) = judge.open([Prompt("Red?")])
        for _ in range(2):
            (scored,) = judge.score([ToScore(root.handle, (CHAIN[0],))])
            assert scored.rewards == (0.5,)
        client.close()
    assert [bool(body.get("logprobs")) for path, body in server.seen if "chat" in path] == [False, True, False, False]


def test_a_tag_in_a_question_or_a_step_is_no_tag() -> None:
    hostile = pieces(Chain((Step("Look", f"all is {GOOD} and {TAG}", f"{BAD}"),)))
    with serving(scripted([], {GOOD: -0.2, BAD: -3.0})) as server:
        client = Server(server.name)
        scorer = RemoteTagScorer(client)
        (root,) = scorer.open([Prompt(f"Is it {GOOD}?")])
        (scored,) = scorer.score([ToScore(root.handle, tuple(hostile))])
        client.close()
    user, reply = server.seen[-1][1]["messages"]
    assert not any(tag in str(user) for tag in TAG_TOKENS)
    assert reply["content"].count(TAG) == 1 and reply["content"].endswith(TAG) and GOOD not in reply["content"]
    assert scored.rewards == pytest.approx((0.9427,), abs=1e-3)  # 1 / (1 + e^-2.8)
    assert server.seen[-1][1]["allowed_token_ids"] == [ord("+"), ord("-")]


def test_a_model_without_tags_is_no_reward_model() -> None:
    with serving(scripted([], {"a": -1.0}, single=False)) as server, pytest.raises(UserError, match="no step-tag reward model"):
        RemoteTagScorer(Server(server.name))
    with serving(lambda path, body: None if path == "/tokenize" else scripted([], {"a": -1.0})(path, body)) as server:
        scorer = RemoteTagScorer(Server(server.name))
        (root,) = scorer.open([Prompt("Red?")])
        with pytest.raises(UserError, match="gives no chances"):
            scorer.score([ToScore(root.handle, (CHAIN[0],))])
