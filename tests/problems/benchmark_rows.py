"""Forty made-up rows in each benchmark's own schema, with pictures, and the files they come in."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from PIL import Image

COUNT = 40
WORDS = ("red", "green", "blue", "grey")
Rows = list[dict[str, Any]]


def png(number: int, size: tuple[int, int] = (24, 16)) -> bytes:
    """A picture of one colour, another for each number."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (6 * number % 256, 50, 200)).save(buffer, "PNG")
    return buffer.getvalue()


def held(number: int) -> dict[str, Any]:
    """As the Hub's Parquet files have a picture."""
    return {"bytes": png(number), "path": None}


def mathvista() -> Rows:
    """Choices, integers, floats and lists in turn; the gold of a choice is its text."""
    kinds = [
        ("multi_choice", "text", "blue"),
        ("free_form", "integer", "7"),
        ("free_form", "float", "1.2"),
        ("free_form", "list", "[1, 2]"),
    ]
    rows = []
    for number in range(COUNT):
        question_type, answer_type, answer = kinds[number % 4]
        row: dict[str, Any] = {"pid": str(number + 1), "question": f"What of {number}?", "image": f"images/{number}.png"}
        row["decoded_image"] = held(number)
        row |= {"choices": list(WORDS) if number % 4 == 0 else None, "unit": None, "precision": 1.0 if answer_type == "float" else None}
        row |= {"answer": answer, "question_type": question_type, "answer_type": answer_type}
        meta = {
            "split": "testmini",
            "language": "english",
            "source": "made up",
            "category": "math-targeted-vqa",
            "task": f"task {number % 2}",
        }
        rows.append(row | {"metadata": meta | {"context": "plot", "grade": "", "skills": ["arithmetic"] + ["statistics"] * (number % 2)}})
    return rows


def mmstar() -> Rows:
    """Four choices in the question; three second-level categories of unequal size."""
    options = ", ".join(f"{letter}: {word}" for letter, word in zip("ABCD", WORDS, strict=True))
    sizes = ["object counting"] * 20 + ["recognition"] * 15 + ["localization"] * 5
    return [
        {"index": number, "question": f"What of {number}?\nOptions: {options}", "image": png(number), "answer": "ABCD"[number % 4]}
        | {"category": "fine-grained perception", "l2_category": l2, "meta_info": {"source": "MMBench", "split": "val", "image_path": "x"}}
        for number, l2 in enumerate(sizes)
    ]


def mmmu() -> Rows:
    """Choices (as the text of a list) and open answers; every third item has two pictures."""
    rows = []
    for number in range(COUNT):
        subject, is_open = ("Art_Theory", "Physics")[number % 2], number % 4 == 3
        row: dict[str, Any] = {"id": f"validation_{subject}_{number}", "question": f"What of {number} in <image 1>?", "explanation": ""}
        row |= {"options": "[]" if is_open else str(list(WORDS)), "answer": "['7', 'seven']" if is_open else "B"}
        row |= {
            "question_type": "open" if is_open else "multiple-choice",
            "topic_difficulty": "Easy",
            "subfield": "x",
            "img_type": "['Plots']",
        }
        row |= {f"image_{place}": None for place in range(1, 8)} | {"image_1": held(number)}
        rows.append(row | ({"image_2": held(number + 1)} if number % 3 == 0 else {}))
    return rows


def m3cot() -> Rows:
    """As many with a picture as in the other sets, and two without."""
    rows = [
        {"id": f"physical-{number}", "question": f"What of {number}?", "choices": list(WORDS), "context": "" if number % 2 else "Look."}
        | {"answer": "ABCD"[number % 4], "rationale": "r", "image": held(number), "image_id": str(number), "category": "c"}
        | {"domain": ("science", "commonsense")[number % 2], "topic": ("physics", "people")[number % 2], "split": "test"}
        for number in range(COUNT + 2)
    ]
    return [row | ({"image": None} if number in (3, 17) else {}) for number, row in enumerate(rows)]


def ai2d() -> Rows:
    """As on the Hub: no id, and the gold is an index as text."""
    return [
        {"question": f"What of {number}?", "options": list(WORDS), "answer": str(number % 4), "image": held(number)}
        for number in range(COUNT)
    ]


def chartqa() -> Rows:
    """Thirty questions by people, ten made by machine."""
    return [
        {
            "type": "human_test" if number < 30 else "augmented_test",
            "question": f"What of {number}?",
            "answer": str(number),
            "image": held(number),
        }
        for number in range(COUNT)
    ]


ROWS = {"mathvista": mathvista, "mmstar": mmstar, "mmmu": mmmu, "m3cot": m3cot, "ai2d": ai2d, "ai2d_no_mask": ai2d, "chartqa": chartqa}


def parquet(rows: Rows, path: Path) -> Path:
    """The rows as a Parquet file."""
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def tsv(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    """VLMEvalKit's form: columns A to D, a letter as gold, pictures as base64 text; every second item refers to the picture before it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["index", "question", *"ABCD", "answer", "category", "image"], delimiter="\t")
        table.writeheader()
        for number, row in enumerate(rows):
            picture = str(number - 1) if number % 2 else base64.b64encode(row["image"]["bytes"]).decode()
            own = {"index": number, "question": row["question"], "answer": "ABCD"[int(row["answer"])], "category": "food web"}
            table.writerow(own | dict(zip("ABCD", row["options"], strict=True)) | {"image": picture})
    return path


def json_lines(rows: Rows, path: Path, key: str) -> Path:
    """JSON lines, with the pictures as files below the folder of the file."""
    (path.parent / "pictures").mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows):
            name = None
            if row[key] is not None:
                name = f"pictures/{number}.png"
                path.with_name("pictures").joinpath(f"{number}.png").write_bytes(png(number))
            file.write(json.dumps({**row, key: name}) + "\n")
    return path
