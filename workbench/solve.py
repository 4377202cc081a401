"""The Solve page: a picture, a question, up to four searches side by side, each step scored as it is made.

All panels fill from one generator (Gradio runs several listeners of one click one after another); a frame goes out at most every
`parts.FRAME` seconds, with the panels that have changed. The run itself is worked on by the session's line, so a page that is loaded again
with `?run=ID` goes on looking at it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import gradio as gr

from cos.chain import Problem
from cos.errors import UserError
from cos.problems import draw
from cos.scores import AGGREGATORS
from cos.search.methods import METHODS, Settings
from workbench import estimate, lent, parts, render, theme
from workbench.inputs import ANY, WORLDS, drawing, examples, kinds, new_puzzle, read_picture, read_prompt, read_settings, truth_of
from workbench.limits import LIMITS
from workbench.parts import PANELS, QUIET, buttons, frame, plainly, said, visitor
from workbench.runs import Run
from workbench.session import Session, in_order

DEFAULT_METHODS = ["greedy", "best_of_n", "step_beam"]


def settings_of(
    methods: list[str],
    n: float | None,
    width: float | None,
    temperature: float | None,
    seed: float | None,
    budget: float | None,
    policy: str,
) -> list[Settings]:
    """The settings of each search; with a budget of tokens each takes the N that it can pay for."""
    if not budget:
        return [read_settings(n, width, temperature, seed) for _ in methods]
    return [read_settings(estimate.n_within(name, budget, policy), width, temperature, seed) for name in methods]


class Handlers:
    """What the page's buttons and trees do, for the visitor whose page sends the request."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def solve(
        self,
        picture: str | None,
        question: str,
        puzzle: Problem | None,
        methods: list[str],
        n: float | None,
        width: float | None,
        budget: float | None,
        temperature: float | None,
        seed: float | None,
        policy: str,
        reward: str,
        threshold: float | None,
        aggregator: str,
        request: gr.Request,
    ) -> AsyncIterator[list[Any]]:
        """Run the searches; yields `[status, run button, stop button, *panels, code]`."""
        view = self.session.view(visitor(request))
        if view.run is not None:
            view.run.end("Stopped: another run was begun.")
        yield [render.status("Starting", "running"), *buttons(True), *[gr.skip()] * PANELS, ""]

        def ask() -> Run:
            prompt = read_prompt(picture, question)
            ordered = in_order(methods)
            chosen = settings_of(ordered, n, width, temperature, seed, budget, policy)
            return self.session.ask(parts.host(request), prompt, ordered, chosen, policy, reward, truth_of(prompt, puzzle))

        try:
            run = await asyncio.to_thread(ask)
        except UserError as problem:
            yield [render.status(str(problem), "wrong"), *buttons(False), *[gr.skip()] * PANELS, gr.skip()]
            raise said(problem) from None
        view.run, view.picked, view.threshold, view.aggregator = run, {}, threshold or 0.0, aggregator
        async for shown in parts.follow(self.session, view, run):
            yield [*shown, parts.code(run) if run.done.is_set() else gr.skip()]

    def ask_again(self, request: gr.Request) -> list[Any]:
        """Picture, question and puzzle of the run that the page's address names, or the first example."""
        run = self.session.archive.find(parts.query(request, ["run"]).get("run"))
        if run is None or run.picture is None:
            return present(examples()[0][0])
        return [run.picture, run.asked.question, run.asked.problem]

    async def reopen(self, request: gr.Request) -> AsyncIterator[list[Any]]:
        """The run that the page's address names, at work or ended; yields what `solve` does."""
        id = parts.query(request, ["run"]).get("run")
        nothing = [gr.skip()] * (PANELS + 4)
        if id is None:
            yield nothing
            return
        run = await asyncio.to_thread(self.session.archive.find, id)
        if run is None:
            gone = f"There is no run of that name here, or no longer: runs are kept for {LIMITS.days_kept:.0f} days."
            yield [render.status(gone, "wrong"), *nothing[1:]]
            return
        view = self.session.view(visitor(request))
        view.run = run
        async for shown in parts.follow(self.session, view, run):
            yield [*shown, parts.code(run) if run.done.is_set() else gr.skip()]

    def stop(self, request: gr.Request) -> None:
        """End the visitor's searches, or do not begin them; their panels keep what they have."""
        if (run := self.session.view(visitor(request)).run) is not None:
            run.stop.set()

    def pick(self, request: gr.Request, event: gr.EventData) -> Any:
        """See `parts.pick`."""
        return parts.pick(self.session.view(visitor(request)), event)

    def look(self, threshold: float | None, aggregator: str, request: gr.Request) -> list[Any]:
        """Another threshold or aggregator for a run that is there already; nothing is computed anew."""
        view = self.session.view(visitor(request))
        view.threshold, view.aggregator = threshold or 0.0, aggregator
        return frame(view, set(range(PANELS)))

    def cost(self, methods: list[str], n: float | None, width: float | None, budget: float | None, policy: str) -> str:
        """What a run will cost, in one line."""
        try:
            chosen = settings_of(in_order(methods), n, width, 1.0, 0, budget, policy)
        except UserError as problem:
            return f"<p>{render.escape(str(problem))}</p>"
        run = in_order(methods), [row.n for row in chosen]
        pace = self.session.pace.get(policy)
        line = estimate.say(*run, policy, pace) + (f"; asks for {lent.asked(policy, *run, pace)} s of GPU" if lent.needed(policy) else "")
        return f"<p>{render.escape(line)}</p>"


@plainly
def puzzle_of(world: str, level: str, kind: str) -> list[Any]:
    """A new puzzle: `[picture, question, puzzle]`."""
    return present(new_puzzle(world, int(level), kind))


@plainly
def kinds_of(world: str, level: str) -> Any:
    """The kinds of question to choose from."""
    return gr.Dropdown([ANY, *kinds(world, int(level))], value=ANY)


@plainly
def drawn(event: gr.EventData) -> list[Any]:
    """The sketch pad's drawing as the picture, with a question about it: `[picture, question, puzzle]`."""
    return [drawing((event._data or {}).get("strokes")), "What is the sum of the first and the second digit?", None]


def present(problem: Problem) -> list[Any]:
    """Picture, question and the puzzle itself, whose truth no model sees."""
    return [draw(problem), problem.question, problem]


def example_of(event: gr.SelectData) -> list[Any]:
    """The example that was clicked."""
    return present(examples()[event.index][0])


@plainly
def check_picture(picture: str | None) -> None:
    """Say at once if an uploaded file is no picture that can be read."""
    if picture is not None:
        read_picture(picture)


def page(session: Session, demo: gr.Blocks) -> None:
    """Lay out the page and connect it; to be called inside `demo` or one of its routes."""
    puzzle = gr.State(examples()[0][0])
    do = Handlers(session)
    with gr.Row(elem_id="bench"):
        with gr.Column(elem_id="controls", min_width=280):
            picture, question = _ask(puzzle)
            methods, n, width, budget, go, halt, temperature, seed, policy, reward = _choose(session, do)
        with gr.Column(elem_id="results", min_width=280):
            status, threshold, aggregator, panels, code = _results()
    asked = [picture, question, puzzle, methods, n, width, budget, temperature, seed, policy, reward, threshold, aggregator]
    shown = [status, go, halt, *panels, code]
    for pressed in (go.click, question.submit):
        told = pressed(None, None, None, js=theme.SHOW_RESULTS, **QUIET)
        told.then(do.solve, asked, shown, concurrency_limit=None, **QUIET)
    status.reopened(do.ask_again, None, [picture, question, puzzle], **QUIET)  # sent by `status.js`, and only where the address names a run
    demo.load(do.reopen, None, shown, concurrency_limit=None, **QUIET)
    halt.click(do.stop, None, None, queue=False, **QUIET)
    if session.may_load:  # what the Models page has loaded since
        demo.load(lambda: [gr.Dropdown(list(session.policies)), gr.Dropdown(list(session.rewards))], None, [policy, reward], **QUIET)
    for control in (threshold, aggregator):
        control.change(do.look, [threshold, aggregator], panels, queue=False, trigger_mode="always_last", **QUIET)
    for panel in panels:
        panel.node_select(do.pick, None, panel, queue=False, **QUIET)


def _ask(puzzle: gr.State) -> tuple[gr.Component, gr.Component]:
    first, shown = examples()[0]
    picture = parts.picture_input(shown)
    thumbnails = [image for _, image in examples()]
    gallery = gr.Gallery(
        thumbnails, columns=6, allow_preview=False, show_label=False, buttons=[], format="png", interactive=False, elem_id="examples"
    )
    choose = partial(gr.Dropdown, show_label=False, container=False, min_width=60)
    with gr.Row(elem_id="puzzle"):
        world = choose(list(WORLDS), value=WORLDS[0], label="World", scale=3)
        level = choose([(f"level {level}", level) for level in "123"], value="2", label="Level", scale=3)
        kind = choose([ANY, *kinds(WORLDS[0], 2)], value=ANY, label="Kind of question", scale=3)
    new = gr.Button("New puzzle", size="sm", elem_id="new-puzzle")
    with gr.Accordion("Draw digits", open=False, elem_id="sketch"):
        pad = parts.html(render.PAD, "pad", js_on_load=theme.script("pad.js"))
    question = gr.Textbox(first.question, label="Question", lines=1, max_lines=4, max_length=LIMITS.question, elem_id="question")
    given = [picture, question, puzzle]
    new.click(puzzle_of, [world, level, kind], given, **QUIET)
    for control in (world, level):
        control.change(kinds_of, [world, level], kind, **QUIET)
    gallery.select(example_of, None, given, **QUIET)
    pad.drawn(drawn, None, given, **QUIET)
    picture.upload(check_picture, picture, None, **QUIET)
    return picture, question


def _choose(session: Session, do: Handlers) -> tuple[gr.Component, ...]:
    names = [(name.replace("_", " "), name) for name in METHODS]
    methods = gr.CheckboxGroup(names, value=DEFAULT_METHODS, label=f"Methods, 1 to {PANELS}, side by side", elem_id="methods")
    with gr.Row():
        n = gr.Slider(1, LIMITS.n, 16, step=1, label="N", buttons=[], elem_id="n")
        width = gr.Slider(1, LIMITS.width, 4, step=1, label="Width", buttons=[], elem_id="width")
    with gr.Row():
        go = gr.Button("Run", variant="primary", elem_id="run", min_width=120)
        halt = gr.Button("Stop", variant="stop", interactive=False, elem_id="stop", min_width=80)
    line = parts.html(do.cost(DEFAULT_METHODS, 16, 4, 0, session.policies[0]), "estimate")
    with gr.Accordion("Models and sampling", open=False):
        policy = gr.Dropdown(list(session.policies), value=session.policies[0], label="Policy: writes the steps", elem_id="policy")
        reward = gr.Dropdown(list(session.rewards), value=session.rewards[0], label="Reward model: judges them", elem_id="reward")
        budget = gr.Slider(0, 20_000, 0, step=250, label="Tokens a method, in place of N (0: N as above)", buttons=[], elem_id="budget")
        temperature = gr.Slider(0, 2, 1.0, step=0.05, label="Temperature", buttons=[])
        seed = gr.Number(0, precision=0, minimum=0, maximum=10**9, label="Seed: the same one gives the same search")
    with gr.Accordion("What the methods do", open=False):
        gr.HTML(render.glossary({name: method.__doc__ or "" for name, method in METHODS.items()}), apply_default_css=False)
    priced = [methods, n, width, budget, policy]
    for control in priced:
        control.change(do.cost, priced, line, queue=False, trigger_mode="always_last", **QUIET)
    return methods, n, width, budget, go, halt, temperature, seed, policy, reward


def _results() -> tuple[gr.Component, gr.Component, gr.Component, list[gr.HTML], gr.HTML]:
    with gr.Row(elem_id="bar"):
        status = parts.status_line("Press Run: every step is scored as it is made.")
        threshold = gr.Slider(0, 1, 0.5, step=0.05, label="Flag under", buttons=[], elem_id="threshold")
        aggregator = gr.Dropdown(list(AGGREGATORS), value="cos", label="Path score", elem_id="aggregator")
    with gr.Row(elem_id="board"):
        panels = [parts.panel(number) for number in range(PANELS)]
    with gr.Accordion("The same from a terminal or a notebook", open=False, elem_id="export"):
        code = parts.html("", "code")
    return status, threshold, aggregator, panels, code
