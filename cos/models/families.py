"""What differs between families of vision-language models, a few lines each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cos.errors import UserError


@dataclass(frozen=True)
class Family:
    """How one family writes a picture into its prompt."""

    name: str
    image_token: str
    before: str = ""
    after: str = ""

    def content(self, image: bool, text: str) -> list[dict[str, str]]:
        """The content of a message, in the form of a chat template."""
        return [{"type": "image"}] * image + [{"type": "text", "text": text}]

    def expand(self, text: str, count: int) -> str:
        """The template's one image mark becomes `count` placeholders (none: the mark goes)."""
        if self.image_token not in text:
            return text
        return text.replace(self.image_token, self.before + self.image_token * count + self.after if count else "", 1)


INTERNVL = Family("internvl", "<IMG_CONTEXT>", "<img>", "</img>")
"""InternVL 2.5 and 3 (native transformers class): 256 tokens a 448 px tile, one-dimensional rotary positions, full attention."""

FAMILIES = {"internvl": INTERNVL}


def family_of(config: Any) -> Family:
    """The family of a model by its configuration's `model_type`."""
    if config.model_type not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise UserError(
            f"model family {config.model_type!r} is not supported; known: {known} (a family is one entry in cos/models/families.py)"
        )
    return FAMILIES[config.model_type]
