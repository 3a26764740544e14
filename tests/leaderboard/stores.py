"""Small real stores, written as `assay run` and `assay import` write them, in this process."""

from dataclasses import replace

from assay.harness import runner, session, store
from assay.harness.backends.base import ModelOptions, open_backend
from assay.harness.grading import Grading
from assay.harness.store import RunWriter
from assay.tasks.selection import DocRange

EVERYTHING = DocRange()


def measured(folder, registry, name, *, model="random:1", tasks=("demo",), docs=EVERYTHING, **checkpoint):
    """A run of a model that needs no weights, its samples kept; `checkpoint` changes what it is said to be."""
    specs = registry.select(tasks)
    backend = open_backend(model, ModelOptions())
    plan = session.make_plan(specs, docs, backend, name, {"model": model})
    plan = replace(plan, checkpoint=replace(plan.checkpoint, **checkpoint))
    with RunWriter(folder, plan) as out:
        runner.run(registry, specs, docs, backend, out, runner.Means(Grading()))
    return store.read_run(folder / name)
