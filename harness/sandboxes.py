"""What `assay sandbox` does: build images, say what is there, run the hostile corpus, sweep."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import click

from assay.harness import conformance, exits, views
from assay.harness.grading import Grading
from assay.sandbox import build, docker
from assay.sandbox.pool import open_pool
from assay.sandbox.types import SandboxUnavailable
from assay.tasks import datasets
from assay.tasks.registry import open_registry
from assay.tasks.types import UserError

OWN = {"core": ("humaneval_plus", "mbpp_plus"), "bigcodebench": ("bigcodebench_complete",)}
"""Tasks whose own solutions show that an image is sound."""


def build_images(images: Sequence[str], options: Mapping[str, Any]) -> int:
    """Build, then run the canonical solutions of the tasks whose data is here; the exit code."""
    client = docker.connect()
    say = (lambda line: click.echo(line, err=True)) if options["verbose"] else _quiet
    for image in images or build.IMAGES:
        begun = time.monotonic()
        click.echo(f"{image}: building (minutes, the first time; -v shows the steps)", err=True)
        try:
            made = build.build(
                client,
                image,
                base=options["base"],
                ca_bundle=options["ca_bundle"],
                network=options["build_network"],
                nltk_data=options["nltk_data"] if image in build.CORPORA else None,
                say=say,
                force=options["force"],
            )
        except ValueError as error:
            raise UserError(str(error)) from None
        took = time.monotonic() - begun
        click.echo(f"{image}: {made.tag}, {made.size_mib:.0f} MiB, {made.digest[:19]}, {took:.0f} s")
        if options["truth"]:
            _own_solutions(image)
    return exits.OK


def _quiet(_: str) -> None:
    """Say nothing."""


def _own_solutions(image: str) -> None:
    """Run each benchmark's own solutions in a new image; they are kept as the ground truth of every later run."""
    registry = open_registry()
    with Grading() as grading:
        for name in OWN[image]:
            spec = registry.tasks[name]
            try:
                loaded = datasets.load(spec)
            except datasets.NoData:
                click.echo(f"{image}: no data for {name}: its own solutions are run when they are first needed")
                continue
            grader = grading.open(spec, loaded)
            grader.learn([str(row["task_id"]) for row in loaded.rows])
            failing = grader.failing()
            grader.close()
            whole = len(loaded.rows)
            said = f"{image}: {name}: {whole - len(failing)} of {whole} own solutions pass"
            click.echo(said + (f"; not {', '.join(failing)}" if failing else ""))


def status(as_json: bool) -> dict[str, Any]:
    """The engine, the images, the cells that run."""
    client = docker.connect()
    version = client.version()
    found: dict[str, Any] = {
        "engine": f"{version.get('Version')} at {client.api.base_url}",
        "runtimes": sorted(client.info().get("Runtimes", {})),
        "images": {},
        "cells": [{"container": c[:12], "owner": who} for c, who in docker.cells(client)],
    }
    for image in build.IMAGES:
        try:
            found["images"][image] = asdict(build.find(client, image))
        except SandboxUnavailable as error:
            found["images"][image] = {"missing": str(error)}
    if not as_json:
        click.echo(f"engine {found['engine']}; runtimes {', '.join(found['runtimes'])}")
        for image, made in found["images"].items():
            said = f"{made['tag']}, {made['size_mib']:.0f} MiB" if "tag" in made else made["missing"]
            click.echo(f"image {image}: {said}")
        click.echo(
            f"{len(found['cells'])} cells running"
            + "".join(f"\n  {c['container']} of {c['owner']}" for c in found["cells"])
        )
    return found


def check(kinds: Sequence[str], runtime: str, as_json: bool) -> tuple[int, list[dict[str, str]]]:
    """Run the hostile corpus; the exit code and every attack's row."""
    attacks = [a for a in conformance.corpus() if not kinds or a.kind in kinds]
    rows: list[dict[str, str]] = []
    with ExitStack() as stack:
        pools = [stack.enter_context(open_pool("core", cells=1, runtime=runtime)) for _ in range(2)]
        rows += [asdict(held) for held in conformance.controls(pools[0])]
        rows += [asdict(held) for held in conformance.check(pools, attacks)]
    if not as_json:
        bad = [r for r in rows if r["fault"]]
        shown = (("held" if not r["fault"] else "NOT HELD", r["kind"], r["name"], r["ended"], r["claim"]) for r in rows)
        click.echo(views.columns(("", "kind", "attack", "ended", "claim"), shown))
        click.echo("".join(f"\nNOT HELD {r['kind']} {r['name']}: {r['fault']}" for r in bad))
        tried = [r for r in rows if r["kind"] in ("calls", "tests", "machine")]
        click.echo(f"{sum(not r['fault'] for r in tried)} of {len(tried)} attacks held")
    return exits.OK if not any(r["fault"] for r in rows) else exits.PARTIAL, rows


def sweep() -> int:
    """Remove what dead runs of this host have left."""
    return docker.sweep(docker.connect())
