"""What step searches share: scores of paths, who goes on, who is left. No requests to models but for `keep` and `close`, which decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cos.scores import AGGREGATORS
from cos.search.asking import Asks, Decide
from cos.search.trace import Node, SearchTrace


def path_score(trace: SearchTrace, node: Node, aggregator: str) -> float:
    """Aggregate of all rewards on the way to `node`, an answer's counted like a step's."""
    return AGGREGATORS[aggregator]([n.reward for n in trace.line(node) if n.reward is not None], None)


def path_scores(trace: SearchTrace, nodes: Sequence[Node], aggregator: str) -> dict[int, float]:
    """`path_score` of each, by id."""
    return {node.id: path_score(trace, node, aggregator) for node in nodes}


def alive(nodes: Sequence[Node]) -> list[Node]:
    """Those that ended neither at a limit nor in text that is no piece of a chain, and that nothing was decided about yet."""
    return [node for node in nodes if node.status in ("open", "finished")]


def going(nodes: Sequence[Node]) -> list[Node]:
    """Those that can be gone on from."""
    return [node for node in nodes if node.status == "open"]


def shares(beam: Sequence[Node], n: int) -> list[Node]:
    """`n` draws spread evenly over the places of a beam, in its order."""
    return [beam[i * len(beam) // n] for i in range(n)]


def by_draw(parent: Node, leaves: Sequence[Node]) -> list[Node]:
    """The node that each draw below `parent` ended in, by the draws' numbers (equal draws end in one node)."""
    paths = [(tuple(path), leaf.id) for leaf in leaves for path in (leaf.path, *leaf.merged)]
    found = {leaf.id: leaf for leaf in leaves}
    return [found[id] for path, id in sorted(paths) if path[: parent.depth] == parent.path]


def keep(
    trace: SearchTrace, nodes: Sequence[Node], width: int, scores: Mapping[int, float], what: str, *, ties_up_to: int | None = None
) -> Asks:
    """Keep the best `width` candidates, best first; a node that stands for several equal ones may come several times.

    Ties go to the better newest reward; then each tied node gets a place in turn, in the order drawn. With `ties_up_to`, every node that
    ties with the last one kept stays as well, up to so many in all. `what` names the scores in the reasons.
    """
    draws = [(-scores[node.id], -(node.reward or 0.0), copy, node.id) for node in nodes for copy in range(node.count)]
    ranked = [trace.nodes[id] for *_, id in sorted(draws)]
    kept = ranked[:width]
    if kept and ties_up_to is not None:
        tied = [node for node in dict.fromkeys(ranked[width:]) if node not in kept and scores[node.id] == scores[kept[-1].id]]
        kept += tied[: max(0, ties_up_to - width)]
    verdicts = []
    for node in dict.fromkeys(ranked):
        rank, places = ranked.index(node) + 1, kept.count(node)
        status = "pruned" if not places else node.status if node.status == "finished" else "kept"
        many = f", {places} places" if places > 1 else ", a tie" if places and rank > width else ""
        verdicts.append((node, status, f"rank {rank} of {len(ranked)}, width {width}{many}, {what} {scores[node.id]:.3f}"))
    yield Decide(verdicts)
    return kept


def close(trace: SearchTrace, why: str) -> Asks:
    """Prune whatever is still open, for that reason."""
    nodes = going(trace.nodes)
    yield Decide([(node, "pruned", why) for node in nodes])
    return nodes
