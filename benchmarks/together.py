"""Questions a second, one at a time and 64 at once: what the scheduler's full batches are worth.

    python benchmarks/together.py --out benchmarks/together.jsonl          adds a line for each method

The same searches, with the same seeds, so that both ways draw the same tokens (but for what rounding in other batches moves). One at a
time only the first of them are run, as many as `--alone` says.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cos.bench.pairs import Clock
from cos.loading import load_policy, load_scorer
from cos.problems import draw, problems
from cos.protocols import Policy, Prompt, Scorer
from cos.search.growth import Search
from cos.search.methods import Settings
from cos.search.scheduler import run

QUESTIONS = 64
RUNS = (("greedy", 1), ("best_of_n", 4), ("step_beam", 4), ("best_of_n", 16))
"""Method and N."""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alone", type=int, default=12, help="questions that are asked one at a time (12)")
    parser.add_argument("--policy", default="embedded")
    parser.add_argument("--reward", default="embedded")
    parser.add_argument("--out", default="benchmarks/together.jsonl")
    args = parser.parse_args()
    policy, scorer = load_policy(args.policy), load_scorer(args.reward)
    made = problems("all:test", QUESTIONS)
    prompts = [Prompt(problem.question, draw(problem)) for problem in made]
    measure(policy, scorer, prompts[:2], "greedy", 1, 1)  # warms up
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    for method, n in RUNS:
        found = measure(policy, scorer, prompts, method, n, args.alone)
        row = {"policy": args.policy, "reward": args.reward, **found, "machine": {**machine, "torch": torch.__version__}}
        with Path(args.out).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        sys.stderr.write(f"{method} N={n}: {found['ratio']:.1f} times ({found['ratio_processor']:.1f} in processor seconds)\n")


def measure(policy: Policy, scorer: Scorer, prompts: Sequence[Prompt], method: str, n: int, alone: int) -> dict[str, Any]:
    """Seconds a question of both ways, and how many times as fast all at once are."""
    settings = Settings(n=n, width=min(4, n))
    clock = Clock()
    for prompt in prompts[:alone]:
        for _ in run([Search(prompt, method, settings)], policy, scorer):
            pass
    one = clock.took()
    clock = Clock()
    for _ in run([Search(prompt, method, settings) for prompt in prompts], policy, scorer):
        pass
    all_ = clock.took()
    singly, together = [value / alone for value in one], [value / len(prompts) for value in all_]
    return {
        "method": method,
        "n": n,
        "questions": len(prompts),
        "alone": alone,
        "seconds": {"alone": singly[0], "at_once": together[0]},
        "processor_seconds": {"alone": singly[1], "at_once": together[1]},
        "ratio": singly[0] / together[0],
        "ratio_processor": singly[1] / together[1],
    }


if __name__ == "__main__":
    main()
