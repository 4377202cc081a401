"""What a judge is asked, wherever it runs, and a piece as a model reads it that knows no marks. Standard library only."""

from __future__ import annotations

from cos.template import split_markers

OPENING = "Question: {question}\n\nSomebody answers it step by step.\n"
ASKED = "\n\nIs this last step right, by the picture and by the steps before it? Answer yes or no."
"""Our own words."""


def plain_text(piece: str) -> str:
    """A piece without its marks, for a model that does not know them: name, thought and reflection (or the answer), a line each."""
    return "\n".join(text for part, marker in split_markers(piece) if not marker and (text := part.strip()))
