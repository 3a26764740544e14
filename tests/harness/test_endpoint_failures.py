"""Failing endpoints: nothing is lost, leaked or made up, and what is wrong is said."""

import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pyarrow.parquet as pq
import pytest
import tenacity

from assay.harness.backends import transport
from assay.harness.backends.base import BackendError, ModelOptions, open_backend
from tests.harness.asking import QUESTIONS, SOON, greedy, opened
from tests.harness.serving import CUT, DROP, SLOW, canned

KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def at_once(monkeypatch):
    """Tries follow each other without a wait of our own."""
    monkeypatch.setattr(transport, "BACKOFF", tenacity.wait_none())


FAULTS = {
    "429": (429, "slow down", {"Retry-After": "0"}),
    "500": (500, "the worker has died"),
    "503 in HTML": (503, "<html>upstream</html>"),
    "cut": CUT,
    "dropped": DROP,
    "no JSON": (200, "<html>hello</html>"),
    "an error that calls itself 200": (200, '{"error": {"message": "overloaded"}}'),
    "no choice": (200, '{"choices": []}'),
    "a choice without text": (200, '{"choices": [{"index": 0}]}'),
    "a list": (200, "[1, 2]"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("scheme", ["openai-completions", "openai-chat"])
def test_a_passing_failure_costs_no_answer(at_once, fault, scheme):
    with canned() as calm, canned(lambda n: FAULTS[fault] if n in (2, 3) else None) as shaky:
        wanted = opened(calm, scheme=scheme).generate(greedy(opened(calm, scheme=scheme)))
        assert opened(shaky, scheme=scheme).generate(greedy(opened(shaky, scheme=scheme))) == wanted
        assert len(shaky.seen) == len(QUESTIONS) + 2


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("429", "HTTP 429: slow down"),
        ("500", "HTTP 500: the worker has died"),
        ("503 in HTML", "HTTP 503: <html>upstream</html>"),
        ("cut", "ClientPayloadError"),
        ("dropped", "ServerDisconnectedError"),
        ("no JSON", r"an answer that can't be read \(Expecting value.*: <html>hello</html>"),
        ("an error that calls itself 200", "choices.*Field required.*overloaded"),
        ("a choice without text", "no text in it"),
    ],
)
def test_a_lasting_failure_says_where_what_and_what_to_do(at_once, fault, words):
    with canned(lambda _: FAULTS[fault]) as server, pytest.raises(BackendError) as raised:
        opened(server).generate(greedy(opened(server)))
    assert raised.match(f"http://127.0.0.1:{server.server_port}/v1/completions: gave up after 3 tries: .*{words}")
    assert raised.match("run the same command again: what was answered is kept")


def test_a_slow_endpoint_is_given_up(at_once):
    options = ModelOptions(retries=1, timeout_s=0.3)
    with canned(lambda _: SLOW) as server, pytest.raises(BackendError, match=r"2 tries: no answer within 0.3 s"):
        opened(server, options).generate(greedy(opened(server, options), QUESTIONS[:1]))


def test_an_endpoint_that_is_not_there_says_so(at_once):
    with pytest.raises(BackendError, match=r"127.0.0.1:9/v1/models: gave up after 3 tries: ClientConnectorError"):
        open_backend("openai-chat:http://127.0.0.1:9/v1#m", SOON)


@pytest.mark.parametrize(
    ("status", "remedy"), [(400, "does not take this request"), (401, "OPENAI_API_KEY"), (404, "model's name")]
)
def test_what_cannot_succeed_is_not_repeated(status, remedy):
    with canned(lambda _: (status, '{"error": "no"}')) as server:
        with pytest.raises(BackendError, match=f'HTTP {status}: {{"error": "no"}}; .*{remedy}'):
            opened(server).generate(greedy(opened(server), QUESTIONS[:1]))
        assert len(server.seen) == 1


def test_a_redirect_is_not_followed_with_a_key():
    away = (307, "", {"Location": "http://127.0.0.1:9/"})
    with canned(lambda _: away) as server, pytest.raises(BackendError, match="HTTP 307"):
        opened(server).generate(greedy(opened(server), QUESTIONS[:1]))


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_heeded(at_once, form):
    def fault(n):
        when = "1" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        return (429, "later", {"Retry-After": when}) if n == 1 else None

    with canned(fault) as server:
        opened(server).generate(greedy(opened(server), QUESTIONS[:1]))
        (_, _, first), (_, _, second) = server.seen
    assert 0.9 < second - first < 4


def test_an_endpoint_that_dies_in_a_run_and_comes_back_is_asked_only_for_the_rest(assay, tmp_path):
    """After a death in the second shard of 32 the first shard is kept; the records equal an undisturbed run's."""
    alive = threading.Event()
    with canned(lambda n: DROP if n > 40 and not alive.is_set() else None) as server:
        command = ["run", "demo_sums", "--name", "r", "--retries", "1", "--model", f"openai-completions:{server.url}"]
        died = assay(*command, "--store", tmp_path / "died")
        assert died.returncode != 0
        assert "gave up after 2 tries" in died.stderr
        assert "run the same command again" in died.stderr
        alive.set()
        before = len(server.seen)
        assay(*command, "--store", tmp_path / "died", check=0)
        assert len(server.seen) - before == 48 - 32
        assay(*command, "--store", tmp_path / "calm", check=0)
    assert contents(tmp_path / "died/r") == contents(tmp_path / "calm/r")


def contents(run):
    """What a run says, without times."""
    table = pq.read_table(run / "samples/demo_sums.parquet").drop_columns(["wall_s"]).to_pylist()
    results = json.loads((run / "results.json").read_text())
    for task in results["tasks"].values():
        del task["wall_s"], task["samples_sha256"]
    return table, results["tasks"], results["composites"]


def test_the_key_is_sent_and_stands_nowhere(assay, tmp_path):
    leaky = (400, f'{{"error": "Incorrect API key provided: {KEY}"}}')
    for fault in (lambda _: None, lambda n: leaky if n > 3 else None):
        with canned(fault) as server:
            model = ["--model", f"openai-chat:{server.url}", "--retries", "0"]
            done = assay("run", "demo_sums", *model, env={"OPENAI_API_KEY": KEY})
            assert {h["Authorization"] for _, h, _ in server.seen} == {f"Bearer {KEY}"}
        assert KEY not in done.stdout + done.stderr
    assert "Incorrect API key provided: ***" in done.stderr
    kept = [p for p in (tmp_path / "runs").rglob("*") if p.is_file()]
    assert any(p.name == "plan.json" for p in kept)
    assert not [p for p in kept if KEY.encode() in p.read_bytes()]
