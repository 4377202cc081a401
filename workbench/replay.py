"""The Replay page: a gallery of recorded runs that needs no model, and a scrubber through any run, moment by moment.

A moment is an event of the trace: drawn, scored, decided, answered, ended. What is shown is the trace as it stood after that event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import gradio as gr

from cos.search.trace import SearchTrace
from workbench import parts, render
from workbench.addresses import png
from workbench.parts import QUIET, visitor
from workbench.recordings import Recording, recordings
from workbench.runs import Run
from workbench.session import Session, View

SPEEDS = {"slow": 1.6, "normal": 0.8, "fast": 0.3}
"""Seconds a moment."""


def moment(run: Run, number: int, count: int, selected: int | None = None) -> str:
    """The panel of a search as it stood after `count` events."""
    with run.lock:
        whole = run.traces[number]
        trace = SearchTrace.replay(whole.events[:count])
        return render.panel(
            trace,
            is_right=run.is_right(number),
            is_wrong=run.is_wrong if run.asked.problem else None,
            selected=selected,
            most_tokens=whole.meter.tokens,
            place=render.Place(run.id, number, recorded=run.id in recordings()),
        )


def tell(trace: SearchTrace, count: int) -> str:
    """What happened last, in one line."""
    event: Mapping[str, Any] = trace.events[count - 1] if 0 < count <= len(trace.events) else {"kind": "nothing"}
    says = {
        "nothing": lambda: "nothing yet",
        "start": lambda: "the question is put",
        "expanded": lambda: f"{_many(len(event['nodes']), 'new piece')} drawn, {_many(len(event['merged']), 'draw')} came out the same",
        "scored": lambda: f"{_many(len(event['rewards']), 'reward')}{' (for display only)' if event.get('shown') else ''}",
        "decided": lambda: (
            f"{sum(row['status'] != 'pruned' for row in event['nodes'])} kept, "
            f"{sum(row['status'] == 'pruned' for row in event['nodes'])} pruned"
        ),
        "answered": lambda: f"the answer: {event['answer']}",
        "ended": lambda: f"ended: {event['why'] or event['ended']}",
    }
    return f"Moment {count} of {len(trace.events)} · round {event.get('round', 0)}: {says[event['kind']]()}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


@lru_cache(maxsize=1)
def gallery() -> str:
    """The recorded runs as links."""
    return render.gallery([_card(one) for one in recordings().values()])


def _card(one: Recording) -> tuple[str, str, str, str, str]:
    right = one.run.right(0)
    sign = "" if right is None else "✓ " if right else "✗ "
    says = f"{one.trace.method.replace('_', ' ')}: {sign}{one.trace.answer if one.trace.answer is not None else 'no answer'}"
    return f"replay?trace={one.name}", parts.data_address(png(one.run)), one.title, says, one.note


class Handlers:
    """What the page does, for the visitor whose page sends the request."""

    def __init__(self, session: Session) -> None:
        self.session = session

    async def open(self, request: gr.Request) -> list[Any]:
        """`[about, status, scrubber, panel]` for the recording or the run that the page's address names."""
        asked = parts.query(request, ["run", "search", "trace"])
        view = self.session.view(visitor(request))
        one = recordings().get(asked.get("trace", ""))
        run = one.run if one else await asyncio.to_thread(self.session.archive.find, asked.get("run"))
        number = int(asked["search"]) if asked.get("search", "").isdecimal() else 0
        if run is None or number >= len(run.traces):
            missing = (
                "Choose a recorded run below." if not asked else "There is no such run here, or no longer. Choose a recorded one below."
            )
            return [gr.skip(), render.status(missing), gr.skip(), gr.skip()]
        view.run, view.search, view.picked = run, number, {}
        source = parts.data_address(png(run)) if one else f"runs/{run.id}/picture.png"
        head = render.about(run.asked.question, source if run.picture is not None else "", one.note if one else "")
        count = len(run.traces[number].events)
        return [head, *self._at(view, count)[:1], gr.Slider(maximum=max(1, count), value=count, interactive=True), self._at(view, count)[1]]

    def _at(self, view: View, count: int) -> tuple[str, str]:
        assert view.run is not None
        return (
            render.status(tell(view.run.traces[view.search], count)),
            moment(view.run, view.search, count, view.picked.get(view.search)),
        )

    def scrub(self, at: float | None, request: gr.Request) -> list[Any]:
        """`[status, panel]` of a moment."""
        view = self.session.view(visitor(request))
        return [gr.skip(), gr.skip()] if view.run is None else list(self._at(view, int(at or 0)))

    def play(self, at: float | None, playing: bool, speed: str, request: gr.Request) -> list[Any]:
        """`[timer, scrubber, button, playing]`: begin (from the start, where it stands at the end) or pause."""
        view = self.session.view(visitor(request))
        if view.run is None:
            return [gr.Timer(active=False), gr.skip(), gr.Button("Play"), False]
        ends = int(at or 0) >= len(view.run.traces[view.search].events)
        on = gr.Timer(SPEEDS[speed], active=not playing)
        return [on, 0 if ends and not playing else gr.skip(), gr.Button("Play" if playing else "Pause"), not playing]

    def tick(self, at: float | None, request: gr.Request) -> list[Any]:
        """`[scrubber, status, panel, timer, button, playing]` one moment later."""
        view = self.session.view(visitor(request))
        count = int(at or 0) + 1
        if view.run is None or count > len(view.run.traces[view.search].events):
            return [gr.skip(), gr.skip(), gr.skip(), gr.Timer(active=False), gr.Button("Play"), False]
        return [count, *self._at(view, count), gr.skip(), gr.skip(), gr.skip()]

    def pick(self, at: float | None, request: gr.Request, event: gr.EventData) -> Any:
        """The path to a node."""
        view = self.session.view(visitor(request))
        node = (event._data or {}).get("id")
        if view.run is None or not isinstance(node, int) or not 0 <= node < len(view.run.traces[view.search].nodes):
            return gr.skip()
        view.picked[view.search] = node
        return self._at(view, int(at or 0))[1]


def page(session: Session, demo: gr.Blocks) -> None:
    """Lay out the page and connect it; to be called inside its route."""
    do = Handlers(session)
    playing = gr.State(False)
    timer = gr.Timer(SPEEDS["normal"], active=False)
    with gr.Row(elem_id="bench"):
        with gr.Column(elem_id="controls", min_width=280):
            about = parts.html("", "about")
            scrubber = gr.Slider(0, 1, 1, step=1, label="Moment", buttons=[], interactive=True, elem_id="moment")
            with gr.Row():
                play = gr.Button("Play", variant="primary", elem_id="play", min_width=100)
                speed = gr.Dropdown(list(SPEEDS), value="normal", label="Speed", elem_id="speed", min_width=100)
        with gr.Column(elem_id="results", min_width=280):
            with gr.Row(elem_id="bar"):
                status = parts.html(render.status("Choose a recorded run below."), "status")
            with gr.Row(elem_id="board"):
                panel = parts.panel(0)
    parts.html(gallery(), "gallery")
    demo.load(do.open, None, [about, status, scrubber, panel], **QUIET)
    scrubber.input(do.scrub, scrubber, [status, panel], queue=False, trigger_mode="always_last", **QUIET)
    play.click(do.play, [scrubber, playing, speed], [timer, scrubber, play, playing], queue=False, **QUIET)
    speed.input(lambda name: gr.Timer(SPEEDS[name]), speed, timer, queue=False, **QUIET)
    timer.tick(do.tick, scrubber, [scrubber, status, panel, timer, play, playing], queue=False, **QUIET)
    panel.node_select(do.pick, scrubber, panel, queue=False, **QUIET)
