"""Iterative DPO: sample, score, pair, train, evaluate; three rounds, each in a folder of its own, and the best kept (arXiv 2509.19003).

    runs/rounds/rounds.jsonl          what each round came to; round 0 is the policy that all begins with
    runs/rounds/round-1/pool.jsonl    chains of the policy before it; labels.jsonl their rewards, pairs.jsonl the pairs, dpo/ the training
    runs/rounds/round-1/greedy.jsonl  its own greedy chains for the validation problems
    runs/rounds/model/                the best of all by validation, the first of equals

Every stage goes on where it was when the same command is given again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from cos.chain import Labelled, Problem, Sample, Step
from cos.errors import UserError
from cos.label import by_reward, by_truth
from cos.loading import fingerprint, load_policy, load_scorer, load_vlm
from cos.metrics import wilson
from cos.models.hub import NOTES
from cos.prefer import OUTCOME, Pairing, pairs
from cos.problems import check, grade, problem_files, problems
from cos.protocols import Scorer
from cos.runs import Run
from cos.sample import Sampling, samples
from cos.store import Log, read, write
from cos.train import dpo
from cos.train.loop import Schedule
from cos.train.processes import processes
from cos.train.report import Report
from cos.train.weights import Weights

BLOCK = 64
"""Chains scored, and problems sampled, at once."""


@dataclass(frozen=True)
class Config:
    """What is done in each round. Three rounds, each begun anew from the SFT model and held near it, are the paper's and the released
    code's; sampling and pairing have their own sources."""

    out: str
    reward: str = "embedded"
    """What scores chains: a reward model's name, or `oracle`, the truth of a world. Not asked where `pairing.aggregator` is `outcome`."""
    worlds: dict[str, int] = field(default_factory=lambda: {"all:train": 3000})
    """Set and split -> number of problems to sample from, new ones in each round where a world makes them."""
    validation: dict[str, int] = field(default_factory=lambda: {"all:validation": 600})
    """What the rounds are compared on, by greedy chains."""
    rounds: int = 3
    begin: Literal["sft", "previous"] = "sft"
    """Where a round's training begins: from the first policy, or from the round before."""
    reference: Literal["sft", "previous"] = "sft"
    """What it stays near."""
    sampling: Sampling = field(default_factory=Sampling)
    pairing: Pairing = field(default_factory=Pairing)
    beta: float = dpo.Config.beta
    chosen_nll: float = dpo.Config.chosen_nll
    weights: Weights = field(default_factory=Weights)
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=100, batch=256, learning_rate=5e-6))
    seed: int = 0


def run(policy: str, config: Config, report: Report = Report(), say: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """All rounds from the policy of this name; what each came to (docs/formats.md, Rounds). `say` is told what is being done.

    Raises UserError for settings that fit nothing, and where a round finds no pair.
    """
    if processes().count > 1:
        raise UserError("train rounds samples and scores too, which is done in one process; take cos train dpo for the training alone")
    if config.rounds < 1:
        raise UserError(f"rounds is {config.rounds}; it must be 1 or more")
    for name, sets in (("worlds", config.worlds), ("validation", config.validation)):
        if min(sets.values(), default=0) < 1:
            raise UserError(f"{name} is {sets}; at least one set is needed, and at least one problem of each")
    if config.sampling.n < 2:
        raise UserError(f"sampling: n is {config.sampling.n}; a pair needs two chains of a problem")
    models = {"policy": fingerprint(policy, "policy"), "reward": fingerprint(config.reward, "reward")}
    folder = Run.start(config.out, asdict(config) | models, config.seed).folder
    before = policy
    with Log(folder / "rounds.jsonl", "round", key="round") as log:
        if 0 not in log.done:
            say("round 0: greedy chains of the first policy")
            log.add({"round": 0, "model": policy, **_validated(policy, config, folder / "round-0")})
        for number in range(1, config.rounds + 1):
            one = _Round(number, policy, before, config, report, say)
            if number not in log.done:
                log.add(one.run())
            before = one.model
    rows = list(read(folder / "rounds.jsonl", "round", dict))
    _keep(max(rows, key=lambda row: row["accuracy"])["model"], folder / "model")
    return rows


class _Round:
    """One round: `before` is the policy that samples, `first` the one that all rounds began with."""

    def __init__(self, number: int, first: str, before: str, config: Config, report: Report, say: Callable[[str], None]) -> None:
        self.number, self.first, self.before, self.config, self.report, self.say = number, first, before, config, report, say
        self.folder = Path(config.out) / f"round-{number}"
        self.model = str(self.folder / "dpo" / "model")

    def run(self) -> dict[str, Any]:
        """All stages; what the round came to."""
        drawn = self._stage("sampling", self._sample)
        found = self._stage("scoring and pairing", self._pair)
        trained = self._stage("training", self._train)
        reached = self._stage("greedy chains", lambda: _validated(self.model, self.config, self.folder))
        return {"round": self.number, "model": self.model, **reached, **drawn, **found, "training": trained}

    def _stage(self, name: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        self.say(f"round {self.number}: {name}")
        return work()

    def _sample(self) -> dict[str, Any]:
        wanted = _problems(self.config.worlds, self.config.seed + self.number - 1)
        chains = sampled(self.before, wanted, self.config.sampling, self.config.seed + self.number - 1, self.folder / "pool.jsonl")
        return {"sampled": _lengths(chains)}

    def _pair(self) -> dict[str, Any]:
        file = self.folder / "pairs.jsonl"
        if not file.exists():
            write(file, "preference", (pair.to_json() for own in self._scored() for pair in pairs(own, self.config.pairing, is_right)))
        rows = list(read(file, "preference", dict))
        if not rows:
            raise UserError(f"round {self.number}: no two chains of a problem differ in score by more than {self.config.pairing.threshold}")
        gap = sum(row["chosen_score"] - row["rejected_score"] for row in rows) / len(rows)
        return {"pairs": len(rows), "gap": gap}

    def _scored(self) -> Iterator[list[Labelled]]:
        """The labelled chains of each problem."""
        file = self.folder / "labels.jsonl"
        with Log(file, "labels", key="id") as log:
            left = [one for one in read(self.folder / "pool.jsonl", "pool", Sample.from_json) if one.id not in log.done]
            label = self._labeller if left else None
            for start in range(0, len(left), BLOCK):
                assert label is not None
                log.add(*(one.to_json() for one in label(left[start : start + BLOCK])))
        known: dict[str, list[Labelled]] = {}
        for one in read(file, "labels", Labelled.from_json):
            known.setdefault(one.problem.id, []).append(one)
        yield from known.values()

    @cached_property
    def _labeller(self) -> Callable[[Sequence[Sample]], list[Labelled]]:
        if self.config.reward == "oracle" or self.config.pairing.aggregator == OUTCOME:
            return partial(by_truth, check=label_of, grade=is_right)
        scorer: Scorer = load_scorer(self.config.reward)
        return lambda block: by_reward(scorer, block, picture_of)

    def _train(self) -> dict[str, Any]:
        config = self.config
        names = {"sft": self.first, "previous": self.before}
        begin, near = names[config.begin], names[config.reference]
        plan = dpo.Config(
            str(self.folder / "dpo"),
            str(self.folder / "pairs.jsonl"),
            reference="" if near == begin else near,
            beta=config.beta,
            chosen_nll=config.chosen_nll,
            weights=config.weights,
            schedule=config.schedule,
            seed=config.seed + self.number - 1,
        )
        reference = load_vlm(near, "policy") if plan.reference else None
        return {"begun_from": begin, "near": near, **dpo.run(load_vlm(begin, "policy"), plan, reference, self.report)}


def _validated(name: str, config: Config, folder: Path) -> dict[str, Any]:
    """Greedy accuracy with Wilson's 95 % interval, and how long the chains are."""
    wanted = _problems(config.validation, config.seed)
    greedy = Sampling(1, 0.0, 1.0, config.sampling.max_tokens, config.sampling.max_steps)
    chains = sampled(name, wanted, greedy, config.seed, folder / "greedy.jsonl")
    right = sum(is_right(one.problem, one.chain.answer) for one in chains)
    share, low, high = wilson(right, len(chains))
    return {"accuracy": share, "ci95": [low, high], "problems": len(chains), **_lengths(chains)}


def sampled(name: str, wanted: Sequence[Problem], how: Sampling, seed: int, file: Path) -> list[Sample]:
    """The chains that are in `file`, after those that are missing there were drawn."""
    with Log(file, "pool", key="id") as log:
        left = [problem for problem in wanted if any(f"{problem.id}/{number}" not in log.done for number in range(how.n))]
        if left:
            for own in samples(load_policy(name), left, picture_of, how, seed, BLOCK):
                log.add(*(sample.to_json() for sample in own if sample.id not in log.done))
    return list(read(file, "pool", Sample.from_json))


def _lengths(chains: Sequence[Sample]) -> dict[str, float]:
    """Means over all chains: tokens, steps, and the share that came to an answer."""
    sums = {
        "tokens": sum(len(piece) for one in chains for piece in one.tokens),
        "steps": sum(len(one.chain.steps) for one in chains),
        "answered": sum(one.chain.answer is not None for one in chains),
    }
    return {key: value / len(chains) for key, value in sums.items()}


def _problems(worlds: dict[str, int], seed: int) -> list[Problem]:
    return [problem for spec, count in worlds.items() for problem in problems(spec, count, seed)]


def picture_of(problem: Problem) -> Any:
    """The picture of a world's own problem, or of a file below the current folder."""
    return problem_files.picture(problem, ".")


def is_right(problem: Problem, answer: str | None) -> bool:
    """Whether an answer is right by the rule of the problem's own set."""
    return grade(problem, answer).right


def label_of(problem: Problem, step: Step) -> float | None:
    """What the truth says of a step: 1 right, 0 wrong, None where it claims nothing."""
    verdict = check(problem, step).label
    return None if verdict is None else float(verdict)


def _keep(name: str, folder: Path) -> None:
    """The best model under the name of the result; its notes come last, as the sign that all is there."""
    if (folder / NOTES).is_file():
        shutil.rmtree(folder)
    vlm = load_vlm(name, "policy")
    vlm.save(folder)
    card = Path(name) / "README.md"
    if card.is_file():
        shutil.copy(card, folder / card.name)
