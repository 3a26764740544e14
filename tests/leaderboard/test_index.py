"""The index over a store, on SQLite and on a real PostgreSQL: a cache that is never wrong for long."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from assay.harness import index
from assay.harness import index_tables as t
from assay.harness.files import seal, unseal
from assay.harness.index import Index, IndexMissing
from assay.leaderboard import queries
from assay.tasks.selection import DocRange
from tests.leaderboard.stores import measured

CONTENT = [table for table in t.metadata.sorted_tables if table is not t.meta]
READERS = 10


def sync(runs, registry, url):
    return Index(runs, registry, url).sync()


def content(runs, url):
    """Every row of every table, in a fixed order."""
    source = queries.open_source(runs, url)
    found = {}
    for table in CONTENT:
        rows = source.frame(sa.select(table)).map(repr)
        found[table.name] = rows.sort_values(list(rows.columns)).to_dict("records")
    return found


def forget(runs, url):
    """What a person does to be rid of an index."""
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).unlink()
    else:
        t.metadata.drop_all(index.connect(runs, url))


def edit(path, **changes):
    """A sealed record with other values, sealed again."""
    stored = {k: v for k, v in unseal(path).items() if k != "sha256"}
    path.write_bytes(seal(stored | changes))


def test_sync_adds_what_is_new_leaves_what_it_has_and_forgets_what_is_gone(runs, registry, url):
    assert sorted(sync(runs, registry, url).added) == ["one", "two"]
    again = sync(runs, registry, url)
    assert (again.added, again.removed, again.unchanged) == ([], [], 2)
    shutil.rmtree(runs / "one")
    measured(runs, registry, "three", model="oracle")
    done = sync(runs, registry, url)
    assert (done.added, done.removed, done.unchanged) == (["three"], ["one"], 1)
    assert set(queries.runs(queries.open_source(runs, url))["run_id"]) == {"two", "three"}
    assert len(content(runs, url)["results"]) == 8


def test_a_run_that_was_done_again_replaces_its_old_numbers(runs, registry, url):
    sync(runs, registry, url)
    shutil.rmtree(runs / "one")
    measured(runs, registry, "one", model="oracle")
    assert sync(runs, registry, url).added == ["one"]
    found = queries.results(queries.open_source(runs, url), run_ids=["one"])
    assert found["value"].tolist() == [1.0] * 4


@pytest.mark.parametrize("damage", ["torn", "swapped", "lost", "renamed"])
def test_a_damaged_run_is_left_out_with_its_reason_and_the_others_stay(runs, registry, url, damage):
    sync(runs, registry, url)
    path = runs / "one"
    if damage == "torn":
        (path / "results.json").write_bytes((path / "results.json").read_bytes()[:100])
    elif damage == "swapped":
        shutil.copy(runs / "two/samples/demo_sums.parquet", path / "samples/demo_sums.parquet")
        (path / "plan.json").write_bytes((path / "plan.json").read_bytes() + b"\n")  # the digest is of the seals
    elif damage == "lost":
        (path / "samples/demo_sums.parquet").unlink()
        (path / "results.json").touch()
        (path / "manifest.json").unlink()
    else:
        path = path.rename(runs / "uno")
    done = sync(runs, registry, url)
    assert list(done.left_out) == [path.name]
    assert {"torn": "results.json", "swapped": "sha256", "lost": "missing", "renamed": "must bear its name"}[
        damage
    ] in done.left_out[path.name]
    assert queries.runs(queries.open_source(runs, url))["run_id"].tolist() == ["two"]


def test_an_index_that_was_deleted_is_restored_equal(runs, registry, url):
    sync(runs, registry, url)
    before = content(runs, url)
    assert len(before["results"]) == 8
    forget(runs, url)
    sync(runs, registry, url)
    assert content(runs, url) == before


def test_writing_runs_one_by_one_gives_the_same_as_reading_the_whole_store(runs, registry, url):
    for name in ("two", "one"):
        Index(runs, registry, url).record(index.store.read_run(runs / name))
    live = content(runs, url)
    forget(runs, url)
    sync(runs, registry, url)
    assert content(runs, url) == live


def test_an_index_deleted_under_a_reader_is_missed_and_found_again(runs, registry, url):
    sync(runs, registry, url)
    source = queries.open_source(runs, url)
    forget(runs, url)
    with pytest.raises(IndexMissing, match="assay reindex"):
        queries.runs(source)
    with pytest.raises(IndexMissing, match="assay reindex"):
        queries.open_source(runs, url)
    sync(runs, registry, url)
    again = queries.open_source(runs, url)
    assert again.stamp != source.stamp
    assert len(queries.runs(again)) == len(queries.runs(source)) == 2


def test_no_index_is_said_with_the_command_that_makes_one(tmp_path):
    with pytest.raises(IndexMissing, match=f"assay reindex --store {tmp_path}"):
        queries.open_source(tmp_path)


def test_what_is_no_index_is_said_to_be_none(tmp_path):
    (tmp_path / "index.sqlite").write_bytes(b"a text that someone put here" * 100)
    with pytest.raises(IndexMissing, match="can't be read"):
        queries.open_source(tmp_path)


def test_an_index_of_another_schema_is_refused_by_readers_and_built_anew_by_the_writer(runs, registry, url):
    sync(runs, registry, url)
    before = content(runs, url)
    with index.connect(runs, url, write=True).begin() as db:
        db.execute(sa.update(t.meta).where(t.meta.c.key == "schema").values(value="0"))
        db.execute(sa.text("ALTER TABLE results DROP COLUMN usage"))
    with pytest.raises(IndexMissing, match="schema 0"):
        queries.open_source(runs, url)
    assert sorted(sync(runs, registry, url).added) == ["one", "two"]
    assert content(runs, url) == before


def test_the_stamp_changes_with_every_run_and_with_nothing_else(runs, registry, url):
    writer = Index(runs, registry, url)
    writer.sync()
    stamps = [queries.open_source(runs, url).stamp, queries.open_source(runs, url).stamp]
    writer.record(index.store.read_run(runs / "one"))
    stamps.append(queries.open_source(runs, url).stamp)
    assert stamps[0] == stamps[1] != stamps[2]


def test_a_character_that_postgresql_refuses_is_kept_as_its_escape(runs, registry, url):
    plan = unseal(runs / "one/plan.json")
    edit(
        runs / "one/plan.json",
        checkpoint=plan["checkpoint"] | {"label": "a\0b"},
        environment=plan["environment"] | {"facts": {"family": "f\0", "notes": ["n\0"]}},
    )
    (runs / "one/manifest.json").unlink()
    assert not sync(runs, registry, url).left_out
    found = queries.run(queries.open_source(runs, url), "one")
    assert (found["label"], found["family"]) == ("a\\x00b", "f\\x00")


def test_a_name_with_half_a_surrogate_pair_hides_its_own_run_alone(runs, registry, url):
    """Such a plan can't have been sealed: somebody wrote it by hand."""
    path = runs / "one/plan.json"
    plan = unseal(path)
    plan["checkpoint"]["label"] = "\ud800"
    path.write_text(json.dumps(plan | {"sha256": "0" * 64}))
    done = sync(runs, registry, url)
    assert done.added == ["two"]
    assert "surrogates" in done.left_out["one"]


WRITER = """
import sys, time
from pathlib import Path
from assay.harness import store
from assay.harness.index import Index
from assay.tasks.registry import open_registry
folder, url, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
run, registry = store.read_run(folder / "both"), open_registry()
end, times = time.monotonic() + seconds, 0
while time.monotonic() < end or times < 3:
    Index(folder, registry, url).record(run)
    times += 1
print(times)
"""


def test_two_writers_and_ten_readers_at_once_never_meet_half_a_run(tmp_path, registry, url):
    """Both writers write the same run, of different sizes, over each other; no reader sees a mixture."""
    whole = {}
    for half, docs in (("small", DocRange(0, 4)), ("large", DocRange(0, 12))):
        run = measured(tmp_path / half, registry, "both", docs=docs)
        whole[sum(r.n for r in run.results.values())] = {n: r.value for n, r in run.results.items()}
    assert len(whole) == 2
    Index(tmp_path / "small", registry, url).sync()
    done, faults, seen = threading.Event(), [], []

    def read():
        both = sa.select(t.runs.c.n, t.results.c.task, t.results.c.value, t.results.c.n.label("items"))
        both = both.where(t.runs.c.run_id == t.results.c.run_id)
        try:
            while not done.is_set():
                found = queries.open_source(tmp_path, url).frame(both)
                size = int(found["items"].sum())
                assert found["n"].tolist() == [size] * 4
                assert dict(zip(found["task"], found["value"], strict=True)) == whole[size]
                seen.append(size)
        except Exception as error:  # told on the test's own thread
            faults.append(repr(error))

    readers = [threading.Thread(target=read) for _ in range(READERS)]
    command = [sys.executable, "-c", WRITER]
    writers = [
        subprocess.Popen([*command, tmp_path / half, url, "3"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for half in ("small", "large")
    ]
    for reader in readers:
        reader.start()
    said = [writer.communicate(timeout=120) for writer in writers]
    done.set()
    for reader in readers:
        reader.join(60)
    assert not faults, faults[0]
    assert [w.returncode for w in writers] == [0, 0], said
    assert set(seen) == set(whole)
    assert not any(reader.is_alive() for reader in readers)


def test_a_run_shows_up_in_the_index_by_itself(assay, tmp_path, url):
    env = {"ASSAY_INDEX": url}
    assay("run", "demo", "--model", "oracle", "--name", "mine", check=0, env=env)
    found = queries.runs(queries.open_source(tmp_path / "runs", url))
    assert found["run_id"].tolist() == ["mine"]
    assay("run", "demo", "--model", "oracle", "--name", "mine", "--fresh", "--yes", "--docs", "0:4", check=0, env=env)
    again = queries.runs(queries.open_source(tmp_path / "runs", url))
    assert again["rows_asked"].tolist() == ["rows 0 to 3"]


def test_an_index_that_cannot_be_written_spoils_no_run(assay, tmp_path):
    (tmp_path / "runs/index.sqlite").mkdir(parents=True)
    done = assay("run", "demo", "--model", "oracle", "--name", "mine", check=0)
    assert "mine is not in the site's index" in done.stderr
    assert "Traceback" not in done.stderr
    assert "demo_centred" in done.stdout


def test_a_database_that_does_not_answer_is_said_without_its_password(assay, tmp_path):
    gone = {"ASSAY_INDEX": f"postgresql://me:secret@/none?host={tmp_path}"}
    done = assay("run", "demo", "--model", "oracle", "--name", "mine", check=0, env=gone)
    assert "mine is not in the site's index" in done.stderr
    done = assay("reindex", check=2, env=gone)
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
