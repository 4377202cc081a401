"""Records survive kills, name their faults by file and line, and paths never leave their root."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos.chain import Problem
from cos.errors import UserError
from cos.store import Log, inside, lines, read, write

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(st.dictionaries(st.text().filter(lambda key: key != "schema"), JSON, max_size=4), max_size=5)


def same(row: dict[str, Any]) -> dict[str, Any]:
    return row


@given(ROWS)
def test_what_is_written_is_read(rows: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        assert write(path, "thing", rows) == len(rows)
        assert list(read(path, "thing", same)) == rows
        assert all(json.loads(line)["schema"] == "cos.thing/1" for line in path.read_bytes().splitlines())


@given(st.binary())
def test_any_bytes_are_read_or_refused_by_line(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.jsonl")
        path.write_bytes(content)
        try:
            rows = list(read(path, "thing", same))
        except UserError as error:
            assert f"{path}, line " in str(error)
            assert "\n" not in str(error)
        else:
            assert all(isinstance(row, dict) for row in rows)


@given(ROWS.filter(bool), st.data())
def test_a_kill_at_any_byte_loses_only_the_line_that_was_being_written(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    rows = [{"id": number, **row, "id": number} for number, row in enumerate(rows)]  # noqa: F601 (the id must win and come first)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.jsonl")
        with Log(path, "thing", key="id") as log:
            log.add(*rows)
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        with Log(path, "thing", key="id") as log:
            kept = whole[:cut].count(b"\n")
            assert log.done == set(range(kept))
            assert log.dropped == cut - len(b"".join(whole.splitlines(keepends=True)[:kept]))
            log.add(*rows[kept:])
        assert path.read_bytes() == whole


def test_the_records_are_on_disk_before_add_returns(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl", "thing", key="id")
    log.add({"id": "a"})
    assert list(read(log.path, "thing", same)) == [{"id": "a"}]
    assert log.done == {"a"}
    log.close()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"schema": "cos.problem/2", "id": "a", "question": "?"}', "schema cos.problem/2 is unknown here"),
        ('{"schema": "cos.chain/1", "id": "a"}', "schema 'cos.chain/1' where cos.problem/1 is needed"),
        ('{"schema": 1}', "schema 1 where cos.problem/1 is needed"),
        ('{"id": "a"', "not JSON"),
        ("[1, 2]", "an object {...} is needed"),
        ('{"id": NaN}', "NaN is no JSON number"),
        ('{"id": "a"}', "the field 'question' is missing"),
        ('{"question": "?", "id": "\xff"}', "not UTF-8"),
    ],
)
def test_faults_name_file_line_and_reason(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "problems.jsonl"
    good = b'{"schema": "cos.problem/1", "id": "a", "question": "?"}\n\n'
    path.write_bytes(good + line.encode("latin-1") + b"\n")
    with pytest.raises(UserError) as caught:
        list(read(path, "problem", Problem.from_json))
    assert str(caught.value).startswith(f"{path}, line 3: ")
    assert reason in str(caught.value)


def test_a_missing_field_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n', "utf-8")
    with pytest.raises(UserError, match="line 1: the field 'b' is missing"):
        list(read(path, "thing", lambda row: row["b"]))
    with pytest.raises(UserError, match=r"nowhere\.jsonl: No such file"):
        list(lines(tmp_path / "nowhere.jsonl"))
    with pytest.raises(UserError, match="directory"):
        list(lines(tmp_path))


def test_rows_made_by_hand_need_no_schema_and_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "problems.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a", "question": "?"}\r\n')
    assert list(read(path, "problem", Problem.from_json)) == [Problem("a", "?")]


def test_half_a_surrogate_pair_survives(tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", "thing", [{"text": "\ud800 и"}])
    assert list(read(tmp_path / "rows.jsonl", "thing", same)) == [{"text": "\ud800 и"}]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write(path, "thing", [{"a": 1}])
    with pytest.raises(ValueError, match="JSON compliant"):
        write(path, "thing", [{"a": 2}, {"a": float("nan")}])
    assert list(read(path, "thing", same)) == [{"a": 1}]


def test_memory_stays_flat(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write(path, "thing", ({"text": "x" * 1000, "n": n} for n in range(10_000)))
    tracemalloc.start()
    assert sum(1 for _ in read(path, "thing", same)) == 10_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20 < path.stat().st_size


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/hostname", "link/x", "a\0b", "b/../x"])
def test_paths_that_leave_the_root_are_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(UserError) as caught:
        inside(root, path)
    assert "\n" not in str(caught.value)


@given(st.text())
def test_a_path_is_below_the_root_or_refused(path: str) -> None:
    try:
        assert inside("/some/root", path).is_relative_to("/some/root")
    except UserError as error:
        assert "\0" not in str(error)


def test_a_disk_that_takes_a_part_is_written_to_until_it_has_all(tmp_path: Path) -> None:
    class Small:
        """Takes seven bytes at a time, as a full disk may."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, data: Any) -> int:
            return int(self.file.write(bytes(data)[:7]))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    with Log(tmp_path / "log.jsonl", "thing", key="id") as log:
        log._file = Small(log._file)
        log.add({"id": "a"}, {"id": "b"})
    assert list(read(tmp_path / "log.jsonl", "thing", same)) == [{"id": "a"}, {"id": "b"}]
