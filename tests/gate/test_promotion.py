"""What may become a baseline, by whom, and what its diff says; baselines at a merge base."""

import dataclasses
import subprocess

import click
import numpy as np
import pytest
from click.testing import CliRunner

from assay.harness import cli, cli_baseline, store
from assay.harness.gating import baselines, repository
from assay.harness.gating.baseline_files import ITEMS
from assay.harness.gating.baseline_views import changes
from assay.harness.gating.baselines import BaselineDamaged, BaselineMissing, NotPromotable
from assay.harness.gating.repository import HistoryMissing
from assay.harness.interchange import imported, published
from tests.gate.promoted import made, promoted, same, snapshot_of, task
from tests.leaderboard.stores import measured


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
