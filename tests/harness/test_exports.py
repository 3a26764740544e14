"""DCLM's, Every Eval Ever's, tables and citations: the numbers as they are, nothing twice, nothing that runs."""

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
import uuid
from datetime import datetime

import pyarrow.parquet as pq
import pytest
import yaml

from assay.harness import fingerprint, store
from assay.harness.interchange import export_dclm, export_eee, export_table, import_dclm, imported, tables
from assay.harness.interchange.citation import citation
from assay.harness.records import Checkpoint, Plan, TaskResult
from assay.harness.store import RunWriter
from assay.tasks import datasets
from tests.conftest import ASSAY
from tests.harness.eee_demands import read as eee

FORMATS = ("csv", "parquet", "dclm", "every-eval-ever", "citation")
HOSTILE = (
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    '"=1+1"',
    "'=1+1",
    '  "  =1+1',
    "\x00=1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "\uff1d1+1",
    "fine;=1+1",
    'fine";"=1+1',
    "fine\n=1+1",
    'fine,"=1+1',
)
"""Texts that a spreadsheet would take for a formula, or a line of which it would."""


@pytest.fixture(scope="session")
def _half(tmp_path_factory):
    folder = tmp_path_factory.mktemp("half")
    command = [ASSAY, "run", "demo", "--model", "corrupted:0.5", "--name", "half"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "runs"


@pytest.fixture
def half(_half, tmp_path):
    """A finished run of the demo suite, half of it wrong."""
    shutil.copytree(_half, tmp_path / "runs")
    return store.read_run(tmp_path / "runs" / "half")


@pytest.fixture
def written(tmp_path):
    """Write a run without a sample; the run."""

    def write(results, name="kept", label="some model", composites=(), **keys):
        plan = Plan(
            run_id=name,
            created="2024-01-30T00:20:14Z",
            assay_version="0.1.0",
            checkpoint=Checkpoint(label=label),
            tasks={r.task: r.fingerprint for r in results},
            **{
                "identity": {"model": "abc", "engine": "nothing 1"},
                "docs": (0, None, None),
                "options": {"model": "hf:some/folder"},
                "environment": {},
                **keys,
            },
        )
        with RunWriter(tmp_path / "runs", plan) as out:
            for result in results:
                out.finish_task(result, None)
            out.finish(composites, 0.0, plan.created)
        return store.read_run(tmp_path / "runs" / name)

    return write


def results_of(values, **keys):
    return [TaskResult(task=t, value=v, **{"status": "ok", "fingerprint": f"f-{t}", **keys}) for t, v in values.items()]


def evaluations(reference):
    """DCLM's published files."""
    paths = sorted((reference / "dclm/exp_data/evals").glob("*.json"))
    return {p: json.loads(p.read_text()) for p in paths}


def same(a, b):
    """Equal, numbers within 1e-9."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b if isinstance(a, str) else a == pytest.approx(b, abs=1e-9)


def test_every_aggregate_of_every_published_evaluation_comes_out_as_published(registry, reference):
    found = evaluations(reference)
    assert len(found) == 156
    for path, data in found.items():
        ours = export_dclm.aggregates(registry, data["eval_metrics"]["icl"])
        assert {k: v for k, v in ours.items() if not same(v, data[k])} == {}, path.name
        assert {"Core", "Core_v1", "Core_v2", "Extended", "Extended_v1", "Extended_v2"} < set(ours)


def test_a_published_evaluation_imported_and_exported_is_itself_again(assay, reference, tmp_path):
    found = evaluations(reference)
    whole = next(p for p, d in found.items() if d["missing tasks"] == "[]")
    part = next(p for p, d in found.items() if d["missing tasks"] != "[]")
    for path in (whole, part):
        (read,) = import_dclm.read_all(path)
        run = imported.save(read, tmp_path / "runs")
        again = json.loads(assay("export", run.plan.run_id, "dclm", check=0).stdout)
        assert again["eval_metrics"]["icl"].items() <= found[path]["eval_metrics"]["icl"].items()
        assert again["creation_date"] == found[path]["creation_date"]
        extra = {"_filename", "model_name", "model_uuid"}
        assert set(found[path]) - extra <= set(again)
        ours = {"name", "uuid", "model", "model_name", "model_uuid", "eval_metrics", "assay"}
        assert {k: v for k, v in again.items() if k not in ours and not same(v, found[path][k])} == {}
        (read,) = import_dclm.read_all(write_json(tmp_path / "again.json", again))
        assert [(c["name"], c["value"]) for c in read.composites] == [(c["name"], c["value"]) for c in run.composites]
    assert again["Extended"].startswith("N/A due to missing tasks: ['gsm8k_cot', ")
    assert isinstance(again["Core"], float), "its 22 tasks are there"


def write_json(path, data):
    path.write_text(json.dumps(data))
    return path


def test_a_measured_run_is_exported_with_what_is_missing_named(assay, mirror, tmp_path):
    assay("run", "copa", "winograd", "demo_sums", "--model", "oracle", "--name", "x", check=0)
    done = assay("export", "x", "dclm", "--out", "deep/x.json", check=0)
    assert done.stderr == "assay: demo_sums: left out: none of DCLM's 53 tasks\n"
    data = json.loads((tmp_path / "deep/x.json").read_text())
    assert data["eval_metrics"]["icl"] == {"copa": 1.0, "winograd": 1.0}
    assert data["aggregated_task_categories_centered"]["commonsense reasoning"] == 1.0
    assert data["aggregated_task_categories_centered"]["safety"] is None, "nothing of it was measured"
    assert data["missing tasks"].startswith("['mmlu_zeroshot', 'hellaswag_zeroshot', ")
    assert re.fullmatch(r"N/A due to missing tasks: \[('\w+', ){19}'\w+'\]", data["Core_v1"])
    run = store.read_run(tmp_path / "runs/x")
    assert data["creation_date"] == datetime.fromisoformat(run.plan.created).strftime("%Y_%m_%d-%H_%M_%S")
    assert data["assay"]["fingerprints"]["copa"] == run.results["copa"].fingerprint
    assert uuid.UUID(data["uuid"]).version == 5


def test_a_file_without_a_date_is_exported_without_one(registry, written, tmp_path):
    import dataclasses

    run = written(results_of({"copa": 0.5}))
    run = dataclasses.replace(run, plan=dataclasses.replace(run.plan, created=""))
    assert json.loads(export_dclm.encode(run, registry, ())[0])["creation_date"] == ""
    data, _ = eee(export_eee.save(run, registry, (), tmp_path).path)
    assert (data.get("evaluation_timestamp"), data["retrieved_timestamp"]) == (None, "0")


def test_two_runs_of_one_model_share_its_uuid_and_not_their_own(registry, written):
    pair = [written(results_of({"copa": v}), name=n) for n, v in (("a", 0.5), ("b", 0.5))]
    first, second = (json.loads(export_dclm.encode(r, registry, ())[0]) for r in pair)
    assert first["model_uuid"] == second["model_uuid"]
    assert first["uuid"] != second["uuid"]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"docs": (0, None, 64)}, "copa: left out: it is of some of its rows"),
        ({"status": "partial"}, "copa: left out: it is of some of its rows"),
        ({"value": None, "status": "no_data", "message": "fetch it"}, "copa: left out, it has no number: fetch it"),
    ],
)
def test_what_dclms_file_can_not_say_is_left_out(assay, written, keys, said):
    given = {k: v for k, v in keys.items() if k != "docs"}
    written(
        [TaskResult(**{"task": "copa", "status": "ok", "value": 0.5, **given})],
        **{k: v for k, v in keys.items() if k == "docs"},
    )
    done = assay("export", "kept", "dclm", check=2)
    assert said in done.stderr
    assert not done.stdout


def test_lm_evals_task_of_the_same_name_is_not_dclms(registry, written):
    run = written(results_of({"imported:hellaswag": 0.5, "lm_eval:hellaswag": 0.5, "copa": 0.5}))
    data = json.loads(export_dclm.encode(run, registry, ())[0])
    assert list(data["eval_metrics"]["icl"]) == ["copa"]


def test_an_aggregate_and_its_samples_are_as_every_eval_ever_demands(assay, half, tmp_path):
    path = tmp_path / assay("export", "half", "every-eval-ever", check=0).stdout.strip()
    assert path.relative_to(tmp_path).parts[:-1] == ("every-eval-ever", "data", "assay", "local", "corrupted_0.5")
    data, rows = eee(path)
    assert data["evaluation_timestamp"] == half.plan.created.replace("Z", "+00:00")
    assert data["source_metadata"]["source_type"] == "evaluation_run"
    assert {r["evaluation_name"]: r["score_details"]["score"] for r in data["evaluation_results"]} == {
        t: r.value for t, r in half.results.items()
    }
    for result in data["evaluation_results"]:
        was = half.results[result["evaluation_name"]]
        assert result["score_details"]["uncertainty"] == {
            "num_samples": was.n,
            "standard_error": {"value": was.stderr, "method": "wilson"},
            "confidence_interval": {"lower": was.low, "upper": was.high, "confidence_level": 0.95, "method": "wilson"},
        }
        scores = [r["evaluation"]["score"] for r in rows if r["evaluation_result_id"] == result["evaluation_result_id"]]
        assert len(scores) == was.n
        assert sum(scores) / len(scores) == pytest.approx(was.value)


def test_composites_are_told_and_are_no_results_beside_their_parts(half, registry, tmp_path):
    data, _ = eee(export_eee.save(half, registry, (), tmp_path).path)
    (composite,) = half.composites
    assert composite["name"] not in {r["evaluation_name"] for r in data["evaluation_results"]}
    told = json.loads(data["source_metadata"]["additional_details"][f"composite {composite['name']}"])
    assert told == composite


def test_samples_say_what_was_asked_chosen_and_right(half, registry, tmp_path):
    _, rows = eee(export_eee.save(half, registry, (), tmp_path).path)
    by_task = {}
    for row in rows:
        by_task.setdefault(row["evaluation_name"], []).append(row)
    for row, kept in zip(by_task["demo_animals"], half.samples("demo_animals").to_pylist(), strict=True):
        choices = row["input"]["choices"]
        assert row["output"]["raw"] == [choices[kept["predicted"]]]
        assert row["input"]["reference"] == [choices[int(kept["target"])]]
        assert row["evaluation"]["is_correct"] == (row["output"]["raw"] == row["input"]["reference"])
        assert row["input"]["raw"].endswith("Answer:")
        text = json.dumps(
            {"raw": row["input"]["raw"], "reference": row["input"]["reference"]}, sort_keys=True, separators=(",", ":")
        )
        assert row["sample_hash"] == hashlib.sha256(text.encode()).hexdigest()
    schema = by_task["demo_trades"][0]["input"]
    assert len(set(schema["choices"])) == 2
    assert schema["reference"][0] in schema["choices"]
    assert not any(r["output"]["raw"] or r["answer_attribution"] for r in by_task["demo_capitals"]), "only scored"
    for row, kept in zip(by_task["demo_sums"], half.samples("demo_sums").to_pylist(), strict=True):
        assert row["output"]["raw"] == [kept["response"]]
        assert row["answer_attribution"][0]["extracted_value"] == kept["extracted"]


def test_prompts_that_nobody_can_vouch_for_are_empty_and_said_to_be(assay, write_task, tmp_path):
    folder = write_task([{"context": f"Add {i}:", "answer": f"{i}"} for i in range(3)], kind="generation")
    assay("run", "mine", "--tasks-dir", folder, "--model", "oracle", "--name", "x", check=0)
    done = assay("export", "x", "every-eval-ever", check=0)
    assert "mine: prompts are empty: task 'mine' has no spec here" in done.stderr
    _, rows = eee(tmp_path / done.stdout.strip())
    assert {(r["input"]["raw"], r["sample_hash"], r["evaluation"]["score"]) for r in rows} == {("", None, 1.0)}
    assert rows[0]["metadata"]["input"].startswith("not known: task 'mine' has no spec here")


def test_numbers_without_samples_are_documentation_and_point_to_none(registry, written, tmp_path):
    composite = {"name": "core_v2", "value": 0.2, "stderr": None, "missing": []}
    run = written(results_of({"copa": 0.5, "humaneval_plus": 0.25}), composites=[composite])
    data, rows = eee(export_eee.save(run, registry, (), tmp_path).path)
    assert rows == []
    assert data["source_metadata"]["source_type"] == "documentation"
    ids = [r["metric_config"]["metric_id"] for r in data["evaluation_results"]]
    assert ids == ["accuracy", "pass-at-1"]
    assert all("standard_error" not in r["score_details"]["uncertainty"] for r in data["evaluation_results"])


@pytest.mark.parametrize(
    ("engine", "library"),
    [
        ("lm-eval 0.4.13", ("lm-eval", "0.4.13")),
        ("a file in lm-eval's form", ("a file in lm-eval's form", "unknown")),
    ],
)
def test_an_import_names_who_evaluated(registry, written, tmp_path, engine, library):
    import_ = {"identity": {"engine": engine}, "environment": {"imported": {"file": "x"}}}
    data, _ = eee(export_eee.save(written(results_of({"copa": 0.5}), **import_), registry, (), tmp_path).path)
    assert (data["eval_library"]["name"], data["eval_library"]["version"]) == library


@pytest.mark.parametrize(
    ("metric", "value", "bounds", "lower"),
    [
        ("word_perplexity,none", 21.5, (1.0, "Infinity"), True),
        ("acc_norm,none", 0.5, (0.0, 1.0), False),
        ("bleu,none", 34.1, (0.0, 100.0), False),
        ("exact_match,strict", 0.5, (0.0, 1.0), False),
        ("own_metric,none", 7.0, None, False),
        ("acc,none", 73.4, None, False),
    ],
)
def test_bounds_are_declared_where_they_are_known_and_hold(registry, written, tmp_path, metric, value, bounds, lower):
    result = TaskResult(
        task="imported:t", status="ok", value=value, metrics={metric: value, "n,none": 3.0}, higher_is_better=not lower
    )
    data = json.loads(export_eee.save(written([result]), registry, (), tmp_path).path.read_text())
    config = data["evaluation_results"][0]["metric_config"]
    assert config["lower_is_better"] is lower
    found = (config["min_score"], config["max_score"]) if "min_score" in config else None
    assert found == bounds
    assert bounds is not None or config["additional_details"] == {"bounds_status": "unknown"}


def test_protected_rows_are_in_no_format(assay, mirror, registry, tmp_path):
    assay("run", "gpqa_main", "demo_sums", "--model", "random:1", "--docs", "0:4", "--name", "g", check=0)
    done = assay("export", "g", "every-eval-ever", check=0)
    assert "gpqa_main: no samples: its authors ask that rows are not published" in done.stderr
    data, rows = eee(tmp_path / done.stdout.strip())
    assert {r["evaluation_name"] for r in data["evaluation_results"]} == {"gpqa_main", "demo_sums"}
    assert {r["evaluation_name"] for r in rows} == {"demo_sums"}
    kept = store.read_run(tmp_path / "runs/g")
    for form in ("csv", "citation"):
        assay("export", "g", form, "--out", f"every-eval-ever/g.{form}", check=0)
    written = b"".join(p.read_bytes() for p in (tmp_path / "every-eval-ever").rglob("*") if p.is_file())
    rows = datasets.load(registry.tasks["gpqa_main"]).rows[:4]
    assert not any(r["query"][:40].encode() in written for r in rows)
    assert not any(s["request_sha256"].encode() in written for s in kept.samples("gpqa_main").to_pylist())


@pytest.mark.parametrize(
    ("label", "name"),
    [("../../etc/passwd", "local/_.._etc_passwd"), ("data", "local/_data"), ("CON", "local/_CON"), ("", "local/model")],
)
def test_a_models_name_can_not_lead_out_of_the_datastore(registry, written, tmp_path, label, name):
    run = written(results_of({"copa": 0.5}), label=label)
    path = export_eee.save(run, registry, (), tmp_path / "out").path
    assert path.relative_to(tmp_path / "out/data/assay").parent.as_posix() == name
    assert eee(path)[0]["model_info"]["id"] == name


def test_a_model_of_the_hub_has_its_name_there(registry, written, tmp_path):
    options = {"options": {"model": "hf:own-er/na.me@abc"}}
    run = written(results_of({"copa": 0.5}), label="own-er--na.me@abc", **options)
    data, _ = eee(export_eee.save(run, registry, (), tmp_path).path)
    assert (data["model_info"]["id"], data["model_info"]["developer"]) == ("own-er/na.me", "own-er")
    assert json.loads(export_dclm.encode(run, registry, ())[0])["model"] == "own-er/na.me"
    folder = written(results_of({"copa": 0.5}), name="other", label="na.me", **options)
    data, _ = eee(export_eee.save(folder, registry, (), tmp_path).path)
    assert data["model_info"]["id"] == "local/na.me", "a folder own-er/na.me was measured"


def test_a_table_has_every_task_and_composite_once_with_its_numbers(assay, half):
    found = list(csv.DictReader(io.StringIO(assay("export", "half", "csv", check=0).stdout)))
    assert [(r["kind"], r["task"]) for r in found] == [
        *(("task", t) for t in half.results),
        ("composite", "demo_centred"),
    ]
    for row in found[:-1]:
        was = half.results[row["task"]]
        assert [float(row[k]) for k in ("value", "stderr", "low", "high", "n", "centred_v1", "centred_v2")] == [
            *(was.value, was.stderr, was.low, was.high, was.n, was.centred_v1, was.centred_v2)
        ]
        assert (row["status"], row["method"], row["fingerprint"]) == ("ok", "wilson", was.fingerprint)
    assert float(found[-1]["value"]) == half.composites[0]["value"]


def test_a_composite_that_can_not_be_had_is_empty_and_names_what_is_missing(written):
    composite = {"name": "core_v2", "value": None, "stderr": None, "missing": ["coqa", "squad"]}
    run = written(results_of({"copa": 0.5}), composites=[composite])
    row = export_table.rows(run, ())[-1]
    assert (row["kind"], row["status"], row["value"], row["missing"]) == ("composite", "missing", None, "coqa, squad")
    assert [r["task"] for r in export_table.rows(run, ["copa"])] == ["copa"]


def test_parquet_holds_the_rows_of_the_table(assay, half, tmp_path):
    assert assay("export", "half", "parquet", check=0).stdout == "half.parquet\n"
    assert pq.read_table(tmp_path / "half.parquet").to_pylist() == export_table.rows(half, ())


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_run_is_exported_to_the_same_bytes_and_one_task_alone(assay, written, tmp_path, form):
    written(results_of({"copa": 0.5, "winograd": 0.25}))
    contents = []
    for out in ("a", "b"):
        assay("export", "kept", form, "--out", f"{out}/file", "--task", "copa", check=0)
        contents.append({p.relative_to(tmp_path / out): p.read_bytes() for p in (tmp_path / out).rglob("*.*")})
        contents[-1] |= {"": (tmp_path / out / "file").read_bytes()} if (tmp_path / out / "file").is_file() else {}
    assert contents[0] == contents[1]
    assert all(contents[0].values())
    assert form in ("parquet", "dclm") or not any(b"winograd" in c for c in contents[0].values())
    assert (
        "has no task 'typo'; it has: copa, winograd" in assay("export", "kept", form, "--task", "typo", check=2).stderr
    )


def cells(content, delimiter):
    """What a spreadsheet makes of a CSV's lines."""
    return [c for row in csv.reader(io.StringIO(content), delimiter=delimiter) for c in row]


def runs_as_formula(cell):
    return cell.lstrip(' "`\ufeff\u200b\x00')[:1] in ("=", "+", "-", "@", "\t", "\r", "\uff1d")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_of_a_csv_is_a_formula(text):
    rows = [{"label": text, text: "x", "value": -0.5, "list": [text], "last": "y"}]
    content = tables.csv_bytes(rows, comments=[text, f"http://x/?q={text}"]).decode()
    assert content.count("\n") == 4, "two comments, head, one row"
    found = cells(content, ",")
    assert [c for c in found if runs_as_formula(c)] == ["-0.5"], "a number stays a number"
    assert not any(runs_as_formula(c) for c in cells(content, ";") if c != "-0.5")
    assert content.isprintable() or {c for c in content if not c.isprintable()} == {"\n"}


@pytest.mark.parametrize("text", ["plain", "a-b", "1e-5", 'über, "quoted"', "x = y", "日本", "'quoted'", "a; b"])
def test_harmless_text_is_left_as_it_is(text):
    assert tables.csv_safe(text) == text
    head, row = csv.reader(io.StringIO(tables.csv_bytes([{"a": text}]).decode()))
    assert (head, row) == (["a"], [text])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\x9b2J", r"a\x9b2J"),
        ("a\u202eb", r"a\u202eb"),
        ("a\nb", r"a\nb"),
        ("\udc80", r"\udc80"),
    ],
)
def test_terminal_escapes_are_written_as_escapes(text, shown):
    assert tables.csv_safe(text) == shown
    assert tables.csv_bytes([{"a": text}], comments=[text]).decode() == f"# {shown}\na\n{shown}\n"


def test_values_keep_their_kinds_in_csv_and_parquet():
    numpy = pytest.importorskip("numpy")
    rows = [
        {"n": 3, "x": 0.1, "yes": True, "none": None, "nan": float("nan")},
        {"n": numpy.int64(-4), "x": numpy.float64(-2.5), "more": {"a": [1]}},
    ]
    assert tables.csv_bytes(rows).decode().splitlines() == [
        "n,x,yes,none,nan,more",
        "3,0.1,true,,,",
        '-4,-2.5,,,,"{""a"": [1]}"',
    ]
    assert tables.csv_bytes([]) == b""
    assert tables.csv_bytes([], comments=["nothing"]) == b"# nothing\n"
    back = pq.read_table(io.BytesIO(tables.parquet_bytes(rows))).to_pylist()
    assert [(r["n"], r["x"], r["yes"]) for r in back] == [(3, 0.1, True), (-4, -2.5, None)]
    texts = pq.read_table(io.BytesIO(tables.parquet_bytes([{"a": "=1"}, {"a": "\ud800"}]))).to_pylist()
    assert texts == [{"a": "=1"}, {"a": "\\ud800"}], "data, not cells: kept but for what UTF-8 lacks"


def test_a_hostile_label_is_harmless_in_every_format(assay, written, registry, tmp_path):
    written(results_of({"copa": 0.5}, message="=1+1\x1b[2J"), label="=cmd|' /C calc'!A0\x1b]0;x\x07")
    for form in FORMATS:
        out = tmp_path / "out" / form
        done = assay("export", "kept", form, "--out", out, check=0)
        paths = [p for p in (out, *out.rglob("*")) if p.is_file()]
        assert paths
        assert "\x1b" not in done.stdout + done.stderr
        assert form == "parquet" or not any(b"\x1b" in p.read_bytes() for p in paths)
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out/csv").read_text()))
    assert row["label"] == r"'=cmd|' /C calc'!A0\x1b]0;x\x07"


def facts(**keys):
    plain = {
        "label": "m",
        "run_id": "r",
        "created": "2026-11-21T14:51:44Z",
        "assay_version": "0.1.0",
        "measured": "core",
    }
    return citation(**{**plain, **keys})


def parts(text):
    """BibTeX, and what the YAML says."""
    bibtex, _, cff = text.partition("\n\n")
    return bibtex, yaml.safe_load(cff)


def test_a_citation_says_what_was_measured_when_and_by_what(assay, half):
    bibtex, cff = parts(assay("export", "half", "citation", check=0).stdout)
    digest = fingerprint.digest({t: r.fingerprint for t, r in half.results.items()})
    for said in (bibtex, cff["abstract"]):
        assert digest in said
        assert "assay 0.1.0" in said
        assert half.plan.created in said
    assert "demo_centred 0.1198" in cff["abstract"]
    assert cff["title"] == "corrupted:0.5 on demo_animals, demo_capitals, demo_sums, demo_trades"
    assert (cff["cff-version"], cff["type"], cff["date-released"]) == ("1.2.0", "dataset", half.plan.created[:10])
    assert bibtex.startswith("@misc{assay-half,\n")
    assert f"  year = {{{half.plan.created[:4]}}}," in bibtex


@pytest.mark.parametrize(
    "text",
    [
        "}} @misc{x, a={",
        "\\input{/etc/passwd}",
        "50% & $x_1^2$ #~",
        "a: b\n- c",
        "!!python/object:os.system x",
        "\x1b[2J\"'",
    ],
)
def test_no_fact_breaks_out_of_a_citation(text):
    bibtex, cff = parts(facts(label=text, run_id=text, measured=text, digest=text, numbers={text: 0.5}, url=text))
    depth = 0
    for at, c in enumerate(bibtex):
        depth += (c == "{") - (c == "}")
        assert depth > 0 or at < len("@misc") or at == len(bibtex) - 1, "braces close before the end"
    assert depth == 0
    assert re.fullmatch(r"@misc\{assay-[A-Za-z0-9._-]*,", bibtex.splitlines()[0])
    assert "\\input" not in bibtex
    assert not re.search(r"(?<!\\)[%&$#]", bibtex)
    assert cff["title"] == " on ".join([re.sub(r"[\s\x1b]+", " ", text).strip()] * 2)
    assert "url" not in cff


def test_an_address_is_kept_where_it_is_one():
    bibtex, cff = parts(facts(url="https://board.example/model?id=a%20b&step={1}"))
    assert cff["url"] == "https://board.example/model?id=a%20b&step=%7B1%7D"
    assert f"url = {{{cff['url']}}}" in bibtex
    for url in ("javascript:alert(1)", "file:///etc/passwd", "https:///x", ""):
        assert "url" not in parts(facts(url=url))[1]
