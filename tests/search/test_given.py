"""Searches that go on from given pieces: what is drawn below them, what it costs, and what is refused."""

from __future__ import annotations

import pytest

from cos.chain import Chain, Step
from cos.models.scripted import ScriptedPolicy, ScriptedScorer, words
from cos.protocols import Prompt
from cos.search.growth import Search
from cos.search.methods import METHODS, Settings
from cos.search.scheduler import run
from cos.search.trace import SearchTrace
from cos.template import pieces

PROMPT = Prompt("How many bars are there?")
EDITED = tuple(pieces(Chain((Step("Look", "I find: [7].", "It is seen."), Step("Read", "I read: [7].", "It fits.")), "7")))


def searched(given: tuple[str, ...], method: str = "step_beam", *, scored: bool = True) -> SearchTrace:
    search = Search(PROMPT, method, Settings(n=4, width=2, seed=3), given=given)
    for _ in run([search], ScriptedPolicy(), ScriptedScorer() if scored else None):
        pass
    return search.trace


def test_pieces_of_its_own_first_chain_change_nothing_below() -> None:
    whole = searched((), "sample")
    line = whole.line(whole.nodes[-1])
    again = searched(tuple(node.text for node in line[:2]), "sample")
    assert [node.text for node in again.nodes[1:]] == [node.text for node in line]
    assert [node.path for node in again.nodes[1:]] == [node.path for node in line], "the same random streams"
    given = sum(len(words(node.text)) for node in line[:2])
    assert again.meter.policy_prefill == whole.meter.policy_prefill + given
    assert again.meter.policy_decode == whole.meter.policy_decode - given


@pytest.mark.parametrize("method", ["greedy", "vote", "best_of_n", "step_greedy", "step_beam"])
def test_every_path_begins_with_what_was_given(method: str) -> None:
    trace = searched(EDITED[:1], method)
    assert trace.ended == "answered" and trace.start.name == "Look" and trace.start.why == "given" and trace.start.round == 0
    assert all(trace.line(leaf)[0].text == EDITED[0] and len(trace.line(leaf)) > 1 for leaf in trace.leaves())
    assert trace.start.reward is not None or method in ("greedy", "vote"), "a given step is judged like any other"
    assert SearchTrace.replay(trace.events).to_json() == trace.to_json()


@pytest.mark.parametrize("scored", [True, False])
def test_a_whole_chain_is_only_judged(scored: bool) -> None:
    trace = searched(EDITED, scored=scored)
    assert (trace.answer, trace.ended, trace.meter.policy_decode) == ("7", "answered", 0)
    assert [node.reward is not None for node in trace.nodes[1:]] == [scored] * 3


@pytest.mark.parametrize("given", [("no step",), (EDITED[1],), (EDITED[0], EDITED[0]), (EDITED[0][:-4],)])
def test_what_is_no_chain_is_refused_in_the_trace(given: tuple[str, ...]) -> None:
    trace = searched(given)
    assert trace.ended == "failed" and "no whole step or answer" in trace.ended_why


def test_every_method_knows_where_to_begin() -> None:
    for method in METHODS:
        assert searched(EDITED[:1], method).ended == "answered", method
