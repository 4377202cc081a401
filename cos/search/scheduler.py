"""The scheduler: many searches, one policy, one scorer. It merges what all live searches ask into full batches.

    searches = [Search(prompt, "best_of_n"), Search(prompt, "step_beam")]
    for number, event in run(searches, policy, scorer):      # searches[number].trace has taken the event in already
        ...

The events of one search come in the same order with the same content (times aside) whatever runs beside it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from cos.errors import UserError
from cos.protocols import Policy, Prompt, Scorer
from cos.search.growth import Growth, Search
from cos.search.methods import Settings
from cos.search.trace import SearchTrace

log = logging.getLogger(__name__)
Row = TypeVar("Row")
Result = TypeVar("Result")


class Event(NamedTuple):
    """What happened in which search; `data` is an event of `cos.search.trace`."""

    search: int
    data: dict[str, Any]


def run(
    searches: Sequence[Search], policy: Policy, scorer: Scorer | None = None, *, rows: int = 256, stop: threading.Event | None = None
) -> Generator[Event, None, None]:
    """Run all searches and give their events as they come.

    `rows` limits a batch; searches are taken up as long as the candidates of the live ones stay within it. A search that fails ends
    alone, with the reason in its trace. When `stop` is set, no further batch is begun and every search ends as stopped. However this
    iterator ends, all roots are closed. The scorer is opened for a prompt only when its search first asks for rewards.
    """
    waiting = list(enumerate(searches))[::-1]
    scheduler = _Scheduler(policy, scorer, rows, stop or threading.Event())
    try:
        while waiting or scheduler.live:
            while waiting and scheduler.has_room(waiting[-1][1]):
                scheduler.admit(*waiting.pop())
            yield from scheduler.turn()
    finally:
        scheduler.close(scheduler.live)


def solve(
    prompt: Prompt, policy: Policy, scorer: Scorer | None = None, method: str = "step_beam", settings: Settings | None = None
) -> SearchTrace:
    """Search one question to its end. Raises UserError with the reason where the search failed."""
    search = Search(prompt, method, settings or Settings())
    for _ in run([search], policy, scorer):
        pass
    if search.trace.ended == "failed":
        raise UserError(search.trace.ended_why)
    return search.trace


class _Scheduler:
    def __init__(self, policy: Policy, scorer: Scorer | None, rows: int, stop: threading.Event) -> None:
        self.policy, self.scorer, self.rows, self.stop = policy, scorer, rows, stop
        self.live: list[Growth] = []

    def has_room(self, search: Search) -> bool:
        return not self.live or sum(growth.search.rows for growth in self.live) + search.rows <= self.rows

    def admit(self, number: int, search: Search) -> None:
        scorer = (self.scorer.name, self.scorer.costs) if self.scorer else None
        self.live.append(Growth(search, number, (self.policy.name, self.policy.costs), scorer))

    def turn(self) -> Iterator[Event]:
        """One batch of each kind that is asked for, then the events of all."""
        self._ask("open", self.policy.open, _prompt, lambda growth, results: growth.opened(results[0]))
        self._ask("read", self.policy.read, Growth.readings, Growth.have_read)
        yield from self._flush()
        self._ask("draw", self.policy.draw, Growth.draws, Growth.drawn)
        yield from self._flush()
        if self.scorer is not None:
            self._ask("rate_open", self.scorer.open, _prompt, lambda growth, results: growth.rate_opened(results[0]))
            self._ask("rate", self.scorer.score, Growth.ratings, Growth.rated)
        if self.stop.is_set():
            for growth in [growth for growth in self.live if growth.phase != "done"]:
                growth.stop()
        yield from self._flush()
        self.close([growth for growth in self.live if growth.phase == "done"])

    def close(self, ended: Sequence[Growth]) -> None:
        self.live = [growth for growth in self.live if growth not in ended]
        self.policy.close([growth.policy.root for growth in ended if growth.policy.root is not None])
        if self.scorer is not None:
            self.scorer.close([growth.scorer.root for growth in ended if growth.scorer and growth.scorer.root is not None])

    def _flush(self) -> Iterator[Event]:
        for growth in self.live:
            events, growth.events = growth.events, []
            for event in events:
                yield Event(growth.number, event)

    def _ask(
        self,
        phase: str,
        call: Callable[[list[Row]], Sequence[Result]],
        rows_of: Callable[[Growth], Sequence[Row]],
        take: Callable[[Growth, list[Result]], None],
    ) -> None:
        """Collect the rows of all searches in this phase, put them to the model batch by batch, hand each search its results."""
        asking: dict[Growth, list[Result]] = {}
        pairs: list[tuple[Growth, Row]] = []
        for growth in [growth for growth in self.live if growth.phase == phase]:
            with _alone(growth):
                pairs += [(growth, row) for row in rows_of(growth)]
                asking[growth] = []
        for start in range(0, len(pairs), self.rows):
            if self.stop.is_set():
                return
            self._call(call, pairs[start : start + self.rows], asking)
        for growth, results in asking.items():
            if growth.phase != "done":
                with _alone(growth):
                    take(growth, results)

    def _call(
        self, call: Callable[[list[Row]], Sequence[Result]], pairs: list[tuple[Growth, Row]], into: dict[Growth, list[Result]]
    ) -> None:
        """One batch. Where it raises, each search's rows are tried apart, so that only the one at fault ends."""
        pairs = [(growth, row) for growth, row in pairs if growth.phase != "done"]
        try:
            results = call([row for _, row in pairs]) if pairs else []
            for (growth, _), result in zip(pairs, results, strict=True):
                into[growth].append(result)
            return
        except Exception as caught:
            problem = caught
        owners = list(dict.fromkeys(growth for growth, _ in pairs))
        if len(owners) == 1:
            return _fail(owners[0], problem)
        for owner in owners:
            self._call(call, [pair for pair in pairs if pair[0] is owner], into)


def _prompt(growth: Growth) -> list[Prompt]:
    return [growth.search.prompt]


@contextmanager
def _alone(growth: Growth) -> Iterator[None]:
    """What goes wrong inside ends this search only."""
    try:
        yield
    except Exception as problem:
        _fail(growth, problem)


def _fail(growth: Growth, problem: Exception) -> None:
    if isinstance(problem, UserError):
        return growth.fail(str(problem))
    log.warning("search %d failed", growth.number, exc_info=problem)
    growth.fail(f"{type(problem).__name__}: {problem}")
