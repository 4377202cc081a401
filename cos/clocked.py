"""How long a model works: a policy or a scorer with a clock, whatever else runs between its calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from cos.protocols import Opened, Prompt


class Clocked:
    """A policy or a scorer that adds up the seconds it works. `reading`: those of opening a prompt that `hold` took, in seconds each."""

    def __init__(self, model: Any) -> None:
        self.model, self.seconds, self.reading = model, 0.0, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)  # its name, costs, calibration, and all that takes no time

    def open(self, prompts: Sequence[Prompt]) -> Any:
        """As the model's, and timed; so are the next three."""
        return self._time(self.model.open, prompts)

    def draw(self, requests: Sequence[Any]) -> Any:
        """See `open`."""
        return self._time(self.model.draw, requests)

    def read(self, requests: Sequence[Any]) -> Any:
        """See `open`."""
        return self._time(self.model.read, requests)

    def score(self, requests: Sequence[Any]) -> Any:
        """See `open`."""
        return self._time(self.model.score, requests)

    def hold(self, prompts: Sequence[Prompt]) -> list[Opened]:
        """Open all prompts; none where one of them fails, for a search finds out which, and why."""
        try:
            opened: list[Opened] = self.open(prompts)
        except Exception:
            opened = []
        self.reading, self.seconds = self.seconds / len(prompts) if opened else 0.0, 0.0
        return opened

    def _time(self, call: Callable[[Any], Any], argument: Any) -> Any:
        began = perf_counter()
        try:
            return call(argument)
        finally:
            self.seconds += perf_counter() - began
