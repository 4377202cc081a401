"""DPO: the loss against numbers by hand and against TRL's trainer, one row a pair against two, reference log-probabilities kept."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tiny_models import SHAPE, TEXTS, picture, tiny

from cos.chain import Chain, Step
from cos.models.embedded import build, make_tokenizer
from cos.models.encode import Turn
from cos.models.vlm import VLM
from cos.template import pieces
from cos.train import dpo
from cos.train.data import Pictures
from cos.train.pairs import Pair, Pairs, collate_pairs, pair, share_rows


def chain(number: int, *, steps: int = 1) -> Chain:
    """Chains of several lengths."""
    return Chain(tuple(Step("Read", f"Red is {number}.", "Seen.") for _ in range(steps)), str(number))


CHAINS = [(chain(3), chain(4, steps=2)), (chain(5, steps=2), chain(51)), (chain(7), Chain((), "8"))]


def pairs(vlm: VLM, *, shared: bool, texts_only: bool = False) -> tuple[list[Pair], Pictures]:
    """Three pairs of different lengths, the last without a picture."""
    pictures = Pictures(vlm.encoder, lambda index: None if index == 2 or texts_only else picture(index))
    made = [
        pair(vlm.encoder, [Turn("user", f"How many {n}?", image=n < 2 and not texts_only)], both, n, pictures.stand_in(n), shared=shared)
        for n, both in enumerate(CHAINS)
    ]
    return made, pictures


def batch(vlm: VLM, *, shared: bool, texts_only: bool = False) -> Pairs:
    """The three as one batch."""
    return collate_pairs(*pairs(vlm, shared=shared, texts_only=texts_only), vlm.encoder.pad_id)


# The loss -------------------------------------------------------------------------------------------------------------------------


def test_a_policy_that_is_its_reference_loses_log_2() -> None:
    logps = torch.randn(5, 2)
    assert dpo.preference_loss(logps, logps, 0.3).item() == pytest.approx(math.log(2), abs=1e-6)


def test_the_loss_by_hand() -> None:
    logps, before = torch.tensor([[-10.0, -12.0], [-5.0, -4.0]]), torch.tensor([[-11.0, -11.0], [-5.0, -6.0]])
    leads = [(1.0 - -1.0), (0.0 - 2.0)]
    wanted = sum(math.log(1 + math.exp(-0.1 * lead)) for lead in leads)
    assert dpo.preference_loss(logps, before, 0.1).item() == pytest.approx(wanted / 2, abs=1e-6)
    assert dpo.preference_loss(logps, before, 0.1, count=4).item() == pytest.approx(wanted / 4, abs=1e-6)


@torch.no_grad()
def test_log_probabilities_are_those_of_the_whole_model() -> None:
    vlm = tiny()
    made, seen = pairs(vlm, shared=True)
    found = dpo.log_probabilities(vlm, collate_pairs(made, seen, vlm.encoder.pad_id))
    for number, both in enumerate(CHAINS):
        for side, said in enumerate(both):
            pixels = seen[number]
            asked = [Turn("user", f"How many {number}?", image=number < 2)]
            prompt = vlm.encoder.conversation(asked, pixels.stand_in, reply=True).ids
            text = [*(token for piece in pieces(said) for token in vlm.encoder.piece(piece)), vlm.encoder.end_id]
            ids = torch.tensor([prompt + text])
            logs = F.log_softmax(vlm.model(**vlm.arguments(ids, pixels.inputs)).logits[0].float(), -1)
            wanted = sum(float(logs[len(prompt) + at - 1, token]) for at, token in enumerate(text))
            assert found[number, side].item() == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_one_row_a_pair_equals_two(attention: str) -> None:
    vlm = tiny(gain=2.0)
    vlm.model.set_attn_implementation(attention)
    assert share_rows(vlm)
    one, two = batch(vlm, shared=True), batch(vlm, shared=False)
    assert len(one.ids) == 3 and len(two.ids) == 6 and one.tokens < two.tokens and one.words == two.words
    assert one.inputs["pixel_values"].shape[0] == 2 and two.inputs["pixel_values"].shape[0] == 4
    torch.testing.assert_close(dpo.log_probabilities(vlm, one), dpo.log_probabilities(vlm, two), atol=1e-3, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # TRL 1.16 calls some things of transformers 5.23 by their former names
@pytest.mark.parametrize("nll", [0.0, 1.0])
def test_equals_trl(nll: float, tmp_path: Path) -> None:
    """The loss and its gradient on one batch, pictures and all."""
    trl = pytest.importorskip("trl")
    from datasets import Dataset

    vlm, before = (build(SHAPE, make_tokenizer(TEXTS, size=320), seed=seed) for seed in (0, 1))
    made = batch(vlm, shared=False)
    made = Pairs(**{**vars(made), "reference": dpo.log_probabilities(before, made).detach()})
    value, _ = dpo.loss(0.1, nll)(vlm, made)
    value.backward()  # type: ignore[no-untyped-call]
    ours = {name: p.grad.clone() for name, p in vlm.model.named_parameters() if p.grad is not None}
    vlm.model.zero_grad()

    kinds = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, nll]} if nll else {"loss_type": ["sigmoid"]}
    settings = trl.DPOConfig(
        str(tmp_path), beta=0.1, max_length=None, use_cpu=True, report_to="none", activation_checkpointing=False, bf16=False, **kinds
    )
    trainer = trl.DPOTrainer(
        vlm.model,
        ref_model=before.model,
        args=settings,
        train_dataset=Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),
        processing_class=vlm.encoder.tokenizer,
    )
    theirs = trainer.compute_loss(vlm.model, _for_trl(vlm, made))
    theirs.backward()
    assert value.item() == pytest.approx(theirs.item(), abs=1e-5)
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, vlm.model.get_parameter(name).grad, atol=1e-5, rtol=1e-4)


def _for_trl(vlm: VLM, made: Pairs) -> dict[str, torch.Tensor]:
    """First all chosen rows, then all rejected ones, with a mask over what is written; a word is marked where it stands."""
    order = [0, 2, 4, 1, 3, 5]
    written = torch.zeros_like(made.ids)
    written[made.rows, made.columns + 1] = 1
    read_ids = made.ids.clone()
    read_ids[made.rows, made.columns + 1] = made.targets  # the end mark may stand there within a longer token
    seen = (made.branches != -2).long()
    pictures = vlm.encoder.image_tokens and made.inputs["pixel_values"][[0, 2, 1, 3]]
    return {
        "input_ids": read_ids[order],
        "attention_mask": seen[order],
        "completion_mask": written[order],
        "pixel_values": pictures,
    }
