"""The same trace whether a batch is taken at once, in parts, or by two processes; rows of different lengths, some without a picture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import two_processes
from lessons import KINDS, descend, fresh, trace, train, weights, write_files

from cos.errors import UserError
from cos.models.vlm import VLM, load
from cos.runs import Run
from cos.train import loop
from cos.train.data import cut, taken
from cos.train.loop import Schedule
from cos.train.processes import processes

ROOT = Path(__file__).parent.parent.parent
STEPS = 3


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six rows of each kind."""
    return write_files(tmp_path_factory.mktemp("files"), count=6)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain descent."""
    monkeypatch.setattr(loop, "_optimizers", descend)


def one(kind: str, files: Path, out: Path, batch: int, accumulate: int) -> VLM:
    """A training in this process, every step logged."""
    vlm = fresh()
    plan = Schedule(steps=STEPS, batch=batch, accumulate=accumulate, learning_rate=0.1)
    train(kind, vlm, files, out, plan)
    return vlm


def near(one: Path, other: Path) -> None:
    """Equal numbers, up to the order of sums: within two units of the fifth decimal, to which a trace is rounded."""
    for left, right in zip(trace(one), trace(other), strict=True):
        assert left == pytest.approx(right, abs=2.1e-5, rel=1e-5)  # two units are 2.0000000000020002e-05 in binary
    first, second = (weights(load(out / "model")) for out in (one, other))
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("plain")
def test_four_rows_at_once_or_one_by_one(kind: str, files: Path, tmp_path: Path) -> None:
    before = weights(fresh())
    after = weights(one(kind, files, tmp_path / "4x1", 4, 1))
    one(kind, files, tmp_path / "1x4", 1, 4)
    near(tmp_path / "4x1", tmp_path / "1x4")
    assert max(float((after[name] - value).abs().max()) for name, value in before.items()) > 1e-3


@pytest.mark.usefixtures("plain")
def test_two_processes_learn_what_one_learns(files: Path, tmp_path: Path) -> None:
    """Each training on four families, with adapters and without; a process may have text alone where the other has pictures."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(ROOT / "recipes/accelerate/cpu.yaml")]
    script = [str(Path(__file__).parent / "two_processes.py"), str(files), str(tmp_path / "two")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    words = [*launch, "--main_process_port", "0", *script]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for out in two_processes.runs(files, tmp_path / "one"):
        near(out, tmp_path / "two" / out.name)
    found = Run.open(tmp_path / "two/embedded-full-sft").last_checkpoint()
    assert found is not None and found[0] == 2
    assert len(list((tmp_path / "two/embedded-full-dpo").glob("reference.*.jsonl"))) == 2


@pytest.mark.parametrize(("count", "size", "steps"), [(100, 4, 1), (100, 2, 9), (23, 4, 40)])
def test_what_steps_may_come_to_is_known_before(count: int, size: int, steps: int) -> None:
    rows = cut(lambda index: index % count, lambda row: row % 7, count, size, 3)
    used = {row for step in range(steps) for row in rows(step)[0]}
    ahead = taken(count, size, steps, 3)
    assert used <= set(ahead) and len(ahead) == min(count, 8 * size * (1 + (steps - 1) // 8))


def test_each_row_of_a_step_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def steps_of(count: int, size: int, accumulate: int) -> list[list[int]]:
        steps: list[list[int]] = [[] for _ in range(5)]
        for rank in range(count):
            monkeypatch.setattr(processes(), "rank", rank)
            monkeypatch.setattr(processes(), "count", count)
            rows = cut(lambda index: index, lambda row: row % 7, 23, size, 3, accumulate)
            for step in range(5):
                parts = [rows(step * accumulate + part) for part in range(accumulate)]
                assert all(len(own) == size // count and sorted(whole) == sorted(parts[0][1]) for own, whole in parts)
                steps[step] += [row for own, _ in parts for row in own]
        return [sorted(step) for step in steps]

    assert steps_of(1, 8, 1) == steps_of(1, 2, 4) == steps_of(2, 8, 1) == steps_of(4, 4, 2)
    with pytest.raises(UserError, match="a batch of 3 can't be shared by 2 processes"):
        steps_of(2, 3, 1)
