"""A run folder says how its result was made, and goes on after a kill."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy
import pytest

from cos.errors import UserError
from cos.runs import Run, git_revision, versions


def test_a_run_goes_on_and_refuses_other_settings(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Run.start(folder, {"lr": 0.1, "sizes": (1, 2)}, seed=3).log() as log:
        log.add({"step": 1, "loss": 2.0})
    with Run.start(folder, {"lr": 0.1, "sizes": (1, 2)}, seed=3).log() as log:
        assert log.done == {1}
        log.add({"step": 2, "loss": 1.5})
    assert Run.open(folder).metrics() == [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}]
    assert Run.open(folder).config == {"lr": 0.1, "sizes": [1, 2]}
    with pytest.raises(UserError, match=r"other settings \(lr, seed\)"):
        Run.start(folder, {"lr": 0.2, "sizes": (1, 2)}, seed=4)


def test_a_half_checkpoint_is_never_found(tmp_path: Path) -> None:
    run = Run.start(tmp_path, {}, seed=0)
    assert run.last_checkpoint() is None
    with run.checkpoint(5) as folder:
        (folder / "weights").write_text("five")
    with pytest.raises(KeyboardInterrupt), run.checkpoint(10) as folder:
        (folder / "weights").write_text("te")
        raise KeyboardInterrupt
    found = run.last_checkpoint()
    assert found is not None and found[0] == 5
    with run.checkpoint(100) as folder:
        assert list(folder.iterdir()) == []
    found = run.last_checkpoint()
    assert found is not None and found[0] == 100


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json: No such file"):
        Run.open(tmp_path)


def test_revision_and_versions_are_those_of_git_and_python() -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    assert (git_revision() or "").rstrip("+") == head.stdout.strip()
    assert versions()["numpy"] == numpy.__version__
