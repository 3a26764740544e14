"""The Contribute page: what a stranger's zip comes to, and that nothing of it stays."""

import io
import tempfile
import zipfile
from pathlib import Path

import pytest

from assay.harness import submission
from assay.leaderboard.loads import submit
from tests.leaderboard import scenes
from tests.leaderboard.stores import measured


def view():
    from assay.leaderboard.views import submit

    submit.view()


def zipped(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.fixture(scope="module")
def files(tmp_path_factory, registry):
    """A run as it lies on disk: content by name."""
    folder = tmp_path_factory.mktemp("contribute")
    measured(folder, registry, "mine", model="corrupted:0.3")
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Where temporary folders are made, empty."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def uploaded(store, monkeypatch, archive):
    at = scenes.show(view, store, monkeypatch)
    at.file_uploader[0].set_value(("runs.zip", archive, "application/zip")).run()
    assert not at.exception, at.exception
    return at


def test_a_run_as_assay_wrote_it_may_be_handed_in_and_its_zip_is_valid_again(files, registry, scratch):
    checked = submit.check(zipped(files), registry)
    assert checked.count("fail") == 0
    assert checked.count("pass") > 0
    again = submit.check(checked.packed, registry)
    assert again.count("fail") == 0
    assert again.packed == checked.packed


def test_nothing_of_an_upload_stays(files, registry, scratch):
    submit.check(zipped(files), registry)
    submit.check(b"no zip", registry)
    assert not list(scratch.iterdir())


def test_a_changed_score_is_a_fault_with_its_place_and_no_zip_is_made(files, registry, scratch):
    results = files["mine/results.json"].replace(b'"value": 0.', b'"value": 0.9', 1)
    assert results != files["mine/results.json"]
    checked = submit.check(zipped(files | {"mine/results.json": results}), registry)
    assert checked.count("fail") > 0
    assert checked.packed is None
    first = submit.table(checked).iloc[0]
    assert first["result"] == "✕ fail"
    assert first["where"].startswith("mine")


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"not a zip",
        zipped({"../outside": "x"}),
        zipped({"/etc/passwd": "x"}),
        zipped({}),
        zipped({"a/\x1b[31m": "x"}),
    ],
    ids=["empty", "text", "leaves", "absolute", "nothing", "escape"],
)
def test_an_archive_that_is_none_is_one_finding_and_never_an_error(archive, registry, scratch):
    checked = submit.check(archive, registry)
    assert checked.count("fail") >= 1
    assert checked.packed is None
    assert "\x1b" not in submit.table(checked).to_csv()
    assert not (scratch.parent / "outside").exists()


def test_the_worst_comes_first_and_each_level_has_a_word_and_a_shape():
    levels = ("pass", "warn", "fail", "pass")
    found = tuple(submission.Finding(level=level, where="r", what="w") for level in levels)
    assert submit.table(submit.Checked(findings=found))["result"].tolist() == ["✕ fail", "▲ warn", "✓ pass", "✓ pass"]


def test_the_page_says_how_to_check_and_hand_in_without_it(tmp_path, registry, monkeypatch):
    store = scenes.indexed(tmp_path / "runs", registry)
    at = scenes.show(view, store, monkeypatch)
    said = scenes.said(at)
    assert "assay submit validate runs" in said
    assert "git push" in said
    assert not at.get("download_button")


def test_a_good_upload_gives_back_the_zip_for_the_pull_request(files, tmp_path, registry, monkeypatch):
    store = scenes.indexed(tmp_path / "runs", registry)
    before = sorted(p.name for p in store.rglob("*"))
    at = uploaded(store, monkeypatch, zipped(files))
    assert not at.error
    assert len(at.get("download_button")) == 1
    assert len(at.dataframe[0].value) > 0
    assert sorted(p.name for p in store.rglob("*")) == before


def test_a_bad_upload_is_told_so_in_words_and_gets_no_zip(tmp_path, registry, monkeypatch):
    store = scenes.indexed(tmp_path / "runs", registry)
    at = uploaded(store, monkeypatch, b"no zip at all")
    assert "Not ready: 0 passed, 0 to look at, 1 failed" in at.error[0].value
    assert not at.get("download_button")


def test_a_strangers_names_never_reach_markdown(files, tmp_path, registry, monkeypatch):
    store = scenes.indexed(tmp_path / "runs", registry)
    evil = zipped({f"{name.replace('mine', '<script>alert(1)')}": content for name, content in files.items()})
    at = uploaded(store, monkeypatch, evil)
    assert at.error
    assert "<script>" not in scenes.said(at) + at.error[0].value


def test_the_page_needs_no_index(tmp_path, monkeypatch):
    at = scenes.show(view, Path(tmp_path / "none"), monkeypatch)
    assert "assay submit validate" in scenes.said(at)
