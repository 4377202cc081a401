"""The files of a run by address: `runs/ID/0.json` (trace), `0.svg` (tree), `0.html` (a page of its own), `picture.png`. Nothing else.

An address is matched as a whole, and what it names is made from the run; no path on the disk is ever built from what a visitor sends but
the run's folder, whose name must be an id.

| route | gives |
|---|---|
| / | the Solve page; `?run=ID` opens a run |
| /what-if?run=ID&search=0&node=3 | the What-if page |
| /replay, /replay?run=ID&search=0, /replay?trace=NAME | the Replay page |
| /label?run=ID&search=0, /label?trace=NAME | the Label page |
| /curves?eval=NAME | the Curves page, on an evaluation below the app's results |
| /rewards, /models | the Rewards and the Models page |
| /runs/ID/N.json, N.svg, N.html, picture.png | a run's files |
| /recorded/NAME/0.json, 0.svg, 0.html, picture.png | those of a recorded run |
| /gradio_api/... | Gradio's own, and the API: `solve`, `score_steps`, `get_trace` |
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Awaitable, Callable
from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench import render
from workbench.limits import LIMITS
from workbench.recordings import recordings
from workbench.runs import Archive, Run

KINDS = {"json": "application/json", "svg": "image/svg+xml", "html": "text/html; charset=utf-8", "png": "image/png"}
_FILE = re.compile(r"([0-3])\.(json|svg|html)")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
"""These files are for keeping: shown in the app's own place they may run nothing."""


def routes(archive: Archive) -> list[Route]:
    """What the server answers beside Gradio's pages."""

    async def answer(request: Request) -> Response:
        kept = recorded if request.url.path.startswith("/recorded/") else partial(file, archive)
        found = await run_in_threadpool(kept, request.path_params["id"], request.path_params["name"])
        if found is None:
            return PlainTextResponse("There is no such run here, or no longer.", status_code=404)
        content, kind = found
        return Response(content, media_type=KINDS[kind], headers={**_HEADERS, "Content-Disposition": "attachment"})

    handler: Callable[[Request], Awaitable[Response]] = answer
    return [Route(f"/{room}/{{id}}/{{name}}", handler, methods=["GET"]) for room in ("runs", "recorded")]


class Smaller:
    """Refuses requests whose body is larger than anything the app asks for, before it is read into memory."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes in."""
        most, seen = 2 * LIMITS.upload, 0
        said = dict(scope.get("headers") or ()).get(b"content-length", b"0")
        if scope["type"] == "http" and (not said.isdigit() or int(said) > most):
            return await PlainTextResponse("This request is too large.", status_code=413)(scope, receive, send)

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise ClientDisconnect
            return message

        await self.app(scope, counted, send)


def file(archive: Archive, id: str, name: str) -> tuple[bytes, str] | None:
    """A file of a run and its kind; None for whatever is none."""
    run = archive.find(id)
    return None if run is None else _part(run, name)


def recorded(id: str, name: str) -> tuple[bytes, str] | None:
    """A file of a recorded run, as `file`."""
    one = recordings().get(id)
    return None if one is None else _part(one.run, name)


def _part(run: Run, name: str) -> tuple[bytes, str] | None:
    if name == "picture.png":
        return (png(run), "png") if run.picture is not None else None
    matched = _FILE.fullmatch(name)
    if matched is None or int(matched[1]) >= len(run.traces):
        return None
    number, kind = int(matched[1]), matched[2]
    with run.lock:
        trace = run.traces[number]
        if kind == "json":
            text = json.dumps(trace.to_json(), ensure_ascii=False, indent=1)
        elif kind == "svg":
            text = render.tree_file(trace, run.is_right(number))
        else:
            text = render.bundle([trace], png(run) if run.picture is not None else None, run.is_right(number), run.is_wrong)
    return text.encode("utf-8", "replace"), kind


def png(run: Run) -> bytes:
    """The run's picture."""
    assert run.picture is not None
    buffer = io.BytesIO()
    run.picture.save(buffer, "PNG")
    return buffer.getvalue()
