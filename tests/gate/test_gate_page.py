"""docs/gate.md is true: its commands run, its tables are complete."""

import re
import shlex
import subprocess
from typing import get_args

import pytest
import yaml

from assay.harness.gating import config, types
from tests.conftest import ROOT
from tests.gate.gated_store import build

PAGE = (ROOT / "docs/gate.md").read_text()
FIRST = re.search(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]


def section(name):
    return re.search(rf"^## {re.escape(name)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def rows(text):
    """First cells of a section's tables."""
    return re.findall(r"^\| (.*?) \|", text, re.MULTILINE)


def test_the_commands_of_ten_minutes_end_with_a_gate_that_passes(tmp_path, assay):
    build(tmp_path)
    (tmp_path / "gate.yaml").unlink()
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for line in FIRST.splitlines():
        words = shlex.split(line.replace("--suite quick", "--suite demo").replace("RUN", "good"), comments=True)
        words = ["good" if w == "latest" else w for w in words]
        if words[0] == "assay":
            assay(*words[1:], *(["--yes"] if "promote" in words else []), check=0)


def test_every_key_is_in_the_table():
    found = " ".join(rows(section("gate.yaml")))
    for part in config.PARTS:
        for key in part.__dataclass_fields__:
            assert re.search(rf"\b{key}\b", found) or f"`{key}`" in section("gate.yaml"), key


def test_every_state_and_exit_code_is_in_its_table():
    states = " ".join(rows(section("States")))
    assert all(state.replace("_", " ") in states for state in get_args(types.State))
    assert {"0", "1", "2", "3", "4", "5"} <= set(rows(section("Exit codes")))


def test_every_input_of_the_action_is_in_the_table():
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    named = set(re.findall(r"`([a-z-]+)`", " ".join(rows(section("In ten minutes")))))
    assert named == set(inputs)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", PAGE))))
def test_what_the_page_links_to_is_there(link):
    assert (ROOT / "docs" / link).exists()


def test_the_calibration_has_its_place():
    assert PAGE.count("<!-- calibration -->") == 2
