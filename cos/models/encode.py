"""The only text-to-token code: sampling, scoring and training all come through here, so that they see the same tokens.

Three kinds of text are told apart. *Structure* (chat marks, the 14 format tokens) is written by this module and becomes special tokens.
*Plain text* (questions, names, thoughts, reflections, answers, descriptions) is whatever somebody wrote: special tokens spelled out in
it are encoded as ordinary characters. *Tags* are put by `Encoder.tag_id` alone and never read from text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image

from cos.models.families import Family
from cos.problems.pictures import open_picture
from cos.template import ANSWER_END, BAD, FORMAT_TOKENS, GOOD, STEP_END, TAG, TAG_TOKENS

Role = Literal["system", "user", "assistant"]

_MARK = "|".join(re.escape(token) for token in FORMAT_TOKENS)
_STRUCTURE = re.compile(rf"\n?(?:{_MARK})(?:\n(?:Answer:\n)?(?:{_MARK})|(?:{_MARK}))*")
"""A run of markers with the line breaks that the template puts between them; what is outside such runs is plain text."""


_INPUTS = {"pixel_values", "pixel_attention_mask", "image_sizes", "image_grid_thw"}
"""What models take of what image processors give; the rest counts tiles."""


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation: plain text, or ids that are there already (a chain). With `image` the picture goes before the text."""

    role: Role
    content: str | tuple[int, ...]
    image: bool = False


@dataclass(frozen=True)
class Encoded:
    """Token ids of a conversation, and for each position the index of the turn whose content it belongs to (-1: chat marks)."""

    ids: list[int]
    turn: list[int]


@dataclass(frozen=True)
class Pixels:
    """One picture as a model's processor makes it. `inputs`: what the model is given beside the ids, `pixel_values` among them;
    `stand_in`: the text that stands for the picture in the prompt."""

    inputs: dict[str, torch.Tensor]
    stand_in: str


def merge(pictures: Sequence[Pixels]) -> dict[str, torch.Tensor]:
    """The inputs of several pictures as those of one batch. Where one has fewer tiles or pixels than another, zeros fill up: the models
    that make tensors of unequal shape drop them."""
    merged = {}
    for name in pictures[0].inputs:
        parts = [picture.inputs[name] for picture in pictures]
        shape = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
        whole = parts[0].new_zeros((sum(map(len, parts)), *shape))
        for place, part in zip(whole.split([len(part) for part in parts]), parts, strict=True):
            place[(slice(None), *map(slice, part.shape[1:]))] = part
        merged[name] = whole
    return merged


class Encoder:
    """Turns conversations and pictures into what one model reads. Holds the tokenizer, the image processor and the ids that matter."""

    def __init__(self, tokenizer: Any, image_processor: Any, family: Family, image_tokens: int) -> None:
        """`image_tokens`: tokens one tile takes in the language model's sequence (0: it depends on the picture's size)."""
        self.tokenizer, self.image_processor, self.family, self.image_tokens = tokenizer, image_processor, family, image_tokens
        self._ids = lru_cache(maxsize=4096)(self._encode)  # the same few phrases come again and again
        self.vocabulary: dict[str, int] = tokenizer.get_vocab()
        self._guard()
        self._added = frozenset(tokenizer.added_tokens_decoder)
        alone, mark = self._encode("a", True, False), family.image_token
        self._prefixes = alone != self._encode("a", True, True)
        """Whether the tokenizer puts a blank before a text (SentencePiece): then a run of text that goes on must not get one."""
        self._each = self._encode(mark + "a", False, False) == (self.vocabulary[mark], *alone)
        """Whether it does so after each special token too, and not at the start alone."""
        self.image_id = self.vocabulary[family.image_token]
        self.end_id = self._turn_end()
        self.end_ids = frozenset({self.end_id, tokenizer.eos_token_id})
        """Tokens that end a text."""
        self._first = [tokenizer.bos_token_id] if tokenizer("").input_ids == [tokenizer.bos_token_id] else []
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.end_id
        added = {token.content: index for index, token in tokenizer.added_tokens_decoder.items()}
        self.turn_end_ids = frozenset(i for token, i in added.items() if token.startswith(self.decode([self.end_id])))
        """The end of a turn: `end_id`, and tokens that hold it together with the opening of the next turn."""
        self.step_end_ids = frozenset(i for token, i in added.items() if token.endswith(STEP_END))
        self.answer_end_ids = frozenset(i for token, i in added.items() if token.endswith(ANSWER_END))
        structure = {i for token, i in added.items() if _STRUCTURE.fullmatch(token)}
        special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}  # the others are text: runs of blanks, tags
        self.never_sampled = frozenset(special - structure - self.end_ids)
        """Image placeholders, padding, chat marks, the tag and its two labels: masked when a policy writes."""

    def _guard(self) -> None:
        """Tokens that mean something here are special ones, also where a tokenizer has them as words that anybody could spell out."""
        meant = (self.family.image_token, self.family.mark, *FORMAT_TOKENS, *TAG_TOKENS)
        added = {token.content: token for token in self.tokenizer.added_tokens_decoder.values()}
        words = [token for token in meant if token in added and not added[token].special]
        if words:
            self.tokenizer.add_special_tokens({"additional_special_tokens": words}, replace_extra_special_tokens=False)

    def _turn_end(self) -> int:
        """The special token that the chat template writes after a reply; where it writes none, the end of a text."""
        if self.tokenizer.chat_template is not None:
            messages = [{"role": role, "content": self.family.content(False, "\ue000")} for role in ("user", "assistant")]
            after = self.structure(self.tokenizer.apply_chat_template(messages, tokenize=False).rpartition("\ue000")[2])
            found = next((token for token in after if token in self.tokenizer.added_tokens_decoder), None)
            if found is not None:
                return found
        end: int = self.tokenizer.eos_token_id
        return end

    @property
    def tag_id(self) -> int:
        """The tag to be scored. KeyError where the tokenizer lacks the reward model's tokens."""
        return self.vocabulary[TAG]

    @property
    def label_ids(self) -> tuple[int, int]:
        """(good, bad)."""
        return self.vocabulary[GOOD], self.vocabulary[BAD]

    @property
    def knows_chains(self) -> bool:
        """Whether every format token is one token here."""
        return all(token in self.vocabulary for token in FORMAT_TOKENS)

    def _encode(self, text: str, plain: bool, goes_on: bool) -> tuple[int, ...]:
        """`goes_on`: as it is encoded after a line break, without what the tokenizer puts before a text."""
        before = self._encode("\n", plain, False) if goes_on else ()
        ids = tuple(self.tokenizer.encode("\n" * goes_on + text, add_special_tokens=False, split_special_tokens=plain))
        return ids[len(before) :] if ids[: len(before)] == before else self._encode(text, plain, False)

    def plain(self, text: str, before: Sequence[int] | None = None) -> list[int]:
        """Ordinary text: nothing in it becomes a special token. `before`: the ids that it comes after (None: a special token)."""
        return list(self._ids(text, True, self._goes_on(before))) if text else []

    def structure(self, text: str, before: Sequence[int] | None = None) -> list[int]:
        """Text of our own that may hold special tokens; `before` as in `plain`."""
        return list(self._ids(text, False, self._goes_on(before))) if text else []

    def _goes_on(self, before: Sequence[int] | None) -> bool:
        if not self._prefixes or before == []:
            return False
        return not self._each or (before is not None and before[-1] not in self._added)

    def piece(self, text: str) -> list[int]:
        """A piece of a chain (cos.template): format tokens as such, everything between them as ordinary text, a tag never."""
        ids: list[int] = []
        end = 0
        for match in _STRUCTURE.finditer(text):
            ids += self.plain(text[end : match.start()])
            ids += self.structure(match.group(), ids or None)
            end = match.end()
        return ids + self.plain(text[end:])

    def decode(self, ids: Sequence[int]) -> str:
        """Ids to text with every special token in it."""
        if self._prefixes and self._each:  # the blank before each run of text is not its own
            return "".join(self._decode(list(run)) for _, run in groupby(ids, self._added.__contains__))
        return self._decode(list(ids))

    def _decode(self, ids: list[int]) -> str:
        text: str = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def conversation(self, turns: Sequence[Turn], stand_in: str = "", *, reply: bool = False) -> Encoded:
        """A conversation by the model's own chat template. `stand_in`: of the picture (`stand_in`, `Pixels.stand_in`); `reply`: end with
        the opening of an assistant turn. Each content is encoded on its own, so no text can reach out of its place; a blank before it
        belongs to it, as words begin with theirs, and before a reply there is none, as none is there when the model is to write it."""
        marks = [f"\ue000{index}\ue001" for index in range(len(turns))]  # private-use characters: no template or user text of ours has them
        messages = [{"role": t.role, "content": self.family.content(t.image, m)} for t, m in zip(turns, marks, strict=True)]
        text: str = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=reply)
        ids: list[int] = []
        owner: list[int] = []
        for index, (turn, mark) in enumerate(zip(turns, marks, strict=True)):
            before, found, text = text.partition(mark)
            if not found:
                raise ValueError(f"the chat template dropped turn {index + 1} ({turn.role})")
            blank = " " if before.endswith(" ") and turn.role != "assistant" else ""
            before = before.rstrip(" ")
            head = self.structure(self.family.expand(before, stand_in) if turn.image else before, ids)
            ids += head
            body = self.plain(blank + turn.content, ids) if isinstance(turn.content, str) else list(turn.content)
            ids += body
            owner += [-1] * len(head) + [index] * len(body)
        tail = self.structure(text.rstrip(" ") if reply else text, ids)
        first = self._first if ids[:1] != self._first else []
        return Encoded(first + ids + tail, [-1] * len(first) + owner + [-1] * len(tail))

    def stand_in(self, height: int, width: int) -> str:
        """The text that stands in the prompt for a picture of this size, in pixels."""
        return self.family.stand_in(self.image_processor, self.image_tokens, height, width)

    def pixels(self, image: Image.Image | str | Path) -> Pixels:
        """A picture as the model's processor makes it."""
        picture = image.convert("RGB") if isinstance(image, Image.Image) else open_picture(image)
        made = self.image_processor(images=[picture], return_tensors="pt")
        inputs = {name: value for name, value in made.items() if name in _INPUTS}
        return Pixels(inputs, self.stand_in(picture.height, picture.width))

    def grid(self, picture: Pixels) -> tuple[int, int] | None:
        """Rows and columns of a picture in tokens, where the family places pictures in three dimensions."""
        if "image_grid_thw" not in picture.inputs:
            return None
        _, rows, columns = picture.inputs["image_grid_thw"][0].tolist()
        return rows // self.image_processor.merge_size, columns // self.image_processor.merge_size
