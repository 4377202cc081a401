"""Which arithmetic a training uses: bfloat16 only where the device is fast at it, and Muon without it where it isn't."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from cos.train import arithmetic

Cpu = Callable[..., None]


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cpu]:
    """Gives a CPU with these instructions."""

    def has(**known: object) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
        arithmetic.fast.cache_clear()

    yield has
    arithmetic.fast.cache_clear()


@pytest.mark.parametrize(
    ("known", "fast"),
    [
        ({"avx2": True, "avx512_bf16": False}, False),
        ({"avx2": True, "avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"architecture": "arm64", "bf16": True}, True),
        ({"architecture": "arm64", "bf16": False}, False),
    ],
)
def test_a_cpu_without_the_instructions_computes_in_float32(cpu: Cpu, known: dict[str, object], fast: bool) -> None:
    cpu(**known)
    layer, rows = torch.nn.Linear(4, 4), torch.ones(2, 4)
    with arithmetic.autocast(torch.device("cpu"), bf16=True):
        assert layer(rows).dtype == (torch.bfloat16 if fast else torch.float32)
    with arithmetic.autocast(torch.device("cpu"), bf16=False):
        assert layer(rows).dtype == torch.float32
    assert arithmetic.fast("cuda")


def test_a_torch_that_does_not_tell_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    arithmetic.fast.cache_clear()
    assert arithmetic.fast("cpu")
    arithmetic.fast.cache_clear()


def orthogonal(gradient: torch.Tensor) -> torch.Tensor:
    """Newton and Schulz' five steps from Jordan's coefficients, in double precision."""
    x = gradient.double() / gradient.double().norm()
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x


def moved(bf16: bool, cpu: Cpu) -> torch.Tensor:
    """How far Muon's first step of rate 1 moves a matrix whose gradient is given."""
    cpu(avx512_bf16=bf16)
    matrix = torch.nn.Parameter(torch.zeros(6, 10))
    muon = torch.optim.Muon([matrix], lr=1.0, weight_decay=0.0, momentum=0.0, nesterov=False, adjust_lr_fn="match_rms_adamw")
    matrix.grad = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    arithmetic.step(muon, "cpu")
    return matrix.detach()


def test_muon_orthogonalises_in_float32_where_bfloat16_is_slow(cpu: Cpu) -> None:
    wanted = -0.2 * 10**0.5 * orthogonal(torch.randn(6, 10, generator=torch.Generator().manual_seed(0)))
    exact, rough = moved(False, cpu), moved(True, cpu)
    torch.testing.assert_close(exact.double(), wanted, atol=1e-5, rtol=1e-5)
    assert 1e-4 < float((rough - exact).abs().max()) < 0.05  # else the test would show nothing
