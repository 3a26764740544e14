"""Fetching pinned files: resumed, retried with backoff, verified, and only then given their name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import requests
import tenacity

from assay.tasks import datasets, pinned
from assay.tasks.datasets import DataMismatch, NoData
from assay.tasks.spec import Data, TaskSpec

HUB = "hf://datasets/"
CHUNK_BYTES = 1 << 16
TIMEOUT_S = (10, 60)
"""To connect, and between two packets."""
ATTEMPTS = 5

Progress = Callable[[int], object]


class _Again(Exception):
    """The server is busy or the line broke: worth another try."""


def fetch(spec: TaskSpec, progress: Progress = lambda _: None) -> Path:
    """Download a task's files that are not here into the cache; what lies there, whole and right, is kept.

    Args:
        spec: the task.
        progress: called with the bytes of each piece that arrives.

    Returns:
        the file of its rows.

    Raises:
        NoData: no URL, no network, or the server refuses; a part that arrived is kept for the next try.
        DataMismatch: what arrived is not the pinned file; it is deleted.
    """
    if not spec.data.path:
        return datasets.load(spec).where  # lm-eval fetches it, or says why it can't
    for data in datasets.beside(spec):
        if datasets.find_data(spec, data) is None:
            _fetch(spec, data, progress)
    return _fetch(spec, spec.data, progress)


def _fetch(spec: TaskSpec, data: Data, progress: Progress) -> Path:
    compressed = data.url.endswith(".gz") and not data.path.endswith(".gz")
    target = datasets.cache_folder() / (data.path + ".gz" * compressed)
    if target.is_file():
        try:
            pinned.read_verified(data, target)
            return target
        except DataMismatch:
            target.unlink()
    if not data.url:
        raise NoData(f"task '{spec.name}' names no url for {data.path}: put the file there yourself")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    if data.url.startswith(HUB):
        _from_hub(data.url, part)
    else:
        _from_url(data.url, part, progress)
    try:
        pinned.read_verified(data, part)
    except DataMismatch:
        part.unlink()
        raise
    part.replace(target)
    return target


def _from_hub(url: str, part: Path) -> None:
    """hf://datasets/OWNER/NAME@REVISION/PATH, through the Hub's own client (tokens, mirrors, resume)."""
    from huggingface_hub import hf_hub_download

    owner, _, rest = url.removeprefix(HUB).partition("/")
    name, _, rest = rest.partition("@")
    revision, _, filename = rest.partition("/")
    try:
        found = hf_hub_download(f"{owner}/{name}", filename, repo_type="dataset", revision=revision)
    except Exception as error:  # the Hub client's errors and its HTTP layers' have no common base
        raise NoData(f"{url}: cannot be fetched: {error}") from error
    shutil.copyfile(found, part)


def _from_url(url: str, part: Path, progress: Progress) -> None:
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_Again),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=20),
        reraise=True,
    )
    try:
        attempts(_continue, url, part, progress)
    except _Again as error:
        raise NoData(f"{url}: cannot be fetched after {ATTEMPTS} tries: {error}") from error


def _continue(url: str, part: Path, progress: Progress) -> None:
    """Ask for what is not there yet; append it."""
    have = part.stat().st_size if part.is_file() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as reply:
            if reply.status_code == requests.codes.requested_range_not_satisfiable:
                return  # all of it is there: the hash decides
            if reply.status_code >= 500 or reply.status_code == requests.codes.too_many_requests:
                raise _Again(f"the server answered {reply.status_code}")
            if reply.status_code >= 400:
                raise NoData(f"{url}: cannot be fetched: the server answered {reply.status_code}")
            mode = "ab" if reply.status_code == requests.codes.partial_content else "wb"
            with part.open(mode) as f:
                for piece in reply.iter_content(CHUNK_BYTES):
                    f.write(piece)
                    progress(len(piece))
    except requests.ConnectionError as error:
        if "resolve" in str(error).lower():
            raise NoData(f"{url}: cannot be fetched: no network ({error})") from error
        raise _Again(str(error)) from error
    except requests.RequestException as error:
        raise _Again(str(error)) from error
