"""The scripted models keep the protocols' promises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cos.errors import UserError
from cos.models.scripted import ScriptedPolicy, ScriptedScorer, hidden, words
from cos.protocols import Draw, Prompt, ToRead, ToScore
from cos.template import parse, read_piece


@given(question=st.text(max_size=40), seed=st.integers(0, 9))
def test_chains_for_any_question_are_well_formed_and_have_two_to_four_steps(question: str, seed: int) -> None:
    policy, scorer = ScriptedPolicy(), ScriptedScorer()
    (root,), (judge,) = policy.open([Prompt(question)]), scorer.open([Prompt(question)])
    (drawn,) = policy.draw([Draw(root.handle, seed, (0,), to="answer", max_steps=9)])
    chain = parse("".join(piece.text for piece in drawn))
    assert 2 <= len(chain.steps) <= 4 and chain.answer is not None
    (scored,) = scorer.score([ToScore(judge.handle, tuple(piece.text for piece in drawn))])
    assert len(scored.rewards) == len(drawn) and all(0 <= reward <= 1 for reward in scored.rewards)


def test_a_chain_drawn_whole_is_the_chain_drawn_step_by_step() -> None:
    policy = ScriptedPolicy()
    (root,) = policy.open([Prompt("how many")])
    ask = Draw(root.handle, 3, (2,), max_steps=9, to="answer")
    (whole,) = policy.draw([ask])
    texts: list[str] = []
    handle, path = root.handle, ask.path
    for _ in whole:
        ((piece,),) = policy.draw([replace(ask, parent=handle, path=path, to="step")])
        texts, handle, path = [*texts, piece.text], piece.handle, (*path, 0)
    assert texts == [piece.text for piece in whole]


def test_given_pieces_are_gone_on_from_as_drawn_ones() -> None:
    policy = ScriptedPolicy()
    (root,) = policy.open([Prompt("how many")])
    (whole,) = policy.draw([Draw(root.handle, 3, (0,), max_steps=9, to="answer")])
    (read,) = policy.read([ToRead(root.handle, tuple(piece.text for piece in whole[:2]))])
    ask = Draw(read.handles[-1], 8, (1,))
    assert [piece.text for piece in policy.draw([ask])[0]] == [
        piece.text for piece in policy.draw([replace(ask, parent=whole[1].handle)])[0]
    ]
    assert read.tokens == tuple(len(piece.tokens) for piece in whole[:2])
    policy.close([root.handle])
    assert not policy.tree.places


@given(st.text())
def test_words_joined_are_the_text(text: str) -> None:
    assert "".join(words(text)) == text


def test_limits_cut_and_answers_suit_the_question() -> None:
    policy = ScriptedPolicy()
    (root,) = policy.open([Prompt("x")])
    ((piece,),) = policy.draw([Draw(root.handle, 0, (0,), max_tokens=5)])
    assert (piece.ending, len(piece.tokens)) == ("cut", 5) and read_piece(piece.text, first=True).error is None
    assert hidden(Prompt("Is it red?")) in ("yes", "no")
    assert hidden(Prompt("Which colour is it?")) in ("red", "blue", "green", "yellow", "purple", "orange")
    assert hidden(Prompt("How many?")).isdigit()
    reds = {hidden(Prompt("How many?", Image.new("RGB", (8, 8), (shade, 0, 0)))) for shade in range(0, 250, 10)}
    assert len(reds) > 3  # the picture counts


def test_a_missing_picture_is_refused_and_leaves_nothing_open() -> None:
    for model in (ScriptedPolicy(needs_image=True), ScriptedScorer(needs_image=True)):
        with pytest.raises(UserError, match="no picture"):
            model.open([Prompt("x", Image.new("RGB", (4, 4))), Prompt("y")])
        assert not model.tree.places


def test_the_hidden_value_hangs_on_the_picture_and_not_on_its_folder(tmp_path: Path) -> None:
    files = [tmp_path / name / "picture.png" for name in ("a", "b", *"cdefgh")]
    for index, file in enumerate(files):
        file.parent.mkdir()
        Image.new("RGB", (8, 8), (max(0, index - 1), 0, 0)).save(file)
    values = [hidden(Prompt("How many?", str(file))) for file in files]
    assert values[0] == values[1]  # the same picture twice
    assert len(set(values)) > 2
