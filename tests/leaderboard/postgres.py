"""A real PostgreSQL of one's own: an empty cluster on a Unix socket, ended with the block."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

START_S = 60
SORTED = ("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")
"""As people sort, not as bytes do: what most servers are set to, and what SQLite does not."""


def binaries():
    """Where initdb and postgres are, or a skip; where CI demands them with $ASSAY_REQUIRE_POSTGRES, a failure."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (debian[-1] if debian else None)
    if found:
        return Path(found).resolve().parent
    refuse = pytest.fail if os.environ.get("ASSAY_REQUIRE_POSTGRES") == "1" else pytest.skip
    return refuse("no PostgreSQL: apt-get install postgresql")


def unprivileged():
    """PostgreSQL refuses root: the account that its package made, as arguments of `subprocess`."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}


@contextmanager
def server():
    """The URL of a server, without a database's name."""
    place, who = binaries(), unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="assay-pg-"))  # a socket's path must be short, and the account must reach it
    try:
        if who:
            shutil.chown(folder, who["user"], who["group"])
        make = [place / "initdb", "-D", folder / "data", "-U", "assay", "-A", "trust", "-E", "UTF8", "-N", *SORTED]
        done = subprocess.run(make, cwd=folder, capture_output=True, text=True, timeout=START_S, **who)
        assert done.returncode == 0, done.stderr
        with (folder / "log").open("wb") as log:
            run = [place / "postgres", "-D", folder / "data", "-k", folder, "-h", "", "-F", "-c", "max_connections=50"]
            process = subprocess.Popen(run, cwd=folder, stdout=log, stderr=log, **who)
        try:
            _answers(process, folder)
            yield f"host={folder}&user=assay"
        finally:
            _end(process)
    finally:
        shutil.rmtree(folder)


def _answers(process, folder):
    end = time.monotonic() + START_S
    while True:
        try:
            psycopg.connect(host=str(folder), user="assay", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            said = (folder / "log").read_text()
            assert process.poll() is None, f"PostgreSQL ended:\n{said}"
            assert time.monotonic() < end, f"PostgreSQL does not answer:\n{said}"
            time.sleep(0.1)


def _end(process):
    for how in (signal.SIGINT, signal.SIGQUIT):  # fast, then at once
        process.send_signal(how)
        try:
            process.wait(20)
            return
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    process.wait()


def database(where):
    """The URL of a new, empty database."""
    name = f"assay_{uuid.uuid4().hex}"
    host = dict(part.split("=") for part in where.split("&"))
    with psycopg.connect(host=host["host"], user=host["user"], dbname="postgres", autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
    return f"postgresql:///{name}?{where}"
