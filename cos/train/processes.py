"""The processes of one training: this one alone, or as many as `accelerate launch` has started.

Each takes its rows of every batch (`cos.train.data.cut`) and all make the same step, so that two processes learn what one learns. Only the
first writes files and speaks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import torch

from cos.errors import UserError


class Processes:
    """This process among its kind. `rank` 0 is the first of `count`."""

    def __init__(self) -> None:
        self.rank, self.count = 0, int(os.environ.get("WORLD_SIZE", "1"))
        self._accelerator: Any = None
        if self.count > 1:
            from accelerate import Accelerator, DistributedDataParallelKwargs

            # A batch of text alone leaves the vision tower without gradients in one process and not in another.
            unused = DistributedDataParallelKwargs(find_unused_parameters=True)
            self._accelerator = Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[unused])
            self.rank, self.count = self._accelerator.process_index, self._accelerator.num_processes

    @property
    def whole(self) -> bool:
        """Whether each process holds every weight (alone or by DDP; FSDP and DeepSpeed share them out)."""
        return self._accelerator is None or self._accelerator.distributed_type.value in ("MULTI_GPU", "MULTI_CPU")

    def prepare(self, task: torch.nn.Module, optimizers: Sequence[Any]) -> tuple[Any, list[Any]]:
        """The module to call and the optimizers to step."""
        if self._accelerator is None:
            return task, list(optimizers)
        if self.whole:
            return self._accelerator.prepare(task), list(optimizers)
        task, *rest = self._accelerator.prepare(task, *optimizers)
        return task, rest

    def apart(self, task: Any) -> AbstractContextManager[Any]:
        """Within it gradients add up without being shared: for all parts of a step but the last. Raises UserError under DeepSpeed."""
        if self._accelerator is None:
            return nullcontext()
        if self._accelerator.distributed_type.value == "DEEPSPEED":
            raise UserError("DeepSpeed makes a step of every batch here: set accumulate to 1, and take larger batches or more processes")
        context: AbstractContextManager[Any] = self._accelerator.no_sync(task)
        return context

    def backward(self, value: torch.Tensor) -> None:
        """Gradients of a loss, averaged over the processes."""
        if self._accelerator is None:
            value.backward()  # type: ignore[no-untyped-call]
        else:
            self._accelerator.backward(value)

    def clip(self, task: Any, limit: float) -> None:
        """Scale the gradients down to this norm where they are longer."""
        if self._accelerator is None:
            torch.nn.utils.clip_grad_norm_(task.parameters(), limit)
        else:
            self._accelerator.clip_grad_norm_(task.parameters(), limit)

    def mean(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Each number averaged over the processes."""
        if self._accelerator is None:
            return dict(numbers)
        values = torch.tensor(list(numbers.values()), dtype=torch.float64, device=self._accelerator.device)
        return dict(zip(numbers, self._accelerator.reduce(values, "mean").tolist(), strict=True))

    @contextmanager
    def first_before(self) -> Iterator[None]:
        """The first process goes through the block, then the others."""
        with nullcontext() if self._accelerator is None else self._accelerator.main_process_first():
            yield

    def wait(self) -> None:
        """Until all are here."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()

    def weights(self, task: Any) -> dict[str, torch.Tensor]:
        """Every weight of the module that `prepare` was given, in the first process; in the others perhaps nothing. All must call it."""
        found: dict[str, torch.Tensor] = task.state_dict() if self._accelerator is None else self._accelerator.get_state_dict(task)
        return found

    def save(self, folder: str) -> None:
        """What each process holds of weights and optimizers, for `load`: where none holds all."""
        self._accelerator.save_state(folder)

    def load(self, folder: str) -> None:
        """The inverse of `save`."""
        self._accelerator.load_state(folder)


@cache
def processes() -> Processes:
    """The one of this process."""
    return Processes()
