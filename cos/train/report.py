"""What a training says of itself: its metrics, to a tracker too where one is asked for, and the card of the model it has made."""

from __future__ import annotations

import json
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from cos.errors import UserError
from cos.runs import Run, git_revision, versions
from cos.train.processes import processes

TRACKERS = ("none", "tensorboard", "trackio", "wandb")


@dataclass(frozen=True)
class Report:
    """Where metrics go beside the run's `metrics.jsonl`: one of `TRACKERS`. `command`: as typed, for the model's card."""

    to: str = "none"
    command: str = ""

    def tracker(self, run: Run) -> Any:
        """Something with `log(values, step=...)` and `finish()`; None where nothing is asked for, and in all processes but the first.

        Raises UserError for a tracker that is not known or not installed.
        """
        if self.to not in TRACKERS:
            raise UserError(f"--report-to {self.to}: unknown; take one of {', '.join(TRACKERS)}")
        if self.to == "none" or processes().rank:
            return None
        if find_spec(self.to) is None:
            raise UserError(f"--report-to {self.to}: the package is not installed; pip install {self.to}, or leave the option out")
        from accelerate import PartialState
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        PartialState()  # its trackers log through it
        kind = LOGGER_TYPE_TO_CLASS[self.to]
        tracker = kind(run.folder.name, run.folder / self.to) if kind.requires_logging_directory else kind(run.folder.name)
        tracker.start()
        return tracker


def peak_bytes() -> int:
    """The most memory so far: of the GPU where one is used, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def write_card(folder: Path, run: Run, name: str, command: str, metrics: Mapping[str, float]) -> None:
    """README.md of a model's folder: what it was made from and how, with which numbers. For a Hub page too."""
    config = dict(run.config)
    data = {key: config[key] for key in ("data", "images", "worlds", "pool", "reference") if config.get(key)}
    if data.get("data"):
        data.pop("worlds", None)
    made = versions()
    text = f"""---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [chain-of-step]
---
# {run.folder.name}

Trained from `{name or "a model in memory"}` by the CoS workbench at commit {git_revision() or "unknown"}, seed {run.seed}
({", ".join(f"{key} {value}" for key, value in made.items() if value)}).

- data: {", ".join(f"{key} {_said(value)}" for key, value in data.items())}
- command: {f"`{command}`" if command else "from Python"}
- last averages: {", ".join(f"{key} {value:.4f}" for key, value in metrics.items())}

All settings, as in `config.json` of the run:

```json
{json.dumps(config, indent=1, ensure_ascii=False)}
```

`metrics.jsonl` of the run has the numbers of every twentieth step.
"""
    (folder / "README.md").write_text(text, "utf-8")


def _said(value: Any) -> str:
    return ", ".join(f"{count} of {name}" for name, count in value.items()) if isinstance(value, dict) else f"`{value}`"
