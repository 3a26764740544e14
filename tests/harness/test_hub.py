"""A checkpoint by Hub name, through the Hub's own client, from a server on loopback that speaks its protocol."""

import hashlib
import http.server
import json
import threading
from pathlib import Path

import pytest

from assay.harness.backends.base import BackendError, ModelOptions, open_backend
from assay.tasks.datasets import git_blob
from assay.tasks.types import LogLikelihood

COMMIT = "b" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    """The model API and the files of one repository, us/tiny, at one commit and the tag v1."""

    def _answer(self, body):
        folder, path = self.server.folder, self.path.partition("?")[0]
        name = path.rpartition("/")[2]
        headers, content, found = {}, b"", 404
        if path in (f"/api/models/us/tiny/revision/{r}" for r in ("v1", COMMIT)):
            files = [{"rfilename": p.name} for p in sorted(folder.iterdir())]
            content = json.dumps({"id": "us/tiny", "modelId": "us/tiny", "sha": COMMIT, "siblings": files}).encode()
            found, headers = 200, {"Content-Type": "application/json"}
        elif path == f"/api/models/us/tiny/tree/{COMMIT}":
            files = [
                {"type": "file", "path": p.name, "size": p.stat().st_size, "oid": git_blob(p.read_bytes())}
                for p in sorted(folder.iterdir())
            ]
            content = json.dumps(files).encode()
            found, headers = 200, {"Content-Type": "application/json"}
        elif path.startswith(f"/us/tiny/resolve/{COMMIT}/") and (folder / name).is_file():
            content = (folder / name).read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            found, headers = 200, {"ETag": etag, "X-Repo-Commit": COMMIT}
        self.server.asked.append((self.command, path))
        self.send_response(found)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(reference, monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.folder, server.asked = reference / "parity/checkpoints/series-a/step-000100", []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def own_hub_cache(tmp_path, monkeypatch):
    """The client reads its cache folder when it is imported, so the environment comes too late."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def test_a_hub_name_with_a_revision_gives_the_local_folders_answers(hub):
    online = open_backend("hf:us/tiny@v1", ModelOptions(device="cpu"))
    local = open_backend(f"hf:{hub.folder}", ModelOptions(device="cpu"))
    assert online.identity == local.identity
    assert (online.checkpoint.step, online.checkpoint.tokens) == (100, 388096)
    asked = [LogLikelihood(key="t/0#0", context_ids=[5, 6, 7], continuation_ids=[8, 9], text="x")]
    assert online.likelihoods(asked) == local.likelihoods(asked)
    hub.asked.clear()
    again = open_backend("hf:us/tiny@v1", ModelOptions(device="cpu", offline=True))
    assert again.identity == online.identity
    assert not hub.asked, "offline, from the Hub's cache"


def test_a_name_the_hub_does_not_know_is_a_clear_error(hub):
    with pytest.raises(BackendError, match="hf:us/none: cannot get this checkpoint"):
        open_backend("hf:us/none", ModelOptions(device="cpu"))


def test_the_cache_stays_in_the_tests_own_folder(hub, tmp_path):
    open_backend("hf:us/tiny@v1", ModelOptions(device="cpu"))
    assert list(Path(tmp_path / "hub").rglob("model.safetensors"))
