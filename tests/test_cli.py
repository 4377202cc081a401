"""The command line: its contract (one JSON object, exit codes, one line for a mistake), and each verb with scripted models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cos.__main__ import VERBS, main
from cos.chain import Problem
from cos.commands import score as score_verb
from cos.models.scripted import ScriptedScorer
from cos.problems import check, draw
from cos.problems.pictures import open_picture
from cos.problems.released import check as check_rows
from cos.problems.released import read_rows
from cos.protocols import Prompt, ToScore
from cos.search.trace import SearchTrace, without_times
from cos.store import read
from cos.template import pieces

DATA = Path(__file__).parent / "data" / "released"
PICTURE = str(DATA / "images" / "a.png")
SCRIPTED = ("--policy", "scripted", "--reward", "scripted")
Captured = pytest.CaptureFixture[str]


def cos(capsys: Captured, *words: str, code: int = 0) -> Any:
    """Run in this process; the JSON object on standard output."""
    assert main([*words, "--json"]) == code, capsys.readouterr().err
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    return json.loads(shown)


def mistake(capsys: Captured, *words: str) -> str:
    """Run what must fail as a user's mistake; the one line that says so."""
    assert main(list(words)) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and shown.err.startswith("cos: ")
    return shown.err


# The frame ------------------------------------------------------------------------------------------------------------------------


def test_help_is_quick_and_loads_no_torch() -> None:
    code = "import sys; from cos.__main__ import main\ntry: main(['solve', '--help'])\nexcept SystemExit: print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "example: cos solve" in run.stdout and run.stdout.endswith("False\n")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example_and_the_common_options(capsys: Captured, verb: str) -> None:
    with pytest.raises(SystemExit) as end:
        main([*verb.split(), "--help"])
    text = capsys.readouterr().out
    assert end.value.code == 0 and f"example: cos {verb}" in text
    assert all(option in text for option in ("--config", "--seed", "--json"))


def test_the_list_of_verbs(capsys: Captured) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(verb in text for verb in ("data make", "train prm", "eval"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "a verb is missing"),
        ("dance", "no verb 'dance'"),
        ("data dance", "there are data make"),
        ("solve", "IMAGE is missing"),
        ("solve nowhere.png Q", "nowhere.png: no such picture"),
        (f"solve {DATA}/images/cut.png Q", "cut short"),
        (f"solve {PICTURE} Q --n x", "invalid int value"),
        (f"solve {PICTURE} Q --n 0", "n is 0; it must be 1 or more"),
        (f"solve {PICTURE} Q --method magic", "invalid choice: 'magic'"),
        (f"solve {PICTURE} Q --aggregator best", "no aggregator is called 'best'"),
        (f"solve {PICTURE} Q --policy nonsense", "policy nonsense: no such folder"),
        (f"solve {PICTURE} Q --policy http://localhost:1/v1#m", "no server answers there"),
        (f"solve {PICTURE} Q --policy scripted --reward oracle", "the reward oracle"),
        (f"solve {PICTURE} Q --trace /dev/null/t.json --policy scripted --reward scripted", "/dev/null"),
        (f"solve {PICTURE} Q --nn 3", "unrecognized arguments: --nn 3"),
        ("solve --config nowhere.yaml", "nowhere.yaml: No such file"),
        ("eval --set moons:test", "no problem set 'moons'"),
        ("eval --set charts", "no split ''"),
        ("eval --set charts:test --limit 0", "--limit is 0"),
        ("eval --set charts:test --methods vote,magic --policy scripted --reward scripted", "'magic'"),
        ("data check nowhere.jsonl", "nowhere.jsonl: No such file"),
        ("trace show nowhere.json", "nowhere.json"),
        ("score nowhere.jsonl --reward scripted --out x.jsonl", "nowhere.jsonl: No such file"),
        ("train sft --out x", "--model is missing"),
        ("train prm --model new:policy --out x", "take new:reward"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in mistake(capsys, *words.split())


def test_options_from_a_file_and_flags_before_it(capsys: Captured, tmp_path: Path) -> None:
    file = tmp_path / "solve.yaml"
    file.write_text(f"image: {PICTURE}\nquestion: How many?\npolicy: scripted\nreward: scripted\nmethod: vote\nn: 3\nmax-steps: 5\n")
    assert cos(capsys, "solve", "--config", str(file))["method"] == "vote"
    assert cos(capsys, "solve", "--config", str(file), "--method", "greedy")["method"] == "greedy"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour: red\n", "cos solve has no option 'colour'"),
        ("n: many\n", "n is 'many'; int is needed"),
        ("n: [\n", "line 2: not YAML"),
        ("- n\n", "needs lines such as"),
        ("json: 3\n", "must be true or false"),
        ("method: magic\n", "take one of greedy"),
        ("image: {a: 1}\n", "a text or a number is needed"),
    ],
)
def test_a_mistake_in_the_file(capsys: Captured, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    line = mistake(capsys, "solve", "--config", str(tmp_path / "c.yaml"))
    assert said in line and "c.yaml" in line


def test_ctrl_c_leaves_no_traceback(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cos.commands.env.run", stop)
    assert main(["env"]) == 130
    assert "Traceback" not in capsys.readouterr().err


# solve, trace ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["greedy", "vote", "step_beam"])
def test_solve_gives_the_contract(capsys: Captured, method: str) -> None:
    found = cos(capsys, "solve", PICTURE, "How many bars?", *SCRIPTED, "--method", method, "--n", "8")
    assert {"answer", "steps", "answer_reward", "method", "meter", "seconds"} <= set(found)
    assert found["method"] == method and found["answer"].isdigit() and 0 <= found["answer_reward"] <= 1
    assert found["steps"] and all(set(step) == {"name", "thought", "reflection", "reward"} for step in found["steps"])
    assert all(0 <= step["reward"] <= 1 for step in found["steps"])


def test_the_same_seed_gives_the_same_trace(capsys: Captured, tmp_path: Path) -> None:
    texts = {}
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        cos(capsys, "solve", PICTURE, "How many bars?", *SCRIPTED, "--seed", seed, "--trace", str(tmp_path / name))
        texts[name] = json.dumps(without_times(json.loads((tmp_path / name).read_text("utf-8"))))
    assert texts["a"] == texts["b"] != texts["c"]


def test_trace_show(capsys: Captured, tmp_path: Path) -> None:
    file = str(tmp_path / "t.json")
    cos(capsys, "solve", PICTURE, "How many bars?", *SCRIPTED, "--n", "4", "--trace", file)
    trace = SearchTrace.load(file)
    assert main(["trace", "show", file, "--full"]) == 0
    shown = capsys.readouterr().out
    for node in trace.nodes[1:]:
        assert (node.thought or f"answer: {node.answer}") in shown
    assert shown.count("*") == len(trace.line(trace.nodes[trace.chosen or 0]))
    assert cos(capsys, "trace", "show", file)["answer"] == trace.answer


# score ----------------------------------------------------------------------------------------------------------------------------


def test_score_writes_the_released_form_with_the_scorers_rewards(capsys: Captured, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    found = cos(capsys, "score", str(DATA / "score_in.jsonl"), "--reward", "scripted", "--images", str(DATA), "--out", str(out))
    assert (found["rows"], found["scored"], found["bad"]) == (2, 2, [])
    scorer = ScriptedScorer()
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    for row, given in zip(rows, read_rows(DATA / "score_in.jsonl"), strict=True):
        (opened,) = scorer.open([Prompt(given.question, open_picture(given.images[0], DATA))])
        (wanted,) = scorer.score([ToScore(opened.handle, tuple(pieces(given.chain)))])
        assert [*row["step_scores"], row["answer_score"]] == list(wanted.rewards)
        assert list(row) == [
            "question_id", "image", "reason_step_num", "answer_score", "extract_answer", "step_scores", "reasoning", "question",
        ]  # fmt: skip
        assert row["question_id"] == given.source["question_id"] and row["reasoning"] == given.source["reasoning"]


def test_score_goes_on_after_a_kill_and_keeps_chains_of_one_question_apart(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_verb, "BLOCK", 2)
    row = json.loads((DATA / "score_in.jsonl").read_text("utf-8").splitlines()[0])
    file, whole, cut = tmp_path / "in.jsonl", tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    file.write_text("".join(json.dumps({**row, "extract_answer": answer}) + "\n" for answer in "45564"), "utf-8")
    words = ("score", str(file), "--reward", "scripted", "--images", str(DATA), "--out")
    assert cos(capsys, *words, str(whole))["scored"] == 5
    cut.write_bytes(whole.read_bytes()[: len(whole.read_bytes()) * 3 // 5 - 20])
    again = cos(capsys, *words, str(cut))
    assert again["already"] > 0 and again["scored"] + again["already"] == 5
    assert cut.read_bytes() == whole.read_bytes()
    assert cos(capsys, *words, str(cut))["scored"] == 0


def test_score_names_bad_rows(capsys: Captured, tmp_path: Path) -> None:
    good = (DATA / "score_in.jsonl").read_text("utf-8").splitlines()
    lost = json.dumps({**json.loads(good[0]), "image": "images/lost.png"})
    file = tmp_path / "in.jsonl"
    file.write_text("\n".join([good[0], "", "{", lost, good[1]]) + "\n", "utf-8")
    words = ("score", str(file), "--reward", "scripted", "--images", str(DATA), "--out", str(tmp_path / "out.jsonl"))
    assert main([*words]) == 2
    assert f"{file}, line 3: not JSON" in capsys.readouterr().err
    found = cos(capsys, *words, "--on-error", "skip")
    assert [row["line"] for row in found["bad"]] == [3, 4] and "lost.png" in found["bad"][1]["reason"]
    assert len((tmp_path / "out.jsonl").read_text("utf-8").splitlines()) == 2


# data -----------------------------------------------------------------------------------------------------------------------------


def test_data_make_convert_check(capsys: Captured, tmp_path: Path) -> None:
    home = tmp_path / "d"
    words = ("data", "make", "--set", "all", "--split", "test", "--seed", "5", "--out", str(home), "--n")
    assert cos(capsys, *words, "3")["made"] == 3
    made = cos(capsys, *words, "6")
    assert (made["problems"], made["made"], made["worlds"]) == (6, 3, {"charts": 2, "digits": 2, "scenes": 2})
    problems = list(read(home / "problems.jsonl", "problem", Problem.from_json))
    for problem in problems:
        assert problem.image == f"images/{problem.id}.png"
        assert open_picture(problem.image, home).tobytes() == draw(problem).tobytes()
    cos(capsys, "data", "convert", str(home / "problems.jsonl"), "--to", "prm", "--out", str(home / "prm.jsonl"), "--images", str(home))
    assert cos(capsys, "data", "check", str(home / "prm.jsonl"), "--images", str(home)) == {"rows": 6, "good": 6, "bad": []}
    for row, problem in zip(read_rows(home / "prm.jsonl"), problems, strict=True):
        assert row.labels is not None and row.question == problem.question
        assert row.labels.steps == tuple(check(problem, step).label for step in row.chain.steps)


def test_data_check_exits_1_and_names_the_lines(capsys: Captured) -> None:
    found = cos(capsys, "data", "check", str(DATA / "bad_sft.jsonl"), "--images", str(DATA), code=1)
    assert found["rows"] == 12 and [row["line"] for row in found["bad"]] == [2, 3, 4, 5, 6, 7, 8, 10, 11, 12]
    assert all(row["reason"] for row in found["bad"])


def test_data_check_reads_problems_too(capsys: Captured, tmp_path: Path) -> None:
    file = tmp_path / "problems.jsonl"
    cos(capsys, "data", "make", "--set", "charts", "--split", "test", "--n", "2", "--out", str(tmp_path))
    assert cos(capsys, "data", "check", str(file)) == {"rows": 2, "good": 2, "bad": []}
    good = json.loads(file.read_text("utf-8").splitlines()[0])
    wrong = [
        good,
        {**good, "id": "x", "image": "images/lost.png"},
        {**good, "id": 3},
        {**good, "id": "y", "image": "../z.png"},
        {"id": "z"},
    ]
    with file.open("a") as out:
        out.writelines(json.dumps(row) + "\n" for row in [*wrong, {**good, "id": "v", "schema": "cos.problem/9"}])
    found = cos(capsys, "data", "check", str(file), code=1)["bad"]
    assert [row["line"] for row in found] == [3, 4, 5, 6, 7, 8]
    said = ("was there before", "lost.png", "`id` is missing", "leaves the folder", "`question` is missing", "cos.problem/9")
    assert all(part in row["reason"] for part, row in zip(said, found, strict=True))


@pytest.mark.parametrize("kind", ["sft", "prm", "dpo"])
def test_trl_rows_and_back(capsys: Captured, tmp_path: Path, kind: str) -> None:
    trl, back = tmp_path / "trl.jsonl", tmp_path / "back.jsonl"
    found = cos(capsys, "data", "convert", str(DATA / f"{kind}.jsonl"), "--to", "trl", "--out", str(trl), "--on-error", "skip")
    skipped = {row["line"] for row in found["bad"]}  # tags without a label have no place in a stepwise row
    kept = [row for line, row in enumerate(read_rows(DATA / f"{kind}.jsonl"), 1) if line not in skipped]
    rows = [json.loads(line) for line in trl.read_text("utf-8").splitlines()]
    assert rows and len(rows) == len(kept)
    for row, given in zip(rows, kept, strict=True):
        assert row["images"] == list(given.images)
        if kind == "prm":
            assert len(row["completions"]) == len(row["labels"]) == len(given.chain.steps) + 1
        else:
            assert [part["type"] for part in row["prompt"][0]["content"]] == ["image"] * len(given.images) + ["text"]
    single = [row for row in kept if len(row.images) <= 1]
    cos(capsys, "data", "convert", str(trl), "--to", "cos", "--out", str(back), "--on-error", "skip")
    assert check_rows(back, None).bad == ()
    for row, given in zip(read_rows(back), single, strict=True):
        assert (row.kind, row.question, row.images, row.chains) == (given.kind, given.question, given.images, given.chains)
        assert (row.labels and row.labels.steps) == (given.labels and given.labels.steps)


def test_a_conversion_that_stops_leaves_no_file(capsys: Captured, tmp_path: Path) -> None:
    line = mistake(capsys, "data", "convert", str(DATA / "bad_sft.jsonl"), "--to", "trl", "--out", str(tmp_path / "x.jsonl"))
    assert "bad_sft.jsonl, line 2" in line
    assert list(tmp_path.iterdir()) == []


# eval, train, env -----------------------------------------------------------------------------------------------------------------


def test_eval_gives_the_contract_and_goes_on(capsys: Captured, tmp_path: Path) -> None:
    words = ("eval", "--set", "all:test", "--methods", "greedy,vote,best_of_n", "--n", "4", "--out", str(tmp_path / "e"), *SCRIPTED)
    first = cos(capsys, *words, "--limit", "3")
    assert 0 <= first["pass_at_n"] <= 1 and list(first["methods"]) == ["greedy", "vote", "best_of_n"]
    assert {"accuracy", "ci95", "parse_rate", "tokens", "flops", "seconds"} <= set(first["methods"]["vote"])
    before = (tmp_path / "e" / "records.jsonl").read_bytes()
    assert cos(capsys, *words, "--limit", "6")["problems"] == 6
    assert (tmp_path / "e" / "records.jsonl").read_bytes().startswith(before)
    assert cos(capsys, *words, "--limit", "3") == first
    assert "holds a run with other settings (n)" in mistake(capsys, *words, "--n", "5")


def test_train_takes_recipes_and_flags(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cos.train import prm

    taken: list[prm.Config] = []
    monkeypatch.setattr("cos.commands.train_prm.model_of", lambda name, role: f"{name} as {role}")
    monkeypatch.setattr(prm, "run", lambda model, config, report: taken.append(config) or {"loss": 0.5})
    file = tmp_path / "r.yaml"
    file.write_text("model: new:reward\nout: runs/x\nseed: 4\nlanguage: 1\nmix: {swapped: 0}\nschedule: {steps: 9, learning_rate: 1e-3}\n")
    found = cos(capsys, "train", "prm", "--config", str(file), "--steps", "2")
    assert found == {"metrics": {"loss": 0.5}, "run": "runs/x", "model": "runs/x/model"}
    plain = prm.Config("runs/x")
    assert (taken[0].seed, taken[0].language, taken[0].mix.swapped, taken[0].mix.wrong) == (4, 1.0, 0.0, plain.mix.wrong)
    assert (taken[0].schedule.steps, taken[0].schedule.learning_rate, taken[0].schedule.batch) == (2, 1e-3, plain.schedule.batch)
    cos(capsys, "train", "prm", "--config", str(file), "--seed", "5", "--learning-rate", "0.1", "--out", "runs/y")
    assert (taken[1].seed, taken[1].schedule.learning_rate, taken[1].schedule.steps, taken[1].out) == (5, 0.1, 9, "runs/y")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bogus: 1", "has no field 'bogus'; there are out"),
        ("schedule: {stepps: 1}", "schedule has no field 'stepps'"),
        ("schedule: 5", "schedule: needs fields and values"),
        ("worlds: {all:train: many}", "int is needed"),
        ("worlds: 5", "names and values are needed"),
        ("language: true", "float is needed"),
        ("language: much", "float is needed"),
        ("seed: x", "a whole number is needed"),
    ],
)
def test_a_mistake_in_a_recipe(capsys: Captured, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "r.yaml").write_text(f"model: new:reward\nout: x\n{text}\n")
    line = mistake(capsys, "train", "prm", "--config", str(tmp_path / "r.yaml"))
    assert said in line and "r.yaml" in line


def test_env(capsys: Captured) -> None:
    found = cos(capsys, "env")
    assert found["python"] == ".".join(map(str, sys.version_info[:3])) and found["devices"] and found["torch"]
