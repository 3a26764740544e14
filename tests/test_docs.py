"""The pages are true: they are followed to the letter."""

import re
import shlex
import subprocess

import pytest

from tests.conftest import ASSAY, ROOT


def blocks(page):
    """(kind, file, body) of every fenced block."""
    return re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def test_add_a_task_works_as_written(tmp_path, assay):
    for _, file, body in blocks("docs/add-a-task.md"):
        if file:
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).write_text(body)
    outputs = []
    for kind, _, body in blocks("docs/add-a-task.md"):
        if kind == "console":
            for command in re.findall(r"^\$ (.*)$", body, re.MULTILINE):
                name, *arguments = shlex.split(command)
                program = ASSAY if name == "assay" else name
                done = subprocess.run([program, *arguments], cwd=tmp_path, capture_output=True, text=True)
                assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
                outputs.append(done.stdout)
    pin, preview, oracle, guess = outputs
    assert pin.strip() in (ROOT / "docs/add-a-task.md").read_text()
    assert "Which river flows through Vienna?" in preview
    assert re.search(r"rivers +4 +1\.0000", oracle)
    assert re.search(r"rivers +4 +0\.\d+", guess)


@pytest.mark.parametrize("target", ["setup", "demo", "test", "check"])
def test_the_readme_names_what_the_makefile_has(target):
    assert f"make {target}" in (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


COMMANDS = (
    *("run", "show", "samples", "runs", "list", "data status", "data fetch", "preview", "doctor"),
    *("board", "reindex", "demo", "submit validate"),
    *("compare", "gate init", "gate plan", "gate check", "gate history"),
    *("baseline promote", "baseline show", "baseline list", "watch"),
)


def test_every_command_and_option_is_documented(assay):
    page = (ROOT / "docs/cli.md").read_text()
    for command in (*COMMANDS, "export", "import"):
        assert f"assay {command}" in page
        for option in re.findall(r"(--[a-z-]+)", assay(*command.split(), "--help", check=0).stdout):
            assert option in page, f"{command} {option}"


def test_every_suite_is_documented(registry):
    text = (ROOT / "README.md").read_text() + (ROOT / "docs/cli.md").read_text()
    assert all(suite in text for suite in registry.suites)
