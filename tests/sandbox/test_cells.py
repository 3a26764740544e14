"""One cell: what a program gives comes back, how it ended is told, and nothing of it is left."""

import json
import random

import pytest

from assay.sandbox import build, docker
from assay.sandbox.cell import values
from assay.sandbox.cells import PROFILES, Cell
from assay.sandbox.pool import Pool
from assay.sandbox.types import Calls, Job, Script
from assay.sandbox.types import Tests as UnitTests

pytestmark = pytest.mark.docker

GOOD = "def f(x):\n    return x + 1\n"


@pytest.fixture(scope="module")
def cell(engine):
    """A pool of one cell, so that the next program meets what the last one left."""
    with Pool(docker.connect(), "core", build.find(engine, "core").digest, cells=1) as pool:
        yield pool


def calls(code, *inputs, call_s=10.0, wall_s=30.0, digest=False, **limits):
    """A job that calls `f` with each input."""
    inputs = inputs or (1,)
    program = Calls(
        code=code,
        entry_point="f",
        inputs=tuple(values.encode([i]) for i in inputs),
        call_s=(call_s,) * len(inputs),
        digest=(digest,) * len(inputs),
    )
    return Job(key="calls", image="core", program=program, wall_s=wall_s, **limits)


def script(code, stdin="", wall_s=30.0, **limits):
    return Job(key="script", image="core", program=Script(code=code, stdin=stdin), wall_s=wall_s, **limits)


def run(pool, job):
    return pool.submit(job).result()


def outputs(outcome):
    return [values.decode(line.partition(b" ")[2].decode()) for line in outcome.lines if line[:1] == b"="]


def printed(outcome):
    return "".join(outputs(outcome))


def test_outputs_come_back_in_the_order_of_the_inputs(cell):
    outcome = run(cell, calls("def f(x):\n    return [x, {x}, (x, None), 'ä\\ud800', 2.5]\n", 1, 2, 3))
    assert outcome.ended == "ok"
    assert outputs(outcome) == [[i, {i}, (i, None), "ä\ud800", 2.5] for i in (1, 2, 3)]


def test_a_call_gets_its_own_copy_of_what_is_known_only_by_value(cell):
    code = "def f(x):\n    x.append(1)\n    return x\n"
    assert outputs(run(cell, calls(code, [], []))) == [[1], [1]]


def test_a_large_output_comes_back_as_its_digest_where_one_is_asked_for(cell):
    job = calls("def f(x):\n    return list(range(x))\n", 10, 100_000, digest=True)
    small, large = run(cell, job).lines[:2]
    assert small[:1] == b"="
    assert large.partition(b" ")[2].decode() == values.digest(list(range(100_000)))


def test_an_exception_is_told_with_its_type_message_and_line(cell):
    outcome = run(cell, calls("def f(x):\n    y = 1\n    return x / 0\n"))
    assert outcome.ended == "exception"
    assert outcome.note == "ZeroDivisionError: division by zero (line 3 in f)"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def f(x:\n", "SyntaxError"),
        ("raise KeyError('top')", "KeyError"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("x = 1", "KeyError: 'f'"),
        ("f = 3", "TypeError"),
        ("def f(x):\n    raise SystemExit", "SystemExit"),
        ("def f(x):\n    raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def f(x):\n    return f(x)", "RecursionError"),
        ("def f(x):\n    return input()", "UnsupportedOperation"),
        ("def f(x):\n    return bytearray(6 << 30)", "MemoryError"),
    ],
)
def test_whatever_is_raised_is_an_exception(cell, code, said):
    outcome = run(cell, calls(code))
    assert outcome.ended == "exception"
    assert said in outcome.note


@pytest.mark.parametrize(
    ("code", "note"),
    [
        ("import os; os._exit(7)", "left with status 7 without a report"),
        ("import os; os._exit(0)", "left without a report"),
        ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
        ("import os; os.abort()", "killed by SIGABRT"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
    ],
)
def test_a_program_that_dies_has_crashed(cell, code, note):
    outcome = run(cell, calls(f"def f(x):\n    {code}\n"))
    assert (outcome.ended, outcome.note) == ("crash", note)


def test_a_call_that_overruns_its_limit_ends_the_program(cell):
    outcome = run(cell, calls("def f(x):\n    while x:\n        pass\n    return x\n", 0, 1, 0, call_s=0.3))
    assert (outcome.ended, outcome.note) == ("timeout", "a call overran its limit")
    assert outputs(outcome) == [0]


@pytest.mark.parametrize(
    "code",
    [
        "import collections, itertools\ndef f(x):\n    collections.deque(itertools.repeat(1), maxlen=0)\n",
        "import signal\ndef f(x):\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    while True:\n        pass\n",
        "def f(x):\n    while True:\n        try:\n            while True:\n                pass\n        except:\n            pass\n",
        "while True:\n    pass\n",
        "import time\ntime.sleep(1000)\n",
    ],
    ids=["in C", "SIGALRM ignored", "exceptions swallowed", "before the call", "asleep"],
)
def test_what_heeds_no_signal_is_killed_from_outside(cell, code):
    outcome = run(cell, calls(code, call_s=0.2, wall_s=1.0))
    assert (outcome.ended, outcome.note) == ("timeout", "killed after 1 s")


def test_processes_that_together_use_too_much_memory_are_killed_for_it(cell):
    code = """
import os, time
def f(x):
    for _ in range(3):
        if os.fork() == 0:
            block = bytearray(b"x") * (2 << 30)
            time.sleep(60)
    os.wait()
    return 1
"""
    outcome = run(cell, calls(code, wall_s=60.0, call_s=60.0))
    assert outcome.ended == "memory"


@pytest.mark.parametrize(
    "job",
    [
        calls("def f(x):\n    return 'a' * (3 << 20)\n", output_mib=2),
        calls("def f(x):\n    return 'a' * 1000\n", *range(5000), output_mib=2),
        script("while True:\n    print('a' * 1000)\n", output_mib=2),
        script("import os\nwhile True:\n    os.write(2, b'a' * 60000)\n"),
        script("import os\nwhile True:\n    os.write(3, b'a' * 60000)\n", output_mib=2),
    ],
    ids=["one large output", "many outputs", "prints", "standard error", "straight into the report"],
)
def test_what_writes_too_much_is_ended(cell, job):
    outcome = run(cell, job)
    assert outcome.ended == "output_limit"
    assert sum(map(len, outcome.lines)) <= 3 << 20


def test_only_the_end_of_standard_error_is_kept(cell):
    outcome = run(cell, calls("import sys\ndef f(x):\n    sys.stderr.write('a' * 10**7 + 'the end')\n    return 1\n"))
    assert outcome.ended == "ok"
    assert len(outcome.stderr) == 2000
    assert outcome.stderr.endswith("athe end")


def test_what_a_function_prints_is_no_output(cell):
    outcome = run(cell, calls("import os\ndef f(x):\n    print('=1 2')\n    os.write(1, b'=1 3\\n')\n    return x\n"))
    assert outputs(outcome) == [1]
    assert outcome.stderr == ""


def test_a_script_gives_what_it_prints(cell):
    outcome = run(cell, script("print('hello', end='')\nprint(input() * 2)\n", stdin="ä\n"))
    assert (outcome.ended, printed(outcome)) == ("ok", "helloää\n")


def test_a_script_runs_as_the_main_module(cell):
    assert printed(run(cell, script("if __name__ == '__main__':\n    print('main')\n"))) == "main\n"


def test_a_script_that_exits_has_ended_well_and_one_that_raises_has_not(cell):
    assert run(cell, script("import sys\nprint(1)\nsys.exit(3)\n")).ended == "ok"
    outcome = run(cell, script("print(1)\nraise ValueError('no')\n"))
    assert (outcome.ended, printed(outcome)) == ("exception", "1\n")
    assert "ValueError: no" in outcome.note


def test_unit_tests_report_each_test(cell):
    test = (
        "import unittest\nclass TestCases(unittest.TestCase):\n"
        "    def test_a(self):\n        self.assertEqual(g(), 1)\n    def test_b(self):\n        self.assertEqual(g(), 2)\n"
    )
    program = UnitTests(code="def g():\n    return 1\n", test=test, canaries=("test_canary",))
    outcome = run(cell, Job(key="t", image="core", program=program, wall_s=30.0))
    assert outcome.ended == "ok"
    assert b"+test_a" in outcome.lines
    bad = {json.loads(line[1:])[0] for line in outcome.lines if line[:1] == b"-"}
    assert bad == {"test_b", "test_canary"}


def test_time_and_memory_are_told(cell):
    code = (
        "def f(x):\n    kept = bytearray(b'x') * (300 << 20)\n    return sum(i for i in range(2_000_000)) + len(kept)\n"
    )
    outcome = run(cell, calls(code))
    assert outcome.wall_s > 0
    assert outcome.cpu_s > 0
    assert outcome.memory_mib > 300


# Watching


def test_a_watched_program_is_stopped_when_its_answer_is_decided(cell):
    seen = []

    def watch(line):
        seen.append(line)
        return line[:1] != b"="

    outcome = run(cell, calls("import time\ndef f(x):\n    time.sleep(x)\n    return x\n", 0, 1000, watch=watch))
    assert outcome.ended == "stopped"
    assert outcome.lines == ()
    assert len(seen) == 1


def test_an_output_is_seen_while_the_next_call_hangs(cell):
    """Were it seen only at the end, the program would have run into its limit."""
    code = "def f(x):\n    while x:\n        pass\n    return x\n"
    outcome = run(cell, calls(code, 0, 1, call_s=25.0, watch=lambda line: line[:1] != b"="))
    assert outcome.ended == "stopped"


def test_a_watch_that_is_content_sees_every_line(cell):
    seen = []
    outcome = run(cell, calls(GOOD, *range(1000), watch=lambda line: seen.append(line) or True))
    assert outcome.ended == "ok"
    assert [line[:1] for line in seen] == [b"="] * 1000 + [b"."]


# What is left


BAD = {
    "exits": "import os\ndef f(x):\n    os._exit(1)\n",
    "raises": "def f(x):\n    raise ValueError\n",
    "hangs": "def f(x):\n    while True:\n        pass\n",
    "floods": "def f(x):\n    return 'a' * (9 << 20)\n",
    "patches": "import builtins, os, sys, json\nbuiltins.len = sum = None\nos.write = print\njson.loads = None\ndef f(x):\n    return x\n",
    "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()\ndef f(x):\n    return x\n",
    "stops itself": "import os, signal\ndef f(x):\n    os.kill(os.getpid(), signal.SIGSTOP)\n",
    "forks": "import os\ndef f(x):\n    while True:\n        os.fork()\n",
}


@pytest.mark.parametrize("code", BAD.values(), ids=BAD)
def test_the_next_program_is_unaffected(cell, code):
    run(cell, calls(code, call_s=0.5, wall_s=1.0, output_mib=8))
    outcome = run(cell, calls("def f(x):\n    return len([x] * 3), sum((x, x))\n", 1, 2))
    assert outcome.ended == "ok"
    assert outputs(outcome) == [(3, 2), (3, 4)]


def test_nothing_of_a_program_is_left_for_the_next(cell):
    mess = """
import os, subprocess, sys
def f(x):
    for folder in ("/work", "/tmp", "/dev/shm"):
        os.makedirs(folder + "/deep/er")
        open(folder + "/deep/er/file", "w").write("left")
        os.chmod(folder + "/deep", 0)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=True)
    return sorted(os.listdir("/work"))
"""
    look = """
import os
def f(x):
    found = [sorted(os.listdir(folder)) for folder in ("/work", "/tmp", "/dev/shm")]
    mine = os.getuid()
    others = [p for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid()]
    alike = [p for p in others if os.stat("/proc/" + p).st_uid >= 10000]
    return found, alike, mine
"""
    first = run(cell, calls(mess))
    assert outputs(first) == [["deep"]]
    found, alike, mine = outputs(run(cell, calls(look)))[0]
    assert found == [[], [], []]
    assert alike == []
    assert outputs(run(cell, calls(look)))[0][2] != mine, "every program has a user of its own"


def test_a_program_has_no_network(cell):
    code = """
import socket
def f(x):
    tried = []
    for family, address in ((socket.AF_INET, ("1.1.1.1", 53)), (socket.AF_INET6, ("2606:4700:4700::1111", 53))):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            try:
                with socket.socket(family, kind) as s:
                    s.settimeout(2)
                    s.connect(address)
                    tried.append(address)
            except OSError:
                pass
    try:
        tried.append(socket.getaddrinfo("example.org", 80))
    except OSError:
        pass
    return tried, [name for _, name in socket.if_nameindex() if name != "lo"]
"""
    tried, interfaces = outputs(run(cell, calls(code)))[0]
    assert tried == []
    assert not set(interfaces) - {
        "tunl0",
        "sit0",
        "gre0",
        "erspan0",
        "ip6tnl0",
        "ip6gre0",
        "gretap0",
        "ip_vti0",
        "ip6_vti0",
    }


def test_a_program_is_nobody_in_particular(cell):
    code = """
import os
def f(x):
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    wanted = ("CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs", "Seccomp", "Groups")
    return os.getuid(), os.getgid(), {k: status[k].strip() for k in wanted}, os.path.exists("/var/run/docker.sock")
"""
    uid, gid, status, sock = outputs(run(cell, calls(code)))[0]
    assert uid == gid >= 10_000
    assert {int(v or "0", 16) for k, v in status.items() if k.startswith("Cap")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"], status["Groups"]) == ("1", "2", "")
    assert not sock


def test_a_program_can_write_nowhere_but_in_its_folders(cell):
    code = """
import os
def f(x):
    could = []
    for folder, folders, _ in os.walk("/"):
        folders[:] = [d for d in folders if os.path.join(folder, d) not in ("/proc", "/sys", "/work", "/tmp", "/dev/shm")]
        try:
            open(os.path.join(folder, "mine"), "w").close()
            could.append(folder)
        except OSError:
            pass
    return could
"""
    assert outputs(run(cell, calls(code))) == [[]]


# The container


@pytest.fixture(scope="module", params=["core", "bigcodebench"])
def container(engine, request):
    """What the engine says of a cell that runs."""
    try:
        digest = build.find(engine, request.param).digest
    except docker.SandboxUnavailable as error:
        pytest.skip(str(error))
    cell = Cell(engine, request.param, digest)
    yield engine.api.inspect_container(cell.container), PROFILES[request.param][0]
    cell.close()


def test_a_cell_is_confined_as_documented(container):
    found, _ = container
    host = found["HostConfig"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert {c.removeprefix("CAP_") for c in host["CapAdd"]} == {"SETUID", "SETGID", "KILL"}
    assert "no-new-privileges" in [o.partition(":")[0].partition("=")[0] for o in host["SecurityOpt"]]
    assert not [o for o in host["SecurityOpt"] if "unconfined" in o]
    assert host["IpcMode"] == "private"
    assert host["PidMode"] != "host"
    assert not host["Devices"]
    assert host["LogConfig"]["Type"] == "none"


def test_a_cell_sees_nothing_of_the_host(container):
    found, _ = container
    assert not found["HostConfig"]["Binds"]
    assert not found["HostConfig"]["VolumesFrom"]
    assert {m["Type"] for m in found["Mounts"]} <= {"tmpfs"}
    assert set(found["HostConfig"]["Tmpfs"]) == {"/work", "/tmp", "/dev/mqueue"}


def test_a_cell_has_limits(container):
    found, options = container
    host = found["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == options.memory_mib << 20
    assert host["PidsLimit"] == options.pids > 0
    assert host["NanoCpus"] == options.cpus * 1e9
    assert all("size=" in how and "nr_inodes=" in how for where, how in host["Tmpfs"].items() if where != "/dev/mqueue")
    assert host["ShmSize"] == options.shm_mib << 20


def test_a_cell_says_whose_it_is_and_goes_when_it_ends(container):
    found, _ = container
    assert found["Config"]["Labels"][docker.CELL] == docker.owner()
    assert found["HostConfig"]["AutoRemove"] is True


def test_programs_in_any_order_give_what_they_give_alone(cell):
    rng = random.Random(4)
    jobs = [calls(f"K = {k}\ndef f(x):\n    return x * K\n", 1, 2, 3) for k in range(40)]
    order = rng.sample(range(40), 40)
    found = [run(cell, jobs[k]) for k in order]
    assert [outputs(o) for o in found] == [[k, 2 * k, 3 * k] for k in order]


def test_a_report_nested_without_end_is_a_result(cell):
    code = "import os\nos.write(3, b'!' + b'[' * 1990 + b'\\n')\n" + GOOD
    assert run(cell, calls(code)).ended == "exception"
    assert run(cell, calls(GOOD)).ended == "ok"


def test_cells_that_vanish_while_idle_cost_no_answer(engine):
    with Pool(docker.connect(), "core", build.find(engine, "core").digest, cells=3) as pool:
        for outcome in pool.run([calls(GOOD) for _ in range(12)]):
            assert outcome.ended == "ok"
        for container, who in docker.cells(engine):
            if who == docker.owner():
                docker.remove(engine, container)
        assert run(pool, calls(GOOD)).ended == "ok"
