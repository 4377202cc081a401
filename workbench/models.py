"""The Models page: what is offered and loaded, each model's numbers and card, how to use it elsewhere, and loading another."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import gradio as gr

from cos.errors import UserError
from cos.loading import Role
from workbench import parts, render, shelf
from workbench.parts import QUIET, plainly, plainly_later
from workbench.session import Session, loaded, policy_of, scorer_of

REFUSED = "No models are loaded for visitors here. Whoever runs the app can name some (--policy NAME, --reward NAME), or allow it (--load)."

NAMES = ("Folder, or Hub id owner/name", "Folder, Hub id owner/name, or http://host:port/v1#MODEL")
"""What may be named, without servers and with them."""


class Handlers:
    """What the page does."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def offered(self) -> list[tuple[str, str]]:
        """The models to choose from, as (name, "role name")."""
        names = [("policy", name) for name in self.session.policies] + [("reward", name) for name in self.session.rewards]
        return [(f"{name} ({role}{', loaded' if (role, name) in loaded() else ''})", f"{role} {name}") for role, name in names]

    def start(self) -> list[Any]:
        """The choices, and the first policy."""
        offered = self.offered()
        return [gr.Dropdown(offered, value=offered[0][1]), *self.show(offered[0][1])]

    def show(self, chosen: str | None) -> list[Any]:
        """`[status, facts and card, code]` of a model."""
        role, name = self._named(chosen)
        facts = render.facts(shelf.facts(name, role, (role, name) in loaded()), shelf.card(name, role))
        pair = (name, self.session.rewards[0]) if role == "policy" else (self.session.policies[0], name)
        many = len(loaded())
        status = f"{many} {'model' if many == 1 else 'models'} loaded · this process: {shelf.memory()}"
        return [render.status(status), facts, render.codes(shelf.usage(*pair))]

    async def load(self, name: str, role: Role, request: gr.Request) -> list[Any]:
        """Load another model and offer it on all pages: `[choices, status, facts and card, code]`. Raises UserError for what may not be."""
        if not self.session.may_load:
            raise UserError(REFUSED)
        self.session.rate.admit(parts.host(request))
        offered = self.session.policies if role == "policy" else self.session.rewards
        name = await asyncio.to_thread(partial(shelf.admit, servers=self.session.may_ask), name, role, offered)
        await asyncio.to_thread(policy_of if role == "policy" else scorer_of, name)
        if role == "policy":
            self.session.policies = [*self.session.policies, name]
        else:
            self.session.rewards = [*self.session.rewards, name]
        return [gr.Dropdown(self.offered(), value=f"{role} {name}"), *self.show(f"{role} {name}")]

    def _named(self, chosen: str | None) -> tuple[Role, str]:
        role, _, name = (chosen or "").partition(" ")
        if role == "policy" and name in self.session.policies:
            return "policy", name
        if role == "reward" and name in self.session.rewards:
            return "reward", name
        raise UserError("This app does not offer that model.")


def page(session: Session, demo: gr.Blocks) -> None:
    """Lay out the page and connect it; to be called inside its route."""
    do = Handlers(session)
    offered = do.offered()
    with gr.Row(elem_id="bench"):
        with gr.Column(elem_id="controls", min_width=280):
            model = gr.Dropdown(offered, value=offered[0][1], label="Model", elem_id="model")
            with gr.Accordion("Load another", open=True):
                name = gr.Textbox(label=NAMES[session.may_ask], max_length=300, elem_id="new-model")
                role = gr.Radio([("policy", "policy"), ("reward model", "reward")], value="policy", label="as", elem_id="role")
                limits = f"Safetensors only, no code of others, at most {shelf.MOST_BYTES / 1e9:.0f} GB."
                gr.HTML(f'<p class="left-out">{limits if session.may_load else render.escape(REFUSED)}</p>', apply_default_css=False)
                go = gr.Button("Load", variant="primary", interactive=session.may_load, elem_id="load")
        with gr.Column(elem_id="results", min_width=280):
            with gr.Row(elem_id="bar"):
                status = parts.html(render.status(""), "status")
            facts = parts.html("", "facts")
            gr.HTML('<h2 class="quiet">Use it</h2>', apply_default_css=False)
            code = parts.html("", "code")
    shown = [status, facts, code]
    demo.load(plainly(do.start), None, [model, *shown], **QUIET)
    model.input(plainly(do.show), model, shown, **QUIET)
    go.click(plainly_later(do.load), [name, role], [model, *shown], concurrency_limit=1, **QUIET)
