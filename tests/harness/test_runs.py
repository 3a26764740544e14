"""Run directories: resumed without asking twice, guarded by their hashes, honest about what is missing."""

import json

import pyarrow.parquet as pq
import pytest

from assay.harness import runner, session, store
from assay.harness.backends.base import BackendError, ModelOptions, open_backend
from assay.harness.files import StoreError
from assay.harness.grading import Grading
from assay.harness.rendered import Rendered
from assay.harness.store import RunWriter
from assay.tasks.selection import DocRange
from tests.conftest import choice_rows

EVERYTHING = DocRange()


class Counted:
    """A backend that counts, and can be told to fail after so many requests."""

    def __init__(self, inner, fail_after=None):
        self._inner, self._left, self.asked = inner, fail_after, []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def study(self, spec, samples):
        if hasattr(self._inner, "study"):
            self._inner.study(spec, samples)

    def _count(self, requests):
        if self._left is not None and len(self.asked) + len(requests) > self._left:
            raise RuntimeError("the machine went away")
        self.asked += [r.key for r in requests]

    def likelihoods(self, requests):
        self._count(requests)
        return self._inner.likelihoods(requests)

    def generate(self, requests):
        self._count(requests)
        return self._inner.generate(requests)


class CountedFile(Counted):
    """Likewise for a backend whose answers lie ready."""

    def recorded(self, spec, document):
        self._count(document.requests)
        return self._inner.recorded(spec, document)


@pytest.fixture
def run(registry, tmp_path):
    def go(names=("demo",), model="random:1", fail_after=None, docs=EVERYTHING, fresh=False, registry=registry):
        specs = registry.select(names)
        inner = open_backend(model, ModelOptions())
        backend = (CountedFile if hasattr(inner, "recorded") else Counted)(inner, fail_after)
        plan = session.make_plan(specs, docs, backend, "r", {})
        with RunWriter(tmp_path / "runs", plan, fresh=fresh) as out:
            runner.run(registry, specs, docs, backend, out, runner.Means(Grading()))
        return store.read_run(tmp_path / "runs" / "r"), backend.asked

    return go


def contents(run):
    """Everything a run holds, without times."""
    tables = {}
    for path in sorted((run.path / "samples").glob("*.parquet")):
        tables[path.name] = pq.read_table(path).drop_columns(["wall_s"]).to_pydict()
    results = {t: (r.value, r.low, r.high, r.counts, r.groups, r.fingerprint) for t, r in run.results.items()}
    return tables, results, run.composites


def test_a_finished_run_asks_nothing_again(run):
    first, asked = run()
    again, asked_again = run()
    assert asked
    assert not asked_again
    assert contents(first) == contents(again)
    assert first.complete


def test_what_was_answered_before_a_failure_is_not_asked_again(run, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SHARD_DEFAULT", 8)
    monkeypatch.setattr(runner, "SHARD", {"generation": 8})
    whole, everything = run(model="random:1")
    with pytest.raises(RuntimeError, match="went away"):
        run(fresh=True, fail_after=100)
    half = store.read_run(whole.path)
    assert not half.complete
    resumed, rest = run()
    assert 0 < len(rest) < len(everything)
    answered = {k.rpartition("#")[0] or k for k in everything} - {k.rpartition("#")[0] or k for k in rest}
    assert answered, "something had been answered"
    assert contents(resumed) == contents(whole)


def test_a_torn_journal_line_costs_only_its_shard(run, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SHARD_DEFAULT", 8)
    whole, _ = run(("demo_trades",))
    with pytest.raises(RuntimeError):
        run(("demo_trades",), fail_after=60, fresh=True)
    journal = whole.path / "journal" / "demo_trades.jsonl"
    content = journal.read_bytes()
    journal.write_bytes(content[:-25])
    resumed, asked = run(("demo_trades",))
    assert len(asked) == 2 * (48 - 8 * (content.count(b"\n") - 1))
    assert contents(resumed) == contents(whole)


def test_a_journal_changed_in_the_middle_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SHARD_DEFAULT", 8)
    with pytest.raises(RuntimeError):
        run(("demo_trades",), fail_after=60)
    journal = tmp_path / "runs" / "r" / "journal" / "demo_trades.jsonl"
    lines = journal.read_bytes().split(b"\n")
    lines[0] = lines[0].replace(b"-", b"+", 1)
    journal.write_bytes(b"\n".join(lines))
    with pytest.raises(StoreError, match="changed on disk: a line fails its sha256"):
        run(("demo_trades",))


@pytest.mark.parametrize("name", ["results.json", "plan.json", "samples/demo_trades.parquet"])
def test_a_file_changed_on_disk_is_detected_and_named(run, name):
    finished, _ = run()
    path = finished.path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"{path.name}: changed on disk"):
        store.read_run(finished.path)


def test_a_removed_sample_file_is_detected(run):
    finished, _ = run()
    (finished.path / "samples" / "demo_sums.parquet").unlink()
    with pytest.raises(StoreError, match="missing"):
        store.read_run(finished.path)


def test_a_run_begun_with_another_model_is_not_continued(run):
    run(model="random:1")
    with pytest.raises(StoreError, match=r"was begun differently: .*--fresh"):
        run(model="random:2")
    again, asked = run(model="random:2", fresh=True)
    assert asked
    assert again.plan.identity["model"] == "random:2"


def test_a_run_written_by_another_version_is_not_continued(run, monkeypatch):
    run()
    monkeypatch.setattr(session, "__version__", "99.0")
    with pytest.raises(StoreError, match=r"assay version was '.*', now '99.0'"):
        run()


def test_a_task_whose_definition_changed_is_not_continued(run, write_task, tmp_path):
    from assay.tasks.registry import open_registry

    run(("mine",), registry=open_registry([write_task(choice_rows(5))]))
    changed = open_registry([write_task(choice_rows(5), shots=2)])
    with pytest.raises(StoreError, match="task 'mine' fingerprint"):
        run(("mine",), registry=changed)


def test_a_second_writer_is_turned_away(registry, tmp_path):
    backend = open_backend("oracle", ModelOptions())
    plan = session.make_plan(registry.select(["demo"]), DocRange(), backend, "r", {})
    with RunWriter(tmp_path, plan), pytest.raises(StoreError, match="another assay is writing this run"):
        RunWriter(tmp_path, plan)
    RunWriter(tmp_path, plan).close()


def test_a_task_without_data_is_reported_the_rest_runs_and_a_later_run_completes_it(run, write_task, tmp_path):
    from assay.tasks.registry import open_registry

    folder = write_task(choice_rows(6))
    kept = (folder / "mine.jsonl").read_bytes()
    (folder / "mine.jsonl").unlink()
    registry = open_registry([folder])
    first, _ = run(("mine", "demo_animals"), registry=registry)
    assert first.results["mine"].status == "no_data"
    assert first.results["demo_animals"].value is not None
    (folder / "mine.jsonl").write_bytes(kept)
    second, asked = run(("mine", "demo_animals"), registry=registry)
    assert second.results["mine"].value is not None
    assert {k.split("/")[0] for k in asked} == {"mine"}


def test_a_document_that_cannot_be_asked_leaves_the_task_without_a_score(run, write_task):
    from assay.tasks.registry import open_registry

    rows = [*choice_rows(4), {"query": "q", "choices": ["a", ""], "gold": 0}]
    found, _ = run(("mine",), registry=open_registry([write_task(rows)]))
    result = found.results["mine"]
    assert (result.status, result.value) == ("incomplete", None)
    assert result.counts == {"infra_error": 1, "ok": 4}
    assert "1 of 5 samples could not be scored, first 4: option 1 is empty" in result.message


def test_a_nan_is_asked_again_and_completes_the_run(run, tmp_path, write_task):
    """A replay file whose NaN stands for a broken checkpoint; a mended one completes the same questions."""
    from assay.tasks.registry import open_registry

    registry = open_registry([write_task(choice_rows(3))])
    lines = [
        {
            "task": "mine",
            "doc_id": str(d),
            "options": [{"logprob": -1.0 - o, "tokens": 1, "bytes": 1, "greedy": False} for o in range(4)],
        }
        for d in range(3)
    ]
    lines[1]["options"][2]["logprob"] = None
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    broken, _ = run(("mine",), model=f"replay:{path}", registry=registry)
    assert broken.results["mine"].value is None
    assert "not a number" in broken.results["mine"].message
    _, asked = run(("mine",), model=f"replay:{path}", registry=registry)
    assert asked, "unusable answers are asked again"


def test_replaying_a_runs_own_samples_gives_the_same_numbers(run, assay, tmp_path):
    first, _ = run(("demo",))
    lines = "".join(assay("samples", first.path, t, "--json", check=0).stdout for t in first.results)
    (tmp_path / "all.jsonl").write_text(lines)
    again, _ = run(("demo",), model=f"replay:{tmp_path / 'all.jsonl'}", fresh=True)
    assert {t: r.value for t, r in again.results.items()} == {t: r.value for t, r in first.results.items()}


def test_rows_a_to_b_are_drawn_and_scored_as_in_the_full_run(run):
    whole, _ = run(("demo_trades",))
    wanted = whole.samples("demo_trades").drop_columns(["wall_s"]).to_pylist()[10:20]
    part, _ = run(("demo_trades",), docs=DocRange(10, 20), fresh=True)
    assert part.samples("demo_trades").drop_columns(["wall_s"]).to_pylist() == wanted


def test_a_series_renders_each_question_once(registry):
    cache, made = Rendered(), []
    for _ in range(3):
        cache.get(("tokenizer", "task", 0), lambda: made.append(1) or [])
    assert made == [1]


def test_a_fresh_start_killed_midway_never_mixes_old_answers_in(run, monkeypatch):
    """--fresh dies after the plan is gone: the journal that still lies there belongs to nobody."""
    monkeypatch.setattr(runner, "SHARD_DEFAULT", 8)
    whole, _ = run(("demo_trades",), model="random:2", fresh=True)
    with pytest.raises(RuntimeError):
        run(("demo_trades",), model="random:1", fail_after=60, fresh=True)
    (whole.path / "plan.json").rename(whole.path / "plan.discarded")
    assert (whole.path / "journal" / "demo_trades.jsonl").is_file()
    again, asked = run(("demo_trades",), model="random:2")
    assert len(asked) == 96
    assert contents(again) == contents(whole)


def test_a_finished_run_is_shown_again_where_its_data_is_gone(run, write_task):
    from assay.tasks.registry import open_registry

    folder = write_task(choice_rows(6))
    registry = open_registry([folder])
    first, _ = run(("mine",), registry=registry)
    (folder / "mine.jsonl").unlink()
    again, asked = run(("mine",), registry=registry)
    assert not asked
    assert contents(again) == contents(first)


def test_answers_outlive_a_spell_without_data(run, write_task, monkeypatch):
    from assay.tasks.registry import open_registry

    monkeypatch.setattr(runner, "SHARD_DEFAULT", 2)
    folder = write_task(choice_rows(6))
    registry = open_registry([folder])
    with pytest.raises(RuntimeError):
        run(("mine",), registry=registry, fail_after=17)
    kept = (folder / "mine.jsonl").read_bytes()
    (folder / "mine.jsonl").unlink()
    gone, _ = run(("mine",), registry=registry)
    assert gone.results["mine"].status == "no_data"
    (folder / "mine.jsonl").write_bytes(kept)
    _, asked = run(("mine",), registry=registry)
    assert len(asked) == 8, "the two shards answered before are not asked again"


def test_a_folder_that_is_no_run_is_never_cleared(run, tmp_path):
    precious = tmp_path / "runs" / "r" / "samples" / "precious"
    precious.parent.mkdir(parents=True)
    precious.write_text("mine")
    for fresh in (False, True):
        with pytest.raises(StoreError, match="no run, yet it holds precious"):
            run(fresh=fresh)
    assert precious.read_text() == "mine"


def test_a_kill_between_samples_and_results_of_an_unfinished_task_leaves_a_usable_run(run, write_task, monkeypatch):
    from assay.tasks.registry import open_registry

    registry = open_registry([write_task([*choice_rows(4), {"query": "q", "choices": ["a", ""], "gold": 0}])])
    run(("mine", "demo_animals"), registry=registry)
    real, calls = RunWriter._write_results, []

    def killed(self, composites):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(self, composites)

    with monkeypatch.context() as m:
        m.setattr(RunWriter, "_write_results", killed)
        with pytest.raises(KeyboardInterrupt):
            run(("mine", "demo_animals"), registry=registry)
    again, _ = run(("mine", "demo_animals"), registry=registry)
    assert again.results["demo_animals"].value is not None
    assert again.results["mine"].status == "incomplete"


def test_data_that_arrives_during_a_run_waits_for_the_next(registry, tmp_path, write_task):
    from assay.tasks.registry import open_registry

    folder = write_task(choice_rows(6))
    kept = (folder / "mine.jsonl").read_bytes()
    (folder / "mine.jsonl").unlink()
    registry = open_registry([folder])
    specs, backend = registry.select(["mine"]), open_backend("oracle", ModelOptions())
    plan = session.make_plan(specs, EVERYTHING, backend, "r", {})
    (folder / "mine.jsonl").write_bytes(kept)
    with RunWriter(tmp_path / "runs", plan) as out:
        runner.run(registry, specs, EVERYTHING, backend, out, runner.Means(Grading()))
        assert out.results["mine"].status == "no_data"


def test_no_mean_is_taken_over_the_categories_that_happen_to_be_there(run, write_task):
    from assay.tasks.registry import open_registry

    rows = [r | {"category": "large" if i < 8 else "small"} for i, r in enumerate(choice_rows(10))]
    registry = open_registry([write_task(rows, categories=True)])
    found, _ = run(("mine",), registry=registry, docs=DocRange(4, 6))
    assert found.results["mine"].value is None
    assert "1 of 2 parts have no row in the range" in found.results["mine"].message


def test_rows_beyond_the_file_leave_the_task_without_a_score(run):
    found, _ = run(("demo_trades",), docs=DocRange(5000, 5001))
    assert (found.results["demo_trades"].status, found.results["demo_trades"].n) == ("incomplete", 0)


def test_a_run_of_another_schema_is_named_not_guessed_at(run):
    from assay.harness import files

    finished, _ = run(("demo_animals",))
    plan = files.unseal(finished.path / "plan.json") | {"schema_version": 4, "novelty": 1}
    (finished.path / "manifest.json").unlink()
    (finished.path / "plan.json").write_bytes(files.seal(plan))
    with pytest.raises(StoreError, match=r"written by assay .*, schema 4; this one reads schema 3"):
        store.read_run(finished.path)


def test_a_journal_folder_that_a_tool_dropped_is_made_again(run, monkeypatch):
    monkeypatch.setattr(runner, "SHARD_DEFAULT", 8)
    whole, _ = run(("demo_trades",))
    with pytest.raises(RuntimeError):
        run(("demo_trades",), fail_after=0, fresh=True)
    (whole.path / "journal").rmdir()
    resumed, _ = run(("demo_trades",))
    assert contents(resumed) == contents(whole)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"task": "mine"}', "doc_id"),
        ("not json", "the line"),
        ('{"task": "mine", "doc_id": "0", "options": [1, 2]}', r"options\.0"),
        ('{"task": "mine", "doc_id": "0", "options": [{"tokens": 1, "bytes": 1, "greedy": true}]}', "logprob"),
        ('{"task": "mine", "doc_id": "0", "response": "a"}\n' * 2, "stands twice"),
    ],
)
def test_a_replay_line_that_is_no_sample_names_file_line_and_key(tmp_path, line, said):
    (tmp_path / "f.jsonl").write_text(line)
    with pytest.raises(BackendError, match=rf"f.jsonl:[12]: .*{said}"):
        open_backend(f"replay:{tmp_path / 'f.jsonl'}", ModelOptions())
