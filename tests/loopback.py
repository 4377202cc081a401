"""A server on the loopback that follows the documented API of vLLM (chat completions, completions, tokenize, models) as far as we use it,
with transformers' own model behind it, or a script; and the ways in which servers fail."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from PIL import Image
from serving import in_thread

from cos.models.vlm import VLM

Answer = Callable[[str, dict[str, Any]], dict[str, Any] | None]
"""(path, body) -> the reply; None: no such path."""


class Loopback(ThreadingHTTPServer):
    """`fault(number, path)`: what goes wrong with that request (from 1), "" for nothing; `seen`: paths and bodies of all POSTs."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer: Answer, port: int = 0, fault: Callable[[int, str], str] = lambda number, path: "") -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer, self.fault, self.count = answer, fault, 0
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.lock = threading.Lock()
        self.broken_off = threading.Event()

    @property
    def name(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1#m"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is no news."""


@contextmanager
def serving(answer: Answer, port: int = 0, fault: Callable[[int, str], str] = lambda number, path: "") -> Iterator[Loopback]:
    with in_thread(Loopback(answer, port, fault)) as server:
        yield server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Loopback

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": [{"id": "m", "object": "model", "max_model_len": 2048}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.count += 1
            self.server.seen.append((self.path, body))
            fault = self.server.fault(self.server.count, self.path)
        if fault == "drop":
            self.close_connection = True
        elif fault == "busy":
            self._send(503, {"error": {"message": "busy"}})
        elif fault == "malformed":
            self._send(200, {"choices": [{"index": 0, "message": None}]})
        elif fault == "no json":
            self._raw(200, b'{"choices": [')
        elif fault == "hang":
            self.connection.settimeout(20)
            if self.connection.recv(1) == b"":  # the client has closed its end
                self.server.broken_off.set()
            self.close_connection = True
        elif fault.startswith("refuse"):
            self._send(400, {"error": {"message": fault, "type": "BadRequestError", "code": 400}})
        else:
            time.sleep(0.1 if fault == "slow" else 0)
            reply = self.server.answer(self.path, body)
            self._send(404 if reply is None else 200, {"detail": "Not Found"} if reply is None else reply)

    def _send(self, status: int, reply: dict[str, Any]) -> None:
        self._raw(status, json.dumps(reply).encode())

    def _raw(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


class Served:
    """A model behind the API: template, tokenizer and a plain greedy loop over transformers' model; nothing of the engine."""

    def __init__(self, vlm: VLM) -> None:
        self.vlm, self.tokenizer, self.lock = vlm, vlm.encoder.tokenizer, threading.Lock()

    def __call__(self, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        with self.lock, torch.inference_mode():
            if path == "/tokenize":
                ids = self.tokenizer.encode(body["prompt"], add_special_tokens=body["add_special_tokens"])
                return {"tokens": ids, "count": len(ids), "max_model_len": 2048}
            if path == "/v1/chat/completions":
                return self._reply(body, *self._prompt(body), chat=True)
            return self._reply(body, body["prompt"], {}, chat=False) if path == "/v1/completions" else None

    def _prompt(self, body: dict[str, Any]) -> tuple[list[int], dict[str, torch.Tensor]]:
        messages: list[dict[str, Any]] = [dict(message) for message in body["messages"]]
        goes_on = body.get("continue_final_message", False)
        assert goes_on != body.get("add_generation_prompt", True)
        last = messages.pop()["content"] if goes_on else ""
        pixels: dict[str, torch.Tensor] = {}
        stand_in = ""
        for message in messages:
            said: Any = message["content"]
            parts: list[dict[str, Any]] = [{"type": "text", "text": said}] if isinstance(said, str) else said
            message["content"] = [{"type": "image"} if part["type"] == "image_url" else part for part in parts]
            for part in (part for part in parts if part["type"] == "image_url"):
                assert len(part["uuid"]) == 32
                image = Image.open(io.BytesIO(base64.b64decode(part["image_url"]["url"].partition(",")[2])))
                made = self.vlm.encoder.pixels(image)
                pixels, stand_in = made.inputs, made.stand_in
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        text = text.replace(self.vlm.encoder.family.image_token, stand_in) if stand_in else text
        return self.tokenizer.encode(text + last, add_special_tokens=False), pixels

    def _reply(self, body: dict[str, Any], prompt: list[int], pixels: dict[str, torch.Tensor], *, chat: bool) -> dict[str, Any]:
        assert body["temperature"] == 0 and body.get("n", 1) == 1
        drawn, chances = self._greedy(body, prompt, pixels)
        keep = not body.get("skip_special_tokens", True)
        text = self.tokenizer.decode(drawn, skip_special_tokens=not keep, clean_up_tokenization_spaces=False)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "stop_reason": None}
        if body.get("return_token_ids"):
            choice["token_ids"] = drawn
        entries = [self._entry(body, token, row) for token, row in zip(drawn, chances, strict=True)]
        if chat:
            choice |= {
                "message": {"role": "assistant", "content": text},
                "logprobs": {"content": entries} if body.get("logprobs") else None,
            }
        else:
            said = {"tokens": [entry["token"] for entry in entries], "token_logprobs": [entry["logprob"] for entry in entries]}
            choice |= {"text": text, "logprobs": said}
        reply = {"choices": [choice], "usage": {"prompt_tokens": len(prompt), "completion_tokens": len(drawn)}}
        return reply | ({"prompt_token_ids": prompt} if chat and body.get("return_token_ids") else {})

    def _entry(self, body: dict[str, Any], token: int, row: torch.Tensor) -> dict[str, Any]:
        def said(token: int) -> str:
            return f"token_id:{token}" if body.get("return_tokens_as_token_ids") else self.tokenizer.decode([token])

        listed: Sequence[int] = body.get("logprob_token_ids") or row.topk(body.get("top_logprobs") or 1).indices.tolist()
        top = [{"token": said(other), "logprob": float(row[other])} for other in listed]
        return {"token": said(token), "logprob": float(row[token]), "top_logprobs": top}

    def _greedy(self, body: dict[str, Any], prompt: list[int], pixels: dict[str, torch.Tensor]) -> tuple[list[int], list[torch.Tensor]]:
        drawn: list[int] = []
        chances: list[torch.Tensor] = []
        out = self.vlm.model(**self.vlm.arguments(torch.tensor([prompt]), pixels), use_cache=True)
        while True:
            logits = out.logits[0, -1]
            chances.append(torch.log_softmax(logits.float(), -1))
            biased = logits.clone()
            for token, bias in body.get("logit_bias", {}).items():
                biased[int(token)] += bias
            if body.get("allowed_token_ids"):
                forbidden = torch.ones_like(biased, dtype=torch.bool)
                forbidden[body["allowed_token_ids"]] = False
                biased[forbidden] = -torch.inf
            drawn.append(int(biased.argmax()))
            said = self.tokenizer.decode(drawn, skip_special_tokens=False)
            ended = drawn[-1] == self.tokenizer.eos_token_id or any(said.endswith(stop) for stop in body.get("stop", []))
            if ended or len(drawn) >= body["max_tokens"]:
                return drawn, chances
            out = self.vlm.model(input_ids=torch.tensor([drawn[-1:]]), past_key_values=out.past_key_values, use_cache=True)
