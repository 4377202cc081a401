"""`cos sample`: a pool of chains for every problem of a set or a file: DIR/pool.jsonl, one line a chain, with tokens and log-probabilities.

`cos label` labels it, `cos train prm --pool` learns from it. With --method and --reward it holds the chains that a search likes best: what
a reward model is fooled by is among them.

example: cos sample --set all:train --limit 12000 --n 4 --policy runs/policy/model --out runs/pool
example: cos sample --set all:train --limit 3000 --n 16 --method best_of_n --reward runs/reward/model --keep 4 --out runs/hard
"""

from __future__ import annotations

import argparse
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from cos.chain import Problem, Sample
from cos.commands.options import Outcome, Progress, need
from cos.commands.workers import Task, add_workers
from cos.errors import UserError
from cos.sample import Picture, Sampling, favourites, samples
from cos.scale import Row, complete, cut
from cos.search.methods import METHODS

_MEANING = {
    "n": "chains for each problem",
    "temperature": "of sampling",
    "top_p": "sample from the smallest set of tokens with this probability",
    "max_tokens": "limit for each step",
    "max_steps": "a chain with more steps is cut",
}
_LIMIT = 100
_KEEP = 4


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument(
        "--set",
        metavar="S:SPLIT",
        help="a world (charts, scenes, digits, refusals, all) and train, validation, test or shift; or a benchmark",
    )
    parser.add_argument("--data", metavar="FILE", help="the benchmark's own file, in place of the Hub's")
    parser.add_argument("--problems", metavar="FILE", help="a file of problems in place of --set, as cos data make writes it")
    parser.add_argument("--images", metavar="ROOT", help="folder that the file's pictures are under (the file's own)")
    parser.add_argument("--limit", type=int, help=f"number of problems ({_LIMIT} of a set, all of a file)")
    parser.add_argument("--policy", default="embedded", help="embedded, scripted, a folder or a Hub id (embedded)")
    for name, meaning in _MEANING.items():
        default = getattr(Sampling, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=f"{meaning} ({default})")
    parser.add_argument("--method", choices=METHODS, help="a search, in place of chains as they are drawn: keep what it likes best")
    parser.add_argument("--reward", help="what guides it")
    parser.add_argument("--keep", type=int, default=_KEEP, help=f"different chains kept of a search ({_KEEP})")
    parser.add_argument("--out", metavar="DIR", help="the folder; a killed run goes on where it was")
    parser.add_argument("--block", type=int, default=64, help="problems at once (64)")
    add_workers(parser)


class _Sampling(Task):
    """Block -> the samples of some problems."""

    @cached_property
    def problems(self) -> tuple[list[Problem], Picture]:
        """All problems, and where their pictures come from."""
        return _problems(self.args)

    @property
    def how(self) -> Sampling:
        """What the options say."""
        return Sampling(**{name: getattr(self.args, name) for name in _MEANING})

    def load(self) -> None:
        """Load the policy."""
        from cos.loading import load_policy, load_scorer

        self.policy = load_policy(self.args.policy)
        self.scorer = load_scorer(self.args.reward) if self.args.reward else None

    def rows(self, number: int) -> list[Row]:
        """Samples, problem after problem."""
        (wanted, picture), size = self.problems, self.args.block
        block = wanted[number * size : (number + 1) * size]
        if self.scorer:
            drawn = favourites(self.policy, self.scorer, block, picture, self.args.method, self.how, self.args.keep, self.args.seed)
        else:
            drawn = list(samples(self.policy, block, picture, self.how, self.args.seed, size))
        return [sample.to_json() for own in drawn for sample in (reversed(own) if self.scorer else own)]  # the best last: see `run`


def run(args: argparse.Namespace) -> Outcome:
    """Draw what is missing."""
    need(args, out="--out")
    from cos.loading import fingerprint
    from cos.runs import Run
    from cos.store import Log

    work = _Sampling(args)
    if min(_LIMIT if args.limit is None else args.limit, args.block, args.n, args.keep) < 1:
        raise UserError("--limit, --block, --n and --keep must be 1 or more")
    if bool(args.method) != bool(args.reward):
        raise UserError("--method and --reward belong together: a search, and what guides it")
    wanted, file = work.problems[0], Path(args.out) / "pool.jsonl"
    team = work.team()
    source = {"set": args.set, "data": args.data, "problems": args.problems, "policy": fingerprint(args.policy, "policy")}
    if args.reward:
        source |= {"method": args.method, "reward": fingerprint(args.reward, "reward"), "keep": args.keep}
    Run.start(args.out, {**source, **vars(work.how)}, args.seed)
    each = 1 if args.reward else args.n  # a search may come to less than it may keep; its best chain is written last, and stands for all
    ids = [f"{problem.id}/{number}" for problem in wanted for number in range(each)]
    with Log(file, "pool", key="id") as log:
        new = len({one.rpartition("/")[0] for one in ids if one not in log.done})
        complete(work, cut(ids, args.block * each), log, team, Progress("sample"))
    result = {"problems": len(wanted), "new": new, **_counts(file, {problem.id for problem in wanted}), "out": str(file)}
    text = "{chains} chains of {problems} problems, {answered} of them with an answer, {right} with the right one, {tokens} tokens; {out}"
    return Outcome(result, text.format(**result))


def _problems(args: argparse.Namespace) -> tuple[list[Problem], Picture]:
    """The problems, and where their pictures come from."""
    from cos.problems import draw, problem_files, problems
    from cos.problems.benchmarks import Source

    if (args.set is None) == (args.problems is None):
        raise UserError("one of --set and --problems is needed" + ("" if args.set is None else ", not both"))
    if args.problems is not None:
        root = args.images or Path(args.problems).parent
        return problem_files.read_problems(args.problems)[: args.limit], lambda problem: problem_files.picture(problem, root)
    source = Source(args.data, args.images) if args.data else None
    found = problems(args.set, _LIMIT if args.limit is None else args.limit, args.seed, source)
    own = {problem.id: f"images/{quote(problem.id, safe='')}.png" for problem in found if not problem_files.drawn(problem)}
    held = {problem.id: problem for problem in found}

    def picture(problem: Problem) -> Image.Image:
        """Pictures of a benchmark are kept beside the pool, since its rows can't hold them."""
        image = draw(held[problem.id])
        if problem.id in own:
            file = Path(args.out) / own[problem.id]
            file.parent.mkdir(parents=True, exist_ok=True)
            image.save(file, "PNG")
        return image

    return [Problem.from_json({**problem.to_json(), "image": own.get(problem.id)}) for problem in found], picture


def _counts(file: Path, wanted: set[str]) -> dict[str, int]:
    """Of all chains in the file, those of earlier runs too."""
    from cos.problems import grade
    from cos.store import read

    counts = {"chains": 0, "answered": 0, "right": 0, "tokens": 0}
    for sample in read(file, "pool", Sample.from_json):
        if sample.problem.id in wanted:
            counts["chains"] += 1
            counts["answered"] += sample.chain.answer is not None
            counts["right"] += grade(sample.problem, sample.chain.answer).right
            counts["tokens"] += sum(map(len, sample.tokens))
    return counts
