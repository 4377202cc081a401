"""The embedded models before training: always the same, real transformers models, with a tokenizer that knows numbers and worlds."""

from __future__ import annotations

import json
import random

import pytest
import torch
from tiny_models import picture

from cos import problems
from cos.models import embedded
from cos.models.encode import Turn
from cos.models.vlm import VLM
from cos.template import FORMAT_TOKENS, TAG_TOKENS, pieces


@pytest.fixture(scope="module")
def policy() -> VLM:
    return embedded.new("policy")


@pytest.fixture(scope="module")
def reward() -> VLM:
    return embedded.new("reward")


def test_a_new_model_is_always_the_same(policy: VLM) -> None:
    torch.manual_seed(17)
    again = embedded.new("policy")
    assert all(torch.equal(value, again.model.state_dict()[name]) for name, value in policy.model.state_dict().items())
    assert policy.encoder.vocabulary == again.encoder.vocabulary


def test_the_reward_model_is_larger_and_sharper(policy: VLM, reward: VLM) -> None:
    assert sum(policy.parameters()) < sum(reward.parameters()) < 4_000_000
    assert (
        policy.encoder.pixels(picture(0)).inputs["pixel_values"].numel() < reward.encoder.pixels(picture(0)).inputs["pixel_values"].numel()
    )
    assert policy.look is None and reward.look is None
    assert policy.encoder.vocabulary == reward.encoder.vocabulary


@pytest.mark.parametrize("number", [*range(21), 57, 99])
def test_numbers_are_one_token_with_and_without_a_blank(policy: VLM, number: int) -> None:
    assert len(policy.encoder.plain(f"{number}")) == len(policy.encoder.plain(f" {number}")) == 1


def test_the_words_of_the_worlds_take_few_tokens(policy: VLM) -> None:
    encoder = policy.encoder
    for problem in problems.problems("all:train", 30) + problems.problems("all:test", 30, seed=1):
        text = problems.describe(problem)
        assert encoder.decode(encoder.plain(text)) == text
        assert len(encoder.plain(problem.question)) < 2 * len(problem.question.split())
        chain = problems.chain(problem, random.Random(0))
        assert encoder.decode([i for piece in pieces(chain) for i in encoder.piece(piece)]) == "".join(pieces(chain))


def test_any_text_encodes(policy: VLM) -> None:
    text = "Größe 漢字 🙂 \u0000 ки e\u0301\n\t x"
    assert policy.encoder.decode(policy.encoder.plain(text)) == text


def test_one_forward_pass_with_a_picture(reward: VLM) -> None:
    pixels = reward.encoder.pixels(picture(5))
    encoded = reward.encoder.conversation([Turn("user", "How many?", image=True)], pixels.stand_in, reply=True)
    assert encoded.ids.count(reward.encoder.image_id) == reward.encoder.image_tokens
    with torch.no_grad():
        logits = reward.model.eval()(input_ids=torch.tensor([encoded.ids]), **pixels.inputs).logits
    assert logits.shape == (1, len(encoded.ids), len(reward.encoder.vocabulary)) and torch.isfinite(logits).all()


def test_the_tower_starts_with_patches_and_places_told_apart(policy: VLM) -> None:
    policy.model.eval()
    with torch.no_grad():
        seen = [policy.see([policy.encoder.pixels(picture(n))])[0].features for n in (0, 3)]
    assert not torch.allclose(*seen, atol=1e-2)
    assert torch.pdist(seen[0]).min() > 1e-3  # no two places look the same


@pytest.mark.parametrize("role", ["policy", "reward"])
def test_what_ships_was_trained_from_these(role: str) -> None:
    folder = embedded.path(role)
    if not folder.is_dir():
        pytest.skip(f"the {role} model is not there yet")
    new, shipped = (json.loads((path / "tokenizer.json").read_text()) for path in (embedded.path("tokenizer"), folder))
    assert new["model"]["vocab"] == shipped["model"]["vocab"] and new["added_tokens"] == shipped["added_tokens"]
    known = [token["content"] for token in shipped["added_tokens"]]
    assert {*FORMAT_TOKENS, *TAG_TOKENS} <= set(known)
