"""The app as the browser tests see it: scripted models with a pause before each batch, so that a run lasts long enough to be watched.

python tests/browser/served.py PORT PAUSE
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cos.evaluate import Plan, evaluate
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.problems import problems
from cos.protocols import Draw, Piece
from cos.search.methods import Settings
from workbench import session, ui


class SlowPolicy(ScriptedPolicy):
    """A scripted policy that takes its time, and six times as much for a question that says `slowly`."""

    def draw(self, requests: Sequence[Draw]) -> list[list[Piece]]:
        slow = any("slowly" in self.tree.places[request.parent].prompt.question for request in requests)
        time.sleep(float(sys.argv[2]) * (6 if slow else 1))
        return super().draw(requests)


def slowly(name: str) -> Any:
    """In place of `cos.loading.load_policy`."""
    return SlowPolicy()


def evaluated(root: Path) -> Path:
    """Results with one small evaluation, traces kept."""
    plan = Plan(problems("charts:test", 6), ("greedy", "vote", "best_of_n"), Settings(), budgets=(1, 4), traces=root / "small" / "traces")
    evaluate(plan, ScriptedPolicy(), ScriptedScorer(), root / "small" / "records.jsonl")
    return root


if __name__ == "__main__":
    setattr(session, "load_policy", slowly)  # noqa: B010  (what follows it in the module looks it up there)
    home = session.Session(results=evaluated(Path(tempfile.mkdtemp(prefix="cos-results-"))))
    ui.serve(ui.build(home), home, port=int(sys.argv[1]))
