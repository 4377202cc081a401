"""What goes wrong in a search, or is stopped, leaves a reason in its trace and nothing open."""

from __future__ import annotations

import threading

import pytest
from search_scripts import PROMPT, finish

from cos.errors import UserError
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from cos.search.asking import Settings
from cos.search.growth import Search
from cos.search.scheduler import run, solve


def test_rewards_that_are_none_fail_with_a_reason() -> None:
    (trace,) = finish(Search(PROMPT, "best_of_n"), scorer=ScriptedScorer(lambda p, t: float("nan")))
    assert trace.ended == "failed" and "between 0 and 1" in trace.ended_why
    for _ in run([search := Search(PROMPT, "best_of_n")], ScriptedPolicy()):
        pass
    assert search.trace.ended_why == "best_of_n needs a reward model, and none was given"
    with pytest.raises(UserError, match="needs a reward model"):
        solve(PROMPT, ScriptedPolicy(), None, "step_beam")


def test_stop_ends_all_searches_and_closes_all_roots() -> None:
    stop, policy, scorer = threading.Event(), ScriptedPolicy(), ScriptedScorer()
    searches = [Search(PROMPT, "step_beam", Settings(n=4)) for _ in range(3)]
    for event in run(searches, policy, scorer, rows=4, stop=stop):
        if event.data["kind"] == "expanded":
            stop.set()
    assert [search.trace.ended for search in searches] == ["stopped"] * 3
    assert not policy.tree.places and not scorer.tree.places


def test_roots_are_closed_when_the_reader_goes_away() -> None:
    policy, scorer = ScriptedPolicy(), ScriptedScorer()
    events = run([Search(PROMPT, "step_beam")], policy, scorer)
    while next(events).data["kind"] != "scored":
        pass
    events.close()
    assert not policy.tree.places and not scorer.tree.places
