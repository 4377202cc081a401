"""The plain form: its inverse, the shapes that models really write, text still arriving, and what can't be read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sloppy import CHAIN, EXACT, LOOK, SLOPPY

from cos.chain import Chain, Step
from cos.plain_form import exact, plain_pieces, read_plain
from cos.template import FORMAT_TOKENS, TemplateError


@pytest.mark.parametrize("shape", SLOPPY)
def test_chains_are_recovered_from_what_models_write(shape: str) -> None:
    text, chain = SLOPPY[shape]
    parsed = read_plain(text, ended=True)
    assert parsed.chain == chain and parsed.error is None and parsed.done


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither a step nor an answer"),
        ("I can't help with that.", "neither a step nor an answer"),
        ("<answer>4</answer>", "no step before it"),
        ("Answer: 4", "no step before it"),
        ("<step>\nName: Read\nThought: 7\n</step>", "1 steps and no answer"),
        ("Step 1: read\nStep 2: think\n<answer>", "2 steps and no answer"),
        ("<step></step><step>\n</step>", "neither a step nor an answer"),
    ],
)
def test_it_says_when_it_can_not(text: str, why: str) -> None:
    parsed = read_plain(text, ended=True)
    assert parsed.error is not None and why in parsed.error and not parsed.done
    assert read_plain(text).error is None


def test_steps_come_one_by_one_while_text_arrives() -> None:
    counts = [len(read_plain(EXACT[:cut]).steps) for cut in range(len(EXACT) + 1)]
    assert sorted(counts) == counts and set(counts) == {0, 1, 2}
    first = EXACT.index("</step>") + len("</step>")
    assert counts[first - 1 : first + 1] == [0, 1]
    assert read_plain(EXACT[: EXACT.index("tops")]).open == ("Read the bars", "Green is 7, brown is 3.", "Both")
    assert [read_plain(EXACT[:cut]).answer for cut in (len(EXACT) - 1, len(EXACT))] == [None, "4"]


def test_exact_form_is_told_from_recovered() -> None:
    assert exact(plain_pieces(CHAIN), CHAIN) and exact([text + "\n" for text in plain_pieces(CHAIN)], CHAIN)
    assert not exact(["Answer: 4"], Chain((), "4")) and not exact(["<step>"], Chain((Step("", "", ""),)))


FRAGMENTS = [
    *("<step>", "</step>", "<answer>", "</answer>", "<name>", "</thought>", "Name:", "Thought:", "**Reflection:**", "\n", "\n\n", "- "),
    *(
        "Step 1:",
        "Step 2.",
        "### Step three\n",
        "1. ",
        "2. ",
        "3) ",
        "Answer:",
        "Therefore, the answer is ",
        "**",
        "4",
        " red",
        "is",
        "\\boxed{4}",
    ),
    *list(FORMAT_TOKENS)[:2],
]
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=6), max_size=25).map("".join)


@given(TEXTS, st.booleans())
@settings(max_examples=150)
def test_any_text_is_read(text: str, ended: bool) -> None:
    parsed = read_plain(text, ended=ended)
    assert (parsed.error is None) or (ended and not parsed.done)
    assert all(step.name or step.thought or step.reflection for step in parsed.steps) and parsed.answer != ""
    if ended and parsed.done:
        assert parsed.steps and parsed.answer


@given(TEXTS, st.integers(0, 200))
@settings(max_examples=250)
def test_what_is_complete_never_changes(text: str, cut: int) -> None:
    before, after = read_plain(text[:cut]), read_plain(text)
    assert after.steps[: len(before.steps)] == before.steps
    if before.answer is not None:
        assert (after.answer, after.steps) == (before.answer, before.steps)


WORD = st.text(st.characters(codec="utf-8", exclude_characters="<>*_`$\\:："), min_size=1, max_size=30)


@given(st.lists(st.tuples(WORD, WORD, WORD), min_size=1, max_size=4), WORD)
def test_what_is_written_is_read_back_or_refused(steps: list[tuple[str, str, str]], answer: str) -> None:
    chain = Chain(tuple(Step(*step) for step in steps), answer)
    try:
        texts = plain_pieces(chain)
    except TemplateError as refusal:
        assert "can't be written as plain text" in str(refusal)
        return
    assert read_plain("".join(texts)).chain == chain == read_plain("".join(texts), ended=True).chain


def test_marks_in_a_field_are_refused() -> None:
    for field in ("a</step>b", "a\nThought: b", " a", "**a**"):
        with pytest.raises(TemplateError, match="piece 2"):
            plain_pieces(Chain((LOOK, Step("b", field, "c")), "4"))
    with pytest.raises(TemplateError, match="piece 1"):
        plain_pieces(Chain((Step("", "", ""),)))
