"""A GPU that is lent for one run at a time, as ZeroGPU lends it to a Space. Anywhere else nothing here does anything. No gradio.

There a function with the mark `spaces.GPU` runs in a process of its own that has a GPU for so many seconds, counted against the visitor's
quota; what it is called with and what it yields are pickled. The embedded models stay on the processor and cost no quota. The package
`spaces` must be imported before torch, which is why app.py imports this first. All this is after the source of spaces 0.51.3.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

from cos.chain import Problem
from cos.errors import UserError
from cos.loading import HOW, is_server
from cos.search.growth import Search
from cos.search.scheduler import Event
from workbench import estimate
from workbench.limits import LIMITS

LENT = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
"""Whether this is a Space with a lent GPU (as `spaces.config` reads it)."""
PACE = 400.0
"""Token-forwards a second before a run has measured them: 16 rows at 25 tokens a second, which a model of eight thousand million parameters
should reach; ours, on the safe side."""
START = 10.0
"""Seconds to bring the weights to the GPU; ours."""
_HERE = ("embedded", "scripted", "oracle")
_ENDED = {"kind": "ended", "ended": "stopped", "why": "stopped by the user"}

Mark = TypeVar("Mark", bound=Callable[..., Any])


def needed(*models: str) -> bool:
    """Whether a run of these models asks for the lent GPU."""
    return LENT and any(name not in _HERE and not is_server(name) for name in models)


def asked(policy: str, methods: Sequence[str], ns: Sequence[int], pace: float | None) -> int:
    """For how many seconds a run asks for the GPU: its tokens at the `pace` measured last, and the start; at most what a run may take."""
    tokens = sum(estimate.tokens(method, n, policy) for method, n in zip(methods, ns, strict=True))
    return math.ceil(min(LIMITS.seconds, START + tokens / (pace or PACE)))


def seconds(policy: str, reward: str, searches: Sequence[Search], truth: Problem | None, pace: float | None) -> int:
    """`asked`, by the arguments of what has the mark."""
    return asked(policy, [search.method for search in searches], [search.settings.n for search in searches], pace)


def on_gpu(work: Mark) -> Mark:
    """The mark, for a generator that is called with what `seconds` is called with; without the package `spaces` it is left as it is."""
    if not find_spec("spaces"):
        return work
    import spaces

    marked: Mark = spaces.GPU(duration=seconds)(work)
    return marked


@contextmanager
def placed(name: str) -> Iterator[None]:
    """While a model is loaded: beside a lent GPU, the embedded ones go to the processor."""
    if not LENT or name not in _HERE:
        yield
        return
    kept = dict(HOW)
    HOW["device"] = "cpu"
    try:
        yield
    finally:
        HOW.clear()
        HOW.update(kept)


def stopping(events: Generator[Event, None, None], stop: threading.Event) -> Generator[Event, None, None]:
    """The events of another process until `stop` is set here, and then the ends that it can't tell any more. Raises UserError with what the
    Space says where there is no GPU to be had."""
    last: dict[int, dict[str, Any]] = {}
    try:
        with closing(events):
            for event in events:
                last[event.search] = {**last.get(event.search, {}), **event.data}
                yield event
                if stop.is_set():
                    break
    except (UserError, GeneratorExit):
        raise
    except Exception as problem:  # gradio.Error, which carries its text apart
        raise UserError(f"No GPU for this run: {getattr(problem, 'message', problem)}") from problem
    for number, told in last.items():
        if told["kind"] != "ended":
            yield Event(number, {key: told[key] for key in ("round", "meter", "seconds") if key in told} | _ENDED)
