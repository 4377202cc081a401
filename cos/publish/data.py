"""Data sets for the Hub, and back: problems with their pictures as Parquet files by split, or a Parquet file as it is.

parcel = data_parcel("data/charts", "owner/charts", work)         # work: a folder for the files that are made
fetch_problems("owner/charts@COMMIT", "data/charts-again")        # the same records, the same bytes of pictures
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from cos.chain import Problem
from cos.errors import UserError
from cos.models.hub import fetch_data
from cos.problems import problem_files
from cos.problems.tables import COLUMNS, read_table, write_problems
from cos.publish.page import data_page
from cos.publish.parcel import CARD, Parcel
from cos.store import Log, inside

RECORDS = "problems.jsonl"
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")


def data_parcel(source: str, repo: str, work: Path) -> Parcel:
    """A folder of `cos data make`, or a Parquet file (`cos data convert --to parquet`). Raises UserError where every row is not good, as
    `cos data check` sees it."""
    if Path(source).suffix == ".parquet":
        return _as_it_is(Path(source), repo)
    records = Path(source) / RECORDS
    if not records.is_file():
        raise UserError(f"{source}: give a folder with {RECORDS} (cos data make), or a .parquet file (cos data convert --to parquet)")
    if bad := problem_files.check(records, None).bad:
        raise UserError(f"{records}, line {bad[0][0]}: {bad[0][1]}; cos data check names all {len(bad)} bad rows")
    splits: dict[str, list[Problem]] = {}
    for problem in problem_files.read_problems(records):
        splits.setdefault(re.sub(r"\W", "_", problem.split) or "train", []).append(problem)
    files: dict[str, Path | bytes] = {}
    for split, problems in splits.items():
        files[_place(split)] = work / f"{split}.parquet"
        write_problems(work / f"{split}.parquet", problems, records.parent)
    use = (
        f"```sh\ncos data fetch {repo} --out DIR\ncos sample --problems DIR/{RECORDS} --n 4 --out runs/pool\n```\n\n"
        f'```python\nfrom datasets import load_dataset\n\nload_dataset("{repo}")\n```'
    )
    own, columns = records.parent / CARD, [{"name": name, "dtype": kind} for name, kind in COLUMNS.items()]
    return Parcel(repo, "dataset", {**files, CARD: _card(own, repo, columns, use)})


def _as_it_is(file: Path, repo: str) -> Parcel:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_metadata(file).num_rows
    except (OSError, pyarrow.ArrowException) as problem:
        raise UserError(f"{file}: not a Parquet file ({str(problem).splitlines()[0]})") from None
    use = f'```python\nfrom datasets import load_dataset\n\nload_dataset("{repo}")       # {rows} rows\n```'
    return Parcel(repo, "dataset", {_place("train"): file, CARD: _card(file.with_name(CARD), repo, [], use)})


def _place(split: str) -> str:
    """By these names the Hub and `datasets` know a split, whatever it is called."""
    return f"data/{split}-00000-of-00001.parquet"


def _card(own: Path, repo: str, columns: list[dict[str, str]], use: str) -> bytes:
    return data_page(own.read_text("utf-8") if own.is_file() else None, str(own), repo, columns, use).encode()


def fetch_problems(name: str, out: str | Path, progress: Callable[[int], None] = lambda done: None) -> tuple[int, int]:
    """Problems of a data set of the Hub into `out/problems.jsonl`, and their pictures; what is there already is passed over. Returns how
    many there are, and how many are new. `progress` gets how many are done. Raises UserError where it holds none, or a path that leaves
    the folder."""
    files, home, count, new = sorted((fetch_data(name) / "data").glob("*.parquet")), Path(out), 0, 0
    if not files:
        raise UserError(f"data set {name}: has no data/*.parquet; read it with datasets.load_dataset")
    with Log(home / RECORDS, "problem", key="id") as log:
        for problem, picture in (row for file in files for row in read_table(file)):
            count += 1
            progress(count)
            if problem.id in log.done:
                continue
            if problem.image is not None and picture is not None:
                _keep(home, problem.image, picture)
            log.add(problem.to_json())
            new += 1
    return count, new


def _keep(home: Path, image: str, picture: bytes) -> None:
    """Under the path it had, which is a picture's and lies below the folder."""
    if Path(image).suffix.lower() not in _PICTURES:
        raise UserError(f"{image[:200]!r}: not a name of a picture ({', '.join(_PICTURES)}); this data set is not taken")
    file = inside(home, image)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(picture)
    part.replace(file)
