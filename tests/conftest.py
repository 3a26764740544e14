"""Fixtures every test may use: a home of its own, no network, the mirror and the reference where they exist."""

import ipaddress
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from assay.tasks import registry as registries

ROOT = Path(__file__).parents[1]
ASSAY = Path(sys.executable).with_name("assay")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """Nothing is read from or written to the user's caches."""
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("ASSAY_OFFLINE", "1")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A test that reaches beyond this machine fails."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            assert ipaddress.ip_address(address[0]).is_loopback, f"a test reached for {address}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def registry():
    return registries.open_registry()


def _folder(variable):
    path = os.environ.get(variable, "")
    if not path or not Path(path).is_dir():
        pytest.skip(f"{variable} names no folder: this test needs it")
    return Path(path)


@pytest.fixture(scope="session")
def mirror():
    """The benchmark data mirror."""
    return _folder("ASSAY_DATA")


@pytest.fixture(scope="session")
def reference():
    """Golden outputs of the original packages, small checkpoints, published results."""
    return _folder("ASSAY_REFERENCE")


def _sandbox(image):
    """A client of an engine that has the image; otherwise the test is skipped, or fails where CI demands an engine."""
    from assay.sandbox import build, docker
    from assay.sandbox.types import SandboxUnavailable

    try:
        client = docker.connect()
        build.find(client, image)
    except SandboxUnavailable as error:
        (pytest.fail if os.environ.get("ASSAY_REQUIRE_DOCKER") == "1" else pytest.skip)(str(error))
    return client


@pytest.fixture(scope="session")
def engine():
    """A Docker engine that has the image `core`."""
    client = _sandbox("core")
    yield client
    client.close()


@pytest.fixture(scope="session")
def core_pool(engine):
    """Two cells for Python functions."""
    from assay.sandbox.pool import open_pool

    with open_pool("core", cells=2) as pool:
        yield pool


@pytest.fixture(scope="session")
def bigcodebench_pool():
    """Two cells for unit tests with BigCodeBench's packages."""
    from assay.sandbox.pool import open_pool

    _sandbox("bigcodebench").close()
    with open_pool("bigcodebench", cells=2) as pool:
        yield pool


@pytest.fixture(scope="session")
def _one_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("shared-cache")


@pytest.fixture
def shared_cache(own_home, _one_cache, monkeypatch):
    """A cache that the tests of this process share: ground truth is found once, not in every test."""
    monkeypatch.setenv("ASSAY_CACHE", str(_one_cache))
    return _one_cache


@pytest.fixture
def assay(tmp_path):
    """Run the command line as a user does; returns the finished process."""

    def run(*arguments, check=None, env=None, cwd=tmp_path):
        done = subprocess.run(
            [ASSAY, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env={**os.environ, **(env or {})}
        )
        if check is not None:
            assert done.returncode == check, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def write_task(tmp_path):
    """Write a spec folder with one task over these rows; returns the folder."""
    from assay.tasks.datasets import git_blob

    def write(rows, folder=tmp_path / "specs", name="mine", kind="multiple_choice", data=None, **keys):
        folder.mkdir(parents=True, exist_ok=True)
        content = "".join(json.dumps(r) + "\n" for r in rows).encode()
        (folder / f"{name}.jsonl").write_bytes(content)
        row = {
            "name": name,
            "kind": kind,
            "skill": "test",
            "shots": 0,
            "baseline": {"v1": 0, "v2": 0, "reason": "made up"},
            "data": {"path": f"{name}.jsonl", "git_blob": git_blob(content), "rows": len(rows), **(data or {})},
            "licence": "ours",
            **keys,
        }
        (folder / f"{name}.yaml").write_text(json.dumps({"tasks": [row]}, indent=1))
        return folder

    return write


def pytest_terminal_summary(terminalreporter):
    """Say how close to the originals' log-probabilities this run came."""
    reports = terminalreporter.stats.get("passed", [])
    worst = [v for r in reports for k, v in r.user_properties if k == "worst_nats"]
    if worst:
        said = f"largest distance of a summed log-probability from the originals': {max(worst):.1e} nats"
        terminalreporter.write_line(f"parity: {len(worst)} golden files, {said}")


def choice_rows(n, options=4):
    return [
        {"query": f"Question {i}: which?", "choices": [f"answer {i} {o}" for o in range(options)], "gold": i % options}
        for i in range(n)
    ]
