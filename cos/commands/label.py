"""`cos label`: a label for every step of the chains of a pool: DIR/labels.jsonl, which `cos train prm --data` and `cos prefer` read.

    --by truth        the truth of a world
    --by rollouts     go on from each step --n times: how many come to the right answer (--soft: their share is the label)
    --by binary       search the first error in halves, by roll-outs
    --by reward       the rewards of a reward model
    --by judge        a model says Good, Neutral or Bad of each step
    --by consensus    FILE and --with are label records: chains in which both place the first error alike

example: cos label runs/pool/pool.jsonl --by rollouts --n 8 --policy embedded --out runs/labels
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from cos import label
from cos.chain import Labelled, Problem, Sample, Step
from cos.commands.options import Outcome, Progress, need
from cos.errors import UserError
from cos.metrics import auc
from cos.problems.records import read_labelled, read_samples
from cos.rollouts import Rollouts, by_binary_search, by_rollouts
from cos.sample import Picture
from cos.store import Log, lines

_Label = Callable[[Sequence[Sample]], list[Labelled]]
_MEANING = {
    "n": "roll-outs from each step",
    "threshold": "a step is right where more than this share of them comes to the right answer",
    "temperature": "of sampling",
    "top_p": "sample from the smallest set of tokens with this probability",
    "max_tokens": "limit for each step",
    "max_steps": "a chain with more steps is cut",
}


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="a pool (cos sample); for consensus label records")
    parser.add_argument("--by", choices=("truth", "rollouts", "binary", "reward", "judge", "consensus"), help="where labels come from")
    parser.add_argument("--out", metavar="DIR", help="the folder; a killed run goes on where it was")
    parser.add_argument("--policy", default="embedded", help="writes the roll-outs: embedded, scripted, a folder or a Hub id (embedded)")
    parser.add_argument("--reward", default="embedded", help="the reward model of --by reward (embedded)")
    parser.add_argument("--judge", metavar="MODEL", help="the model of --by judge: a folder, a Hub id, embedded or scripted")
    parser.add_argument("--with", dest="other", metavar="FILE", help="the second source of --by consensus")
    parser.add_argument("--images", metavar="ROOT", help="folder that pictures are under that no world draws (that of FILE)")
    for name, meaning in _MEANING.items():
        default = getattr(Rollouts, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=f"{meaning} ({default})")
    parser.add_argument("--soft", action="store_true", help="labels are shares of roll-outs")
    parser.add_argument("--early-stop", action="store_true", help="no roll-outs after the first wrong step")
    parser.add_argument("--block", type=int, default=16, help="chains at once (16)")


def run(args: argparse.Namespace) -> Outcome:
    """Label what is missing."""
    need(args, file="FILE", by="--by", out="--out")
    from cos.runs import Run

    if min(args.n, args.block) < 1 or not 0 <= args.threshold < 1:
        raise UserError("--n and --block must be 1 or more, and --threshold between 0 and 1 (1 itself excluded)")
    file, progress = Path(args.out) / "labels.jsonl", Progress("label")
    total = sum(1 for _ in lines(args.file))
    settings, work = _consensus(args) if args.by == "consensus" else _labeller(args)
    Run.start(args.out, {"by": args.by, "file": args.file, **settings}, args.seed)
    new = 0
    with Log(file, "labels", key="id") as log:
        progress(len(log.done), total)
        for rows in work(log.done):
            log.add(*(row.to_json() for row in rows))
            new += len(rows)
            progress(len(log.done), total)
    result = {"chains": total, "new": new, **_summary(file), "out": str(file)}
    return Outcome(result, _text(result))


_Work = Callable[[Any], Iterator[list[Labelled]]]
"""Ids that are there already -> the other chains with their labels, block by block."""


def _labeller(args: argparse.Namespace) -> tuple[dict[str, Any], _Work]:
    """What the labels depend on beside the file, and the work."""
    from cos.problems import problem_files

    root = args.images or Path(args.file).parent
    settings, labels = _SOURCES[args.by](args, lambda problem: problem_files.picture(problem, root))

    def work(done: Any) -> Iterator[list[Labelled]]:
        left = (sample for sample in read_samples(args.file) if sample.id not in done)
        while block := list(islice(left, args.block)):
            yield labels(block)

    return settings, work


def _truth(args: argparse.Namespace, picture: Picture) -> tuple[dict[str, Any], _Label]:
    return {}, partial(label.by_truth, check=_check, grade=_grade)


def _rollouts(args: argparse.Namespace, picture: Picture) -> tuple[dict[str, Any], _Label]:
    from cos.loading import fingerprint, load_policy

    how = Rollouts(**{field.name: getattr(args, field.name) for field in fields(Rollouts)})
    policy = load_policy(args.policy)
    labels = by_binary_search if args.by == "binary" else by_rollouts

    def go(block: Sequence[Sample]) -> list[Labelled]:
        if blind := next((sample.problem.id for sample in block if sample.problem.answer is None), None):
            raise UserError(f"{args.file}: problem {blind} has no gold answer, so roll-outs can't be judged; take --by judge or reward")
        return labels(policy, block, picture, _grade, how, args.seed)

    return {"policy": fingerprint(args.policy, "policy"), **vars(how)}, go


def _reward(args: argparse.Namespace, picture: Picture) -> tuple[dict[str, Any], _Label]:
    from cos.loading import fingerprint, load_scorer

    scorer = load_scorer(args.reward)
    return {"reward": fingerprint(args.reward, "reward")}, lambda block: label.by_reward(scorer, block, picture)


def _judge(args: argparse.Namespace, picture: Picture) -> tuple[dict[str, Any], _Label]:
    from cos.loading import fingerprint, is_server, load_policy, load_vlm

    need(args, judge="--judge")
    if args.judge == "scripted":
        judge = label.speaker(load_policy("scripted"))
    elif is_server(args.judge):
        from cos.engine.remote import RemotePolicy
        from cos.engine.server import Server

        judge = label.speaker(RemotePolicy(Server(args.judge), chains=False))
    else:
        vlm = load_vlm(args.judge, "policy")  # any model that talks: it need not know the format of chains
        from cos.engine.torch_engine import TorchPolicy

        judge = label.speaker(TorchPolicy(vlm))
    return {"judge": fingerprint(args.judge, "policy")}, lambda block: label.by_judge(judge, block, picture)


_SOURCES: dict[str, Callable[[argparse.Namespace, Picture], tuple[dict[str, Any], _Label]]] = {
    "truth": _truth,
    "rollouts": _rollouts,
    "binary": _rollouts,
    "reward": _reward,
    "judge": _judge,
}


def _consensus(args: argparse.Namespace) -> tuple[dict[str, Any], _Work]:
    need(args, other="--with")
    others = {other.id: other for other in read_labelled(args.other)}

    def work(done: Any) -> Iterator[list[Labelled]]:
        for one in read_labelled(args.file):
            if one.id in others and one.id not in done:
                try:
                    agreed = label.consensus(one, others[one.id])
                except ValueError as problem:
                    raise UserError(f"{args.file} and {args.other}: {problem}") from None
                yield [] if agreed is None else [agreed]

    return {"with": args.other}, work


def _summary(file: Path) -> dict[str, Any]:
    """Of all labels in the file, those of earlier runs too."""
    steps, answers, cost = Counter[str](), Counter[str](), Counter[str]()
    labelled, unparsed, truth = 0, 0, _Truth()
    for one in read_labelled(file):
        labelled += 1
        steps.update(map(_kind, one.labels.steps))
        answers[_kind(one.labels.answer)] += 1
        cost.update(one.cost)  # type: ignore[arg-type]
        unparsed += one.details.get("unparsed", 0)
        if "content" in one.problem.truth:
            truth.take(one)
    counts = {"labelled": labelled, "steps": dict(steps), "answers": dict(answers), "unparsed": unparsed}
    return {**counts, "truth": truth.to_json(), "cost": dict(cost)}


@dataclass
class _Truth:
    """How labels compare with the truth of worlds, over all steps that have both."""

    shares: list[float] = field(default_factory=list)
    """The label or, of roll-outs, the share that came out right."""
    same: list[bool] = field(default_factory=list)
    so_far: list[bool] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    placed: list[bool] = field(default_factory=list)

    def take(self, one: Labelled) -> None:
        (true,) = label.by_truth([Sample(one.problem, 0, one.chain)], _check, _grade)
        drawn, came = (one.details.get(key, [0] * len(one.labels.steps)) for key in ("drawn", "right"))
        for step, (ours, theirs) in enumerate(zip(one.labels.steps, true.labels.steps, strict=True)):
            if ours is not None and theirs is not None:
                self.shares.append(came[step] / drawn[step] if drawn[step] else ours)
                self.same.append(_kind(ours) == _kind(theirs))
                self.so_far.append((ours >= 0.5) == (0.0 not in true.labels.steps[: step + 1]))
                self.right.append(theirs == 1.0)
        self.placed.append(one.labels.first_error() == true.labels.first_error())

    def to_json(self) -> dict[str, float | None] | None:
        """`steps`: how many have both; `same`: share with the truth's label; `so_far`: share that say whether all steps so far are right
        (which is what roll-outs ask); `auc` of the shares; `first_error`: share of the chains with the first error in the same place."""
        if not self.placed:
            return None
        area = auc(self.shares, self.right) if len(set(self.right)) == 2 else None
        means = {name: sum(found) / len(found) if found else None for name, found in (("same", self.same), ("so_far", self.so_far))}
        return {"steps": len(self.right), **means, "auc": area, "first_error": sum(self.placed) / len(self.placed)}


def _kind(value: float | None) -> str:
    return "none" if value is None else "right" if value >= 0.5 else "wrong"


def _check(problem: Problem, step: Step) -> float | None:
    from cos.problems import check

    verdict = check(problem, step).label
    return None if verdict is None else float(verdict)


def _grade(problem: Problem, answer: str | None) -> bool:
    from cos.problems import grade

    return grade(problem, answer).right


def _text(result: dict[str, Any]) -> str:
    steps = ", ".join(f"{count} {kind}" for kind, count in sorted(result["steps"].items()))
    told = f"{result['labelled']} of {result['chains']} chains labelled, steps: {steps}; {result['cost'].get('tokens', 0):.0f} tokens"
    if result["truth"] and result["truth"]["same"] is not None:
        told += (
            f"; {result['truth']['same']:.1%} of the steps as the truth has them, {result['truth']['first_error']:.1%} of the first errors"
        )
    return f"{told}; {result['out']}"
