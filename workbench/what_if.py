"""The What-if page: at any node of a search write the step otherwise or take a sibling, have it scored, and go on from there.

The page is opened from a tree (`what-if?run=ID&search=0&node=3`). The new branch is a run of its own, kept with where it came from, so its
address opens both sides again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Any

import gradio as gr

from cos.chain import Chain, Step
from cos.errors import UserError
from cos.protocols import Prompt
from cos.search.methods import METHODS, Settings
from cos.search.trace import Node, SearchTrace
from cos.template import TemplateError, pieces
from workbench import parts, render
from workbench.inputs import read_settings
from workbench.limits import LIMITS
from workbench.parts import QUIET, buttons, plainly, said, visitor
from workbench.runs import Run
from workbench.session import Session, View

_FORM = 5
"""Siblings, name, thought, reflection, answer."""
_SHOWN = 1 + _FORM + 3 + 6
"""The rest: about; method, N, width; status, buttons, two panels, code."""
NOTHING = "Pick a step in a tree on the Solve page, then press “what if …” beside it."


def edited(trace: SearchTrace, node: Node, name: str, thought: str, reflection: str, answer: str) -> list[str]:
    """The pieces up to `node`, with its text written otherwise. Raises UserError for text that can't stand in a chain."""
    texts = [name, thought, reflection] if node.is_step else [answer]
    if any(len(text) > LIMITS.field for text in texts):
        raise UserError(f"A field may have at most {LIMITS.field:,} characters.")
    if not any(text.strip() for text in texts):
        raise UserError("Write what the step should say first.")
    steps = (Step("", "", ""),) * (node.depth - 1)  # how many come before decides how a piece begins
    chain = Chain((*steps, Step(name, thought, reflection))) if node.is_step else Chain(steps, answer)
    try:
        written = pieces(chain)[-1]
    except TemplateError as problem:
        raise UserError(f"{problem}: a step can't hold the marks of a chain.") from None
    return [above.text for above in trace.line(node)[:-1]] + [written]


def editable(trace: SearchTrace, node: int) -> Node | None:
    """The node, if it holds a whole step or an answer."""
    found = trace.nodes[node] if 0 < node < len(trace.nodes) else None
    return found if found is not None and (found.is_step or found.answer is not None) else None


def form(trace: SearchTrace, node: Node) -> list[Any]:
    """Siblings, name, thought, reflection and answer of a node, to be changed."""
    kin = [other for other in trace.nodes if other.parent == node.parent and editable(trace, other.id)]
    best = sorted(kin, key=lambda other: -(other.reward or 0.0))
    names = [(f"{_reward(other)} {other.thought or f'answer {other.answer}'}"[:90], other.id) for other in best]
    return [gr.Dropdown(names, value=node.id, visible=len(names) > 1), *texts(node)]


def texts(node: Node) -> list[Any]:
    """The four fields; those that the node has not are hidden."""
    values = [node.name, node.thought, node.reflection, node.answer]
    return [gr.Textbox(value or "", visible=value is not None) for value in values]


def _reward(node: Node) -> str:
    return "–" if node.reward is None else f"{node.reward:.2f}"


class Handlers:
    """What the page does, for the visitor whose page sends the request."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def open(self, request: gr.Request) -> AsyncIterator[list[Any]]:
        """What the page's address names: a node to begin with, or a branch that is there already."""
        asked = parts.query(request, ["run", "search", "node"])
        view = self.session.view(visitor(request))
        run = await asyncio.to_thread(self.session.archive.find, asked.get("run"))
        branch = None
        if run is not None and run.asked.origin is not None:
            branch, where = run, run.asked.origin
            run = await asyncio.to_thread(self.session.archive.find, where["run"])
            asked = {key: str(where[key]) for key in ("search", "node")}
        number, node = (int(asked[key]) if asked.get(key, "").isdecimal() else 0 for key in ("search", "node"))
        if run is None or number >= len(run.traces) or editable(run.traces[number], node) is None:
            yield [gr.skip()] * (_SHOWN - 6) + [render.status(NOTHING), *[gr.skip()] * 5]
            return
        view.origin, view.run, view.picked = (run, number, node), branch, {}
        trace, row = run.traces[number], run.asked.settings[number]
        source = f"runs/{run.id}/picture.png" if run.picture is not None else ""
        head = [render.about(run.asked.question, source), *form(trace, trace.nodes[node])]
        head += [run.asked.methods[number], row["n"], row["width"]]
        start = render.status("Write the step otherwise or take a sibling, then go on from it.")
        yield [*head, start, *buttons(False), self._original(view), "", ""]
        if branch is not None:
            async for status, go, halt, shown in parts.follow(self.session, view, branch, 1):
                yield [gr.skip()] * (_SHOWN - 6) + [status, go, halt, gr.skip(), shown, parts.code(branch)]

    def _original(self, view: View) -> str:
        assert view.origin is not None
        run, number, node = view.origin
        with run.lock:
            return parts.show(View(run, view.threshold, view.aggregator, {number: node}), run, number)

    def pick(self, request: gr.Request, event: gr.EventData) -> list[Any]:
        """Another node of the original: show its path, and its text in the form."""
        view = self.session.view(visitor(request))
        node = (event._data or {}).get("id")
        if view.origin is None or not isinstance(node, int) or editable(view.origin[0].traces[view.origin[1]], node) is None:
            return [gr.skip()] * (1 + _FORM)
        run, number, _ = view.origin
        view.origin = run, number, node
        return [self._original(view), *form(run.traces[number], run.traces[number].nodes[node])]

    def take(self, node: int | None, request: gr.Request) -> list[Any]:
        """A sibling's text in the form."""
        view = self.session.view(visitor(request))
        if view.origin is None or node is None:
            return [gr.skip()] * (_FORM - 1)
        trace = view.origin[0].traces[view.origin[1]]
        found = editable(trace, node)
        return texts(found) if found else [gr.skip()] * (_FORM - 1)

    def look(self, request: gr.Request, event: gr.EventData) -> Any:
        """A node of the new branch."""
        view = self.session.view(visitor(request))
        node = (event._data or {}).get("id")
        if view.run is None or not isinstance(node, int) or not 0 <= node < len(view.run.traces[0].nodes):
            return gr.skip()
        view.picked[0] = node
        with view.run.lock:
            return parts.show(view, view.run, 0)

    async def go_on(
        self,
        sibling: int | None,
        name: str,
        thought: str,
        reflection: str,
        answer: str,
        method: str,
        n: float | None,
        width: float | None,
        request: gr.Request,
    ) -> AsyncIterator[list[Any]]:
        """Search on from the changed step; yields `[status, run button, stop button, panel of the branch, code]`."""
        view = self.session.view(visitor(request))

        def ask() -> Run:
            if view.origin is None:
                raise UserError(NOTHING)
            run, number, node = view.origin
            trace, asked = run.traces[number], run.asked
            picked = editable(trace, sibling) if sibling is not None else None
            begun = trace.nodes[node] if picked is None or picked.parent != trace.nodes[node].parent else picked
            given = edited(trace, begun, name, thought, reflection, answer)
            known = {key: asked.settings[number][key] for key in (row.name for row in fields(Settings)) if key in asked.settings[number]}
            row = read_settings(n, width, known.pop("temperature", 1.0), known.pop("seed", 0), **_less(known, "n", "width"))
            origin = {"run": run.id, "search": number, "node": begun.id}
            prompt = Prompt(asked.question, run.picture)
            who = parts.host(request)
            return self.session.ask(who, prompt, [method], [row], asked.policy, asked.reward, asked.problem, given, origin)

        yield [render.status("Starting", "running"), *buttons(True), gr.skip(), gr.skip()]
        try:
            branch = await asyncio.to_thread(ask)
        except UserError as problem:
            yield [render.status(str(problem), "wrong"), *buttons(False), gr.skip(), gr.skip()]
            raise said(problem) from None
        view.run, view.picked = branch, {}
        async for shown in parts.follow(self.session, view, branch, 1):
            yield [*shown, parts.code(branch)]

    def stop(self, request: gr.Request) -> None:
        """End the branch."""
        if (run := self.session.view(visitor(request)).run) is not None:
            run.stop.set()


def _less(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names}


def page(session: Session, demo: gr.Blocks) -> None:
    """Lay out the page and connect it; to be called inside its route."""
    do = Handlers(session)
    with gr.Row(elem_id="bench"):
        with gr.Column(elem_id="controls", min_width=280):
            about = parts.html(render.about("", ""), "about")
            sibling = gr.Dropdown([], label="Take a sibling's text, by reward", visible=False, elem_id="sibling")
            name = gr.Textbox(label="Step", lines=1, elem_id="step-name")
            thought = gr.Textbox(label="Thought", lines=3, elem_id="step-thought")
            reflection = gr.Textbox(label="Reflection", lines=2, elem_id="step-reflection")
            answer = gr.Textbox(label="Answer", lines=1, visible=False, elem_id="step-answer")
            names = [(name.replace("_", " "), name) for name in METHODS]
            method = gr.Dropdown(names, value="step_beam", label="Go on by", elem_id="method")
            with gr.Row():
                n = gr.Slider(1, LIMITS.n, 16, step=1, label="N", buttons=[], elem_id="n")
                width = gr.Slider(1, LIMITS.width, 4, step=1, label="Width", buttons=[], elem_id="width")
            with gr.Row():
                go = gr.Button("Go on from it", variant="primary", elem_id="run", min_width=120)
                halt = gr.Button("Stop", variant="stop", interactive=False, elem_id="stop", min_width=80)
        with gr.Column(elem_id="results", min_width=280):
            with gr.Row(elem_id="bar"):
                status = parts.status_line(NOTHING)
            with gr.Row(elem_id="board"):
                original, branch = parts.panel(0), parts.panel(1)
            with gr.Accordion("The same from a terminal or a notebook", open=False, elem_id="export"):
                code = parts.html("", "code")
    written = [sibling, name, thought, reflection, answer]
    outcome = [status, go, halt]
    everything = [about, *written, method, n, width, *outcome, original, branch, code]
    demo.load(do.open, None, everything, concurrency_limit=None, **QUIET)
    go.click(do.go_on, [*written, method, n, width], [*outcome, branch, code], concurrency_limit=None, **QUIET)
    halt.click(do.stop, None, None, queue=False, **QUIET)
    sibling.input(do.take, sibling, written[1:], queue=False, **QUIET)
    original.node_select(plainly(do.pick), None, [original, *written], queue=False, **QUIET)
    branch.node_select(do.look, None, branch, queue=False, **QUIET)
