"""A chain of somebody's own, to be scored: its text form, and the pictures that it may be scored with. No gradio.

One step a line, the answer last; or the marked text of a file, or JSON `{steps: [{name, thought, reflection}], answer}`:

    Read: Green is 12. | The bar ends at 12.
    Answer: 12
"""

from __future__ import annotations

import json
import random

from PIL import Image

from cos.chain import Chain, Problem, Step
from cos.errors import UserError
from cos.problems import chain as right_chain
from cos.problems import corrupt, draw
from cos.template import TemplateError, parse, pieces
from workbench.inputs import examples, new_puzzle
from workbench.limits import LIMITS

VIEWS = ("as it is", "blank", "another")
"""Pictures that a chain is scored with."""


def write_chain(chain: Chain) -> str:
    """The chain a line a step; a field that has a line break or a bar of its own makes it JSON."""
    texts = [text for step in chain.steps for text in (step.name, step.thought, step.reflection)] + [chain.answer or ""]
    if any("\n" in text or "|" in text or text != text.strip() for text in texts) or any(":" in step.name for step in chain.steps):
        return json.dumps(chain.to_json(), ensure_ascii=False, indent=1)
    lines = [f"{step.name}: {step.thought}" + (f" | {step.reflection}" if step.reflection else "") for step in chain.steps]
    return "\n".join([*lines, *([] if chain.answer is None else [f"Answer: {chain.answer}"])])


def read_chain(text: str) -> Chain:
    """A chain from any of the three forms. Raises UserError, with the line, for text that is none."""
    text = text.strip()
    if len(text) > LIMITS.steps * LIMITS.field:
        raise UserError("This chain is too long to be scored here.")
    try:
        chain = _parsed(text)
        written = pieces(chain)
    except TemplateError as problem:
        raise UserError(f"The chain can't be read: {problem}.") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError("The chain can't be read: its JSON needs steps with name, thought and reflection, and answer.") from None
    if not 1 <= len(chain.steps) <= LIMITS.steps or any(len(piece) > 3 * LIMITS.field for piece in written):
        raise UserError(f"A chain needs 1 to {LIMITS.steps} steps, each of at most {LIMITS.field:,} characters a field.")
    return chain


def _parsed(text: str) -> Chain:
    if text.startswith("{"):
        row = json.loads(text)
        return Chain.from_json(row if "steps" in row else {"steps": row["reasoning"], "answer": row.get("extract_answer")})
    return parse(text) if "<|" in text else _lines(text)


def _lines(text: str) -> Chain:
    steps, answer = list[Step](), None
    for number, line in enumerate(text.split("\n"), 1):
        name, colon, rest = line.partition(":")
        if not line.strip():
            continue
        if answer is not None or not colon:
            raise UserError(f"Line {number}: write a step as NAME: THOUGHT | REFLECTION, and the answer last, as Answer: TEXT.")
        if name.strip().lower() == "answer":
            answer = rest.strip()
        else:
            thought, _, reflection = rest.partition("|")
            steps.append(Step(name.strip(), thought.strip(), reflection.strip()))
    return Chain(tuple(steps), answer)


def example(problem: Problem, *, wrong: bool = False) -> str:
    """A right chain of a puzzle as text, or a plausible wrong one."""
    rng = random.Random(problem.id)
    made = right_chain(problem, rng)
    return write_chain(corrupt(problem, made, rng) if wrong else made)


def viewed(picture: Image.Image, view: str, problem: Problem | None) -> Image.Image:
    """The picture as `view` says: itself, white, or that of another puzzle (of the same world, where the world is known)."""
    if view == "blank":
        return Image.new("RGB", picture.size, "white")
    if view != "another":
        return picture
    if problem is None:
        return next((image for _, image in examples() if image.tobytes() != picture.tobytes()), picture)
    return draw(new_puzzle(problem.world, problem.level or 1))
