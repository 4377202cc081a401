"""What verbs share whose work several processes can do: the options --workers and --ray, and the work as these take it (docs/scale.md)."""

from __future__ import annotations

import argparse
from abc import ABC, abstractmethod
from typing import Any

from cos.errors import UserError
from cos.scale import Row, Team


def add_workers(parser: argparse.ArgumentParser) -> None:
    """The options."""
    group = parser.add_argument_group("several processes, here or on a cluster (docs/scale.md)")
    group.add_argument(
        "--workers", type=int, default=1, metavar="N", help="Ray actors that share the work, each with its own models (1: none)"
    )
    group.add_argument("--ray", metavar="ADDRESS", help="of the Ray cluster they live in, or auto (started on this machine, for this run)")


class Task(ABC):
    """A `cos.scale.Work` made of a verb's arguments, and made anew of them in every process: nothing else travels."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args,)

    @abstractmethod
    def load(self) -> None:
        """Load the models."""

    @abstractmethod
    def rows(self, number: int) -> list[Row]:
        """What block `number` gives."""

    def team(self) -> Team | None:
        """What the options ask for; None: this process, which loads the models now, before a wrong name can leave a folder behind."""
        if self.args.workers < 1:
            raise UserError(f"--workers is {self.args.workers}; it must be 1 or more")
        if self.args.workers > 1 or self.args.ray:
            return Team(self.args.workers, self.args.ray)
        self.load()
        return None
