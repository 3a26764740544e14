"""Submissions: honest runs pass, whatever was changed by hand is found, and no file of a stranger's does harm."""

import io
import json
import os
import re
import stat
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assay.harness import files, indexing, runner, session, store
from assay.harness.backends.base import ModelOptions, open_backend
from assay.harness.grading import Grading
from assay.harness.records import SAMPLES
from assay.harness.store import RunWriter
from assay.harness.submission import SubmissionError, repack, unpack, validate
from assay.harness.submission.findings import Finding, plain
from assay.tasks.registry import open_registry
from assay.tasks.selection import DocRange
from tests.conftest import choice_rows
from tests.harness import tampering
from tests.harness.tampering import claim, edit_plan, edit_results, edit_rows, flip, samples, write_samples

EVERYTHING = DocRange()


def measured(folder, names=("demo",), model="corrupted:0.4", registry=None, docs=EVERYTHING, name="honest"):
    """A finished run of a model that is none."""
    registry = registry or open_registry()
    specs, backend = registry.select(names), open_backend(model, ModelOptions())
    with RunWriter(folder, session.make_plan(specs, docs, backend, name, {})) as out:
        runner.run(registry, specs, docs, backend, out, runner.Means(Grading()))
    return folder / name


def faults(found):
    return [f for f in found if f.level == "fail"]


def said(found, level):
    return "\n".join(f"{f.where}: {f.what}" for f in found if f.level == level)


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return measured(tmp_path_factory.mktemp("honest"))


@pytest.fixture
def copy(honest, tmp_path):
    """A copy of the honest run in a submission of its own."""
    return tampering.copied(honest, tmp_path / "submission" / "copy")


def test_an_honest_run_passes_and_says_what_was_recomputed(honest, registry):
    found = validate(honest.parent, registry)
    assert {f.level for f in found} == {"pass"}
    assert "complete, sealed" in said(found, "pass")
    assert "demo_centred" in said(found, "pass")
    assert "(4: demo_animals, demo_capitals, demo_sums, demo_trades)" in said(found, "pass")


def test_a_run_directory_by_itself_is_a_submission_too(honest, registry):
    assert not faults(validate(honest, registry))


def changed(run, name, old, new):
    path = run / name
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def in_manifest(run, change):
    manifest = json.loads((run / "manifest.json").read_bytes())
    change(manifest)
    (run / "manifest.json").write_bytes(files.json_bytes(manifest))


def composite(value):
    return lambda r: r["composites"][0].update(value=value)


FILES = {
    "a plan that was edited": (
        lambda r: changed(r, "plan.json", b"corrupted", b"improved_"),
        r"plan\.json: changed on",
    ),
    "results that were edited": (
        lambda r: changed(r, "results.json", b'"n": 48', b'"n": 49'),
        r"results\.json: changed",
    ),
    "samples that were edited": (
        lambda r: changed(r, "samples/demo_sums.parquet", b"zzqx", b"good"),
        r"demo_sums\.parquet: was changed: it has another sha256",
    ),
    "samples that were removed": (
        lambda r: (r / "samples/demo_sums.parquet").unlink(),
        r"demo_sums\.parquet: is missing",
    ),
    "no manifest": (lambda r: (r / "manifest.json").unlink(), "not complete"),
    "a manifest of other files": (
        lambda r: in_manifest(r, lambda m: m["files"].update({"../../../etc/passwd": "0"})),
        "does not list the files",
    ),
    "a manifest of another run": (lambda r: in_manifest(r, lambda m: m.update(run_id="x")), "not the manifest of this"),
    "a manifest that is a list": (lambda r: (r / "manifest.json").write_text("[]"), "not the manifest of this run"),
    "another name": (lambda r: edit_plan(r, run_id="other"), "the run is called other"),
    "a name that is a path": (lambda r: edit_plan(r, run_id="../other"), r"the run is called \.\./other"),
    "a later schema": (lambda r: edit_plan(r, schema_version=99), "schema 99; this one reads"),
    "no rows": (lambda r: edit_plan(r, docs=[0, -1, None]), "asks for no rows"),
    "a task that was not planned": (
        lambda r: edit_results(r, lambda x: x["tasks"].pop("demo_sums")),
        "its tasks are not those of the plan: demo_sums",
    ),
    "a value that is text": (lambda r: claim(r, "demo_sums", value="1.0"), "hold what assay does not write.*value"),
    "a key of another version": (lambda r: claim(r, "demo_sums", novelty=1), "not what assay writes: TypeError"),
    "a status without its value": (
        lambda r: claim(r, "demo_sums", status="no_data"),
        "its value is .*, its status no_data",
    ),
    "a plan nested without end": (
        lambda r: (r / "plan.json").write_text("[" * 200_000),
        "RecursionError|not a JSON object",
    ),
    "a plan that is no object": (lambda r: (r / "plan.json").write_text('"plan"'), "not a JSON object"),
    "another file": (lambda r: (r / "notes.html").write_text("<script>"), r"notes\.html: belongs to no finished run"),
    "a hidden file": (lambda r: (r / ".bashrc").write_text("x"), r"\.bashrc: has a name"),
    "a full lock": (lambda r: (r / ".lock").write_text("x"), r"\.lock: is not empty"),
    "a link to a file": (lambda r: (r / "samples/x").symlink_to("/etc/passwd"), "samples/x: is a link"),
    "a link to a folder": (lambda r: (r / "journal2").symlink_to("/etc"), "journal2: is a link"),
    "results that are a link": (
        lambda r: (
            (r / "results.json").rename(r.parent / "x.json") and (r / "results.json").symlink_to(r.parent / "x.json")
        ),
        r"results\.json: is a link",
    ),
    "a pipe": (lambda r: os.mkfifo(r / "samples/pipe.parquet"), "is no plain file"),
    "a deep folder": (lambda r: (r / "a/b/c/d/e").mkdir(parents=True), "is too deep"),
}
NUMBERS = {
    "a raised value": (
        lambda r: claim(r, "demo_animals", value=0.99),
        r"value: 0\.99 is claimed, its samples give 0\.",
    ),
    "a value raised by little": (
        lambda r: edit_results(
            r, lambda x: x["tasks"]["demo_animals"].update(value=x["tasks"]["demo_animals"]["value"] + 1e-8)
        ),
        r"value: 0\.\d+ is claimed",
    ),
    "a value that is no number": (lambda r: claim(r, "demo_animals", value=float("nan")), "value: nan is claimed"),
    "a narrow interval": (lambda r: claim(r, "demo_sums", low=0.5, high=0.6), r"high: 0\.6 is claimed.*\n.*low: 0\.5"),
    "a small error": (lambda r: claim(r, "demo_sums", stderr=0.001), r"stderr: 0\.001 is claimed"),
    "another method": (lambda r: claim(r, "demo_sums", method="t"), "method: t is claimed, its samples give wilson"),
    "more samples": (lambda r: claim(r, "demo_sums", n=4800), "n: 4800 is claimed, its samples give 48"),
    "other counts": (
        lambda r: claim(r, "demo_sums", counts={"ok": 40}),
        "counts ok: 40 is claimed, its samples give 48",
    ),
    "a made-up group": (lambda r: claim(r, "demo_sums", groups={"easy": [1.0, 48]}), "groups easy: .*claimed"),
    "a made-up metric": (lambda r: claim(r, "demo_sums", metrics={"best": 1.0}), r"metrics best: 1\.0 is claimed"),
    "nothing cut": (lambda r: claim(r, "demo_sums", truncated=7), "truncated: 7 is claimed, its samples give 0"),
    "a raised centred score": (lambda r: claim(r, "demo_sums", centred_v2=0.99), r"centred_v2: 0\.99 is claimed"),
    "lower is better": (lambda r: claim(r, "demo_sums", higher_is_better=False), "higher_is_better: False is claimed"),
    "another fingerprint": (
        lambda r: claim(r, "demo_sums", fingerprint="0" * 64),
        "its fingerprint is not that of its plan",
    ),
    "a number without data": (
        lambda r: (
            claim(r, "demo_sums", fingerprint=""),
            edit_plan(r, tasks={**files.unseal(r / "plan.json")["tasks"], "demo_sums": ""}),
        ),
        "it has a number, and the plan had no data for it",
    ),
    "a raised composite": (
        lambda r: edit_results(r, composite(0.99)),
        r"demo_centred value: 0\.99 is claimed, its tasks",
    ),
    "a composite without its task": (
        lambda r: edit_results(r, lambda x: x["composites"][0].update(missing=["demo_sums"])),
        "demo_centred missing: 1 are claimed",
    ),
    "a composite less": (
        lambda r: edit_results(r, lambda x: x.update(composites=[])),
        "composite demo_centred is left out",
    ),
}


def wrong(rows):
    return next(r for r in rows if r["score"] == 0.0)


def first_wrong(**also):
    return lambda rows: flip(wrong(rows), **also)


def swapped(run):
    one, other = samples(run, "demo_animals"), samples(run, "demo_trades")
    write_samples(run, "demo_animals", other[:16])
    write_samples(run, "demo_trades", other[:32] + one)


def target_moved(rows):
    row = wrong(rows)
    flip(row, target=str(row["predicted"]))


def renamed(rows):
    rows[0]["doc_id"] = "16"


def second_answers(rows):
    right = [r for r in rows if r["score"] == 1.0][:8]
    return right + [r | {"draw": 1} for r in right]


def first_row(**columns):
    return lambda rows: rows[0].update(columns)


def shorter(rows):
    rows[0]["options"] = rows[0]["options"][:3]


def longer_options(rows):
    for option in rows[0]["options"]:
        option["bytes"] += 1


ROWS = {
    "a verdict alone": (
        "demo_animals",
        lambda rows: wrong(rows).update(correct=True),
        "'correct' is not what its score says",
    ),
    "a verdict and its score": ("demo_animals", first_wrong(), r"its score is 1\.0, its answer gives 0\.0"),
    "a verdict, its score and its option": (
        "demo_animals",
        lambda rows: flip(wrong(rows), predicted=int(wrong(rows)["target"])),
        r"its score is 1\.0, its answer gives 0\.0",
    ),
    "a verdict that leaves its option": (
        "demo_animals",
        lambda rows: wrong(rows).update(predicted=None),
        "its prediction is option None, its options give",
    ),
    "a moved target": ("demo_animals", target_moved, "its target is not the data's"),
    "a continuation that was not found": ("demo_capitals", first_wrong(), r"its score is 1\.0, its answer gives 0\.0"),
    "a schema": ("demo_trades", first_wrong(), r"its score is 1\.0, its answer gives 0\.0"),
    "an answer that is nonsense": ("demo_sums", first_wrong(), r"its score is 1\.0, its answer gives 0\.0"),
    "another extract": (
        "demo_sums",
        lambda rows: wrong(rows).update(extracted="42"),
        "'extracted' is not what its answer",
    ),
    "another status": (
        "demo_sums",
        lambda rows: wrong(rows).update(status="truncated"),
        "its status is truncated, its answer",
    ),
    "wrong samples removed": (
        "demo_animals",
        lambda rows: [r for r in rows if r["score"] == 1.0],
        r"\d of 16 documents that were to be asked are not there",
    ),
    "right samples twice": ("demo_animals", lambda rows: rows[:8] * 2, r"the sample stands twice \(8 rows\)"),
    "right samples as second answers": ("demo_animals", second_answers, "a second answer, and the task takes one"),
    "a document of another task": ("demo_animals", renamed, "its document is not among those to be asked"),
    "a group": ("demo_animals", first_row(group="easy"), "its group is not the data's"),
    "a cluster": ("demo_animals", first_row(cluster="0" * 12), "its cluster is not the data's"),
    "fewer options": ("demo_animals", shorter, "more or fewer options than the data"),
    "options of other lengths": ("demo_animals", longer_options, "options are of other lengths"),
    "no request": ("demo_animals", first_row(request_sha256="<b>"), "'request_sha256' is no hash"),
    "a status that is none": ("demo_animals", first_row(status="excused"), "its status is none that assay knows"),
    "a form that is none": ("demo_sums", first_row(form="poem"), "its form is none that assay knows"),
    "a score beyond right": ("demo_sums", first_row(score=2.0, correct=False), r"its score is not in \[0, 1\]"),
    "a score that is no number": (
        "demo_sums",
        first_row(score=float("nan"), correct=False),
        r"its score is not in \[0, 1\]",
    ),
    "no options": ("demo_animals", first_row(options=None), "'options' is empty"),
    "a scored infra error": ("demo_animals", first_row(status="infra_error"), "an infra error has a score"),
    "a target that is no JSON": ("demo_sums", first_row(target="{"), "its target is not"),
    "an option without tokens": (
        "demo_animals",
        lambda rows: rows[0]["options"][0].update(tokens=0),
        "can't be judged by the task's rule: ValueError",
    ),
}
HIDDEN = {
    "wrong samples as infra errors": (
        "demo_animals",
        lambda rows: [
            r | ({"score": None, "correct": None, "status": "infra_error"} if r["score"] == 0 else {}) for r in rows
        ],
        r"value: 0\.\d+ is claimed, its samples give None",
    ),
    "no score": ("demo_animals", first_row(score=None, correct=None), "has no score, and its status is no infra error"),
}


def columns(n, **also):
    """A table of samples of which nothing but these columns is filled."""
    made = {}
    for f in SAMPLES:
        empty = [[]] * n if f.name in ("options", "parts") else [""] * n if pa.types.is_string(f.type) else [None] * n
        made[f.name] = pa.array(empty, f.type)
    return pa.table({**made, **also})


def parquet(table, **options):
    written = io.BytesIO()
    pq.write_table(table, written, **{"compression": "zstd", **options})
    return written.getvalue()


def invalid_text():
    offsets, data = pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe")
    return columns(1, response=pa.Array.from_buffers(pa.string(), 1, [None, offsets, data]))


def bomb(n=60_000):
    """60,000 rows that all say the same 3.9 MB: 0.2 MB packed, 234 GB unpacked."""
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array(["x" * 3_900_000]))
    return parquet(columns(n, response=text), store_schema=False, dictionary_pagesize_limit=10_000_000)


def pickled():
    code = b"cposix\nsystem\n(S'touch /tmp/owned'\ntR."
    strange = pa.field("doc_id", pa.string(), metadata={"ARROW:extension:name": "arrow.py_extension_type"})
    strange = strange.with_metadata({**strange.metadata, b"ARROW:extension:metadata": code})
    return columns(16).cast(pa.schema([strange, *list(SAMPLES)[1:]]))


POISON = {
    "a web page": (b"<html>" * 100, "is no Parquet"),
    "an empty file": (b"", "is no Parquet"),
    "a magic and nothing else": (b"PAR1PAR1", "is no Parquet"),
    "a footer without end": (
        b"PAR1" + b"0" * 64 + (2**32 - 1).to_bytes(4, "little") + b"PAR1",
        "its footer says that it has",
    ),
    "a footer of noise": (b"PAR1" + b"\xff" * 64 + (64).to_bytes(4, "little") + b"PAR1", "no Parquet that can be read"),
    "a file cut short": (parquet(columns(16))[:-40] + b"PAR1", "no Parquet that can be read|its footer says"),
    "another column": (columns(16, extra=pa.array([1] * 16)), "other columns than a record of samples: extra int64"),
    "a column less": (columns(16).drop_columns(["program"]), "other columns than a record of samples: no program"),
    "a column of another type": (columns(16, score=pa.array(["1.0"] * 16)), "score string"),
    "columns in another order": (columns(16).select(SAMPLES.names[::-1]), "in another order"),
    "metadata of pandas": (
        columns(16).replace_schema_metadata({"pandas": "{}"}),
        "metadata that assay does not write: b'pandas'",
    ),
    "a pickle as an extension type": (pickled(), "metadata that assay does not write|other columns"),
    "more rows than the task": (columns(17), "says that it has 17 rows, the task can have 16"),
    "millions of rows": (columns(1).take(np.zeros(300_000, int)), "says that it has 300,000 rows"),
    "a text of 5 MB": (
        columns(16, response=pa.array(["x" * 5_000_000] * 16)),
        "'response' holds a text of 5,000,000 bytes",
    ),
    "text that is no UTF-8": (invalid_text(), "no Parquet that can be read: ArrowInvalid"),
    "nothing in any row": (columns(16), "is none that assay knows"),
}


@pytest.fixture(scope="module")
def judged(honest, tmp_path_factory):
    """Every run that was tampered with, in one submission, judged at once: findings by run."""
    folder = tmp_path_factory.mktemp("tampered") / "submission"
    cases = {f"files-{i}": change for i, (change, _) in enumerate(FILES.values())}
    cases |= {f"numbers-{i}": change for i, (change, _) in enumerate(NUMBERS.values())}
    for i, (task, change, _) in enumerate(ROWS.values()):
        cases[f"rows-{i}"] = lambda run, t=task, c=change: edit_rows(run, t, c, recount=True)
    for i, (task, change, _) in enumerate(HIDDEN.values()):
        cases[f"hidden-{i}"] = lambda run, t=task, c=change: edit_rows(run, t, c)
    for i, (table, _) in enumerate(POISON.values()):
        cases[f"poison-{i}"] = lambda run, t=table: write_samples(run, "demo_animals", t)
    cases |= {"swapped": swapped, "control": lambda run: None}
    for name, change in cases.items():
        change(tampering.copied(honest, folder / name))
    found = validate(folder, open_registry())
    return {name: [f for f in found if f.where.partition("/")[0] == name] for name in cases}


def table_of(kind, cases):
    return [pytest.param(f"{kind}-{i}", expected, id=name) for i, (name, (*_, expected)) in enumerate(cases.items())]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        *table_of("files", FILES),
        *table_of("numbers", NUMBERS),
        *table_of("rows", ROWS),
        *table_of("hidden", HIDDEN),
        *table_of("poison", POISON),
    ],
)
def test_what_was_changed_by_hand_is_found_and_named(judged, run, expected):
    assert re.search(expected, said(judged[run], "fail")), said(judged[run], "fail") or "nothing was found"


def test_samples_swapped_between_tasks_are_found(judged):
    assert "demo_animals.parquet" in said(judged["swapped"], "fail")
    assert "demo_trades.parquet" in said(judged["swapped"], "fail")


def test_a_run_beside_ninety_bad_ones_still_passes(judged):
    assert {f.level for f in judged["control"]} == {"pass"}


def test_a_fault_names_file_row_and_remedy(judged):
    (fault,) = faults(judged[f"rows-{list(ROWS).index('a moved target')}"])
    assert fault.where.startswith(f"rows-{list(ROWS).index('a moved target')}/samples/demo_animals.parquet:")
    assert "as assay wrote it" in fault.remedy


def test_a_bomb_ends_its_own_process_and_the_rest_is_judged(honest, tmp_path, registry):
    """Of a task that nobody knows, whose rows can't be counted beforehand; the last claim of its run follows it."""
    run = tampering.copied(honest, tmp_path / "submission" / "bomb")
    edit_plan(run, tasks={**files.unseal(run / "plan.json")["tasks"], "aaa": "0" * 64})
    unknown = {"task": "aaa", "fingerprint": "0" * 64}
    edit_results(run, lambda r: r["tasks"].update(aaa={**r["tasks"]["demo_animals"], **unknown}))
    write_samples(run, "aaa", bomb())
    found = validate(run.parent, registry)
    assert re.search(
        "bomb/.*aaa.*: (is no Parquet that can be read: ArrowMemoryError|reading it takes)", said(found, "fail")
    )
    assert len(faults(found)) == 1
    assert "demo_animals, demo_capitals, demo_sums, demo_trades" in said(found, "pass")


CRASH = """
import os, pyarrow.parquet as pq
opened = pq.ParquetFile.__init__
pq.ParquetFile.__init__ = lambda s, path, **o: os.abort() if "demo_capitals" in str(path) else opened(s, path, **o)
"""


def test_a_reader_that_crashes_costs_the_one_file_that_crashed_it(honest, tmp_path, registry, monkeypatch):
    """As Arrow's has crashed on a file of noise: here it aborts on one task's file."""
    (tmp_path / "sitecustomize.py").write_text(CRASH)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = validate(honest, registry)
    assert (
        said(found, "fail") == "honest/demo_capitals: reading it takes more than 4 GiB or 300 s, or crashes the reader"
    )
    assert "(3: demo_animals, demo_sums, demo_trades)" in said(found, "pass")


def test_no_noise_in_a_file_of_samples_does_more_than_refuse_it(honest, tmp_path):
    from assay.harness.submission import opening

    content = (honest / "samples" / "demo_trades.parquet").read_bytes()
    rng, path, refused = np.random.default_rng(0), tmp_path / "noise.parquet", 0
    for _ in range(100):
        noisy = bytearray(content)
        for at in rng.integers(4, len(content) - 4, rng.integers(1, 8)):
            noisy[at] = rng.integers(0, 256)
        path.write_bytes(noisy)
        try:
            opening.read(path, 48)
        except SubmissionError:
            refused += 1
    assert refused > 20


def test_no_text_of_a_submission_reaches_a_terminal_raw(copy, registry):
    evil = "\x1b]0;owned\x07\x1b[2J\u202egnp\r\n::set-output"
    edit_plan(copy, run_id=f"copy{evil}", assay_version=evil, schema_version=evil)
    (copy / f"file{evil}").write_text("x")
    found = validate(copy.parent, registry)
    assert faults(found)
    shown = "".join(f.where + f.what + f.remedy for f in found)
    assert shown.isprintable()
    assert "\\x1b]0;owned\\x07" in shown


def test_what_is_said_is_short():
    assert len(Finding(level="fail", where="x", what="y" * 10**6).what) < 500
    assert plain("a\u202eb\ud800") == r"a\u202eb\ud800"


def test_numbers_without_samples_are_marked_and_pass(copy, registry):
    (copy / "samples" / "demo_sums.parquet").unlink()
    in_manifest(copy, lambda m: m["files"].pop("samples/demo_sums.parquet"))
    claim(copy, "demo_sums", samples_sha256="")
    found = validate(copy.parent, registry)
    assert not faults(found)
    assert said(found, "warn") == "copy/demo_sums: aggregates only: no claim about samples"


def test_another_version_of_a_task_is_said_and_its_number_recomputed_all_the_same(copy, registry):
    plan = files.unseal(copy / "plan.json")
    edit_plan(copy, tasks=plan["tasks"] | {"demo_sums": "0" * 64})
    claim(copy, "demo_sums", fingerprint="0" * 64)
    found = validate(copy.parent, registry)
    assert not faults(found)
    assert "copy/demo_sums: another version of the task" in said(found, "warn")
    claim(copy, "demo_sums", value=0.9, centred_v1=0.9, centred_v2=0.9)
    assert "value: 0.9 is claimed, its samples give" in said(validate(copy.parent, registry), "fail")


def test_a_journal_is_left_out_and_said(copy, registry):
    (copy / "journal").mkdir(exist_ok=True)
    (copy / "journal" / "demo_sums.jsonl").write_text("{}\n")
    found = validate(copy.parent, registry)
    assert not faults(found)
    assert "journal/demo_sums.jsonl: belongs to no finished run" in said(found, "warn")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda f: None, "no run: no plan.json"),
        (lambda f: (f / "readme.md").write_text("hi"), "readme.md: is part of no run"),
        (lambda f: (f / "runs" / "a").mkdir(parents=True), "no run: no plan.json"),
    ],
)
def test_a_folder_that_is_no_submission_is_a_finding(tmp_path, registry, make, expected):
    (tmp_path / "s").mkdir()
    make(tmp_path / "s")
    assert expected in said(validate(tmp_path / "s", registry), "fail")


def test_one_run_sent_twice_is_found(honest, tmp_path, registry):
    for name in ("one", "two"):
        tampering.copied(honest, tmp_path / "s" / name)
        edit_plan(tmp_path / "s" / name, run_id="one")
    assert "2 runs are called one" in said(validate(tmp_path / "s", registry), "fail")


ROWS_OF_TWO = [r | {"category": "large" if i < 8 else "small"} for i, r in enumerate(choice_rows(12))]


def test_categories_are_recomputed_and_their_loss_is_found(write_task, tmp_path):
    registry = open_registry([write_task(ROWS_OF_TWO, categories=True)])
    run = measured(tmp_path / "s", ["mine"], registry=registry)
    assert {f.level for f in validate(run.parent, registry)} == {"pass"}
    claim(run, "mine", groups={"large": [0.99, 8], "small": [0.5, 4]})
    assert "groups large: 0.99 is claimed" in said(validate(run.parent, registry), "fail")
    write_samples(run, "mine", [r for r in samples(run, "mine") if r["group"] == "large"])
    assert "4 of 12 documents" in said(validate(run.parent, registry), "fail")


def test_without_its_data_a_task_is_recomputed_and_only_its_targets_are_believed(write_task, tmp_path):
    folder = write_task(ROWS_OF_TWO, categories=True)
    write_task(choice_rows(9), folder, "other")
    registry = open_registry([folder])
    run = measured(tmp_path / "s", ["mine", "other"], registry=registry)
    for data in folder.glob("*.jsonl"):
        data.unlink()
    found = validate(run.parent, registry)
    assert not faults(found)
    assert said(found, "warn") == (
        "honest: its pinned data are not here: targets are taken as recorded (2: mine, other)"
    )
    edit = [r for r in samples(run, "mine") if r["doc_id"] != "large/3"]
    write_samples(run, "mine", edit)
    write_samples(run, "other", samples(run, "other")[1:])
    text = said(validate(run.parent, registry), "fail")
    assert "it has 11 documents, 12 were to be asked" in text
    assert "its documents are not the 9 that were to be asked" in text


PROTECTED = {
    "response": "Question 1",
    "note": "x",
    "target": '"Question 1"',
    "parts": [("q", 1.0)],
    "doc_id": "Question",
}


def test_records_of_protected_data_hold_no_text(write_task, tmp_path):
    registry = open_registry([write_task(choice_rows(6), data={"protected": True})])
    run = measured(tmp_path / "s", ["mine"], registry=registry)
    for column, value in PROTECTED.items():
        leaking = tampering.copied(run, tmp_path / "s" / column)
        edit_rows(leaking, "mine", lambda rows, c=column, v=value: rows[0].update({c: v}))
    found = validate(run.parent, registry)
    assert {f.where.partition("/")[0] for f in faults(found)} == set(PROTECTED)
    for column in PROTECTED:
        what = f"{column}/samples/mine.parquet:0: '{column}' (may hold|holds) text, and the task's data are protected"
        assert re.search(what, said(found, "fail"))
    assert "Question 1" not in said(found, "fail")


def test_a_task_that_is_not_in_the_registry_is_recomputed_by_means(write_task, tmp_path, registry):
    run = measured(tmp_path / "s", ["mine"], registry=open_registry([write_task(ROWS_OF_TWO, categories=True)]))
    found = validate(run.parent, registry)
    assert not faults(found)
    assert "honest/mine: no task of this registry" in said(found, "warn")
    edit_rows(run, "mine", lambda rows: flip(wrong(rows)))
    assert re.search("mine: (value|groups large): .* is claimed", said(validate(run.parent, registry), "fail"))


REAL = ("agi_eval_lsat_rc", "squad", "jeopardy", "lambada_openai", "winograd", "gpqa_main", "gsm8k")
"""Clusters, answers with aliases, categories, continuations, schemas, protected rows; one that lm-eval defines."""


def test_real_tasks_are_recomputed_to_the_last_digit(mirror, registry, tmp_path):
    run = measured(tmp_path / "s", REAL, docs=DocRange(limit=24), registry=registry)
    cheat = tampering.copied(run, tmp_path / "s" / "cheat")
    edit_rows(cheat, "gsm8k", lambda rows: flip(rows[0], parts=[(k, 1.0 - v) for k, v in rows[0]["parts"]]))
    found = validate(run.parent, registry)
    assert "honest: a part of each task: rows 0:, a sample of 24 of them" in said(found, "warn")
    assert {f.what for f in found if f.level == "warn"} == {"a part of each task: rows 0:, a sample of 24 of them"}
    assert (
        f"honest: recomputed from its samples and equal: items, verdicts, number, interval, groups ({len(REAL)}: "
        in (said(found, "pass"))
    )
    assert "cheat/samples/gsm8k.parquet:0: its score is" in said(found, "fail")
    assert {f.where.partition("/")[0] for f in faults(found)} == {"cheat"}


def test_programs_that_another_tool_judged_are_recomputed_and_their_verdicts_called_recorded(
    assay, reference, registry, tmp_path
):
    file = reference / "samples/qwen2.5-coder-1.5b-base/humaneval_plus_eval_results.json.gz"
    assay("import", "evalplus", file, "--store", tmp_path / "s", check=0)
    (run,) = (p.parent for p in (tmp_path / "s").glob("*/plan.json"))
    found = validate(run, registry)
    assert not faults(found)
    assert "imported: the rules of the tool" in said(found, "warn")
    assert "verdicts on what was written are taken as recorded" in said(found, "warn")
    edit_results(run, lambda r: r["tasks"]["humaneval_plus"]["metrics"].update({"base pass@1": 0.9}))
    assert "metrics base pass@1: 0.9 is claimed" in said(validate(run, registry), "fail")
    edit_rows(run, "humaneval_plus", lambda rows: flip(wrong(rows)))
    assert "value: 0.36585365853658536 is claimed" in said(validate(run, registry), "fail")


def test_what_lm_eval_measured_is_recomputed_where_its_metrics_are_means(assay, honest, registry, tmp_path):
    folder = assay("export", honest, "lm-eval", check=0).stdout.strip()
    name = assay("import", "lm-eval", folder, "--store", tmp_path / "s", check=0).stdout.strip()
    found = validate(tmp_path / "s" / name, registry)
    assert not faults(found)
    assert "imported: the rules of the tool" in said(found, "warn")

    def raise_it(r):
        r["tasks"]["imported:demo_sums"]["value"] = 0.9
        r["tasks"]["imported:demo_sums"]["metrics"]["exact_match,none"] = 0.9

    edit_results(tmp_path / "s" / name, raise_it)
    assert "metrics exact_match,none: 0.9 is claimed" in said(validate(tmp_path / "s" / name, registry), "fail")


@pytest.mark.docker
def test_programs_are_recomputed_but_not_run_again(assay, engine, registry, shared_cache, tmp_path):
    assay("run", "demo_code", "--model", "corrupted:1", "--name", "c", env={"ASSAY_CACHE": str(shared_cache)}, check=0)
    run = tmp_path / "runs" / "c"
    found = validate(run, registry)
    assert not faults(found)
    assert "verdicts on what was written are taken as recorded" in said(found, "warn")
    edit_rows(run, "demo_code", lambda rows: flip(wrong(rows)))
    assert "its score is not what its parts say" in said(validate(run, registry), "fail")


def zipped(entries, **options):
    """A zip of (name or ZipInfo, content) pairs."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", **options) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return written.getvalue()


def linked(name="s/link", mode=stat.S_IFLNK | 0o777):
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, mode << 16
    return entry


def marked_encrypted(archive):
    """The flag set in both records of the one entry."""
    content = bytearray(archive)
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def two_of_one_name():
    with pytest.warns(UserWarning, match="Duplicate"):
        return zipped([("s/a.json", "1"), ("s/a.json", "2")])


def renamed_raw(old, new):
    """A name that zipfile itself would not write."""
    assert len(old) == len(new)
    return zipped([(old, "x")]).replace(old.encode(), new.encode())


def lying(claimed=10):
    """200 MB and more of zeros behind headers that say ten bytes."""
    archive = bytearray(zipped([("s/zeros", bytes(201_000_000))], compression=zipfile.ZIP_DEFLATED))
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = archive.index(mark) + at
        archive[start : start + 4] = claimed.to_bytes(4, "little")
    return bytes(archive)


ARCHIVES = {
    "a path upwards": (lambda: zipped([("../evil", "x")]), r"entry '\.\./evil' leaves the folder"),
    "a path upwards inside": (lambda: zipped([("s/../../evil", "x")]), "leaves the folder"),
    "an absolute path": (lambda: zipped([("/etc/evil", "x")]), "entry '/etc/evil' leaves the folder"),
    "a drive": (lambda: zipped([("C:/evil", "x")]), "entry 'C:/evil' leaves the folder"),
    "a drive inside": (lambda: zipped([("s/C:evil", "x")]), "leaves the folder"),
    "a backslash": (lambda: renamed_raw("s/a..bb", "s\\..\\bb"), "leaves the folder"),
    "an escape": (lambda: zipped([("s/\x1b[2J", "x")]), r"entry 's/\\x1b\[2J' leaves"),
    "a nul": (lambda: renamed_raw("s/a.json.zzz", "s/a.json\0zzz"), r"entry 's/a.json\\x00zzz' leaves"),
    "an empty name": (lambda: zipped([("s//a", "x")]), "leaves the folder"),
    "a hidden file": (lambda: zipped([("s/.bashrc", "x")]), "entry 's/.bashrc' leaves the folder, is hidden"),
    "a name that ends in a dot": (lambda: zipped([("s/a.", "x")]), "not every system can hold"),
    "too deep": (lambda: zipped([("a/" * 9 + "b", "x")]), "leaves the folder"),
    "a link": (lambda: zipped([(linked(), "/etc/passwd")]), "entry 's/link' is a link or another special file"),
    "a pipe": (lambda: zipped([(linked("s/pipe", stat.S_IFIFO), "")]), "entry 's/pipe' is a link or another special"),
    "encrypted": (lambda: marked_encrypted(zipped([("s/a", "x")])), "entry 's/a' is encrypted"),
    "bzip2": (lambda: zipped([("s/a", "x" * 100)], compression=zipfile.ZIP_BZIP2), "by an unusual method"),
    "one name twice": (two_of_one_name, "entry 's/a.json' stands twice"),
    "two cases of a name": (lambda: zipped([("s/a", "x"), ("s/A", "y")]), "entry 's/A' stands twice"),
    "two writings of a name": (
        lambda: zipped([("s/\u00e9", "x"), ("s/e\u0301", "y")]),
        "stands twice|not every system",
    ),
    "a file that is a folder": (lambda: zipped([("s/a", "x"), ("s/a/b", "y")]), "entry 's/a/b' stands twice, or below"),
    "a folder that is a file": (lambda: zipped([("s/a/b", "x"), ("s/a", "y")]), "entry 's/a' stands twice"),
    "a bomb": (
        lambda: zipped([(f"s/{i}", bytes(30_000_000)) for i in range(7)], compression=zipfile.ZIP_DEFLATED),
        "entry 's/6': with it the archive unpacks to more than 200,000,000 bytes",
    ),
    "a bomb that lies": (lying, "entry 's/zeros' can't be read"),
    "too many files": (lambda: zipped([(f"s/{i}", "") for i in range(2_001)]), "more than 2,000 entries"),
    "too large": (lambda: os.urandom(20_000_001), "20,000,001 bytes, 20,000,000 are taken"),
    "no zip": (lambda: b"hello", "not a zip archive"),
    "nothing": (lambda: b"", "not a zip archive"),
    "cut short": (lambda: zipped([("s/a", "x" * 1000)])[:-30], "not a zip archive"),
    "damaged": (
        lambda: zipped([("s/a", "x" * 1000)]).replace(b"x" * 9, b"y" * 9, 1),
        "entry 's/a' can't be read: Bad CRC",
    ),
}


@pytest.mark.parametrize(("make", "expected"), ARCHIVES.values(), ids=ARCHIVES)
def test_a_hostile_archive_is_refused_by_the_name_of_its_entry(tmp_path, make, expected):
    (tmp_path / "in").mkdir()
    with pytest.raises(SubmissionError, match=expected):
        unpack(make(), tmp_path / "in" / "side")
    assert {p.name for p in (tmp_path / "in").iterdir()} <= {"side"}
    assert not any(p.is_symlink() for p in tmp_path.rglob("*"))


def test_noise_in_an_archive_is_refused_or_harmless(honest, tmp_path):
    content = repack(honest, [])
    rng, refused = np.random.default_rng(0), 0
    for i in range(150):
        noisy = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 30)):
            noisy[at] = rng.integers(0, 256)
        try:
            unpack(bytes(noisy), tmp_path / str(i))
        except SubmissionError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("wrap", ["", "mine/"])
def test_what_is_zipped_comes_out_as_it_was_and_passes(honest, tmp_path, registry, wrap):
    entries = [(f"{wrap}{p.relative_to(honest.parent)}", p.read_bytes()) for p in honest.rglob("*") if p.is_file()]
    folder = unpack(zipped(entries), tmp_path / "in")
    assert folder == tmp_path / "in" / wrap
    assert not faults(validate(folder, registry))


def test_what_is_packed_are_the_runs_that_passed_and_the_same_bytes_each_time(honest, tmp_path, registry):
    for name in ("b", "a", "bad"):
        tampering.copied(honest, tmp_path / "s" / name)
    claim(tmp_path / "s" / "bad", "demo_sums", value=1.0)
    (tmp_path / "s" / "a" / "journal").mkdir(exist_ok=True)
    (tmp_path / "s" / "a" / "journal" / "demo_sums.jsonl").write_text("{}")
    found = validate(tmp_path / "s", registry)
    packed = repack(tmp_path / "s", found)
    for path in sorted((tmp_path / "s").rglob("*"), reverse=True):
        os.utime(path, (1, 1))
    assert repack(tmp_path / "s") == packed
    names = zipfile.ZipFile(io.BytesIO(packed)).namelist()
    tasks = ("demo_animals", "demo_capitals", "demo_sums", "demo_trades")
    inside = ["manifest.json", "plan.json", "results.json", *(f"samples/{t}.parquet" for t in tasks)]
    assert names == [f"{run}/{name}" for run in ("a", "b") for name in inside]
    assert {f.level for f in validate(unpack(packed, tmp_path / "out"), registry)} == {"pass"}


def test_a_part_of_the_rows_is_said(tmp_path, registry):
    run = measured(tmp_path / "s", ["demo_sums"], docs=DocRange(8, 20))
    found = validate(run.parent, registry)
    assert not faults(found)
    assert "honest: a part of each task: rows 8:20" in said(found, "warn")


def test_nothing_is_packed_when_nothing_passes(copy):
    claim(copy, "demo_sums", value=1.0)
    with pytest.raises(SubmissionError, match="no run in it is without a fault"):
        repack(copy.parent)


def test_the_command_prints_a_table_and_exits_with_0_when_nothing_fails(assay, honest):
    good = assay("submit", "validate", honest.parent, check=0)
    assert re.search("^pass  honest .*recomputed from its samples and equal", good.stdout, re.MULTILINE)


def test_the_command_exits_with_2_on_a_fault_and_prints_json_for_programs(assay, copy):
    claim(copy, "demo_sums", stderr=0.0)
    told = json.loads(assay("submit", "validate", copy.parent, "--json", check=2).stdout)
    (fault,) = [f for f in told if f["level"] == "fail" and f["where"] == "copy/demo_sums"]
    assert fault["what"].startswith("stderr: 0.0 is claimed, its samples give 0.07")
    assert "does not exist" in assay("submit", "validate", copy / "nowhere", check=2).stderr


def test_nothing_of_a_submission_is_imported_from_the_folder_it_is_validated_in(assay, copy, tmp_path):
    for name in ("assay", "pyarrow", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from a stranger')")
    assay("submit", "validate", copy.parent, cwd=tmp_path, check=0)


def test_a_run_without_answers_is_not_believed_because_it_names_another_tool(honest, tmp_path, registry):
    run = tampering.copied(honest, tmp_path / "s" / "copy")
    tasks = files.unseal(run / "plan.json")["tasks"]
    tampering.edit_plan(run, tasks=dict.fromkeys(tasks, "x"))
    tampering.edit_results(run, lambda r: [t.update(fingerprint="x") for t in r["tasks"].values()])
    assert any(f.level == "fail" and "another tool" in f.what for f in validate(tmp_path / "s", registry))
    assert indexing.evidence(store.read_run(run)) == "imported with samples"


@pytest.mark.parametrize("facts", [[1], {"tokens": 10**30}, {"tokens": "x"}])
def test_facts_that_no_board_can_show_are_found(honest, tmp_path, registry, facts):
    run = tampering.copied(honest, tmp_path / "s" / "copy")
    environment = files.unseal(run / "plan.json")["environment"]
    tampering.edit_plan(run, environment={**environment, "facts": facts})
    assert any(f.level == "fail" and "damaged" in f.what for f in validate(tmp_path / "s", registry))
