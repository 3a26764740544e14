"""The history of verdicts: nothing is lost, nothing replaced, and it is in nobody's way."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from assay.harness import store as stores
from assay.harness import submission
from assay.harness.gating import history
from assay.harness.index import Index
from tests.leaderboard import gated
from tests.leaderboard.stores import measured

CREATED = "2026-01-31T23:59:59Z"


def said(**changes):
    return replace(gated.report(), created=CREATED, **changes)


def test_a_verdict_comes_back_as_it_was(tmp_path):
    reports = [gated.report(v, at=i) for i, v in enumerate(gated.EXITS)]
    gated.fill(tmp_path, *reports)
    found = history.read(tmp_path)
    assert list(found.reports) == reports[::-1]
    assert found.left_out == {}


def test_its_file_says_when_and_of_what(tmp_path):
    path = history.record(tmp_path, said())
    assert path.relative_to(tmp_path).as_posix() == "gates/main/20260131T235959Z-ck-400.json"
    assert history.key(path) == "main/20260131T235959Z-ck-400"
    assert json.loads(path.read_text())["gate"] == "main"


def test_a_time_elsewhere_is_written_in_utc(tmp_path):
    path = history.record(tmp_path, replace(said(), created="2026-02-01T01:59:59+02:00"))
    assert path.name.startswith("20260131T235959Z-")


def test_two_verdicts_of_one_second_are_two_files_the_later_first(tmp_path):
    paths = [history.record(tmp_path, said(sentence=f"{i}")) for i in range(12)]
    assert len(set(paths)) == 12
    assert [r.sentence for r in history.read(tmp_path).reports] == [str(i) for i in reversed(range(12))]


def test_several_writers_at_once_lose_nothing_of_each_other(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda n: history.record(tmp_path, said(sentence=str(n))), range(40)))
    found = history.read(tmp_path)
    assert len(set(paths)) == 40
    assert {r.sentence for r in found.reports} == {str(n) for n in range(40)}
    assert found.left_out == {}


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "", ".", "..", "a/b", "/abs", ".hidden", "x" * 400, "\0\x1b[31m", "\ud800", "b\u202ec"]
)
def test_a_name_leads_nowhere_else_and_is_told_from_others(tmp_path, name):
    store, written = tmp_path / "store", name.encode(errors="backslashreplace").decode()  # half a pair: its escape
    path = history.record(store, said(gate=name, candidate=replace(said().candidate, run_id=name)))
    assert path.resolve().parents[1] == (store / "gates").resolve()
    assert len(path.name.encode()) < 255
    assert path.name.isprintable()
    assert path != history.record(store, said(gate=name + "2", candidate=replace(said().candidate, run_id=name + "2")))
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and store not in p.parents]
    assert {r.gate for r in history.read(store).reports} == {written, written + "2"}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"schema_version": 999}', b'{"schema_version": 1}', b"[" * 100_000, b"\xff\xfe"],
    ids=["empty", "torn", "list", "null", "of tomorrow", "hollow", "deep", "no text"],
)
def test_what_can_not_be_read_is_left_out_and_named(tmp_path, content):
    good = gated.report("pass")
    gated.fill(tmp_path, good)
    bad = tmp_path / "gates/main/20270101T000000Z-bad.json"
    bad.write_bytes(content)
    found = history.read(tmp_path)
    assert found.reports == (good,)
    assert list(found.left_out) == ["main/20270101T000000Z-bad"]
    assert str(bad) in found.left_out["main/20270101T000000Z-bad"]


def test_what_is_being_written_is_not_there_yet(tmp_path):
    (path,) = gated.fill(tmp_path, gated.report())
    path.rename(path.with_name(path.name + ".new"))
    assert history.read(tmp_path) == history.Recorded()


def test_a_store_without_verdicts_has_an_empty_history(tmp_path):
    assert history.read(tmp_path) == history.Recorded()
    assert history.read(tmp_path / "nowhere") == history.Recorded()


def test_verdicts_are_no_runs(tmp_path, registry):
    measured(tmp_path, registry, "one", tasks=("demo_sums",))
    Index(tmp_path, registry).sync()
    gated.several(tmp_path)
    assert [p.name for p in stores.list_runs(tmp_path)] == ["one"]
    assert stores.find_run(tmp_path, "latest").name == "one"
    done = Index(tmp_path, registry).sync()
    assert (done.added, done.removed, done.unchanged, done.left_out) == ([], [], 1, {})


def test_verdicts_beside_a_submission_are_left_out_of_it(tmp_path, registry):
    measured(tmp_path / "runs", registry, "one", tasks=("demo_sums",))
    gated.several(tmp_path / "runs")
    found = submission.validate(tmp_path / "runs", registry)
    assert [f for f in found if f.level == "fail"] == []
    assert [f.where for f in found if "gates" in f.what] == ["gates/"]
    unpacked = submission.unpack(submission.repack(tmp_path / "runs", found), tmp_path / "again")
    assert not [p for p in unpacked.rglob("*") if "gates" in p.parts]


@pytest.mark.parametrize(("calls", "alpha", "chance"), [(50, 0.05, 0.92), (50, 0.01, 0.39), (50, 0.001, 0.05)])
def test_chance_alone_blocks_as_often_as_the_level_says(calls, alpha, chance):
    expected, any_at_all = history.false_blocks([alpha] * calls)
    assert expected == pytest.approx(alpha * calls)
    assert any_at_all == pytest.approx(chance, abs=0.005)


def test_nothing_asked_is_nothing_blocked():
    assert history.false_blocks([]) == (0, 0)
