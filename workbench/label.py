"""The Label page: a vote on every step of a chain, and only then what the reward model and the truth say of it.

Opened from a run (`label?run=ID&search=0`), a recording, or a trace file with its picture. What is saved is a file of label records in the
app's folder of runs, `labels/TOKEN.jsonl`, and a download; `cos train prm --data FILE --images FOLDER` reads either. The visitor's browser
keeps the token, so a page that is loaded again goes on with the same file.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from cos.errors import UserError
from cos.search.reading import image_reference
from workbench import parts, render, results, theme
from workbench.addresses import png
from workbench.inputs import read_encoded, read_picture
from workbench.parts import QUIET, plainly
from workbench.recordings import recordings
from workbench.session import Session
from workbench.votes import Task, kept, task_of

NOTHING = "Choose a recorded run, or put in a run's id or a trace file. Then vote on each step by what the picture shows."
_SIDE = 1024  # pixels of an uploaded picture, which stays with its visitor
_NO_CHAIN = ("–", -1)
_ID = re.compile(r"[0-9a-f]{24}")


class Handlers:
    """What the page does. The task itself is the visitor's own state."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.folder = session.archive.folder / "labels"

    async def start(self, old: Task | None, token: str, request: gr.Request) -> list[Any]:
        """The run or recording that the address names."""
        asked = parts.query(request, ["run", "search", "trace"])
        if "trace" in asked:
            return await asyncio.to_thread(self.recorded, asked["trace"], old, token)
        if "run" in asked:
            number = int(asked["search"]) if asked.get("search", "").isdecimal() else 0
            return await asyncio.to_thread(self.run, asked["run"], old, token, number)
        return [None, *_view(None)]

    def recorded(self, name: str | None, old: Task | None, token: str = "") -> list[Any]:
        """A recorded run. Raises UserError for a name that is none."""
        one = recordings().get(name or "")
        if one is None:
            raise UserError("There is no recorded run of this name.")
        asked = one.run.asked.problem
        source = parts.data_address(png(one.run)) if one.run.picture is not None else ""
        return self._begin(task_of(one.trace, asked, source, f"recorded-{one.name}"), old, token)

    def run(self, text: str, old: Task | None, token: str = "", number: int = 0) -> list[Any]:
        """A run of the app, by its id or any text that holds it (a link). Raises UserError where there is none."""
        found = _ID.search(text or "")
        run = self.session.archive.find(found[0]) if found else None
        if run is None or not 0 <= number < len(run.traces):
            raise UserError("There is no such run here, or no longer.")
        if not run.done.is_set():
            raise UserError("This run is still at work; open it again when it has ended.")
        source = f"runs/{run.id}/picture.png" if run.picture is not None else ""
        return self._begin(task_of(run.traces[number], run.asked.problem, source, run.id), old, token)

    def upload(self, file: str | None, picture: str | None, old: Task | None, token: str = "") -> list[Any]:
        """A trace file, and its picture where no world draws it. Raises UserError for what is none, and where they do not fit."""
        if file is None:
            return [gr.skip()] * (1 + _VIEWS)
        trace = results.trace_file(Path(file))
        problem = results.problem_of(trace)
        if problem is not None:
            return self._begin(task_of(trace, problem, results.picture(problem), problem.id), old, token)
        if picture is None:
            raise UserError("Put in the picture of this trace too: steps are judged by what it shows.")
        if (trace.image or {}).get("sha256") not in _hashes(picture):
            raise UserError("This is not the picture that the trace is about.")
        shown = read_picture(picture)
        shown.thumbnail((_SIDE, _SIDE))
        name = "file-" + hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]
        return self._begin(task_of(trace, None, results.address(shown), name), old, token)

    def _begin(self, task: Task, old: Task | None, token: str) -> list[Any]:
        """A new task, which goes on with the visitor's file: that of the task before, or the one that the browser remembers."""
        token = old.token if old else token
        saved = kept(self.folder, token)
        task = replace(task, token=token, saved=saved) if saved else task
        return _shown(replace(task, stops=old.stops) if old else task)

    def vote(self, task: Task | None, stops: bool, event: gr.EventData) -> list[Any]:
        """The votes as they are now: `[task, rows, status]`. What the page sends is looked through."""
        data = event._data or {}
        votes = data.get("votes")
        if task is None or data.get("chain") != task.id or not isinstance(votes, list):
            return [gr.skip()] * 3
        task = task.voted(votes, stops)
        return [task, render.votes(task.rows(), task.id), _status(task)]

    def stop(self, task: Task | None, stops: bool) -> list[Any]:
        """Another rule for what comes after the first error."""
        if task is None:
            return [gr.skip()] * 3
        task = task.voted(task.said, stops)
        return [task, render.votes(task.rows(), task.id), _status(task)]

    def turn(self, task: Task | None, at: int | None) -> list[Any]:
        """Another chain of the trace."""
        if task is None or at is None or not 0 <= at < len(task.chains):
            return [gr.skip()] * (1 + _VIEWS)
        return _shown(task.turn(at))

    def save(self, task: Task | None) -> list[Any]:
        """Keep the votes, and go on with the next chain; the last value is the token, for the browser to remember."""
        if task is None:
            raise UserError(NOTHING)
        task = task.save(self.folder, self._picture(task))
        told = f"Saved: {len(task.saved)} {'chain' if len(task.saved) == 1 else 'chains'} · {task.agreement()}"
        task, *shown = _shown(task.turn(task.at + 1) if task.at + 1 < len(task.chains) else task)
        return [task, render.status(told), *shown[1:], task.token]

    def _picture(self, task: Task) -> Image.Image | None:
        if task.source.startswith("data:"):
            return read_encoded(task.source)
        run = self.session.archive.find(task.source.removeprefix("runs/").partition("/")[0])
        return run.picture if run else None


def _shown(task: Task) -> list[Any]:
    return [task, *_view(task)]


_VIEWS = 5


def _view(task: Task | None) -> list[Any]:
    """`[status, picture and question, chains, rows, download]`."""
    if task is None:
        return [render.status(NOTHING), "", gr.Dropdown([_NO_CHAIN], value=-1), "", ""]
    done = {one.id for one in task.saved}
    names = []
    for at, one in enumerate(task.chains):
        answer = "no answer" if one.chain.answer is None else f"answer {one.chain.answer[:30]}"
        saved = " · saved" if task.turn(at).id in done else ""
        names.append((f"{at + 1} of {len(task.chains)}: {len(one.chain.steps)} steps, {answer}{saved}", at))
    address = "data:application/x-ndjson;base64," + base64.b64encode(task.lines().encode()).decode()
    link = render.download("labels.jsonl", address, f"download {len(task.saved)} labelled chains") if task.saved else ""
    about = render.about(task.problem.question, task.source)
    return [_status(task), about, gr.Dropdown(names, value=task.at), render.votes(task.rows(), task.id), link]


def _status(task: Task) -> str:
    voted = sum(word is not None for word in task.said)
    agreement = task.agreement()
    return render.status(f"{voted} of {len(task.said)} voted" + (f" · {agreement}" if agreement else ""))


def _hashes(picture: str) -> list[str]:
    """What a trace may say of this picture: the hash of its file, or of its pixels."""
    own = (image_reference(read_picture(picture)) or {}).get("sha256") or ""
    return [hashlib.sha256(Path(picture).read_bytes()).hexdigest(), own]


@lru_cache(maxsize=1)
def _names() -> tuple[tuple[str, str], ...]:
    """The recorded runs by method and question, without their titles, which tell how they end."""
    return tuple((f"{one.trace.method.replace('_', ' ')}: {one.trace.question}", one.name) for one in recordings().values())


def page(session: Session, demo: gr.Blocks) -> None:
    """Lay out the page and connect it; to be called inside its route."""
    do = Handlers(session)
    task = gr.State(None)
    token = gr.BrowserState("", storage_key="cos-labels", secret="cos-labels")  # a fixed one: else nothing is remembered over a restart
    with gr.Row(elem_id="bench"):
        with gr.Column(elem_id="controls", min_width=280):
            about = parts.html("", "about")
            recorded = gr.Dropdown(list(_names()), value=None, label="Recorded run", elem_id="recorded")
            run = gr.Textbox(label="or a run's id or link", max_length=300, elem_id="run-id")
            with gr.Accordion("A trace file", open=False):
                file = gr.File(label="Trace, as cos solve --trace saves it", file_types=[".json", ".jsonl"], height=110, elem_id="trace")
                picture = gr.File(label="its picture, where no world draws it", height=110, elem_id="its-picture")
            chain = gr.Dropdown([_NO_CHAIN], value=-1, label="Chain", elem_id="chain")
            stops = gr.Checkbox(True, label="Stop at the first error", elem_id="stops")
        with gr.Column(elem_id="results", min_width=280):
            with gr.Row(elem_id="bar"):
                status = parts.html(render.status(NOTHING), "status", scale=3, min_width=200)
                save = gr.Button("Save and go on", variant="primary", elem_id="save", scale=0, min_width=190)
            rows = parts.html("", "votes", js_on_load=theme.script("label.js"))
            link = parts.html("", "labels")
            parts.html(_HELP, "help")
    views = [status, about, chain, rows, link]
    demo.load(in_words(do.start), [task, token], [task, *views], **QUIET)
    recorded.input(plainly(do.recorded), [recorded, task, token], [task, *views], **QUIET)
    run.submit(plainly(do.run), [run, task, token], [task, *views], **QUIET)
    for given in (file, picture):
        given.upload(plainly(do.upload), [file, picture, task, token], [task, *views], **QUIET)
    rows.voted(plainly(do.vote), [task, stops], [task, rows, status], queue=False, trigger_mode="always_last", **QUIET)
    stops.input(plainly(do.stop), [task, stops], [task, rows, status], queue=False, **QUIET)
    chain.input(plainly(do.turn), [task, chain], [task, *views], queue=False, **QUIET)
    save.click(plainly(do.save), task, [task, *views, token], **QUIET)


def in_words(handler: Any) -> Any:
    """`Handlers.start`, with its `UserError` in the page's status line."""

    async def wrapped(old: Task | None, token: str, request: gr.Request) -> list[Any]:
        try:
            shown: list[Any] = await handler(old, token, request)
        except UserError as problem:
            return [None, render.status(str(problem), "wrong"), *_view(None)[1:]]
        return shown

    return wrapped


_HELP = (
    '<p class="left-out">Keys on a row: <kbd>r</kbd> right, <kbd>n</kbd> neutral, <kbd>w</kbd> wrong, arrows up and down. Reward and truth '
    "show after the vote. Labels are for <code>cos train prm --data labels.jsonl</code>.</p>"
)
