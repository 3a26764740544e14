"""Baselines: what was promoted comes back, or is refused; never another number, never another item."""

import csv
import dataclasses
import json
import subprocess

import click
import numpy as np
import pytest
from click.testing import CliRunner

from assay.harness import cli, cli_baseline, facts, store
from assay.harness.files import seal
from assay.harness.gating import baselines, repository, snapshots, vectors
from assay.harness.gating.baseline_files import IDS, ITEMS, RECORD, Baseline, encoded
from assay.harness.gating.baseline_views import changes
from assay.harness.gating.baselines import BaselineDamaged, BaselineMissing, NotPromotable, WrongName
from assay.harness.gating.repository import HistoryMissing
from assay.harness.gating.types import Measured, Snapshot
from assay.harness.interchange import imported, published
from assay.tasks.registry import open_registry
from tests.leaderboard.stores import measured

FILES = (ITEMS, IDS, RECORD)
WHEN = "2026-11-27T12:00:00Z"


def snapshot_of(run):
    return snapshots.of_run(run, facts.Known(), open_registry())


def promoted(run, folder, name="main", **more):
    said = {"reason": "first light", "by": "R. M.", "when": WHEN} | more
    return baselines.promote(run, snapshot_of(run), folder, name, **said)


def same(a, b):
    """Everything but names: of the snapshot, and of clusters, of which only who shares one is kept."""
    assert [getattr(a, k) for k in ("run_id", "label", "series", "step", "created", "settings", "averaged")] == [
        getattr(b, k) for k in ("run_id", "label", "series", "step", "created", "settings", "averaged")
    ]
    assert list(a.tasks) == sorted(b.tasks)
    for task, m in b.tasks.items():
        kept = a.tasks[task]
        exact = ("fingerprint", "value", "stderr", "n", "ids", "groups", "counts", "status", "higher_is_better")
        assert [getattr(kept, k) for k in exact] == [getattr(m, k) for k in exact]
        assert kept.scores.dtype == np.float64
        assert np.array_equal(kept.scores, m.scores, equal_nan=True)
        assert partition(kept.clusters) == partition(m.clusters)


def partition(clusters):
    """Which items share what, whatever it is called; those on their own stay so."""
    if clusters is None:
        return None
    seen = {"": -1}
    return [seen.setdefault(c, len(seen)) for c in clusters]


@pytest.fixture
def run(tmp_path, registry):
    return measured(tmp_path / "runs", registry, "one", model="corrupted:0.3", step=7, label="step-7")


def made(tasks, **more):
    return Snapshot(name="made", run_id="made", tasks=tasks, **more)


def task(scores, ids=None, **more):
    scores = np.asarray(scores, dtype=np.float64)
    ids = tuple(sorted(ids or map(str, range(len(scores)))))
    return Measured(fingerprint="f", value=0.5, stderr=0.1, n=len(scores), ids=ids, scores=scores, **more)


def kept(snapshot, folder, name="made"):
    """Write a snapshot that no run stands behind, and read it."""
    (folder / name).mkdir(parents=True)
    for file, content in encoded(Baseline(snapshot=snapshot, by="a", reason="b", when=WHEN)).items():
        (folder / name / file).write_bytes(content)
    return baselines.read(folder, name)


def test_a_measured_run_comes_back_as_it_was(run, tmp_path):
    path = promoted(run, tmp_path / "baselines")
    assert path == tmp_path / "baselines" / "main"
    found = baselines.load(tmp_path / "baselines", "main")
    assert (found.by, found.reason, found.when) == ("R. M.", "first light", WHEN)
    assert found.snapshot.name == "baseline main"
    same(found.snapshot, snapshot_of(run))


def test_clustered_and_categorised_tasks_come_back_as_they_were(mirror, registry, tmp_path):
    tasks = ("winograd", "jeopardy", "agi_eval_lsat_ar")
    run = measured(tmp_path / "runs", registry, "many", model="corrupted:0.3", tasks=tasks)
    promoted(run, tmp_path)
    found = baselines.read(tmp_path, "main")
    same(found, snapshot_of(run))
    assert len(set(found.tasks["winograd"].clusters)) > 100
    assert len(set(found.tasks["jeopardy"].groups)) == 5


@pytest.mark.parametrize(
    "ids",
    [
        ("0", "1", "10", "2", "20"),
        ("HumanEval/0", "HumanEval/7", "Mbpp/3"),
        ("007", "07", "7", "a07", "a7", "-7", "7b", "", "x/", "é/9", "a\nb1", "9" * 30),
    ],
)
def test_any_ids_come_back(ids, tmp_path):
    assert kept(made({"t": task(np.arange(len(ids)) % 2, ids)}), tmp_path).tasks["t"].ids == tuple(sorted(ids))


@pytest.mark.parametrize(
    ("scores", "encoding"),
    [
        ([0, 1, 1, 0, 1, 1, 1, 0, 1], "bits"),
        ([1], "bits"),
        ([0, 1, np.nan], "float64"),
        ([0.25, 1, 1 / 3], "float64"),
        ([3.5, np.inf], "float64"),
    ],
)
def test_any_scores_come_back(scores, encoding, tmp_path):
    found = kept(made({"t": task(scores)}), tmp_path)
    assert np.array_equal(found.tasks["t"].scores, np.float64(scores), equal_nan=True)
    assert json.loads((tmp_path / "made" / RECORD).read_bytes())["tasks"]["t"]["encoding"] == encoding


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    one, two = promoted(run, tmp_path / "a"), promoted(run, tmp_path / "b")
    assert [(one / f).read_bytes() for f in FILES] == [(two / f).read_bytes() for f in FILES]
    assert sorted(p.name for p in one.iterdir()) == sorted(FILES)


def test_the_record_is_written_last_so_that_a_crash_leaves_none_that_vouches(run, tmp_path):
    path = promoted(run, tmp_path)
    assert max(FILES, key=lambda f: (path / f).stat().st_mtime_ns) == RECORD
    (path / RECORD).unlink()
    with pytest.raises(BaselineMissing):
        baselines.read(tmp_path, "main")


def test_dclms_items_and_their_ids_stay_small(reference, tmp_path):
    """Its own counts; as many categories as MMLU, passages as long as SQuAD's; answers at random."""
    with (reference / "dclm" / "eval" / "eval_meta_data.csv").open() as f:
        counts = {row["Eval Task"]: int(row["#datapoints"]) for row in csv.DictReader(f)}
    assert sum(counts.values()) == 240_464
    rng = np.random.default_rng(0)
    categories = {"mmlu_zeroshot": 57, "mmlu_fewshot": 57, "bbq": 11, "jeopardy": 5}
    passages = {"squad": 5, "coqa": 16, "winograd": 2, "agi_eval_lsat_ar": 6}
    tasks = {}
    for name, n in counts.items():
        part = [f"category {i * categories[name] // n}" if name in categories else "" for i in range(n)]
        ids = [f"{g}/{i}" if g else str(i) for i, g in enumerate(part)]
        order = sorted(range(n), key=ids.__getitem__)
        shared = np.cumsum(rng.random(n) < 1 / passages[name]) if name in passages else None
        tasks[name] = Measured(
            fingerprint="0" * 64,
            value=0.5,
            stderr=0.01,
            n=n,
            ids=tuple(ids[i] for i in order),
            scores=rng.integers(0, 2, n).astype(np.float64),
            groups=tuple(part[i] for i in order) if name in categories else None,
            clusters=None if shared is None else tuple(f"{shared[i]:012x}" for i in order),
        )
    same(kept(made(tasks), tmp_path), made(tasks))
    sizes = {f: (tmp_path / "made" / f).stat().st_size for f in FILES}
    assert sizes[ITEMS] <= 31_000
    assert sizes[IDS] <= 5_000
    assert sizes[RECORD] <= 60_000


@pytest.mark.parametrize("file", FILES)
def test_any_flipped_bit_is_noticed(file, run, tmp_path):
    path = promoted(run, tmp_path) / file
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        torn = bytearray(whole)
        torn[place] ^= 1 << place % 8
        path.write_bytes(torn)
        with pytest.raises(BaselineDamaged) as caught:
            baselines.read(tmp_path, "main")
        assert str(path.parent) in str(caught.value)
        assert "promote a run anew" in str(caught.value)
    path.write_bytes(whole)
    baselines.read(tmp_path, "main")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("change", ["cut", "emptied", "longer"])
def test_a_file_cut_or_lengthened_is_noticed_and_named(file, change, run, tmp_path):
    path = promoted(run, tmp_path) / file
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-3], "emptied": b"", "longer": whole + b"}"}[change])
    with pytest.raises(BaselineDamaged, match=file):
        baselines.read(tmp_path, "main")


@pytest.mark.parametrize("file", [ITEMS, IDS])
def test_a_file_that_is_gone_or_of_another_baseline_is_noticed(file, run, registry, tmp_path):
    path = promoted(run, tmp_path) / file
    other = promoted(measured(tmp_path / "runs", registry, "two", tasks=("demo_sums",)), tmp_path, "other")
    path.write_bytes((other / file).read_bytes())
    with pytest.raises(BaselineDamaged, match=file):
        baselines.read(tmp_path, "main")
    path.unlink()
    with pytest.raises(BaselineDamaged, match="missing"):
        baselines.read(tmp_path, "main")


def resealed(path, change):
    """Change a record and seal it again, as somebody would who means to."""
    record = json.loads(path.read_bytes())
    del record["sha256"]
    change(record)
    path.write_bytes(seal(record))


def swap_vectors(record):
    a, b = record["tasks"]["demo_animals"], record["tasks"]["demo_capitals"]
    a["items_at"], b["items_at"] = b["items_at"], a["items_at"]


HOSTILE = {
    "swapped vectors": swap_vectors,
    "more items than bits": lambda r: r["tasks"]["demo_sums"].update(items=10**12),
    "fewer items": lambda r: r["tasks"]["demo_sums"].update(items=47),
    "an encoding of tomorrow": lambda r: r["tasks"]["demo_sums"].update(encoding="bfloat16"),
    "a frame that unpacks to more than there is memory": lambda r: r["files"][ITEMS].update(unpacked=10**15),
    "a task that says nothing": lambda r: r["tasks"].update(demo_sums={}),
    "tasks that are a list": lambda r: r.update(tasks=[]),
    "a value in words": lambda r: r["tasks"]["demo_sums"].update(value="nan"),
    "no author": lambda r: r.pop("by"),
}


@pytest.mark.parametrize("change", HOSTILE)
def test_a_record_that_was_changed_and_sealed_again_is_refused(change, run, tmp_path):
    resealed(promoted(run, tmp_path) / RECORD, HOSTILE[change])
    with pytest.raises(BaselineDamaged):
        baselines.read(tmp_path, "main")


def test_swapped_ids_are_refused(tmp_path):
    kept(made({"a": task([0, 1], ("1", "2")), "b": task([0, 1], ("8", "9"))}), tmp_path)

    def swap(record):
        a, b = record["tasks"]["a"], record["tasks"]["b"]
        a["ids_at"], b["ids_at"] = b["ids_at"], a["ids_at"]

    resealed(tmp_path / "made" / RECORD, swap)
    with pytest.raises(BaselineDamaged, match=rf"{IDS}: the ids of 'a'"):
        baselines.read(tmp_path, "made")


def test_ids_that_promise_more_items_than_they_are_cost_no_memory():
    with pytest.raises(ValueError, match="other than 3 items"):
        vectors.unpack_ids(b'{"numbered": {"": {"gaps": [0], "counts": [1000000000000]}}, "other": []}', 3)
    with pytest.raises(ValueError, match="twice"):
        vectors.unpack_ids(b'{"numbered": {}, "other": ["a", "a", "b"]}', 3)


def test_an_unresolved_merge_is_said_to_be_one(run, tmp_path):
    path = promoted(run, tmp_path) / RECORD
    path.write_text(f"<<<<<<< HEAD\n{path.read_text()}=======\n>>>>>>> other\n")
    with pytest.raises(BaselineDamaged, match=r"baseline\.json.*merge"):
        baselines.read(tmp_path, "main")


def test_another_schema_version_is_refused(run, tmp_path):
    resealed(promoted(run, tmp_path) / RECORD, lambda r: r.update(schema_version=2))
    with pytest.raises(BaselineDamaged, match="schema version 2, this assay reads 1"):
        baselines.read(tmp_path, "main")


@pytest.mark.parametrize("name", ["..", ".", "../main", "a/b", "/etc", "", "main\n", "a\\b", "mäin", "a b"])
def test_a_name_that_is_a_path_is_refused(name, run, tmp_path):
    for refused in (
        lambda: baselines.read(tmp_path, name),
        lambda: baselines.at_merge_base(tmp_path, name),
        lambda: promoted(run, tmp_path / "baselines", name),
    ):
        with pytest.raises(WrongName, match="can be called"):
            refused()
    assert not (tmp_path / "baselines").exists()


def test_a_missing_baseline_names_those_there_are_and_how_to_make_one(run, tmp_path):
    with pytest.raises(BaselineMissing, match="none yet"):
        baselines.read(tmp_path / "nowhere", "main")
    promoted(run, tmp_path, "v1.0_rc-2")
    (tmp_path / "not one").mkdir()
    assert baselines.names(tmp_path) == ["v1.0_rc-2"]
    with pytest.raises(BaselineMissing, match=r"v1\.0_rc-2.*assay baseline promote RUN --as main"):
        baselines.read(tmp_path, "main")


def test_promoting_again_replaces_what_was_there(run, registry, tmp_path):
    promoted(run, tmp_path)
    other = measured(tmp_path / "runs", registry, "two", model="oracle")
    promoted(other, tmp_path)
    same(baselines.read(tmp_path, "main"), snapshot_of(other))


def test_an_unfinished_run_is_refused(run, tmp_path):
    (run.path / "manifest.json").unlink()
    with pytest.raises(NotPromotable, match="not finished"):
        promoted(store.read_run(run.path), tmp_path / "baselines")
    assert not (tmp_path / "baselines").exists()


def test_numbers_without_samples_are_refused(registry, tmp_path):
    run = measured(tmp_path / "runs", registry, "one")
    told = [published.result(registry.tasks[t], 0.5, 1.0, "elsewhere") for t in run.results]
    plan = dataclasses.replace(run.plan, run_id="told", environment={"imported": {"tool": "elsewhere"}})
    with pytest.raises(NotPromotable, match="'demo_animals' has no samples"):
        promoted(imported.save(imported.Imported(plan=plan, results=told), tmp_path / "runs"), tmp_path)


def test_a_task_without_data_is_refused(registry, tmp_path, monkeypatch):
    monkeypatch.delenv("ASSAY_DATA", raising=False)
    run = measured(tmp_path / "runs", registry, "holes", tasks=("demo_sums", "copa"))
    assert run.complete
    with pytest.raises(NotPromotable, match="'copa' has no value"):
        promoted(run, tmp_path)


@pytest.mark.parametrize(("lost", "refused"), [(1, False), (2, True)])
def test_what_the_machine_may_lose_is_half_a_percent(lost, refused, run, tmp_path):
    results = {
        t: dataclasses.replace(r, counts={"ok": 200 - lost, "infra_error": lost}) for t, r in run.results.items()
    }
    damaged = dataclasses.replace(run, results=results)
    if refused:
        with pytest.raises(NotPromotable, match="lost 2 of 200 samples"):
            promoted(damaged, tmp_path)
    else:
        promoted(damaged, tmp_path)


def test_a_run_with_an_item_twice_is_refused(run, tmp_path):
    rows = run.samples("demo_sums").to_pylist()
    made = imported.Imported(
        plan=dataclasses.replace(run.plan, run_id="twice", tasks={"demo_sums": run.plan.tasks["demo_sums"]}),
        results=[run.results["demo_sums"]],
        samples={"demo_sums": [*rows, rows[3]]},
    )
    twice = imported.save(made, tmp_path / "runs")
    with pytest.raises(NotPromotable, match=r"'demo_sums' has items twice \(3\)"):
        promoted(twice, tmp_path)


@pytest.mark.parametrize("missing", ["reason", "by"])
def test_a_baseline_needs_a_reason_and_somebody(missing, run, tmp_path):
    with pytest.raises(NotPromotable, match="needs a reason"):
        promoted(run, tmp_path, **{missing: "  "})


def test_the_same_weights_twice_say_how_much_measuring_flips(run, tmp_path):
    first = snapshot_of(run)
    sums = first.tasks["demo_sums"]
    noisy = sums.scores.copy()
    noisy[:6] = 1 - noisy[:6]
    noisy[6] = np.nan  # lost by the machine: says nothing of flips
    tasks = {**first.tasks, "demo_sums": dataclasses.replace(sums, scores=noisy)}
    second = dataclasses.replace(first, run_id="once more", tasks=tasks)
    promoted(run, tmp_path, again=second)
    found = baselines.read(tmp_path, "main").self_flips
    assert found == {"demo_animals": 0, "demo_capitals": 0, "demo_sums": pytest.approx(6 / 47), "demo_trades": 0}


def test_other_weights_another_task_and_the_run_itself_are_no_second_measurement(run, registry, tmp_path):
    first = snapshot_of(run)
    other = snapshot_of(measured(tmp_path / "runs", registry, "two", model="oracle"))
    with pytest.raises(NotPromotable, match="other weights"):
        promoted(run, tmp_path, again=other)
    with pytest.raises(NotPromotable, match="itself"):
        promoted(run, tmp_path, again=first)
    changed = {t: dataclasses.replace(m, fingerprint="another") for t, m in first.tasks.items()}
    with pytest.raises(NotPromotable, match="fingerprints differ"):
        promoted(run, tmp_path, again=dataclasses.replace(first, run_id="x", tasks=changed))
    with pytest.raises(NotPromotable, match="none of its tasks"):
        promoted(run, tmp_path, again=dataclasses.replace(first, run_id="x", tasks={}))
    assert baselines.names(tmp_path) == []


def test_the_diff_names_every_task_that_comes_goes_moves_or_changes():
    old = made({"gone": task([1]), "moved": task([1]), "other": task([1])}, settings={"dtype": "float32"})
    moved = dataclasses.replace(old.tasks["moved"], value=0.25)
    other = dataclasses.replace(old.tasks["other"], fingerprint="g")
    new = made({"moved": moved, "other": other, "\x1b[2Jfresh": task([1])}, settings={"dtype": "bfloat16"})
    lines = {line.split()[0]: line for line in changes(old, new).splitlines()}
    assert "float32 -> bfloat16" in lines["dtype:"]
    assert "removed" in lines["gone"]
    assert "-0.2500" in lines["moved"]
    assert "fingerprint changed" in lines["other"]
    assert "added" in lines["�[2Jfresh"]
    assert changes(None, new).startswith("nothing -> ")


def git(folder, *arguments):
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always")
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def branched(run, registry, tmp_path, monkeypatch):
    """A clone whose branch `work` has promoted another baseline, and `gone`, since it left `main`; and main went on."""
    for name in (*repository.BRANCHES, "GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    git(origin, "init", "--initial-branch=main")
    promoted(run, origin / "gates" / "baselines")
    git(origin, "add", ".")
    git(origin, "commit", "-m", "a baseline")
    git(tmp_path, "clone", str(origin), str(clone))
    git(clone, "checkout", "-b", "work")
    promoted(measured(tmp_path / "runs", registry, "two", model="oracle"), clone / "gates" / "baselines")
    promoted(run, clone / "gates" / "baselines", "new")
    git(clone, "add", ".")
    git(clone, "commit", "-m", "a better one")
    git(clone, "push", "origin", "work")
    promoted(measured(tmp_path / "runs", registry, "three"), origin / "gates" / "baselines")
    git(origin, "commit", "-a", "-m", "main goes on")
    git(clone, "fetch")
    return clone


def test_the_merge_bases_baseline_is_that_of_neither_branchs_end(branched, run, monkeypatch):
    folder = branched / "gates" / "baselines"
    found = baselines.at_merge_base(folder, "main")
    same(found, snapshot_of(run))
    assert found.name == f"baseline main at {git(branched, 'rev-parse', 'HEAD~1')[:12]}"
    assert baselines.read(folder, "main").run_id == "two"
    monkeypatch.chdir(branched / "gates")
    same(baselines.at_merge_base(folder.relative_to(branched / "gates"), "main"), snapshot_of(run))


def test_a_branch_that_removed_its_baselines_still_has_its_merge_bases(branched, run):
    git(branched, "rm", "-r", "gates")
    git(branched, "commit", "-m", "gone")
    same(baselines.at_merge_base(branched / "gates" / "baselines", "main"), snapshot_of(run))


@pytest.mark.parametrize("variable", repository.BRANCHES)
def test_the_branch_that_ci_names_is_the_target(variable, branched, monkeypatch):
    folder = branched / "gates" / "baselines"
    monkeypatch.setenv(variable, "work")
    assert baselines.at_merge_base(folder, "main").run_id == "two"
    monkeypatch.setenv(variable, "never-fetched")
    with pytest.raises(HistoryMissing, match=r"origin/never-fetched was not fetched.*fetch-depth: 0"):
        baselines.at_merge_base(folder, "main")


def test_a_baseline_that_the_merge_base_lacks_is_missing(branched):
    with pytest.raises(BaselineMissing, match=r"no baseline 'new' .* where HEAD left origin/HEAD"):
        baselines.at_merge_base(branched / "gates" / "baselines", "new")


def test_a_baseline_damaged_at_the_merge_base_is_said_to_be(branched):
    git(branched, "checkout", "-b", "hurt", "origin/main")
    (branched / "gates" / "baselines" / "main" / ITEMS).write_bytes(b"hurt")
    git(branched, "commit", "-a", "-m", "hurt")
    git(branched, "update-ref", "refs/remotes/origin/HEAD", "HEAD")
    with pytest.raises(BaselineDamaged, match=rf"{ITEMS}: 4 bytes"):
        baselines.at_merge_base(branched / "gates" / "baselines", "main")


def test_a_shallow_clone_is_told_to_fetch_more(branched, tmp_path):
    shallow = tmp_path / "shallow"
    origin = (tmp_path / "origin").as_uri()
    git(tmp_path, "clone", "--depth", "1", "--no-single-branch", "--branch", "work", origin, str(shallow))
    with pytest.raises(HistoryMissing, match=r"shallow clone that lacks the merge base.*fetch-depth: 0"):
        baselines.at_merge_base(shallow / "gates" / "baselines", "main")
    git(shallow, "fetch", "--unshallow")
    assert baselines.at_merge_base(shallow / "gates" / "baselines", "main").run_id == "one"


def test_outside_of_a_repository_there_is_no_merge_base(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    promoted(run, tmp_path)
    with pytest.raises(HistoryMissing, match="not in a git repository"):
        baselines.at_merge_base(tmp_path, "main")


def test_without_git_there_is_a_remedy(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HistoryMissing, match="git does not run here"):
        baselines.at_merge_base(tmp_path, "main")
    monkeypatch.setenv("USER", "rm")
    assert repository.author() == "rm"


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command line, in a folder of its own."""

    @click.group()
    def main():
        pass

    cli_baseline.add_to(main, cli._friendly, cli.store_option, cli.tasks_dir)
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, code=0, **more):
        done = CliRunner().invoke(main, ["baseline", *arguments], **more)
        assert done.exit_code == code, done.output
        return done.output

    return invoke


def test_promote_shows_what_changes_and_writes_only_on_yes(run, command, tmp_path):
    ask = ("promote", "one", "--as", "main", "--reason", "why not", "--by", "me")
    said = command(*ask, code=2)
    assert "demo_sums" in said
    assert "pass --yes" in said
    assert not (tmp_path / "baselines").exists()
    command(*ask, "--yes")
    said = command("show", "main")
    assert "by me: why not" in said
    assert "demo_sums" in said
    assert "why not" in command("list")
    (tmp_path / "baselines" / "main" / ITEMS).write_bytes(b"")
    assert "left out" in command("list")
    assert "0 bytes" in command("show", "main", code=2)
    assert "replaces a damaged one" in command(*ask, "--yes")
    command("show", "main")


def test_promote_refuses_before_it_asks(run, command):
    (run.path / "manifest.json").unlink()
    assert "not finished" in command("promote", "one", "--as", "main", "--reason", "x", "--yes", code=2)
    assert "no baselines" in command("list")


def test_promote_takes_a_second_run_of_the_same_weights(run, registry, command, tmp_path):
    measured(tmp_path / "runs", registry, "again", model="corrupted:0.3")
    command("promote", "one", "--as", "main", "--reason", "x", "--by", "me", "--again", "again", "--yes")
    found = baselines.read(tmp_path / "baselines", "main").self_flips
    assert set(found) == set(run.results)
    assert set(found.values()) == {0.0}
