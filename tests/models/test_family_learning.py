"""Each family learns: tokens are added, a training runs over rows of unequal length and pictures, full and by adapters, and is saved."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny_families import NAMES, tiny_family
from tiny_models import picture

from cos.chain import Chain, Step
from cos.models.encode import Turn
from cos.models.vlm import add_tokens, load
from cos.problems.released import write_rows
from cos.problems.released_rows import sft_row
from cos.template import FORMAT_TOKENS, TAG_TOKENS
from cos.train import sft
from cos.train.data import Pictures, chain_ids, collate, supervised
from cos.train.loop import Schedule
from cos.train.weights import Weights

CHAIN = Chain((Step("Read", "Red is 3.", "Seen."),), "3")
SIZES = {0: (40, 30), 1: (20, 70), 3: (64, 20)}


@pytest.mark.parametrize("name", NAMES)
def test_a_row_in_a_batch_is_read_as_alone(name: str) -> None:
    vlm = tiny_family(name, gain=1.0)
    pictures = Pictures(vlm.encoder, lambda index: picture(index).resize(SIZES[index]) if index in SIZES else None)
    rows = []
    for index in range(4):  # the third has no picture
        turns = [Turn("user", "How many? " * (index + 1), image=index in SIZES), Turn("assistant", chain_ids(vlm.encoder, CHAIN))]
        rows.append(supervised(vlm.encoder, turns, (False, True), index, pictures.stand_in(index)))
    with torch.no_grad():
        together = sft.hidden_states(vlm, collate(rows, pictures, vlm.encoder.pad_id))
        for number, row in enumerate(rows):
            alone = sft.hidden_states(vlm, collate([row], pictures, vlm.encoder.pad_id))
            torch.testing.assert_close(together[number, : len(row.ids)], alone[0], atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize(("name", "rank"), [*((name, 2) for name in NAMES), ("llava_next", 0), ("qwen2_5_vl", 0)])
def test_two_steps_from_a_model_that_knows_nothing_of_chains(name: str, rank: int, tmp_path: Path) -> None:
    vlm = tiny_family(name, gain=1.0, bare=True)
    before = vlm.model.get_input_embeddings().weight.shape[0]
    assert add_tokens(vlm, tags=True) == len(FORMAT_TOKENS | TAG_TOKENS) and vlm.encoder.knows_chains
    assert vlm.head.weight.shape[0] == vlm.model.get_input_embeddings().weight.shape[0] > before
    start = {key: value.detach().clone() for key, value in vlm.model.state_dict().items()}
    for number in range(2):
        picture(number).resize(SIZES[number]).save(tmp_path / f"{number}.png")
    write_rows(tmp_path / "sft.jsonl", [sft_row("How many?", CHAIN, f"{number}.png") for number in range(2)])
    plan, weights = Schedule(steps=2, batch=2, bf16=False), Weights(lora_rank=rank)
    rows = str(tmp_path / "sft.jsonl")
    config = sft.Config(str(tmp_path / "run"), data=rows, images=str(tmp_path), schedule=plan, weights=weights)
    assert math.isfinite(sft.run(vlm, config)["loss"])
    again = load(tmp_path / "run/model").model.state_dict()
    learned = vlm.model.state_dict()
    assert all(torch.equal(learned[key], again[key]) for key in learned)
    changed = {key for key in start if not torch.equal(start[key], again[key])}
    assert any("q_proj" in key for key in changed) and (rank == 0 or not any("norm" in key for key in changed))
