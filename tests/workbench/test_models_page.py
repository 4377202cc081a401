"""The Models page: a model's numbers from its files, and who may have what loaded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import app
from cos.errors import UserError
from cos.models.scripted import ScriptedPolicy, ScriptedScorer
from workbench import models, session, shelf
from workbench.session import Session

REQUEST: Any = SimpleNamespace(session_hash="me", client=None)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with ten parameters in two files, a card, and notes."""
    (tmp_path / "small").mkdir()
    save_file({"a": np.zeros((2, 3), np.float32)}, tmp_path / "small" / "one.safetensors")
    save_file({"b": np.zeros(4, np.float16)}, tmp_path / "small" / "two.safetensors")
    (tmp_path / "small" / "README.md").write_text("# Small\n<img src=x onerror=1> **bold**", "utf-8")
    (tmp_path / "small" / "cos.json").write_text('{"schema": "cos.model/1", "look": "Describe."}', "utf-8")
    return tmp_path / "small"


def refused(do: models.Handlers, name: str, role: Any = "policy") -> str:
    with pytest.raises(UserError) as said:
        asyncio.run(do.load(name, role, REQUEST))
    return str(said.value)


def test_the_numbers_are_those_of_the_files(home: Path) -> None:
    found = shelf.weights(home)
    assert (found.parameters, found.types) == (10, ("F16", "F32"))
    assert found.bytes == sum(file.stat().st_size for file in home.glob("*.safetensors"))
    facts = dict(shelf.facts(str(home), "reward", False))
    assert (
        facts["parameters"].startswith("10 (F16, F32)") and facts["look"] == "describes the picture first" and len(facts["revision"]) == 12
    )
    assert dict(shelf.facts("scripted", "policy", True))["weights"] == "none: a script"
    assert dict(shelf.facts("nobody/none-such-model", "policy", False))["weights"] == "on the Hub, not here yet"
    assert "server" in dict(shelf.facts("judge:http://127.0.0.1:1/v1#m", "reward", False))["weights"]


def test_rewards_of_another_form_name_the_model_within() -> None:
    assert shelf.base("judge:a/b", "reward") == ("a/b", "policy") and shelf.base("visualprm:a/b", "reward") == ("a/b", "reward")
    assert shelf.base("confidence", "reward") == ("embedded", "policy") and shelf.base("blend:1*a/b+2*c/d", "reward") == ("a/b", "reward")


def test_the_card_is_text_and_models_are_told_apart(home: Path) -> None:
    do = models.Handlers(Session(policies=(str(home), "scripted")))
    choices, status, facts, code = do.start()
    assert choices.value == f"policy {home}" and "MB at most" in status
    assert "<img" not in facts and "&lt;img" in facts and "**bold**" in facts and "cos solve" in code and "load_policy" in code
    assert "the truth of a world" in do.show("reward oracle")[1]
    for chosen in (None, "", "policy /etc", "reward ../x", "root scripted"):
        with pytest.raises(UserError, match="does not offer"):
            do.show(chosen)


def test_what_is_in_memory_is_known() -> None:
    session.policy_of.cache_clear()
    assert ("policy", "scripted") not in session.loaded()
    Session().warm()
    assert {("policy", "scripted"), ("reward", "scripted")} <= session.loaded()


def test_nothing_is_loaded_for_visitors_unless_allowed(home: Path) -> None:
    assert "No models are loaded for visitors" in refused(models.Handlers(Session()), str(home))


def test_loading_keeps_within_limits(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    do = models.Handlers(Session(may_load=True))
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    assert "no safetensors" in refused(do, str(tmp_path / "pickled"))
    for name, role in (("http://127.0.0.1:22/v1#m", "policy"), ("judge:http://127.0.0.1:22/v1#m", "reward")):
        assert "where the app is started" in refused(do, name, role)
    assert "no Hub id" in refused(do, "../etc") and "not offered yet" in refused(do, " scripted ") and "not offered yet" in refused(do, "")
    assert "weights of its own" in refused(do, "oracle") and "weights of its own" in refused(do, "blend:1*a/b+1*c/d", "reward")
    monkeypatch.setattr(shelf, "MOST_BYTES", 100)
    assert "are the most here" in refused(do, str(home))
    monkeypatch.setattr(shelf, "OFFERED", 1)
    assert "offered already" in refused(do, str(home))


def test_the_hub_is_asked_for_sizes_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [SimpleNamespace(rfilename="a.safetensors", size=7 * 10**9), SimpleNamespace(rfilename="b.bin", size=1)]
    do = models.Handlers(Session(may_load=True))
    monkeypatch.setattr(shelf.HfApi, "model_info", lambda self, name, **more: SimpleNamespace(siblings=files))
    assert "7.0 GB" in refused(do, "some/model")
    files.pop(0)
    assert "no safetensors there" in refused(do, "some/model")

    def away(self: Any, name: str, **more: Any) -> Any:
        raise ConnectionError("https://secret.example")

    monkeypatch.setattr(shelf.HfApi, "model_info", away)
    assert "secret" not in refused(do, "some/model")


def test_a_loaded_model_is_offered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Session(may_load=True)
    monkeypatch.setattr(session, "load_policy", lambda name: ScriptedPolicy())
    shown = asyncio.run(models.Handlers(mine).load(str(home), "policy", REQUEST))
    assert mine.policies[-1] == str(home) and shown[0].value == f"policy {home}"
    monkeypatch.setattr(session, "load_scorer", lambda name: (_ for _ in ()).throw(UserError("no tags")))
    assert refused(models.Handlers(mine), str(home), "reward") == "no tags" and str(home) not in mine.rewards


def test_a_server_is_asked_for_this_machines_own_user_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, asked = Session(may_load=True, may_ask=True), list[str]()
    monkeypatch.setattr(session, "load_scorer", lambda name: asked.append(name) or ScriptedScorer())
    name = "judge:http://127.0.0.1:9/v1#m"
    shown = asyncio.run(models.Handlers(mine).load(name, "reward", REQUEST))
    assert asked == [name] and mine.rewards[-1] == name and "a server answers" in shown[2]


@pytest.mark.parametrize(
    ("arguments", "environment", "may", "asks"),
    [
        ([], {}, True, True),
        (["--host", "0.0.0.0"], {}, False, False),
        (["--host", "0.0.0.0", "--load"], {}, True, False),
        (["--no-load"], {}, False, True),
        ([], {"SPACE_ID": "a/b"}, False, False),
    ],
)
def test_only_this_machine_loads_by_default(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], environment: Any, may: bool, asks: bool
) -> None:
    for name in app.PUBLIC:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    seen: list[Session] = []
    monkeypatch.setattr(app, "build", seen.append)
    monkeypatch.setattr(app, "serve", lambda *given, **more: "")
    assert app.main(["--policy", "scripted", "--reward", "scripted", *arguments]) == 0
    assert seen[0].may_load is may and seen[0].may_ask is asks and seen[0].results == Path("runs")
