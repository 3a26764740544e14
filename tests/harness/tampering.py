"""What a cheat does to a finished run: changes it by hand and seals it again, as well as anybody can."""

import dataclasses
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq

from assay.harness import files, fingerprint, marking, runner, store
from assay.harness.records import SAMPLES
from assay.harness.submission import recomputing
from assay.tasks.registry import open_registry


def copied(run, to):
    """A run under another name, sealed."""
    shutil.copytree(run, to)
    edit_plan(to, run_id=to.name)
    return to


def edit_plan(run, **changes):
    plan = files.unseal(run / "plan.json") | changes
    (run / "plan.json").write_bytes(files.seal(plan))
    reseal(run)


def edit_results(run, change):
    """`change` gets the results as plain JSON."""
    results = files.unseal(run / "results.json")
    change(results)
    (run / "results.json").write_bytes(files.seal(results))
    reseal(run)


def claim(run, task, **changes):
    edit_results(run, lambda r: r["tasks"][task].update(changes))


def samples(run, task):
    return pq.read_table(run / "samples" / f"{task}.parquet").to_pylist()


def write_samples(run, task, table):
    """Rows, a table, or the bytes of whatever shall pass for one; hashed and sealed."""
    path = run / "samples" / f"{task}.parquet"
    if isinstance(table, bytes):
        path.write_bytes(table)
    else:
        table = table if isinstance(table, pa.Table) else pa.Table.from_pylist(table, schema=SAMPLES)
        pq.write_table(table, path, compression="zstd")
    claim(run, task, samples_sha256=fingerprint.file_sha256(path))


def edit_rows(run, task, change, *, recount=False):
    """`change` gets the rows; `recount` makes every number anew from what is there then, composites too."""
    rows = samples(run, task)
    rows = change(rows) or rows
    write_samples(run, task, rows)
    if recount:
        registry = open_registry()
        spec, t = registry.tasks[task], pa.Table.from_pylist(rows, schema=SAMPLES)
        found = marking.summarise(spec, list(recomputing._recorded(t)), sorted({r["group"] for r in rows}))
        names = (*recomputing.NUMBERS, "centred_v1", "centred_v2")
        claim(run, task, **{n: getattr(found, n) for n in names})
        peeked = store.peek_run(run)
        new = runner.composites(registry, list(peeked.plan.tasks), peeked.results)
        edit_results(run, lambda r: r.update(composites=[dataclasses.asdict(c) for c in new]))


def reseal(run):
    """The manifest as if nothing had happened."""
    path = run / "manifest.json"
    if path.is_file():
        manifest = json.loads(path.read_bytes())
        sampled = [t for t, r in files.unseal(run / "results.json")["tasks"].items() if r["samples_sha256"]]
        names = ["plan.json", "results.json", *(f"samples/{t}.parquet" for t in sampled)]
        manifest["files"] = {n: fingerprint.file_sha256(run / n) for n in names if (run / n).is_file()}
        manifest["run_id"] = files.unseal(run / "plan.json")["run_id"]
        path.write_bytes(files.json_bytes(manifest))


def flip(row, **also):
    """One verdict turned round, in every column that shows it."""
    right = row["score"] != 1.0
    row.update({"score": float(right), "correct": right} | also)
