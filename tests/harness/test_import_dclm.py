"""DCLM's published results in a store: the file's numbers, its composites, and no claim about a sample."""

import json
import math
import shutil

import pytest
from statsmodels.stats.proportion import proportion_confint

from assay.harness import facts, indexing, store
from assay.harness.interchange import dclm_models, import_dclm, imported, published
from assay.harness.interchange.imported import ForeignFile
from assay.tasks import datasets

KEYS = {"core_v2": "Core_v2", "core_v1": "Core_v1", "extended_v2": "Extended_v2", "extended_v1": "Extended_v1"}
MISTRAL = "evaluation_mistral_7b_v0.3_heavy.json"


@pytest.fixture(scope="session")
def dclm(reference):
    root = reference / "dclm"
    if not (root / "exp_data/evals").is_dir():
        pytest.skip(f"{root} has no exp_data/evals: this test needs DCLM's published results")
    return root


@pytest.fixture(scope="session")
def runs(dclm, tmp_path_factory):
    """All of them: run and file, in the order of files."""
    folder = tmp_path_factory.mktemp("published")
    saved = [imported.save(found, folder) for found in import_dclm.read_all(dclm)]
    files = [json.loads(p.read_bytes()) for p in sorted((dclm / "exp_data/evals").glob("*.json"))]
    return list(zip(saved, files, strict=True))


@pytest.fixture
def made(tmp_path):
    """Write an evaluation JSON; keys replace those of a sound one."""

    def write(name="evaluation_made_heavy.json", icl=None, **keys):
        metrics = {"copa": 0.75, "arc_easy": 0.5} if icl is None else icl
        sound = {"name": "heavy", "uuid": "u", "model": "us/made-1b", "creation_date": "2024_06_12-7_07_17"}
        path = tmp_path / "evals" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(sound | {"eval_metrics": {"icl": metrics}, "eval_version": "v2"} | keys))
        return path

    return write


def only(path, **options):
    (found,) = import_dclm.read_all(path, **options)
    return found


def composites(run):
    return {c["name"]: c for c in run.composites}


def test_every_published_file_is_one_complete_run_of_its_own_without_a_sample(runs):
    assert len(runs) == 156
    assert len({run.plan.run_id for run, _ in runs}) == 156
    assert len({run.plan.checkpoint.label for run, _ in runs}) == 156
    for run, _ in runs:
        assert run.complete
        assert indexing.evidence(run) == "aggregates only"
        assert not any(r.samples_sha256 for r in run.results.values())
        assert not any((run.path / "samples").iterdir())
        with pytest.raises(store.StoreError, match="has no samples"):
            run.samples("copa")


def test_core_and_extended_equal_the_published_ones_and_are_missing_where_those_are(runs):
    known = dict.fromkeys(KEYS, 0)
    for run, file in runs:
        found = composites(run)
        for name, key in KEYS.items():
            if isinstance(file[key], str):
                assert found[name]["value"] is None
                assert all(f"'{task}'" in file[key] for task in found[name]["missing"])
                continue
            known[name] += 1
            assert found[name]["value"] == pytest.approx(file[key], abs=1e-9)
            assert run.plan.environment["imported"]["published"][name] == file[key]
    assert known == {"core_v2": 156, "core_v1": 156, "extended_v2": 149, "extended_v1": 149}


def test_means_by_skill_equal_the_published_ones(runs):
    for run, file in runs:
        for skill, wanted in file["aggregated_task_categories_centered"].items():
            value = composites(run)[f"{skill} (v2)"]["value"]
            assert value is None or value == pytest.approx(wanted, abs=1e-9)


def test_every_value_is_the_files_own_and_every_n_a_number_of_rows_it_can_be_of(runs, registry):
    names = set(registry.suites["dclm-extended"].tasks)
    for run, file in runs:
        numbers = file["eval_metrics"]["icl"]
        assert {t: r.value for t, r in run.results.items()} == {t: v for t, v in numbers.items() if t in names}
        for task, result in run.results.items():
            assert (result.n, result.message) == (registry.tasks[task].rows, "")
            assert result.low <= result.value <= result.high


def test_numbers_that_are_of_no_task_are_named_and_left_out(runs):
    for run, file in runs:
        left = sorted(set(file["eval_metrics"]["icl"]) - set(run.results))
        notes = [n for n in run.plan.environment["facts"]["notes"] if "of no task here" in n]
        assert notes == ([f"numbers in the file that are of no task here: {', '.join(left)}"] if left else [])


def test_an_interval_is_wilsons_of_the_published_mean_and_the_number_of_rows(runs, registry):
    plain = 0
    for name, result in runs[0][0].results.items():
        spec = registry.tasks[name]
        if spec.categories or spec.cluster:
            assert result.method in (published.PARTS, published.PASSAGES)
            continue
        plain += 1
        right = round(result.value * spec.rows)
        low, high = proportion_confint(right, spec.rows, method="wilson")
        assert result.method == "wilson (from the published mean and n)"
        assert (result.low, result.high) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))
    assert plain == 43


def test_means_over_parts_and_over_passages_weigh_what_the_data_says(mirror, registry):
    """Of coqa no row is here; it has 500 passages, so that no more than 500 would do."""
    wanted = {}
    for name in registry.suites["dclm-extended"].tasks:
        spec = registry.tasks[name]
        if not (spec.categories or spec.cluster) or datasets.find(spec) is None:
            continue
        parts = datasets.parts(spec, datasets.load(spec).rows)
        sizes = [len(p.rows) for p in parts]
        wanted[name] = len(sizes) ** 2 / sum(1 / n for n in sizes)
        if spec.cluster:
            (part,) = parts
            passages = [s.cluster for s in datasets.samples(spec, part, 0, len(part.rows))]
            times = {p: passages.count(p) for p in set(passages)}
            wanted[name] = len(passages) ** 2 / sum(m * m for m in times.values())
    assert published.WEIGH.keys() - {"coqa"} == wanted.keys() - {"coqa"}
    assert {k: published.WEIGH[k] for k in wanted} == pytest.approx(wanted, abs=0.06)


def test_a_mean_that_no_number_of_right_answers_gives_has_no_interval(made):
    copa, arc = sorted(only(made(icl={"copa": 0.755, "arc_easy": 0.5})).results, key=lambda r: r.task != "copa")
    assert (copa.value, copa.n, copa.low, copa.stderr) == (0.755, 0, None, None)
    assert "no share of this task's 100 rows" in copa.message
    assert arc.low is not None


def test_importing_again_changes_nothing_but_the_lock(assay, dclm, tmp_path):
    file = dclm / "exp_data/evals" / MISTRAL
    first = assay("import", "dclm", file, check=0).stdout.strip()
    before = {p.name: p.read_bytes() for p in (tmp_path / "runs" / first).iterdir() if p.is_file()}
    assert assay("import", "dclm", file, check=0).stdout.strip() == first
    assert {p.name: p.read_bytes() for p in (tmp_path / "runs" / first).iterdir() if p.is_file()} == before
    assert "0.5574" in assay("show", "latest", check=0).stdout


def test_exported_and_imported_again_it_is_the_same_but_for_its_file(assay, dclm, tmp_path):
    first = assay("import", "dclm", dclm / "exp_data/evals" / MISTRAL, check=0).stdout.strip()
    assay("export", first, "dclm", "--out", "again.json", check=0)
    second = assay("import", "dclm", "again.json", check=0).stdout.strip()
    was, now = (store.read_run(tmp_path / "runs" / run) for run in (first, second))
    assert was.path != now.path
    assert (was.results, was.composites, was.plan.created) == (now.results, now.composites, now.plan.created)


def test_a_file_is_the_same_run_alone_in_its_folder_and_below_the_root(dclm, runs):
    evals = dclm / "exp_data/evals"
    alone = only(evals / MISTRAL).plan.run_id
    assert alone in {found.plan.run_id for found in import_dclm.read_all(evals)}
    assert alone in {run.plan.run_id for run, _ in runs}


def test_parameters_and_tokens_are_those_of_the_models_json(dclm, runs):
    models = [json.loads(p.read_bytes()) for p in (dclm / "exp_data/models").glob("*.json")]
    settings = {m["uuid"]: m["hyperparameters"] for m in models}
    matched = 0
    for run, file in runs:
        said = settings.get(file.get("model_uuid"))
        if said:
            matched += 1
            assert (run.plan.checkpoint.parameters, run.plan.checkpoint.tokens) == (said["params"], said["tokens"])
            assert run.plan.environment["facts"]["hyperparameters"]["lr"] == said["lr"]
    assert matched == 133


def test_the_database_stands_in_where_there_is_no_models_json(dclm):
    evals, database = dclm / "exp_data/evals", dclm / "assets/DCLM_model_database.csv"
    full = {f.plan.run_id: f.plan.checkpoint for f in import_dclm.read_all(dclm)}
    bare = {f.plan.run_id: f.plan.checkpoint for f in import_dclm.read_all(evals)}
    some = {f.plan.run_id: f.plan.checkpoint for f in import_dclm.read_all(evals, database=database)}
    sized = [k for k in full if some[k].parameters and not bare[k].parameters]
    assert len(sized) == 115
    assert all((some[k].parameters, some[k].tokens) == (full[k].parameters, full[k].tokens) for k in sized)


def test_what_is_known_of_a_model_reaches_the_board(runs):
    by_label = {run.plan.checkpoint.label: facts.of(run.plan, facts.Known()) for run, _ in runs}
    llama = by_label["meta-llama--Meta-Llama-3-8B"]
    assert (llama.family, llama.openness, llama.parameters, llama.tokens) == (
        "Llama",
        "open weights",
        8_000_000_000,
        15_000_000_000_000,
    )
    assert llama.links == ("https://huggingface.co/meta-llama/Meta-Llama-3-8B",)
    own = by_label["c4_original-open_lm_1b_swiglutorch-lr=0p003-wd=0p33-mult=1"]
    assert (own.family, own.dataset, own.openness) == ("C4", "c4_original", "")
    assert len({f.family for f in by_label.values()}) == 18
    assert not any(f.flops for f in by_label.values()), "no file gives them"


def test_the_readmes_contradiction_is_noted_with_what_the_file_says(runs):
    noted = {r.plan.checkpoint.label: n for r, _ in runs for n in r.plan.environment["facts"]["notes"] if "README" in n}
    mistral = noted.pop("mistralai--Mistral-7B-v0.3")
    assert "shows EXTENDED v2 as 57.0; its own file gives 44.0, and 56.9 as the mean of the accuracies" in mistral
    assert "Phi-3-medium, which has 14B" in noted.pop("microsoft--Phi-3-medium-128k-instruct")
    assert set(noted.values()) == {dclm_models.ROUNDED}


def test_a_composite_that_the_files_own_numbers_do_not_give_is_noted(dclm, tmp_path):
    data = json.loads((dclm / "exp_data/evals" / MISTRAL).read_bytes())
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(data | {"Extended_v2": 0.57, "Core_v1": "N/A due to missing tasks: []"}))
    notes = only(path).plan.environment["facts"]["notes"]
    assert "extended_v2: the file says 0.570000, its own numbers give 0.439938" in notes
    assert any(n.startswith("core_v1: the file says 'N/A due to missing tasks: []', its own") for n in notes)
    assert not any(n.startswith(("core_v2", "extended_v1")) for n in notes)


def test_imports_compare_with_each_other_and_never_with_a_measured_task(runs, assay, tmp_path):
    assay("run", "demo_animals", "--model", "oracle", "--name", "m", check=0)
    measured = store.read_run(tmp_path / "runs" / "m")
    marks = {r.fingerprint for run, _ in runs for r in run.results.values()}
    assert len(marks) == 53, "one a task"
    assert all(m.startswith("DCLM import ") for m in marks)
    assert not marks & set(measured.plan.tasks.values())
    assert all(run.plan.identity["model"].startswith("DCLM import: ") for run, _ in runs)
    assert runs[1][0].plan.created == "2024-06-12T07:07:17Z"


def test_a_part_of_the_tasks_is_no_composite(made):
    found = only(made())
    assert [r.task for r in found.results] == ["arc_easy", "copa"]
    core = next(c for c in found.composites if c["name"] == "core_v2")
    assert core["value"] is None
    assert len(core["missing"]) == 20


DEEP = "[" * 100_000
FAULTS = [
    (lambda p: p.write_text(p.read_text()[:40]), "not JSON"),
    (lambda p: p.write_bytes(b"\xff\xfe\x00"), "not JSON"),
    (lambda p: p.write_text('{"a": ' + DEEP), "not JSON"),
    (lambda p: p.write_text('{"eval_metrics": {"icl": {"copa": 1' + "0" * 5_000 + "}}}"), "not JSON"),
    (lambda p: p.write_text("[]"), "it has no 'eval_metrics'"),
    (lambda p: p.write_text('{"results": {"copa": {}}}'), "looks like a file for: assay import lm-eval"),
    (lambda p: p.write_text('{"eval": {"HumanEval/0": [{"base_status": "pass"}]}}'), "for: assay import evalplus"),
    (lambda p: p.write_text('{"eval_metrics": 3, "model": "m"}'), "it needs 'model' and numbers"),
    (lambda p: p.write_text('{"eval_metrics": {"icl": {"copa": 1}}, "model": 7}'), "it needs 'model' and numbers"),
    (
        lambda p: p.write_text('{"eval_metrics": {"icl": {"copa": 1}}, "model": "m", "model": "n"}'),
        "stands there twice",
    ),
    (lambda p: p.unlink(), "no such file or folder"),
]
BAD_VALUES = [math.nan, math.inf, -0.1, 1.5, 10**400, "0.5", True, None, [0.5], {"a": 1}]


@pytest.mark.parametrize(("damage", "said"), FAULTS)
def test_a_damaged_or_foreign_file_is_one_error_and_nothing_is_written(assay, made, tmp_path, damage, said):
    path = made()
    damage(path)
    done = assay("import", "dclm", path, check=2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("value", BAD_VALUES)
def test_what_is_no_share_is_refused_with_task_and_file(made, value):
    with pytest.raises(ForeignFile, match=r"evaluation_made_heavy.json: 'copa' is .* not a share from 0 to 1"):
        import_dclm.read_all(made(icl={"arc_easy": 0.5, "copa": value}))


def test_one_bad_file_of_a_folder_keeps_all_of_it_out(assay, made, tmp_path):
    made("a.json")
    made("b.json", icl={"copa": 2})
    assert "b.json: 'copa' is 2" in assay("import", "dclm", tmp_path / "evals", check=2).stderr
    assert not (tmp_path / "runs").exists()


def test_a_folder_without_evaluations_says_what_to_pass(tmp_path):
    with pytest.raises(ForeignFile, match=r"no \*\.json here: pass an evaluation JSON of DCLM's"):
        import_dclm.read_all(tmp_path)


@pytest.mark.parametrize(
    "model",
    [
        "../../../../etc/passwd",
        "/etc/passwd",
        "..",
        "\x1b]0;owned\x07\x1b[31mred",
        "a\nb\r\tc\x00d",
        "\u202eevil\u2066",
        "<script>alert(1)</script>",
        "=HYPERLINK(1)",
        "x" * 100_000,
        "\ud800",
        "模型" * 200,
    ],
)
def test_a_hostile_model_name_is_only_text(made, tmp_path, model):
    numbers = {"copa": 0.75, "\x1b[2Jtask": 1}
    path = made(model=model, _filename=f"exp_data/{model}.json", icl=numbers, eval_version=model, creation_date=model)
    found = only(path)
    runs = tmp_path / "runs"
    run = imported.save(found, runs)
    assert run.path.parent == runs
    assert [p.name for p in runs.iterdir()] == [run.plan.run_id]
    assert run.plan.run_id.isascii()
    assert len(run.plan.run_id) < 120
    texts = [run.plan.checkpoint.label, *run.plan.identity.values(), *run.plan.environment["facts"]["notes"]]
    assert all(t.isprintable() and len(t) < 400 for t in texts)
    assert run.plan.created == ""


def test_an_error_never_carries_terminal_escapes(assay, made):
    done = assay("import", "dclm", made(icl={"copa": "\x1b[31m\x07"}), check=2)
    assert "\x1b" not in done.stderr
    assert "\x07" not in done.stderr


def test_numbers_of_a_model_that_are_none_are_left_out(made, tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    settings = {"params": 10**300, "tokens": "many", "lr": 0.1, "list": [1], "huge": -(10**400), "x\x1b": "\x1b[1m"}
    text = json.dumps({"uuid": "m", "name": "n", "dataset_name": ["no"], "hyperparameters": settings})
    (models / "m.json").write_text(text.replace("0.1", "NaN"))
    found = only(made(model_uuid="m"), models=models)
    assert (found.plan.checkpoint.parameters, found.plan.checkpoint.tokens) == (None, None)
    assert found.plan.environment["facts"]["hyperparameters"] == {"tokens": "many", "x\ufffd": "\ufffd[1m"}
    assert found.plan.environment["facts"]["dataset"] == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "lacks columns"),
        (b"a,b\n1,2\n", "lacks columns"),
        (b"\xff\xff", "not CSV"),
        (b"Model JSON\n" + b'"' + b"x" * 200_000 + b'"\n', "not CSV"),
    ],
)
def test_a_file_that_is_no_database_is_refused(made, tmp_path, content, said):
    (tmp_path / "d.csv").write_bytes(content)
    with pytest.raises(ForeignFile, match=rf"d\.csv: {said}"):
        import_dclm.read_all(made(), database=tmp_path / "d.csv")


def test_a_folder_that_is_no_models_is_refused(made, tmp_path):
    path = made()
    with pytest.raises(ForeignFile, match="no model of DCLM's"):
        import_dclm.read_all(path, models=path.parent)
    with pytest.raises(ForeignFile, match="no such folder"):
        import_dclm.read_all(path, models=tmp_path / "nowhere")


def test_models_and_database_belong_to_dclm(assay, made):
    done = assay("import", "lm-eval", made(), "--models", ".", check=2)
    assert "--models belongs to dclm" in done.stderr


def test_a_renamed_copy_is_the_same_run(made, tmp_path):
    path = made(model="local", _filename="exp_data/evals/evaluation_mine_heavy.json")
    shutil.copy(path, tmp_path / "copy.json")
    assert only(path).plan.run_id == only(tmp_path / "copy.json").plan.run_id
    assert only(path).plan.checkpoint.label == "mine"
