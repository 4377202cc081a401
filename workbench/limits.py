"""What one visitor may ask of the machine. No gradio.

The numbers without a source are our choice: what a search with the embedded models needs, several times over.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass

from cos.errors import UserError


@dataclass(frozen=True)
class Limits:
    """What one visitor may ask of the machine."""

    methods: int = 4
    n: int = 64
    width: int = 16
    steps: int = 24
    """Depth of a search."""
    step_tokens: int = 512
    seconds: float = 120.0
    tokens: int = 400_000
    """Token-forwards of all searches of one run."""
    patience: float = 20.0
    """Seconds that a run goes on when nobody looks: time enough to load the page again."""
    waiting: int = 24
    """Runs in the line."""
    rate: int = 30
    """Runs a minute and visitor, as a signed-in visitor may start in Gradio's own example of a limit (demo/rate_limit)."""
    upload: int = 10_000_000
    """Bytes of a picture's file."""
    question: int = 400
    """Characters."""
    field: int = 2000
    """Characters of one edited field of a step."""
    side: int = 2048
    """Pixels; a larger picture is made smaller."""
    visitors: int = 500
    """Visitors whose view is remembered; the oldest goes first."""
    runs_kept: int = 2000
    days_kept: float = 7.0
    bytes_kept: int = 500_000_000


LIMITS = Limits()


class Rate:
    """How often each visitor may begin a run: at most `LIMITS.rate` in any minute."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, visitor: str) -> None:
        """Count one more. Raises UserError where it is one too many."""
        now = time.monotonic()
        with self._lock:
            times = self._times.pop(visitor, deque())
            self._times[visitor] = times
            while len(self._times) > LIMITS.visitors:
                self._times.popitem(last=False)
            while times and now - times[0] > 60.0:
                times.popleft()
            if len(times) >= LIMITS.rate:
                raise UserError(f"{LIMITS.rate} runs a minute are the most here; wait {60.0 - (now - times[0]):.0f} seconds.")
            times.append(now)
