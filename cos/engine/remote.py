"""A policy on an OpenAI-compatible server (vLLM's dialect): the server owns weights, template and tokenizer, we own the tree of text.

    policy = RemotePolicy(Server("http://localhost:8000/v1#owner/name"))      # vllm serve owner/name --max-model-len 8192

Every request holds the whole path, and the server's prefix cache makes it read only what is new: so image and question are sent once by
themselves when a prompt is opened, and many draws below one place are one request with `n`. A picture carries an id of its content, by
which vLLM knows it again. With a picture the path is a chat whose last message is gone on with; without, where the server names its
tokens, it is those tokens themselves. At temperature 0 the answers are the local engine's. Sampled ones are the server's own: each request
has a seed from the search's, but what a server batches together may change its rounding, and so its draws. No torch.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import math
import re
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from cos.engine.server import Server
from cos.errors import UserError
from cos.problems.pictures import open_picture
from cos.protocols import Costs, Draw, Ending, Handle, Opened, Piece, Prompt, Read, ToRead
from cos.template import ANSWER_END, FORMAT_TOKENS, STEP_END, TAG_TOKENS, split_markers

Turns = tuple[dict[str, Any], ...]
MASKED = (
    *("<|im_start|>", "<|start_header_id|>", "<start_of_turn>", "<img>", "</img>", "<IMG_CONTEXT>", "<image>", "<|vision_start|>"),
    *("<|image_pad|>", "<|vision_end|>", "<start_of_image>", "<image_soft_token>", "<end_of_image>", "<fake_token_around_image>"),
)
"""Chat marks and image placeholders of the families that the workbench knows, which no policy may write; the tags besides."""
_PLAIN = re.compile(r"<(?=[|/\w\uff5c][^<>\s]*>)|\[(?=/?[A-Z_]{2,}\])")
_BREAK = "\u200b"  # a blank of no width
PURE = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""Sampling as temperature and top-p alone have it: else vLLM takes the rest from the model's `generation_config.json`."""
_VLLM = {
    "skip_special_tokens": False,
    "spaces_between_special_tokens": False,
    "include_stop_str_in_output": True,
    "return_token_ids": True,
    **PURE,
}


def plain(text: str) -> str:
    """Text in which nothing is a special token any more: a server reads marks wherever they are spelled out, so that each that might be
    one (`<...>` without blanks, `[INST]`) gets a blank of no width after its first sign."""
    return _PLAIN.sub(lambda found: found.group() + _BREAK, text)


def plain_piece(text: str) -> str:
    """A piece of a chain: its format tokens stay, what stands between them is made plain."""
    return "".join(part if marker else plain(part) for part, marker in split_markers(text))


def user_turn(text: str, image: Any, *, named: bool = True) -> dict[str, Any]:
    """A message of the user, the picture (PIL image, path or None) before its text; `named`: with an id of its content, by which vLLM
    knows it again. Raises UserError for a picture that can't be read."""
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if image is not None:
        picture = image.convert("RGB") if isinstance(image, Image.Image) else open_picture(Path(image))
        file = io.BytesIO()
        picture.save(file, "PNG")
        name = {"uuid": hashlib.blake2b(repr(picture.size).encode() + picture.tobytes(), digest_size=16).hexdigest()} if named else {}
        url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
        content.insert(0, {"type": "image_url", "image_url": {"url": url}, **name})
    return {"role": "user", "content": content}


@dataclass(frozen=True)
class Place:
    """A place in a tree of text: the turns before the reply, the reply so far, its length in tokens and, where known, these (`ids`)."""

    root: Handle | None
    turns: Turns
    text: str = ""
    tokens: int = 0
    ids: tuple[int, ...] | None = None

    def chat(self, text: str = "") -> dict[str, Any]:
        """The part of a chat request that says what is gone on from: here, or `text` further on."""
        if not self.text + text:
            return {"messages": list(self.turns)}
        reply = {"role": "assistant", "content": self.text + text}
        return {"messages": [*self.turns, reply], "add_generation_prompt": False, "continue_final_message": True}


class Places:
    """The open prompts of one model of a server, and the tree below each. May be used from any thread. `dialect`: whether the server knows
    vLLM's fields."""

    def __init__(self, server: Server) -> None:
        self.server, self.at, self.dialect = server, dict[Handle, Place](), True
        self._next, self._lock = itertools.count(1), threading.Lock()

    def open(self, turns: Sequence[Turns]) -> list[Opened]:
        """Roots. Each different prompt is sent once, for one token that is thrown away: so the server has read image and question before
        many ask at the same time, and says how long they are."""
        wanted = {repr(each): each for each in turns}
        asked = {"model": self.server.model, "max_tokens": 1, "temperature": 0} | (_VLLM if self.dialect else {})
        bodies = [{**asked, "messages": list(each)} for each in wanted.values()]
        sizes = dict(zip(wanted, self.server.ask("chat/completions", bodies, _size), strict=True))
        opened = []
        for each in turns:
            tokens, ids = sizes[repr(each)]
            shown = any(part["type"] == "image_url" for turn in each if isinstance(turn["content"], list) for part in turn["content"])
            opened.append(Opened(self.add(Place(None, each, "", tokens, None if shown else ids)), tokens, int(shown)))
        return opened

    def add(self, place: Place) -> Handle:
        """A handle for a new place; one that has no root is its own."""
        with self._lock:
            handle = next(self._next)
            self.at[handle] = place if place.root else replace(place, root=handle)
            return handle

    def close(self, roots: Sequence[Handle]) -> None:
        """Forget these prompts and all that hangs below them."""
        gone = set(roots)
        with self._lock:
            for handle in [handle for handle, place in self.at.items() if place.root in gone]:
                del self.at[handle]


@dataclass(frozen=True)
class Written:
    """One text that the server has written: with each token's id (0 where not named), own text and log-probability."""

    text: str
    ids: tuple[int, ...]
    said: tuple[str, ...]
    logprobs: tuple[float, ...]
    named: bool


class RemotePolicy:
    """`protocols.Policy` on a server. Log-probabilities are the server's (vLLM: at temperature 1, before masking)."""

    def __init__(self, server: Server, *, chains: bool = True) -> None:
        """With `chains` the model must have every format token as one token; UserError says where it has not (if the server tells)."""
        self.server, self.name, self.costs = server, server.name, Costs()
        self._places = Places(server)
        self.close = self._places.close
        texts = [*FORMAT_TOKENS, *MASKED, *TAG_TOKENS]
        known = server.tokens(texts)
        single = {text: ids[0] for text, ids in zip(texts, known or [], strict=False) if len(ids) == 1}
        if chains and known is not None and any(token not in single for token in FORMAT_TOKENS):
            raise UserError(f"policy {self.name}: its tokenizer lacks the format tokens, so its steps would never end; serve one with them")
        tags = TAG_TOKENS if all(token in single for token in TAG_TOKENS) else ()  # the first is a word of many tokenizers
        self._bias = {str(single[token]): -100.0 for token in (*MASKED, *tags) if token in single}  # the API's "never"

    def open(self, prompts: Sequence[Prompt]) -> list[Opened]:
        """See `protocols.Policy`. Raises UserError for a picture that can't be read."""
        return self._places.open([(user_turn(plain(prompt.question), prompt.image),) for prompt in prompts])

    def read(self, requests: Sequence[ToRead]) -> list[Read]:
        """See `protocols.Policy`. Nothing is sent but the question how many tokens these are (0 where the server does not say)."""
        texts = list(dict.fromkeys(plain_piece(text) for request in requests for text in request.pieces))
        known = self.server.tokens(texts)
        ids = dict(zip(texts, known or [[] for _ in texts], strict=True))
        found = []
        for request in requests:
            handles: list[Handle] = []
            place = self._places.at[request.parent]
            for text in map(plain_piece, request.pieces):
                place = _below(place, text, ids[text], named=known is not None)
                handles.append(self._places.add(place))
            found.append(Read(tuple(handles), tuple(len(ids[plain_piece(text)]) for text in request.pieces)))
        return found

    def draw(self, requests: Sequence[Draw]) -> list[list[Piece]]:
        """See `protocols.Policy`. A chain drawn whole is one request, cut into its pieces here."""
        groups: dict[Draw, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(replace(request, seed=0, path=()), []).append(index)
        bodies: dict[str, list[tuple[list[int], dict[str, Any]]]] = {"chat/completions": [], "completions": []}
        for members in groups.values():
            path, body = self._body(requests[members[0]], len(members))
            bodies[path].append((members, body))
        rows: list[list[Piece]] = [[] for _ in requests]
        for path, asked in bodies.items():
            read = _from_chat if path == "chat/completions" else _from_text
            for (members, body), written in zip(asked, self.server.ask(path, [body for _, body in asked], read), strict=True):
                if len(written) < body["n"]:
                    raise UserError(f"{self.name}: {body['n']} texts were asked for, {len(written)} came; the server must know `n`")
                for place, index in enumerate(members):
                    rows[index] = self._pieces(requests[index], written[place % body["n"]])
        return rows

    def _body(self, ask: Draw, count: int) -> tuple[str, dict[str, Any]]:
        """Where to ask for `count` such draws, and with what."""
        place = self._places.at[ask.parent]
        whole = ask.to == "answer" and ask.max_steps > 1
        most = ask.max_tokens * (ask.max_steps if whole else 1)
        if self.server.longest:
            most = max(1, min(most, self.server.longest - place.tokens - 1))
        body: dict[str, Any] = {"model": self.server.model, "max_tokens": most, "temperature": ask.temperature, "top_p": ask.top_p, **_VLLM}
        body |= {"stop": [ANSWER_END] if whole else [STEP_END, ANSWER_END], "seed": zlib.crc32(repr((ask.seed, tuple(ask.path))).encode())}
        body |= {"n": count if ask.temperature else 1}  # the likeliest text is one, and vLLM refuses to write it twice
        body |= {"logit_bias": self._bias} if self._bias else {}
        if place.ids is None:
            return "chat/completions", {**body, **place.chat(), "logprobs": True, "top_logprobs": 0}
        return "completions", {**body, "prompt": list(place.ids), "logprobs": 0}

    def _pieces(self, ask: Draw, written: Written) -> list[Piece]:
        pieces: list[Piece] = []
        place, first = self._places.at[ask.parent], 0
        texts = re.findall(rf".*?{re.escape(STEP_END)}|.+?{re.escape(ANSWER_END)}|.+\Z", written.text, re.DOTALL) or [""]
        counts = [*_counts(written.said), *[0] * len(texts)]  # none where the server has not named its tokens
        for text, count in zip(texts[: ask.max_steps if ask.to == "answer" else 1], counts, strict=False):
            ending: Ending = "step" if text.endswith(STEP_END) else "answer" if text.endswith(ANSWER_END) else "cut"
            if count > ask.max_tokens:
                count, ending = ask.max_tokens, "cut"
                text = "".join(written.said[first : first + count])
            ids, logprobs = written.ids[first : first + count], written.logprobs[first : first + count]
            place, first = _below(place, plain_piece(text), ids, named=written.named), first + count
            pieces.append(Piece(self._places.add(place), text, ids, float(sum(logprobs)), ending))
            if ending != "step":
                break
        return pieces


def _below(place: Place, text: str, ids: Sequence[int], *, named: bool) -> Place:
    known = (*place.ids, *ids) if named and place.ids is not None else None
    return replace(place, text=place.text + text, tokens=place.tokens + len(ids), ids=known)


def _counts(said: Sequence[str]) -> list[int]:
    """How many tokens each piece has, by the tokens' own texts."""
    counts, open_text = [0], ""
    for token in said:
        counts[-1] += 1
        open_text = open_text[-len(STEP_END) :] + token
        if STEP_END in open_text:
            counts.append(0)
            open_text = ""
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


def _size(reply: Any) -> tuple[int, tuple[int, ...] | None]:
    """Tokens of a prompt: how many, and which where the server tells."""
    ids = reply.get("prompt_token_ids")
    return int(reply["usage"]["prompt_tokens"]), None if ids is None else tuple(map(int, ids))


def _from_chat(reply: Any) -> list[Written]:
    found = []
    for choice in sorted(reply["choices"], key=lambda choice: int(choice["index"])):
        entries = (choice.get("logprobs") or {}).get("content") or []
        said, logprobs = [str(entry["token"]) for entry in entries], [float(entry["logprob"]) for entry in entries]
        found.append(_written(choice, choice["message"]["content"] or "", said, logprobs))
    return found


def _from_text(reply: Any) -> list[Written]:
    found = []
    for choice in sorted(reply["choices"], key=lambda choice: int(choice["index"])):
        entries = choice.get("logprobs") or {"tokens": [], "token_logprobs": []}
        found.append(_written(choice, choice["text"], entries["tokens"], entries["token_logprobs"]))
    return found


def _written(choice: Any, text: str, said: Sequence[str], logprobs: Sequence[float]) -> Written:
    """Raises ValueError where tokens and log-probabilities are not as many, or one is no number."""
    ids, stop = choice.get("token_ids"), choice.get("stop_reason")
    if isinstance(stop, str) and not text.endswith(stop):
        text += stop  # a server that does not know include_stop_str_in_output
    numbers = tuple(map(int, ids)) if ids is not None else (0,) * len(said)
    if not len(said) == len(logprobs) == len(numbers) or not all(map(math.isfinite, logprobs)):
        raise ValueError(f"{len(numbers)} tokens, {len(said)} texts and {len(logprobs)} log-probabilities")
    return Written(text, numbers, tuple(said), tuple(map(float, logprobs)), ids is not None)
