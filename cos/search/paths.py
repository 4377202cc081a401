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
    """The node that each draw of this round below `parent` ended in, in the order drawn (equal draws end in one node).

    See `rows.Streams`: draws that ended in `parent` went on first, in their order, each at number 0.
    """
    own = [list(parent.path), *parent.merged]
    found = []
    for leaf in leaves:
        for path in ([*leaf.path], *leaf.merged):
            if path[: parent.depth] in own:
                number = path[parent.depth]
                found.append(((number, own.index(path[: parent.depth]), leaf.id), leaf))
    return [leaf for _, leaf in sorted(found, key=lambda pair: pair[0])]


def keep(
    trace: SearchTrace,
    nodes: Sequence[Node],
    width: int,
    scores: Mapping[int, float],
    what: str,
    *,
    draws: int | None = None,
    second: Mapping[int, float] | None = None,
    copies: Mapping[int, int] | None = None,
) -> Asks:
    """Keep the best `width` candidates, best first; a node that stands for several equal ones may come several times.

    Ties go to the better `second` score, then to the better newest reward; then each tied node gets a place in turn, in the order drawn.
    With `draws`, the reply is as many nodes to draw below: each place has an equal share, and those that tie (in both scores) with the last
    one kept share the draws of its places among them all, copies too. `copies`: how many candidates each node stands for, where some of
    its draws were none. `what` names the scores in the reasons.
    """
    rank_of = {node.id: (-scores[node.id], -second[node.id] if second else 0.0) for node in nodes}
    order = [
        (*rank_of[node.id], -(node.reward or 0.0), copy, node.id)
        for node in nodes
        for copy in range((copies or {}).get(node.id, node.count))
    ]
    ranked = [trace.nodes[id] for *_, id in sorted(order)]
    kept = ranked[:width]
    if kept and draws is not None:
        kept = shares(kept, draws)
        last = rank_of[kept[-1].id]
        tied = [node for node in ranked if rank_of[node.id] == last]
        better = [node for node in kept if rank_of[node.id] < last]
        left = draws - len(better)
        kept = better + (tied[:left] if len(tied) > left else shares(tied, left))
    verdicts = []
    for node in dict.fromkeys(ranked):
        rank, times = ranked.index(node) + 1, kept.count(node)
        status = "pruned" if not times else node.status if node.status == "finished" else "kept"
        share = f", {times} of {draws} draws" if times and draws is not None else ""
        verdicts.append((node, status, f"rank {rank} of {len(ranked)}, width {width}{share}, {what} {scores[node.id]:.3f}"))
    yield Decide(verdicts)
    return kept


def close(trace: SearchTrace, why: str) -> Asks:
    """Prune whatever is still open, for that reason."""
    nodes = going(trace.nodes)
    yield Decide([(node, "pruned", why) for node in nodes])
    return nodes
