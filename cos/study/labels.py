"""Study: sources of step labels: how good they are, and what a reward model trained on them is worth, by card, best of N and search.

One pool of chains on training problems is labelled by every source; each labelling trains reward models from the same start, which differ
in nothing but labels and seed. The judge is made of the truth, so that its noise is known. Asked because the CoS paper mixes roll-outs and
a judge without measuring either.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cos.agreement import agreement
from cos.card.cases import Worlds
from cos.card.judging import judge
from cos.card.report import calibrate
from cos.card.steps import chains_of, steps_of
from cos.chain import Labelled, Sample, StepLabels
from cos.label import by_truth, consensus
from cos.loading import fingerprint, load_policy, load_scorer, load_vlm
from cos.metrics import auc, first_error_f1
from cos.models.hub import NOTES
from cos.models.vlm import add_tokens
from cos.problems import problems
from cos.rollouts import Rollouts, by_rollouts
from cos.rounds import is_right, label_of, picture_of, sampled
from cos.sample import Sampling
from cos.search.methods import Settings
from cos.store import Log, read, write
from cos.study.results import Difference, Point, Result, Statistic, between, panel, seeded, statistic
from cos.study.work import Asked, Cost, Study, Work, evaluated
from cos.train import prm
from cos.train.loop import Schedule

METHODS = ("vote", "best_of_n", "step_beam")
STEPS = 5
"""Steps of a chain of the worlds, about (docs/log.md)."""


@dataclass(frozen=True)
class Config:
    """Numbers of roll-outs around the paper's 16; a reward model that begins from the policy, as the paper's does from a fine-tuned one."""

    train: str = "all:train"
    problems: int = 250
    chains: int = 4
    rollouts: tuple[int, ...] = (4, 16, 64)
    noise: tuple[float, ...] = (0.1, 0.3)
    """Shares of its labels that the judge gets wrong."""
    policy: str = "embedded"
    start: str = ""
    """The model that reward models begin from; empty: the policy."""
    steps: int = 200
    batch: int = 32
    learning_rate: float = 5e-4
    validation: str = "all:validation"
    set: str = "all:test"
    limit: int = 120
    n: int = 16
    card_n: int = 8
    width: int = 4
    seeds: tuple[int, ...] = (0, 1, 2)


Labels = dict[str, list[Labelled]]
"""Source -> its labels of the chains."""


def cost(config: Config) -> Cost:
    """The pool, its roll-outs (half a chain each), and for every source and seed a training, a card and an evaluation."""
    models = (2 * len(config.rollouts) + len(config.noise) + 2) * len(config.seeds)
    rolled = config.problems * config.chains * (1 + STEPS * sum(config.rollouts) // 2)
    tested = models * config.limit * (2 * config.n + 2 * config.card_n)
    return Cost(config.problems + config.limit, rolled + tested, models * config.steps)


def run(config: Config, work: Work) -> Result:
    """Quality of the labels by source; step AUC, first-error F1, best of N and step search of the models; each less the truth's."""
    found = sources(config, work)
    models = {name: [_trained(config, name, labels, seed, work) for seed in config.seeds] for name, labels in found.items()}
    right = {name: [_right(config, model, work) for model in own] for name, own in models.items()}
    cards = {name: [_card(config, model, work) for model in own] for name, own in models.items()}
    rows = [(method, name, np.array([one[method] for one in own])) for name, own in right.items() for method in METHODS]
    panels = (
        panel("quality of the labels against the truth", "source", _quality(found, work.seed)),
        panel("report card of the reward models", "source", [point for name in cards for point in _figures(name, cards[name], work.seed)]),
        panel(f"accuracy with them, N = {config.n}", "source", [seeded(method, name, values, work.seed) for method, name, values in rows]),
    )
    differences: list[Difference] = []
    known = {(method, name): values for method, name, values in rows}
    for method in METHODS[1:]:
        truth = known[method, "truth"]
        differences += [between(name, "truth", method, known[method, name], truth, work.seed) for name in found if name != "truth"]
        differences.append(between(method, "vote", "labels of the truth", truth, known["vote", "truth"], work.seed))
    return Result(panels, tuple(differences))


# Labels ---------------------------------------------------------------------------------------------------------------------------


def sources(config: Config, work: Work) -> Labels:
    """The labels of every source for the same chains; the consensus keeps fewer."""
    made_of = {"set": config.train, "problems": config.problems, "chains": config.chains, "policy": fingerprint(config.policy, "policy")}
    folder = work.folder("labels", **made_of)
    wanted = problems(config.train, config.problems, work.seed)
    pool = sampled(config.policy, wanted, Sampling(n=config.chains), work.seed, folder / "pool.jsonl")
    pool = [one for one in pool if one.chain.steps]
    found: Labels = {"truth": by_truth(pool, label_of, is_right)}
    for n in config.rollouts:
        rolled = _rolled(config, pool, n, folder / f"rollouts-{n}.jsonl", work)
        found |= {f"roll-outs {n}, hard": rolled, f"roll-outs {n}, soft": [softened(one) for one in rolled]}
    for share in config.noise:
        found[f"judge, {100 * share:g}% wrong"] = [noisy(one, share, work.seed) for one in found["truth"]]
    middle = config.rollouts[len(config.rollouts) // 2]
    pairs = zip(found[f"judge, {100 * config.noise[-1]:g}% wrong"], found[f"roll-outs {middle}, hard"], strict=True)
    found["consensus of both"] = [agreed for one, other in pairs if (agreed := consensus(one, other))]
    return found


def _rolled(config: Config, pool: Sequence[Sample], n: int, file: Path, work: Work, block: int = 16) -> list[Labelled]:
    """Hard labels by `n` roll-outs a step, kept block by block."""
    tell = work.progress(f"labels by {n} roll-outs")
    with Log(file, "labels", key="id") as log:
        left = [one for one in pool if one.id not in log.done]
        policy = load_policy(config.policy) if left else None
        for start in range(0, len(left), block):
            assert policy is not None
            tell(len(log.done), len(pool))
            made = by_rollouts(policy, left[start : start + block], picture_of, is_right, Rollouts(n=n), work.seed)
            log.add(*(one.to_json() for one in made))
    known = {one.id: one for one in read(file, "labels", Labelled.from_json)}
    return [known[one.id] for one in pool]


def softened(one: Labelled) -> Labelled:
    """The same roll-outs as soft labels: the shares that came out right."""
    shares = zip(one.details["right"], one.details["drawn"], strict=True)
    return replace(one, labels=replace(one.labels, steps=tuple(right / drawn if drawn else None for right, drawn in shares)))


def noisy(one: Labelled, share: float, seed: int) -> Labelled:
    """The labels, each turned round with this probability; which, depends on seed and chain alone."""
    rng = random.Random(f"{seed}/{share}/{one.id}")

    def heard(label: float | None) -> float | None:
        return label if rng.random() >= share or label is None else 1.0 - label

    return replace(one, labels=StepLabels(tuple(map(heard, one.labels.steps)), heard(one.labels.answer), "judge"))


def _quality(found: Labels, seed: int) -> list[Point]:
    """Agreement with the truth, over the chains that the source has labelled; intervals over problems."""
    truth = {one.id: one for one in found["truth"]}
    points = []
    for name, labels in found.items():
        by_problem: dict[str, list[tuple[Labelled, Labelled]]] = {}
        for one in labels:
            learned = replace(one, details={})  # the labels as they are learned, not the shares that hard ones were cut from
            by_problem.setdefault(one.problem.id, []).append((learned, truth[one.id]))
        groups = list(by_problem.values())
        for key, says in (("auc", "AUC of the labels"), ("same", "steps labelled as the truth"), ("first_error", "same first error")):
            points.append(statistic(says, name, len(groups), [_agreement(groups, key)], seed, draws=200))
    return points


def _agreement(groups: Sequence[Sequence[tuple[Labelled, Labelled]]], key: str) -> Statistic:
    def of(index: NDArray[np.intp]) -> float:
        found = agreement([pair for at in index for pair in groups[at]]) or {}
        value = found.get(key)
        return float("nan") if value is None else value

    return of


# Models ---------------------------------------------------------------------------------------------------------------------------


def _trained(config: Config, name: str, labels: Sequence[Labelled], seed: int, work: Work) -> str:
    """The folder of a reward model trained on these labels."""
    start = config.start or config.policy
    how = {"steps": config.steps, "batch": config.batch, "learning_rate": config.learning_rate}
    made_of = {"labels": name, "chains": len(labels), "problems": config.problems, "start": fingerprint(start, "policy"), **how}
    made_of |= {"per_problem": config.chains, "rollouts": config.rollouts, "noise": config.noise}  # what a consensus is of
    out = work.place("reward", train=config.train, training_seed=seed, policy=fingerprint(config.policy, "policy"), **made_of)
    if not (out / "model" / NOTES).is_file():
        file = out.with_name(f"{out.name}-labels.jsonl")
        if not file.exists():
            write(file, "labels", (one.to_json() for one in labels))
        vlm = load_vlm(start, "policy")
        add_tokens(vlm, tags=True)
        schedule = Schedule(steps=config.steps, batch=config.batch, learning_rate=config.learning_rate)
        prm.run(vlm, prm.Config(str(out), data=str(file), look="", hints=0.0, schedule=schedule, seed=seed))
    return str(out / "model")


def _right(config: Config, model: str, work: Work) -> dict[str, list[bool]]:
    """Method -> right or not, problem by problem."""
    settings = Settings(width=config.width)
    found = evaluated(Asked(config.set, config.limit, METHODS, (config.n,), config.policy, model, settings=settings), work)
    return {method: found.right(method, config.n) for method in METHODS}


@dataclass(frozen=True)
class _Card:
    """Judged records of the test set, and the threshold that validation has chosen."""

    records: list[dict[str, Any]]
    threshold: float


def _card(config: Config, model: str, work: Work) -> _Card:
    folder = work.folder("card", set=config.set, validation=config.validation, reward=fingerprint(model, "reward"), n=config.card_n)
    scorer, policy = load_scorer(model), load_policy(config.policy)

    def judged(spec: str, name: str) -> list[dict[str, Any]]:
        source = Worlds(spec, problems(spec, config.limit, work.seed), policy, Sampling(n=config.card_n), work.seed)
        return judge(source, scorer, folder / f"{name}.jsonl", work.progress(f"card, {spec}"), thorough=False)

    calibration = calibrate(judged(config.validation, "validation"), {})
    return _Card(judged(config.set, "records"), calibration.thresholds.get("first_error_f1", 0.5))


def _figures(name: str, cards: Sequence[_Card], seed: int) -> Iterator[Point]:
    """Step AUC and first-error F1 of a source's models."""
    kinds: tuple[tuple[str, Callable[[_Card], Statistic]], ...] = (("step AUC", _auc), ("first-error F1", _first_error))
    for says, of in kinds:
        yield statistic(says, name, len(cards[0].records), [of(card) for card in cards], seed, draws=200)


def _auc(card: _Card) -> Statistic:
    steps = [steps_of([record]) for record in card.records]

    def of(index: NDArray[np.intp]) -> float:
        return auc(*(np.concatenate([getattr(steps[at], column) for at in index]) for column in ("reward", "label")))

    return of


def _first_error(card: _Card) -> Statistic:
    judged = [chains_of([record]) for record in card.records]

    def of(index: NDArray[np.intp]) -> float:
        chains = [chain for at in index for chain in judged[at]]
        return first_error_f1([chain.predicted(card.threshold) for chain in chains], [chain.first_error for chain in chains]).f1

    return of


QUICK = Config(problems=12, chains=2, rollouts=(2, 4), noise=(0.3,), steps=6, batch=8, limit=9, n=4, card_n=4, width=2, seeds=(0,))
STUDY = Study(Config(), QUICK, cost, run)
