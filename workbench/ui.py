"""The app as a whole: its pages by route, and how it is served. A further page is one more module and one more line in `build`."""

from __future__ import annotations

import os

import gradio as gr

from workbench import solve, theme
from workbench.session import Session

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")


def build(session: Session) -> gr.Blocks:
    """All pages. Each has its own address; they share the queue and the session."""
    with gr.Blocks(title="CoS workbench", analytics_enabled=False, fill_width=True, delete_cache=(3600, 21600)) as demo:
        gr.HTML(theme.MASTHEAD, apply_default_css=False, elem_id="masthead")
        solve.page(session)

        def leave(request: gr.Request) -> None:
            session.leave(request.session_hash or "")

        demo.unload(leave)
    demo.queue(max_size=16, default_concurrency_limit=4)
    return demo


def serve(demo: gr.Blocks, *, host: str | None = None, port: int | None = None, wait: bool = True) -> str:
    """Serve the app and return its address; with `wait` this comes back only when the server ends."""
    _, url, _ = demo.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=not wait,
        quiet=not wait,
        share=False,
        max_file_size="10mb",
        allowed_paths=[],
        enable_monitoring=False,
        state_session_capacity=200,
        footer_links=[],
        ssr_mode=False,
        theme=theme.theme(),
        css=theme.css(),
    )
    return str(url)
