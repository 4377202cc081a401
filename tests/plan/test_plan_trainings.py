"""Memory and FLOPs of trainings: against what autograd keeps, against rows as they are made, and by hand."""

from __future__ import annotations

import pytest
import torch
from tiny_models import picture, tiny
from transformers import Qwen2Config, Qwen2Model

from cos.chain import Chain, Step
from cos.models.encode import Turn
from cos.plan import trainings
from cos.plan.hardware import Hardware
from cos.plan.searches import Lengths, Work, search
from cos.plan.sizes import Size
from cos.plan.trainings import Training
from cos.protocols import Costs
from cos.search.methods import Settings
from cos.train.data import chain_ids
from cos.train.pairs import pair

LENGTHS = Lengths(1852, 1852, 80, 5)
PAPER = Size(parameters=7.7e9, layers=32, width=4096, kv_heads=8)


def kept(tokens: int, layers: int) -> int:
    """Bytes that autograd keeps for the backward pass of a language model under autocast, weights and their copies aside."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 50}
    model = Qwen2Model(Qwen2Config(num_hidden_layers=layers, attn_implementation="sdpa", **sizes)).train()
    shapes = {tuple(weight.shape) for weight in model.parameters()}
    shapes |= {shape[::-1] for shape in shapes}
    found: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tuple(tensor.shape) not in shapes:
            found[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        state = model(input_ids=torch.zeros(1, tokens, dtype=torch.long), use_cache=False).last_hidden_state
    assert state.requires_grad
    return sum(tensor.untyped_storage().nbytes() for tensor in found.values())


def test_a_layer_keeps_what_the_formula_says() -> None:
    two, four = kept(200, 2), kept(200, 4)
    size = Size(parameters=1.0, layers=2, width=64, kv_heads=2, head_size=16, inner=160)
    planned = trainings.memory(Training("prm"), Lengths(0, 198, 1, 1), 0, size)["activations"]
    assert planned == pytest.approx(four - two, rel=0.03)


def test_rows_are_as_long_as_planned() -> None:
    """A DPO row has the prompt once and both chains; where it forks one position stands twice."""
    encoder = tiny().encoder
    chain, stand_in = Chain((Step("look", "there are 3", "seen"),), "3"), encoder.pixels(picture(1)).stand_in
    turns = [Turn("user", "How many?", image=True)]
    prompt, written = len(encoder.conversation(turns, stand_in, reply=True).ids), len(chain_ids(encoder, chain))
    row = pair(encoder, turns, (chain, chain), 0, stand_in, shared=True)
    lengths = Lengths(prompt, prompt, written / 2, 2)
    assert 0 <= row.tokens - trainings.tokens("dpo", lengths) <= 5, "the fork, and what ends a turn, twice"
    assert trainings.tokens("sft", lengths) == prompt + written and trainings.tokens("prm", lengths) == prompt + written + 2


def test_memory_by_hand() -> None:
    """8 billion parameters: 6 + 4 + 8 bytes each, shared out among 8; the 8 of the optimizer for what learns alone."""
    size = Size(parameters=7e9, layers=32, width=4096, kv_heads=8, vision=1e9, vocabulary=100_000)
    whole = trainings.memory(Training("dpo", devices=8), LENGTHS, 1792, size)
    assert (whole["weights"], whole["gradients"], whole["optimizer"]) == (6e9, 4e9, 8e9)
    frozen = trainings.memory(Training("sft", devices=1), LENGTHS, 1792, size)
    assert (frozen["weights"], frozen["gradients"], frozen["optimizer"]) == (48e9, 28e9, 56e9)
    adapted = trainings.memory(Training("sft", rank=16, devices=8), LENGTHS, 1792, size)
    learned = 16 * 32 * (2 * 8192 + 2 * 5120 + 3 * 18_432) + 2 * 100_000 * 4096
    assert (adapted["weights"], adapted["gradients"], adapted["optimizer"]) == (48e9, 4 * learned, 8 * learned)
    assert whole["total"] == sum(value for key, value in whole.items() if key != "total")
    for training, more in ((Training("sft", at_once=3), 3), (Training("sft"), 1)):
        assert trainings.memory(training, LENGTHS, 0, size)["activations"] == more * frozen["activations"]


def test_flops_by_hand() -> None:
    """6 a parameter and token, 4 with adapters; the tower reads 7,168 patches for 1,792 tokens, and learns in DPO alone."""
    seen = 0.34e9 * 7168
    assert trainings.flops(Training("sft"), LENGTHS, 1792, PAPER) == pytest.approx(6 * 7.7e9 * 2252 + 2 * seen)
    assert trainings.flops(Training("prm", rank=8), LENGTHS, 1792, PAPER) == pytest.approx(4 * 7.7e9 * 2257 + 2 * seen)
    assert trainings.flops(Training("dpo"), LENGTHS, 1792, PAPER) == pytest.approx(6 * 7.7e9 * 2652 + 6 * seen)
    assert trainings.reference_flops("dpo", LENGTHS, 1792, PAPER) == pytest.approx(2 * 7.7e9 * 2652 + 2 * seen)
    assert trainings.reference_flops("sft", LENGTHS, 1792, PAPER) == 0


def test_drawing_waits_for_memory_where_few_rows_are_drawn() -> None:
    hardware = Hardware(flops=100.0, bandwidth=10.0, price=7.2, utilisation=0.5)
    policy, lengths = Costs(flops_per_token=2.0, kv_bytes_per_token=0.5), Lengths(20, 20, 10, 2)
    work = search("vote", Settings(n=4), lengths, policy, Costs())  # 80 tokens in 20 forwards
    assert isinstance(work, Work) and hardware.computing(work.meter.flops) == pytest.approx((20 + 80) * 2 / 50)
    reading = 20 * (60 + 0.5 * (20 + 40)) / 10  # weights of 60 bytes, the prompt, and half of what is drawn
    assert hardware.seconds(work, policy, Costs(), 60.0, 1) == pytest.approx(20 * 2 / 50 + reading)
    assert hardware.seconds(work, policy, Costs(), 60.0, 10**9) == pytest.approx(20 * 2 / 50 + 20 * 30 / 10)
    assert Hardware(flops=100.0, utilisation=0.5).seconds(work, policy, Costs(), 60.0, 1) == pytest.approx(100 * 2 / 50)
    assert Hardware(flops=1.0, bandwidth=1e9, utilisation=1.0).seconds(work, policy, Costs(), 60.0, 1) == pytest.approx(200)
    assert hardware.price_of(1800) == pytest.approx(3.6)
