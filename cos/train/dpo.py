"""Direct preference optimisation on pairs of chains, from a file of released DPO rows or of our preferences (`cos prefer`).

Source: the released `trainer_dpo.py` and `8b_dpo.sh`: sigmoid loss (arXiv 2305.18290) at beta 0.1 on log-probabilities summed over the
chain, and the chosen chain's mean token loss at weight 1. The reference is the SFT model (the paper) or any other, such as the round
before. Its log-probabilities are computed once, before the training, and kept (`cos.train.reference`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import torch
import torch.nn.functional as F

from cos.models.hub import NOTES
from cos.models.vlm import VLM
from cos.train.data import Pictures, cut, taken
from cos.train.files import read_rows
from cos.train.loop import Schedule, start, train
from cos.train.pairs import Pair, Pairs, collate_pairs, pair, share_rows
from cos.train.reference import references
from cos.train.report import Report
from cos.train.weights import Weights


@dataclass(frozen=True)
class Config:
    """What to train on: `data`, pairs whose pictures are under `images`. In the released recipe the vision tower learns too."""

    out: str
    data: str = ""
    images: str = "."
    reference: str = ""
    """The model to stay near, as `--model`; empty: the one that training starts from, as in the paper."""
    beta: float = 0.1
    """How dear it is to leave the reference (the released trainer's default)."""
    chosen_nll: float = 1.0
    """Weight of the chosen chain's mean token loss (`--rpo_alpha 1` of the released script); 0 is plain DPO."""
    weights: Weights = field(default_factory=Weights)
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=100, batch=256, learning_rate=5e-6))
    """Batch and rate are those of `8b_dpo.sh`; 100 steps are about one epoch of the 20 to 28 thousand pairs of a round."""
    seed: int = 0


def preference_loss(logps: torch.Tensor, reference: torch.Tensor, beta: float, count: float | None = None) -> torch.Tensor:
    """Mean over pairs of `-log sigmoid(beta * d)`, d how much more the policy than the reference prefers the chosen chain.

    `logps`, `reference`: (P, 2), summed log-probabilities of chosen and rejected. `count`: what the sum is divided by (None: P).
    """
    lead = (logps - reference) @ torch.tensor([1.0, -1.0], device=logps.device)
    return -F.logsigmoid(beta * lead).sum() / (len(logps) if count is None else count)


def loss(beta: float, chosen_nll: float) -> Callable[[VLM, Pairs], tuple[torch.Tensor, dict[str, float]]]:
    """The whole loss. Its numbers: `right`, the share of pairs that the policy prefers the chosen chain in by more than the reference;
    `margin`, beta times by how much; `chosen` and `rejected`, by how much the log-probability of each has moved from the reference's."""

    def whole(vlm: VLM, batch: Pairs) -> tuple[torch.Tensor, dict[str, float]]:
        logps = log_probabilities(vlm, batch)
        reference = batch.reference.to(logps.device)
        preferred = preference_loss(logps, reference, beta, batch.pairs)
        nll = -logps[:, 0].sum() / batch.words
        moved = (logps - reference).detach()
        lead = moved[:, 0] - moved[:, 1]
        sums = {"right": (lead > 0).sum(), "margin": beta * lead.sum(), "chosen": moved[:, 0].sum(), "rejected": moved[:, 1].sum()}
        numbers = {"loss": float(preferred.detach()), "nll": float(nll.detach())}
        return preferred + chosen_nll * nll, numbers | {key: float(value) / batch.pairs for key, value in sums.items()}

    return whole


def log_probabilities(vlm: VLM, batch: Pairs) -> torch.Tensor:
    """(P, 2), float32: the log-probability of every chosen and rejected chain, its end mark with it; one forward pass for all."""
    inputs = vlm.arguments(batch.ids, batch.inputs)
    inputs |= {name: tensor.to(vlm.device) for name, tensor in batch.layout(vlm).items()}
    hidden = vlm.body(**inputs, use_cache=False).last_hidden_state
    logits = vlm.head(hidden[batch.rows.to(vlm.device), batch.columns.to(vlm.device)]).float()
    words = -F.cross_entropy(logits, batch.targets.to(vlm.device), reduction="none")
    sums = torch.zeros(2 * len(batch.reference), device=words.device)
    return sums.index_add(0, batch.chains.to(vlm.device), words).view(-1, 2)


def run(vlm: VLM, config: Config, reference: VLM | None = None, report: Report = Report()) -> dict[str, float]:
    """Train `vlm` in place; its folder is `config.out`/model. `reference`: what `config.reference` names (None: `vlm` as it comes).

    Returns the last averages. Raises UserError for a bad row, a missing picture, and a file without rows.
    """
    rows = read_rows(config.data, config.images, "dpo", vlm.encoder, vlm.longest)
    pictures = Pictures(vlm.encoder, lambda index: rows[index].picture)
    folder, plan = start(config.out, vlm, asdict(config), config.seed), config.schedule
    shared = share_rows(vlm)

    def example(index: int) -> Pair:
        number = index % len(rows)
        row = rows[number]
        assert row.rejected is not None
        return pair(vlm.encoder, row.turns(), (row.chain, row.rejected), number, pictures.stand_in(number), shared=shared)

    def batch(examples: Sequence[Pair]) -> Pairs:
        return collate_pairs(examples, pictures, vlm.encoder.pad_id)

    known: dict[int, tuple[float, float]] = {}
    if not (folder.folder / "model" / NOTES).is_file():
        near = reference or vlm
        dtype = near.model.dtype
        near.model.float()  # as the policy will be, so that at the start they agree
        used = taken(len(rows), plan.batch * plan.accumulate, plan.steps, config.seed)
        found = references(near, [example(index) for index in used], batch, log_probabilities, folder, plan)
        near.model.to(dtype)
        known = dict(zip(used, found, strict=True))
    cutting = cut(example, lambda pair: pair.tokens, len(rows), plan.batch, config.seed, plan.accumulate)

    def numbered(number: int) -> Pairs:
        own, whole = cutting(number)
        return collate_pairs(own, pictures, vlm.encoder.pad_id, whole, torch.tensor([known[pair.picture] for pair in own]))

    return train(vlm, plan, folder, numbered, loss(config.beta, config.chosen_nll), config.weights, report)
