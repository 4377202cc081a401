"""Several workers by a real Ray of two: the same records as one process; actors and drivers killed with signal 9; mistakes in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import scale_works
from scale_works import IDS

from cos.__main__ import main
from cos.errors import UserError
from cos.scale import Team, ahead

ray = pytest.importorskip("ray", reason="Ray is not installed (pip install 'cos-workbench[scale]')")
pytestmark = pytest.mark.filterwarnings("ignore:::ray")  # Ray's own ageing
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two cores on this machine, in a folder with a short name: sockets lie in it. Or one that RAY_ADDRESS names."""
    before = dict(os.environ)
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}"}
    with tempfile.TemporaryDirectory(prefix="cos", ignore_cleanup_errors=True) as folder:
        small = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": 2**27, "_temp_dir": folder}
        given = before.get("RAY_ADDRESS")
        try:
            try:
                found = ray.init(given or "local", log_to_driver=False, **({} if given else small)).address_info["address"]
            except Exception as problem:  # beside much other work: its agents have 15 s to start, and nothing sets that
                pytest.skip(f"Ray does not start on this machine ({str(problem).splitlines()[0]})")
            yield found
        finally:
            ray.shutdown()
            os.environ.clear()
            os.environ |= before


def whole(folder: Path) -> str:
    """What one process writes."""
    folder.mkdir()
    return scale_works.work(folder, None)


def test_two_workers_make_the_records_of_one_process(tmp_path: Path, address: str) -> None:
    scale_works.compare(tmp_path, "--workers", "2")


def test_a_killed_worker_costs_its_block_and_no_more(tmp_path: Path, address: str) -> None:
    alone, folder = whole(tmp_path / "alone"), tmp_path / "team"
    folder.mkdir()
    for number in (1, 4):
        (folder / f"kill-{number}").touch()
    assert scale_works.work(folder, Team(2)) == alone
    made = {file.name: len(file.read_text().split()) for file in folder.glob("made-*")}
    assert len(made) == 6 and not list(folder.glob("kill-*")) and max(made.values()) <= 2
    assert len({pid for file in folder.glob("made-*") for pid in file.read_text().split()}) >= 2


def test_a_killed_driver_goes_on_where_it_was(tmp_path: Path, address: str) -> None:
    alone, folder = whole(tmp_path / "alone"), tmp_path / "team"
    folder.mkdir()
    (folder / "hold-1").touch()  # so that blocks 2 to 5 are ahead of their turn
    (folder / "hold-5").touch()
    driver = subprocess.Popen([sys.executable, str(HERE / "scale_works.py"), str(folder), address], cwd=HERE.parent)
    try:
        until = time.monotonic() + 250
        while len(list(ahead(folder / "r.jsonl").glob("*.jsonl"))) < 3 and driver.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    text = (folder / "r.jsonl").read_text("utf-8")
    assert alone.startswith(text) and text.count("\n") == 2, text  # block 0
    assert sorted(file.name[:6] for file in ahead(folder / "r.jsonl").glob("*.jsonl")) == ["000002", "000003", "000004"]
    for held in folder.glob("hold-*"):
        held.unlink()
    assert scale_works.work(folder, Team(2)) == alone
    assert [len((folder / f"made-{number}").read_text().split()) for number in (0, 2, 3, 4)] == [1, 1, 1, 1]
    assert not ahead(folder / "r.jsonl").exists()


def test_a_mistake_is_one_line_wherever_it_is_found(tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fault-3").touch()
    with pytest.raises(UserError, match="block 3 is at fault"):
        scale_works.work(tmp_path, Team(2))
    assert [json.loads(line)["id"] for line in (tmp_path / "r.jsonl").read_text().splitlines()] == IDS[:6]
    (tmp_path / "refuse").touch()
    with pytest.raises(UserError, match="no model here"):
        scale_works.work(tmp_path, Team(2))
    draw = ["sample", "--set", "all:train", "--limit", "1", "--n", "1", "--policy", "scripted", "--out", str(tmp_path / "pool")]
    assert main(draw) == 0
    pool = str(tmp_path / "pool" / "pool.jsonl")
    for words, said in ((["--workers", "0"], "must be 1 or more"), (["--workers", "2", "--by", "consensus", "--with", "x"], "leave out")):
        assert main(["label", pool, "--by", "truth", "--out", str(tmp_path / "x"), *words]) == 2
        assert said in capsys.readouterr().err
