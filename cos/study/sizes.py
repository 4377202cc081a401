"""Study: how large a reward model must be, next to its policy.

The paper's reward model is almost five times as large as its policy, which its first reviewer calls unrealistic. Here policies and reward
models of several depths judge and are judged: each keeps the first layers of the language model of the one named, and is then trained on,
all for the same number of batches, so that what differs is size alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cos.errors import UserError
from cos.loading import fingerprint, load_vlm
from cos.models.hub import NOTES
from cos.models.vlm import VLM
from cos.search.methods import Settings
from cos.study.results import Difference, Point, Result, corrected, paired, panel, share
from cos.study.shift import auc_point
from cos.study.work import Asked, Cost, Evaluated, Study, Work, evaluated
from cos.train import prm, sft
from cos.train.loop import Schedule
from cos.train.weights import Weights

METHODS = ("vote", "best_of_n", "weighted_vote", "step_beam")


@dataclass(frozen=True)
class Config:
    """Depths of the embedded models: the policy has 4 layers, the reward model 5."""

    policy_layers: tuple[int, ...] = (2, 4)
    reward_layers: tuple[int, ...] = (1, 2, 3, 5)
    policy: str = "embedded"
    reward: str = "embedded"
    train: str = "all:train"
    problems: int = 6000
    steps: int = 300
    batch: int = 32
    learning_rate: float = 5e-4
    set: str = "all:test"
    limit: int = 200
    n: int = 16
    width: int = 4
    seeds: tuple[int, ...] = (0,)
    """Of the trainings."""


def cost(config: Config) -> Cost:
    """A training for every size and seed, and an evaluation for every pair of sizes."""
    models = len(config.policy_layers) + len(config.reward_layers)
    pairs = len(config.policy_layers) * len(config.reward_layers) * len(config.seeds)
    return Cost(config.limit, pairs * config.limit * 2 * config.n, models * len(config.seeds) * config.steps)


def run(config: Config, work: Work) -> Result:
    """For every pair of sizes: accuracy, AUC of the rewards, and what rewards win over the vote."""
    accuracy: list[Point] = []
    known: list[Point] = []
    differences: list[Difference] = []
    for policy_layers, reward_layers, seed, found in _pairs(config, work):
        name, size = f"policy of {policy_layers} layers", float(reward_layers)
        suffix = f", seed {seed}" if len(config.seeds) > 1 else ""
        accuracy += [share(f"{method}, {name}{suffix}", size, found.right(method, config.n)) for method in METHODS]
        auc = auc_point("all steps", "", found, work.seed)
        known.append(Point(f"{name}{suffix}", size, auc.value, auc.low, auc.high, auc.count))
        where = f"{name}, reward of {reward_layers}{suffix}"
        right = {method: found.right(method, config.n) for method in METHODS}
        differences += [paired(method, "vote", where, right[method], right["vote"], work.seed) for method in METHODS[1:]]
    axis = "layers of the reward model"
    panels = (panel(f"accuracy, N = {config.n}", axis, accuracy), panel("step AUC of the rewards", axis, known, percent=False))
    return Result(panels, corrected(differences))


def _pairs(config: Config, work: Work) -> Iterator[tuple[int, int, int, Evaluated]]:
    """Every policy with every reward model, evaluated."""
    settings = Settings(width=config.width)
    for seed in config.seeds:
        for policy_layers in config.policy_layers:
            policy = _trained(config, "policy", policy_layers, seed, work)
            for reward_layers in config.reward_layers:
                reward = _trained(config, "reward", reward_layers, seed, work)
                asked = Asked(config.set, config.limit, METHODS, (config.n,), policy, reward, settings=settings)
                yield policy_layers, reward_layers, seed, evaluated(asked, work)


def _trained(config: Config, role: str, layers: int, seed: int, work: Work) -> str:
    """The folder of a model with this many layers, trained on."""
    name = config.policy if role == "policy" else config.reward
    how = {"train": config.train, "problems": config.problems, "steps": config.steps, "batch": config.batch}
    made_of = {
        "role": role,
        "layers": layers,
        "training_seed": seed,
        "model": fingerprint(name, "policy" if role == "policy" else "reward"),
    }
    out = work.place("size", **made_of, **how, learning_rate=config.learning_rate)
    if not (out / "model" / NOTES).is_file():
        schedule = Schedule(steps=config.steps, batch=config.batch, learning_rate=config.learning_rate)
        worlds, frozen = {config.train: config.problems}, Weights(freeze_vision=True)
        if role == "policy":
            sft.run(
                shortened(load_vlm(name, "policy"), layers),
                sft.Config(str(out), worlds=worlds, weights=frozen, schedule=schedule, seed=seed),
            )
        else:
            vlm = shortened(load_vlm(name, "reward"), layers)
            prm.run(vlm, prm.Config(str(out), worlds=worlds, weights=frozen, schedule=schedule, seed=seed))
    return str(out / "model")


def shortened(vlm: VLM, layers: int) -> VLM:
    """The model with the first `layers` of its language model's layers, changed in place. UserError for more than it has, or none."""
    language, config = vlm.model.model.language_model, vlm.model.config.text_config
    if not 1 <= layers <= len(language.layers):
        raise UserError(f"model {vlm.name}: {layers} layers are asked for; it has {len(language.layers)}")
    language.layers = language.layers[:layers]
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    return vlm


QUICK = Config(policy_layers=(4,), reward_layers=(1, 5), problems=60, steps=4, batch=8, limit=12, n=4, width=2)
STUDY = Study(Config(), QUICK, cost, run)
