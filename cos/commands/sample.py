"""`cos sample`: a pool of chains for every problem of a set or a file: DIR/pool.jsonl, one line a chain, with tokens and log-probabilities.

`cos label` labels it, `cos train prm --pool` learns from it.

example: cos sample --set all:train --limit 12000 --n 4 --policy runs/policy/model --out runs/pool
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cos.chain import Problem, Sample
from cos.commands.options import Outcome, Progress, need
from cos.errors import UserError
from cos.sample import Sampling, samples

_MEANING = {
    "n": "chains for each problem",
    "temperature": "of sampling",
    "top_p": "sample from the smallest set of tokens with this probability",
    "max_tokens": "limit for each step",
    "max_steps": "a chain with more steps is cut",
}
_LIMIT = 100


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--set", metavar="S:SPLIT", help="charts, scenes, digits, refusals or all; train, validation, test or shift")
    parser.add_argument("--problems", metavar="FILE", help="a file of problems in place of --set, as cos data make writes it")
    parser.add_argument("--images", metavar="ROOT", help="folder that the file's pictures are under (the file's own)")
    parser.add_argument("--limit", type=int, help=f"number of problems ({_LIMIT} of a set, all of a file)")
    parser.add_argument("--policy", default="embedded", help="embedded, scripted, a folder or a Hub id (embedded)")
    for name, meaning in _MEANING.items():
        default = getattr(Sampling, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=f"{meaning} ({default})")
    parser.add_argument("--out", metavar="DIR", help="the folder; a killed run goes on where it was")
    parser.add_argument("--block", type=int, default=64, help="problems at once (64)")


def run(args: argparse.Namespace) -> Outcome:
    """Draw what is missing."""
    need(args, out="--out")
    from cos.loading import fingerprint, load_policy
    from cos.problems import problem_files
    from cos.runs import Run
    from cos.store import Log

    how = Sampling(**{name: getattr(args, name) for name in _MEANING})
    if min(_LIMIT if args.limit is None else args.limit, args.block, how.n) < 1:
        raise UserError("--limit, --block and --n must be 1 or more")
    wanted, progress = _problems(args), Progress("sample")
    root = args.images or (Path(args.problems).parent if args.problems else ".")
    policy, file = load_policy(args.policy), Path(args.out) / "pool.jsonl"
    source = {"set": args.set, "problems": args.problems, "policy": fingerprint(args.policy, "policy")}
    Run.start(args.out, {**source, **vars(how)}, args.seed)
    with Log(file, "pool", key="id") as log:
        left = [problem for problem in wanted if any(f"{problem.id}/{number}" not in log.done for number in range(how.n))]
        done = len(wanted) - len(left)
        progress(done, len(wanted))
        for own in samples(policy, left, lambda problem: problem_files.picture(problem, root), how, args.seed, args.block):
            log.add(*(sample.to_json() for sample in own if sample.id not in log.done))
            done += 1
            progress(done, len(wanted))
    result = {"problems": len(wanted), "new": len(left), **_counts(file, {problem.id for problem in wanted}), "out": str(file)}
    text = "{chains} chains of {problems} problems, {answered} of them with an answer, {right} with the right one, {tokens} tokens; {out}"
    return Outcome(result, text.format(**result))


def _problems(args: argparse.Namespace) -> list[Problem]:
    from cos.problems import problem_files, problems

    if (args.set is None) == (args.problems is None):
        raise UserError("one of --set and --problems is needed" + ("" if args.set is None else ", not both"))
    if args.set is not None:
        return problems(args.set, _LIMIT if args.limit is None else args.limit, args.seed)
    return problem_files.read_problems(args.problems)[: args.limit]


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
