"""A watch on a folder into which a training run writes: each whole checkpoint once, none that is not whole."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from assay.harness import store as stores
from assay.harness.gating import history
from tests.gate.training import asked, copy, finished, receiver, shard, until, watching

GATE = """
version: 1
suite: demo_animals demo_trades
baseline: {use: previous}
defaults: {tier: block, min_effect: 0.2}
"""
TELL = """
import json, os, sys
with open(sys.argv[1], "a") as out:
    out.write(json.dumps({k: v for k, v in os.environ.items() if k.startswith("ASSAY_")}) + "\\n")
"""
QUICK = ("--limit", "4", "--device", "cpu", "--offline", "--store", "runs", "--poll", "0.1", "--settle", "0.4")


def unreadable(folder):
    """Whole, but no model that anybody knows."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "none", "architectures": ["None"]}))
    return folder


def test_each_whole_checkpoint_is_measured_judged_and_told_of_once(series, ckpts, tmp_path):
    store, told = tmp_path / "runs", tmp_path / "told.jsonl"
    (tmp_path / "gate.yaml").write_text(GATE)
    (tmp_path / "tell.py").write_text(TELL)
    command = f"{sys.executable} {tmp_path / 'tell.py'} '{told}'"
    with receiver(503, 500) as web:
        arguments = (ckpts, "--gate", "gate.yaml", *QUICK, "--on-verdict", command, "--webhook", web.url)
        with watching(*arguments, cwd=tmp_path) as watch:
            # weights that grow, and lie still in between for longer than a checkpoint must
            first = ckpts / "step-000000"
            weights = (series / first.name / "model.safetensors").read_bytes()
            copy(series / first.name, tmp_path / first.name)
            (tmp_path / first.name / "model.safetensors").write_bytes(b"")
            (tmp_path / first.name).rename(first)
            for share in (0, 3, 400_000, len(weights) - 1):
                (first / "model.safetensors").write_bytes(weights[:share])
                watch.hears(
                    "step-000000: waits: model.safetensors has", f"{share:,}" if share > 3 else "no whole header"
                )
            assert not list(store.glob("*/plan.json"))
            (first / "model.safetensors").write_bytes(weights)
            watch.hears("step-000000: webhook told")

            # a shard that is missing
            sharded = copy(series / "step-000400", tmp_path / "elsewhere")
            shard(sharded)
            late = sharded / "model-00002-of-00002.safetensors"
            (tmp_path / late.name).write_bytes(late.read_bytes())
            late.unlink()
            shutil.copytree(sharded, ckpts / "step-000400")
            watch.hears("step-000400: waits: model-00002-of-00002.safetensors is missing")

            # a name that says it is not done; and a checkpoint that can't be loaded, which holds nobody up
            copy(series / "step-000100", ckpts / "step-000100.tmp")
            unreadable(copy(series / "step-000400", tmp_path / "unreadable")).rename(ckpts / "step-000050")
            watch.hears("step-000050: given up")
            assert [label for label, *_ in finished(store).values()] == ["step-000000"]
            (ckpts / "step-000100.tmp").rename(ckpts / "step-000100")
            watch.hears("step-000100: webhook told")
            shutil.copyfile(tmp_path / late.name, ckpts / "step-000400" / late.name)
            watch.hears("step-000400: webhook told")

            # one that has been measured under another name
            first.rename(ckpts / "kept-000000")
            watch.hears("kept-000000: measured before: run step-000000-")
            done, records = finished(store), history.paths(store)
            assert watch.ends(signal.SIGTERM) == 130

        with watching(*arguments, "--once", cwd=tmp_path) as again:
            assert again.awaited() == 5  # of step-000050, which is tried anew with each start
        assert [line.count("trying again") for line in again.said].count(1) == 1
        assert not any("measuring: run step-000" in line for line in again.said if "step-000050" not in line)

    labels = ["step-000000", "step-000100", "step-000400"]
    assert sorted(label for label, *_ in done.values()) == labels
    assert finished(store) == done
    assert asked(store) == dict.fromkeys(done, 1)
    assert len({weights for *_, weights in done.values()}) == len(labels)
    assert history.paths(store) == records
    assert sorted(history.read_file(p).candidate.run_id for p in records) == sorted(done)

    # the first attempts at the first verdict met a server that failed twice
    assert web.tries == len(labels) + 2
    assert [body["checkpoint"] for body in web.got] == labels
    assert [body["run_id"] for body in web.got] == sorted(done)
    heard = [json.loads(line) for line in told.read_text().splitlines()]
    assert [Path(env["ASSAY_CHECKPOINT"]).name for env in heard] == labels
    for env, body in zip(heard, web.got, strict=True):
        record = history.read_file(Path(env["ASSAY_GATE_JSON"]))
        assert env["ASSAY_RUN"] == record.candidate.run_id == body["run_id"]
        assert env["ASSAY_GATE_VERDICT"] == record.verdict == body["verdict"]
        assert env["ASSAY_GATE_EXIT_CODE"] == str(record.exit_code) == str(body["exit_code"])


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no /proc: which process is a watch's child?")
def test_a_watch_that_is_ended_or_killed_goes_on_where_it_was(series, ckpts, tmp_path):
    """By SIGTERM; together with its evaluation, as a power cut would; alone, so that the evaluation lives on."""
    store = tmp_path / "runs"
    arguments = (ckpts, "--suite", "demo", *QUICK, "--limit", "64", "--batch-size", "1")

    def answering():
        """Some answers of a run that is not finished are on disk."""
        return any(p.stat().st_size for p in store.glob("*/journal/*.jsonl")) or any(store.glob("*/results.json"))

    copy(series / "step-000100", ckpts / "step-000100")
    with watching(*arguments, cwd=tmp_path) as watch:
        until(answering, lambda: watch.said)
        (child,) = watch.children()
        assert watch.ends(signal.SIGTERM) == 130
        assert not Path(f"/proc/{child}").exists()
    (begun,) = stores.list_runs(store)
    plan, kept = stores.peek_run(begun).plan, {p: p.stat().st_mtime_ns for p in begun.glob("samples/*.parquet")}
    assert finished(store) == {}

    opened = (begun / stores.LOCK).stat().st_mtime_ns
    with watching(*arguments, cwd=tmp_path) as watch:
        until(lambda: (begun / stores.LOCK).stat().st_mtime_ns > opened, lambda: watch.said)
        (child,) = watch.children()
        os.killpg(child, signal.SIGKILL)
        watch.process.kill()
        assert watch.awaited() == -signal.SIGKILL
    assert finished(store) == {}

    (ckpts / "step-000100").rename(ckpts / "renamed-000100")
    with watching(*arguments, cwd=tmp_path) as watch:
        watch.hears("renamed-000100: measured: run", plan.run_id)
        copy(series / "step-000400", tmp_path / "step-000400").rename(ckpts / "step-000400")
        until(lambda: len(stores.list_runs(store)) == 2, lambda: watch.said)
        (child,) = watch.children()
        os.kill(child, signal.SIGSTOP)  # it lives, and is not done before the next watch has seen it
        watch.process.kill()
        assert watch.awaited() == -signal.SIGKILL
    with watching(*arguments, cwd=tmp_path) as watch:
        watch.hears("step-000400: waits: another process is writing")
        os.kill(child, signal.SIGCONT)
        watch.hears("step-000400: measured before")
        assert watch.ends(signal.SIGINT) == 130

    done = finished(store)
    assert sorted(label for label, *_ in done.values()) == ["step-000100", "step-000400"]
    assert done[plan.run_id][1] == plan.created
    assert all(path.stat().st_mtime_ns == written for path, written in kept.items())
    # the one that lived on says so last of all
    until(lambda: asked(store) == dict.fromkeys(done, 1), lambda: asked(store))


def test_new_rules_and_a_first_baseline_judge_again_and_a_second_try_turns_nothing_green(series, ckpts, assay):
    copy(series / "step-000100", ckpts / "step-000100")
    rules = Path(ckpts.parent / "gate.yaml")
    rules.write_text(GATE.replace("previous", "pinned/main"))
    command = ("watch", ckpts, "--gate", rules, *QUICK, "--limit", "16", "--once")
    store = ckpts.parent / "runs"
    for _ in range(2):
        assay(*command, check=5)
        assert len(history.paths(store)) == 1
    run = next(iter(finished(store)))
    assay("baseline", "promote", run, "--as", "main", "--reason", "first", "--by", "Ada", "--yes")
    for _ in range(2):
        assay(*command, check=0)
        assert len(history.paths(store)) == 2
    rules.write_text(rules.read_text() + "verdicts: {inconclusive: fail}\n")
    assay(*command, check=0)
    assert len(history.paths(store)) == 3
    assert asked(store) == {run: 1}


def test_one_folder_has_one_watch(ckpts, tmp_path, assay):
    with watching(ckpts, "--suite", "demo", *QUICK, cwd=tmp_path) as watch:
        watch.hears("watching")
        second = assay("watch", ckpts, "--suite", "demo", *QUICK, check=2)
        assert "another watch has it" in second.stderr
        assert watch.ends(signal.SIGTERM) == 130
    assay("watch", ckpts, "--suite", "demo", *QUICK, "--once", check=0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "--suite"),
        (("--suite", "demo", "--webhook", "ftp://example.org/x"), "https://"),
        (("--suite", "demo", "--on-verdict", "tell 'me"), "No closing quotation"),
        (("--suite", "demos"), "demos"),
    ],
)
def test_what_is_asked_wrongly_is_refused_before_anything_is_measured(ckpts, assay, given, said):
    done = assay("watch", ckpts, *given, "--once", check=2)
    assert said in done.stderr
