"""Endpoints on loopback for tests: one that fails as it is told, and, as a script, a real model that echoes.

python tests/harness/serving.py CHECKPOINT        serves it until standard input closes; prints its port first
"""

import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

MODEL = "tiny"
CUT, DROP, SLOW = "cut", "drop", "slow"


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers what `server.reply` says of a body, unless `server.faults` has something for this request."""

    def do_GET(self):
        self._send(200, json.dumps({"data": [{"id": MODEL, "created": time.time(), "max_model_len": 2048}]}))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.seen.append((body, dict(self.headers), time.monotonic()))
            fault = self.server.fault(len(self.server.seen))
        if fault == DROP:
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault == CUT:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [{"ind')
        elif fault == SLOW:
            self.server.released.wait(30)
        elif fault is not None:
            self._send(*fault)
        else:
            self._send(200, json.dumps(self.server.reply(body)))

    def _send(self, status, text, headers=()):
        content = text.encode()
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def said(body):
    """A text that only what was asked decides."""
    asked = body.get("messages") or body["prompt"]
    drawn = f" at {body['temperature']} with {body['seed']}" if body.get("temperature") else ""
    return f"{len(json.dumps(asked))} letters{drawn}"


def reply(body):
    """An answer as OpenAI's servers write it."""
    text, usage = said(body), {"prompt_tokens": 7, "completion_tokens": 3}
    if "messages" in body:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    else:
        choice = {"index": 0, "text": text, "finish_reason": "stop"}
    return {"choices": [choice], "usage": usage}


@contextlib.contextmanager
def canned(fault=lambda _: None, reply=reply):
    """A server of this process. `fault` is asked with each request's number, from 1: None, a kind, or an answer."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.lock, server.released, server.seen = threading.Lock(), threading.Event(), []
    server.fault, server.reply = fault, reply
    server.url = f"http://127.0.0.1:{server.server_port}/v1#{MODEL}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()


class Model:
    """A checkpoint that answers /v1/completions as vLLM does: strings or token ids, echo and logprobs."""

    def __init__(self, folder):
        import torch
        import transformers

        transformers.logging.set_verbosity_error()
        self.torch = torch
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.lock = threading.Lock()

    def reply(self, body):
        asked = body["prompt"]
        ids = self.tokenizer(asked)["input_ids"] if isinstance(asked, str) else list(asked[0])
        with self.lock, self.torch.no_grad():
            whole = list(ids)
            for _ in range(body["max_tokens"]):
                whole.append(int(self.model(self.torch.tensor([whole])).logits[0, -1].argmax()))
            shown = whole if body.get("echo") else whole[len(ids) :]
            logprobs = self._logprobs(whole)[-len(shown) :] if body.get("logprobs") else None
        choice = {"index": 0, "text": self.tokenizer.decode(shown), "finish_reason": "length"}
        if logprobs:
            own, best = zip(*logprobs, strict=True)
            choice["logprobs"] = {"token_logprobs": own, "top_logprobs": best}
        usage = {"prompt_tokens": len(ids), "completion_tokens": body["max_tokens"]}
        return {"choices": [choice], "usage": usage}

    def _logprobs(self, ids):
        """(the token's, {best token: its}) of each id; of the first there is none."""
        rows = self.torch.log_softmax(self.model(self.torch.tensor([ids])).logits[0].float(), -1)
        found = [(None, None)]
        for row, token in zip(rows[:-1], ids[1:], strict=True):
            top = int(row.argmax())
            shown = {str(top): float(row[top]), str(token): float(row[token])}
            found.append((float(row[token]), shown))
        return found


@contextlib.contextmanager
def echoing(folder):
    """The address of a process of its own that serves a checkpoint with echo and logprobs."""
    command = [sys.executable, __file__, str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1#{MODEL}"
    finally:
        process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def transformers_serve(folder, home):
    """The address of `transformers serve`, in a process of its own."""
    (home / "hub").mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("transformers"), "serve", folder, "--port", port, "--host", "127.0.0.1"]
    command += ["--device", "cpu", "--dtype", "float32"]
    environment = os.environ | {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, env=environment)
    try:
        _wait_for(process, f"http://127.0.0.1:{port}/health", home / "log")
        yield f"http://127.0.0.1:{port}/v1#{folder}"
    finally:
        process.kill()
        process.wait()


def _wait_for(process, url, log, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback
            return
        time.sleep(0.2)
    raise RuntimeError(f"transformers serve did not start: {log.read_text()[-2000:]}")


if __name__ == "__main__":
    with canned(reply=Model(sys.argv[1]).reply) as own:
        sys.stdout.write(f"{own.server_port}\n")
        sys.stdout.flush()
        sys.stdin.read()
