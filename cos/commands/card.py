"""`cos card`: what a reward model is worth, and where it fails: on a world whose truth is known, or on a file of labelled chains.

example: cos card --reward embedded --set charts:test --limit 100 --json
example: cos card --reward visualprm:OpenGVLab/VisualPRM-8B --file VisualProcessBench.jsonl --images images/ --validation dev.jsonl

The threshold and the calibration come from other data: the validation split of the set, or what --validation names. A file without one is
judged by the calibration.json beside the model, else at 0.5, and the card says so. DIR gets card.json, card.html, calibration.json, and the
records they are made of, where a killed run goes on.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from cos.commands.options import Outcome, Progress, add_models
from cos.errors import UserError
from cos.protocols import Policy

N = 8
"""Chains a question: the pool of VisualPRM's best-of-8."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add_data(parser)
    parser.add_argument("--file", help="labelled chains in place of --set: of cos label, ProcessBench or VisualProcessBench")
    parser.add_argument("--images", metavar="ROOT", help="folder of the file's pictures (the file's own)")
    parser.add_argument(
        "--validation", metavar="S:SPLIT or FILE", help="what threshold and calibration are chosen on (the set's validation)"
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """The options that `cos calibrate` has too."""
    parser.add_argument("--set", metavar="S:SPLIT", help="charts, scenes, digits, refusals or all; test or shift")
    parser.add_argument("--limit", type=int, default=100, help="number of questions (100)")
    add_models(parser)
    parser.add_argument("--n", type=int, default=N, help=f"chains drawn for each question ({N})")
    parser.add_argument("--out", metavar="DIR", help="folder of the results, where a killed run goes on (runs/card-...)")


def run(args: argparse.Namespace) -> Outcome:
    """Judge the validation chains, then those asked for; write the card."""
    from cos.card.findings import findings, table
    from cos.card.report import calibrate, report
    from cos.commands.card_page import page
    from cos.loading import load_calibration
    from cos.store import write

    what = _asked(args)
    work = Work(args, what)
    chosen = args.validation or (f"{args.set.partition(':')[0]}:validation" if args.set else None)
    if chosen == what:
        raise UserError(f"threshold and calibration can't be chosen on {what} itself: take another set, or another --validation")
    if chosen:
        calibration = calibrated(work, chosen, calibrate)
        calibration.save(work.out / "calibration.json")
    else:
        calibration = load_calibration(args.reward)
    card = report(work.judged(what, "records"), calibration, args.seed)
    source = chosen or (f"{args.reward}'s calibration.json" if calibration else "nothing: 0.5")
    head = {"reward": args.reward, "set": what, "threshold_from": source, "left_out": work.left_out, "out": str(work.out)}
    card = head | card | {"findings": findings(card)}
    write(work.out / "card.json", "card", [card])
    (work.out / "card.html").write_text(page(card), "utf-8")
    shown = {key: value for key, value in card.items() if key != "curves"}
    return Outcome(shown, f"{args.reward} on {what}; threshold from {source}\n{table(card)}\n{work.out / 'card.html'}")


class Work:
    """What the records of a card are made with; models are loaded when first asked for."""

    def __init__(self, args: argparse.Namespace, what: str) -> None:
        from cos.loading import fingerprint, load_scorer
        from cos.runs import Run
        from cos.store import dump

        if min(args.limit, args.n) < 1:
            raise UserError("--limit and --n must be 1 or more")
        self.args, self.left_out = args, 0
        self._policy: Policy | None = None
        models = {"policy": fingerprint(args.policy, "policy"), "reward": fingerprint(args.reward, "reward")}
        config = {"set": what, "limit": args.limit, "n": args.n, **models, "validation": getattr(args, "validation", None)}
        name = f"card-{Path(what).stem.replace(':', '-')}-{hashlib.sha256(dump(config | {'seed': args.seed}).encode()).hexdigest()[:8]}"
        self.out = Path(args.out or f"runs/{name}")
        self.scorer = None if args.reward == "oracle" else load_scorer(args.reward)
        Run.start(self.out, config, args.seed)

    def judged(self, what: str, name: str) -> list[dict[str, Any]]:
        """The records of a set or file, kept under `name`."""
        from cos.card.judging import judge

        return judge(self._source(what), self.scorer, self.out / f"{name}.jsonl", Progress(f"{name} of {what}"))

    def _source(self, what: str) -> Any:
        from cos.card.cases import Worlds
        from cos.card.files import LabelFile
        from cos.loading import load_policy
        from cos.problems import problems
        from cos.sample import Sampling

        if Path(what).is_file():
            file = LabelFile.read(what, getattr(self.args, "images", None), self.args.limit)
            self.left_out += file.left_out
            return file
        self._policy = self._policy or load_policy(self.args.policy)
        return Worlds(what, problems(what, self.args.limit, self.args.seed), self._policy, Sampling(n=self.args.n), self.args.seed)


def calibrated(work: Work, chosen: str, calibrate: Any) -> Any:
    """The calibration that fits the validation data `chosen`."""
    from cos.loading import fingerprint

    try:
        return calibrate(work.judged(chosen, "validation"), {"reward": fingerprint(work.args.reward, "reward"), "set": chosen})
    except ValueError as fault:
        raise UserError(f"{chosen}: {fault}; take more questions (--limit) or another policy") from None


def _asked(args: argparse.Namespace) -> str:
    """The set or the file."""
    from cos.problems import problems

    if (args.set is None) == (args.file is None):
        raise UserError("one of --set and --file is needed" + ("" if args.set is None else ", not both"))
    if args.file is not None and not Path(args.file).is_file():
        raise UserError(f"{args.file}: no such file")
    if args.set is not None:
        problems(args.set, 1)  # refuses a set that does not exist before any work is done
    return str(args.set or args.file)
