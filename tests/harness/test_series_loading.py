"""A series reads the next checkpoint while the last is asked: it changes when weights are read, never a number."""

import shutil
import subprocess
import sys
import threading
import weakref
from dataclasses import dataclass, field

import pytest
from click.testing import CliRunner

from assay.harness import ahead, store
from assay.harness.backends import loading, reading
from assay.harness.backends.base import BackendError, ModelOptions, open_backend, parse_reference
from assay.harness.backends.lm_eval import HuggingFace
from assay.harness.cli import main
from assay.harness.journal import Journal
from assay.tasks.types import LogLikelihood

CPU = ModelOptions(device="cpu", offline=True)
STEPS = ("step-000000", "step-000100", "step-000400")
ASKED = [LogLikelihood(key="t/0#0", context_ids=(5, 6, 7), continuation_ids=(8, 9), text="xy")]
TASK = "demo_animals"


@pytest.fixture
def series(reference, tmp_path):
    """Copies of real checkpoints, which a test may damage."""
    for step in STEPS:
        folder = tmp_path / "series" / step
        shutil.copytree(reference / "parity/checkpoints/series-a" / step, folder)
        for path in folder.iterdir():
            path.chmod(0o644)
    return tmp_path / "series"


@pytest.fixture
def run(tmp_path):
    """`assay run` in this process; returns its exit code, output, and the runs by label."""

    def measure(*models, limit=6, kept=tmp_path / "runs", task=TASK, more=()):
        given = [x for m in models for x in ("--model", f"hf:{m}")]
        asked = ["run", task, *given, "--store", str(kept), "--device", "cpu", "--limit", str(limit), *more]
        done = CliRunner().invoke(main, asked)
        return done, {r.plan.checkpoint.label: r for r in map(store.read_run, store.list_runs(kept))}

    return measure


@dataclass
class Seen:
    """What happened, in order: (event, checkpoint). `read` has a flag for each checkpoint whose reading has ended."""

    events: list = field(default_factory=list)
    aside: list = field(default_factory=list)
    read: dict = field(default_factory=lambda: {s: threading.Event() for s in STEPS})

    def of(self, *names):
        return [(name, label) for name, label in self.events if name in names]


@pytest.fixture
def seen(monkeypatch):
    """Records the real functions' calls."""
    found = Seen()
    read, begin, place, likelihoods = loading.read, reading.begin, loading.place, HuggingFace.likelihoods

    def recorded(parts, options):
        found.events.append(("read", parts.label))
        if threading.current_thread() is not threading.main_thread():
            found.aside.append(parts.label)
        try:
            return read(parts, options)
        finally:
            found.read[parts.label].set()

    def beginning(parts, options):
        found.events.append(("begun", parts.label))
        return begin(parts, options)

    def placing(parts, model, options):
        found.events.append(("placed", parts.label))
        return place(parts, model, options)

    def asking(self, requests):
        answers = likelihoods(self, requests)
        found.events.append(("asked", self.checkpoint.label))
        return answers

    monkeypatch.setattr(loading, "read", recorded)
    monkeypatch.setattr(reading, "begin", beginning)
    monkeypatch.setattr(loading, "place", placing)
    monkeypatch.setattr(HuggingFace, "likelihoods", asking)
    return found


def test_a_series_gives_every_sample_that_each_checkpoint_gives_alone(series, run, tmp_path):
    done, together = run(series / "*", task="demo")
    assert done.exit_code == 0, done.output
    for step in STEPS:
        _, alone = run(series / step, task="demo", kept=tmp_path / "alone")
        assert together[step].plan.run_id == alone[step].plan.run_id
        for name, result in alone[step].results.items():
            assert together[step].results[name].value == result.value
            assert together[step].samples(name).drop_columns("wall_s") == alone[step].samples(name).drop_columns(
                "wall_s"
            )


def test_the_next_checkpoint_is_read_whole_while_the_last_is_asked(series, run, seen, monkeypatch):
    asking = HuggingFace.likelihoods

    def waiting(self, requests):
        following = STEPS.index(self.checkpoint.label) + 1
        assert following == len(STEPS) or seen.read[STEPS[following]].wait(60), "nothing reads the next one"
        return asking(self, requests)

    monkeypatch.setattr(HuggingFace, "likelihoods", waiting)
    done, _ = run(series / "*")
    assert done.exit_code == 0, done.output
    assert seen.aside == [*STEPS[1:]]
    first, second, third = STEPS
    assert seen.of("begun", "placed", "asked") == [
        ("placed", first),
        ("begun", second),
        ("asked", first),
        ("placed", second),
        ("begun", third),
        ("asked", second),
        ("placed", third),
        ("asked", third),
    ]


def test_weights_are_gone_before_the_next_ones_go_to_the_device(series, run, seen, monkeypatch):
    placed, held = [], []
    place = loading.place

    def watching(parts, model, options):
        held.append([step for step, weight in placed if weight() is not None])
        placed.append((parts.label, weakref.ref(next(model.parameters()))))
        return place(parts, model, options)

    monkeypatch.setattr(loading, "place", watching)
    run(series / "*", task="demo", limit=2)
    assert held == [[], [], []]


def test_a_damaged_checkpoint_fails_alone_and_in_its_own_words(series, run, seen):
    _, damaged, _ = STEPS
    weights = series / damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    done, runs = run(series / "*")
    assert done.exit_code == 5
    assert {step for step, r in runs.items() if r.complete} == {STEPS[0], STEPS[2]}
    assert damaged in seen.aside
    with pytest.raises(BackendError, match="cannot load the model") as alone:
        open_backend(f"hf:{series / damaged}", CPU).load()
    assert f"not measured: {alone.value}" in done.output


def test_what_failed_while_it_was_prepared_is_said_by_load_and_read_again_by_the_next(series, seen):
    weights = series / STEPS[0] / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    backend = open_backend(f"hf:{series / STEPS[0]}", CPU)
    backend.prepare(1 << 40)
    with pytest.raises(BackendError, match="step-000000: cannot load the model"):
        backend.load()
    weights.write_bytes(whole)
    backend.load()
    assert len(seen.of("read")) == 2


def test_a_finished_series_reads_nothing(series, run, seen):
    run(series / "*")
    seen.events.clear()
    assert run(series / "*")[0].exit_code == 0
    assert not seen.events


def test_only_what_has_something_left_to_ask_is_read(series, run, seen):
    first, second, third = STEPS
    run(series / second)
    seen.events.clear()
    done, _ = run(series / "*")
    assert done.exit_code == 0, done.output
    assert seen.of("read") == [("read", first), ("read", third)]
    assert seen.of("begun") == [("begun", third)]


def _interrupted(run, series, step, monkeypatch):
    """A run that has every answer in its journal, and no result."""
    with monkeypatch.context() as patched:
        patched.setattr(store.RunWriter, "finish_task", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        done, runs = run(series / step)
    assert done.exit_code == 130
    return Journal(runs[step].path / "journal" / f"{TASK}.jsonl")


def test_a_run_whose_answers_are_all_journaled_is_scored_without_its_weights(series, run, seen, monkeypatch):
    first, second, third = STEPS
    _interrupted(run, series, second, monkeypatch)
    seen.events.clear()
    done, runs = run(series / "*")
    assert done.exit_code == 0, done.output
    assert runs[second].complete
    assert seen.of("read") == [("read", first), ("read", third)]


def test_a_run_whose_journal_is_torn_is_read_and_the_journal_left_to_its_writer(series, run, seen, monkeypatch):
    journal = _interrupted(run, series, STEPS[1], monkeypatch)
    torn = journal.path.read_bytes()[:-20]
    journal.path.write_bytes(torn)
    assert journal.peek() == {}
    assert journal.path.read_bytes() == torn
    run(series / "*")
    assert seen.of("begun") == [("begun", STEPS[1]), ("begun", STEPS[2])]


def test_fresh_reads_what_was_finished(series, run, seen):
    run(series / "*")
    seen.events.clear()
    run(series / "*", more=("--fresh", "--yes"))
    assert seen.of("begun") == [("begun", step) for step in STEPS[1:]]


SLOW = """
import os, signal, threading
import torch
from assay.harness.backends import loading
from assay.harness.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background ignores it
read = loading.read

def slowly(parts, options):
    model = read(parts, options)
    if threading.current_thread() is not threading.main_thread():
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(100):
            torch.ones(20_000_000)
    return model

loading.read = slowly
main()
"""


def test_an_interrupt_while_the_next_model_is_made_ends_as_any_other(series, tmp_path):
    """Python ends a daemon's thread wherever it is, and torch does not survive that."""
    asked = ["run", TASK, "--model", f"hf:{series}/*", "--device", "cpu", "--store", tmp_path / "runs"]
    done = subprocess.run([sys.executable, "-c", SLOW, *map(str, asked)], capture_output=True, text=True)
    assert (done.returncode, "interrupted" in done.stderr) == (130, True), done.stderr


@pytest.mark.parametrize(("dtype", "times"), [("float32", 4), ("bfloat16", 2)])
def test_it_is_read_only_where_as_much_memory_stays_free(series, seen, dtype, times):
    """Files of 16 bits: in float32 they take twice their size."""
    options = ModelOptions(device="cpu", offline=True, dtype=dtype)
    backend = open_backend(f"hf:{series / STEPS[0]}", options)
    enough = times * (series / STEPS[0] / "model.safetensors").stat().st_size
    backend.prepare(enough - 1)
    assert not seen.of("begun")
    backend.prepare(enough)
    backend.prepare(enough)
    assert seen.of("begun") == [("begun", STEPS[0])], "once"
    assert backend.likelihoods(ASKED) == open_backend(f"hf:{series / STEPS[0]}", options).likelihoods(ASKED)


def test_a_model_of_another_dtype_is_never_made_beside_one_that_is_asked(series, seen):
    """transformers would change torch's default dtype under its feet."""
    reference = parse_reference(f"hf:{series / STEPS[0]}")
    for dtype in ("bfloat16", "auto"):
        options = ModelOptions(device="cpu", offline=True, dtype=dtype)
        assert reading.begin(loading.find(reference, options), options).result(60) is None
    assert not seen.of("read")


def test_a_quantised_model_is_never_made_beside_one_that_is_asked(series, seen):
    """Its weights may go to the device at once."""
    reference = parse_reference(f"hf:{series / STEPS[0]}?load_in_4bit=true")
    assert reading.begin(loading.find(reference, CPU), CPU).result(60) is None
    assert not seen.of("read")


GIB = 2**30


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, 0),
        ({"proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 4194304 kB\n"}, 4 * GIB),
        (
            {
                "proc/meminfo": "MemAvailable: 4194304 kB\n",
                "sys/fs/cgroup/memory.max": f"{3 * GIB}\n",
                "sys/fs/cgroup/memory.current": f"{2 * GIB}\n",
                "sys/fs/cgroup/memory.stat": f"anon 7\ninactive_file {GIB}\n",
            },
            2 * GIB,
        ),
        (
            {
                "proc/meminfo": "MemAvailable: 4194304 kB\n",
                "sys/fs/cgroup/memory.max": "max\n",
                "sys/fs/cgroup/memory.current": f"{2 * GIB}\n",
                "sys/fs/cgroup/memory.stat": "inactive_file 0\n",
            },
            4 * GIB,
        ),
        (
            {
                "proc/meminfo": "MemAvailable: 4194304 kB\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{GIB}\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
                "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 5\n",
            },
            5,
        ),
    ],
    ids=["a system that does not tell", "no container", "a limit", "no limit", "a limit, version 1"],
)
def test_memory_is_what_the_machine_and_the_container_leave(tmp_path, files, left):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert ahead.available_bytes(tmp_path) == left
