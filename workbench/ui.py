"""The app as a whole: its pages by route, and how it is served. A further page is one more module and one more line in `PAGES`."""

from __future__ import annotations

import os
from typing import Any

import gradio as gr
from PIL import Image
from starlette.middleware import Middleware

from cos.problems.pictures import MOST_PIXELS
from workbench import addresses, api, curves, label, models, replay, rewards, solve, theme, what_if
from workbench.session import Session

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

PAGES: dict[str, tuple[str, Any]] = {
    "what-if": ("What if", what_if),
    "replay": ("Replay", replay),
    "label": ("Label", label),
    "curves": ("Curves", curves),
    "rewards": ("Rewards", rewards),
    "models": ("Models", models),
}
"""Address -> name and module; `page(session, demo)` of each lays it out. The Solve page is the first, at the root."""


def build(session: Session) -> gr.Blocks:
    """All pages. Each has its own address; they share the queue and the session."""
    with gr.Blocks(title="CoS workbench", analytics_enabled=False, fill_width=True, delete_cache=(3600, 21600)) as demo:
        _top()
        api.add(session)
        solve.page(session, demo)

        def leave(request: gr.Request) -> None:
            session.leave(request.session_hash or "")

        demo.unload(leave)
    for address, (name, module) in PAGES.items():
        with demo.route(name, f"/{address}"):
            _top()
            module.page(session, demo)
    demo.queue(max_size=64, default_concurrency_limit=4)
    return demo


def serve(
    demo: gr.Blocks, session: Session, *, host: str | None = None, port: int | None = None, wait: bool = True, mcp: bool = False
) -> str:
    """Serve the app and return its address; with `wait` this comes back only when the server ends. `mcp`: the API as tools of MCP too."""
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # whatever Gradio itself may open: beyond twice this Pillow refuses
    _, url, _ = demo.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=not wait,
        quiet=not wait,
        share=False,
        max_file_size="10mb",
        allowed_paths=[],
        blocked_paths=[str(session.archive.folder.resolve())],
        enable_monitoring=False,
        state_session_capacity=200,
        footer_links=[],
        ssr_mode=False,
        theme=theme.theme(),
        css=theme.css(),
        head=theme.HEAD,
        mcp_server=mcp,
        app_kwargs={"routes": addresses.routes(session.archive), "middleware": [Middleware(addresses.Smaller)]},
    )
    return str(url)


def _top() -> None:
    gr.Navbar(main_page_name="Solve")
    gr.HTML(theme.MASTHEAD, apply_default_css=False, elem_id="masthead")
