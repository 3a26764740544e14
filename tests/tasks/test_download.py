"""Fetching against a real HTTP server on loopback that can be slow, torn, busy, wrong, and a Hub."""

import hashlib
import http.server
import json
import threading

import pytest
import tenacity

from assay.tasks import datasets, download
from assay.tasks import registry as registries
from assay.tasks.datasets import DataMismatch, NoData
from tests.conftest import choice_rows


class Server(http.server.ThreadingHTTPServer):
    """Serves one file; `faults` is a list of what goes wrong with the next requests."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.faults, self.asked = content, [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.headers.get("Range"))
        fault = self.server.faults.pop(0) if self.server.faults else None
        if isinstance(fault, int):
            self.send_response(fault)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = self.server.content
        start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if self.headers.get("Range") else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        rest = content[start:]
        self.wfile.write(rest[: len(rest) // 2] if fault == "cut" else rest)
        if fault == "cut":
            self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def served(write_task, monkeypatch):
    """A task whose file is only at a URL; returns its spec and the server."""
    monkeypatch.setattr(download.tenacity, "wait_random_exponential", lambda **_: tenacity.wait_none())
    folder = write_task(choice_rows(2000))
    content = (folder / "mine.jsonl").read_bytes()
    (folder / "mine.jsonl").unlink()
    server = Server(content)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    text = (folder / "mine.yaml").read_text()
    (folder / "mine.yaml").write_text(text.replace('"rows"', f'"url": "{server.url}/mine.jsonl", "rows"'))
    yield registries.open_registry([folder]).tasks["mine"], server
    server.shutdown()
    server.server_close()


def test_a_fetched_file_lies_in_the_cache_verified(served):
    spec, server = served
    path = download.fetch(spec)
    assert path.read_bytes() == server.content
    assert datasets.load(spec).where == path
    assert download.fetch(spec) == path
    assert len(server.asked) == 1, "what is here is not fetched again"


def test_a_cut_connection_is_resumed_where_it_broke(served):
    spec, server = served
    server.faults = ["cut", "cut"]
    assert download.fetch(spec).read_bytes() == server.content
    assert server.asked[0] is None
    assert [a is not None for a in server.asked[1:]] == [True, True]


def test_a_part_left_by_a_killed_fetch_is_continued(served):
    spec, server = served
    part = datasets.cache_folder() / "mine.jsonl.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.content[:1000])
    assert download.fetch(spec).read_bytes() == server.content
    assert server.asked == ["bytes=1000-"]


@pytest.mark.parametrize("busy", [429, 500, 503])
def test_a_busy_server_is_asked_again(served, busy):
    spec, server = served
    server.faults = [busy, busy]
    assert download.fetch(spec).read_bytes() == server.content


def test_a_server_that_stays_busy_is_no_data_with_its_answer(served):
    spec, server = served
    server.faults = [503] * 10
    with pytest.raises(NoData, match="after 5 tries: the server answered 503"):
        download.fetch(spec)
    assert len(server.asked) == 5


def test_a_missing_file_is_not_asked_for_again(served):
    spec, server = served
    server.faults = [404]
    with pytest.raises(NoData, match="the server answered 404"):
        download.fetch(spec)
    assert len(server.asked) == 1


def test_wrong_content_is_refused_with_both_hashes_and_removed(served):
    spec, server = served
    server.content = server.content.replace(b"Question 7:", b"Question 8:")
    with pytest.raises(DataMismatch, match=datasets.git_blob(server.content)):
        download.fetch(spec)
    assert not list(datasets.cache_folder().rglob("mine*"))


def test_a_damaged_cache_is_fetched_again(served):
    spec, server = served
    path = download.fetch(spec)
    path.write_bytes(b"{}\n")
    assert download.fetch(spec).read_bytes() == server.content


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the Hugging Face Hub's protocol as its client asks of a data set's file."""

    COMMIT = "a" * 40

    def _answer(self, body):
        content = self.server.content
        ok = self.path == f"/datasets/us/things/resolve/{self.COMMIT}/sub/mine.jsonl"
        self.send_response(200 if ok else 404)
        if ok:
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", self.COMMIT)
        self.send_header("Content-Length", str(len(content) if ok else 0))
        self.end_headers()
        if body and ok:
            self.wfile.write(content)

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def log_message(self, *_):
        pass


def test_a_hub_file_is_fetched_at_its_pinned_revision(write_task, monkeypatch):
    folder = write_task(choice_rows(20))
    content = (folder / "mine.jsonl").read_bytes()
    (folder / "mine.jsonl").unlink()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.content = content
    threading.Thread(target=server.serve_forever, daemon=True).start()
    spec = json.loads((folder / "mine.yaml").read_text())
    spec["tasks"][0]["data"]["url"] = f"hf://datasets/us/things@{Hub.COMMIT}/sub/mine.jsonl"
    (folder / "mine.yaml").write_text(json.dumps(spec))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
        f"http://127.0.0.1:{server.server_port}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
    )
    try:
        path = download.fetch(registries.open_registry([folder]).tasks["mine"])
        assert path.read_bytes() == content
    finally:
        server.shutdown()
        server.server_close()
