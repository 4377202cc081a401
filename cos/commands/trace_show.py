"""`cos trace show`: a search as a tree of text: each step with its reward and what became of it.

example: cos trace show trace.json
example: cos trace show trace.json --selector weighted_vote --aggregator min     # as it would have ended by another rule
"""

from __future__ import annotations

import argparse

from cos.commands.options import Outcome, need
from cos.scores import AGGREGATORS
from cos.search.select import SELECTORS, rechosen
from cos.search.trace import Node, SearchTrace

_MARKS = {"chosen": "*", "kept": "+", "finished": "=", "pruned": "-", "open": " ", "cut": "x", "malformed": "x"}


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="a trace, as cos solve --trace keeps it")
    parser.add_argument("--full", action="store_true", help="show reflections and reasons too")
    parser.add_argument("--aggregator", choices=AGGREGATORS, help="choose again among the finished paths by this score; asks no model")
    parser.add_argument("--selector", choices=SELECTORS, help="choose again among the finished paths by this rule (best_of_n)")


def run(args: argparse.Namespace) -> Outcome:
    """Read and print; `--json` gives the trace itself, less its events."""
    need(args, file="FILE")
    trace = SearchTrace.load(args.file)
    if args.aggregator or args.selector:
        known = {"selector": "best_of_n", "aggregator": "cos", **trace.settings}
        trace = rechosen(trace, args.selector or known["selector"], args.aggregator or known["aggregator"])
    row = trace.to_json()
    del row["events"]
    return Outcome(row, text(trace, full=args.full))


def text(trace: SearchTrace, *, full: bool = False) -> str:
    """The tree. Marks: * on the way to the answer, + gone on from, = an answer not taken, - pruned, x cut or malformed."""
    models = f"policy {trace.models.get('policy')}, reward {trace.models.get('reward')}"
    head = [trace.question, f"{trace.method}, n {trace.settings.get('n')}, seed {trace.seed}, {models}"]
    below: dict[int | None, list[Node]] = {}
    for node in trace.nodes[1:]:
        below.setdefault(node.parent, []).append(node)
    lines, waiting = [], below.get(0, [])[::-1]
    while waiting:
        node = waiting.pop()
        lines += _lines(node, full)
        waiting += below.get(node.id, [])[::-1]
    meter = trace.meter
    cost = f"{meter.tokens} tokens ({meter.policy_decode} drawn, {meter.reward_step} judged), {trace.seconds:.2f} s"
    answer = f"answer: {trace.answer}" if trace.answer is not None else f"no answer: {trace.ended_why}"
    return "\n".join([*head, *lines, f"{answer} ({trace.answer_why})" if trace.answer_why else answer, cost])


def _lines(node: Node, full: bool) -> list[str]:
    reward = "    -" if node.reward is None else f"{node.reward:.3f}"
    what = f"{node.name}: {node.thought}" if node.is_step else f"answer: {node.answer}" if node.answer is not None else node.why
    many = f" (x{node.count})" if node.count > 1 else ""
    indent = "  " * node.depth
    found = [f"{indent}{_MARKS[node.status]} {reward}  {' '.join(what.split())}{many}"]
    if full:
        found += [f"{indent}           {' '.join(more.split())}" for more in (node.reflection, node.why) if more and more != what]
    return found
