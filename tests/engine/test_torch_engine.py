"""The torch policy: exact against plain forwards, deterministic by seed and path, and never outside what may be written."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_models import picture, texts, tiny

from cos.engine.torch_engine import TorchPolicy
from cos.models.encode import Pixels, Turn
from cos.models.vlm import VLM
from cos.protocols import Draw, Piece, Prompt, ToRead

ASK = Draw(0, 7, (0,), max_tokens=12, max_steps=4, to="answer")


@pytest.fixture(scope="module")
def vlm() -> VLM:
    return tiny(gain=1.0)  # little rounding: two batches differ by 1e-6 in a log-probability, so no drawn token sits on the edge


@pytest.fixture
def policy(vlm: VLM) -> TorchPolicy:
    """A policy that comes to step ends often and to answers at times."""
    policy = TorchPolicy(vlm)
    for ids, more in ((vlm.encoder.step_end_ids, 4.0), (vlm.encoder.answer_end_ids, 3.0), ({vlm.encoder.end_id}, 1.0)):
        policy._decoder.bias[list(ids)] += more
    return policy


def open_one(policy: TorchPolicy, question: str = "How many?", number: int | None = 1) -> int:
    return policy.open([Prompt(question, None if number is None else picture(number))])[0].handle


def words(rows: list[list[Piece]]) -> list[list[tuple[int, ...]]]:
    return [[piece.tokens for piece in row] for row in rows]


@torch.no_grad()
def logprob_from_scratch(policy: TorchPolicy, vlm: VLM, question: str, number: int | None, row: list[Piece]) -> list[float]:
    image = None if number is None else picture(number)
    pixels = Pixels({}, "") if image is None else vlm.encoder.pixels(image)
    prompt = vlm.encoder.conversation([Turn("user", question, image=image is not None)], pixels.stand_in, reply=True).ids
    drawn = [token for piece in row for token in piece.tokens]
    logits = vlm.model.eval()(**vlm.arguments(torch.tensor([prompt + drawn]), pixels.inputs)).logits[0, len(prompt) - 1 : -1]
    logp = torch.log_softmax(logits + policy._decoder.bias, -1)[torch.arange(len(drawn)), drawn].tolist()
    ends = np.cumsum([0] + [len(piece.tokens) for piece in row])
    return [sum(logp[a:b]) for a, b in pairwise(ends)]


def test_logprobs_equal_those_of_a_plain_forward_for_ragged_chains_of_two_pictures_and_a_text(policy: TorchPolicy, vlm: VLM) -> None:
    prompts = [("How many?", 1), ("How many?", 2), ("What is the answer, as seen in the picture?", 1), ("How many red?", None)]
    roots = policy.open([Prompt(q, None if n is None else picture(n)) for q, n in prompts])
    rows = policy.draw([replace(ASK, parent=roots[i % 4].handle, path=(i,)) for i in range(24)])  # interleaved
    assert len({sum(len(piece.tokens) for piece in row) for row in rows}) > 5
    assert {piece.ending for row in rows for piece in row} == {"step", "answer", "cut"}
    for i, row in enumerate(rows):
        expected = logprob_from_scratch(policy, vlm, *prompts[i % 4], row)
        assert [piece.logprob for piece in row] == pytest.approx(expected, abs=2e-4)


def test_a_chain_drawn_whole_is_the_chain_drawn_step_by_step(policy: TorchPolicy) -> None:
    root = open_one(policy)
    whole = policy.draw([replace(ASK, parent=root, path=(i,)) for i in range(12)])
    assert max(len(row) for row in whole) == 4
    for i, row in enumerate(whole):
        parent: int = root
        path: tuple[int, ...] = (i,)
        for piece in row:
            ((step,),) = policy.draw([replace(ASK, parent=parent, path=path, to="step")])
            assert (step.tokens, step.ending, step.text) == (piece.tokens, piece.ending, piece.text)
            assert step.logprob == pytest.approx(piece.logprob, abs=1e-3)
            parent, path = step.handle, (*path, 0)


def test_going_on_from_inside_a_whole_chain_is_going_on_from_its_steps(policy: TorchPolicy) -> None:
    root = open_one(policy)
    place, row = max(enumerate(policy.draw([replace(ASK, parent=root, path=(i,)) for i in range(12)])), key=lambda pair: len(pair[1]))
    ((first,),) = policy.draw([replace(ASK, parent=root, path=(place,), to="step")])
    ((second,),) = policy.draw([replace(ASK, parent=first.handle, path=(place, 0), to="step")])
    branch = replace(ASK, seed=99)
    assert not policy.forwards["again"]
    kept, again = policy.draw([replace(branch, parent=second.handle), replace(branch, parent=row[1].handle)])
    assert words([kept]) == words([again])
    assert policy.forwards["again"] == len(row[0].tokens) + len(row[1].tokens)


def test_going_on_from_given_pieces_is_going_on_from_drawn_ones(policy: TorchPolicy) -> None:
    roots = [open_one(policy, number=number) for number in (1, 2)]
    row = texts("seen", "there are 3 red")
    one, two, _ = policy.read([ToRead(roots[0], tuple(row)), ToRead(roots[1], tuple(row[:1])), ToRead(roots[0], tuple(row[:2]))])
    assert [len(read.handles) for read in (one, two)] == [3, 1]
    assert policy.forwards["given"] == sum(one.tokens) + two.tokens[0] + sum(one.tokens[:2])
    scratch = open_one(policy, number=1)
    (first,) = policy.read([ToRead(scratch, tuple(row[:1]))])
    (second,) = policy.read([ToRead(first.handles[0], tuple(row[1:2]))])
    asks = [replace(ASK, parent=parent) for parent in (one.handles[1], second.handles[0], one.handles[0], two.handles[0])]
    together, apart, shorter, other = words(policy.draw(asks))
    assert together == apart and len({tuple(found) for found in (together, shorter, other)}) == 3


def test_what_runs_beside_a_row_changes_nothing(policy: TorchPolicy) -> None:
    roots = [open_one(policy, number=n) for n in (1, 2, 3)]
    asks = [replace(ASK, parent=roots[i % 3], path=(i,), seed=i % 2) for i in range(15)]
    together = words(policy.draw(asks))
    assert [words(policy.draw([ask]))[0] for ask in asks] == together
    assert words(policy.draw(asks[::-1]))[::-1] == together


def test_duplicate_survivors_and_equal_places_draw_the_same(policy: TorchPolicy) -> None:
    root = open_one(policy)
    ((step,),) = policy.draw([replace(ASK, parent=root, to="step", path=(3,))])
    one, two, other = policy.draw([replace(ASK, parent=step.handle, path=path) for path in ((3, 0), (3, 0), (3, 1))])
    assert words([one]) == words([two]) != words([other])


def test_temperature_nought_is_the_likeliest_token_and_top_p_keeps_few(policy: TorchPolicy) -> None:
    root = open_one(policy)
    cold = words(policy.draw([replace(ASK, parent=root, temperature=0.0, path=(i,)) for i in range(3)]))
    narrow = words(policy.draw([replace(ASK, parent=root, top_p=1e-6, path=(i,)) for i in range(3)]))
    assert cold[0] == cold[1] == cold[2] == narrow[0] == narrow[1] == narrow[2]


def test_an_end_at_the_first_token_and_all_rows_ended_at_once(policy: TorchPolicy, vlm: VLM) -> None:
    for ids, ending in (({vlm.encoder.end_id}, "cut"), (vlm.encoder.answer_end_ids, "answer"), (vlm.encoder.step_end_ids, "step")):
        policy._decoder.bias[list(ids)] += 200.0
        rows = policy.draw([replace(ASK, parent=open_one(policy), path=(i,)) for i in range(5)])
        assert all([piece.ending for piece in row] == [ending] * (4 if ending == "step" else 1) for row in rows)
        assert all(len(piece.tokens) == 1 for row in rows for piece in row)
        if ending == "step":
            assert policy.draw([replace(ASK, parent=row[-1].handle) for row in rows])
        policy._decoder.bias[list(ids)] -= 200.0


def test_limits_cut_a_piece(vlm: VLM) -> None:
    policy = TorchPolicy(vlm)
    policy._decoder.bias[list(vlm.encoder.step_end_ids | vlm.encoder.answer_end_ids | {vlm.encoder.end_id})] = -torch.inf
    ((piece,),) = policy.draw([replace(ASK, parent=open_one(policy), max_tokens=70)])  # over the spare slots of a batch
    assert (len(piece.tokens), piece.ending) == (70, "cut")


def test_pictures_and_prompts_are_read_once_and_counted(policy: TorchPolicy) -> None:
    same = [Prompt("How many?", picture(1)), Prompt("How many?", picture(1)), Prompt("How many?", picture(2)), Prompt("Other?", picture(1))]
    opened = policy.open(same)
    assert policy.forwards == {"vision": 2, "prefill": sum(o.prefill_tokens for o in opened[1:])}
    assert len({o.handle for o in opened}) == 4 and all(o.vision_calls == 1 for o in opened)
    rows = policy.draw([replace(ASK, parent=opened[0].handle, path=(i,)) for i in range(8)])
    assert policy.forwards["decode"] == sum(len(piece.tokens) for row in rows for piece in row)
    policy.close([o.handle for o in opened])
    assert not policy._prompts.nodes and not policy._prompts._prompts
    policy.open(same[:1])
    assert policy.forwards["vision"] == 2


def test_a_hot_random_model_never_writes_what_is_not_its_to_write(vlm: VLM) -> None:
    policy = TorchPolicy(vlm)
    policy._decoder.bias[[vlm.encoder.end_id, *vlm.encoder.answer_end_ids]] -= 20.0
    root = open_one(policy)
    rows = policy.draw([replace(ASK, parent=root, path=(i,), temperature=2.0, max_tokens=50) for i in range(60)])
    seen = [token for row in rows for piece in row for token in piece.tokens]
    assert len(seen) >= 2000 and not set(seen) & vlm.encoder.never_sampled
    assert vlm.encoder.image_id in vlm.encoder.never_sampled and vlm.encoder.tag_id in vlm.encoder.never_sampled


def held(policy: TorchPolicy) -> int:
    """Bytes of keys and values in nodes that are no roots."""
    nodes = {id(node): node for leaf in policy._prompts.nodes.values() for node in leaf.path()[1:]}
    return sum(node.kv.nbytes for node in nodes.values() if node.kv is not None)


def test_a_policy_with_little_room_reads_again_and_draws_the_same(policy: TorchPolicy, vlm: VLM) -> None:
    narrow = TorchPolicy(vlm, room=60 * policy._reader.layout.bytes_per_token)
    assert narrow.costs.kv_room == 60 * narrow.costs.kv_bytes_per_token
    narrow._decoder.bias = policy._decoder.bias
    found = []
    for one in (policy, narrow):
        roots, rows = [open_one(one, number=n) for n in (1, 2)], []
        step = replace(ASK, to="step", max_steps=1)
        first = one.draw([replace(step, parent=roots[i % 2], path=(i,)) for i in range(8)])
        for _ in range(2):  # breadth first, so that what is needed next was not used for longest
            first = one.draw([replace(step, parent=row[0].handle, path=(i, 0)) for i, row in enumerate(first)])
            rows += words(first)
        found.append(rows + words(one.draw([replace(ASK, parent=row[0].handle) for row in first])))
    assert found[0] == found[1]
    assert narrow.forwards["again"] > 0 == policy.forwards["again"]
    assert held(narrow) <= 60 * narrow._reader.layout.bytes_per_token < held(policy)
