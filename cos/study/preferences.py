"""Studies: what DPO learns from (outcome, answer's reward alone, steps and answer), and how long chains become by round and reward.

Both are views of the same rounds (`cos.rounds`): every reward, or arm, with every seed. Asked because the paper's differences (0.3 to 1.8
points) come from single runs, and because it finds that outcomes lengthen chains while step rewards first shorten them (its figure 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cos import rounds
from cos.chain import Preference, Sample
from cos.errors import UserError
from cos.loading import fingerprint
from cos.metrics import pass_at_n
from cos.prefer import OUTCOME, Pairing
from cos.problems import problems
from cos.rounds import is_right, sampled
from cos.sample import Sampling
from cos.store import read
from cos.study.results import Difference, Panel, Point, Result, between, panel, seeded
from cos.study.work import Cost, Study, Work
from cos.train import dpo
from cos.train.loop import Schedule

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """What pairs are made by: an aggregator, and the reward it reads (None: the study's; outcomes are the truth's whatever the reward)."""

    aggregator: str
    reward: str | None = None


ARMS = {
    "outcome": Arm(OUTCOME, "oracle"),
    "answer alone": Arm("answer"),
    "steps and answer": Arm("cos"),
    "steps and answer, by the truth": Arm("cos", "oracle"),
}
"""The paper's three, and a fourth that says what step rewards could give were the reward model never wrong."""
BASE = "before"
OURS = "steps and answer"
VERSUS = ((OURS, "outcome"), (OURS, "answer alone"), (f"{OURS}, by the truth", "outcome"))
"""The arms that are compared with each other."""


@dataclass(frozen=True)
class Config:
    """Three rounds, 16 chains a problem and pairs as in the paper; rates are those of `recipes/rounds.yaml`. Seeds lie apart, since every
    round takes the problems of the next one."""

    train: str = "all:train"
    problems: int = 600
    n: int = 16
    threshold: float = 0.2
    rounds: int = 3
    begin: Literal["sft", "previous"] = "sft"
    reference: Literal["sft", "previous"] = "sft"
    """Where each round's training begins, and what it stays near (`cos.rounds.Config`)."""
    arms: tuple[str, ...] = tuple(ARMS)
    steps: int = 60
    batch: int = 32
    learning_rate: float = 1.5e-4
    beta: float = dpo.Config.beta
    chosen_nll: float = dpo.Config.chosen_nll
    validation: str = "all:validation"
    validation_limit: int = 150
    set: str = "all:test"
    limit: int = 300
    drawn: int = 8
    """Chains sampled from the policy of the last round, for pass@1 and pass@N."""
    policy: str = "embedded"
    reward: str = "embedded"
    seeds: tuple[int, ...] = (0, 10, 20)

    def __post_init__(self) -> None:
        """Raises UserError for an arm that does not exist or is given twice, and where there is none."""
        if wrong := [arm for arm in self.arms if arm not in ARMS]:
            raise UserError(f"no arm is called {wrong[0]!r}; there are {', '.join(ARMS)}")
        if not self.arms or len({*self.arms}) < len(self.arms):
            raise UserError(f"arms: {'one is given twice' if self.arms else 'none is given'}; there are {', '.join(ARMS)}")


def cost(config: Config) -> Cost:
    """Every arm with every seed: in each round a pool, a training and greedy chains."""
    runs = len(config.arms) * len(config.seeds)
    chains = runs * config.rounds * (config.problems * config.n + config.validation_limit + config.limit)
    return Cost(config.problems + config.limit, chains + (runs + 1) * config.limit * config.drawn, runs * config.rounds * config.steps)


def compare(config: Config, work: Work) -> Result:
    """Study `rewards`: accuracy on the test problems by round and arm; what sampled chains are worth; the arms against each other."""
    models = _models(config, work)
    right = {arm: [_each(config, own, work, _is_right) for own in by_round] for arm, by_round in models.items()}
    last = {arm: _each(config, by_round[-1], work, _shares, config.drawn) for arm, by_round in models.items()}
    panels = (
        panel("greedy accuracy by round", "round", list(_by_round(config, right, work.seed))),
        panel("sampled chains after the last round", "learned from", _sampled_points(last, config.drawn, work.seed)),
    )
    ends = {arm: by_round[-1] for arm, by_round in right.items()}
    tested = [(arm, BASE) for arm in config.arms] + [pair for pair in VERSUS if {*pair} <= {*config.arms}]
    differences = [between(ours, theirs, "greedy", ends[ours], ends[theirs], work.seed) for ours, theirs in tested]
    return Result(panels, tuple(differences))


def lengths(config: Config, work: Work) -> Result:
    """Study `length`: tokens and steps of greedy chains by round and arm, and how much longer the chosen chains of the pairs are."""
    models = _models(config, work)
    tokens = {arm: [_each(config, own, work, _tokens) for own in by_round] for arm, by_round in models.items()}
    steps = {arm: [_each(config, own, work, _steps) for own in by_round] for arm, by_round in models.items()}
    panels: tuple[Panel, ...] = (
        panel("tokens of a greedy chain by round", "round", list(_by_round(config, tokens, work.seed)), percent=False),
        panel("steps of a greedy chain by round", "round", list(_by_round(config, steps, work.seed)), percent=False),
        panel("steps that the chosen chain has more than the rejected one", "round", list(_pairs(config, work)), percent=False),
    )
    differences: list[Difference] = []
    for arm in config.arms:
        for number in (1, config.rounds):
            mine = tokens[arm][number - 1]
            differences.append(between(arm, BASE, f"round {number}", mine, tokens[BASE][0], work.seed, unit="tokens"))
    return Result(panels, tuple(differences))


# The runs -------------------------------------------------------------------------------------------------------------------------


def _place(config: Config, arm: str, seed: int, work: Work) -> tuple[Path, rounds.Config]:
    """The folder of an arm's rounds and their settings."""
    how = ARMS[arm]
    reward = how.reward or config.reward
    models = {"policy": fingerprint(config.policy, "policy"), "reward": fingerprint(reward, "reward")}
    elsewhere = ("arms", "set", "limit", "drawn", "policy", "reward", "seeds")  # of the test, or said already
    settings = {name: value for name, value in asdict(config).items() if name not in elsewhere}
    out = work.place("rounds", arm=arm, round_seed=seed, **models, **settings)
    schedule = Schedule(steps=config.steps, batch=config.batch, learning_rate=config.learning_rate)
    return out, rounds.Config(
        str(out),
        reward,
        worlds={config.train: config.problems},
        validation={config.validation: config.validation_limit},
        rounds=config.rounds,
        begin=config.begin,
        reference=config.reference,
        sampling=Sampling(n=config.n),
        beta=config.beta,
        chosen_nll=config.chosen_nll,
        pairing=Pairing(how.aggregator, threshold=config.threshold),
        schedule=schedule,
        seed=seed + work.seed,
    )


def _models(config: Config, work: Work) -> dict[str, list[list[str]]]:
    """Arm -> round -> the models of all seeds; BASE has one round with one model. What is missing is trained."""
    found: dict[str, list[list[str]]] = {BASE: [[config.policy]]}
    for arm in config.arms:
        own = []
        for seed in config.seeds:
            _, how = _place(config, arm, seed, work)
            tell = work.progress(f"{arm}, seed {seed}")
            tell(0, config.rounds)
            rows = rounds.run(config.policy, how)
            tell(config.rounds, config.rounds)
            own.append([row["model"] for row in rows if row["round"]])
        found[arm] = [list(models) for models in zip(*own, strict=True)]
    return found


def _each(config: Config, models: Sequence[str], work: Work, of: Callable[[Sequence[Sample]], float], n: int = 0) -> Floats:
    """(models, problems): `of` the chains of each test problem: one greedy chain, or `n` sampled ones."""
    return np.array([[of(own) for own in _chains(config, model, n, work)] for model in models])


def _chains(config: Config, model: str, n: int, work: Work) -> list[list[Sample]]:
    """The chains of each test problem, those that are missing drawn."""
    folder = work.folder("chains", set=config.set, policy=fingerprint(model, "policy"), n=n)
    how = Sampling(n=n) if n else Sampling(1, 0.0)
    wanted = problems(config.set, config.limit, work.seed)
    known: dict[str, list[Sample]] = {}
    for one in sampled(model, wanted, how, work.seed, folder / "pool.jsonl"):
        known.setdefault(one.problem.id, []).append(one)
    return [known[problem.id] for problem in wanted]


def _is_right(own: Sequence[Sample]) -> float:
    return float(is_right(own[0].problem, own[0].chain.answer))


def _shares(own: Sequence[Sample]) -> float:
    """Right chains of those sampled."""
    return sum(is_right(one.problem, one.chain.answer) for one in own) / len(own)


def _tokens(own: Sequence[Sample]) -> float:
    return float(sum(map(len, own[0].tokens)))


def _steps(own: Sequence[Sample]) -> float:
    return float(len(own[0].chain.steps))


# Points ---------------------------------------------------------------------------------------------------------------------------


def _by_round(config: Config, values: dict[str, list[Floats]], seed: int) -> Iterator[Point]:
    """Every arm from round 0, the policy that all begin with."""
    for arm in config.arms:
        for number, table in enumerate([*values[BASE], *values[arm]]):
            yield seeded(arm, number, table, seed)


def _sampled_points(shares: dict[str, Floats], n: int, seed: int) -> list[Point]:
    """pass@1, and pass@n from the same n chains."""
    points = []
    for arm, table in shares.items():
        passed = np.vectorize(lambda share: pass_at_n(n, round(share * n), n))(table)
        points += [seeded("pass@1", arm, table, seed), seeded(f"pass@{n}", arm, passed, seed)]
    return points


def _pairs(config: Config, work: Work) -> Iterator[Point]:
    """Of the pairs that each round learned from; all seeds together, over pairs."""
    for arm in config.arms:
        for number in range(1, config.rounds + 1):
            more: list[float] = []
            for seed in config.seeds:
                out, _ = _place(config, arm, seed, work)
                made = read(out / f"round-{number}" / "pairs.jsonl", "preference", Preference.from_json)
                more += [float(len(pair.chosen.steps) - len(pair.rejected.steps)) for pair in made]
            yield seeded(arm, number, more, work.seed)


QUICK = Config(problems=9, n=4, threshold=0.0, rounds=2, steps=3, batch=4, validation_limit=6, limit=12, drawn=2, seeds=(0,))
REWARDS = Study(Config(), QUICK, cost, compare)
LENGTH = Study(Config(), QUICK, cost, lengths)
