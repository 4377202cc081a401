"""What several pages are made of: panels and their frames, the status line, the picture box, the code of a run."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from functools import wraps
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from PIL import Image

from cos.errors import UserError
from cos.search.methods import ONE_CHAIN
from cos.search.select import SELECTORS, rechosen
from cos.search.trace import SearchTrace
from workbench import export, render, theme
from workbench.limits import LIMITS
from workbench.runs import Run
from workbench.session import Session, View

FRAME = 0.15
"""Seconds between two frames: 6 to 7 a second, which looks smooth and leaves the machine to the models."""
PANELS = LIMITS.methods
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
"""For events of pages: no part of the API, no veil over what they change."""
P = ParamSpec("P")
R = TypeVar("R")


def said(problem: UserError) -> gr.Error:
    """The message in a corner of the page. Gradio takes it for HTML, and it may quote a file from outside."""
    return gr.Error(escape(str(problem), quote=False), print_exception=False)


def plainly(handler: Callable[P, R]) -> Callable[P, R]:
    """A handler whose `UserError` becomes one line on the visitor's screen."""

    @wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except UserError as problem:
            raise said(problem) from None

    return wrapped


def plainly_later(handler: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """As `plainly`, for a handler that waits."""

    @wraps(handler)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await handler(*args, **kwargs)
        except UserError as problem:
            raise said(problem) from None

    return wrapped


def visitor(request: gr.Request) -> str:
    """The key of the page that sends a request."""
    return request.session_hash or ""


def host(request: gr.Request) -> str:
    """Who the rate counts: the visitor's address, or the page on this machine itself (a test, a proxy that hides addresses)."""
    address = getattr(getattr(request, "client", None), "host", "") or ""
    return visitor(request) if address in ("", "127.0.0.1", "::1") else address


def frame(view: View, changed: set[int], count: int = PANELS) -> list[Any]:
    """New content for the changed panels, and for those that the run does not use; nothing for the others."""
    run = view.run
    if run is None:
        return [gr.skip()] * count
    with run.lock:
        return [
            (show(view, run, number) if number in changed else gr.skip()) if number < len(run.traces) else "" for number in range(count)
        ]


def show(view: View, run: Run, number: int) -> str:
    """One panel as the visitor looks at it; hold the run's lock."""
    trace, instead = run.traces[number], ""
    if trace.ended == "answered" and view.aggregator != trace.settings.get("aggregator") and trace.method not in ONE_CHAIN:
        trace, instead = _by(trace, view.aggregator)
    return render.panel(
        trace,
        is_right=run.is_right(number),
        is_wrong=run.is_wrong if run.asked.problem else None,
        selected=view.picked.get(number),
        threshold=view.threshold,
        aggregator=view.aggregator,
        most_tokens=max(trace.meter.tokens for trace in run.traces),
        instead=instead,
        place=render.Place(run.id, number),
    )


def _by(trace: SearchTrace, aggregator: str) -> tuple[SearchTrace, str]:
    """The search as it would have ended by another aggregator, and a word on how it did end. Nothing is computed anew but the choice."""
    try:
        again = rechosen(trace, trace.method if trace.method in SELECTORS else "best_of_n", aggregator)
    except UserError as problem:
        return trace, str(problem)
    same = "the same" if again.answer == trace.answer else f"{trace.answer}"
    return again, f"chosen by {aggregator}; the run itself, by {trace.settings.get('aggregator')}, answered {same}"


async def follow(session: Session, view: View, run: Run, count: int = PANELS) -> AsyncIterator[list[Any]]:
    """`[status, run button, stop button, *panels]` as the run goes on, whoever began it; the last one when it has ended."""
    began, counts = time.monotonic(), [-1] * len(run.traces)
    said = ""
    while True:
        ended = run.done.is_set()
        run.seen = time.monotonic()
        with run.lock:
            now = [len(trace.events) for trace in run.traces]
        changed = {number for number, (old, new) in enumerate(zip(counts, now, strict=True)) if old != new}
        counts = now
        says = summary(run) if ended else waiting(session, run) or progress(run, time.monotonic() - began)
        if ended or changed or says != said:
            said = says
            yield [says, *buttons(not ended), *frame(view, set(range(count)) if ended else changed, count)]
        if ended or view.run is not run:
            return
        await asyncio.sleep(FRAME)


def buttons(running: bool) -> list[Any]:
    """Run and Stop, of which one can be pressed."""
    return [gr.Button(interactive=not running), gr.Button(interactive=running)]


def waiting(session: Session, run: Run) -> str:
    """The place in the line; nothing where the run is at work."""
    before = session.line.before(run)
    if not before:
        return ""
    many = "another run is" if before == 1 else f"{before} other runs are"
    return render.status(f"Waiting: {many} before this one", "running", run.id)


def progress(run: Run, seconds: float) -> str:
    """How far the searches have come."""
    with run.lock:
        ended = sum(trace.ended is not None for trace in run.traces)
        steps = sum(len(trace.nodes) - 1 for trace in run.traces)
    start = "Reading the picture" if not steps else f"{ended} of {len(run.traces)} done · {steps} pieces"
    return render.status(f"{start} · {seconds:.0f} s{caution(run)}", "running", run.id)


def summary(run: Run) -> str:
    """What came out, in one line."""
    with run.lock:
        endings = [trace.ended for trace in run.traces]
        seconds = max(trace.seconds for trace in run.traces)
        verdicts = [run.right(number) for number in range(len(run.traces))]
    if run.problem:
        return render.status(run.problem, "wrong", run.id)
    if "stopped" in endings or None in endings:
        begun = any(run.traces[number].events for number in range(len(run.traces)))
        return render.status(f"Stopped after {seconds:.1f} s{caution(run)}" if begun else "Stopped before it began", "", run.id)
    truth = "" if None in verdicts else f" · {sum(map(bool, verdicts))} of {len(verdicts)} right · truth: {run.traces[0].gold}"
    return render.status(f"Done in {seconds:.1f} s{truth}{caution(run)}", "", run.id)


def caution(run: Run) -> str:
    """What must be known about the models to read the result rightly."""
    return " · scripted policy, blind to the picture" if run.asked.policy == "scripted" else ""


def code(run: Run) -> str:
    """The run as command, YAML and Python, for each search."""
    entries = []
    for number, method in enumerate(run.asked.methods):
        kinds = (("command", export.command), ("YAML", export.recipe), ("API", export.client), ("Python", export.python))
        for name, text in kinds[3:] if run.asked.given else kinds:  # only Python can go on from given pieces
            entries.append((f"{method.replace('_', ' ')}: {name}", text(run.asked, number)))
    return render.codes(entries)


def picture_input(shown: Image.Image) -> gr.Image:
    """An image input that hands over the uploaded file unopened: `inputs.read_picture` is the only one to open it.

    No handler may answer it with `gr.skip()` or another update: Gradio would make it anew, and open files itself.
    """
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
    show = picture.postprocess
    picture.postprocess = lambda value: show(_cached(value, picture.GRADIO_CACHE))
    return picture


def _cached(value: Image.Image | str | None, cache: str) -> str | None:
    """A picture as a file of Gradio's cache that is put there whole, once. Gradio's own way writes it anew whenever the same picture is
    shown, and a page that is just fetching it gets a part (docs/log.md)."""
    if not isinstance(value, Image.Image):
        return value
    with TemporaryDirectory() as folder:
        file = Path(folder) / "picture.png"
        value.save(file, compress_level=1)
        return save_file_to_cache(file, cache)


def panel(number: int) -> gr.HTML:
    """The place of one search."""
    return gr.HTML("", js_on_load=theme.script("tree.js"), apply_default_css=False, elem_id=f"panel-{number}", min_width=0)


def panel_number(event: gr.EventData) -> int:
    """The panel that an event comes from."""
    return int(str(event.target.elem_id).removeprefix("panel-")) if event.target is not None else PANELS


def html(text: str, name: str, **more: Any) -> gr.HTML:
    """A piece of HTML of our own, by its id."""
    return gr.HTML(text, apply_default_css=False, elem_id=name, **more)


def status_line(text: str) -> gr.HTML:
    """The line that says how things stand; it also writes the run's id into the page's address, so that loading it again opens the run."""
    return html(render.status(text), "status", js_on_load=theme.script("status.js"), scale=3, min_width=200)


def pick(view: View, event: gr.EventData, count: int = PANELS) -> Any:
    """Show the path to the node that was clicked; the root brings the answer's path back. What the page sends is not believed."""
    run, number = view.run, panel_number(event)
    node = (event._data or {}).get("id")
    if run is None or number >= min(count, len(run.traces)) or not isinstance(node, int):
        return gr.skip()
    with run.lock:
        if not 0 <= node < len(run.traces[number].nodes):
            return gr.skip()
        view.picked[number] = node
        return show(view, run, number)


def data_address(image: bytes) -> str:
    """A PNG as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(image).decode()


def query(request: gr.Request, names: Sequence[str]) -> dict[str, str]:
    """What stands in the page's address."""
    given = getattr(request, "query_params", None) or {}
    return {name: str(given[name])[:100] for name in names if name in given}
