"""The engine on each family: greedy tokens are those of `generate()`, incremental rewards those from scratch, a step search runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tiny_families import NAMES, tiny_family
from tiny_models import picture, scores_from_scratch, texts

from cos.engine.decode import Batch, Decoder
from cos.engine.torch_engine import TorchPolicy
from cos.models.embedded import RUNS
from cos.models.encode import Pixels, Turn
from cos.models.vlm import VLM
from cos.protocols import Draw, Prompt, ToScore
from cos.rewards.step_tag import StepTagScorer
from cos.search.methods import Settings
from cos.search.scheduler import Search
from cos.search.scheduler import run as search_all
from cos.template import ANSWER_END

PROMPTS = [
    ("How many?", 1, (40, 30)),
    ("How many?", 2, (40, 30)),
    ("Is the picture of 3 blue squares?", 1, (20, 70)),
    ("How many?", None, ()),
]
"""Two questions; two pictures under one question; a picture of another shape; none. (Question, picture's number, its size.)"""
CHAINS = [texts("three red", "none blue"), texts("12"), texts("three red", "none blue, 4 as seen in the picture", "sum is 12", answer="12")]


@pytest.fixture(scope="module", params=NAMES)
def vlm(request: pytest.FixtureRequest) -> VLM:
    vlm = tiny_family(request.param, gain=2.0)
    vlm.name = request.param
    return vlm


def image_of(prompt: tuple[str, Any, Any]) -> Any:
    return None if prompt[1] is None else picture(prompt[1]).resize(prompt[2])


@torch.no_grad()
def generated(vlm: VLM, prompt: tuple[str, Any, Any], bias: torch.Tensor, ends: list[int], count: int) -> list[int]:
    """Greedy tokens by the family's own `generate()`."""
    image = image_of(prompt)
    pixels = Pixels({}, "") if image is None else vlm.encoder.pixels(image)
    ids = vlm.encoder.conversation([Turn("user", prompt[0], image=image is not None)], pixels.stand_in, reply=True).ids
    given = vlm.arguments(torch.tensor([ids]), pixels.inputs)
    given["attention_mask"] = torch.ones_like(given["input_ids"])
    found = vlm.model.generate(
        **given,
        do_sample=False,
        max_new_tokens=count,
        eos_token_id=ends,
        pad_token_id=vlm.encoder.pad_id,
        logits_processor=[lambda _, scores: scores + bias],
    )
    return [int(token) for token in found[0, len(ids) :]]


def test_greedy_tokens_are_those_of_generate(vlm: VLM) -> None:
    policy, plain = TorchPolicy(vlm), tiny_family(vlm.name, gain=2.0)  # the second has transformers' own attention
    roots = policy.open([Prompt(prompt[0], image_of(prompt)) for prompt in PROMPTS])
    asks = [Draw(root.handle, 0, (0,), temperature=0.0, max_tokens=10) for root in roots]
    bias = policy._decoder.bias
    ends = sorted(vlm.encoder.step_end_ids | vlm.encoder.answer_end_ids | {vlm.encoder.end_id})
    for prompt, ((piece,)) in zip(PROMPTS, policy.draw(asks), strict=True):
        assert list(piece.tokens) == generated(plain, prompt, bias, ends, 10), prompt


def test_incremental_rewards_are_those_from_scratch(vlm: VLM) -> None:
    scorer = StepTagScorer(vlm)
    roots = [opened.handle for opened in scorer.open([Prompt(prompt[0], image_of(prompt)) for prompt in PROMPTS])]
    jobs = [(p, c) for p in range(len(PROMPTS)) for c in range(len(CHAINS))]
    expected = [scores_from_scratch(vlm, image_of(PROMPTS[p]), PROMPTS[p][0], CHAINS[c]) for p, c in jobs]
    handles = {job: roots[job[0]] for job in jobs}
    for step in range(4):  # step by step, ragged, all prompts interleaved
        live = [(i, job) for i, job in enumerate(jobs) if step < len(CHAINS[job[1]])]
        results = scorer.score([ToScore(handles[job], (CHAINS[job[1]][step],)) for _, job in live])
        for (i, job), scored in zip(live, results, strict=True):
            assert scored.rewards[0] == pytest.approx(expected[i][step], abs=1e-4), (job, step)
            handles[job] = scored.handles[0]
    assert max(abs(a - b) for a, b in zip(expected[0], expected[3], strict=True)) > 1e-5  # the picture matters


class Obedient(Decoder):
    """Writes three words of its own to a step, in the form of one, and an answer after two steps."""

    def choose(self, batch: Batch, live: np.ndarray, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The likeliest plain word where a word is due, else the mark."""
        words = logits.clone()
        words[:, sorted(self.reader.encoder.tokenizer.added_tokens_decoder)] = -torch.inf
        ids, logp = super().choose(batch, live, words)
        for at, row in enumerate(live):
            depth, count = len(batch.paths[row]) - 1, int(batch.count[row])
            first = RUNS[0] if depth == 0 else RUNS[1]
            marks = [first, "", RUNS[2], "", RUNS[3], "", RUNS[4]] if depth < 2 else [RUNS[5], "", ANSWER_END]
            if marks[count % len(marks)]:
                ids[at] = self.reader.encoder.vocabulary[marks[count % len(marks)]]
        return ids, logp


def test_a_step_search_with_policy_and_reward_of_the_family(vlm: VLM) -> None:
    policy, scorer = TorchPolicy(vlm), StepTagScorer(vlm)
    policy._decoder = Obedient(policy._reader)
    search = Search(Prompt("How many?", picture(1)), "step_beam", Settings(n=4, width=2, max_tokens=8, max_steps=3))
    for _ in search_all([search], policy, scorer):
        pass
    trace = search.trace
    assert trace.chosen is not None and trace.meter.vision_calls == 2 == policy.forwards["vision"] + scorer.forwards["vision"]
    line = trace.line(trace.nodes[trace.chosen])
    assert len(line) == 3 and trace.meter.policy_decode == 2 * 4 * 7 + 4 * 3
    expected = scores_from_scratch(vlm, picture(1), "How many?", [node.text for node in line])
    assert [node.reward for node in line] == pytest.approx(expected, abs=1e-4)


def test_in_bfloat16_rewards_are_near_those_from_scratch(vlm: VLM) -> None:
    half = tiny_family(vlm.name, gain=1.0)
    half.model.to(torch.bfloat16)
    scorer = StepTagScorer(half)
    (root,) = scorer.open([Prompt("How many?", picture(1))])
    (scored,) = scorer.score([ToScore(root.handle, tuple(CHAINS[0]))])
    assert scored.rewards == pytest.approx(scores_from_scratch(half, picture(1), "How many?", CHAINS[0]), abs=0.1)
