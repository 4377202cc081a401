"""A panel: one search with its answer, its tree, the steps of one path as cards, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from cos.scores import AGGREGATORS, WORST, vote
from cos.search.trace import Node, SearchTrace
from workbench.render.marks import badge, clip, count, escape
from workbench.render.tree import tree_svg

LONGEST = 2000
"""Characters of one field on a card; a step that runs on is cut for the eye, never in the trace."""
_KINDS = (
    ("policy_prefill", "policy reads"),
    ("policy_decode", "policy writes"),
    ("reward_prefill", "reward reads"),
    ("reward_step", "reward judges"),
)
_PHASES = {"answered": "done", "no_answer": "no answer", "failed": "failed", "stopped": "stopped"}
_MOST_ANSWERS = 5
_GAP = "\n\n"


def panel(
    trace: SearchTrace,
    *,
    is_right: Callable[[str], bool] | None = None,
    selected: int | None = None,
    threshold: float = 0.5,
    aggregator: str = "cos",
    most_tokens: int = 0,
) -> str:
    """One search as HTML, live or ended.

    `is_right` says whether an answer is the known one; None where no truth is known. `selected`: the node whose path the cards show (None:
    that of the answer, or the best so far). `threshold`: the first step under it is flagged. `most_tokens` scales the cost bar.
    """
    leaf = trace.nodes[selected] if selected and selected < len(trace.nodes) else None
    state = "running" if trace.ended is None else trace.ended
    return (
        f'<section class="panel {state}" aria-label="{escape(trace.method)}">'
        f"{_head(trace)}{_answer(trace, is_right)}{_pool(trace, is_right)}"
        f"{tree_svg(trace, leaf.id if leaf else None, is_right)}"
        f"{_path(trace, leaf, threshold, aggregator)}{_cost(trace, most_tokens)}</section>"
    )


def status(text: str, tone: str = "") -> str:
    """A line that says how things stand; `tone` is `running`, `wrong` or nothing."""
    return f'<p class="status {tone}" role="status">{escape(text)}</p>'


def glossary(entries: Mapping[str, str]) -> str:
    """Names with the first paragraph of what there is to say of each."""
    rows = (f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(clip(text.split(_GAP)[0], 400))}</dd>" for name, text in entries.items())
    return f'<dl class="glossary">{"".join(rows)}</dl>'


def standing_leaf(trace: SearchTrace, aggregator: str = "cos") -> Node:
    """The node whose path is shown unasked: the chosen leaf, else the best leaf that is still in the race, else the root."""
    if trace.chosen is not None:
        return trace.nodes[trace.chosen]
    alive = [node for node in trace.leaves() if node.status in ("open", "kept", "finished")] or trace.leaves()
    return max(alive, key=lambda node: (path_score(trace, node, aggregator), -node.id), default=trace.root)


def path_score(trace: SearchTrace, node: Node, aggregator: str) -> float:
    """The aggregate of a path; `WORST` as long as a step of it has no reward."""
    steps, answer = trace.rewards(node)
    return AGGREGATORS[aggregator]([math.nan if reward is None else reward for reward in steps], answer)


def _head(trace: SearchTrace) -> str:
    if trace.ended is None:
        phase = "reading the picture" if len(trace.nodes) == 1 else f"round {trace.nodes[-1].round}"
    else:
        phase = _PHASES[trace.ended]
    name = escape(trace.method.replace("_", " ") or "search")
    clock = f'<span class="clock">{trace.seconds:.1f} s</span>'
    return f'<header><h3>{name}</h3><span class="phase">{escape(phase)}</span>{clock}</header>'


def _answer(trace: SearchTrace, is_right: Callable[[str], bool] | None) -> str:
    if trace.answer is None:
        says = "…" if trace.ended is None else "no answer"
        why = "" if trace.ended is None else f'<p class="why">{escape(clip(trace.ended_why, 300))}</p>'
        return f'<div class="answer"><strong class="says none">{says}</strong>{why}</div>'
    verdict = truth = ""
    if is_right is not None:
        right = is_right(trace.answer)
        sign, word = ("✓", "right") if right else ("✗", "wrong")
        verdict = f'<span class="verdict {word}">{sign} {word}</span>'
        truth = "" if right else f'<span class="truth">truth: {escape(clip(trace.gold or "", 40))}</span>'
    says = f'<strong class="says">{escape(clip(trace.answer, 120) or "(empty)")}</strong>'
    return (
        f'<div class="answer">{says}{verdict}{badge(trace.nodes[trace.chosen or 0].reward)}{truth}'
        f'<p class="why">{escape(clip(trace.answer_why, 200))}</p></div>'
    )


def _pool(trace: SearchTrace, is_right: Callable[[str], bool] | None) -> str:
    """How often each answer was drawn, in the normal form that votes go by."""
    answers = [leaf.answer for leaf in trace.pool() for _ in range(leaf.count)]
    votes = sorted(vote(answers)[1].items(), key=lambda item: -item[1]) if len(answers) > 1 else []
    chips = [
        f'<li class="chip">{"✓ " if is_right and is_right(answer) else ""}{escape(clip(answer, 24)) or "(empty)"} <b>×{number}</b></li>'
        for answer, number in votes[:_MOST_ANSWERS]
    ]
    more = f"<li>and {len(votes) - _MOST_ANSWERS} more</li>" if len(votes) > _MOST_ANSWERS else ""
    return f'<ul class="pool" aria-label="answers drawn">{"".join(chips)}{more}</ul>'


def _path(trace: SearchTrace, picked: Node | None, threshold: float, aggregator: str) -> str:
    leaf = picked or standing_leaf(trace, aggregator)
    line = trace.line(leaf)
    first_low = next((node.id for node in line if node.is_step and node.reward is not None and node.reward < threshold), None)
    cards = "".join(_card(node, node.id == first_low, threshold, node is picked) for node in line)
    return f'<div class="path">{_trail(trace, leaf, picked, aggregator)}<ol class="steps">{cards}</ol></div>'


def _trail(trace: SearchTrace, leaf: Node, picked: Node | None, aggregator: str) -> str:
    score = path_score(trace, leaf, aggregator)
    number = f" · {escape(aggregator)} <b>{score:.3f}</b>" if score > WORST and leaf.id else ""
    if picked is None:
        what = (
            "The answer's path"
            if trace.chosen is not None
            else "No step yet"
            if not leaf.id
            else "Best path"
            if trace.ended
            else "Best path so far"
        )
        return f'<p class="trail"><span>{what}{number}</span></p>'
    why = f": {escape(clip(picked.why, 200))}" if picked.why else ""
    return (
        f'<p class="trail picked"><span>Node {picked.id}, <em>{picked.status}</em>{why}{number}</span>'
        '<button type="button" data-node="0">back to the answer</button></p>'
    )


def _card(node: Node, low: bool, threshold: float, picked: bool) -> str:
    classes = "step" + (" low" if low else "") + (" picked" if picked else "") + (" final" if node.answer is not None else "")
    many = f'<span class="many" title="drawn {node.count} times">×{node.count}</span>' if node.count > 1 else ""
    flag = f'<p class="flag">⚑ first step under {threshold:.2f}</p>' if low else ""
    if node.is_step:
        title = escape(clip(node.name or "", 120)) or "(no name)"
        body = f"<p>{_long(node.thought)}</p>" + (f'<p class="reflection">{_long(node.reflection)}</p>' if node.reflection else "")
    elif node.answer is not None:
        title, body = "Answer", f'<p class="final-answer">{_long(node.answer) or "(empty)"}</p>'
    else:
        title, body = escape(node.status), f'<p class="why">{escape(clip(node.why, 300))}</p><pre>{_long(node.text)}</pre>'
    return (
        f'<li class="{classes}"><div class="card-head"><span class="number">{node.depth}</span><b class="name">{title}</b>{many}'
        f"{badge(node.reward)}</div>{flag}{body}</li>"
    )


def _long(text: str | None) -> str:
    text = text or ""
    return escape(text if len(text) <= LONGEST else text[:LONGEST] + "…")


def _cost(trace: SearchTrace, most_tokens: int) -> str:
    meter = trace.meter
    whole = max(most_tokens, meter.tokens, 1)
    parts = [(kind, label, getattr(meter, kind)) for kind, label in _KINDS]
    bar = "".join(
        f'<i class="{kind}" style="width:{100 * number / whole:.2f}%" title="{label} {number:,}"></i>' for kind, label, number in parts
    )
    legend = "".join(f'<li><i class="{kind}"></i>{label} <b>{count(number)}</b></li>' for kind, label, number in parts)
    calls = f"{meter.reward_calls} pieces scored · {meter.vision_calls} image pass{'' if meter.vision_calls == 1 else 'es'}"
    flops = f" · {count(meter.flops)} FLOPs" if meter.flops else ""
    return (
        f'<footer class="cost"><p><b>{count(meter.tokens)}</b> tokens · {calls}{flops}</p>'
        f'<div class="meter" aria-hidden="true">{bar}</div><ul class="legend">{legend}</ul></footer>'
    )
