"""The scheduler: many searches, one policy, one scorer. It merges what all live searches ask into full batches.

Whole chains are drawn in one go when nobody else waits; beside searches that go step by step they are drawn piece by piece, so that at each
step's end all go on and the next search is taken up. What is drawn is the same either way.

    searches = [Search(prompt, "best_of_n"), Search(prompt, "step_beam")]
    for number, event in run(searches, policy, scorer):      # searches[number].trace has taken the event in already
        ...

The events of one search come in the same order with the same content (times aside) whatever runs beside it.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from cos.errors import Away, UserError
from cos.protocols import Draw, Policy, Prompt, Scorer
from cos.search.asking import Settings
from cos.search.growth import Growth, Search
from cos.search.trace import SearchTrace

log = logging.getLogger(__name__)
Row = TypeVar("Row")
Result = TypeVar("Result")
TOKENS = 500
"""Guess at a chain's tokens while none has been seen: 5 steps of 80, the worked example of the field's cost model, and some room."""


class Event(NamedTuple):
    """What happened in which search; `data` is an event of `cos.search.trace`."""

    search: int
    data: dict[str, Any]


def run(
    searches: Sequence[Search],
    policy: Policy,
    scorer: Scorer | None = None,
    *,
    rows: int = 256,
    memory: float | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Generator[Event, None, None]:
    """Run all searches and give their events as they come.

    `rows` limits a batch; searches are taken up as long as what the live ones draw stays within it. `memory` limits, in bytes, keys and
    values: those of a batch, copied for each row, and those that live searches hold, by the models' `Costs`; a single row, and a single
    search, run whatever they take. None: what the models have room for, so that none drops what it needs again. `progress(ended, of)` is
    told at the start and whenever searches have ended.

    A search that fails ends alone, with the reason in its trace. When `stop` is set, no further batch is begun and every search ends as
    stopped. However this iterator ends, all roots are closed. The scorer is opened for a prompt when its search first asks for rewards.
    """
    waiting = list(enumerate(searches))[::-1]
    if memory is None:
        memory = min(policy.costs.kv_room, scorer.costs.kv_room if scorer else math.inf)
    scheduler = _Scheduler(policy, scorer, _Budget(rows, memory), stop or threading.Event())
    tell = progress or (lambda ended, of: None)
    tell(0, len(searches))
    try:
        while waiting or scheduler.live:
            while waiting and scheduler.has_room(waiting[-1][1]):
                scheduler.admit(*waiting.pop())
            before = len(scheduler.live)
            yield from scheduler.turn()
            if len(scheduler.live) < before:
                tell(len(searches) - len(waiting) - len(scheduler.live), len(searches))
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


@dataclass
class _Budget:
    """What a batch, and all live searches together, may take."""

    rows: int
    memory: float
    """Bytes of keys and values."""
    largest: float = 0.0
    """Those of the largest search that has ended."""

    def of(self, search: Search, policy: Policy, scorer: Scorer | None) -> float:
        """What `search` will come to hold: as much as the largest so far; before any has ended, TOKENS tokens a chain in each model."""
        a_token = policy.costs.kv_bytes_per_token + (scorer.costs.kv_bytes_per_token if scorer else 0.0)
        return self.largest or search.settings.n * TOKENS * a_token

    def batches(self, pairs: Sequence[tuple[Growth, Row]], a_token: float) -> Iterator[list[tuple[Growth, Row]]]:
        """The rows in batches, in order, each within the budget or of a single row."""
        batch: list[tuple[Growth, Row]] = []
        taken = 0.0
        for growth, row in pairs:
            tokens = growth.longest + (row.max_tokens if isinstance(row, Draw) else 0)
            if batch and (len(batch) == self.rows or taken + tokens * a_token > self.memory):
                yield batch
                batch, taken = [], 0.0
            batch.append((growth, row))
            taken += tokens * a_token
        if batch:
            yield batch


class _Scheduler:
    def __init__(self, policy: Policy, scorer: Scorer | None, budget: _Budget, stop: threading.Event) -> None:
        self.policy, self.scorer, self.budget, self.stop = policy, scorer, budget, stop
        self.live: list[Growth] = []

    def has_room(self, search: Search) -> bool:
        """Whether one more search fits beside the live ones."""
        if not self.live:
            return True
        memory = sum(self.budget.of(growth.search, self.policy, self.scorer) for growth in self.live)
        memory += self.budget.of(search, self.policy, self.scorer)
        return sum(growth.pending for growth in self.live) + search.rows <= self.budget.rows and memory <= self.budget.memory

    def admit(self, number: int, search: Search) -> None:
        """Take a search up."""
        scorer = (self.scorer.name, self.scorer.costs) if self.scorer else None
        if search.calibration is None and (carried := getattr(self.scorer, "calibration", None)) is not None:
            search.calibration = carried.low
        self.live.append(Growth(search, number, (self.policy.name, self.policy.costs), scorer))

    def turn(self) -> Iterator[Event]:
        """One batch of each kind that is asked for, then the events of all."""
        self._ask("open", self.policy.open, _prompt, lambda growth, results: growth.opened(results[0]))
        self._ask("read", self.policy.read, Growth.readings, Growth.have_read)
        yield from self._flush()
        piecewise = any(growth.wants_steps for growth in self.live)
        self._ask("draw", self.policy.draw, lambda growth: growth.draws(piecewise=piecewise), Growth.drawn)
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
        """Free what these hold."""
        self.budget.largest = max([self.budget.largest, *(growth.trace.meter.kv_peak_bytes for growth in ended)])
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
        model = self.policy if phase in ("open", "read", "draw") else self.scorer
        for batch in self.budget.batches(pairs, model.costs.kv_bytes_per_token if model else 0.0):
            if self.stop.is_set():
                return
            self._call(call, batch, asking)
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
        except Away:
            raise
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
    if isinstance(problem, Away):
        raise problem
    if isinstance(problem, UserError):
        return growth.fail(str(problem))
    log.warning("search %d failed", growth.number, exc_info=problem)
    growth.fail(f"{type(problem).__name__}: {problem}")
