"""Search methods: plain generators that ask for text and rewards and end in a choice. They know no tensors, batches, threads or app.

A method is called with the trace that it grows and its settings. It yields requests and receives the nodes they were about:

    children = yield Expand([node], 16)      # 16 draws below a node; equal texts come back as one node
    yield Score(children)                    # afterwards each has its reward
    yield Decide([(node, "kept", ""), ...])  # what becomes of nodes, and why; asks nothing of any model

It begins at `trace.start` (the root, unless it was given pieces to go on from) and returns a `Choice`, or None where no path came to an
answer. Nodes that come back `malformed` or `cut` have ended: a method does not go on from them. To add a method, write the generator and
give it a name in METHODS.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal

from cos.errors import UserError
from cos.scores import AGGREGATORS
from cos.search.select import Choice, choose
from cos.search.trace import Node, SearchTrace


@dataclass(frozen=True)
class Settings:
    """What a search may spend and how it decides. Raises UserError for values that make no search."""

    n: int = 16
    """Chains, or candidates in each round of a step search: the CoS paper's middle budget (1 to 64)."""
    width: int = 4
    """Live paths that a beam keeps; M = 4 in search-and-learn."""
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
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("n", "width", "max_tokens", "max_steps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise UserError(f"temperature {self.temperature} must not be negative, and top_p {self.top_p} must lie in (0, 1]")
        for name in (self.aggregator, self.step_aggregator):
            if name not in AGGREGATORS:
                raise UserError(f"no aggregator is called {name!r}; there are {', '.join(AGGREGATORS)}")


@dataclass(frozen=True)
class Expand:
    """Draw `per_node` times below each node, one piece or on to the answer; a node that is named twice gets twice as many draws.

    The reply is the distinct children (or leaves) in the order drawn.
    """

    nodes: Sequence[Node]
    per_node: int
    to: Literal["step", "answer"] = "step"
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


def greedy(trace: SearchTrace, settings: Settings) -> Asking:
    """One chain at temperature 0."""
    yield Expand([trace.start], 1, to="answer", temperature=0.0)
    return choose(trace, "sample", settings.aggregator)


def sample(trace: SearchTrace, settings: Settings) -> Asking:
    """One chain at the settings' temperature."""
    yield Expand([trace.start], 1, to="answer")
    return choose(trace, "sample", settings.aggregator)


def vote(trace: SearchTrace, settings: Settings) -> Asking:
    """N chains, the most frequent answer (self-consistency, arXiv 2203.11171). Asks for no rewards."""
    yield Expand([trace.start], settings.n, to="answer")
    return choose(trace, "vote", settings.aggregator)


def best_of_n(trace: SearchTrace, settings: Settings) -> Asking:
    """N chains, the one with the best aggregate (CoS, arXiv 2509.19003, section 4: 0.2 x mean step + 0.8 x answer)."""
    yield from _scored_chains(trace, settings)
    return choose(trace, "best_of_n", settings.aggregator)


def weighted_vote(trace: SearchTrace, settings: Settings) -> Asking:
    """N chains, the answer with the greatest sum of aggregates (weighted best-of-N of search-and-learn)."""
    yield from _scored_chains(trace, settings)
    return choose(trace, "weighted_vote", settings.aggregator)


def step_greedy(trace: SearchTrace, settings: Settings) -> Asking:
    """N candidates for the next piece, keep the single best, go on from it (the step search of CoS, arXiv 2509.19003: N = 1 to 64).

    An answer competes with steps on equal terms, as in the paper: the search ends when an answer is the best candidate.
    """
    node = trace.start
    while node.status != "finished":
        children = _alive((yield Expand([node], settings.n)))
        if not children:
            return None
        yield Score(children)
        (node,) = yield from _prune(trace, children, 1, settings.step_aggregator)
    return choose(trace, "best_of_n", settings.aggregator)


def step_beam(trace: SearchTrace, settings: Settings) -> Asking:
    """N candidates a round, shared evenly among the `width` best live paths (the beam search of search-and-learn).

    A path that comes to its answer leaves the beam, so it neither takes the place of a live one nor is extended; all that finished compete
    at the end by the aggregator. Equal candidates are one node, yet keep their places in the beam: the budget goes where it would go with
    copies (else a step that the policy writes in one way only, and that is right, would share the budget with all wrong ones).
    With n = 1 this is `sample`, draw for draw.
    """
    n, width = settings.n, min(settings.width, settings.n)
    beam = [trace.start]
    while beam:
        children = _alive((yield Expand([beam[i * len(beam) // n] for i in range(n)], 1)))
        yield Score(children)
        beam = yield from _prune(trace, [node for node in children if node.status == "open"], width, settings.step_aggregator)
    return choose(trace, "best_of_n", settings.aggregator)


def path_score(trace: SearchTrace, node: Node, aggregator: str) -> float:
    """Aggregate of all rewards on the way to `node`, an answer's counted like a step's."""
    return AGGREGATORS[aggregator]([n.reward for n in trace.line(node) if n.reward is not None], None)


def _scored_chains(trace: SearchTrace, settings: Settings) -> Generator[Request, list[Node], None]:
    leaves = yield Expand([trace.start], settings.n, to="answer")
    yield Score([leaf for leaf in leaves if leaf.status == "finished"])


def _alive(nodes: Sequence[Node]) -> list[Node]:
    return [node for node in nodes if node.status in ("open", "finished")]


def _prune(trace: SearchTrace, nodes: Sequence[Node], width: int, aggregator: str) -> Generator[Request, list[Node], list[Node]]:
    """Keep the best `width` candidates, best first; a node that stands for several equal ones may come several times.

    Ties go to the better newest reward; then each tied node gets a place in turn, in the order drawn.
    """
    scores = {node.id: path_score(trace, node, aggregator) for node in nodes}
    draws = [(-scores[node.id], -(node.reward or 0.0), copy, node.id) for node in nodes for copy in range(node.count)]
    ranked = [trace.nodes[id] for *_, id in sorted(draws)]
    verdicts = []
    for node in dict.fromkeys(ranked):
        rank, places = ranked.index(node) + 1, ranked[:width].count(node)
        status = "pruned" if not places else "kept" if node.status == "open" else node.status
        many = f", {places} places" if places > 1 else ""
        verdicts.append((node, status, f"rank {rank} of {len(ranked)}, width {width}{many}, {aggregator} {scores[node.id]:.3f}"))
    yield Decide(verdicts)
    return ranked[:width]


METHODS: dict[str, Callable[[SearchTrace, Settings], Asking]] = {
    "greedy": greedy,
    "sample": sample,
    "vote": vote,
    "best_of_n": best_of_n,
    "weighted_vote": weighted_vote,
    "step_greedy": step_greedy,
    "step_beam": step_beam,
}

ONE_CHAIN = frozenset({"greedy", "sample"})
"""Methods that draw one chain, whatever `n` says."""
