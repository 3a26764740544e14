"""What works on this machine, what doesn't, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assay.tasks import datasets
from assay.tasks.registry import Registry

LOW_DISK_GIB = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        remedy: what to do when not `ok`, or "".
    """

    what: str
    ok: bool
    found: str
    remedy: str = ""


def examine(registry: Registry, store: Path) -> Iterator[Finding]:
    """Look at everything a run may need."""
    yield _models()
    if importlib.util.find_spec("torch"):
        yield _device()
    yield from _data(registry)
    yield _disk("disk for runs", store)
    yield _disk("disk for data", datasets.cache_folder())
    yield from _sandbox()


def _models() -> Finding:
    packages = ("torch", "transformers", "lm-eval")
    have = {p: _version(p) for p in packages}
    missing = [p for p, v in have.items() if not v]
    found = ", ".join(f"{p} {v or 'missing'}" for p, v in have.items())
    return Finding("hf: models", not missing, found, "pip install 'assay-evals[hf]'" if missing else "")


def _device() -> Finding:
    from assay.harness.backends.lm_eval import describe_device

    return Finding("device", True, describe_device())


def _data(registry: Registry) -> Iterator[Finding]:
    tasks = registry.tasks.values()
    missing, damaged = [], []
    for task in tasks:
        try:
            datasets.load(task)
        except datasets.NoData:
            missing.append(task.name)
        except datasets.DataMismatch:
            damaged.append(task.name)
    where = os.pathsep.join(map(str, datasets.mirrors())) or "no mirror ($ASSAY_DATA is not set)"
    whole = len(tasks) - len(missing) - len(damaged)
    found = f"{whole} of {len(tasks)} tasks; {where}"
    if damaged:
        yield Finding("data", False, f"damaged: {', '.join(damaged)}", f"assay data status {damaged[0]}")
    remedy = f"assay data fetch {' '.join(missing[:3])}{' ...' if missing[3:] else ''}" if missing else ""
    yield Finding("data", not missing, found, remedy)


def _disk(what: str, folder: Path) -> Finding:
    at = folder.resolve()
    while not at.exists():
        at = at.parent
    free = shutil.disk_usage(at).free / 2**30
    if not os.access(at, os.W_OK):
        return Finding(what, False, f"{at}: not writable", "pass --store, or set ASSAY_CACHE")
    ok = free >= LOW_DISK_GIB
    return Finding(what, ok, f"{at}: {free:.0f} GiB free", "" if ok else "free some space")


def _sandbox() -> Iterator[Finding]:
    """Whether code tasks can run: an engine, and the images."""
    if not importlib.util.find_spec("docker"):
        yield Finding("Docker", False, "its Python package is missing", "pip install 'assay-evals[code]'")
        return
    from assay.sandbox import build, docker
    from assay.sandbox.types import SandboxUnavailable

    try:
        client = docker.connect(timeout_s=5)
    except SandboxUnavailable as error:
        yield Finding("Docker", False, "no engine answers; code tasks need one", str(error).rpartition("; ")[2])
        return
    yield Finding("Docker", True, f"{client.version()['Version']} at {client.api.base_url}")
    for image in build.IMAGES:
        try:
            found = build.find(client, image)
            yield Finding(f"image {image}", True, f"{found.tag}, {found.size_mib:.0f} MiB")
        except SandboxUnavailable:
            yield Finding(f"image {image}", False, "not built", f"assay sandbox build {image}")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
