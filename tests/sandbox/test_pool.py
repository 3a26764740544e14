"""Many jobs on a few cells: in the right order, over every failure of the machine, and nothing left behind."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from assay.sandbox import build, cells, docker, pool
from assay.sandbox.cell import values
from assay.sandbox.pool import Pool, open_pool
from assay.sandbox.types import Calls, Job, SandboxUnavailable

COUNTS = "import time\ndef f(x, s):\n    time.sleep(s)\n    return x\n"


def job(key="job", inputs=((1, 0.0),), **options):
    """Returns the first of each pair after waiting for the second, seconds."""
    program = Calls(
        code=COUNTS,
        entry_point="f",
        inputs=tuple(values.encode(list(i)) for i in inputs),
        call_s=(60.0,) * len(inputs),
        digest=(False,) * len(inputs),
    )
    return Job(key=key, image="core", program=program, wall_s=120.0, **options)


def outputs(outcome):
    return [values.decode(line.partition(b" ")[2].decode()) for line in outcome.lines if line[:1] == b"="]


@pytest.fixture
def open_one(engine):
    """Opens pools that are closed in the end."""
    opened = []

    def one(size=1):
        opened.append(Pool(docker.connect(), "core", build.find(engine, "core").digest, cells=size))
        return opened[-1]

    yield one
    for each in opened:
        each.close()


def mine(engine):
    return {c for c, who in docker.cells(engine) if who == docker.owner()}


def hang_up(attached):
    cells._Stream(attached).close()


def wait_until(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.05)
    return what()


@pytest.mark.docker
def test_every_job_gets_its_own_outcome(core_pool):
    futures = {k: core_pool.submit(job(str(k), [(k, 0.0), (-k, 0.0)])) for k in range(200)}
    assert all(outputs(f.result()) == [k, -k] for k, f in futures.items())
    assert all(f.result().key == str(k) for k, f in futures.items())


@pytest.mark.docker
def test_run_gives_every_outcome_once(core_pool):
    keys = [str(k) for k in range(50)]
    assert sorted(o.key for o in core_pool.run(map(job, keys))) == sorted(keys)


@pytest.mark.docker
def test_the_longest_known_job_is_started_first(open_one):
    one, started, gate = open_one(), [], threading.Event()
    first = one.submit(job("first", watch=lambda _: gate.wait(60)))
    rest = [one.submit(job(str(s), expect_s=s, begin=lambda s=s: started.append(s))) for s in (1.0, 5.0, 0.0, 3.0, 2.0)]
    gate.set()
    for future in [first, *rest]:
        assert future.result().ended == "ok"
    assert started == [5.0, 3.0, 2.0, 1.0, 0.0]


@pytest.mark.docker
def test_a_job_whose_container_is_killed_is_run_again_from_its_beginning(engine, open_one):
    others = mine(engine)
    one, seen, killed = open_one(), [], []

    def watch(line):
        seen.append(line[:1])
        if not killed:
            (cell,) = mine(engine) - others
            killed.append(cell)
            engine.api.kill(cell)
        return True

    future = one.submit(job(inputs=[(1, 0.0), (2, 1.0), (3, 0.0)], watch=watch, begin=seen.clear))
    assert future.result().ended == "ok"
    assert killed
    assert seen == [b"=", b"=", b"=", b"."]
    assert outputs(one.submit(job()).result()) == [1]


@pytest.mark.docker
def test_a_job_under_which_every_cell_breaks_is_the_machines_fault(engine, open_one):
    others = mine(engine)
    one, attempts = open_one(), []

    def watch(_):
        for cell in mine(engine) - others:
            engine.api.kill(cell)
        return True

    future = one.submit(job(inputs=[(1, 0.2), (1, 2.0)], watch=watch, begin=lambda: attempts.append(1)))
    with pytest.raises(SandboxUnavailable):
        future.result()
    assert len(attempts) == pool.ATTEMPTS
    assert outputs(one.submit(job()).result()) == [1], "the next job is not made to suffer"


@pytest.mark.docker
def test_a_bug_in_watch_reaches_the_submitter_and_the_pool_goes_on(open_one):
    one = open_one()
    future = one.submit(job(watch=lambda _: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        future.result()
    assert outputs(one.submit(job()).result()) == [1]


@pytest.mark.docker
def test_a_job_that_waits_can_be_cancelled(open_one):
    one, gate = open_one(), threading.Event()
    first = one.submit(job(watch=lambda _: gate.wait(60)))
    assert wait_until(first.running)
    second = one.submit(job())
    assert second.cancel()
    gate.set()
    assert outputs(one.submit(job()).result()) == [1]


@pytest.mark.docker
def test_whoever_submits_more_than_may_wait_is_made_to_wait(open_one, monkeypatch):
    monkeypatch.setattr(pool, "PENDING", 3)
    one, gate, submitted = open_one(), threading.Event(), []

    def submit():
        for _ in range(5):
            submitted.append(one.submit(job(watch=lambda _: gate.wait(60))))

    thread = threading.Thread(target=submit)
    thread.start()
    assert wait_until(lambda: len(submitted) == 3)
    thread.join(1.0)
    assert len(submitted) == 3
    gate.set()
    thread.join()
    assert [f.result().ended for f in submitted] == ["ok"] * 5


@pytest.mark.docker
def test_closing_ends_every_cell_even_one_at_work(engine, open_one):
    others = mine(engine)
    one = open_one(2)
    futures = [one.submit(job(inputs=[(1, 1.0)])) for _ in range(6)]
    assert wait_until(lambda: len(mine(engine) - others) == 2)
    one.close()
    assert all(f.done() for f in futures)
    assert wait_until(lambda: not mine(engine) - others)
    with pytest.raises(RuntimeError, match="closed"):
        one.submit(job())


@pytest.mark.docker
def test_an_image_that_is_not_there_names_the_command_that_makes_it(engine, monkeypatch, tmp_path):
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "Dockerfile").write_text(f"# {tmp_path}\n")
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    with pytest.raises(SandboxUnavailable, match="is not there: assay sandbox build core"):
        open_pool("core")


@pytest.mark.docker
def test_an_image_that_goes_away_fails_every_job_and_hangs_none(engine, monkeypatch):
    monkeypatch.setattr(pool, "WAIT_FOR_ENGINE_S", ())
    with Pool(docker.connect(), "core", "sha256:" + "0" * 64, cells=2) as gone:
        for future in [gone.submit(job()) for _ in range(5)]:
            with pytest.raises(SandboxUnavailable, match="assay sandbox build"):
                future.result()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # docker-py's, of its own socket
@pytest.mark.parametrize("host", ["unix:///nonexistent", "tcp://127.0.0.1:1", "nonsense"])
def test_no_engine_names_the_remedy(host, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(SandboxUnavailable, match=r"no Docker engine answers at .*DOCKER_HOST"):
        open_pool("core")
    gc.collect()


OWNER = """
import sys, threading
from assay.sandbox import docker
from assay.sandbox.cell import values
from assay.sandbox.pool import open_pool
from assay.sandbox.types import Calls, Job
code = "import time, os\\ndef f(x):\\n    if x:\\n        os.fork()\\n        time.sleep(1000)\\n"
program = Calls(code=code, entry_point="f", inputs=("[0]", "[1]"), call_s=(900.0,) * 2, digest=(False,) * 2)
started = threading.Event()
pool = open_pool("core", cells=1)
pool.submit(Job(key="x", image="core", program=program, wall_s=900.0, watch=lambda _: started.set() or True))
started.wait()
print(docker.owner(), flush=True)
sys.stdin.read()
pool.close()
"""


@pytest.fixture
def owner(engine):
    """Another process whose cell is at work; and that process's name."""
    process = subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    who = process.stdout.readline().strip()
    assert [w for _, w in docker.cells(engine)].count(who) >= 1
    yield process, who
    process.kill()
    process.communicate()
    docker.sweep(engine)


@pytest.mark.docker
def test_a_killed_run_leaves_no_cell_behind(engine, owner):
    process, who = owner
    process.send_signal(signal.SIGKILL)
    process.wait()

    def gone():
        docker.sweep(engine)
        return who not in [w for _, w in docker.cells(engine)]

    assert wait_until(gone)


@pytest.mark.docker
def test_sweeping_spares_the_cells_of_the_living(engine, owner, core_pool):
    _, who = owner
    core_pool.submit(job()).result()
    before = mine(engine)
    docker.sweep(engine)
    assert who in [w for _, w in docker.cells(engine)]
    assert before
    assert before <= mine(engine)


@pytest.mark.docker
@pytest.mark.parametrize("another", ["pid", "start"])
def test_sweeping_takes_the_cells_of_the_dead(engine, monkeypatch, another):
    """Also where the pid lives on in another process: its start time tells."""
    host, pid, started = docker.owner().split("/")
    dead = subprocess.Popen(["true"])
    dead.wait()
    who = f"{host}/{dead.pid}/{started}" if another == "pid" else f"{host}/{pid}/1"
    digest = build.find(engine, "core").digest
    with monkeypatch.context() as m:
        m.setattr(docker, "owner", lambda: who)
        boot = "import time; time.sleep(600)"
        container, attached = docker.start(engine, digest, docker.CellOptions(memory_mib=64), dict(os.environ), boot)
    docker.sweep(engine)
    hang_up(attached)
    assert wait_until(lambda: container not in [c for c, _ in docker.cells(engine)])


@pytest.mark.docker
def test_cells_of_another_host_are_not_ours_to_judge(engine, monkeypatch):
    digest = build.find(engine, "core").digest
    with monkeypatch.context() as m:
        m.setattr(docker, "owner", lambda: "another-host/1/1")
        boot = "import time; time.sleep(600)"
        container, attached = docker.start(engine, digest, docker.CellOptions(memory_mib=64), {}, boot)
    docker.sweep(engine)
    assert container in [c for c, _ in docker.cells(engine)]
    hang_up(attached)
    docker.remove(engine, container)
