"""What tells that a checkpoint is whole, and how verdicts are told."""

import os
import zipfile

import pytest
import tenacity

from assay.harness.gating import history, hooks, wholeness
from assay.harness.gating.hooks import News
from tests.gate.training import copy, receiver, shard
from tests.leaderboard import gated


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
