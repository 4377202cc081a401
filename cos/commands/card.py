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
from typing import TYPE_CHECKING, Any

from cos.commands.options import Outcome, Progress, add_models
from cos.errors import UserError
from cos.protocols import Policy

if TYPE_CHECKING:
    from cos.card.cases import Source
    from cos.rewards.calibrate import Calibration

N = 8
"""Chains a question: the pool of VisualPRM's best-of-8."""


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add_data(parser, N)
    parser.add_argument(
        "--validation", metavar="S:SPLIT or FILE", help="what threshold and calibration are chosen on (the set's validation)"
    )


def add_data(parser: argparse.ArgumentParser, n: int) -> None:
    """The options that `cos calibrate` has too."""
    parser.add_argument("--set", metavar="S:SPLIT", help="charts, scenes, digits, refusals or all; train, validation, test or shift")
    parser.add_argument("--file", help="labelled chains in place of --set: of cos label, ProcessBench or VisualProcessBench")
    parser.add_argument("--images", metavar="ROOT", help="folder of the file's pictures (the file's own)")
    parser.add_argument("--limit", type=int, default=100, help="number of questions (100)")
    add_models(parser)
    parser.add_argument("--n", type=int, default=n, help=f"chains drawn for each question of a set ({n})")
    parser.add_argument("--out", metavar="DIR", help="folder of the results, where a killed run goes on (runs/card-...)")


def run(args: argparse.Namespace) -> Outcome:
    """Judge the validation chains, then those asked for; write the card."""
    from cos.card.findings import findings, table
    from cos.card.report import report
    from cos.commands.card_page import page
    from cos.loading import load_calibration
    from cos.store import write

    what = asked(args)
    chosen = args.validation or (f"{args.set.partition(':')[0]}:validation" if args.set else None)
    if chosen == what:
        raise UserError(f"threshold and calibration can't be chosen on {what} itself: take another set, or another --validation")
    work = Work(args, chosen)
    source = work.source(what)
    work.start(what)
    calibration = work.calibration() if chosen else load_calibration(args.reward)
    if calibration:
        calibration.save(work.out / "calibration.json")
    card = report(work.judged(source, "records"), calibration, args.seed)
    origin = chosen or (f"{args.reward}'s calibration.json" if calibration else "nothing: 0.5")
    head = {"reward": args.reward, "set": what, "threshold_from": origin, "left_out": getattr(source, "left_out", 0), "out": str(work.out)}
    card = head | card | {"findings": findings(card)}
    write(work.out / "card.json", "card", [card])
    (work.out / "card.html").write_text(page(card), "utf-8")
    shown = {key: value for key, value in card.items() if key != "curves"}
    lines = [f"{args.reward} on {what}; threshold from {origin}", table(card), *(f"! {text}" for text in card["findings"])]
    return Outcome(shown, "\n".join([*lines, str(work.out / "card.html")]))


class Work:
    """What the records of a card are made with and where they go. `chosen`: what threshold and calibration are chosen on, None: nothing."""

    def __init__(self, args: argparse.Namespace, chosen: str | None) -> None:
        from cos.loading import fingerprint, load_scorer

        if min(args.limit, args.n) < 1:
            raise UserError("--limit and --n must be 1 or more")
        self.args, self.chosen = args, chosen
        self._policy: Policy | None = None
        self.reward = fingerprint(args.reward, "reward")
        self.validation = self.source(chosen) if chosen else None
        tested = [problem.id for problem in (self.validation.problems if self.validation else ()) if problem.split in ("test", "shift")]
        if tested:
            raise UserError(
                f"{chosen}: threshold and calibration are never chosen on problems of a test ({tested[0]}); take all:validation"
            )
        self.scorer = None if args.reward == "oracle" else load_scorer(args.reward)

    def start(self, what: str) -> None:
        """Begin the run folder, or go on with it."""
        from cos.loading import fingerprint
        from cos.runs import Run
        from cos.store import digest, dump

        args = self.args
        models = {"policy": fingerprint(args.policy, "policy"), "reward": self.reward}
        config = {"set": what, "limit": args.limit, "n": args.n, **models, "validation": self.validation and self.validation.name}
        if files := {str(name): digest(name) for name in (what, self.chosen) if name and Path(name).is_file()}:
            config |= {"files": files, "images": args.images}
        name = f"card-{Path(what).stem.replace(':', '-')}-{hashlib.sha256(dump(config | {'seed': args.seed}).encode()).hexdigest()[:8]}"
        self.out = Path(args.out or f"runs/{name}")
        Run.start(self.out, config, args.seed)

    def source(self, what: str) -> Source:
        """The cases of a set or file."""
        from cos.card.cases import Worlds
        from cos.card.files import LabelFile
        from cos.loading import load_policy
        from cos.problems import problems
        from cos.sample import Sampling

        if Path(what).is_file():
            return LabelFile.read(what, self.args.images, self.args.limit)
        wanted = problems(what, self.args.limit, self.args.seed)
        self._policy = self._policy or load_policy(self.args.policy)
        return Worlds(what, wanted, self._policy, Sampling(n=self.args.n), self.args.seed)

    def judged(self, source: Source, name: str, *, thorough: bool = True) -> list[dict[str, Any]]:
        """The records of a set or file, kept under `name`."""
        from cos.card.judging import judge

        return judge(source, self.scorer, self.out / f"{name}.jsonl", Progress(f"{name} of {source.name}"), thorough=thorough)

    def calibration(self) -> Calibration:
        """The one that fits the validation data."""
        from cos.card.report import calibrate

        assert self.validation is not None
        try:
            records = self.judged(self.validation, "validation", thorough=False)
            return calibrate(records, {"reward": self.reward, "set": self.validation.name})
        except ValueError as fault:
            raise UserError(f"{self.validation.name}: {fault}; take more questions (--limit) or another policy") from None


def asked(args: argparse.Namespace) -> str:
    """The set or the file."""
    if (args.set is None) == (args.file is None):
        raise UserError("one of --set and --file is needed" + ("" if args.set is None else ", not both"))
    if args.file is not None and not Path(args.file).is_file():
        raise UserError(f"{args.file}: no such file")
    return str(args.set or args.file)
