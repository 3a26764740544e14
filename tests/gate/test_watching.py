"""A watch on a folder into which a training run writes: each whole checkpoint once, none that is not whole."""

import json
import os
import shutil
import signal
import sys
import zipfile
from pathlib import Path

import pytest
import tenacity

from assay.harness import store as stores
from assay.harness.gating import history, hooks, wholeness
from assay.harness.gating.hooks import News
from tests.gate.training import asked, copy, finished, receiver, shard, until, watching
from tests.leaderboard import gated

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


@pytest.fixture
def series(reference):
    """Real checkpoints of one training run."""
    return reference / "parity/checkpoints/series-a"


@pytest.fixture
def ckpts(tmp_path):
    folder = tmp_path / "ckpts"
    folder.mkdir()
    return folder


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
    arguments = (ckpts, "--suite", "demo", *QUICK, "--limit", "16")

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


@pytest.fixture
def whole(series, tmp_path):
    """A checkpoint that is all there."""
    return copy(series / "step-000100", tmp_path / "step-000100")


def _shorten(path, length):
    path.write_bytes(path.read_bytes()[:length])


@pytest.mark.parametrize("length", [0, 7, 8, 5_000, 100_000, -1])
def test_torn_weights_are_not_whole(whole, length):
    assert wholeness.fault(whole) == ""
    _shorten(whole / "model.safetensors", length)
    assert "model.safetensors has" in wholeness.fault(whole)


def test_weights_with_something_behind_them_are_not_whole(whole):
    with (whole / "model.safetensors").open("ab") as out:
        out.write(b"x")
    assert "model.safetensors has" in wholeness.fault(whole)


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("model-00001-of-00002.safetensors", "model-00001-of-00002.safetensors is missing"),
        ("model.safetensors.index.json", "is a shard that no index names"),
        ("tokenizer.json", "no tokenizer"),
    ],
)
def test_a_checkpoint_in_parts_is_whole_when_its_last_file_is_there(whole, gone, said):
    shard(whole)
    assert wholeness.fault(whole) == ""
    (whole / gone).unlink()
    assert said in wholeness.fault(whole)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "trainer_state.json", "tokenizer_config.json"])
def test_a_torn_json_file_is_noticed(whole, name):
    _shorten(whole / name, -2)
    assert wholeness.fault(whole) == f"{name} is not whole"


@pytest.mark.parametrize("name", ["model.safetensors.tmp", "x.partial", "y.incomplete", ".model.safetensors.Xy12z9"])
def test_a_temporary_file_says_that_there_is_more_to_come(whole, name):
    (whole / name).touch()
    assert "temporary" in wholeness.fault(whole)
    (whole / name).rename(whole / ".gitattributes")
    assert wholeness.fault(whole) == ""


def test_weights_of_pytorch_are_whole_with_their_central_directory(whole):
    (whole / "model.safetensors").unlink()
    assert wholeness.fault(whole) == "no weights"
    weights = whole / "pytorch_model.bin"
    with zipfile.ZipFile(weights, "w") as archive:  # what torch.save writes
        archive.writestr("archive/data.pkl", b"x" * 1000)
    assert wholeness.fault(whole) == ""
    _shorten(weights, -30)
    assert wholeness.fault(whole) == "pytorch_model.bin is no whole PyTorch file"


def test_checkpoints_are_folders_with_a_config_and_a_final_name_by_step(whole, ckpts):
    for name in ("step-1000", "step-200", "last", "step-3.tmp", ".step-4", "tmp-checkpoint-5", "step-6.incomplete"):
        copy(whole, ckpts / name)
        (ckpts / name / "trainer_state.json").unlink()
    (ckpts / "logs").mkdir()
    (ckpts / "notes.txt").touch()
    (ckpts / "latest").symlink_to("step-1000")
    found = sorted(wholeness.checkpoints(ckpts), key=wholeness.place)
    assert [p.name for p in found] == ["step-200", "step-1000", "last"]


def test_a_look_sees_a_file_that_is_written_again_with_as_many_bytes(whole):
    before = wholeness.look(whole)
    assert wholeness.look(whole) == before
    path = whole / "config.json"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert wholeness.look(whole) != before


@pytest.fixture
def news(tmp_path):
    """A verdict that a gate has left in a store."""
    report = gated.report("regressed")
    return News(report=report, record=history.record(tmp_path / "runs", report), checkpoint=tmp_path / "step-7")


def test_a_webhook_that_does_not_take_it_is_asked_again_at_the_next_start_only(news):
    with receiver(404) as web:
        (said,) = hooks.deliver(hooks.parse("", web.url), news)
        assert said == "webhook not told: 127.0.0.1: HTTP status 404; again at the next start"
        assert list(hooks.deliver(hooks.parse("", web.url), news)) == ["webhook told"]
        assert list(hooks.deliver(hooks.parse("", web.url), news)) == []
        assert web.tries == 2
        (body,) = web.got
    assert (body["verdict"], body["exit_code"], body["checkpoint"]) == ("regressed", 3, "step-7")
    assert [f["name"] for f in body["failed"]] == [f.name for f in news.report.findings if f.effect == "fail"]


def test_a_webhook_that_nobody_answers_stops_nothing_and_its_secret_is_not_said(news, monkeypatch):
    monkeypatch.setattr(hooks, "BACKOFF", tenacity.wait_none())
    with receiver() as web:
        address = web.url
    (said,) = hooks.deliver(hooks.parse("", address), news)
    assert said == f"webhook not told: 127.0.0.1: ConnectionError, {hooks.ATTEMPTS} times; again at the next start"


@pytest.mark.parametrize("command", ["false", "/nonexistent/program", "sh -c 'exit 3'"])
def test_a_command_that_fails_stops_nothing_and_is_not_taken_for_told(news, command):
    (said,) = hooks.deliver(hooks.parse(command, ""), news)
    assert said.startswith("command not told: ")
    assert list(hooks.deliver(hooks.parse("true", ""), news)) == ["command told"]


def test_a_hook_that_is_added_later_does_not_hear_of_old_verdicts(news):
    assert list(hooks.deliver(hooks.parse("", ""), news)) == []
    with receiver() as web:
        assert list(hooks.deliver(hooks.parse("false", web.url), news)) == []
        assert web.tries == 0


def test_a_command_is_started_without_a_shell(news, tmp_path):
    list(hooks.deliver(hooks.parse(f"touch {tmp_path}/a;b '{tmp_path}/$HOME'", ""), news))
    assert (tmp_path / "a;b").exists()
    assert (tmp_path / "$HOME").exists()
