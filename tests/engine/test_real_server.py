"""A real vLLM that serves the embedded policy, where one is named (docs/servers.md): greedy it writes what the local engine writes."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from cos.engine.remote import RemotePolicy
from cos.engine.server import Server
from cos.engine.torch_engine import TorchPolicy
from cos.models import embedded
from cos.models.vlm import load
from cos.problems import draw, problems
from cos.protocols import Draw, Policy, Prompt


@pytest.mark.skipif("COS_VLLM" not in os.environ, reason="COS_VLLM names no server of the embedded policy (docs/servers.md)")
def test_greedy_chains_of_a_real_server_are_the_local_ones() -> None:
    prompts = [Prompt(problem.question, draw(problem)) for problem in problems("all:test", 9)]
    found: list[list[str]] = []
    policies: tuple[Policy, ...] = (TorchPolicy(load(embedded.path("policy"))), RemotePolicy(Server(os.environ["COS_VLLM"])))
    for policy in policies:
        ask = Draw(0, 1, (0,), temperature=0.0, max_tokens=80, max_steps=8, to="answer")
        rows = policy.draw([replace(ask, parent=root.handle) for root in policy.open(prompts)])
        found.append(["".join(piece.text for piece in row) for row in rows])
    assert found[0] == found[1]
