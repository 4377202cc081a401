"""Reading what comes in: a policy's piece becomes a node with a status, a picture becomes a reference that a trace can keep."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from cos.protocols import Piece
from cos.search.methods import Settings
from cos.search.trace import Node
from cos.template import ANSWER_END, STEP_END, read_piece


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
