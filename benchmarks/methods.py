"""Seconds and token-forwards of every search method against N = 1..64, on chains of a fixed size: records and a figure.

    python benchmarks/methods.py --out benchmarks/methods          writes methods.jsonl (one line a measurement) and methods.png

The chains are those of `cos bench` (`cos.bench.cases.Forced`), so that a method costs what it does and not what a model happens to write.
A method that goes by the rewards (retrace, adaptive_n, mcts) costs what these rewards make of it. Goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from cos.bench.cases import CASES, case
from cos.bench.pairs import Plan, search
from cos.search.methods import METHODS
from workbench.plots import PALETTE, SYMBOLS

BUDGETS = (1, 2, 4, 8, 16, 32, 64)
"""The paper's range."""


def main() -> None:
    """Measure what is not there yet, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="embedded", choices=CASES)
    parser.add_argument("--methods", default=",".join(METHODS), help="with commas between")
    parser.add_argument("--budgets", default=",".join(map(str, BUDGETS)), help="N, with commas between")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--length", type=int, default=30, help="tokens of a piece")
    parser.add_argument("--out", default="benchmarks/methods")
    args = parser.parse_args()
    path = Path(f"{args.out}.jsonl")
    records = _records(path)
    made = case(args.case)
    search(made, Plan(n=2, width=1, steps=2, length=args.length))  # warms up
    with path.open("a", encoding="utf-8") as file:
        for n in map(int, args.budgets.split(",")):
            for method in args.methods.split(","):
                plan = Plan(n=n, width=min(4, n), steps=args.steps, length=args.length, method=method)
                if not any(record["case"] == args.case and record["plan"] == asdict(plan) for record in records):
                    records.append(_measured(args.case, plan, search(made, plan)))
                    file.write(json.dumps(records[-1]) + "\n")
                    file.flush()
                    told = records[-1]["seconds"], records[-1]["meter"]["tokens"]
                    sys.stderr.write(f"{method} N={n}: {told[0]:.2f} s, {told[1]:.0f} token-forwards\n")
    figure([record for record in records if record["case"] == args.case]).write_image(f"{args.out}.png", scale=1.5)


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def _measured(name: str, plan: Plan, found: Any) -> dict[str, Any]:
    took, forwards, trace = found
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    return {
        "case": name,
        "plan": asdict(plan),
        "seconds": took.seconds,
        "processor_seconds": took.processor,
        "meter": trace.meter.to_json(),
        "forwards": dict(forwards),
        "machine": {**machine, "torch": torch.__version__},
    }


def figure(records: list[dict[str, Any]]) -> go.Figure:
    """Token-forwards on the left, processor seconds on the right, both against N; one line a method."""
    drawn = make_subplots(cols=2, subplot_titles=("token-forwards a question", "processor seconds a question"))
    for index, method in enumerate(dict.fromkeys(record["plan"]["method"] for record in records)):
        own = sorted((r for r in records if r["plan"]["method"] == method), key=lambda r: int(r["plan"]["n"]))
        round_again, colour = divmod(index, len(PALETTE))
        look = {"line": {"color": PALETTE[colour]}, "marker": {"symbol": SYMBOLS[round_again % len(SYMBOLS)], "size": 7}}
        for column, values in ((1, [r["meter"]["tokens"] for r in own]), (2, [r["processor_seconds"] for r in own])):
            budgets = [r["plan"]["n"] for r in own]
            name = method.replace("_", " ")
            drawn.add_scatter(x=budgets, y=values, name=name, legendgroup=method, showlegend=column == 1, row=1, col=column, **look)
    drawn.update_xaxes(type="log", tickvals=list(BUDGETS), title="N")
    drawn.update_yaxes(type="log")
    return drawn.update_layout(template="simple_white", width=1100, height=560, margin={"t": 50, "b": 50}, legend={"font": {"size": 11}})


if __name__ == "__main__":
    main()
