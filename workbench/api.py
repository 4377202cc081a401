"""The API: three typed endpoints, for `gradio_client`, any HTTP client and, with `app.py --mcp`, as tools of MCP.

    from gradio_client import Client
    client = Client("http://127.0.0.1:7860")
    found = client.predict(image, "How many?", method="vote", n=8, api_name="/solve")     # image: a file's bytes in base64
    client.predict(found["run"], api_name="/get_trace")

They stand in the same line as the pages' runs, and have the same limits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr

from cos.chain import Chain, Step
from cos.commands.solve import result_of
from cos.errors import UserError
from cos.protocols import Prompt
from cos.template import TemplateError, pieces
from workbench import parts
from workbench.inputs import read_encoded, read_question, read_settings
from workbench.limits import LIMITS
from workbench.runs import Run
from workbench.session import Session


def add(session: Session) -> None:
    """The endpoints; to be called inside the app's blocks."""

    async def solve(
        image: str,
        question: str,
        method: str = "step_beam",
        n: int = 16,
        width: int = 4,
        seed: int = 0,
        temperature: float = 1.0,
        max_steps: int = 12,
        max_tokens: int = 256,
        policy: str = "",
        reward: str = "",
        request: gr.Request | None = None,
    ) -> dict[str, Any]:
        """Search one question about one picture. image: the bytes of a picture's file in base64. policy, reward: empty for the app's first.
        Returns what `cos solve --json` prints, with the id of the run: run, answer, steps, answer_reward, why, method, meter, seconds."""

        def ask() -> Run:
            settings = read_settings(n, width, temperature, seed, max_steps=max_steps, max_tokens=max_tokens)
            prompt = Prompt(read_question(question), read_encoded(image))
            models = policy or session.policies[0], reward or session.rewards[0]
            return session.ask(_who(request), prompt, [method], [settings], *models)

        run = await _ended(ask)
        return {"run": run.id, **result_of(run.traces[0])}

    async def score_steps(
        image: str, question: str, steps: list[dict[str, str]], answer: str = "", reward: str = "", request: gr.Request | None = None
    ) -> dict[str, Any]:
        """Rewards of a chain that is there. steps: [{name, thought, reflection}]; answer: empty where there is none.
        Returns step_scores (one a step) and answer_score (null without an answer)."""

        def ask() -> Run:
            given = _pieces(steps, answer)
            settings = read_settings(1, 1, 0.0, 0, max_steps=LIMITS.steps)
            prompt = Prompt(read_question(question), read_encoded(image))
            return session.ask(_who(request), prompt, ["sample"], [settings], "scripted", reward or session.rewards[0], given=given)

        run = await _ended(ask)
        scores = [node.reward for node in run.traces[0].nodes[1 : len(steps) + 1 + bool(answer)]]
        if len(scores) < len(steps) + bool(answer):
            raise gr.Error(run.traces[0].ended_why or "It was not scored.", print_exception=False)
        return {"run": run.id, "step_scores": scores[: len(steps)], "answer_score": scores[len(steps)] if answer else None}

    async def get_trace(run: str) -> dict[str, Any]:
        """A run by its id: what was asked, and the trace of each search (docs/schemas/trace.json)."""
        found = await asyncio.to_thread(session.archive.find, run)
        if found is None:
            raise gr.Error("There is no such run here, or no longer.", print_exception=False)
        with found.lock:
            return {"asked": found.asked.to_json(), "traces": [trace.to_json() for trace in found.traces]}

    for endpoint in (solve, score_steps, get_trace):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_limit=16)


def _who(request: gr.Request | None) -> str:
    return parts.host(request) if request is not None else ""


def _pieces(steps: list[dict[str, str]], answer: str) -> list[str]:
    """The chain as pieces. Raises UserError where it is none."""
    try:
        chain = Chain(tuple(Step.from_json(step) for step in steps), answer or None)
        texts = pieces(chain)
    except (KeyError, TypeError, AttributeError):
        raise UserError("Each step needs name, thought and reflection.") from None
    except TemplateError as problem:
        raise UserError(f"{problem}: a step can't hold the marks of a chain.") from None
    if not steps or len(steps) > LIMITS.steps or any(len(text) > 3 * LIMITS.field for text in texts):
        raise UserError(f"There must be 1 to {LIMITS.steps} steps, of at most {LIMITS.field:,} characters a field.")
    return texts


async def _ended(ask: Callable[[], Run]) -> Run:
    """The run that `ask` begins, when it has ended. Whoever waits is looking."""
    waiting: Awaitable[Run] = asyncio.to_thread(ask)
    try:
        run = await waiting
    except UserError as problem:
        raise gr.Error(str(problem), print_exception=False) from None
    while not run.done.is_set():
        run.seen = time.monotonic()
        await asyncio.sleep(0.05)
    if run.problem or run.traces[0].ended == "failed":
        raise gr.Error(run.problem or run.traces[0].ended_why, print_exception=False)
    return run
