"""Losses on numbers written by hand, and against torch's own; tags where they belong, labelled by the truth."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from tiny_models import LOOK, tiny

from cos import problems
from cos.chain import Chain, Problem, Step, StepLabels
from cos.errors import UserError
from cos.models.encode import Turn
from cos.models.vlm import VLM
from cos.template import GOOD, TAG, parse, parse_tagged, render
from cos.train import judged, prm, sft
from cos.train.data import IGNORE, Example, Pictures, collate

CHAIN = Chain((Step("Read", "Red is 3.", "Seen."), Step("Sum", "3 and 4.", "So.")), "7")


@pytest.fixture(scope="module")
def vlm() -> VLM:
    return tiny(look=LOOK)


@pytest.fixture(scope="module")
def drawn() -> list[Problem]:
    return sft.drawn_problems({"all:train": 9, "refusals:train": 3}, 0)


def released_loss(logits: torch.Tensor, target: tuple[float, float]) -> float:
    """The formula of the released code for one tag, in plain floats."""
    good, bad = (float(value) for value in logits)
    s = [math.exp(good) / (math.exp(good) + math.exp(bad)), math.exp(bad) / (math.exp(good) + math.exp(bad))]
    return -sum(y * math.log(p) + (1 - y) * math.log(1 - p) for y, p in zip(target, s, strict=True))


def test_a_labelled_tag_costs_twice_its_cross_entropy() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 0.0], [-3.0, 1.0]])
    found = prm.tag_loss(logits, torch.tensor([1.0, 0.0, 0.0]))
    assert found.item() == pytest.approx(2 * F.cross_entropy(logits, torch.tensor([0, 1, 1])).item(), abs=1e-6)
    by_hand = [released_loss(row, target) for row, target in zip(logits, [(1, 0), (0, 1), (0, 1)], strict=True)]
    assert found.item() == pytest.approx(sum(by_hand) / 3, abs=1e-6)


def test_a_soft_label_lies_between_and_is_lowest_at_itself() -> None:
    for share in (0.2, 0.5, 0.9):
        logits = torch.tensor([[math.log(share), math.log(1 - share)]], requires_grad=True)
        value = prm.tag_loss(logits, torch.tensor([share]))
        assert value.item() == pytest.approx(-2 * (share * math.log(share) + (1 - share) * math.log(1 - share)), abs=1e-6)
        value.backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None and logits.grad.abs().max() < 1e-6


def test_a_tag_with_neither_label_drawn_to_half_costs_what_the_released_loss_costs() -> None:
    logits = torch.tensor([[1.5, -0.3]])
    marks = prm.half_for_none(StepLabels((None, 1.0), None))
    assert marks == StepLabels((0.5, 1.0), 0.5)
    assert prm.tag_loss(logits, torch.tensor([0.5])).item() == pytest.approx(released_loss(logits[0], (0, 0)), abs=1e-6)


def test_no_tags_cost_nothing() -> None:
    logits = torch.zeros((0, 2), requires_grad=True)
    value = prm.tag_loss(logits, torch.zeros(0))
    value.backward()  # type: ignore[no-untyped-call]
    assert value.item() == 0.0


def test_next_token_loss_is_torchs_over_the_positions_with_a_target() -> None:
    torch.manual_seed(0)
    hidden, head = torch.randn(2, 5, 8), torch.nn.Linear(8, 11, bias=False)
    targets = torch.tensor([[3, IGNORE, 7, 0, IGNORE], [IGNORE, 10, IGNORE, 2, 2]])
    value, right = sft.next_token_loss(SimpleNamespace(head=head), hidden, targets)  # type: ignore[arg-type]
    logits = head(hidden)
    assert value.item() == pytest.approx(F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE).item(), abs=1e-6)
    wanted = targets != IGNORE
    assert right == pytest.approx((logits.argmax(-1)[wanted] == targets[wanted]).float().mean().item())
    nothing, share = sft.next_token_loss(SimpleNamespace(head=head), hidden, torch.full((2, 5), IGNORE))  # type: ignore[arg-type]
    assert nothing.item() == share == 0.0


def test_the_sft_loss_is_that_of_transformers_with_shifted_labels(vlm: VLM, drawn: list[Problem]) -> None:
    config = sft.Config("x")
    rows = [sft.world_example(vlm, drawn[index], index, len(drawn), config) for index in range(3)]
    batch = collate(rows, Pictures(vlm.encoder, lambda index: problems.draw(drawn[index])), vlm.encoder.pad_id)
    value, _ = sft.loss(vlm, batch)
    labels = torch.full_like(batch.ids, IGNORE)
    labels[:, 1:] = batch.targets[:, :-1]  # transformers shifts by itself
    theirs = vlm.model(input_ids=batch.ids, **batch.inputs, labels=labels).loss
    assert value.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_hasty_chains_are_the_last_step_of_whole_ones(vlm: VLM, drawn: list[Problem]) -> None:
    def chains(hasty: float) -> list[Chain]:
        rows = [sft.world_example(vlm, problem, index, len(drawn), sft.Config("x", hasty=hasty)) for index, problem in enumerate(drawn)]
        texts = [vlm.encoder.decode([target for target in row.targets if target != IGNORE]) for row in rows]
        return [parse(text.partition("<|im_end|>")[0]) for text in texts]

    whole, cut, some = chains(0.0), chains(1.0), chains(0.5)
    assert cut == [replace(chain, steps=chain.steps[-1:]) for chain in whole] != whole
    assert all(one in (long, short) for one, long, short in zip(some, whole, cut, strict=True)) and some not in (whole, cut)
    with pytest.raises(UserError, match="hasty is 60; a share between 0 and 1"):
        sft.Config("x", hasty=60)


def test_padding_changes_nothing(vlm: VLM, drawn: list[Problem]) -> None:
    config = sft.Config("x")
    pictures = Pictures(vlm.encoder, lambda index: problems.draw(drawn[index]))
    rows = [sft.world_example(vlm, drawn[index], index, len(drawn), config) for index in range(2)]
    assert len(rows[0].ids) != len(rows[1].ids)
    together = sft.hidden_states(vlm, collate(rows, pictures, vlm.encoder.pad_id))
    for number, row in enumerate(rows):
        alone = sft.hidden_states(vlm, collate([row], pictures, vlm.encoder.pad_id))
        torch.testing.assert_close(together[number, : len(row.ids)], alone[0], atol=1e-4, rtol=1e-4)


def labelled(vlm: VLM, marks: StepLabels) -> Example:
    """A row without a picture."""
    return judged.labelled_example(vlm.encoder, [Turn("user", "How many?")], CHAIN, marks, 0, "")


def test_tags_stand_after_each_piece_and_only_labelled_ones_count(vlm: VLM) -> None:
    encoder = vlm.encoder
    row = labelled(vlm, StepLabels((1.0, None), 0.0))
    places = [at for at, token in enumerate(row.ids) if token == encoder.tag_id]
    assert len(places) == 3 and row.tags == ((places[0], 1.0), (places[2], 0.0))
    text = encoder.decode(row.ids)
    assert text == f"<|im_start|>user\nHow many?<|im_end|>\n<|im_start|>assistant\n{render(CHAIN, [TAG] * 3)}<|im_end|>\n"
    assert parse_tagged(text.split("assistant\n")[1].removesuffix("<|im_end|>\n")) == (CHAIN, (TAG,) * 3)


def test_words_are_learned_in_right_pieces_alone(vlm: VLM) -> None:
    encoder = vlm.encoder
    row = labelled(vlm, StepLabels((1.0, 0.0), None))
    said = encoder.decode([target for target in row.targets if target != IGNORE])
    assert said == render(Chain(CHAIN.steps[:1]))
    both = labelled(vlm, StepLabels((1.0, 1.0), 1.0))
    assert encoder.decode([target for target in both.targets if target != IGNORE]) == render(CHAIN)
    assert encoder.tag_id not in both.targets  # never learns to write a tag


def test_no_gradient_comes_from_tags_without_a_label(vlm: VLM) -> None:
    row = labelled(vlm, StepLabels((1.0, None), None))
    batch = collate([row], Pictures(vlm.encoder, lambda index: None), vlm.encoder.pad_id)
    kept: list[torch.Tensor] = []
    original = sft.hidden_states

    def watched(model: VLM, given: object) -> torch.Tensor:
        hidden = original(model, given)  # type: ignore[arg-type]
        hidden.retain_grad()
        kept.append(hidden)
        return hidden

    prm.hidden_states = watched  # type: ignore[attr-defined]
    try:
        value, numbers = prm.loss(0.0)(vlm, batch)
        value.backward()  # type: ignore[no-untyped-call]
    finally:
        prm.hidden_states = original  # type: ignore[attr-defined]
        vlm.model.zero_grad()
    assert kept[0].grad is not None
    moved = kept[0].grad[0].abs().sum(-1).nonzero()[:, 0].tolist()
    assert moved == [row.tags[0][0]]
    assert numbers["good"] == 1.0 and numbers["right"] in (0.0, 1.0)


def test_the_tag_loss_reads_the_logits_at_the_tag(vlm: VLM) -> None:
    row = labelled(vlm, StepLabels((1.0, 0.0), 1.0))
    batch = collate([row], Pictures(vlm.encoder, lambda index: None), vlm.encoder.pad_id)
    value, numbers = prm.loss(0.0)(vlm, batch)
    logits = vlm.model(input_ids=torch.tensor([row.ids])).logits[0, [at for at, _ in row.tags]][:, list(vlm.encoder.label_ids)]
    assert value.item() == pytest.approx(2 * F.cross_entropy(logits, torch.tensor([0, 1, 0])).item(), rel=1e-4)
    assert numbers["good"] == pytest.approx(2 / 3)
    assert vlm.encoder.decode([vlm.encoder.label_ids[0]]) == GOOD


def test_labels_of_the_worlds_are_the_checkers(vlm: VLM, drawn: list[Problem]) -> None:
    """Whatever chain is shown with whatever picture: the tags say what `problems.check` says of that picture."""
    config = prm.Config("x", mix=prm.Mix(wrong=0.4, swapped=0.4))
    wrong = swapped = 0
    for index in range(60):
        row = prm.world_example(vlm, drawn, index, {}, config)
        text = vlm.encoder.decode(row.ids)
        chain, _ = parse_tagged(text.rpartition("assistant\n")[2].removesuffix("<|im_end|>\n"))
        own, shown = drawn[index % len(drawn)], drawn[row.picture]
        assert problems.describe(shown) in text and own.question in text
        asked = own if shown is own else Problem(own.id, own.question, world=own.world, truth={**shown.truth, "ask": own.truth["ask"]})
        places = [at for at, token in enumerate(row.ids) if token == vlm.encoder.tag_id]
        given = dict(row.tags)
        for place, step in zip(places, chain.steps, strict=False):
            assert given.get(place) == problems.check(asked, step).label
        answer = None if shown is not own else float(chain.answer == own.answer)
        assert given.get(places[-1]) == answer or answer == 0.0
        swapped += shown is not own
        wrong += 0.0 in given.values()
    assert swapped > 10 and wrong > 10


def test_right_chains_have_no_bad_label(vlm: VLM, drawn: list[Problem]) -> None:
    config = prm.Config("x", mix=prm.Mix(wrong=0.0, swapped=0.0))
    for index in range(24):
        targets = [target for _, target in prm.world_example(vlm, drawn, index, {}, config).tags]
        assert targets and set(targets) == {1.0}


def test_chains_of_the_pool_are_used_and_judged(vlm: VLM, drawn: list[Problem]) -> None:
    wrong = problems.corrupt(drawn[0], problems.chain(drawn[0], random.Random(0)), random.Random(5))
    config = prm.Config("x", mix=prm.Mix(wrong=0.0, sampled=1.0, swapped=0.0))
    row = prm.world_example(vlm, drawn, 0, {drawn[0].id: [wrong]}, config)
    assert render(wrong, [TAG] * (len(wrong.steps) + 1)) in vlm.encoder.decode(row.ids)
    marks = judged.labels(drawn[0], wrong)
    assert [target for _, target in row.tags] == [label for label in (*marks.steps, marks.answer) if label is not None]


def test_hints_say_from_which_word_on_a_step_is_wrong(vlm: VLM) -> None:
    wrong = Chain((Step("Read", "Red is 4.", "Seen."), CHAIN.steps[1]), "7")
    example = judged.labelled_example(vlm.encoder, [Turn("user", "How many?")], wrong, StepLabels((0.0, 1.0), 1.0), 0, "", CHAIN)
    bad = [example.ids[at] for at, hint in example.hints if hint == 0.0]
    text = vlm.encoder.decode(bad)
    assert "4" in text and "Seen" in text and "Read" not in text and "Red" not in text
    good = vlm.encoder.decode([example.ids[at] for at, hint in example.hints if hint == 1.0])
    assert "3 and 4" in good and "7" in good
    assert judged.labelled_example(vlm.encoder, [Turn("user", "How many?")], wrong, StepLabels((0.0, 1.0), 1.0), 0, "").hints == ()


def test_a_wrong_step_that_follows_no_right_one_gets_no_hints(vlm: VLM) -> None:
    other = Chain((Step("Elsewhere", "Nothing of the kind.", "No."),), "7")
    example = judged.labelled_example(vlm.encoder, [Turn("user", "How many?")], other, StepLabels((0.0,), None), 0, "", CHAIN)
    assert [hint for _, hint in example.hints] == []
