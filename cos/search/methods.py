"""All search methods by name: plain generators that ask for text and rewards and end in a choice. They know no tensors, batches or threads.

To add one, write the generator and give it a name in METHODS, here or from a file of your own (docs/extending.md); the command line, the
evaluation and the app then have it. A method is called with the trace that it grows and its settings. It yields requests
(`cos.search.asking`) and receives the nodes they were about:

    def first_good(trace: SearchTrace, settings: Settings) -> Asking:
        \"""Step by step, take the first of `n` candidates that the reward model finds likelier right than wrong.\"""
        node = trace.start                                     # the root, or the last of the pieces to go on from
        while node.status == "open" or node is trace.start:
            children = alive((yield Expand([node], settings.n)))   # draws below a node; equal texts come back as one node
            yield Score(children)                              # afterwards each has its reward
            if not children:
                return None                                    # no path came to an answer
            node = next((child for child in children if (child.reward or 0) > 0.5), children[0])
            rest = [child for child in children if child is not node]
            yield Decide([(child, "pruned", "a later candidate") for child in rest])   # asks nothing of any model
        return choose(trace, settings.selector, settings.aggregator)

Rules: a node that comes back `malformed` or `cut` has ended (`alive` leaves it out); none may be left open at the end (`close`); a method
draws random numbers from the settings' seed alone; what decides takes its aggregator or selector from the settings; tests/search holds
each method to a reference. docs/methods.md says what each costs and when it pays.
"""

from __future__ import annotations

from collections.abc import Callable

from cos.search.asking import Asking, Settings
from cos.search.beams import annealed_beam, dvts, lookahead, retrace, step_beam, step_greedy
from cos.search.chains import adaptive_n, best_of_n, greedy, sample, vote, weighted_vote
from cos.search.mcts import mcts
from cos.search.populations import particle, rebase
from cos.search.trace import SearchTrace

METHODS: dict[str, Callable[[SearchTrace, Settings], Asking]] = {
    "greedy": greedy,
    "sample": sample,
    "vote": vote,
    "best_of_n": best_of_n,
    "weighted_vote": weighted_vote,
    "step_greedy": step_greedy,
    "step_beam": step_beam,
    "dvts": dvts,
    "annealed_beam": annealed_beam,
    "lookahead": lookahead,
    "rebase": rebase,
    "particle": particle,
    "mcts": mcts,
    "retrace": retrace,
    "adaptive_n": adaptive_n,
}

ONE_CHAIN = frozenset({"greedy", "sample"})
"""Methods that draw one chain, whatever `n` says."""

FIRST: dict[str, Callable[[Settings], int]] = {
    **dict.fromkeys(ONE_CHAIN, lambda settings: 1),
    "adaptive_n": lambda settings: 1,
    "mcts": lambda settings: settings.width,
}
"""Draws of the first round, for methods where it is not `n`: what the scheduler counts on."""
