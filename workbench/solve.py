"""The Solve page: a picture, a question, up to four searches side by side, each step scored as it is made.

All panels fill from one generator over one scheduler (Gradio runs several listeners of one click one after another); a frame goes out at
most every `FRAME` seconds, with the panels that have changed. What is picked in a tree, and the view, live with the run on the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from PIL import Image

from cos.chain import Problem
from cos.errors import UserError
from cos.problems import draw
from cos.scores import AGGREGATORS
from cos.search.methods import METHODS
from workbench import render, theme
from workbench.session import LIMITS, WORLDS, Run, Session, examples, new_puzzle, read_picture, read_prompt, read_settings, truth_of

FRAME = 0.15
"""Seconds between two frames: 6 to 7 a second, which looks smooth and leaves the machine to the models."""
PANELS = LIMITS.methods
DEFAULT_METHODS = ["greedy", "best_of_n", "step_beam"]
P = ParamSpec("P")
R = TypeVar("R")


def plainly(handler: Callable[P, R]) -> Callable[P, R]:
    """A handler whose `UserError` becomes one line on the visitor's screen."""

    @wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except UserError as problem:
            raise gr.Error(str(problem), print_exception=False) from None

    return wrapped


def frame(run: Run, changed: set[int]) -> list[Any]:
    """New content for the changed panels, and for those that the run does not use; nothing for the others."""
    most = max(trace.meter.tokens for trace in run.traces)
    return [(show(run, number, most) if number in changed else gr.skip()) if number < len(run.searches) else "" for number in range(PANELS)]


def show(run: Run, number: int, most_tokens: int = 0) -> str:
    """One panel of a run as it stands."""
    return render.panel(
        run.traces[number],
        is_right=run.is_right(number),
        selected=run.picked.get(number),
        threshold=run.threshold,
        aggregator=run.aggregator,
        most_tokens=most_tokens or max(trace.meter.tokens for trace in run.traces),
    )


class Handlers:
    """What the page's buttons and trees do, for the visitor whose page sends the request."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def wait(self, request: gr.Request) -> list[Any]:
        """Answer the press at once, for the models may be at work for someone else."""
        self.session.given_up.discard(request.session_hash or "")
        text = "Waiting for another visitor's run to end" if self.session.runs.live() else "Starting"
        return [render.status(text, "running"), *buttons(True)]

    def solve(
        self,
        picture: str | None,
        question: str,
        puzzle: Problem | None,
        methods: list[str],
        n: float | None,
        width: float | None,
        temperature: float | None,
        seed: float | None,
        policy: str,
        reward: str,
        threshold: float | None,
        aggregator: str,
        request: gr.Request,
    ) -> Iterator[list[Any]]:
        """Run the searches; yields `[status, run button, stop button, panel, panel, panel, panel]`."""
        if (request.session_hash or "") in self.session.given_up:
            yield [render.status("Stopped before it began"), *buttons(False), *[gr.skip()] * PANELS]
            return
        try:
            prompt = read_prompt(picture, question)
            settings = read_settings(n, width, temperature, seed)
            yield [
                render.status("Loading the models" if policy != "scripted" else "Starting", "running"),
                *buttons(True),
                *[gr.skip()] * PANELS,
            ]
            run = self.session.start(prompt, methods, settings, policy, reward, truth_of(prompt, puzzle))
        except UserError as problem:
            yield [render.status(str(problem), "wrong"), *buttons(False), *[gr.skip()] * PANELS]
            raise gr.Error(str(problem), print_exception=False) from None
        run.threshold, run.aggregator = threshold or 0.0, aggregator
        self.session.runs.put(request.session_hash or "", run)
        began, shown, changed = time.monotonic(), 0.0, set[int]()
        for number in run.changes():
            changed.add(number)
            if time.monotonic() - shown >= FRAME:
                yield [progress(run, time.monotonic() - began), *buttons(True), *frame(run, changed)]
                shown, changed = time.monotonic(), set()
        yield [summary(run, time.monotonic() - began), *buttons(False), *frame(run, set(range(PANELS)))]

    def stop(self, request: gr.Request) -> None:
        """End the visitor's searches, or do not begin them; their panels keep what they have."""
        self.session.given_up.add(request.session_hash or "")
        if run := self.session.runs.get(request.session_hash or ""):
            run.stop.set()

    def pick(self, request: gr.Request, event: gr.EventData) -> Any:
        """Show the path to the node that was clicked; the root brings the answer's path back."""
        run, number = self.session.runs.get(request.session_hash or ""), panel_number(event)
        node = (event._data or {}).get("id")
        if run is None or number >= len(run.searches) or not isinstance(node, int) or not 0 <= node < len(run.traces[number].nodes):
            return gr.skip()
        run.picked[number] = node
        return show(run, number)

    def view(self, threshold: float | None, aggregator: str, request: gr.Request) -> list[Any]:
        """Another threshold or aggregator for a run that is there already; nothing is computed anew."""
        run = self.session.runs.get(request.session_hash or "")
        if run is None:
            return [gr.skip()] * PANELS
        run.threshold, run.aggregator = threshold or 0.0, aggregator
        return frame(run, set(range(PANELS)))


def panel_number(event: gr.EventData) -> int:
    """The panel that an event comes from."""
    return int(str(event.target.elem_id).removeprefix("panel-")) if event.target is not None else PANELS


def buttons(running: bool) -> list[Any]:
    """Run and Stop, of which one can be pressed."""
    return [gr.Button(interactive=not running), gr.Button(interactive=running)]


def progress(run: Run, seconds: float) -> str:
    """How far the searches have come."""
    ended = sum(trace.ended is not None for trace in run.traces)
    steps = sum(len(trace.nodes) - 1 for trace in run.traces)
    return render.status(f"{ended} of {len(run.searches)} done · {steps} pieces · {seconds:.1f} s{caution(run)}", "running")


def summary(run: Run, seconds: float) -> str:
    """What came out, in one line."""
    if run.out_of_time:
        return render.status(f"Stopped after {LIMITS.seconds:.0f} seconds, the most a run may take here. Choose a smaller N.", "wrong")
    if any(trace.ended == "stopped" for trace in run.traces):
        return render.status(f"Stopped after {seconds:.1f} s{caution(run)}")
    verdicts = [run.right(number) for number in range(len(run.searches))]
    truth = "" if None in verdicts else f" · {sum(map(bool, verdicts))} of {len(verdicts)} right · truth: {run.traces[0].gold}"
    return render.status(f"Done in {seconds:.1f} s{truth}{caution(run)}")


def caution(run: Run) -> str:
    """What must be known about the models to read the result rightly."""
    return " · scripted policy, blind to the picture" if run.policy.name == "scripted" else ""


@plainly
def puzzle_of(world: str, level: str) -> list[Any]:
    """A new puzzle: `[picture, question, puzzle]`."""
    return present(new_puzzle(world, int(level)))


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


def picture_input(shown: Image.Image) -> gr.Image:
    """An image input that hands over the uploaded file unopened: `session.read_picture` is the only one to open it."""
    picture = gr.Image(
        shown,
        type="filepath",
        format="png",
        image_mode=None,
        sources=["upload", "clipboard"],
        label="Picture",
        height=236,
        buttons=[],
        elem_id="picture",
    )
    picture.preprocess = lambda payload: payload.path if payload is not None else None  # Gradio's would open it with all of PIL's formats
    return picture


def page(session: Session) -> None:
    """Lay out the page and connect it; to be called inside a `gr.Blocks` or a route."""
    puzzle = gr.State(examples()[0][0])
    with gr.Row(elem_id="bench"):
        with gr.Column(elem_id="controls", min_width=280):
            picture, question, world, level, new, gallery = _ask()
            methods, n, width, go, halt, temperature, seed, policy, reward = _choose(session)
        with gr.Column(elem_id="results", min_width=280):
            status, threshold, aggregator, panels = _results()
    asked = [picture, question, puzzle, methods, n, width, temperature, seed, policy, reward, threshold, aggregator]
    do, shown = Handlers(session), [status, go, halt, *panels]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    for pressed in (go.click, question.submit):
        told = pressed(do.wait, None, [status, go, halt], queue=False, js=theme.SHOW_RESULTS, **quiet)
        told.then(do.solve, asked, shown, concurrency_id="model", concurrency_limit=1, **quiet)
    halt.click(do.stop, None, None, queue=False, **quiet)
    new.click(puzzle_of, [world, level], [picture, question, puzzle], **quiet)
    gallery.select(example_of, None, [picture, question, puzzle], **quiet)
    picture.upload(check_picture, picture, None, **quiet)
    for control in (threshold, aggregator):
        control.change(do.view, [threshold, aggregator], panels, queue=False, trigger_mode="always_last", **quiet)
    for panel in panels:
        panel.node_select(do.pick, None, panel, queue=False, **quiet)


def _ask() -> tuple[gr.Component, ...]:
    first, drawn = examples()[0]
    picture = picture_input(drawn)
    thumbnails = [image for _, image in examples()]
    gallery = gr.Gallery(
        thumbnails, columns=6, allow_preview=False, show_label=False, buttons=[], format="png", interactive=False, elem_id="examples"
    )
    with gr.Row(elem_id="puzzle"):
        world = gr.Dropdown(list(WORLDS), value=WORLDS[0], show_label=False, container=False, label="World", scale=3)
        level = gr.Dropdown(
            [(f"level {level}", level) for level in "123"], value="2", show_label=False, container=False, label="Level", scale=3
        )
        new = gr.Button("New puzzle", scale=3, size="sm", elem_id="new-puzzle")
    question = gr.Textbox(first.question, label="Question", lines=1, max_lines=4, max_length=LIMITS.question, elem_id="question")
    return picture, question, world, level, new, gallery


def _choose(session: Session) -> tuple[gr.Component, ...]:
    names = [(name.replace("_", " "), name) for name in METHODS]
    methods = gr.CheckboxGroup(names, value=DEFAULT_METHODS, label=f"Methods, 1 to {PANELS}, side by side", elem_id="methods")
    with gr.Row():
        n = gr.Slider(1, LIMITS.n, 16, step=1, label="N", buttons=[], elem_id="n")
        width = gr.Slider(1, LIMITS.width, 4, step=1, label="Width", buttons=[], elem_id="width")
    with gr.Row():
        go = gr.Button("Run", variant="primary", elem_id="run", min_width=120)
        halt = gr.Button("Stop", variant="stop", interactive=False, elem_id="stop", min_width=80)
    with gr.Accordion("Models and sampling", open=False):
        policy = gr.Dropdown(list(session.policies), value=session.policies[0], label="Policy: writes the steps")
        reward = gr.Dropdown(list(session.rewards), value=session.rewards[0], label="Reward model: judges them")
        temperature = gr.Slider(0, 2, 1.0, step=0.05, label="Temperature", buttons=[])
        seed = gr.Number(0, precision=0, minimum=0, maximum=10**9, label="Seed: the same one gives the same search")
    with gr.Accordion("What the methods do", open=False):
        gr.HTML(render.glossary({name: method.__doc__ or "" for name, method in METHODS.items()}), apply_default_css=False)
    return methods, n, width, go, halt, temperature, seed, policy, reward


def _results() -> tuple[gr.Component, gr.Component, gr.Component, list[gr.HTML]]:
    with gr.Row(elem_id="bar"):
        status = gr.HTML(
            render.status("Press Run: every step is scored as it is made."),
            apply_default_css=False,
            elem_id="status",
            scale=3,
            min_width=200,
        )
        threshold = gr.Slider(0, 1, 0.5, step=0.05, label="Flag under", buttons=[], elem_id="threshold")
        aggregator = gr.Dropdown(list(AGGREGATORS), value="cos", label="Path score", elem_id="aggregator")
    with gr.Row(elem_id="board"):
        panels = [
            gr.HTML("", js_on_load=theme.tree_script(), apply_default_css=False, elem_id=f"panel-{number}", min_width=0)
            for number in range(PANELS)
        ]
    return status, threshold, aggregator, panels
