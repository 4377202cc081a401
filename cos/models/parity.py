"""Whether a converted model gives the reference implementation's numbers: rewards at tags, log-probabilities, greedy tokens.

The reference's file is one JSON object: `image` (beside the file), `question`, `steps` [{step_name, step_thought, step_reflection}],
`answer`, and what is to come out, each compared where the file has it (`BOUNDS`). Plain forwards over the whole text, no cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cos.chain import Chain, Step
from cos.errors import UserError
from cos.models.encode import Turn
from cos.models.internvl_config import read_json
from cos.models.vlm import VLM
from cos.template import TAG_TOKENS, pieces

BOUNDS = {
    "prompt_tokens": 0.0,
    "response_tokens_incl_end": 0.0,
    "prm_scores_steps_then_answer": 1e-3,
    "first_10_logprobs": 2e-3,
    "response_logprob_sum": 0.05,
    "greedy_first_12_token_ids": 0.0,
}
"""What is compared -> the largest difference allowed, in float32: those that were set with the reference's numbers."""


@torch.no_grad()
def compare(vlm: VLM, file: Path) -> dict[str, float]:
    """What was compared -> the largest absolute difference. Raises UserError where one is over its bound, or the file is no such file."""
    expected = read_json(file)
    try:
        found = _numbers(vlm, expected, file.parent)
        wanted = {key: torch.tensor(expected[key], dtype=torch.float64).flatten() for key in BOUNDS if key in expected and key in found}
    except (KeyError, TypeError, ValueError) as problem:
        raise UserError(f"{file}: not the reference's numbers ({problem}); see docs/formats.md") from None
    if not wanted:
        raise UserError(f"{file}: holds nothing to compare; {', '.join(BOUNDS)} can be")
    differences = {}
    for key, numbers in wanted.items():
        same_count = numbers.shape == found[key].shape
        differences[key] = float((numbers - found[key]).abs().max()) if same_count else float("inf")
        if differences[key] > BOUNDS[key]:
            raise UserError(
                f"{file}: the converted model gives other numbers, {key} differs by {differences[key]:.3g} (allowed {BOUNDS[key]:g})"
            )
    return differences


def _numbers(vlm: VLM, expected: dict[str, Any], folder: Path) -> dict[str, torch.Tensor]:
    """Name -> the model's own numbers (count,), float64."""
    encoder = vlm.encoder
    chain = pieces(Chain(tuple(Step.from_json(step) for step in expected["steps"]), expected["answer"]))
    pixels = encoder.pixels(folder / expected["image"])
    prompt = encoder.conversation([Turn("user", expected["question"], image=True)], pixels.stand_in, reply=True).ids
    reply = tuple(token for piece in chain for token in encoder.piece(piece))
    turns = [Turn("user", expected["question"], image=True), Turn("assistant", reply)]
    response = encoder.conversation(turns, pixels.stand_in).ids[len(prompt) :]  # up to the line break after the turn's end

    def logits(ids: list[int]) -> torch.Tensor:
        out: torch.Tensor = vlm.model(**vlm.arguments(torch.tensor([ids]), pixels.inputs)).logits[0]
        return out.double()

    chances = torch.log_softmax(logits(prompt + response)[len(prompt) - 1 : -1], -1)
    said = chances.gather(1, torch.tensor(response, device=chances.device)[:, None])[:, 0].cpu()
    greedy = list(prompt)
    for _ in range(12):
        greedy.append(int(logits(greedy)[-1].argmax()))
    found = {
        "prompt_tokens": [len(prompt)],
        "response_tokens_incl_end": [len(response)],
        "first_10_logprobs": said[:10].tolist(),
        "response_logprob_sum": [float(said.sum())],
        "greedy_first_12_token_ids": greedy[len(prompt) :],
    }
    if all(token in encoder.vocabulary for token in TAG_TOKENS):
        tagged, at = list(prompt), []
        for piece in chain:
            tagged += [*encoder.piece(piece), encoder.tag_id]
            at.append(len(tagged) - 1)
        found["prm_scores_steps_then_answer"] = torch.softmax(logits(tagged)[at][:, list(encoder.label_ids)], -1)[:, 0].tolist()
    return {key: torch.tensor(numbers, dtype=torch.float64) for key, numbers in found.items()}
