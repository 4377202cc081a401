"""The confidence reward against one plain forward."""

from __future__ import annotations

import pytest
import torch
from tiny_models import LOOK, picture, texts, tiny

from cos.models.encode import Turn
from cos.protocols import Prompt, ToScore
from cos.rewards.confidence import ConfidenceScorer


def test_rewards_are_mean_token_probabilities_whole_or_step_by_step() -> None:
    vlm = tiny(seed=5)
    scorer = ConfidenceScorer(vlm)
    (root,), (other,) = scorer.open([Prompt("How many?", picture(1))]), scorer.open([Prompt("How many?", picture(2))])
    chain = texts("three red", "none blue, 4 in the picture")
    cuts = [vlm.encoder.piece(text) for text in chain]
    pixels = vlm.encoder.pixels(picture(1))
    prompt = vlm.encoder.conversation([Turn("user", "How many?", image=True)], pixels.stand_in, reply=True).ids
    ids = prompt + [token for cut in cuts for token in cut]
    with torch.no_grad():
        logits = vlm.model(input_ids=torch.tensor([ids]), **pixels.inputs).logits[0]
    at, expected = len(prompt), []
    for cut in cuts:
        chances = [float(torch.softmax(logits[at + i - 1], -1)[token].log()) for i, token in enumerate(cut)]
        expected.append(float(torch.tensor(chances).mean().exp()))
        at += len(cut)
    whole, differs = scorer.score([ToScore(root.handle, tuple(chain)), ToScore(other.handle, tuple(chain))])
    assert whole.rewards == pytest.approx(expected, rel=1e-3, abs=0) and differs.rewards != pytest.approx(expected, rel=1e-3, abs=0)
    handle, alone = root.handle, []
    for text in chain:
        (scored,) = scorer.score([ToScore(handle, (text,))])
        handle, alone = scored.handles[0], [*alone, scored.rewards[0]]
    assert alone == pytest.approx(expected, rel=1e-3, abs=0)
    assert whole.tokens == tuple(map(len, cuts))


def test_a_looking_model_judges_with_its_description_before_it() -> None:
    scorer = ConfidenceScorer(tiny(look=LOOK))
    (root,) = scorer.open([Prompt("How many?", picture(1))])
    (scored,) = scorer.score([ToScore(root.handle, tuple(texts("three red")))])
    assert all(0 <= reward <= 1 for reward in scored.rewards) and scorer.forwards["decode"] > 0
