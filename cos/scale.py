"""The same work by several processes, on one machine or many (Ray Data): what a verb does is cut into blocks, and actors take whole ones.

    with Log("runs/pool/pool.jsonl", "pool", key="id") as log:
        complete(work, cut(ids, 64), log, Team(workers=2))         # `work`: block number -> rows

A block is the same whoever makes it, and all steps of a question are in one block, so in one actor, which holds models and caches. Rows go
to the file in the order of the blocks; what is made ahead of its turn waits beside the file, one shard a block. So the file is at any
moment a beginning of what one process writes, and a kill of an actor, of a machine or of all costs only the blocks they were at.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from cos.errors import UserError
from cos.store import Log, read, write

Row = dict[str, Any]
T = TypeVar("T")
_STORE = 2**28  # bytes of Ray's object store on this machine: only rows on their way to the file lie in it


class Work(Protocol):
    """What is done, block by block. It is pickled on its way to an actor, and should leave behind what it has loaded."""

    def load(self) -> None:
        """Load the models. Called once in each process that makes blocks; raises UserError where there are none."""
        ...

    def rows(self, number: int) -> list[Row]:
        """What block `number` (from 0) gives, as JSON objects: the same in every process."""
        ...


@dataclass(frozen=True)
class Team:
    """`workers` actors in the Ray cluster at `address`; None: in one that is started on this machine, and ended when the work is done."""

    workers: int
    address: str | None = None


@dataclass(frozen=True)
class Block:
    """A block's number and the ids of what it is about."""

    number: int
    ids: tuple[str, ...]

    @property
    def shard(self) -> str:
        """The name of its file, while it waits for its turn."""
        return f"{self.number:06d}-{hashlib.sha256(json.dumps(self.ids).encode()).hexdigest()[:12]}.jsonl"


def cut(ids: Sequence[str], size: int) -> list[Block]:
    """All ids in blocks of `size`, in order."""
    return [Block(start // size, tuple(ids[start : start + size])) for start in range(0, len(ids), size)]


def complete(
    work: Work, blocks: Sequence[Block], log: Log, team: Team | None = None, progress: Callable[[int, int], None] | None = None
) -> int:
    """Add the rows of all blocks to the log, but for those it holds; how many were new. A block that a kill has cut is made again whole,
    since what stands beside a row in a batch can move its last digit. `progress(done, total)` counts ids."""
    total, new = sum(len(block.ids) for block in blocks), 0
    left = [block for block in blocks if not log.done.issuperset(block.ids)]
    done = total - sum(1 for block in left for one in block.ids if one not in log.done)
    if progress:
        progress(done, total)
    with closing(spread(work, left, team, ahead(log.path))) as made:
        for block, rows in zip(left, made, strict=True):
            fresh = {row[log.key]: row for row in rows if row[log.key] not in log.done}
            done, new = done + sum(one not in log.done for one in block.ids), new + len(fresh)
            log.add(*fresh.values())
            if progress:
                progress(done, total)
    return new


def spread(work: Work, blocks: Sequence[Block], team: Team | None, shards: Path) -> Generator[list[Row]]:
    """The rows of each block, in order; without a team made here, by work that has loaded its models. `shards`: a folder for what is ahead.

    Raises UserError for whatever the work calls a user's mistake, and where Ray is not installed or can't be reached.
    """
    names = {block.number: block.shard for block in blocks}
    missing = [block.number for block in blocks if not (shards / block.shard).exists()]
    made = ((number, work.rows(number)) for number in missing) if team is None else _by_ray(work, missing, team)

    def take(block: Block) -> list[Row]:
        while not (shards / block.shard).exists():
            number, rows = next(made)
            if number == block.number:
                return rows
            write(shards / names[number], "shard", ({"row": row} for row in rows))
        return list(read(shards / block.shard, "shard", lambda line: dict(line["row"])))

    with closing(made):
        for block in blocks:
            yield take(block)
            (shards / block.shard).unlink(missing_ok=True)  # whoever took them has written them by now
    shutil.rmtree(shards, ignore_errors=True)


def ahead(file: Path) -> Path:
    """The folder beside a file of results where blocks wait for their turn."""
    return file.with_name(file.name + ".ahead")


class Chunks(Generic[T]):
    """The numbered blocks of what can only be read from its beginning, such as a long file; cheap where they are asked for in order."""

    def __init__(self, read: Callable[[], Iterator[T]], size: int) -> None:
        self.read, self.size = read, size
        self.rest, self.next = read(), 0

    def __getitem__(self, number: int) -> list[T]:
        if number < self.next:
            self.rest, self.next = self.read(), 0
        found = list(islice(self.rest, (number - self.next) * self.size, (number - self.next + 1) * self.size))
        self.next = number + 1
        return found


class _Actor:
    """A process of a team. `how` and `folder` are those of the process that asks: how models are loaded, where relative paths begin."""

    def __init__(self, work: Work, how: dict[str, Any], folder: str) -> None:
        from cos.loading import HOW

        HOW.clear()
        HOW.update(how)
        with suppress(OSError):  # another machine may not have it; then relative paths are missing, and that is said
            os.chdir(folder)
        self.work, self.fault = work, ""
        try:
            work.load()
        except UserError as fault:
            self.fault = str(fault)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        number, rows, fault = int(batch["number"][0]), list[Row](), self.fault
        if not fault:
            try:
                rows = self.work.rows(number)
            except UserError as problem:
                fault = str(problem)
        return {"number": [number], "rows": [json.dumps(rows)], "fault": [fault]}


def _by_ray(work: Work, numbers: Sequence[int], team: Team) -> Generator[tuple[int, list[Row]]]:
    """Number and rows of each block, as they are done."""
    if not numbers:
        return
    from cos.loading import HOW

    with _cluster(team) as (ray, alone):
        from ray.data import ActorPoolStrategy

        workers, has = min(team.workers, len(numbers)), ray.cluster_resources()
        cpus, gpus = has.get("CPU", 1.0) / workers, 0 if HOW.get("device") == "cpu" else has.get("GPU", 0.0)
        blocks = ray.data.from_items([{"number": number} for number in numbers], override_num_blocks=len(numbers))
        made = blocks.map_batches(
            _Actor,
            batch_size=1,
            fn_constructor_args=(work, dict(HOW), os.getcwd()),
            compute=ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
            num_cpus=float(int(cpus)) if alone and cpus >= 1 else min(1.0, int(cpus * 1000) / 1000),
            num_gpus=1 / ceil(workers / gpus) if gpus else 0,
        )
        for batch in made.iter_batches(batch_size=None, prefetch_batches=0):  # of an actor that died Ray makes the blocks anew by itself
            for number, rows, fault in zip(batch["number"], batch["rows"], batch["fault"], strict=True):
                if fault:
                    raise UserError(fault)
                yield int(number), json.loads(rows)


@contextmanager
def _cluster(team: Team) -> Iterator[tuple[Any, bool]]:
    """Ray, and whether it was started here for this work alone. A program that is connected already keeps its connection."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's 15 would leave actors a thirtieth of a core that anybody else works on
    try:
        import ray
        import ray.data
    except ImportError:
        raise UserError("several workers need Ray: pip install 'cos-workbench[scale]'") from None
    mine, quiet = not ray.is_initialized(), {"log_to_driver": False, "logging_level": logging.ERROR}
    if mine and team.address is None:
        quiet |= {"include_dashboard": False, "object_store_memory": _STORE}
    if mine:
        try:
            ray.init(address=team.address or "local", **quiet)
        except Exception as problem:  # of any kind, this bare one too: it did not start in time, there is none, it is of another version
            where = f"at {team.address}" if team.address else "on this machine"
            raise UserError(f"no Ray cluster {where} ({str(problem).splitlines()[0]})") from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield ray, mine and team.address is None
    finally:
        if mine:
            ray.shutdown()
