"""The Rewards page: the report card of a reward model, and a bench where a chain is scored with the picture, without it, and with another.

Report cards are folders of `cos card` below the app's results, by name, or a `card.json` that is uploaded.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import gradio as gr

from cos.card.findings import table
from cos.chain import Problem
from cos.commands.card_page import figures
from cos.errors import UserError
from cos.problems import check, grade
from cos.protocols import Prompt
from cos.template import pieces
from workbench import parts, plots, render, results
from workbench.bench import VIEWS, example, read_chain, viewed
from workbench.inputs import WORLDS, examples, new_puzzle, read_prompt, read_settings, truth_of
from workbench.limits import LIMITS
from workbench.parts import QUIET, plainly, plainly_later
from workbench.runs import Run
from workbench.session import Session

NO_CARD = "Choose a report card, or put in the card.json of one (cos card --reward R --set S:split)."
NONE = ("–", "")
_RELIABILITY = "Reliability: how often is a step with this reward right?"
Scored = dict[str, Any]
"""What stands on the bench: `asked` (what the columns have in common) and `columns` (name, picture, rewards)."""


class Handlers:
    """What the page does."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def start(self) -> list[Any]:
        """The report cards, and the newest."""
        names = results.cards(self.session.results)
        chosen = gr.Dropdown([NONE, *((name, name) for name in names)], value=names[0] if names else "")
        try:
            return [chosen, *self.card(names[0] if names else "", None, None)]
        except UserError as problem:
            return [chosen, render.status(str(problem), "wrong"), *[gr.skip()] * 4]

    def card(self, name: str | None, upload: str | None, figure: str | None) -> list[Any]:
        """`[findings and table, names of figures, the figure, reliability, AUC by group]`. Raises UserError for a file that is no card."""
        root = self.session.results
        path = results.located(root, results.cards(root), name, upload, results.CARD)
        if path is None:
            return [render.status(NO_CARD), gr.skip(), *[gr.Plot(visible=False)] * 3]
        card = results.card(path)
        try:
            drawn = figures(card)
            head = f"{card['reward']} on {card['set']}; threshold and calibration from {card['threshold_from']}"
            shown = render.findings([str(text) for text in card["findings"]], table(card), head)
            groups = plots.auc_by_group(card["by"])
        except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError):
            raise UserError(f"{Path(path).name}: not a report card of cos card.") from None
        others = [heading for heading in drawn if heading != _RELIABILITY]
        figure = figure if figure in others else others[0]
        shapes = plots.styled(drawn[figure]), plots.styled(drawn[_RELIABILITY]), groups
        return [shown, gr.Dropdown(others, value=figure), *(gr.update(value=shape, visible=True) for shape in shapes)]

    async def score(
        self,
        view: str,
        picture: str | None,
        question: str,
        puzzle: Problem | None,
        text: str,
        reward: str,
        old: Scored | None,
        request: gr.Request,
    ) -> list[Any]:
        """`[bench, table, status]` with one more picture: as it is, blank or another. Raises UserError in the visitor's words."""
        asked = [picture, question, text, reward]
        columns = list(old["columns"]) if old and old["asked"] == asked else []
        prompt = read_prompt(picture, question)
        chain, problem = read_chain(text), truth_of(prompt, puzzle)
        for name in [view] if columns or view == VIEWS[0] else [VIEWS[0], view]:
            shown = viewed(prompt.image, name, problem)
            run = await self._scored(Prompt(prompt.question, shown), pieces(chain), reward, problem if name == VIEWS[0] else None, request)
            scores = [node.reward for node in run.traces[0].nodes[1 : 1 + len(pieces(chain))]]
            if len(scores) < len(pieces(chain)) or None in scores:
                raise UserError(run.problem or run.traces[0].ended_why or "It was not scored.")
            small = shown.copy()
            small.thumbnail((220, 220))
            columns = [column for column in columns if column[0] != name] + [(name, results.address(small), scores)]
        steps = [(step.name, step.thought) for step in chain.steps] + ([] if chain.answer is None else [("Answer", chain.answer)])
        truths: list[float | None] | None = None
        if problem is not None:
            truths = [check(problem, step).label for step in chain.steps]
            truths += [] if chain.answer is None else [float(grade(problem, chain.answer).right)]
        told = f"{len(steps)} pieces scored by {reward} with {len(columns)} {'picture' if len(columns) == 1 else 'pictures'}"
        return [{"asked": asked, "columns": columns}, render.bench(steps, columns, truths), render.status(told)]

    async def _scored(self, prompt: Prompt, given: list[str], reward: str, truth: Problem | None, request: gr.Request) -> Run:
        """A run that only scores what is given, when it has ended; it stands in the line as any other."""
        settings = read_settings(1, 1, 0.0, 0, max_steps=LIMITS.steps)
        host = parts.host(request)
        run = await asyncio.to_thread(self.session.ask, host, prompt, ["sample"], [settings], "scripted", reward, truth, given)
        while not run.done.is_set():
            run.seen = time.monotonic()
            await asyncio.sleep(0.05)
        return run


def puzzle_of(world: str, wrong: bool) -> list[Any]:
    """A new puzzle with a chain for it: `[picture, question, puzzle, chain]`."""
    problem = new_puzzle(world, 2)
    return [results.draw(problem), problem.question, problem, example(problem, wrong=wrong)]


def page(session: Session, demo: gr.Blocks) -> None:
    """Lay out the page and connect it; to be called inside its route."""
    do = Handlers(session)
    first, shown = examples()[0]
    puzzle, bench = gr.State(first), gr.State(None)
    with gr.Row(elem_id="bench"):
        with gr.Column(elem_id="controls", min_width=280):
            picture = parts.picture_input(shown)
            question = gr.Textbox(first.question, label="Question", lines=1, max_lines=4, max_length=LIMITS.question, elem_id="question")
            with gr.Row():
                worlds = [name for name in WORLDS if name != "refusals"]
                world = gr.Dropdown(worlds, value=WORLDS[0], show_label=False, container=False, label="World", min_width=80)
                right = gr.Button("Right chain", size="sm", min_width=70, elem_id="right-chain")
                wrong = gr.Button("Wrong chain", size="sm", min_width=70, elem_id="wrong-chain")
            reward = gr.Dropdown(list(session.rewards), value=session.rewards[0], label="Reward model", elem_id="reward")
        with gr.Column(elem_id="results", min_width=280):
            text = gr.Textbox(
                example(first),
                label="Chain, a step a line: NAME: THOUGHT | REFLECTION, the answer last; or marked text, or JSON",
                lines=5,
                max_lines=16,
                max_length=LIMITS.steps * LIMITS.field,
                elem_id="chain-text",
            )
            with gr.Row(elem_id="bar"):
                names = ("Score", "Blank picture", "Swap picture")
                buttons = [gr.Button(name, variant="primary" if not at else "secondary", min_width=110) for at, name in enumerate(names)]
            status = parts.html(render.status("Score a chain; then blank or swap the picture and see what moves."), "status")
            rows = parts.html("", "rows")
            name = gr.Dropdown([NONE], value="", label="Report card", elem_id="card")
            upload = gr.File(label="or its card.json", file_types=[".json"], height=120, elem_id="card-file")
            findings = parts.html(render.status(NO_CARD), "findings")
            with gr.Row():
                reliability, groups = (
                    gr.Plot(show_label=False, min_width=300, visible=False, elem_id=id) for id in ("reliability", "groups")
                )
            figure = gr.Dropdown([NONE], value="", label="Further figures", elem_id="figure")
            plot = gr.Plot(show_label=False, visible=False, elem_id="card-figure")
    card = [findings, figure, plot, reliability, groups]
    demo.load(do.start, None, [name, *card], **QUIET)
    for control in (name, figure):
        control.input(plainly(do.card), [name, upload, figure], card, **QUIET)
    for changed in (upload.upload, upload.clear):
        changed(plainly(do.card), [name, upload, figure], card, **QUIET)
    if session.may_load:
        demo.load(lambda: gr.Dropdown(list(session.rewards)), None, reward, **QUIET)
    given = [picture, question, puzzle, text, reward, bench]
    for button, view in zip(buttons, VIEWS, strict=True):
        button.click(plainly_later(do.score), [gr.State(view), *given], [bench, rows, status], concurrency_limit=None, **QUIET)
    for button, is_wrong in ((right, False), (wrong, True)):
        button.click(_puzzles(is_wrong), [world], [picture, question, puzzle, text], **QUIET)


def _puzzles(wrong: bool) -> Any:
    return plainly(lambda world: puzzle_of(world, wrong))
