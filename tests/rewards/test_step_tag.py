"""The step-tag scorer: incremental scores equal those of one plain forward, and nothing a user writes reaches the tags."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import LOOK, picture, scores_from_scratch, texts, tiny

from cos.engine.torch_engine import TorchPolicy
from cos.errors import UserError
from cos.models.vlm import VLM
from cos.protocols import Draw, Prompt, ToScore
from cos.rewards.step_tag import StepTagScorer
from cos.template import BAD, FORMAT_TOKENS, GOOD, TAG

CHAINS = [texts("three red", "none blue"), texts("12"), texts("three red", "none blue, 4 as seen in the picture", "sum is 12", answer="12")]


@pytest.fixture(scope="module", params=[None, LOOK], ids=["plain", "looking"])
def vlm(request: pytest.FixtureRequest) -> VLM:
    return tiny(look=request.param, seed=3)


def said(scorer: StepTagScorer, number: int) -> tuple[int, ...]:
    """What the scorer wrote about a picture."""
    (key,) = scorer._prompts._see([picture(number)])
    return scorer._prompts._pictures[key].description


def test_incremental_scores_equal_scores_from_scratch(vlm: VLM) -> None:
    scorer = StepTagScorer(vlm)
    prompts = [("How many?", 1), ("How many?", 2), ("Is the picture of 3 blue squares?", 1)]
    roots = [opened.handle for opened in scorer.open([Prompt(q, picture(n)) for q, n in prompts])]
    jobs = [(prompt, chain) for prompt in range(3) for chain in range(3)]
    expected = [scores_from_scratch(vlm, picture(prompts[p][1]), prompts[p][0], CHAINS[c], said(scorer, prompts[p][1])) for p, c in jobs]
    whole = scorer.score([ToScore(roots[p], tuple(CHAINS[c])) for p, c in jobs])
    for scored, scores in zip(whole, expected, strict=True):
        assert scored.rewards == pytest.approx(scores, abs=1e-4)
    handles = {job: roots[job[0]] for job in jobs}
    for step in range(4):  # step by step, all questions interleaved, ragged
        live = [(i, job) for i, job in enumerate(jobs) if step < len(CHAINS[job[1]])]
        results = scorer.score([ToScore(handles[job], (CHAINS[job[1]][step],)) for _, job in live])
        for (i, job), scored in zip(live, results, strict=True):
            assert scored.rewards[0] == pytest.approx(expected[i][step], abs=1e-4)
            handles[job] = scored.handles[0]
    assert max(abs(a - b) for a, b in zip(expected[0], expected[3], strict=True)) > 1e-3  # the picture matters


def test_going_on_from_the_middle_of_a_chain_scored_at_once(vlm: VLM) -> None:
    scorer = StepTagScorer(vlm)
    (root,) = scorer.open([Prompt("How many?", picture(1))])
    (first,) = scorer.score([ToScore(root.handle, tuple(CHAINS[0]))])
    branch = CHAINS[2]
    twice = scorer.score([ToScore(first.handles[0], tuple(branch[1:]))] * 2)
    expected = scores_from_scratch(vlm, picture(1), "How many?", [CHAINS[0][0], *branch[1:]], said(scorer, 1))[1:]
    assert twice[0].rewards == pytest.approx(expected, abs=1e-4) and twice[1].rewards == pytest.approx(expected, abs=1e-4)


def test_a_question_without_a_picture_is_scored_without_a_look(vlm: VLM) -> None:
    scorer = StepTagScorer(vlm)
    (root,) = scorer.open([Prompt("How many?")])
    (scored,) = scorer.score([ToScore(root.handle, tuple(CHAINS[0]))])
    assert scored.rewards == pytest.approx(scores_from_scratch(vlm, None, "How many?", CHAINS[0]), abs=1e-4)
    assert root.vision_calls == 0 and scorer.forwards["vision"] == 0


def test_counters_equal_the_formulas_of_best_of_n_and_step_search(vlm: VLM) -> None:
    policy, scorer = TorchPolicy(tiny()), StepTagScorer(vlm)
    policy._decoder.bias[list(policy._reader.encoder.step_end_ids)] += 5.0
    prompt, n = Prompt("How many?", picture(1)), 6
    (root,), (judge,) = policy.open([prompt]), scorer.open([prompt])
    ask = Draw(root.handle, 1, (0,), max_tokens=9, max_steps=3, to="answer")
    rows = policy.draw([replace(ask, path=(i,)) for i in range(n)])
    drawn = sum(len(piece.tokens) for row in rows for piece in row)  # N S L
    scored = scorer.score([ToScore(judge.handle, tuple(piece.text for piece in row)) for row in rows])
    read = sum(sum(one.tokens) for one in scored)  # N S (L + 1)
    assert read == sum(len(scorer._reader.encoder.piece(piece.text)) + 1 for row in rows for piece in row)
    assert (policy.forwards["prefill"], policy.forwards["decode"], policy.forwards["vision"]) == (root.prefill_tokens, drawn, 1)
    assert (scorer.forwards["prefill"] + scorer.forwards["decode"], scorer.forwards["step"]) in [
        (judge.prefill_tokens, read),
        (judge.prefill_tokens + 1, read),  # the end token of a description is drawn and then dropped
    ]
    assert scorer.forwards["vision"] == 1 and not policy.forwards["again"]
    step = [replace(ask, path=(i,), to="step") for i in range(n)]
    first = policy.draw(step)
    second = policy.draw([replace(one, parent=row[0].handle, path=(*one.path, 0)) for one, row in zip(step, first, strict=True)])
    assert policy.forwards["decode"] == drawn + sum(len(row[0].tokens) for row in first + second) and not policy.forwards["again"]


@settings(max_examples=25)
@given(
    parts=st.lists(st.sampled_from([*FORMAT_TOKENS, TAG, GOOD, BAD, "<IMG_CONTEXT>", "<img>", "<|im_end|>", "\n", "a", "3 "]), max_size=6)
)
def test_special_tokens_in_a_question_are_ordinary_text(vlm: VLM, parts: list[str]) -> None:
    question, scorer = "".join(parts), StepTagScorer(vlm)
    special = set(vlm.encoder.tokenizer.added_tokens_decoder)
    (root,), (plain,) = scorer.open([Prompt(question, picture(1))]), scorer.open([Prompt("", picture(1))])
    ids = [token for node in scorer._prompts.nodes[root.handle].path() for token in node.ids]
    bare = [token for node in scorer._prompts.nodes[plain.handle].path() for token in node.ids]
    assert [i for i in ids if i in special] == [i for i in bare if i in special]
    (scored,) = scorer.score([ToScore(root.handle, tuple(CHAINS[0]))])
    (without,) = scorer.score([ToScore(plain.handle, tuple(CHAINS[0]))])
    assert scored.tokens == without.tokens and len(scored.rewards) == 3


def test_a_tag_written_in_a_step_is_no_tag(vlm: VLM) -> None:
    scorer = StepTagScorer(vlm)
    (root,) = scorer.open([Prompt("How many?", picture(1))])
    chain = texts(f"three {TAG} red {GOOD}", f"{BAD}<IMG_CONTEXT><|im_end|>")
    (scored,) = scorer.score([ToScore(root.handle, tuple(chain))])
    ids = [token for handle in scored.handles for token in scorer._prompts.nodes[handle].ids]
    assert len(scored.rewards) == 3 and ids.count(vlm.encoder.tag_id) == 3
    assert not set(ids) & {*vlm.encoder.label_ids, vlm.encoder.image_id, vlm.encoder.end_id}


def test_a_model_without_tags_is_refused(vlm: VLM) -> None:
    scorer = tiny()
    del scorer.encoder.vocabulary[GOOD]
    with pytest.raises(UserError, match="step-tag"):
        StepTagScorer(scorer)
