"""`assay gate` and `assay baseline` as a build runs them: exit codes, formats, files."""

import json
import shutil
from xml.etree import ElementTree

import pytest

from assay.harness import facts, store
from assay.harness.gating import baselines, snapshots
from tests.leaderboard.stores import measured

GATE = """\
version: 1
suite: demo_trades demo_sums
baseline: {on_missing: fail}
defaults: {tier: block, min_effect: 0.2}
"""
PROVE = GATE.replace("min_effect: 0.2", "mode: prove, max_drop: 0.1") + "verdicts: {inconclusive: fail}\n"
MODELS = {"good": "oracle", "same": "corrupted:0", "slight": "corrupted:0.08", "bad": "corrupted:0.5"}


@pytest.fixture(scope="module")
def made(tmp_path_factory, registry):
    """A store of checkpoints, and a baseline, made once."""
    folder = tmp_path_factory.mktemp("made")
    for name, model in MODELS.items():
        measured(folder / "runs", registry, name, model=model, tasks=("demo_trades", "demo_sums"))
    measured(folder / "runs", registry, "part", model="oracle", tasks=("demo_sums",))
    good = store.read_run(folder / "runs/good")
    snapshot = snapshots.of_run(good, facts.read(folder / "runs"), registry)
    baselines.promote(good, snapshot, folder / "baselines", "main", "trusted", "Ada")
    return folder


@pytest.fixture
def place(made, tmp_path):
    """The store and a gate.yaml, for a test to change."""
    shutil.copytree(made / "runs", tmp_path / "runs")
    (tmp_path / "gate.yaml").write_text(GATE)
    return tmp_path


@pytest.fixture
def gate(made, place, assay):
    """`assay gate check` where `good` is the baseline."""
    shutil.copytree(made / "baselines", place / "baselines")

    def check(*arguments, **more):
        return assay("gate", "check", *arguments, **more)

    check.place = place
    return check


@pytest.mark.parametrize(("name", "code"), [("good", 0), ("same", 0), ("bad", 3), ("part", 5), ("nowhere", 2)])
def test_the_exit_code_is_the_verdict(gate, name, code):
    done = gate(name, check=code)
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (code != 2)
    assert "Regressed" in done.stdout if code == 3 else "Regressed" not in done.stdout


def test_what_can_not_be_shown_fails_with_four_where_the_config_says_so(gate):
    (gate.place / "gate.yaml").write_text(PROVE)
    assert "Inconclusive" in gate("slight", check=4).stdout
    (gate.place / "gate.yaml").write_text(PROVE.replace("inconclusive: fail", "inconclusive: warn"))
    gate("slight", check=0)


@pytest.mark.parametrize(
    "text", ["", "version: 1\nsuite: demo\ntaks: {}\n", GATE + "tasks: {demo_sum: {tier: block}}\n"]
)
def test_a_wrong_gate_is_wrong_usage_and_no_verdict(gate, text):
    (gate.place / "gate.yaml").write_text(text)
    done = gate("good", "--exit-zero", check=2)
    assert not done.stdout
    assert not (gate.place / "runs/gates").exists()


@pytest.mark.parametrize(("name", "simple"), [("good", 0), ("bad", 1), ("part", 1)])
def test_systems_that_know_no_other_codes_get_one_and_reports_alone_get_none(gate, name, simple):
    gate(name, "--exit-codes", "simple", check=simple)
    gate(name, "--exit-zero", check=0)


def test_every_format_says_the_verdict(gate):
    said = {form: gate("bad", "--format", form, check=3).stdout for form in ("text", "json", "md", "junit", "github")}
    data = json.loads(said["json"])
    assert (data["verdict"], data["exit_code"], data["schema_version"]) == ("regressed", 3, 1)
    assert list(ElementTree.fromstring(said["junit"]).iter("failure"))  # noqa: S314 of our own writing
    assert "::error" in said["github"]
    for form in ("text", "md"):
        assert "regressed" in said[form].lower()
        assert "demo_sums" in said[form]


def test_a_runner_gets_a_summary_beside_its_annotations(gate, tmp_path):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    gate("bad", "--format", "github", check=3, env={"GITHUB_STEP_SUMMARY": str(summary)})
    text = summary.read_text()
    assert text.startswith("before\n")
    assert "demo_sums" in text


def test_a_folder_gets_every_format_at_once(gate):
    gate("bad", "--out", "made/here", check=3)
    out = gate.place / "made/here"
    assert {p.name for p in out.iterdir()} == {"gate.json", "gate.md", "comment.md", "junit.xml", "gate.txt"}
    assert json.loads((out / "gate.json").read_text())["exit_code"] == 3
    ElementTree.parse(out / "junit.xml")  # noqa: S314 of our own writing
    assert (out / "comment.md").stat().st_size < 65_536


def test_every_verdict_is_kept_and_told(gate, assay):
    for name in ("good", "bad", "part"):
        gate(name)
    told = assay("gate", "history", check=0).stdout
    assert all(name in told for name in ("good", "bad", "part"))
    assert len(list((gate.place / "runs/gates").rglob("*.json"))) == 3


def test_a_damaged_vector_is_not_measured_and_its_baseline_stays(gate):
    path = gate.place / "baselines/main/items.bin.zst"
    path.write_bytes(path.read_bytes()[:-1])
    (gate.place / "gate.yaml").write_text(GATE.replace("on_missing: fail", "on_missing: create"))
    before = {p.name: p.read_bytes() for p in path.parent.iterdir()}
    done = gate("bad", check=5)
    assert "items.bin.zst" in done.stdout
    assert {p.name: p.read_bytes() for p in path.parent.iterdir()} == before


def test_a_missing_second_anchor_does_not_replace_the_first(gate):
    (gate.place / "gate.yaml").write_text(
        GATE.replace("{on_missing: fail}", "{on_missing: create, also: [pinned/golden]}")
    )
    gate("bad", check=5)
    assert baselines.read(gate.place / "baselines", "main").run_id == "good"


@pytest.mark.parametrize(("on_missing", "code", "written"), [("fail", 5, []), ("warn", 0, []), ("create", 5, ["main"])])
def test_a_missing_baseline_is_what_the_config_says(place, assay, on_missing, code, written):
    (place / "gate.yaml").write_text(GATE.replace("on_missing: fail", f"on_missing: {on_missing}"))
    done = assay("gate", "check", "good", check=code)
    assert "baseline" in done.stdout
    assert baselines.names(place / "baselines") == written
    if written:
        assert "commit it" in done.stderr
        assay("gate", "check", "good", check=0)
        assay("gate", "check", "bad", check=3)


def test_a_candidate_whose_samples_were_changed_passes_nothing(gate):
    path = gate.place / "runs/bad/samples/demo_sums.parquet"
    shutil.copy(gate.place / "runs/good/samples/demo_sums.parquet", path)
    done = gate("bad")
    assert done.returncode == 5
    assert "demo_sums" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_unfinished_run_is_no_baseline_and_no_candidate(gate, assay):
    (gate.place / "runs/same/manifest.json").unlink()
    shutil.rmtree(gate.place / "runs/same/results", ignore_errors=True)
    for path in (gate.place / "runs/same").glob("results*"):
        path.unlink()
    promoted = assay("baseline", "promote", "same", "--as", "main", "--reason", "why", "--by", "Ada", "--yes")
    assert promoted.returncode == 2
    gate("same", check=5)
    assert baselines.read(gate.place / "baselines", "main").run_id == "good"


def test_a_baseline_is_not_written_unasked(place, assay):
    done = assay("baseline", "promote", "good", "--as", "main", "--reason", "trusted", "--by", "Ada", check=2)
    assert "--yes" in done.stderr
    assert not (place / "baselines").exists()


# init and plan


def test_a_new_gate_is_accepted_by_its_own_plan_and_blocks(place, assay):
    (place / "gate.yaml").unlink()
    assay("gate", "init", "--suite", "demo", "--gate", "new.yaml", check=0)
    planned = assay("gate", "plan", "--gate", "new.yaml", check=0).stdout
    assert all(t in planned for t in ("demo_capitals", "demo_animals", "demo_trades", "demo_sums"))
    assay("gate", "init", "--suite", "demo", "--gate", "new.yaml", check=2)
    assay("gate", "init", "--suite", "demo_trades demo_sums", check=0)
    assay("gate", "plan", check=0)
    assay("baseline", "promote", "good", "--as", "main", "--reason", "trusted", "--by", "Ada", "--yes", check=0)
    assay("gate", "check", "good", check=0)
    assay("gate", "check", "bad", check=3)


def test_a_plan_refuses_a_margin_that_its_items_do_not_resolve(place, assay):
    (place / "gate.yaml").write_text(GATE.replace("0.2", "0.02"))
    done = assay("gate", "plan", check=2)
    assert "underpowered" in done.stdout
    assert "--accept-underpowered" in done.stderr
    assay("gate", "plan", "--accept-underpowered", check=0)
    (place / "gate.yaml").write_text(GATE.replace("0.2", "0.02").replace("block", "warn"))
    assay("gate", "plan", check=0)


def test_a_plan_needs_no_store(place, assay):
    shutil.rmtree(place / "runs")
    assert "10 % assumed" in assay("gate", "plan", check=0).stdout
    assert not (place / "runs").exists()
