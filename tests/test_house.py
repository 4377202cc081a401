"""The files that set the house up agree with one another."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PINS = dict(re.findall(r"^([a-z0-9-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.M))
REQUIREMENTS = [Requirement(text) for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]]]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_every_requirement_is_bounded_and_its_pin_lies_within(requirement: Requirement) -> None:
    assert {part.operator for part in requirement.specifier} == {">=", "<"}
    assert Version(PINS[requirement.name.lower()]) in requirement.specifier


def test_pins_name_no_local_build() -> None:
    assert not [name for name, version in PINS.items() if "+" in version]


def test_make_has_the_promised_targets() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in ("app", "test", "check", "models", "notebooks", "pictures"):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_a_space_installs_what_the_project_needs() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert sorted(lines) == sorted(PROJECT["dependencies"])


def test_a_space_would_start_this_app() -> None:
    head = yaml.safe_load((ROOT / "README.md").read_text("utf-8").split("---")[1])
    assert head["sdk"] == "gradio" and (ROOT / head["app_file"]).is_file() and head["license"] == PROJECT["license"].lower()
    assert head["sdk_version"] == PINS["gradio"]
    assert Version(head["python_version"]) in SpecifierSet(PROJECT["requires-python"])
    assert len(head["short_description"]) <= 60  # what the Hub takes
