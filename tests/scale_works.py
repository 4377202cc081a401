"""Work for several processes that waits, counts and dies as it is told to, and a program that has it done: `test_scale_ray.py`.

python tests/scale_works.py FOLDER ADDRESS
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from cos.__main__ import main
from cos.errors import UserError
from cos.scale import Row, Team, complete, cut
from cos.store import Log

IDS = [f"p{number}" for number in range(12)]
SIZE = 2
DATA = Path(__file__).parent / "data" / "released"


class Told:
    """Block -> a row for each of its two ids. In `folder` a file `kill-N` makes block N kill its process, once; `hold-N` makes it wait
    until that file is gone; `made-N` gets a line whenever block N is made."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def load(self) -> None:
        """Refused where there is a file `refuse`."""
        if (self.folder / "refuse").exists():
            raise UserError("no model here")

    def rows(self, number: int) -> list[Row]:
        """The square of the place."""
        kill, hold = self.folder / f"kill-{number}", self.folder / f"hold-{number}"
        if kill.exists():
            kill.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        while hold.exists():
            time.sleep(0.05)
        if (self.folder / f"fault-{number}").exists():
            raise UserError(f"block {number} is at fault")
        with (self.folder / f"made-{number}").open("a") as file:
            file.write(f"{os.getpid()}\n")
        return [{"id": one, "square": int(one[1:]) ** 2} for one in IDS[number * SIZE : (number + 1) * SIZE]]


def work(folder: Path, team: Team | None) -> str:
    """Do what is left; the file."""
    with Log(folder / "r.jsonl", "square", key="id") as log:
        complete(Told(str(folder)), cut(IDS, SIZE), log, team)
    return (folder / "r.jsonl").read_text("utf-8")


def compare(folder: Path, *more: str) -> None:
    """Sample, label, evaluate and score in one process, and with these options: the same records."""
    rows = [json.loads(line) for line in (DATA / "score_in.jsonl").read_text("utf-8").splitlines()]
    many = [{**row, "question_id": f"{row.get('question_id')}-{copy}"} for copy in range(40) for row in rows]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in many), "utf-8")
    for name, options in (("one", ()), ("two", more)):
        out, pool = str(folder / name), str(folder / "one" / "pool.jsonl")
        sets = ("--set", "all:test", "--limit", "7", "--block", "2", "--policy", "scripted", "--n", "3")
        assert main(["sample", *sets, "--out", out, *options]) == 0
        label = ("label", pool, "--by", "rollouts", "--n", "2", "--policy", "scripted", "--block", "4")
        assert main([*label, "--out", out + "-l", *options]) == 0
        evaluation = ("--methods", "greedy,vote,best_of_n,step_beam", "--width", "2", "--reward", "oracle", "--traces")
        assert main(["eval", *sets, *evaluation, "--out", out + "-e", *options]) == 0
        score = ("score", str(folder / "in.jsonl"), "--reward", "scripted", "--images", str(DATA))
        assert main([*score, "--out", out + ".jsonl", *options]) == 0
    for file in ("{}/pool.jsonl", "{}-l/labels.jsonl", "{}-e/records.jsonl", "{}.jsonl"):
        one, two = _untimed(folder / file.format("one")), _untimed(folder / file.format("two"))
        assert len(one) > 4 and one == two, file
    assert {file.name for file in (folder / "one-e/traces").iterdir()} == {file.name for file in (folder / "two-e/traces").iterdir()}
    assert not list(folder.rglob("*.ahead"))


def _untimed(file: Path) -> list[Any]:
    """Records without the times in them."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(one) for key, one in value.items() if key != "seconds"}
        return [strip(one) for one in value] if isinstance(value, list) else value

    return [strip(json.loads(line)) for line in file.read_text("utf-8").splitlines()]


if __name__ == "__main__":
    import scale_works  # by its name, as the actors know it

    scale_works.work(Path(sys.argv[1]), Team(2, sys.argv[2]))
