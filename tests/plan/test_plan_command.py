"""`cos plan`: the sizes of models of every family, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_families import FAMILIES as OTHERS
from tiny_families import tiny_family

from cos.__main__ import main
from cos.engine.reader import Reader
from cos.errors import UserError
from cos.plan.sizes import Size, size_of

SIZES = "parameters=7.7e9,layers=32,width=4096,kv_heads=8"


@pytest.mark.parametrize("family", ["internvl", *OTHERS])
def test_a_configuration_alone_says_how_large_a_model_is(family: str, tmp_path: Path) -> None:
    vlm = tiny_family(family)
    vlm.model.config.save_pretrained(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["config.json"]
    size, costs = size_of(str(tmp_path)), Reader(vlm).costs()
    assert (size.parameters, size.vision) == vlm.parameters()
    planned = size.costs(size.image_tokens, "float32")
    assert (planned.flops_per_token, planned.kv_bytes_per_token) == (costs.flops_per_token, costs.kv_bytes_per_token)
    if size.image_tokens:
        assert planned.flops_per_image == pytest.approx(costs.flops_per_image)
    else:
        assert family.startswith("qwen") and size.patches == 4
    assert size.width == vlm.head.weight.shape[1] and size.vocabulary == vlm.head.weight.shape[0] and size.vision_layers > 0


def test_sizes_given_and_mistakes_in_them(tmp_path: Path) -> None:
    assert size_of(SIZES) == Size(7.7e9, 32, 4096, 8)
    size = size_of(SIZES + ",vision=0,image_tokens=0, head_size=64")
    assert (size.vision, size.image_tokens, size.head_size) == (0.0, 0, 64) and isinstance(size.layers, int)
    assert size.costs(100, "float32").kv_bytes_per_token == 32 * 2 * 8 * 64 * 4
    for wrong, said in (
        ("layers=32,depth=3", "'depth' is no size"),
        ("layers=many", "a number is needed"),
        ("layers=0", "more than 0"),
        ("width=nan", "more than 0"),
        ("layers=32", "parameters and width and kv_heads missing"),
        ("nowhere", "no such folder"),
        ("scripted", "not known"),
        ("http://127.0.0.1:1/v1#m", "not known"),
        (str(tmp_path), "no configuration"),
    ):
        with pytest.raises(UserError, match=said):
            size_of(wrong)


def result(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["plan", *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_search(capsys: pytest.CaptureFixture[str]) -> None:
    hardware = ["--flops", "1e14", "--bandwidth", "2e12", "--memory", "40e9", "--price", "2", "--devices", "4", "--count", "1000"]
    found = result(capsys, "search", "--policy", SIZES, "--methods", "vote,step_beam", *hardware)
    vote, beam = found["rows"]
    assert beam["tokens"] == 13_512 and vote["tokens"] == 316 + 6400 and beam["kv_unshared_bytes"] > beam["kv_peak_bytes"]
    assert found["policy"]["weight_bytes"]["int4"] * 8 == found["policy"]["weight_bytes"]["float32"] == (7.7e9 + 0.34e9) * 4
    assert vote["fits"] and vote["memory_bytes"] == 8.04e9 * 2 + vote["kv_peak_bytes"]
    assert beam["memory_bytes"] == 2 * 8.04e9 * 2 + beam["kv_peak_bytes"]
    assert beam["hours"] == pytest.approx(beam["seconds"] * 1000 / 3600 / 4) and beam["price"] == pytest.approx(beam["hours"] * 4 * 2)
    again = result(capsys, "search", "--policy", SIZES, "--methods", "vote", "--bits", "4", "--together", "64", *hardware)["rows"][0]
    assert again["seconds"] < vote["seconds"] and again["memory_bytes"] == 8.04e9 / 2 + 64 * vote["kv_peak_bytes"]


def test_labels_and_trainings(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--policy", SIZES, "--image-tokens", "1792", "--count", "1000", "--flops", "312e12", "--devices", "8", "--memory", "80e9"]
    rows = {row["name"]: row for row in result(capsys, "label", *words, "--right", "0.7")["rows"]}
    assert rows["binary"]["chains"] == 300 and rows["binary"]["hours"] < rows["rollouts"]["hours"] * 0.3
    assert rows["sample"]["policy_decode"] == 400 and rows["rollouts"]["policy_decode"] == 16 * 80 * 10
    smaller = "parameters=1e9,layers=16,width=2048,kv_heads=8"
    judged = {row["name"]: row for row in result(capsys, "label", *words, "--judge", smaller)["rows"]}["judge"]
    assert judged["flops"] < rows["judge"]["flops"] / 4 and judged["tokens"] == rows["judge"]["tokens"]
    trained = result(capsys, "train", *words, "--epochs", "2")["rows"]
    assert [(row["name"], row["rank"]) for row in trained] == [(stage, rank) for stage in ("sft", "prm", "dpo") for rank in (0, 16)]
    assert trained[0]["tokens"] == 2 * 1000 * 2252 and trained[0]["memory_bytes"] == trained[0]["memory"]["total"]


def test_what_people_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--policy", SIZES]) == 0
    told = capsys.readouterr().out
    assert "step_beam" in told and "13.5k" in told and "16.1GB" in told and "hours" not in told
    assert main(["plan", "train", "--policy", SIZES, "--memory", "20e9", "--flops", "1e14"]) == 0
    told = capsys.readouterr().out
    assert "sft rank 16" in told and "! does not fit into 20GB" in told and "hours" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--methods", "vote,wave"], "no search method is called 'wave'"),
        (["--n", "0"], "--n is 0"),
        (["--width", "0"], "width is 0"),
        (["--image-tokens", "-1"], "must not be negative"),
        (["--right", "2"], "--right must lie between"),
        (["--price", "2"], "--flops is missing"),
        (["--policy", SIZES + ",image_tokens=0"], "--image-tokens is missing"),
        (["everything"], "invalid choice"),
    ],
)
def test_mistakes_are_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--policy", SIZES, *words]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
