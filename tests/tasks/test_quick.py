"""The figures of docs/quick.md are what DCLM's published results give."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from assay.tasks import aggregate
from tests.conftest import ROOT

PAGE = ROOT / "docs/quick.md"
LETTERS = ("mmlu_zeroshot", "siqa")
TARGETS = {"CORE": "Core_v2", "EXTENDED": "Extended_v2", "MMLU": "mmlu_fewshot"}
SIZES = {411616256: "400m", 1439795200: "1b", 6889410560: "7b"}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def tables(text):
    """Cells of every table row, by the heading above it."""
    found, heading = {}, ""
    for line in text.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|"):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def written():
    """The page's own part, the tables between the marks."""
    before, tabled, after = PAGE.read_text().split("<!-- quick -->")
    return tabled, before + after


def same(ours, theirs):
    """Equal, but for the last place of a number."""
    if NUMBER.sub("#", ours) != NUMBER.sub("#", theirs):
        return False
    pairs = zip(NUMBER.findall(ours), NUMBER.findall(theirs), strict=True)
    return all(
        abs(float(a) - float(b)) < 1.5 * 10.0 ** -len(b.partition(".")[2]) if "." in b else a == b for a, b in pairs
    )


@pytest.fixture(scope="module")
def files(reference):
    return [json.loads(p.read_text()) for p in sorted((reference / "dclm/exp_data/evals").glob("*.json"))]


@pytest.fixture(scope="module")
def families(reference, files):
    """Of each file: the owner in a Hub name; of DCLM's runs the size that the model's record has, else its name."""
    records = [json.loads(p.read_text()) for p in (reference / "dclm/exp_data/models").glob("*.json")]
    parameters = {r["uuid"]: r["hyperparameters"]["params"] for r in records}

    def family(file):
        owner, named, _ = file["model"].partition("/")
        if named:
            return {"huggyllama": "meta-llama"}.get(owner, owner)
        return SIZES.get(parameters.get(file.get("model_uuid"))) or re.search(r"\d+b", file["model"])[0]

    return np.array([family(f) for f in files])


@pytest.fixture(scope="module")
def held_out(registry, files, families):
    """Target to (published, predicted), from the files alone."""
    tasks = [registry.tasks[t] for t in registry.suites["quick"].tasks]
    scores = np.array(
        [[aggregate.centre(f["eval_metrics"]["icl"][t.name], t.baseline.v2) for t in tasks] for f in files]
    )
    letters = np.array([t.name in LETTERS for t in tasks])
    x = np.column_stack([np.ones(len(files)), scores[:, ~letters].mean(1), scores[:, letters].mean(1)])
    found = {}
    for target, key in TARGETS.items():
        published = [f.get(key, f["eval_metrics"]["icl"].get(key)) for f in files]
        y = np.array([np.nan if isinstance(v, str) else v for v in published])
        predicted = np.empty(len(files))
        for family in set(families):
            others = (families != family) & ~np.isnan(y)
            predicted[families == family] = x[families == family] @ np.linalg.lstsq(x[others], y[others])[0]
        found[target] = y[~np.isnan(y)], predicted[~np.isnan(y)]
    return found


def test_the_tables_are_what_the_script_writes(reference):
    done = subprocess.run([sys.executable, ROOT / "benchmarks/quick.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours, theirs = tables(written()[0]), tables(done.stdout)
    assert [(h, len(rows)) for h, rows in ours.items()] == [(h, len(rows)) for h, rows in theirs.items()]
    differ = [(h, a, b) for h in ours for a, b in zip(ours[h], theirs[h], strict=True) if not all(map(same, a, b))]
    assert not differ


@pytest.mark.parametrize("target", TARGETS)
def test_the_first_table_equals_a_loop_written_by_hand(held_out, target):
    (_, *rows) = tables(written()[0])["What it predicts, and how well"]
    (cells,) = [row[3:] for row in rows if row[:3] == [target, "line", "family"]]
    y, predicted = held_out[target]
    errors = abs(y - predicted)
    wanted = [
        len(y),
        stats.spearmanr(y, predicted)[0],
        stats.kendalltau(y, predicted)[0],
        errors.mean(),
        np.quantile(errors, 0.9),
        errors.max(),
    ]
    assert [float(c) for c in cells] == pytest.approx(wanted, abs=1e-3)


def test_letters_are_what_the_data_say(registry, mirror):
    from assay.tasks import datasets

    for name in registry.suites["quick"].tasks:
        spec = registry.tasks[name]
        if spec.kind == "multiple_choice":
            choices = {c.strip() for row in list(datasets.load(spec).rows)[:200] for c in row["choices"]}
            assert (choices <= set("ABCDE")) == (name in LETTERS), name


def test_the_text_says_no_number_that_the_tables_lack():
    tabled, text = written()
    known = [float(n) for n in NUMBER.findall(tabled)]
    for said in re.findall(r"\d+\.\d\d+", text):
        assert any(f"{n:.{len(said.partition('.')[2])}f}" == said for n in known), said


def test_triviaqa_was_not_answered_until_the_day_that_the_page_names(files):
    (day,) = re.findall(r"until (\d{4}-\d\d-\d\d)", PAGE.read_text())
    right = [(f, f["eval_metrics"]["icl"]["triviaqa_sm_sub"] * 3000) for f in files]
    unanswered = [f for f, n in right if n < 3.5]
    late = [f["name"] for f in unanswered if f["creation_date"][:10].replace("_", "-") > day]
    early = [f for f in files if "/" not in f["model"] and f["creation_date"][:10].replace("_", "-") <= day]
    assert len(unanswered) == len(early) + 1 == 46
    assert len(late) == 1
