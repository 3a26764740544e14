"""The Gates page: honest about what is not built, and what it offers instead runs today."""

import re
import shlex

import yaml

from assay.harness import exits
from assay.harness.cli import main
from assay.leaderboard.views import gates
from tests.leaderboard import scenes


def view():
    from assay.leaderboard.views import gates

    gates.view()


def steps():
    return yaml.safe_load(gates.WORKFLOW)["jobs"]["measure"]["steps"]


def test_the_page_says_that_no_gate_is_built_yet_and_what_one_will_show(tmp_path, monkeypatch):
    at = scenes.show(view, tmp_path, monkeypatch)
    assert "not built yet" in at.info[0].value
    said = scenes.said(at)
    assert "false blocks" in said
    assert "waivers" in said
    assert gates.WORKFLOW in said


def test_there_is_still_no_command_that_judges():
    assert "gate" not in main.commands


def test_every_command_of_the_workflow_exists_with_these_options():
    lines = [line.strip() for step in steps() for line in step.get("run", "").splitlines()]
    commands = [shlex.split(line.partition("|")[0]) for line in lines if line.startswith("assay ")]
    assert [c[1] for c in commands] == ["run", "show"]
    for _, name, *arguments in commands:
        main.commands[name].make_context(name, arguments)  # raises where an option is not known


def test_the_exit_codes_that_are_named_are_those_of_the_program(tmp_path, monkeypatch):
    said = scenes.said(scenes.show(view, tmp_path, monkeypatch))
    assert [int(n) for n in re.findall(r"code (\d)", said)] == [exits.PARTIAL, exits.USAGE]


def test_a_forks_code_does_not_run_on_ones_own_machine():
    workflow = yaml.safe_load(gates.WORKFLOW)
    assert "head.repo.full_name == github.repository" in workflow["jobs"]["measure"]["if"]
    assert workflow["permissions"] == {"contents": "read"}
