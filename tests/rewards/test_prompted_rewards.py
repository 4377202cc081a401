"""VisualPRM's form, the judge and self-certainty against plain forwards of the transformers model over the whole conversation."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_models import picture, texts, tiny

from cos.engine.torch_engine import TorchPolicy
from cos.errors import UserError
from cos.models.encode import Turn
from cos.models.vlm import VLM
from cos.protocols import Draw, Prompt, Scorer, ToScore
from cos.rewards.confidence import CertaintyScorer
from cos.rewards.judge import JudgeScorer
from cos.rewards.visualprm import SYSTEM, VisualPRMScorer
from cos.rewards.words import ASKED, OPENING, plain_text
from cos.template import FORMAT_TOKENS

QUESTION, CHAIN = "How many?", texts("three red", "none blue, 4 in the picture", answer="12")
STEPS = ["look\nthree red\nit is seen", "look\nnone blue, 4 in the picture\nit is seen", "Answer:\n12"]


@pytest.fixture(scope="module")
def vlm() -> VLM:
    return tiny(seed=7)


def logits(vlm: VLM, turns: list[Turn]) -> tuple[torch.Tensor, list[int]]:
    """(tokens, vocabulary) of one forward with picture 1, and the turn of each token."""
    pixels = vlm.encoder.pixels(picture(1))
    encoded = vlm.encoder.conversation(turns, pixels.stand_in, reply=True)
    with torch.no_grad():
        return vlm.model.eval()(input_ids=torch.tensor([encoded.ids]), **pixels.inputs).logits[0], encoded.turn


def whole_and_single(scorer: Scorer) -> list[float]:
    """The rewards of the chain, after a look that they are the same when it comes piece by piece, beside another picture's."""
    (root,), (other,) = scorer.open([Prompt(QUESTION, picture(1))]), scorer.open([Prompt(QUESTION, picture(2))])
    whole, differs = scorer.score([ToScore(root.handle, tuple(CHAIN)), ToScore(other.handle, tuple(CHAIN))])
    handle = root.handle
    for text, reward in zip(CHAIN, whole.rewards, strict=True):
        (scored,) = scorer.score([ToScore(handle, (text,))])
        handle = scored.handles[0]
        assert scored.rewards[0] == pytest.approx(reward, abs=1e-4)
    assert (
        max(abs(a - b) for a, b in zip(whole.rewards, differs.rewards, strict=True)) > 1e-5
    )  # the picture matters, if little after so long a prompt
    scorer.close([root.handle, other.handle])
    return list(whole.rewards)


def test_plain_text_has_no_marks() -> None:
    assert [plain_text(text) for text in CHAIN] == STEPS
    assert not any(token in plain_text(text) for text in CHAIN for token in FORMAT_TOKENS)


def test_visualprm_is_plus_against_minus_turn_by_turn(vlm: VLM) -> None:
    encoder = vlm.encoder
    head = encoder.plain(f"### Question:\n{QUESTION}\n\n### Solution Process:\n")
    turns = [Turn("system", SYSTEM), Turn("user", (*head, *encoder.plain(STEPS[0])), image=True), Turn("assistant", "+")]
    for step in STEPS[1:]:
        turns += [Turn("user", step), Turn("assistant", "+")]
    out, owner = logits(vlm, turns)
    two = [encoder.plain(sign)[0] for sign in "+-"]
    expected = [float(torch.softmax(out[owner.index(turn) - 1, two], -1)[0]) for turn in (2, 4, 6)]
    assert whole_and_single(VisualPRMScorer(vlm)) == pytest.approx(expected, abs=1e-4)


def test_a_judge_says_how_likely_it_would_say_yes_of_each_step(vlm: VLM) -> None:
    encoder, expected = vlm.encoder, []
    yes, no = ([encoder.plain(word)[0] for word in words] for words in (("Yes", "yes"), ("No", "no")))
    for count in (1, 2, 3):
        parts = [OPENING.format(question=QUESTION), *("\n" + step for step in STEPS[:count]), ASKED]
        out, _ = logits(vlm, [Turn("user", tuple(token for part in parts for token in encoder.plain(part)), image=True)])
        chances = torch.softmax(out[-1], -1)
        said, denied = (float(sum(chances[token] for token in set(tokens))) for tokens in (yes, no))
        expected.append(said / (said + denied))
    assert whole_and_single(JudgeScorer(vlm)) == pytest.approx(expected, abs=1e-4)


def test_certainty_is_the_distance_from_even_chances(vlm: VLM) -> None:
    prompt = [Turn("user", QUESTION, image=True)]
    cuts = [vlm.encoder.piece(text) for text in CHAIN]
    out, _ = logits(vlm, [*prompt, Turn("assistant", tuple(token for cut in cuts for token in cut))])
    pixels = vlm.encoder.pixels(picture(1))
    at, expected = len(vlm.encoder.conversation(prompt, pixels.stand_in, reply=True).ids), []
    for cut in cuts:
        chances = torch.log_softmax(out[at - 1 : at - 1 + len(cut)].double(), -1)
        size = chances.shape[1]
        kl = float(sum((1 / size) * (math.log(1 / size) - row).sum() for row in chances)) / len(cut)
        expected.append(kl / (1 + kl))
        at += len(cut)
    assert whole_and_single(CertaintyScorer(vlm)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", [VisualPRMScorer, JudgeScorer])
def test_a_search_with_these_rewards_counts_what_was_read(kind: type[VisualPRMScorer] | type[JudgeScorer]) -> None:
    policy, scorer = TorchPolicy(tiny()), kind(tiny(seed=2))
    prompt = Prompt(QUESTION)
    (root,), (judge,) = policy.open([prompt]), scorer.open([prompt])
    (row,) = policy.draw([Draw(root.handle, 1, (0,), max_tokens=9, max_steps=3, to="answer")])
    before = scorer.forwards["step"]
    (scored,) = scorer.score([ToScore(judge.handle, tuple(piece.text for piece in row))])
    assert all(0 <= reward <= 1 for reward in scored.rewards) and len(scored.rewards) == len(row)
    assert sum(scored.tokens) == scorer.forwards["step"] - before and judge.vision_calls == 0


def test_models_without_the_words_are_refused() -> None:
    vlm = tiny()
    vlm.encoder.plain = lambda text: [1]  # type: ignore[method-assign]
    for kind, reason in ((VisualPRMScorer, "no single tokens"), (JudgeScorer, "same token")):
        with pytest.raises(UserError, match=reason):
            kind(vlm)
