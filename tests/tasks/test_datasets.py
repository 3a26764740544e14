"""Nothing is used before its hash agrees; what is wrong is named with both hashes."""

import gzip
import hashlib
import json
import os

import pytest

from assay.tasks import datasets
from assay.tasks import registry as registries
from assay.tasks.datasets import DataMismatch, NoData
from tests.conftest import choice_rows


def spec_of(folder):
    return registries.open_registry([folder]).tasks["mine"]


def test_git_blob_is_gits_own_object_id():
    assert datasets.git_blob(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_rows_beside_the_spec_are_read(write_task):
    rows = choice_rows(5)
    loaded = datasets.load(spec_of(write_task(rows)))
    assert list(loaded.rows) == rows
    assert loaded.note == ""


def test_a_line_separator_inside_a_string_does_not_end_a_row(write_task):
    folder = write_task([{"query": "a\u2028b\x85c", "choices": ["x", "y"], "gold": 0}])
    text = (folder / "mine.jsonl").read_bytes()
    raw = json.dumps(json.loads(text), ensure_ascii=False).encode() + b"\n"
    (folder / "mine.jsonl").write_bytes(raw)
    spec = (folder / "mine.yaml").read_text()
    (folder / "mine.yaml").write_text(spec.replace(datasets.git_blob(text), datasets.git_blob(raw)))
    assert datasets.load(spec_of(folder)).rows[0]["query"] == "a\u2028b\x85c"


def test_a_changed_file_names_both_hashes(write_task):
    folder = write_task(choice_rows(3))
    content = (folder / "mine.jsonl").read_bytes()
    (folder / "mine.jsonl").write_bytes(content.replace(b"Question 1", b"Question X"))
    with pytest.raises(DataMismatch) as error:
        datasets.load(spec_of(folder))
    assert datasets.git_blob(content) in str(error.value)
    assert datasets.git_blob(content.replace(b"Question 1", b"Question X")) in str(error.value)


def test_a_torn_gzip_is_a_mismatch_not_a_crash(write_task, tmp_path, monkeypatch):
    folder = write_task(choice_rows(50))
    whole = gzip.compress((folder / "mine.jsonl").read_bytes())
    (folder / "mine.jsonl").unlink()
    (folder / "mine.jsonl.gz").write_bytes(whole[:-20])
    with pytest.raises(DataMismatch, match="cannot be read"):
        datasets.load(spec_of(folder))


def test_a_wrong_row_count_is_refused(write_task):
    with pytest.raises(DataMismatch, match="3 rows, its spec expects 4"):
        datasets.load(spec_of(write_task(choice_rows(3), data={"rows": 4})))


def test_mirrors_are_searched_in_order_then_the_cache(write_task, tmp_path, monkeypatch):
    folder = write_task(choice_rows(3))
    content = (folder / "mine.jsonl").read_bytes()
    (folder / "mine.jsonl").unlink()
    spec = spec_of(folder)
    with pytest.raises(NoData, match="assay data fetch mine"):
        datasets.load(spec)
    monkeypatch.setenv("ASSAY_DATA", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    datasets.cache_folder().mkdir(parents=True)
    (datasets.cache_folder() / "mine.jsonl").write_bytes(content)
    assert datasets.load(spec).where == datasets.cache_folder() / "mine.jsonl"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.jsonl.gz").write_bytes(gzip.compress(content))
    assert datasets.load(spec).where == tmp_path / "b" / "mine.jsonl.gz"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"query": "q", "choices": ["a"]}, "'gold' must be the index of an option"),
        ({"query": "q", "choices": ["a", "b"], "gold": 2}, "'gold' must be the index"),
        ({"query": "q", "choices": ["a", "b"], "gold": -1}, "'gold' must be the index"),
        ({"query": "q", "choices": ["a", "b"], "gold": 0.9}, "'gold' must be the index"),
        ({"query": "q", "choices": "ab", "gold": 0}, "'choices' must be a list of texts"),
        ({"query": "q", "choices": ["a", 2], "gold": 0}, "'choices' must be a list of texts"),
        ({"query": 7, "choices": ["a", "b"], "gold": 0}, "'query' must be text"),
        ([1, 2], "not a JSON object"),
    ],
)
def test_a_row_that_lacks_what_its_kind_needs_names_task_row_and_key(write_task, row, said):
    spec = spec_of(write_task([row]))
    with pytest.raises(DataMismatch, match=f"row 0: {said}"):
        list(datasets.samples(spec, datasets.parts(spec, datasets.load(spec).rows)[0], 0, 1))


def test_an_answer_given_as_text_where_a_list_is_meant_is_refused(write_task):
    spec = spec_of(write_task([{"context": "c", "answer": "a", "aliases": "foo"}], kind="generation"))
    with pytest.raises(DataMismatch, match="'aliases' must be a list of texts"):
        list(datasets.samples(spec, datasets.parts(spec, datasets.load(spec).rows)[0], 0, 1))


def test_a_row_without_its_category_is_named(write_task):
    spec = spec_of(write_task(choice_rows(2), categories=True))
    with pytest.raises(DataMismatch, match="row 0: 'category' must be text"):
        datasets.parts(spec, datasets.load(spec).rows)


def test_every_file_of_the_mirror_is_the_pinned_one(registry, mirror):
    missing = []
    for task in registry.tasks.values():
        try:
            loaded = datasets.load(task)
        except NoData:
            missing.append(task.name)
            continue
        assert len(loaded.rows) == task.rows
        rebuilt = task.data.rebuilt.git_blob if task.data.rebuilt else None
        if not datasets.beside(task):  # else the hash is of two files, both of which load checks
            assert loaded.git_blob in (task.data.git_blob, rebuilt)
        assert bool(loaded.note) == (loaded.git_blob == rebuilt)
    assert missing == ["bigbench_elementary_math_qa", "coqa"]


@pytest.mark.parametrize("name", ["gpqa_main", "gpqa_diamond"])
def test_gpqa_converts_in_memory_to_the_pinned_jsonl(registry, mirror, name, tmp_path):
    manifest = json.loads((mirror / "MANIFEST.json").read_text())
    (archive,) = [f for f in manifest["files"] if f["path"].endswith("gpqa_data/dataset.zip")]
    wanted = archive["converts_to"][f"{name}.jsonl"]
    loaded = datasets.load(registry.tasks[name])
    assert loaded.git_blob == wanted["content_git_blob"]
    assert len(loaded.rows) == wanted["rows"]
    assert sorted(loaded.rows[0]) == sorted(wanted["fields"])
    assert not [p for p in tmp_path.rglob("*") if p.is_file()], "rows were written to disk"


def test_the_archive_itself_is_pinned_by_sha256(registry, mirror, tmp_path, monkeypatch):
    spec = registry.tasks["gpqa_main"]
    damaged = bytearray((mirror / spec.data.path).read_bytes())
    damaged[1000] ^= 1
    target = tmp_path / "m" / spec.data.path
    target.parent.mkdir(parents=True)
    target.write_bytes(damaged)
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "m"))
    with pytest.raises(DataMismatch, match=hashlib.sha256(damaged).hexdigest()):
        datasets.load(spec)


def test_categories_are_separate_and_sorted(registry, mirror):
    spec = registry.tasks["jeopardy"]
    parts = datasets.parts(spec, datasets.load(spec).rows)
    assert [p.group for p in parts] == ["american_history", "literature", "science", "word_origins", "world_history"]
    assert sum(len(p.rows) for p in parts) == 2117


def test_clusters_are_passages_and_sentence_pairs(registry, mirror):
    found = {}
    for name in ("squad", "agi_eval_lsat_rc", "agi_eval_lsat_ar", "agi_eval_sat_en", "winograd"):
        spec = registry.tasks[name]
        (part,) = datasets.parts(spec, datasets.load(spec).rows)
        found[name] = len({s.cluster for s in datasets.samples(spec, part, 0, len(part.rows))})
    assert found == {
        "squad": 2067,
        "agi_eval_lsat_rc": 41,
        "agi_eval_lsat_ar": 40,
        "agi_eval_sat_en": 44,
        "winograd": 171,
    }
