"""Random streams and the drawing of one token against their definitions."""

from __future__ import annotations

import numpy as np
import torch

from cos.engine.decode import pick, stream, uniforms


def test_streams_are_even_and_differ_by_seed_path_and_count() -> None:
    keys = np.array([stream(seed, (child,)) for seed in range(10) for child in range(100)], np.uint64)
    numbers = uniforms(np.repeat(keys, 50), np.tile(np.arange(50), 1000))
    assert len(set(numbers.tolist())) == 50_000 and numbers.min() >= 0 and numbers.max() < 1
    assert np.abs(np.histogram(numbers, 20, (0, 1))[0] / 2500 - 1).max() < 0.1
    table = numbers.reshape(1000, 50)
    assert abs(np.corrcoef(table[:, 0], table[:, 1])[0, 1]) < 0.12 and abs(np.corrcoef(table[:-1, 0], table[1:, 0])[0, 1]) < 0.12


def test_stream_numbers_are_those_of_splitmix64() -> None:
    first = 0xE220A8397B1DCDAF  # the first output of SplitMix64 seeded with 0 (reference implementation by Vigna)
    assert uniforms(np.array([0], np.uint64), np.array([0]))[0] == (first >> 12) / 2**52


def test_pick_inverts_the_distribution_function() -> None:
    logits = torch.log(torch.tensor([[0.2, 0.0, 0.5, 0.3]])).repeat(5, 1)
    numbers = np.array([0.0, 0.1999, 0.2001, 0.69, 1 - 2.0**-52])
    ids, logp = pick(logits, numbers, np.ones(5), np.ones(5))
    assert ids.tolist() == [0, 0, 2, 2, 3]
    assert torch.allclose(logp.exp(), torch.tensor([0.2, 0.2, 0.5, 0.5, 0.3]))


def test_pick_mixes_temperatures_and_nuclei_in_one_batch() -> None:
    logits = torch.log(torch.tensor([[0.2, 0.0, 0.5, 0.3]])).repeat(4, 1)
    ids, logp = pick(logits, np.full(4, 0.99), np.array([0.0, 1.0, 1.0, 9.0]), np.array([1.0, 0.4, 0.6, 1.0]))
    assert ids.tolist() == [2, 2, 3, 3]  # the likeliest; a nucleus of one; of two (0.5, 0.3); nearly even
    assert torch.allclose(logp.exp(), torch.tensor([0.5, 0.5, 0.3, 0.3]))
