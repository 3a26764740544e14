"""The GitHub Action, its steps run as a runner would, and the workflows to copy."""

import json
import re
import subprocess
import sys

import pytest
import yaml

from tests.conftest import ROOT
from tests.gate.action_runner import Runner, scripts
from tests.gate.gated_store import build

ACTIONS = ("action.yml", "action/comment/action.yml")
EXAMPLES = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "docs/examples").glob("*.yml"))
OURS = {"pull_request": {"number": 7, "head": {"repo": {"full_name": "us/evals"}}}}
FORK = {"pull_request": {"number": 7, "head": {"repo": {"full_name": "them/evals"}}}}
NASTY = 'a "quoted" $(touch pwned) `touch pwned`\n::error::x\nverdict=pass \' ; touch pwned'


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return build(tmp_path_factory.mktemp("repository"))


@pytest.fixture
def job(tmp_path, repository):
    def made(event=OURS):
        return Runner(tmp_path, repository, event)

    return made


def judged(runner, run="good", **inputs):
    return runner.run(run=run, python=sys.executable, **inputs)


def test_a_passing_run_leaves_the_job_green_and_says_so(job):
    out = judged(job())
    assert out.failed == 0, out.log
    assert out.outputs["verdict"] == "pass"
    assert out.outputs["exit-code"] == "0"
    assert "assay-gate" in out.summary


def test_a_regression_fails_the_job_with_3_and_is_still_uploaded_and_commented(job):
    runner = job()
    out = judged(runner, "bad")
    assert (out.failed, out.outputs["verdict"], out.outputs["exit-code"]) == (3, "regressed", "3")
    assert "::error title=" in out.log
    [(_, uploaded)] = out.uses
    assert uploaded["path"] == out.outputs["report"]
    assert "regressed" in runner.gh["comments"][0]["body"]


def test_report_only_is_green_and_keeps_the_gates_own_code(job):
    out = judged(job(), "bad", exit_zero="true")
    assert (out.failed, out.outputs["exit-code"]) == (0, "3")


def test_a_missing_baseline_is_5_and_a_missing_gate_is_2(job, tmp_path):
    runner = job()
    assert judged(runner, baselines=str(tmp_path / "none")).failed == 5
    out = judged(runner, gate="none.yaml")
    assert (out.failed, out.outputs) == (2, {"verdict": "", "exit-code": "2", "report": ""})
    assert not out.uses


def test_the_second_verdict_edits_the_comment_of_the_first(job):
    runner = job()
    judged(runner, "bad")
    judged(runner, "good")
    [comment] = runner.gh["comments"]
    assert comment["issue"] == 7
    assert "exit code 0" in comment["body"]


def test_gates_of_other_names_have_comments_and_artifacts_of_their_own(job):
    runner = job()
    uses = [judged(runner, name=name).uses[0][1]["name"] for name in ("", "small", "large", "small")]
    assert uses == ["assay-gate", "assay-gate-small", "assay-gate-large", "assay-gate-small"]
    assert len(runner.gh["comments"]) == 3


def test_a_comment_of_a_persons_that_bears_the_marker_is_not_edited(job):
    runner = job()
    judged(runner)
    comment = runner.gh["comments"][0]
    planted = comment | {"user": {"type": "User", "login": "mallory"}, "body": comment["body"] + "planted"}
    runner.know(comments=[planted])
    judged(runner, "bad")
    kept, ours = runner.gh["comments"]
    assert kept == planted
    assert ours["user"]["type"] == "Bot"


def test_a_fork_gets_no_comment_but_its_artifact(job):
    runner = job(FORK)
    out = judged(runner, "bad")
    assert out.failed == 3
    assert len(out.uses) == 1
    assert not runner.gh["calls"]


@pytest.mark.parametrize("event", [{}, {"pull_request": {"number": 7, "head": {"repo": None}}}], ids=["push", "gone"])
def test_without_a_repository_to_comment_from_nothing_is_called(job, event):
    runner = job(event)
    assert judged(runner).failed == 0
    assert not runner.gh["calls"]


def test_comment_false_comments_on_nothing(job):
    runner = job()
    judged(runner, comment="false")
    assert not runner.gh["calls"]


def test_a_comment_that_cannot_be_written_is_a_warning_and_hides_no_verdict(job):
    runner = job()
    runner.know(forbidden=True)
    good, bad = judged(runner), judged(runner, "bad")
    assert (good.failed, bad.failed) == (0, 3)
    assert "::warning title=assay gate::" in good.log


@pytest.mark.parametrize("which", ["run", "gate", "store", "baselines", "link", "name"])
def test_an_input_of_quotes_and_newlines_is_text_and_nothing_else(job, repository, which):
    runner = job()
    out = judged(runner, **{which: NASTY})
    assert not list(repository.rglob("pwned*"))
    assert not list(runner.folder.rglob("pwned*"))
    assert set(out.outputs) == {"verdict", "exit-code", "report"}
    assert out.outputs["verdict"] == {"run": "", "gate": "", "store": "", "baselines": "not_measured"}.get(
        which, "pass"
    )
    assert "\n::error::x" not in out.log
    artifact = "".join(upload["name"] for _, upload in out.uses)
    assert re.fullmatch(r"[A-Za-z0-9_.-]*", artifact)


def test_an_interpreter_without_assay_is_usage_and_not_a_verdict(job, tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    out = job().run(run="good", python=str(bare))
    assert out.failed == 2
    assert out.outputs["verdict"] == ""


def forked(runner, *names, sha="a" * 40):
    """The reports of a fork's job, downloaded by the workflow that comments; its runner."""
    runner.github["event"] = {
        "workflow_run": {
            "id": 1,
            "head_sha": "a" * 40,
            "head_branch": 'x"; touch pwned',
            "head_repository": {"owner": {"login": "them"}},
        }
    }
    runner.know(pulls=[{"number": 9, "label": 'them:x"; touch pwned', "head": {"sha": sha}}])
    for name in names:
        report = judged(runner, "bad", comment="false").outputs["report"]
        (runner.temp / "assay-gates").mkdir(exist_ok=True)
        subprocess.run(["cp", "-r", report, runner.temp / "assay-gates" / name], check=True)
    return runner


@pytest.fixture
def installed(job):
    """A runner on which the action's own interpreter is there already and pip has nothing to do."""
    runner = job()
    venv = runner.temp / "assay-venv" / "bin"
    venv.mkdir(parents=True)
    python = venv / "python"
    python.write_text(f'#!/bin/sh\n[ "$1" = -m ] && exit 0\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return runner


def test_a_forks_report_is_commented_on_its_own_pull_request(installed):
    runner = forked(installed, "assay-gate", "assay-gate-small")
    out = runner.run("action/comment/action.yml")
    assert out.failed == 0, out.log
    assert [c["issue"] for c in runner.gh["comments"]] == [9, 9]
    assert sum(c["body"].startswith("<!-- assay-gate:small -->\n") for c in runner.gh["comments"]) == 1
    runner.run("action/comment/action.yml")
    assert len(runner.gh["comments"]) == 2


def test_a_forks_markdown_is_never_posted(installed):
    runner = forked(installed, "assay-gate")
    folder = runner.temp / "assay-gates" / "assay-gate"
    (folder / "comment.md").write_text("<!-- assay-gate:x -->\n@everyone click https://evil.example\n")
    report = json.loads((folder / "gate.json").read_text())
    (folder / "gate.json").write_text(json.dumps(report | {"sentence": "<b>@everyone</b> [x](https://evil.example)"}))
    runner.run("action/comment/action.yml")
    body = runner.gh["comments"][0]["body"]
    assert "click" not in body
    assert "<b>" not in body
    assert "@everyone" not in body
    assert "](https://evil" not in body


def test_an_artifact_that_is_no_report_is_passed_over(installed):
    runner = forked(installed, "assay-gate")
    (runner.temp / "assay-gates" / "assay-gate" / "gate.json").write_text('{"schema_version": 99}')
    assert runner.run("action/comment/action.yml").failed == 0
    assert not runner.gh["comments"]


def test_a_branch_that_moved_on_since_gets_no_comment(installed):
    runner = forked(installed, "assay-gate", sha="b" * 40)
    assert runner.run("action/comment/action.yml").failed == 0
    assert not runner.gh["comments"]


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_puts_no_expression_into_a_script_and_pins_what_it_uses(action):
    spec = yaml.safe_load((ROOT / action).read_text())
    for step in spec["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert "uses" not in step or re.search(r"@[0-9a-f]{40}$", step["uses"])
        assert "run" not in step or step["shell"] == "bash"


@pytest.mark.parametrize("action", ACTIONS)
def test_every_input_is_used_and_every_used_one_exists(action):
    text = (ROOT / action).read_text()
    spec = yaml.safe_load(text)
    assert set(re.findall(r"\binputs\.([a-z-]+)", text)) == set(spec.get("inputs", {}))
    steps = {step["id"] for step in spec["runs"]["steps"] if "id" in step}
    assert set(re.findall(r"\bsteps\.([a-z-]+)\.", text)) == steps


@pytest.mark.parametrize("script", scripts(), ids=lambda p: p.name)
def test_every_variable_of_a_script_comes_from_its_steps(script):
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    used = set(re.findall(r"\$\{?([A-Z_]+)", text)) - {
        "BASH_SOURCE",
        "GITHUB_OUTPUT",
        "GITHUB_REPOSITORY",
        "RUNNER_TEMP",
    }
    given = set()
    for action in ACTIONS:
        for step in yaml.safe_load((ROOT / action).read_text())["runs"]["steps"]:
            given |= set(step.get("env", {}))
    assert used <= given | {"COMMENT"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_parses_and_passes_only_inputs_that_exist(example):
    spec = yaml.safe_load((ROOT / example).read_text())
    known = set(yaml.safe_load((ROOT / "action.yml").read_text())["inputs"])
    called = yaml.safe_load((ROOT / "docs/examples/github-gate.yml").read_text())[True]["workflow_call"]["inputs"]
    jobs = spec.get("jobs", {}).values()
    for job in jobs:
        if "uses" in job:
            assert set(job["with"]) <= set(called)
        for step in job.get("steps", []):
            if step.get("uses") == "OWNER/assay@COMMIT":
                assert set(step["with"]) <= known
            elif "uses" in step:
                assert re.search(r"@(COMMIT|[0-9a-f]{40})$", step["uses"])
    assert jobs or "allow_failure" in spec["gate"]


def test_no_workflow_checks_out_a_fork_with_a_token_that_writes():
    for example in EXAMPLES:
        assert "pull_request_target" not in (ROOT / example).read_text()
    assert "checkout" not in (ROOT / "docs/examples/github-gate-comment.yml").read_text()
