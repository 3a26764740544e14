"""A training run's folder as a test writes it, and a watch of it as a process."""

import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from assay.harness import store as stores

ASSAY = Path(sys.executable).with_name("assay")
PATIENCE_S = 240
"""For a machine that has much else to do; no test is about how long anything takes."""


def copy(source, target):
    """A checkpoint's files, writable; the folder is made."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        shutil.copyfile(path, target / path.name)
    return target


def shard(folder, parts=2):
    """Save a checkpoint's weights anew, in parts with an index, as a larger model's would be."""
    single = folder / "model.safetensors"
    content = single.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    header.pop("__metadata__", None)
    weight_map = {}
    for i in range(parts):
        name, own, data = f"model-{i + 1:05}-of-{parts:05}.safetensors", {"__metadata__": {"format": "pt"}}, b""
        for tensor in sorted(header)[i::parts]:
            first, last = header[tensor]["data_offsets"]
            own[tensor] = header[tensor] | {"data_offsets": [len(data), len(data) + last - first]}
            data += content[begin + first : begin + last]
            weight_map[tensor] = name
        head = json.dumps(own).encode()
        head += b" " * (-len(head) % 8)
        (folder / name).write_bytes(len(head).to_bytes(8, "little") + head + data)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    single.unlink()


def until(holds, what):
    """Wait for something that must come; a failure says what came instead."""
    ends = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < ends, f"waited in vain: {what() if callable(what) else what}"
        time.sleep(0.02)


def heed_interrupts():
    """What a script starts in its background ignores Ctrl-C, and all that it starts: not the watch that is tested."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Watching:
    """A watch that runs, and what it has said."""

    def __init__(self, *arguments, cwd, env=()):
        self.process = subprocess.Popen(
            [ASSAY, "watch", *map(str, arguments)],
            cwd=cwd,
            env=os.environ | dict(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_interrupts,
        )
        self.said = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        self.said += self.process.stderr  # grows line by line

    def hears(self, *words):
        """Wait for a line with all these words."""
        until(
            lambda: any(all(w in line for w in words) for line in list(self.said)) or self._gone(words),
            lambda: f"{words} in {''.join(self.said)}",
        )

    def _gone(self, words):
        assert self.process.poll() is None, f"ended without {words}: {''.join(self.said)}"

    def children(self):
        """Ids of the processes that it has started and not yet awaited."""
        pid = self.process.pid
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def ends(self, signal):
        """Send a signal; the exit code."""
        self.process.send_signal(signal)
        return self.awaited()

    def awaited(self):
        """Its exit code, once it has ended."""
        try:
            code = self.process.wait(PATIENCE_S)
            self._reader.join(PATIENCE_S)
        finally:
            self.close()
        return code

    def close(self):
        """Nothing of it is left, and no pipe open."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        self.process.stderr.close()


@contextmanager
def watching(*arguments, cwd, env=()):
    """A watch for as long as the block."""
    watch = Watching(*arguments, cwd=cwd, env=env)
    try:
        yield watch
    finally:
        if not watch.process.stderr.closed:
            watch.awaited() if watch.process.poll() is not None else watch.close()


def finished(store):
    """Every finished run of a store by id: label, when it was begun, hash of its weights."""
    runs = [stores.read_run(p) for p in stores.list_runs(store)]
    return {
        r.plan.run_id: (r.plan.checkpoint.label, r.plan.created, r.plan.identity["model"]) for r in runs if r.complete
    }


def asked(store):
    """How often each finished run was measured to its end: `assay run` prints such a line each time."""
    said = "".join(p.read_text() for p in (store / ".watch").glob("*.log"))
    return {run: said.count(f"run {run}: ") for run in finished(store)}


class _Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tries += 1
        status = self.server.answers.pop(0) if self.server.answers else 204
        if status < 300:
            self.server.got.append(json.loads(body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def receiver(*answers):
    """A web server that answers with these statuses, then with 204; `got` are the bodies it took."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Receiver)
    server.answers, server.got, server.tries = list(answers), [], 0
    server.url = f"http://127.0.0.1:{server.server_port}/hook/s3cret"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
