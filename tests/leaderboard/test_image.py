"""The image of the board, built and run for real; and what compose.yaml promises of it."""

import hashlib
import os
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from assay.harness.index import Index
from tests.conftest import ROOT
from tests.leaderboard import browser, postgres
from tests.leaderboard.stores import measured

BASES = ("python:3.11-slim", "python:3.11-slim-bookworm", "assay-base-bookworm")
"""Pythons that the sandbox's images are made from; the first that is there will do."""
CONTEXT = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
BUILD_S, HEALTHY_S = 900, 120
HARDENED = {
    "read_only": True,
    "tmpfs": {"/tmp": "size=256m"},
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
    "pids_limit": 256,
}


def refuse(why):
    (pytest.fail if os.environ.get("ASSAY_REQUIRE_DOCKER") == "1" else pytest.skip)(why)


@pytest.fixture(scope="module")
def docker():
    from assay.sandbox.docker import connect
    from assay.sandbox.types import SandboxUnavailable

    try:
        client = connect()
    except SandboxUnavailable as error:
        return refuse(str(error))
    yield client
    client.close()


def base(client):
    """The name of a Python to build on."""
    names = [tag for found in client.images.list() for tag in found.tags]
    found = [name for wanted in BASES for name in names if name == wanted or name.startswith(f"{wanted}:")]
    return found[0] if found else refuse("no Python image to build on: assay sandbox build core")


def context(folder):
    """What Docker may see, copied; returns the hash of all but the certificates."""
    total = hashlib.sha256()
    for name in (*CONTEXT, "Dockerfile", ".dockerignore"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            shutil.copy(source, folder / name)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(f"{path.relative_to(folder)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    bundle = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    if bundle.is_file():
        shutil.copy(bundle, folder / "ca-bundle.pem")
    return total.hexdigest()


@pytest.fixture(scope="module")
def image(docker, tmp_path_factory):
    """The board's image, made of the tree as it is; not made again while nothing has changed."""
    folder = tmp_path_factory.mktemp("context")
    tag = f"assay-board:{context(folder)[:12]}"
    if docker.images.list(name=tag):
        return tag
    last, begun = [], time.monotonic()
    options = {"buildargs": {"BASE": base(docker)}, "network_mode": "host", "rm": True, "forcerm": True}
    for event in docker.api.build(path=str(folder), tag=tag, decode=True, **options):
        last = [*last, event.get("stream") or event.get("error") or ""][-30:]
        assert time.monotonic() - begun < BUILD_S, "".join(last)
    assert docker.images.list(name=tag), "".join(last)
    return tag


@pytest.fixture(scope="module")
def store(tmp_path_factory, registry):
    """A store with its index, of which everybody may read and nobody may write."""
    folder = tmp_path_factory.mktemp("mounted") / "runs"
    measured(folder, registry, "shown", model="oracle", label="the one to see")
    Index(folder, registry).sync()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@contextmanager
def started(client, image, volumes, **more):
    """The site in a container, hardened as compose.yaml does it, healthy; removed with the block."""
    ports = {"8501/tcp": ("127.0.0.1", None)}
    made = client.containers.run(image, detach=True, ports=ports, volumes=volumes, **HARDENED, **more)
    try:
        end = time.monotonic() + HEALTHY_S
        while made.attrs["State"].get("Health", {}).get("Status") != "healthy":
            assert made.status in ("created", "running"), made.logs().decode()
            assert time.monotonic() < end, made.logs().decode()
            time.sleep(0.5)
            made.reload()
        yield made
    finally:
        made.remove(force=True)


@pytest.fixture(scope="module")
def container(docker, image, store):
    with started(docker, image, {str(store): {"bind": "/runs", "mode": "ro"}}) as made:
        yield made


def address(container):
    return f"http://127.0.0.1:{container.attrs['NetworkSettings']['Ports']['8501/tcp'][0]['HostPort']}"


def said(container, *command):
    return container.exec_run(list(command)).output.decode().strip()


pytestmark = pytest.mark.docker


def test_a_healthy_container_answers_and_is_nobody(container):
    assert browser.healthy(address(container))
    assert said(container, "id", "-u") == "65534"
    assert "NoNewPrivs:\t1" in said(container, "cat", "/proc/1/status")
    assert "CapBnd:\t0000000000000000" in said(container, "cat", "/proc/1/status")


@pytest.mark.parametrize("place", ["/runs/x", "/srv/x", "/usr/local/x", "/etc/x"])
def test_nothing_can_be_written_but_what_is_temporary(container, place):
    assert "cannot touch" in said(container, "touch", place)
    assert said(container, "touch", "/tmp/x") == ""


def test_the_mounted_store_is_on_the_page(container):
    with browser.browser() as chromium:
        visit = browser.Visit(chromium, address(container)).open("model?id=shown").sound()
        assert "the one to see" in visit.text
        visit.close()


def test_the_image_keeps_neither_certificates_nor_engines_nor_tests(container):
    found = said(container, "find", "/build", "/srv", "/usr/local", "-name", "ca-bundle.pem")
    assert "ca-bundle.pem" not in found.replace("find:", "")
    for module in ("torch", "lm_eval", "pytest", "evalplus"):
        assert "None" in said(container, "python3", "-c", f"import importlib.util as u; print(u.find_spec('{module}'))")


def test_the_index_may_be_in_postgresql_which_the_site_can_only_read(docker, image, store, server):
    """As compose.yaml has it: one container writes the index, the site reads it in read-only sessions."""
    url = postgres.database(server)
    folder = re.search(r"host=([^&]+)", url)[1]
    Path(folder).chmod(0o755)  # the socket in it is everybody's, the data is not
    volumes = {str(store): {"bind": "/runs", "mode": "ro"}, folder: {"bind": folder, "mode": "ro"}}
    done = docker.containers.run(
        image,
        ["reindex", "--store", "/runs"],
        environment={"ASSAY_INDEX": url},
        volumes=volumes,
        stderr=True,
        remove=True,
        **HARDENED,
    )
    assert "1 runs in the index" in done.decode()
    reading = {"ASSAY_INDEX": f"{url}&options=-cdefault_transaction_read_only%3Don"}
    with started(docker, image, volumes, environment=reading) as site, browser.browser() as chromium:
        visit = browser.Visit(chromium, address(site)).open("model?id=shown").sound()
        assert "the one to see" in visit.text
        visit.close()
        told = said(site, "assay", "reindex", "--store", "/runs")
        assert "read-only transaction" in told


def test_a_container_ends_when_it_is_told_to(container):
    container.stop(timeout=60)
    container.reload()
    assert container.attrs["State"]["ExitCode"] != 137, "it had to be killed"
