"""The search tree as SVG: depth to the right, one row a leaf, a shape for each status, the reward as colour, the answers at the leaves.

Each node carries `data-node` (its id) and `data-parent`, for the page's script; a screen reader hears a tree of labelled items.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from cos.search.trace import Node, SearchTrace
from workbench.render.marks import clip, colour, colours, escape, rules

MOST_DRAWN = 320
"""Nodes in one drawing; the least telling ones are left out beyond it, and the caption says so."""
_RANK = {"chosen": 0, "finished": 1, "kept": 2, "open": 3}
_MARGIN, _LABEL, _ROOM, _HEIGHT = 12, 68, 310, 250
_LONGEST_LABEL = 10


@dataclass(frozen=True)
class Place:
    """Where a node stands, in pixels."""

    node: Node
    x: float
    y: float
    reach: float = 11.0
    """Radius within which a click is meant for it."""


def tree_svg(trace: SearchTrace, selected: int | None = None, is_right: Callable[[str], bool] | None = None) -> str:
    """The tree of a trace, the root included; `selected` is ringed, and right answers are ticked where the truth is known."""
    drawn = most_telling(trace)
    places, width, height = layout(drawn)
    leaves = {place.node.id for place in places} - {place.node.parent for place in places}
    at = {place.node.id: place for place in places}
    edges = "".join(_edge(at[place.node.parent], place) for place in places if place.node.parent is not None)
    nodes = "".join(_node(place, place.node.id == selected, place.node.id in leaves, is_right) for place in places)
    left_out = len(trace.nodes) - len(drawn)
    caption = f'<p class="left-out">{left_out:,} of {len(trace.nodes):,} nodes are not drawn</p>' if left_out else ""
    label = f"search tree, {len(trace.nodes) - 1} nodes"
    return (
        f'<div class="tree-room"><svg class="tree" viewBox="0 0 {width:.0f} {height:.0f}" style="min-width:{0.8 * width:.0f}px;'
        f'max-width:{1.5 * width:.0f}px" role="tree" aria-label="{label}">{edges}{nodes}</svg></div>{caption}'
    )


def tree_file(trace: SearchTrace, is_right: Callable[[str], bool] | None = None) -> str:
    """The same drawing as an SVG file that needs nothing beside it; light, on white."""
    html = tree_svg(trace, None, is_right)
    drawing = html[html.index("<svg") : html.index("</svg>")]
    width, height = re.findall(r'viewBox="0 0 (\d+) (\d+)"', drawing)[0]
    opening, _, inside = drawing.partition(">")
    opening = re.sub(r' style="[^"]*"', "", opening)
    return (
        f'{opening} xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"><style>{colours()}{rules("tree")}</style>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{inside}</svg>\n'
    )


def most_telling(trace: SearchTrace, most: int = MOST_DRAWN) -> list[Node]:
    """At most about `most` nodes, by status and then by age, each with all above it; in the order of their ids."""
    if len(trace.nodes) <= most:
        return trace.nodes
    taken: set[int] = {0}
    for node in sorted(trace.nodes, key=lambda node: (_RANK.get(node.status, 4), node.id)):
        while node.id not in taken and node.parent is not None:
            taken.add(node.id)
            node = trace.nodes[node.parent]
        if len(taken) >= most:
            break
    return [trace.nodes[id] for id in sorted(taken)]


def layout(nodes: list[Node]) -> tuple[list[Place], float, float]:
    """Places of `nodes` (parents before children, the root first), and the drawing's width and height."""
    below: dict[int | None, list[Node]] = defaultdict(list)
    for node in nodes:
        below[node.parent].append(node)
    rows, stack, end = dict[int, float](), [nodes[0]], 0.0
    while stack:  # leaves from the top down, in the order drawn; what was dropped has little to say and takes less
        node = stack.pop()
        if below[node.id]:
            stack.extend(reversed(below[node.id]))
        else:
            room = 1.0 if node.status != "pruned" or node.answer is not None else 0.5 if node.count == 1 else 0.8
            rows[node.id] = end + room / 2
            end += room
    deepest = max(1, max(node.depth for node in nodes))
    for node in reversed(nodes):
        if children := below[node.id]:
            rows[node.id] = (rows[children[0].id] + rows[children[-1].id]) / 2
    step = min(24.0, max(11.0, _HEIGHT / end))
    column = min(64.0, max(27.0, (_ROOM - _LABEL - 2 * _MARGIN) / deepest))
    gaps = _gaps(nodes, rows)
    places = [
        Place(node, _MARGIN + column * node.depth, _MARGIN + step * rows[node.id], min(11.0, step * gaps[node.id] / 2)) for node in nodes
    ]
    return places, 2 * _MARGIN + column * deepest + _LABEL, 2 * _MARGIN + step * end


def _gaps(nodes: list[Node], rows: dict[int, float]) -> dict[int, float]:
    """How far the next node of the same depth is from each, in rows."""
    columns: dict[int, list[int]] = defaultdict(list)
    for node in nodes:
        columns[node.depth].append(node.id)
    gaps = dict.fromkeys(rows, 2.0)
    for ids in columns.values():
        ids.sort(key=rows.__getitem__)
        for above, below in pairwise(ids):
            gap = rows[below] - rows[above]
            gaps[above], gaps[below] = min(gaps[above], gap), min(gaps[below], gap)
    return gaps


def _edge(start: Place, place: Place) -> str:
    middle = (start.x + place.x) / 2
    return (
        f'<path class="edge {place.node.status}" stroke="{colour(place.node.reward)}" '
        f'd="M{start.x:.1f} {start.y:.1f}C{middle:.1f} {start.y:.1f} {middle:.1f} {place.y:.1f} {place.x:.1f} {place.y:.1f}"/>'
    )


def _node(place: Place, selected: bool, leaf: bool, is_right: Callable[[str], bool] | None) -> str:
    node = place.node
    label = escape(describe(node))
    ring = '<circle class="ring" r="9.5"/>' if selected else ""
    says = ""
    if leaf and node.answer is not None:
        tick = "✓" if is_right and is_right(node.answer) else ""
        says = f'<text x="10" y="3.5">{tick}{escape(clip(node.answer, _LONGEST_LABEL) or "(empty)")}</text>'
    elif node.count > 1:
        where = 'class="many beside" x="7" y="3"' if leaf else 'class="many" x="0" y="-7"'
        says = f"<text {where}>×{node.count}</text>"
    place_in_tree = f'tabindex="{0 if node.id == 0 else -1}" aria-level="{node.depth + 1}" aria-selected="{str(selected).lower()}"'
    parent = "" if node.parent is None else f' data-parent="{node.parent}"'
    return (
        f'<g class="node {node.status}" transform="translate({place.x:.1f} {place.y:.1f})" data-node="{node.id}"{parent} role="treeitem" '
        f'{place_in_tree} aria-label="{label}">'
        f'<title>{label}</title><circle class="hit" r="{place.reach:.1f}"/>{ring}{_shape(node)}{says}</g>'
    )


def _shape(node: Node) -> str:
    paint = f'style="--tone:{colour(node.reward)}"'
    if node.id == 0:
        return '<rect class="root" x="-5" y="-5" width="10" height="10" rx="3"/>'
    if node.status in ("cut", "malformed"):
        return '<path class="cross" d="M-4 -4L4 4M-4 4L4 -4"/>'
    size = 5.5 if node.status == "chosen" else 4.5
    if node.answer is not None:
        return f'<rect class="mark" {paint} x="{-size}" y="{-size}" width="{2 * size}" height="{2 * size}" rx="1.5"/>'
    return f'<circle class="mark" {paint} r="{3.5 if node.status == "pruned" else size}"/>'


def describe(node: Node) -> str:
    """One line for a tooltip or a screen reader: what the node is, its reward, its status and why. Not escaped."""
    if node.id == 0:
        return "picture and question"
    what = node.name if node.is_step else "no whole step" if node.answer is None else f"answer {node.answer}"
    reward = "not scored" if node.reward is None else f"reward {node.reward:.2f}"
    many = f", drawn {node.count} times" if node.count > 1 else ""
    return f"{clip(what or 'step', 60)}: {reward}{many}, {node.status}" + (f" ({clip(node.why, 120)})" if node.why else "")
