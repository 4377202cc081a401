"""Blocks, shards and resuming, without Ray: arrivals in any order, broken off anywhere, add up to the file that one process writes."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import scale_works
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cos import scale
from cos.errors import UserError
from cos.scale import Block, Chunks, Row, Team, Work, ahead, complete, cut, spread
from cos.store import Log

IDS = [f"p{number}" for number in range(11)]
SCHEMA = Path(__file__).parent.parent / "docs" / "schemas" / "shard.json"


class Squares:
    """Block -> a row for each of its three problems."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def load(self) -> None:
        pass

    def rows(self, number: int) -> list[Row]:
        self.made.append(number)
        places = range(3 * number, min(3 * number + 3, len(IDS)))
        return [{"id": f"p{place}", "square": place * place} for place in places]


class Killed(Exception):
    """Stands for a kill of the process."""


def team_of(order: list[int], killed_after: int) -> Any:
    """In place of Ray: blocks come in this order, and the `killed_after`th arrival never does."""

    def arrive(work: Work, numbers: list[int], team: Team) -> Generator[tuple[int, list[Row]]]:
        for count, number in enumerate(number for number in order if number in numbers):
            if count == killed_after:
                raise Killed
            yield number, work.rows(number)

    return arrive


def once(folder: Path, work: Work, team: Team | None = None) -> str:
    with Log(folder / "r.jsonl", "square", key="id") as log:
        complete(work, cut(IDS, 3), log, team)
    return (folder / "r.jsonl").read_text()


def test_ids_are_cut_into_blocks() -> None:
    blocks = cut(IDS, 4)
    assert [(block.number, len(block.ids)) for block in blocks] == [(0, 4), (1, 4), (2, 3)]
    assert [one for block in blocks for one in block.ids] == IDS and cut([], 4) == []
    assert Block(1, ("a", "b")).shard != Block(1, ("a", "c")).shard != Block(2, ("a", "c")).shard


@given(order=st.permutations(range(4)), kills=st.lists(st.integers(0, 3), max_size=5), torn=st.integers(0, 40))
def test_any_order_and_any_kills_write_what_one_process_writes(order: list[int], kills: list[int], torn: int) -> None:
    with TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        whole, work = once(Path(home) / "alone", Squares()), Squares()
        folder = Path(home) / "team"
        for after in [*kills, 9]:
            patch.setattr(scale, "_by_ray", team_of(order, after))
            try:
                again = once(folder, work, Team(2))
            except Killed:
                text = (folder / "r.jsonl").read_text()
                assert whole.startswith(text)
                if torn and text:  # the kill came while a line was written
                    (folder / "r.jsonl").write_text(text[: max(0, len(text) - torn)])
        assert again == whole and not ahead(folder / "r.jsonl").exists()
        assert torn or sorted(work.made) == sorted(set(work.made))  # what waited was not made twice


def test_what_is_ahead_waits_in_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "_by_ray", team_of([3, 1, 0, 2], 2))
    with pytest.raises(Killed):
        once(tmp_path, Squares(), Team(2))
    shards = sorted(ahead(tmp_path / "r.jsonl").iterdir())
    assert [file.name[:6] for file in shards] == ["000001", "000003"] and not (tmp_path / "r.jsonl").read_text()
    rows = [json.loads(line) for file in shards for line in file.read_text().splitlines()]
    assert [row["row"]["id"] for row in rows] == ["p3", "p4", "p5", "p9", "p10"]
    for row in rows:
        Draft202012Validator(json.loads(SCHEMA.read_text())).validate(row)
    work = Squares()  # one process goes on from there, too
    once(tmp_path, work)
    assert work.made == [0, 2]


def test_shards_of_other_blocks_are_not_taken(tmp_path: Path) -> None:
    shards = ahead(tmp_path / "r.jsonl")
    shards.mkdir(parents=True)
    (shards / Block(0, ("p0", "p1")).shard).write_text('{"schema": "cos.shard/1", "row": {"id": "p0", "square": 99}}\n')
    assert '"square": 99' not in once(tmp_path, Squares()) and not shards.exists()


def test_rows_that_are_there_are_not_added_twice(tmp_path: Path) -> None:
    with Log(tmp_path / "r.jsonl", "square", key="id") as log:
        log.add({"id": "p1", "square": 1})
    calls: list[tuple[int, int]] = []
    with Log(tmp_path / "r.jsonl", "square", key="id") as log:
        assert complete(Squares(), cut(IDS, 3), log, None, lambda done, total: calls.append((done, total))) == 10
        assert complete(Squares(), cut(IDS, 3), log, None) == 0
    assert calls == [(1, 11), (3, 11), (6, 11), (9, 11), (11, 11)]
    assert sorted(json.loads(line)["id"] for line in (tmp_path / "r.jsonl").read_text().splitlines()) == sorted(IDS)


def test_a_block_may_give_nothing(tmp_path: Path) -> None:
    class Empty(Squares):
        def rows(self, number: int) -> list[Row]:
            return [] if number == 1 else super().rows(number)

    assert [len(rows) for rows in spread(Empty(), cut(IDS, 3), None, tmp_path / "x")] == [3, 0, 3, 2]


@given(asked=st.lists(st.integers(0, 5), max_size=8), length=st.integers(0, 20), size=st.integers(1, 5))
def test_chunks_are_slices(asked: list[int], length: int, size: int) -> None:
    reads = 0

    def read() -> Iterator[int]:
        nonlocal reads
        reads += 1
        return iter(range(length))

    chunks = Chunks(read, size)
    for number in asked:
        assert chunks[number] == list(range(length))[number * size : (number + 1) * size]
    assert reads == 1 + sum(later <= before for before, later in pairwise(asked))


def test_the_verbs_do_the_same_work_in_actors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes to other processes is a copy that has loaded nothing; the last block comes first. (By a real Ray: test_scale_ray.py.)"""

    def arrive(work: Work, numbers: list[int], team: Team) -> Generator[tuple[int, list[Row]]]:
        actors = [scale._Actor(deepcopy(work), {}, ".") for _ in range(team.workers)]
        for place, number in enumerate(reversed(numbers)):
            found = actors[place % team.workers]({"number": [number]})
            assert found["fault"] == [""] and found["number"] == [number]
            yield number, json.loads(found["rows"][0])

    monkeypatch.setattr(scale, "_by_ray", arrive)
    scale_works.compare(tmp_path, "--workers", "2")


def test_without_ray_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'cos-workbench\[scale\]'"):
        once(tmp_path, Squares(), Team(2))
