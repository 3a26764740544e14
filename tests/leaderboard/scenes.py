"""A store with something of all that pages show: a series with samples, published numbers, a stranger's text."""

from dataclasses import replace

from streamlit.testing.v1 import AppTest

from assay.harness import fingerprint
from assay.harness.index import Index
from assay.harness.interchange import imported, published
from assay.harness.interchange.imported import Imported
from assay.harness.records import Checkpoint, Plan, TaskResult
from assay.harness.store import RunWriter
from assay.leaderboard import queries
from tests.leaderboard.stores import measured

EVIL = "<script>alert(1)</script> [x](javascript:alert(1)) ![i](http://evil.example/) $a^2$ :red[hot] \u202etxt\x1b[31m"
"""A name that would be markup, a link, a picture, a formula, a colour, and text that runs backwards."""
STEPS = {100: 0.9, 200: 0.7, 300: 0.6, 400: 0.4, 500: 0.3, 600: 0.1}
"""Checkpoints of the series, and the share of its answers that each gets wrong on purpose."""
FACTS = """
models:
  - {match: "ck-*", facts: {series: mine, family: Ours, dataset: our own, licence: Apache-2.0}}
  - {match: "given", facts: {flops: 1.0e+20}}
marks:
  - {model: "ck-600", task: "demo_s*", kind: contamination, text: "<b>rows</b> were in the mix",
     link: "https://example.org/report", date: 2026-01-31}
"""


def series(folder, registry, steps=STEPS):
    """Checkpoints of one training run, measured, with samples."""
    for step, wrong in steps.items():
        told = {"label": f"ck-{step}", "step": step, "tokens": step * 10**6, "parameters": 10**7}
        measured(folder, registry, f"ck-{step}", model=f"corrupted:{wrong}", **told)


def numbers(folder, registry, name, value, *, environment=None, checkpoint=None, tasks=("demo_animals", "demo_sums")):
    """A run of numbers alone, as an import writes it."""
    results = [published.result(registry.tasks[task], value, 1.0, f"import {task}") for task in tasks]
    plan = Plan(
        run_id=name,
        created="2025-01-01T00:00:00Z",
        assay_version="0.1.0",
        identity={"model": f"import: {name}", "engine": "elsewhere"},
        checkpoint=checkpoint or Checkpoint(label=name),
        tasks={r.task: r.fingerprint for r in results},
        docs=(0, None, None),
        options={"model": name},
        environment={"imported": {"tool": "elsewhere", "file": "x.json", "sha256": "0" * 64}, **(environment or {})},
    )
    return imported.save(Imported(plan=plan, results=results), folder)


def hostile(folder):
    """A run whose every text is a stranger's, one of whose samples failed in each way, with a perplexity."""
    results = [
        TaskResult(
            task="demo_code",
            status="ok",
            value=0.5,
            low=0.3,
            high=0.7,
            stderr=0.1,
            method=EVIL,
            n=14,
            counts={"ok": 7, "timeout": 4, "crash": 2, "infra_error": 1},
            metrics={EVIL: 0.25, "pass@1": 0.5},
            message=EVIL,
        ),
        TaskResult(task="theirs", status="ok", value=12.5, n=3, higher_is_better=False),
        TaskResult(task="absent", status="no_data", message=EVIL),
    ]
    plan = Plan(
        run_id="evil",
        created="2025-06-01T00:00:00Z",
        assay_version="0.1.0",
        identity={"model": EVIL, "engine": EVIL},
        checkpoint=Checkpoint(label=EVIL, parameters=10**8, tokens=10**9),
        tasks={r.task: fingerprint.digest(r.task) for r in results},
        docs=(0, None, None),
        options={"model": "hf:/x'; rm -rf / #\n\x1b]0;"},
        environment={"facts": {"family": EVIL, "dataset": EVIL, "notes": [EVIL], "links": ["javascript:alert(1)"]}},
    )
    with RunWriter(folder, plan) as out:
        out.finish_unsampled(results)
        out.finish([], 1.0, plan.created)


def unfinished(folder, registry):
    """A run that has only begun."""
    begun = numbers(folder, registry, "first", 0.5).plan
    with RunWriter(folder, replace(begun, run_id="begun", environment={})):
        pass


def board(folder, registry):
    """All of them, indexed; the store's folder."""
    series(folder, registry)
    numbers(folder, registry, "small", 0.3, checkpoint=Checkpoint(label="small", parameters=10**8, tokens=10**9))
    numbers(folder, registry, "given", 0.9, checkpoint=Checkpoint(label="given"))
    hostile(folder)
    unfinished(folder, registry)
    return indexed(folder, registry)


def indexed(folder, registry, facts=FACTS):
    """The store with what people know of it, indexed."""
    folder.mkdir(exist_ok=True)
    (folder / "board.yaml").write_text(facts)
    left_out = Index(folder, registry).sync().left_out
    assert not left_out, left_out
    return folder


def source(folder):
    """The index of a store."""
    return queries.open_source(folder)


def show(view, store, monkeypatch, **asked):
    """A page as it is shown at an address, without a browser.

    Args:
        view: a function that imports the page and shows it; Streamlit reads its source.
        store: of the site.
        monkeypatch: of the test.
        asked: the address's parameters.
    """
    monkeypatch.setenv("ASSAY_STORE", str(store))
    at = AppTest.from_function(view, default_timeout=60)
    for key, value in asked.items():
        at.query_params[key] = value
    at.run()
    assert not at.exception, at.exception
    return at


def said(at):
    """Everything that a page says in words."""
    kinds = (at.markdown, at.caption, at.text, at.info, at.warning, at.subheader, at.code, at.title)
    return "\n".join(str(e.value) for kind in kinds for e in kind)


def marks(chart):
    """The marks of a chart's layers, by name."""
    return {layer["mark"]["type"] for layer in chart.to_dict()["layer"]}


def drawn(chart):
    """Every row that a chart sends to the browser."""
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]
