"""`cos solve`: search one question about one picture.

example: cos solve docs/pictures/chart.png "How much taller is the green bar than the brown bar?" --method step_beam --n 16 --width 4 --json
"""

from __future__ import annotations

import argparse
from typing import Any

from cos.commands.options import Outcome, add_models, add_search, need, settings
from cos.search.methods import METHODS
from cos.search.trace import SearchTrace


def add(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("image", nargs="?", metavar="IMAGE", help="the picture's file")
    parser.add_argument("question", nargs="?", metavar="QUESTION", help="what to ask")
    add_models(parser)
    parser.add_argument("--method", default="step_beam", choices=METHODS, help="how to search (step_beam)")
    add_search(parser)
    parser.add_argument("--trace", metavar="FILE", help="keep the whole search; cos trace show FILE prints it")


def run(args: argparse.Namespace) -> Outcome:
    """Search, and keep the trace where asked to."""
    need(args, image="IMAGE", question="QUESTION")
    chosen = settings(args)
    from cos.errors import UserError
    from cos.loading import load_policy, load_scorer
    from cos.problems.pictures import open_picture
    from cos.protocols import Prompt
    from cos.search.scheduler import Search
    from cos.search.scheduler import run as search_all

    open_picture(args.image)  # what is wrong with the file is said before a model is loaded
    search = Search(Prompt(args.question, args.image), args.method, chosen, score_all=True)
    policy = load_policy(args.policy)
    for _ in search_all([search], policy, load_scorer(args.reward)):
        pass
    if search.trace.ended == "failed":
        raise UserError(search.trace.ended_why)
    if args.trace:
        search.trace.save(args.trace)
    result = result_of(search.trace)
    if formats := getattr(policy, "formats", None):  # of a prompted model: how many pieces were exact, recovered and lost
        result["formats"] = dict(formats)
    return Outcome(result, _text(result))


def result_of(trace: SearchTrace) -> dict[str, Any]:
    """`answer, steps[{name, thought, reflection, reward}], answer_reward, method, meter, seconds`; no steps without an answer."""
    leaf = None if trace.chosen is None else trace.nodes[trace.chosen]
    line = trace.line(leaf) if leaf else []
    return {
        "answer": trace.answer,
        "steps": [{key: getattr(node, key) for key in ("name", "thought", "reflection", "reward")} for node in line if node.is_step],
        "answer_reward": leaf.reward if leaf else None,
        "why": trace.ended_why,
        "method": trace.method,
        "meter": trace.meter.to_json(),
        "seconds": trace.seconds,
    }


def _text(result: dict[str, Any]) -> str:
    lines = [f"{_reward(step['reward'])}  {step['name']}: {step['thought']} ({step['reflection']})" for step in result["steps"]]
    answer = "no answer" if result["answer"] is None else f"answer: {result['answer']}"
    cost = f"{result['method']}, {result['meter']['tokens']} tokens, {result['seconds']:.2f} s"
    formats = ", ".join(f"{count} {how}" for how, count in result.get("formats", {}).items())
    lines += [f"{_reward(result['answer_reward'])}  {answer}", f"      {result['why']}; {cost}"]
    return "\n".join([*lines, *([f"      pieces by how they kept the form asked for: {formats}"] if formats else [])])


def _reward(value: float | None) -> str:
    return "    -" if value is None else f"{value:.3f}"
