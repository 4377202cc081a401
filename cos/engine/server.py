"""An OpenAI-compatible server, asked many things at once: what fails on the way is asked again, until patience ends.

    server = Server("http://localhost:8000/v1#owner/name")
    texts = server.ask("chat/completions", bodies, lambda reply: reply["choices"][0]["message"]["content"])

Requests run on a thread of their own, so that this works wherever it is called from (a notebook has a loop of its own). Whoever is
interrupted while waiting breaks off all that is on the way: the connections close, and vLLM stops what it was writing for them. No torch.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import random
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import httpx

from cos.errors import Away, UserError

AT_ONCE = 64
"""Requests on their way at the same time: a quarter of what vLLM batches by default (`max_num_seqs`), as one may ask for several texts."""
PATIENCE = 120.0
"""Seconds from a request's first failure to giving up: about what a server of an 8B model takes to come up again. Ours."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0
"""Seconds before a request is sent again: doubled each time, and scattered, so that not all come back at once. Ours."""
TIMEOUT = httpx.Timeout(600.0, connect=10.0)
"""Seconds without a byte: what the OpenAI client waits too, as an answer that is not streamed comes when it is whole."""
KEPT = 10_000
"""Answers kept of calls that failed in part; each is some kilobytes."""
KEY = "COS_SERVER_KEY"
"""Environment variable with the server's key, where it asks for one (`vllm serve --api-key`)."""
_AGAIN = {408, 409, 425, 429}
_GONE = (httpx.ConnectError, httpx.ConnectTimeout)
_log = logging.getLogger(__name__)
T = TypeVar("T")


class Refused(UserError):
    """The server has understood the request and won't do it; asking again would not help."""


class Server:
    """One model of a server. May be used from any thread. `longest`: tokens of prompt and answer together, None where it does not say."""

    def __init__(self, name: str, *, patience: float = PATIENCE, first_wait: float = FIRST_WAIT) -> None:
        """`name`: `http://host:port/v1#model`; without `#model` the only one that is served. Raises UserError where no server answers, or
        it has no such model."""
        self.url, _, model = name.partition("#")
        self.url = self.url.rstrip("/")
        self.patience, self.first_wait = patience, first_wait
        self._checked = self.url.startswith("https://")  # loading certificates takes a second, for nothing without TLS
        self._headers = {"Authorization": f"Bearer {os.environ[KEY]}"} if os.environ.get(KEY) else {}
        self.model, self.longest = self._choose(model)
        self.name = f"{self.url}#{self.model}"
        self._kept: dict[bytes, Any] = {}
        self._places = asyncio.Semaphore(AT_ONCE)
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        self._client = httpx.AsyncClient(timeout=TIMEOUT, limits=limits, headers=self._headers, verify=self._checked)
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_serve, args=(self._loop, self._client), name="cos-server", daemon=True)
        thread.start()
        self.close = weakref.finalize(self, _end, self._loop, thread)
        """Ends its thread and closes its lines; called by itself when nobody holds the server any more."""

    def ask(self, path: str, bodies: Sequence[dict[str, Any]], read: Callable[[Any], T]) -> list[T]:
        """POST every body to `path` (below the address; from the root with "/") and give what `read` makes of each answer, in order.

        Lines that break, servers that are busy or away, and answers that `read` can't read (it raises ValueError, LookupError or
        TypeError) are asked for again. Raises Refused where the server won't, and UserError when patience has ended; what has come
        by then is kept, and is not asked for again when the same is wanted once more.
        """
        future = asyncio.run_coroutine_threadsafe(self._all(path, bodies, read), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def tokens(self, texts: Sequence[str]) -> list[list[int]] | None:
        """The ids of each text, marks read as marks; None where the server has no `/tokenize` (vLLM has)."""
        bodies = [{"model": self.model, "prompt": text, "add_special_tokens": False} for text in texts]
        try:
            return self.ask("/tokenize", bodies, lambda reply: [int(token) for token in reply["tokens"]])
        except Refused:
            return None

    def _choose(self, model: str) -> tuple[str, int | None]:
        """The model's name as it is served, and how many tokens it reads at most."""
        try:
            reply = httpx.get(f"{self.url}/models", headers=self._headers, timeout=10.0, verify=self._checked)
        except (httpx.RequestError, httpx.InvalidURL) as problem:
            raise UserError(f"{self.url}: no server answers there ({_said(problem)}); start it, or mend the address") from None
        if reply.status_code in (401, 403):
            raise UserError(f"{self.url}: the server asks for a key; put the right one into the environment variable {KEY}")
        try:
            served = {str(row["id"]): row.get("max_model_len") for row in reply.raise_for_status().json()["data"]}
        except (httpx.HTTPStatusError, ValueError, LookupError, TypeError, AttributeError):
            raise UserError(
                f"{self.url}: no OpenAI-compatible server ({self.url}/models gives no list of models); the address mostly ends in /v1"
            ) from None
        if model not in served and (model or len(served) != 1):
            raise UserError(f"{self.url}: no model {model!r} there; write {self.url}#MODEL, where it serves {', '.join(served)}")
        model = model or next(iter(served))
        longest = served[model]
        return model, longest if isinstance(longest, int) else None

    async def _all(self, path: str, bodies: Sequence[dict[str, Any]], read: Callable[[Any], T]) -> list[T]:
        sent = [json.dumps(body).encode() for body in bodies]
        keys = [hashlib.blake2b(path.encode() + body, digest_size=16).digest() for body in sent]
        done: dict[int, Any] = {i: self._kept.pop(key) for i, key in enumerate(keys) if key in self._kept}
        waiting = [i for i in range(len(keys)) if i not in done]
        answers = await asyncio.gather(*(self._one(path, sent[i], read) for i in waiting), return_exceptions=True)
        done |= dict(zip(waiting, answers, strict=True))
        problem = next((answer for answer in answers if isinstance(answer, BaseException)), None)
        if problem is None:
            return [done[i] for i in range(len(bodies))]
        self._kept |= {keys[i]: answer for i, answer in done.items() if not isinstance(answer, BaseException)}
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        raise problem

    async def _one(self, path: str, body: bytes, read: Callable[[Any], T]) -> T:
        url = self.url.removesuffix("/v1") + path if path.startswith("/") else f"{self.url}/{path}"
        clock = asyncio.get_running_loop().time
        first, wait = 0.0, self.first_wait
        async with self._places:
            while True:
                try:
                    reply = await self._client.post(url, content=body, headers={"Content-Type": "application/json"})
                    if reply.status_code < 400:
                        return read(reply.json())
                    if reply.status_code < 500 and reply.status_code not in _AGAIN:
                        raise Refused(f"{self.url}: the server refused a request to {path} ({reply.status_code}: {_message(reply)})")
                    problem, kind = f"status {reply.status_code}", UserError
                except httpx.RequestError as caught:
                    problem, kind = _said(caught), Away if isinstance(caught, _GONE) else UserError
                except (ValueError, LookupError, TypeError, AttributeError) as caught:
                    problem, kind = f"an answer that is not as the API has it ({type(caught).__name__}: {caught})", UserError
                first = first or clock()
                if clock() - first + wait > self.patience:
                    raise kind(f"{self.url}: the server has failed for {self.patience:.0f} seconds ({problem}); look after it, go on then")
                _log.info("%s %s: %s; again in %.1f s", self.url, path, problem, wait)
                await asyncio.sleep(wait * (0.5 + random.random()))
                wait = min(2 * wait, LONGEST_WAIT)


def _serve(loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient) -> None:
    loop.run_forever()
    loop.run_until_complete(_finish(client))
    loop.close()


async def _finish(client: httpx.AsyncClient) -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await client.aclose()


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    if threading.current_thread() is not thread:
        thread.join(5)


def _said(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]


def _message(reply: httpx.Response) -> str:
    """What the server says of a refusal, in one line."""
    try:
        said = reply.json()
        said = said.get("error", said)
        text = str(said.get("message", said) if isinstance(said, dict) else said)
    except (ValueError, AttributeError):
        text = reply.text
    return " ".join(text.split())[:300]
