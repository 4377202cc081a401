"""`cos eval`: compare methods on one pool of chains, and by live search, over a set of problems.

example: cos eval --set all:test --limit 600 --methods greedy,vote,best_of_n,weighted_vote,step_beam --n 1,4,16,64 --pool --json
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from cos.commands.options import Outcome, Progress, add_models, add_search, need, settings
from cos.commands.workers import Task, add_workers
from cos.errors import UserError
from cos.evaluate import Evaluator, Plan, gather
from cos.scale import Row

_POOL = 64
_SAMPLING = ("temperature", "top_p", "max_tokens", "max_steps")


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument(
        "--set",
        metavar="S:SPLIT",
        help="charts, scenes, digits, refusals or all; train, validation, test or shift; or a benchmark: mathvista, mmstar, mmmu, m3cot, "
        "ai2d (labels masked), ai2d_no_mask, chartqa, with its own splits",
    )
    parser.add_argument("--data", metavar="FILE", help="a benchmark's file, a folder of Parquet files, or a Hub id (its place on the Hub)")
    parser.add_argument("--images", metavar="ROOT", help="folder that pictures named in --data are under (that of the file)")
    parser.add_argument("--prompt", choices=("cos", "official"), help="after a benchmark's question: think first, or its own words (cos)")
    parser.add_argument("--limit", type=int, default=100, help="number of problems (100)")
    parser.add_argument("--methods", default="greedy,vote,best_of_n,weighted_vote,step_greedy,step_beam", help="names with commas between")
    add_models(parser)
    add_search(parser, n=whole_numbers)
    parser.add_argument(
        "--pool",
        nargs="?",
        type=int,
        const=_POOL,
        metavar="N",
        help=f"draw N chains a problem ({_POOL}) and keep them beside DIR, for later runs of the same models on the same problems",
    )
    parser.add_argument("--out", metavar="DIR", help="folder of the records, where a killed run goes on (runs/eval-...)")
    parser.add_argument("--block", type=int, default=32, help="problems at once, their prompts held open (32)")
    add_workers(parser)
    parser.add_argument("--traces", action="store_true", help="keep every search under DIR/traces")
    parser.add_argument("--swap-images", action="store_true", help="also score with another problem's picture: does the reward model look?")


def whole_numbers(text: str) -> tuple[int, ...]:
    """`16`, or several with commas between: `1,4,16`."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, nor numbers with commas between") from None


class _Evaluation(Task):
    """Block -> the records of some problems."""

    def __init__(self, args: argparse.Namespace) -> None:
        super().__init__(args)
        self.ns, self.methods = sorted(set(args.n)), [name.strip() for name in args.methods.split(",") if name.strip()]
        self.chosen = settings(argparse.Namespace(**{**vars(args), "n": self.ns[-1]}))
        if args.limit < 1:
            raise UserError(f"--limit is {args.limit}; it must be 1 or more")
        self.given = {key: value for key in ("data", "images", "prompt") if (value := getattr(args, key)) is not None}

    @cached_property
    def models(self) -> dict[str, str]:
        """The names of both."""
        from cos.loading import fingerprint

        return {"policy": fingerprint(self.args.policy, "policy"), "reward": fingerprint(self.args.reward, "reward")}

    @property
    def config(self) -> dict[str, Any]:
        """What the records depend on."""
        searched = {key: value for key, value in asdict(self.chosen).items() if key != "n"}
        config = {"set": self.args.set, "methods": self.methods, **self.models, "n": self.ns, "pool": self.args.pool, "settings": searched}
        return config | {"swap_images": self.args.swap_images, **self.given}

    @property
    def made_of(self) -> dict[str, Any]:
        """What the pool depends on, but for the seed."""
        sampled = {key: getattr(self.chosen, key) for key in _SAMPLING}
        return {"set": self.args.set, **self.models, "n": self.args.pool, **sampled, **self.given}

    @cached_property
    def out(self) -> Path:
        """The folder of the records."""
        return Path(self.args.out or _folder("runs/eval", self.args.set, self.config))

    @cached_property
    def plan(self) -> Plan:
        """What is to be done."""
        from cos.problems import problems
        from cos.problems.benchmarks import Source

        args, out = self.args, self.out
        drawn = problems(args.set, args.limit, args.seed, Source(**self.given) if self.given else None)
        pool = _folder(f"{out.parent}/pool", args.set, self.made_of | {"seed": args.seed}) if args.pool else None
        traces = out / "traces" if args.traces else None
        return Plan(drawn, self.methods, self.chosen, args.swap_images, args.block, traces, self.ns, args.pool or 0, pool)

    def load(self) -> None:
        """Load both models."""
        from cos.loading import load_policy, load_scorer

        policy = load_policy(self.args.policy)
        self.evaluator = Evaluator(self.plan, policy, None if self.args.reward == "oracle" else load_scorer(self.args.reward), self.out)

    def rows(self, number: int) -> list[Row]:
        """Records of an evaluation."""
        return self.evaluator.rows(number)


def run(args: argparse.Namespace) -> Outcome:
    """Make the records that are missing, then the summary of all."""
    need(args, set="--set")
    from cos.problems.benchmarks import scores
    from cos.runs import Run
    from cos.store import write
    from cos.summary import summarise
    from cos.tables import table

    work = _Evaluation(args)
    plan, out = work.plan, work.out
    plan.check(truth=args.reward == "oracle")
    team = work.team()
    if plan.pools:
        Run.start(plan.pools, work.made_of, args.seed)
    Run.start(out, work.config, args.seed)
    records = gather(plan, work, out / "records.jsonl", team, Progress("eval"))
    summary, found = summarise(records, args.seed), scores.scores(records)
    own = {"benchmarks": found} if found else {}
    result = {"set": args.set, "policy": args.policy, "reward": args.reward, **summary, **own, "out": str(out)}
    write(out / "summary.json", "evaluation", [result])
    text = "\n".join([table(summary), *scores.lines(found)])
    (out / "table.txt").write_text(text + "\n", "utf-8")
    if len(plan.ns) > 1:
        _figure(summary, out)
    return Outcome(result, f"{text}\n{out}")


def _folder(start: str, name: str, config: Mapping[str, Any]) -> Path:
    """A folder that is the same for the same settings, and for no others."""
    from cos.store import dump

    return Path(f"{start}-{name.replace(':', '-')}-{hashlib.sha256(dump(config).encode()).hexdigest()[:8]}")


def _figure(summary: dict[str, Any], out: Path) -> None:
    """Accuracy against n and against FLOPs: `curves.html`, and `curves.png` where kaleido and a Chrome are there to draw it."""
    from cos.summary import points
    from workbench.plots import accuracy_curves

    figure = accuracy_curves(points(summary), {int(n): share for n, share in summary["pass_at"].items()})
    figure.update_layout(paper_bgcolor="white")
    figure.write_html(out / "curves.html", include_plotlyjs=True)
    with contextlib.suppress(ImportError, RuntimeError, ValueError):
        figure.write_image(out / "curves.png", width=1000, height=480, scale=2)
