"""A run folder: everything that says how a result was made, and the result as it grows.

runs/prm-1/config.json       what was asked for, seed, git revision, versions
runs/prm-1/metrics.jsonl     one record for every step that is logged
runs/prm-1/checkpoints/      one folder a step, complete or absent

run = Run.start("runs/prm-1", config=asdict(config), seed=7)      # again after a kill: goes on
with run.checkpoint(step=100) as folder: model.save_pretrained(folder)
with run.log() as log: log.add({"step": 100, "loss": 0.31})
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cos.errors import UserError
from cos.store import Log, read, write

_CONFIG, _METRICS, _CHECKPOINTS = "config.json", "metrics.jsonl", "checkpoints"


@dataclass(frozen=True)
class Run:
    """One run and its folder."""

    folder: Path
    config: Mapping[str, Any]
    seed: int

    @classmethod
    def start(cls, folder: str | Path, config: Mapping[str, Any], seed: int) -> Run:
        """Begin a run, or go on with the one in `folder`. Raises UserError where that one was begun with another config or seed."""
        run = cls(Path(folder), json.loads(json.dumps(config)), seed)
        if (run.folder / _CONFIG).exists():
            there = cls.open(folder)
            changed = [key for key in {*run.config, *there.config} if run.config.get(key) != there.config.get(key)]
            changed += ["seed"] if seed != there.seed else []
            if changed:
                raise UserError(
                    f"{folder}: holds a run with other settings ({', '.join(sorted(changed))}); name another folder or remove it"
                )
        else:
            row = {"config": run.config, "seed": seed, "git": git_revision(), "versions": versions()}
            write(run.folder / _CONFIG, "run", [row])
        return run

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """A run that was begun before, to look at. Raises UserError where `folder` holds none."""
        rows = list(read(Path(folder) / _CONFIG, "run", lambda row: (dict(row["config"]), int(row["seed"]))))
        if len(rows) != 1:
            raise UserError(f"{Path(folder) / _CONFIG}: one record is needed, it has {len(rows)}")
        return cls(Path(folder), *rows[0])

    def log(self) -> Log:
        """The metrics file, to append to in a `with` block; after a kill, `done` holds the steps that are there already."""
        return Log(self.folder / _METRICS, "metrics", key="step")

    def metrics(self) -> list[dict[str, Any]]:
        """All records of metrics so far, in the order written."""
        path = self.folder / _METRICS
        return list(read(path, "metrics", dict)) if path.exists() else []

    @contextmanager
    def checkpoint(self, step: int) -> Iterator[Path]:
        """A folder to save into; it appears under its name when the block ends well, so a kill leaves no half checkpoint."""
        home = self.folder / _CHECKPOINTS
        part, whole = home / "part", home / f"{step:08d}"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        shutil.rmtree(whole, ignore_errors=True)
        part.rename(whole)

    def last_checkpoint(self) -> tuple[int, Path] | None:
        """Step and folder of the newest complete checkpoint, None where there is none."""
        found = sorted(path for path in (self.folder / _CHECKPOINTS).glob("*") if path.name.isdigit())
        return (int(found[-1].name), found[-1]) if found else None


def git_revision() -> str | None:
    """The commit this code is at, with `+` where files have changed since; None outside a git checkout."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def versions() -> dict[str, str | None]:
    """Versions of Python and of what results depend on; None for what is not installed. Loads none of it."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in ("torch", "transformers", "tokenizers", "numpy", "pillow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found
