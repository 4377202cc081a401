"""Reading what comes in: a piece becomes a node with a status, a picture a reference that a trace can keep, an open prompt its handles."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cos.errors import UserError
from cos.meter import Meter
from cos.protocols import Costs, Ending, Handle, Opened, Piece
from cos.search.asking import Settings
from cos.search.trace import Node
from cos.template import ANSWER_END, STEP_END, read_piece


@dataclass
class Held:
    """What a search holds of one model: its costs, its root, and its handle for each node."""

    costs: Costs
    handles: dict[int, Handle] = field(default_factory=dict)
    root: Handle | None = None
    prefill: int = 0
    read: int = 0
    vision: int = 0

    def open(self, opened: Opened) -> None:
        self.root = self.handles[0] = opened.handle
        self.prefill, self.vision = opened.prefill_tokens, opened.vision_calls

    @property
    def flops(self) -> float:
        return self.costs.flops_per_token * (self.prefill + self.read) + self.costs.flops_per_image * self.vision

    @property
    def kv_bytes(self) -> float:
        return self.costs.kv_bytes_per_token * (self.prefill + self.read)


def meter(policy: Held, scorer: Held, calls: int, seconds: float) -> Meter:
    """What has been read and drawn so far; `calls` pieces were scored."""
    return Meter(
        policy_prefill=policy.prefill,
        policy_decode=policy.read,
        reward_prefill=scorer.prefill,
        reward_step=scorer.read,
        vision_calls=policy.vision + scorer.vision,
        reward_calls=calls,
        flops=policy.flops + scorer.flops,
        seconds=seconds,
        kv_peak_bytes=policy.kv_bytes + scorer.kv_bytes,
    )


def read_node(parent: Node, path: tuple[int, ...], piece: Piece, id: int, round: int, settings: Settings) -> Node:
    """The new node for a piece: what it holds, and whether it ends its path."""
    parsed = read_piece(piece.text, first=parent.depth == 0)
    node = Node(id, parent.id, path, parent.depth + 1, piece.text, tokens=len(piece.tokens), logprob=piece.logprob, round=round)
    if parent.status in ("malformed", "cut", "finished"):
        node.status, node.why = "malformed", f"follows a piece that is {parent.status}"
    elif parsed.error is not None:
        node.status, node.why = "malformed", parsed.error
    elif piece.ending == "answer" and parsed.done and not parsed.steps and piece.text.endswith(ANSWER_END):
        node.status, node.answer = "finished", parsed.answer
    elif piece.ending == "step" and len(parsed.steps) == 1 and piece.text.endswith(STEP_END):
        (step,) = parsed.steps
        node.name, node.thought, node.reflection = step.name, step.thought, step.reflection
        if node.depth > settings.max_steps:
            node.status, node.why = "cut", f"{node.depth} steps and no answer, limit {settings.max_steps}"
    elif piece.ending == "cut":
        node.status, node.why = "cut", f"no end after {node.tokens} tokens, limit {settings.max_tokens}"
    else:
        node.status, node.why = "malformed", f"not one whole {piece.ending}"
    return node


def read_given(root: Node, texts: Sequence[str], tokens: Sequence[int], settings: Settings) -> list[Node]:
    """Nodes for pieces that were given, one below the other from the root on. Raises UserError for one that can't be gone on from."""
    nodes, parent = [], root
    for number, (text, count) in enumerate(zip(texts, tokens, strict=True), start=1):
        ending: Ending = "step" if text.endswith(STEP_END) else "answer" if text.endswith(ANSWER_END) else "cut"
        node = read_node(parent, (*parent.path, 0), Piece(0, text, (0,) * count, 0.0, ending), number, 0, settings)
        if node.status not in ("open", "finished"):
            raise UserError(f"piece {number} of those to go on from is no whole step or answer: {node.why}")
        if node.status == "open":
            node.status, node.why = "kept", "given"
        nodes.append(node)
        parent = node
    return nodes


def image_reference(image: Any) -> dict[str, str | None] | None:
    """Where a picture is and the SHA-256 of its file, or of its pixels where it is an image in memory; None without a picture.

    The hash is empty where there is nothing to hash: no such file, or no image.
    """
    if image is None:
        return None
    if isinstance(image, str | Path):
        path = Path(image)
        return {"path": str(image), "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""}
    pixels = f"{image.mode} {image.size} ".encode() + image.tobytes() if hasattr(image, "tobytes") else b""
    return {"path": None, "sha256": hashlib.sha256(pixels).hexdigest() if pixels else ""}
