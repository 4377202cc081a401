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
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from cos import label
from cos.agreement import agreement
from cos.chain import Labelled, Problem, Sample, Step
from cos.commands.options import Outcome, Progress, need
from cos.commands.workers import Task, add_workers
from cos.errors import UserError
from cos.problems.records import read_labelled, read_samples
from cos.protocols import Policy
from cos.rollouts import Rollouts, by_binary_search, by_rollouts
from cos.sample import Picture
from cos.scale import Chunks, Row, complete, cut
from cos.store import Log, digest, lines, read

_Label = Callable[[Sequence[Sample]], list[Labelled]]
_Source = tuple[dict[str, Any], Callable[[], _Label]]
"""What labels depend on beside the file, and what loads the models and makes them."""
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
    add_workers(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Label what is missing."""
    need(args, file="FILE", by="--by", out="--out")
    if min(args.n, args.block) < 1 or not 0 <= args.threshold < 1:
        raise UserError("--n and --block must be 1 or more, and --threshold between 0 and 1 (1 itself excluded)")
    file = Path(args.out) / "labels.jsonl"
    total, new = (_agree if args.by == "consensus" else _label_blocks)(args, file, Progress("label"))
    result = {"chains": total, "new": new, **_summary(file), "out": str(file)}
    return Outcome(result, _text(result))


class _Labelling(Task):
    """Block -> some chains of the file with their labels."""

    @cached_property
    def source(self) -> _Source:
        """Of the labels that --by asks for."""
        from cos.problems import problem_files

        root = self.args.images or Path(self.args.file).parent
        return _SOURCES[self.args.by](self.args, lambda problem: problem_files.picture(problem, root))

    def load(self) -> None:
        """Load the models."""
        self.labels = self.source[1]()
        self.chunks = Chunks(lambda: read_samples(self.args.file), self.args.block)

    def rows(self, number: int) -> list[Row]:
        """Labelled chains."""
        return [one.to_json() for one in self.labels(self.chunks[number])]


def _label_blocks(args: argparse.Namespace, file: Path, progress: Progress) -> tuple[int, int]:
    """The number of chains, and of those that were labelled now."""
    from cos.runs import Run

    work = _Labelling(args)
    ids, chains, team = [], dict[str, set[int]](), work.team()
    for sample in read_samples(args.file):
        ids.append(sample.id)
        chains.setdefault(sample.id, set()).add(_chain(sample))
    Run.start(args.out, {"by": args.by, "file": args.file, **work.source[0]}, args.seed)
    with Log(file, "labels", key="id") as log:
        for one in read(file, "labels", Labelled.from_json):
            if _chain(one) not in chains.get(one.id, {_chain(one)}):
                raise UserError(f"{file}: {one.id} is another chain than in {args.file}, which was made again; name another folder")
        return len(ids), complete(work, cut(ids, args.block), log, team, progress)


def _chain(one: Sample | Labelled) -> int:
    """What is labelled, as a number: files hold hundreds of thousands."""
    return hash((one.problem.question, one.problem.answer, one.chain))


def _agree(args: argparse.Namespace, file: Path, progress: Progress) -> tuple[int, int]:
    """The same of chains on which two sources agree."""
    from cos.runs import Run

    need(args, other="--with")
    if args.workers > 1 or args.ray:
        raise UserError("--by consensus compares two files, which needs no model: leave out --workers and --ray")
    total, new, others = sum(1 for _ in lines(args.file)), 0, {other.id: other for other in read_labelled(args.other)}
    files = {name: digest(name) for name in (args.file, args.other)}
    Run.start(args.out, {"by": args.by, "file": args.file, "with": args.other, "files": files}, args.seed)
    with Log(file, "labels", key="id") as log:
        for one in read_labelled(args.file):
            if one.id in others and one.id not in log.done:
                try:
                    agreed = label.consensus(one, others[one.id])
                except ValueError as problem:
                    raise UserError(f"{args.file} and {args.other}: {problem}") from None
                if agreed is not None:
                    log.add(agreed.to_json())
                    new += 1
                progress(len(log.done), total)
    return total, new


def _truth(args: argparse.Namespace, picture: Picture) -> _Source:
    return {}, lambda: partial(label.by_truth, check=_check, grade=_grade)


def _rollouts(args: argparse.Namespace, picture: Picture) -> _Source:
    from cos.loading import fingerprint, load_policy

    how = Rollouts(**{field.name: getattr(args, field.name) for field in fields(Rollouts)})
    labels = by_binary_search if args.by == "binary" else by_rollouts

    def load() -> _Label:
        policy = load_policy(args.policy)

        def go(block: Sequence[Sample]) -> list[Labelled]:
            if blind := next((sample.problem.id for sample in block if sample.problem.answer is None), None):
                raise UserError(f"{args.file}: problem {blind} has no gold answer, so roll-outs can't be judged; take --by judge or reward")
            return labels(policy, block, picture, _grade, how, args.seed)

        return go

    return {"policy": fingerprint(args.policy, "policy"), **vars(how)}, load


def _reward(args: argparse.Namespace, picture: Picture) -> _Source:
    from cos.loading import fingerprint, load_scorer

    def load() -> _Label:
        scorer = load_scorer(args.reward)
        return lambda block: label.by_reward(scorer, block, picture)

    return {"reward": fingerprint(args.reward, "reward")}, load


def _judge(args: argparse.Namespace, picture: Picture) -> _Source:
    from cos.loading import fingerprint

    need(args, judge="--judge")

    def load() -> _Label:
        judge = label.speaker(_talker(args.judge))
        return lambda block: label.by_judge(judge, block, picture)

    return {"judge": fingerprint(args.judge, "policy")}, load


def _talker(name: str) -> Policy:
    """Any model that talks: it need not know the format of chains."""
    from cos.loading import is_server, load_policy, load_vlm

    if name == "scripted":
        return load_policy(name)
    if is_server(name):
        from cos.engine.remote import RemotePolicy
        from cos.engine.server import Server

        return RemotePolicy(Server(name), chains=False)
    vlm = load_vlm(name, "policy")
    from cos.engine.torch_engine import TorchPolicy

    return TorchPolicy(vlm)


_SOURCES: dict[str, Callable[[argparse.Namespace, Picture], _Source]] = {
    "truth": _truth,
    "rollouts": _rollouts,
    "binary": _rollouts,
    "reward": _reward,
    "judge": _judge,
}


def _summary(file: Path) -> dict[str, Any]:
    """Of all labels in the file, those of earlier runs too."""
    steps, answers, cost = Counter[str](), Counter[str](), Counter[str]()
    labelled = unparsed = 0
    for one in read_labelled(file):
        labelled += 1
        steps.update(map(_kind, one.labels.steps))
        answers[_kind(one.labels.answer)] += 1
        cost.update(one.cost)  # type: ignore[arg-type]
        unparsed += one.details.get("unparsed", 0)
    counts = {"labelled": labelled, "steps": dict(steps), "answers": dict(answers), "unparsed": unparsed}
    truth = agreement((one, _true(one)) for one in read_labelled(file) if "content" in one.problem.truth)
    return {**counts, "truth": truth, "cost": dict(cost)}


def _true(one: Labelled) -> Labelled:
    """The same chain as the truth labels it."""
    return label.by_truth([Sample(one.problem, 0, one.chain)], _check, _grade)[0]


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
