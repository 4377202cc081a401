"""What a search method asks for, and what it may spend: the requests that it yields, and its settings."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Literal

from cos.errors import UserError
from cos.scores import AGGREGATORS
from cos.search.select import SELECTORS, Choice, check
from cos.search.trace import Node


@dataclass(frozen=True)
class Settings:
    """What a search may spend and how it decides. Raises UserError for values that make no search."""

    n: int = 16
    """Chains, or candidates in each round of a step search: the CoS paper's middle budget (1 to 64)."""
    width: int = 4
    """Live paths that a beam keeps, subtrees of `dvts`, children of a node in `mcts`; M = 4 in search-and-learn."""
    temperature: float = 1.0
    """1.0 in the released CoS sampling script. `greedy` always takes 0."""
    top_p: float = 1.0
    max_tokens: int = 256
    """Limit for each step, as in REBASE."""
    max_steps: int = 12
    """A path with more steps is cut; 12 in VisualPRM."""
    aggregator: str = "cos"
    """Decides among finished chains: 0.2 x mean step + 0.8 x answer, the CoS paper's best weight."""
    step_aggregator: str = "prod"
    """Ranks the paths of a step search by all rewards on them. The paper keeps the candidate with the best newest reward, at width 1. Among
    candidates of one parent the product is the same order; across parents the newest reward alone (`last`) would forget an earlier wrong
    step, and the product does not. Its bent against long chains does no harm here: live paths are equally long. Ties go to the best
    newest reward, so a path whose product is 0 still goes on as in the paper."""
    selector: str = "best_of_n"
    """Decides among the finished paths of a step search, by the aggregator (search-and-learn reports "naive", "weighted" and "majority",
    here best_of_n, weighted_vote and vote)."""
    granularity: int = 1
    """Steps that a step search draws between two selections (g of VG-Search, arXiv 2505.11730): 1 is a beam, all of a chain best_of_n."""
    anneal: float = 0.5
    """annealed_beam: its width is n at first and this times the one before in each further round, but not under `width`. Ours: PRM-BAS
    (arXiv 2504.10222) starts wide and narrows, its sizes are not public."""
    lookahead: int = 1
    """lookahead: steps drawn ahead of each candidate; 1 is the least that differs from a beam (search-and-learn, 0 there is a beam)."""
    softmax_temperature: float = 0.2
    """rebase: of the softmax over path scores; 0.2 in REBASE (arXiv 2408.00724)."""
    particle_output: str = "best"
    """particle: `best` finished path, or one `sampled` by weight; its_hub's argmax (its default) and sample."""
    exploration: float = 1.25
    """mcts: the constant of PUCT; pb_c_init 1.25 in OpenR."""
    mcts_value: str = "reward"
    """mcts: a new node is worth the path's `reward`s so far, or, by `rollout`, the chain that one draw to the answer makes of it."""
    threshold: float = 0.5
    """retrace: a candidate with a newest reward under it counts as wrong: likelier wrong than right (ours; SWIRES' is on another scale)."""
    retraces: int = 4
    """retrace: times that it may go back; max_backtrack 4 in SWIRES (LLaVA-CoT, arXiv 2411.10440)."""
    certainty: float = 0.99
    """adaptive_n: stop when one right chain among those drawn is this likely; C = 0.99 in IAS (arXiv 2506.09338)."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n", "width", "max_tokens", "max_steps", "granularity", "lookahead"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise UserError(f"temperature {self.temperature} must not be negative, and top_p {self.top_p} must lie in (0, 1]")
        if not 0 < self.anneal <= 1 or not 0 < self.certainty < 1 or not self.softmax_temperature > 0:
            raise UserError("anneal must lie in (0, 1], certainty between 0 and 1, and softmax_temperature above 0")
        if not 0 <= self.threshold <= 1 or not self.exploration >= 0 or self.retraces < 0:
            raise UserError("threshold must lie between 0 and 1; exploration and retraces must not be negative")
        for name in (self.aggregator, self.step_aggregator):
            if name not in AGGREGATORS:
                raise UserError(f"no aggregator is called {name!r}; there are {', '.join(AGGREGATORS)}")
        for name, known in (
            ("selector", tuple(SELECTORS)[1:]),
            ("particle_output", ("best", "sampled")),
            ("mcts_value", ("reward", "rollout")),
        ):
            if getattr(self, name) not in known:
                raise UserError(f"{name} is {getattr(self, name)!r}; take one of {', '.join(known)}")
        check(self.selector, self.aggregator)


@dataclass(frozen=True)
class Expand:
    """Draw `per_node` times below each node; a node that is named twice gets twice as many draws.

    A draw goes on for `steps` pieces (fewer where its path ends before), or on to the answer. The reply is the distinct last nodes of the
    draws in the order drawn. Draws below a node are numbered: the number stands in its path (`paths.by_draw`).
    """

    nodes: Sequence[Node]
    per_node: int
    to: Literal["step", "answer"] = "step"
    steps: int = 1
    temperature: float | None = None
    """None: that of the settings."""


@dataclass(frozen=True)
class Score:
    """Give each node, and each node above it, its reward, unless it has one. The reply is the nodes."""

    nodes: Sequence[Node]


@dataclass(frozen=True)
class Decide:
    """Set the status of nodes, with the reason. The reply is the nodes."""

    verdicts: Sequence[tuple[Node, str, str]]


Request = Expand | Score | Decide
Asking = Generator[Request, list[Node], Choice | None]
"""A running method: yields requests, is sent the nodes they were about, returns its choice."""
Asks = Generator[Request, list[Node], list[Node]]
"""A part of a method that ends in nodes."""
