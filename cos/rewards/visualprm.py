"""VisualPRM's form of a process reward model (arXiv 2503.10291): a conversation of one step a turn, each answered with "+" or "-".

The words are those of the released code (`PRM_SYSTEM_PROMPT`, "### Question:", "### Solution Process:"), whose soft score is the softmax
over the two answers. Every earlier step stands with a "+" after it, whatever its own score was, so that one reading serves all.
"""

from __future__ import annotations

import torch

from cos.engine.reader import Ask
from cos.errors import UserError
from cos.models.encode import Turn
from cos.models.vlm import VLM
from cos.rewards.reading import ReadingScorer, between, ends, open_turn
from cos.rewards.words import plain_text

SYSTEM = """\
You are an advanced AI assistant, designed to serve as a process supervision model. In this task, I will provide a problem statement \
followed by the first step of the solution process. For each subsequent turn, I will give you a new step in the solution. Your role is to \
assess whether the solution process is correct up to the current step.

- In the **first round**, I will input the problem and the first step of the solution process.
- In **each subsequent round**, I will provide the next step in the solution.

For each step, you should:

- Respond with **"+"** if you believe the solution process is correct up to this step.
- Respond with **"-"** if you detect any issues or errors in the process up to this step.

Please note:
- Only respond with **"+"** or **"-"**. Do not provide any additional explanations, comments, or justifications.

Your task is to verify the accuracy and correctness of each step in the given solution process."""


class VisualPRMScorer(ReadingScorer):
    """A reward is P("+") against P("-"): the solution is right *up to and with* this step, so it says less of the step than of the path.

    An answer is one more step. The picture stands before the question. Raises UserError where "+" or "-" is no single token.
    """

    def __init__(self, vlm: VLM) -> None:
        signs = [vlm.encoder.plain(sign) for sign in "+-"]
        if any(len(sign) != 1 for sign in signs) or signs[0] == signs[1]:
            raise UserError(
                f"model {vlm.name}: its tokenizer has no single tokens for + and -, so it is no reward model of VisualPRM's form"
            )
        super().__init__(vlm, f"visualprm:{vlm.name}", self._opening)
        self._signs = [signs[0][0], signs[1][0]]
        encoder = vlm.encoder
        self._reply, self._next = between(encoder, "user"), between(encoder, "assistant")

    def _opening(self, question: str, stand_in: str) -> list[int]:
        text = f"### Question:\n{question}\n\n### Solution Process:\n"
        return open_turn(self._reader.encoder, [Turn("system", SYSTEM), Turn("user", text, image=bool(stand_in))], stand_in)

    def tokens(self, text: str) -> list[int]:
        """The step, the end of its turn, a "+", and the opening of the next turn."""
        return [*self._reader.encoder.plain(plain_text(text)), *self._reply, self._signs[0], *self._next]

    def rewards(self, ask: Ask, hidden: torch.Tensor) -> tuple[float, ...]:
        """At the token before each "+"."""
        at = [end - len(self._next) - 1 for end in ends(ask)]
        two = self._reader.vlm.head.weight[self._signs]
        return tuple(torch.softmax((hidden[at] @ two.T).float(), dim=-1)[:, 0].tolist())
