"""The command line as a user meets it: help, lists, bad input, exit codes."""

import json
import os
import signal
import subprocess
import time

import pytest

from tests.conftest import ASSAY, choice_rows


def test_help_teaches_every_command(assay):
    text = assay("--help", check=0).stdout
    for command in ("run", "show", "samples", "runs", "list", "data", "preview", "doctor", "demo"):
        assert command in text
        assert assay(command, "--help", check=0).stdout
    assert "Exit codes" in text


def test_lists_are_tables_and_json(assay):
    assert "arc_easy" in assay("list", "tasks", check=0).stdout
    suites = json.loads(assay("list", "suites", "--json", check=0).stdout)
    assert {"dclm-core", "dclm-extended"} <= {s["name"] for s in suites}
    tasks = json.loads(assay("list", "tasks", "--json", check=0).stdout)
    assert next(t for t in tasks if t["name"] == "boolq")["baseline"]["v2"] == 62


def test_listing_imports_nothing_heavy():
    """What keeps `assay list` under half a second; seconds themselves are not asserted on a shared machine."""
    code = (
        "import sys; from assay.harness.cli import main; main(['list', 'tasks'], standalone_mode=False); "
        "heavy = {'torch', 'numpy', 'pyarrow', 'transformers', 'lm_eval', 'scipy', 'requests'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([ASSAY.with_name("python"), "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "arc_eazy", "--model", "oracle"], "no task or suite is called 'arc_eazy'; did you mean arc_easy"),
        (["run", "demo", "--model", "orcale"], "unknown scheme 'orcale'; did you mean 'oracle'"),
        (["run", "demo", "--model", "hf:/nowhere/step-*"], "no checkpoint folder (with a config.json) matches"),
        (["run", "demo", "--model", "oracle", "--docs", "5:2"], "not a range A:B"),
        (["run", "demo", "--model", "oracle", "--docs", "x"], "--docs x: not a range A:B"),
        (["run", "demo", "--model", "oracle", "--docs", "0:1:2"], "not a range A:B"),
        (["run", "demo", "--model", "oracle", "--batch-size", "²"], "a whole number from 1, or auto"),
        (["run", "demo", "--model", "oracle", "--name", "../x"], "it names a folder"),
        (["run", "demo", "--model", "oracle", "--name", "latest"], "it names a folder"),
        (["run", "demo", "--model", "oracle", "--name", "x" * 300], "it names a folder"),
        (["preview", "demo"], "preview shows one task"),
        (["preview", "demo_sums", "--doc", "²"], "has no document"),
        (["run", "demo", "--model", "oracle", "--docs", "1:2", "--limit", "3"], "exclude each other"),
        (["run", "demo", "--model", "oracle", "--batch-size", "many"], "a whole number from 1, or auto"),
        (["run", "demo", "--model", "oracle", "--model", "constant", "--name", "x"], "--name names one run"),
        (["run", "demo"], "Missing option '--model'"),
        (["show", "nothing"], "no run in runs called 'nothing'"),
        (["preview", "demo_sums", "--doc", "999"], "has no document '999'"),
    ],
)
def test_bad_input_is_one_line_that_says_what_would_be_right(assay, arguments, said):
    done = assay(*arguments, check=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_a_run_prints_numbers_on_stdout_and_the_rest_on_stderr(assay):
    done = assay("run", "demo", "--model", "corrupted:0.5", check=0)
    assert "demo_centred" in done.stdout
    assert "kept in runs/" in done.stderr
    assert "kept in" not in done.stdout


def test_samples_are_json_lines_and_wrong_ones_can_be_picked(assay):
    assay("run", "demo", "--model", "corrupted:0.5", "--name", "half", check=0)
    rows = [json.loads(line) for line in assay("samples", "half", "demo_trades", check=0).stdout.splitlines()]
    wrong = [json.loads(line) for line in assay("samples", "half", "demo_trades", "--wrong").stdout.splitlines()]
    assert len(rows) == 48
    assert wrong == [r for r in rows if not r["correct"]]
    assert {"doc_id", "group", "options", "predicted", "target", "correct", "status", "response"} <= set(rows[0])
    assert set(rows[0]["options"][0]) == {"logprob", "tokens", "bytes", "greedy"}
    assert "has no samples of 'nope'; it has: demo_animals" in assay("samples", "half", "nope", check=2).stderr


def test_several_models_are_shown_side_by_side(assay):
    done = assay("run", "demo", "--model", "oracle", "--model", "random:1", check=0)
    assert "oracle" in done.stdout.splitlines()[1]
    assert "random:1" in done.stdout.splitlines()[1]
    assert len(json.loads(assay("runs", "--json", check=0).stdout)) == 2


def test_show_finds_runs_by_beginning_path_and_latest(assay, tmp_path):
    assay("run", "demo", "--model", "oracle", "--name", "alpha", check=0)
    assay("run", "demo", "--model", "random:1", "--name", "beta", check=0)
    assert "run alpha" in assay("show", "al", check=0).stdout
    assert "run beta" in assay("show", "latest", check=0).stdout
    assert "run alpha" in assay("show", tmp_path / "runs" / "alpha", check=0).stdout


def test_missing_data_is_reported_and_the_exit_code_says_so(assay, write_task):
    folder = write_task(choice_rows(4))
    (folder / "mine.jsonl").unlink()
    done = assay("run", "mine", "demo_animals", "--tasks-dir", folder, "--model", "oracle", check=5)
    assert "NO DATA" in done.stdout
    assert "assay data fetch mine" in done.stdout
    status = assay("data", "status", "mine", "--tasks-dir", folder, check=5)
    assert "missing" in status.stdout


def test_a_corrupt_data_file_stops_the_run_and_names_both_hashes(assay, write_task):
    folder = write_task(choice_rows(4))
    (folder / "mine.jsonl").write_text('{"query": "other"}\n')
    done = assay("run", "mine", "--tasks-dir", folder, "--model", "oracle", check=2)
    assert "git blob is" in done.stderr
    assert "expected" in done.stderr
    assert "damaged" in assay("data", "status", "mine", "--tasks-dir", folder, check=5).stdout


def test_fresh_asks_before_it_throws_a_run_away(assay):
    assay("run", "demo", "--model", "oracle", "--name", "x", check=0)
    assert assay("run", "demo", "--model", "oracle", "--name", "x", "--fresh").returncode != 0
    assay("run", "demo", "--model", "oracle", "--name", "x", "--fresh", "--yes", check=0)


def test_gpqa_rows_are_never_shown(assay, mirror):
    from assay.tasks import datasets, registry

    done = assay("preview", "gpqa_diamond", "--doc", "0", check=0)
    assert "protected" in done.stdout
    assay("run", "gpqa_diamond", "--model", "random:1", "--limit", "5", "--name", "g", check=0)
    shown = done.stdout + assay("samples", "g", "gpqa_diamond", check=0).stdout
    rows = datasets.load(registry.open_registry().tasks["gpqa_diamond"]).rows[:5]
    texts = [r["query"] for r in rows] + [c for r in rows for c in r["choices"] if len(c) > 12]
    assert not any(t[:40] in shown for t in texts)


def test_gpqa_rows_are_never_written(assay, mirror, tmp_path):
    from assay.tasks import datasets, registry

    assay("run", "gpqa_main", "--model", "random:1", "--limit", "4", check=0)
    rows = datasets.load(registry.open_registry().tasks["gpqa_main"]).rows[:4]
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert written
    assert not any(r["query"][:40].encode() in written for r in rows)


@pytest.fixture
def running(tmp_path, write_task):
    """A long run that has journaled its first answers: its command line and its process."""
    folder = write_task(choice_rows(20_000), shots=5)
    command = [ASSAY, "run", "mine", "--model", "random:1", "--tasks-dir", folder, "--name", "x"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/x/journal/*.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.05)
    return command, process


def test_interrupting_a_run_stops_cleanly_and_says_how_to_go_on(tmp_path, running):
    command, process = running
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command resumes" in errors
    assert "Traceback" not in errors
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0


def test_two_runs_at_once_on_one_run_directory(tmp_path, running):
    command, first = running
    second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert second.returncode == 2
    assert "another assay is writing this run" in second.stderr
    first.communicate(timeout=300)
    assert first.returncode == 0


def in_mount(tmp_path, options, then):
    """Run a shell command in a mount namespace with a small tmpfs at ./disk; skip where that is not allowed."""
    (tmp_path / "disk").mkdir()
    script = f"mount -t tmpfs -o {options} tmpfs {tmp_path}/disk && {then}"
    probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True)
    if probe.returncode:
        pytest.skip("user namespaces are not allowed here: no way to make a full or read-only disk")
    return subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, cwd=tmp_path)


def test_a_full_disk_is_an_error_that_loses_nothing(tmp_path, write_task):
    folder = write_task(choice_rows(3000))
    run = f"{ASSAY} run mine --model random:1 --tasks-dir {folder} --store {tmp_path}/disk/runs --name x"
    then = f"{run}; echo rc=$?; mount -o remount,size=64m {tmp_path}/disk; {run} && ls disk/runs/x"
    done = in_mount(tmp_path, "size=300k", then)
    assert "rc=5" in done.stdout, done.stderr
    assert "No space left on device. Nothing answered is lost" in done.stderr
    assert "Traceback" not in done.stderr
    assert "manifest.json" in done.stdout, "with room made, the same command completes the run"


def test_a_read_only_store_is_an_error_that_names_it(tmp_path):
    done = in_mount(tmp_path, "ro", f"{ASSAY} run demo --model oracle --store {tmp_path}/disk/runs; echo rc=$?")
    assert "rc=5" in done.stdout
    assert "Read-only file system" in done.stderr
    assert "disk/runs" in done.stderr
    assert "Traceback" not in done.stderr


def test_preview_shows_text_and_ids(assay):
    shown = json.loads(assay("preview", "demo_animals", "--doc", "2", "--json", check=0).stdout)
    assert shown["preamble"].count("Question:") == 2
    assert len(shown["requests"]) == 4
    assert shown["requests"][0]["context_ids"]


def test_doctor_names_remedies(assay):
    findings = json.loads(assay("doctor", "--json", check=0).stdout)
    assert {"hf: models", "data", "disk for runs", "Docker"} <= {f["what"] for f in findings}
    assert all(f["ok"] or f["remedy"] for f in findings)


def test_latest_is_the_run_that_was_asked_for_last(assay):
    for name in ("first", "second", "first"):
        assay("run", "demo_animals", "--model", "oracle", "--name", name, check=0)
    assert "run first" in assay("show", "latest", check=0).stdout


def test_one_damaged_run_does_not_hide_the_others(assay, tmp_path):
    for name in ("good", "bad"):
        assay("run", "demo_animals", "--model", "oracle", "--name", name, check=0)
    (tmp_path / "runs/bad/plan.json").write_text("3")
    done = assay("runs", check=0)
    assert "good" in done.stdout
    assert "left out" in done.stderr
    assert "not a JSON object" in assay("show", "bad", check=2).stderr
