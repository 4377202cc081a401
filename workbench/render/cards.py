"""A panel: one search with its answer, its tree, the steps of one path as cards, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cos.chain import REFUSAL
from cos.scores import AGGREGATORS, WORST, vote
from cos.search.trace import Node, SearchTrace
from workbench.render.marks import badge, clip, count, escape
from workbench.render.tree import tree_svg

LONGEST = 2000
"""Characters of one field on a card; a step that runs on is cut for the eye, never in the trace."""
KINDS = (
    ("policy_prefill", "policy reads"),
    ("policy_decode", "policy writes"),
    ("reward_prefill", "reward reads"),
    ("reward_step", "reward judges"),
)
"""Counters of a meter, and what they are called in cards and figures."""
_PHASES = {"answered": "done", "no_answer": "no answer", "failed": "failed", "stopped": "stopped"}
_MOST_ANSWERS = 5
_GAP = "\n\n"
_REFUSED = " · The model says that the picture does not hold what the question asks for: put in another picture, or ask what it shows."
PAD = (
    '<canvas width="500" height="200" role="img" aria-label="sketch pad: draw digits in a row; without a pointer, use New puzzle">'
    '</canvas><button type="button" data-pad="use">Use drawing</button><button type="button" data-pad="clear">Clear</button>'
)
"""The sketch pad of the Solve page; `pad.js` brings it to life."""


@dataclass(frozen=True)
class Place:
    """Where a search is kept: the id of its run (of a recorded one the name) and its number in it. Links are relative to the app's root."""

    run: str
    search: int
    recorded: bool = False

    def href(self, ending: str) -> str:
        """The address of a file: the trace (`json`), the tree (`svg`) or a page of its own (`html`)."""
        return f"{'recorded' if self.recorded else 'runs'}/{self.run}/{self.search}.{ending}"

    def page(self, name: str, node: int | None = None) -> str:
        """The address of a page of the app about this search."""
        if self.recorded:
            return f"{name}?trace={self.run}"
        return f"{name}?run={self.run}&amp;search={self.search}" + ("" if node is None else f"&amp;node={node}")


@dataclass(frozen=True)
class _Cards:
    threshold: float
    aggregator: str
    is_wrong: Callable[[Node], str | None] | None
    place: Place | None


def panel(
    trace: SearchTrace,
    *,
    is_right: Callable[[str], bool] | None = None,
    selected: int | None = None,
    threshold: float = 0.5,
    aggregator: str = "cos",
    most_tokens: int = 0,
    is_wrong: Callable[[Node], str | None] | None = None,
    instead: str = "",
    place: Place | None = None,
) -> str:
    """One search as HTML, live or ended.

    `is_right` says whether an answer is the known one; None where no truth is known. `selected`: the node whose path the cards show (None:
    that of the answer, or the best so far). `threshold`: the first step under it is flagged, as is the first that `is_wrong` gives a
    reason for. `most_tokens` scales the cost bar. `instead`: what another aggregator would answer. `place`: where the run is kept, for
    links to its files.
    """
    leaf = trace.nodes[selected] if selected and selected < len(trace.nodes) else None
    state = "running" if trace.ended is None else trace.ended
    return (
        f'<section class="panel {state}" aria-label="{escape(trace.method)}">'
        f"{_head(trace)}{_answer(trace, is_right, instead)}{_pool(trace, is_right)}"
        f"{tree_svg(trace, leaf.id if leaf else None, is_right)}"
        f"{_path(trace, leaf, _Cards(threshold, aggregator, is_wrong, place))}{_cost(trace, most_tokens)}"
        f"{_files(place) if place and trace.ended else ''}</section>"
    )


def status(text: str, tone: str = "", run: str = "") -> str:
    """A line that says how things stand; `tone` is `running`, `wrong` or nothing, `run` the id of the run that it is about."""
    about = f' data-run="{escape(run)}"' if run else ""
    return f'<p class="status {tone}" role="status"{about}>{escape(text)}</p>'


def about(question: str, source: str, note: str = "") -> str:
    """A question with its picture (an address of the app's own, or its data) and what there is to see."""
    image = f'<img alt="the picture asked about" src="{escape(source)}">' if source else ""
    more = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<div class="about">{image}<p>{escape(question)}</p>{more}</div>' if question else ""


def gallery(entries: Sequence[tuple[str, str, str, str, str]]) -> str:
    """Recorded runs as links: address, picture, title, outcome, note of each."""
    cards = (
        f'<li><a href="{escape(href)}"><img alt="" src="{escape(image)}" loading="lazy"><span><b>{escape(title)}</b><em>{escape(says)}</em>'
        f"<small>{escape(note)}</small></span></a></li>"
        for href, image, title, says, note in entries
    )
    return f'<section aria-label="recorded runs"><h2>Recorded runs</h2><ul class="gallery-of-runs">{"".join(cards)}</ul></section>'


def codes(entries: Sequence[tuple[str, str]]) -> str:
    """Texts to copy, each under its name."""
    rows = (f"<details><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>" for name, text in entries)
    return f'<div class="codes">{"".join(rows)}</div>'


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


def _answer(trace: SearchTrace, is_right: Callable[[str], bool] | None, instead: str) -> str:
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
        f'<p class="why">{escape(clip(trace.answer_why, 200))}{_REFUSED if trace.answer == REFUSAL else ""}</p>{_instead(instead)}</div>'
    )


def _instead(text: str) -> str:
    return f'<p class="instead">{escape(clip(text, 200))}</p>' if text else ""


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


def _path(trace: SearchTrace, picked: Node | None, look: _Cards) -> str:
    leaf = picked or standing_leaf(trace, look.aggregator)
    line = trace.line(leaf)
    flags: dict[int, str] = {}
    low = next((node.id for node in line if node.is_step and node.reward is not None and node.reward < look.threshold), None)
    if low is not None:
        flags[low] = f'<p class="flag">⚑ first step under {look.threshold:.2f}</p>'
    for node in line if look.is_wrong else ():
        if look.is_wrong and (why := look.is_wrong(node)) is not None:
            flags[node.id] = flags.get(node.id, "") + f'<p class="flag">✗ first wrong step: {escape(clip(why, 200))}</p>'
            break
    cards = "".join(card(node, flags.get(node.id, ""), node is picked) for node in line)
    return f'<div class="path">{_trail(trace, leaf, picked, look)}<ol class="steps">{cards}</ol></div>'


def _trail(trace: SearchTrace, leaf: Node, picked: Node | None, look: _Cards) -> str:
    score = path_score(trace, leaf, look.aggregator)
    number = f" · {escape(look.aggregator)} <b>{score:.3f}</b>" if score > WORST and leaf.id else ""
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
    what_if = ""
    if look.place is not None and not look.place.recorded and (picked.is_step or picked.answer is not None):
        what_if = f'<a href="{look.place.page("what-if", picked.id)}">what if …</a>'
    return (
        f'<p class="trail picked"><span>Node {picked.id}, <em>{picked.status}</em>{why}{number}</span>'
        f'{what_if}<button type="button" data-node="0">back to the answer</button></p>'
    )


def card(node: Node, flag: str = "", picked: bool = False) -> str:
    """One node as a card; `flag` is HTML of our own."""
    classes = "step" + (" low" if flag else "") + (" picked" if picked else "") + (" final" if node.answer is not None else "")
    many = f'<span class="many" title="drawn {node.count} times">×{node.count}</span>' if node.count > 1 else ""
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
    parts = [(kind, label, getattr(meter, kind)) for kind, label in KINDS]
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


def _files(place: Place) -> str:
    """Links to the run's files; the picture of the tree is painted by the browser (`tree.js`)."""
    svg = place.href("svg")
    return (
        f'<nav class="files" aria-label="files of this search"><a href="{place.page("replay")}">replay</a>'
        f'<a href="{place.page("label")}">label</a>'
        f'<a href="{place.href("json")}" download="trace.json">trace</a><a href="{svg}" download="tree.svg">SVG</a>'
        f'<button type="button" data-png="{svg}">PNG</button><a href="{place.href("html")}" download="search.html">page</a></nav>'
    )
