"""The marked form: bytes of the released code, every truncation, malformed text."""

from __future__ import annotations

import re
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos import template
from cos.chain import Chain, Step

plain = st.text(max_size=12).filter(lambda text: not any(token in text for token in template.FORMAT_TOKENS))
steps = st.builds(Step, plain, plain, plain)
chains = st.builds(Chain, st.lists(steps, min_size=1, max_size=4).map(tuple), plain)

TWO_STEPS = (
    "<|reasoning_start|>\n<|reasoning_step_start|>\n<|reasoning_step_name_start|>A<|reasoning_step_name_end|>\n"
    "<|reasoning_step_thought_start|>B<|reasoning_step_thought_end|>\n"
    "<|reasoning_step_reflection_start|>C<|reasoning_step_reflection_end|>\n<|reasoning_step_end|>\u043a\u0438\n"
    "<|reasoning_proceed|>\n<|reasoning_step_start|>\n<|reasoning_step_name_start|>D<|reasoning_step_name_end|>\n"
    "<|reasoning_step_thought_start|>E<|reasoning_step_thought_end|>\n"
    "<|reasoning_step_reflection_start|>F<|reasoning_step_reflection_end|>\n<|reasoning_step_end|>\u043a\u0438\n"
    "<|reasoning_end|>\nAnswer:\n<|answer_start|>7<|answer_end|>\u043a\u0438"
)
CHAIN = Chain((Step("A", "B", "C"), Step("D", "E", "F")), "7")


def test_the_tagged_form_is_the_released_one_byte_for_byte() -> None:
    assert template.render(CHAIN, [template.TAG] * 3) == TWO_STEPS
    assert template.parse_tagged(TWO_STEPS) == (CHAIN, (template.TAG,) * 3)
    assert template.render(CHAIN) == TWO_STEPS.replace("\u043a\u0438", "")


@given(chains)
def test_parse_inverts_render(chain: Chain) -> None:
    assert template.parse(template.render(chain)) == chain
    assert "".join(template.pieces(chain)) == template.render(chain)


@given(chains, st.data())
def test_every_truncation_reads_to_what_is_complete(chain: Chain, data: st.DataObject) -> None:
    text = template.render(chain)
    cut = data.draw(st.integers(0, len(text) - 1))
    parsed = template.read(text[:cut])
    assert parsed.error is None and not parsed.done and parsed.answer is None
    whole = text[:cut].count(template.STEP_END)
    assert parsed.steps == chain.steps[:whole]
    if parsed.open:
        wanted = (chain.steps[whole].name, chain.steps[whole].thought, chain.steps[whole].reflection)
        assert all(wanted[i].startswith(part) for i, part in enumerate(parsed.open))
    with pytest.raises(template.TemplateError):
        template.parse(text[:cut])


@given(chains, st.booleans(), st.data())
def test_whole_steps_read_at_once_read_as_field_by_field(chain: Chain, tagged: bool, data: st.DataObject) -> None:
    """Broken anywhere, with one piece of the form put in or some text left out, both ways say the same."""
    tags = data.draw(st.lists(st.sampled_from([*template.TAG_TOKENS]), min_size=len(chain.steps) + 1, max_size=len(chain.steps) + 1))
    text = template.render(chain, tags if tagged else None)
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    other = data.draw(st.sampled_from(["", "<", "\n", *template.FORMAT_TOKENS, *template.TAG_TOKENS]))
    for broken in (text, text[:end], text[:start] + other + text[end:], text[:start] + other + text[start:]):
        with patch.object(template, "_PLAIN_STEP", re.compile("(?!)")):
            slow = template.read(broken, tagged=tagged)
        assert template.read(broken, tagged=tagged) == slow


@given(chains)
def test_each_piece_reads_on_its_own(chain: Chain) -> None:
    for index, piece in enumerate(template.pieces(chain)):
        parsed = template.read_piece(piece, first=index == 0)
        assert parsed.error is None
        if index < len(chain.steps):
            assert parsed.steps == (chain.steps[index],)
        else:
            assert parsed.steps == () and parsed.answer == chain.answer


@given(st.text())
def test_arbitrary_text_never_raises(text: str) -> None:
    parsed = template.read(text)
    assert parsed.done is False
    assert "".join(part for part, _ in template.split_markers(text)) == text
    template.extract_answer(text)


@given(
    st.lists(st.sampled_from([*template.FORMAT_TOKENS, *template.TAG_TOKENS, "\n", "x", "Answer:"]), max_size=30).map("".join),
    st.booleans(),
)
def test_marker_salad_never_raises(text: str, tagged: bool) -> None:
    parsed = template.read(text, tagged=tagged)
    if parsed.done:
        assert template.render(parsed.chain, parsed.tags if tagged else None) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TWO_STEPS.replace("<|reasoning_step_thought_end|>", "", 1), "the thought of step 1 holds"),
        (TWO_STEPS.replace("\u043a\u0438\n<|reasoning_proceed|>", "\n<|reasoning_proceed|>", 1), "expected a tag"),
        (TWO_STEPS + "x", "text after the answer"),
        (TWO_STEPS[: -len("\u043a\u0438")], "ends early: 2 complete steps"),
        ("<|reasoning_start|>\n<|reasoning_end|>\nAnswer:\n<|answer_start|>4<|answer_end|>", "step 1: expected"),
        ("hello", "step 1: expected"),
    ],
)
def test_malformed_text_gives_a_reason(text: str, reason: str) -> None:
    with pytest.raises(template.TemplateError, match=reason):
        template.parse_tagged(text)


def test_a_field_with_a_marker_is_refused() -> None:
    with pytest.raises(template.TemplateError, match="thought of step 1 holds the marker"):
        template.render(Chain((Step("a", "<|answer_start|>", "c"),), "1"))


def test_answers_are_taken_as_the_released_code_takes_them() -> None:
    assert template.extract_answer("x<|answer_start|> (B) <|answer_end|>y") == "B"
    assert template.extract_answer("<|answer_start|>((4<|answer_end|>") == "4"
    assert template.extract_answer("<|answer_start|>4") is None
