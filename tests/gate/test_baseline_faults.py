"""A baseline that was changed, cut or mixed with another is refused; what is named so is found, or a remedy."""

import json

import pytest

from assay.harness.files import seal
from assay.harness.gating import baselines, vectors
from assay.harness.gating.baseline_files import IDS, ITEMS, RECORD
from assay.harness.gating.baselines import BaselineDamaged, BaselineMissing, WrongName
from tests.gate.promoted import FILES, kept, made, promoted, task
from tests.leaderboard.stores import measured


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
