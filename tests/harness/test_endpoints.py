"""Endpoints: the same answers as the checkpoint they serve, asked for what was wanted and known for what they are."""

import json
import shutil
import threading
import time

import pytest

from assay.harness.backends.base import BackendError, ModelOptions, Refused, open_backend, parse_reference
from assay.harness.session import expand_models
from assay.tasks.types import Generation, LogLikelihood
from tests.harness.asking import QUESTIONS, SOON, drawn, greedy, opened, scored
from tests.harness.serving import canned, echoing, reply, said, transformers_serve

TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


# Real servers


@pytest.fixture(scope="module")
def chatty(reference, tmp_path_factory):
    """A real checkpoint with a chat template that may draw, so that `transformers serve` can do all it does."""
    folder = tmp_path_factory.mktemp("served") / "step-001602"
    shutil.copytree(reference / "parity/checkpoints/series-a/step-001602", folder, copy_function=shutil.copyfile)
    for name, more in (("tokenizer_config", {"chat_template": TEMPLATE}), ("generation_config", {"do_sample": True})):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | more))
    return folder


@pytest.fixture(scope="module")
def serve(chatty, tmp_path_factory):
    with transformers_serve(chatty, tmp_path_factory.mktemp("home")) as url:
        yield url


def test_completions_of_transformers_serve_are_those_of_its_checkpoint(serve, chatty):
    endpoint, checkpoint = open_backend(f"openai-completions:{serve}", SOON), open_backend(f"hf:{chatty}", SOON)
    found = endpoint.generate(greedy(endpoint))
    assert found == checkpoint.generate(greedy(checkpoint))
    assert endpoint.usage.tokens_in == sum(map(len, checkpoint.tokenizer.encode(QUESTIONS, special=True)))
    assert endpoint.usage.tokens_out >= sum(g.tokens for g in found)


def test_chats_of_transformers_serve_are_those_of_its_checkpoint(serve, chatty):
    endpoint, checkpoint = open_backend(f"openai-chat:{serve}", SOON), open_backend(f"hf:{chatty}", SOON)
    chats = [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": q}] for q in QUESTIONS]
    asked = [[b.tokenizer.template(c, answer=True) for c in chats] for b in (endpoint, checkpoint)]
    assert endpoint.generate(greedy(endpoint, asked[0])) == checkpoint.generate(greedy(checkpoint, asked[1]))


def test_draws_of_transformers_serve_follow_their_seeds(serve):
    """It seeds one generator for all that it does at a time: draws come again only when asked one by one."""
    endpoint = open_backend(f"openai-completions:{serve}", ModelOptions(concurrency=1))
    first, again, other = (endpoint.generate(drawn(endpoint, seed)) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_transformers_serve_has_no_likelihoods_and_that_is_said(serve, chatty):
    endpoint = open_backend(f"openai-completions:{serve}", ModelOptions(tokenizer=str(chatty)))
    with pytest.raises(Refused, match=r"no log-probabilities of a given text.*HTTP 400.*prompt must be a string"):
        endpoint.likelihoods([scored(endpoint, "two", " three")])


def test_another_models_tokenizer_is_refused(serve, reference):
    other = ModelOptions(tokenizer=str(reference / "parity/checkpoints/b"))
    with pytest.raises(BackendError, match="that is another model's tokenizer"):
        open_backend(f"openai-completions:{serve}", other).load()


@pytest.mark.parametrize("name", ["series-a/step-000400", "b"])
def test_echoed_likelihoods_are_those_of_the_checkpoint(reference, name):
    """By a tokenizer that adds no BOS and one that does; within 1e-3 nats; of a text alone too.

    Whitespace between question and answer goes to the answer, as lm-eval's `_encode_pair` and our joint seam have it.
    """
    folder = reference / "parity/checkpoints" / name
    checkpoint = open_backend(f"hf:{folder}", ModelOptions(device="cpu"))
    pairs = [(q, a) for q in QUESTIONS for a in (" a small animal.", " four", "\n    return x")]
    ids = checkpoint.tokenizer.encode
    asked = []
    for question, answer in pairs:
        (before,), (whole,) = (ids([text], special=True) for text in (question.rstrip(), question + answer))
        asked.append(LogLikelihood(key="t/0#0", context_ids=before, continuation_ids=whole[len(before) :], text=answer))
    alone = " ".join(QUESTIONS)
    (text,) = ids([alone], special=True)
    prefix = checkpoint.tokenizer.prefix_id
    asked.append(LogLikelihood(key="t/1#0", context_ids=[prefix], continuation_ids=text, text=alone))
    with echoing(folder) as url:
        endpoint = open_backend(f"openai-completions:{url}", ModelOptions(tokenizer=str(folder), timeout_s=60))
        found = endpoint.likelihoods([scored(endpoint, *pair) for pair in pairs] + [scored(endpoint, "", alone)])
    wanted = checkpoint.likelihoods(asked)
    assert [a.logprob for a in found] == pytest.approx([a.logprob for a in wanted], abs=1e-3)
    assert [(a.tokens, a.nbytes) for a in found] == [(a.tokens, a.nbytes) for a in wanted]
    assert [a.greedy for a in found[:-1]] == [a.greedy for a in wanted[:-1]]
    assert endpoint.usage.tokens_in > sum(len(a.continuation_ids) for a in asked)


# What is asked


def test_answers_come_in_the_order_asked_and_no_more_at_a_time_than_allowed():
    busy, most, lock = [0], [0], threading.Lock()

    def slowly(body):
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        time.sleep(0.001 * (len(body["prompt"]) % 7))
        with lock:
            busy[0] -= 1
        return reply(body)

    texts = ["x" * n for n in range(1, 60)]
    with canned(reply=slowly) as server:
        backend = opened(server, ModelOptions(concurrency=3))
        found = backend.generate(greedy(backend, texts))
    assert [g.text for g in found] == [said({"prompt": t, "temperature": 0}) for t in texts]
    assert most[0] == 3


def test_a_chat_is_sent_as_its_turns_and_any_other_text_as_one():
    turns = [{"role": "system", "content": "Be “brief”."}, {"role": "user", "content": "[1, 2]"}]
    with canned() as server:
        backend = opened(server, ModelOptions(concurrency=1), scheme="openai-chat")
        texts = [backend.tokenizer.template(turns, answer=True), "[1, 2]", backend.tokenizer.chat("hi", "```", "```")]
        backend.generate(greedy(backend, texts))
        asked = [body["messages"] for body, _, _ in server.seen]
    assert asked == [turns, [{"role": "user", "content": "[1, 2]"}], [{"role": "user", "content": "hi"}]]


def test_each_draw_has_its_own_seed_and_comes_again():
    with canned() as server:
        backend = opened(server)
        first, again = (backend.generate(drawn(backend, seed=2**40)) for _ in range(2))
        bodies = [body for body, _, _ in server.seen]
    assert first == again
    assert len({b["seed"] for b in bodies}) == len(QUESTIONS)
    assert {(b["temperature"], b["top_p"]) for b in bodies} == {(0.8, 0.95)}
    assert all(0 <= b["seed"] < 2**31 for b in bodies)


@pytest.mark.parametrize("scheme", ["openai-completions", "openai-chat"])
@pytest.mark.parametrize(
    ("text", "reason", "wanted"),
    [
        ("four\n\nmore", "length", Generation(text="four", stopped=True, tokens=3)),
        ("four", "stop", Generation(text="four", stopped=True, tokens=3)),
        ("four", "length", Generation(text="four", stopped=False, tokens=3)),
        ("", "content_filter", Generation(text="", stopped=False, tokens=3)),
    ],
)
def test_a_text_is_cut_here_whatever_the_endpoint_made_of_its_stop_strings(scheme, text, reason, wanted):
    def answer(body):
        found = reply(body)
        found["choices"][0]["finish_reason"] = reason
        found["choices"][0] |= {"message": {"content": text}} if "messages" in body else {"text": text}
        return found

    with canned(reply=answer) as server:
        backend = opened(server, scheme=scheme)
        assert backend.generate(greedy(backend, QUESTIONS[:1])) == [wanted]


def test_a_chat_answer_without_content_is_empty_and_not_an_error():
    def answer(body):
        return {"choices": [{"index": 0, "message": {"content": None}, "finish_reason": "length"}]}

    with canned(reply=answer) as server:
        backend = opened(server, scheme="openai-chat")
        (found,) = backend.generate(greedy(backend, QUESTIONS[:1]))
    assert (found.text, found.stopped) == ("", False)


def test_reasoning_is_stripped_before_stop_strings_are_looked_for():
    def answer(body):
        assert "stop" not in body, "it would end the reasoning"
        return {"choices": [{"index": 0, "text": "hm\n\nno</think> so\n\n</think>\n 4\n\nQ", "finish_reason": "stop"}]}

    with canned(reply=answer) as server:
        backend = opened(server, ModelOptions(strip_reasoning="</think>"))
        assert backend.generate(greedy(backend, QUESTIONS[:1]))[0].text == "4"
        assert backend.identity["reasoning"] == "stripped up to '</think>'"
        assert "reasoning" not in opened(server).identity


def test_more_of_a_body_can_be_asked_for_and_is_recorded():
    with canned() as server:
        backend = opened(server, arguments='?repetition_penalty=1.1&extra={"think":false}&temperature=null')
        backend.generate(greedy(backend, QUESTIONS[:1]))
        ((body, _, _),) = server.seen
        assert (body["repetition_penalty"], body["extra"], "temperature" in body) == (1.1, {"think": False}, False)
        assert backend.identity != opened(server).identity


# What it is


def test_two_endpoints_or_models_never_share_an_identity_and_one_keeps_its_own():
    with canned() as one, canned() as two:
        assert opened(one).identity == opened(one).identity, "though its list of models says when it was made"
        assert opened(one).identity != opened(two).identity
        assert opened(one).identity != opened(one, scheme="openai-chat").identity
        other = open_backend(f"openai-completions:{one.url}-other", SOON)
        assert other.identity["model"] != opened(one).identity["model"]
        assert "not verified" in other.identity["model"]
        assert '"max_model_len":2048' in opened(one).identity["model"]


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("openai-chat:http://h/v1", "write openai-chat:http://HOST:PORT/v1#MODEL"),
        ("openai-chat:h#m", "write openai-chat:http://HOST:PORT/v1#MODEL"),
        ("openai-completions:http://me:pass@h/v1#m", "a password in the URL would be recorded"),
    ],
)
def test_a_wrong_address_says_what_would_be_right(ref, said):
    with pytest.raises(BackendError, match=said) as raised:
        open_backend(ref, SOON)
    assert "pass@" not in str(raised.value)


def test_a_chat_endpoint_refuses_likelihoods_with_a_reason():
    with canned() as server, pytest.raises(Refused, match="a chat endpoint: it gives no log-probabilities"):
        opened(server, scheme="openai-chat").likelihoods([scored(opened(server), "a", " b")])


def test_likelihoods_without_a_tokenizer_are_refused_with_the_remedy():
    with canned() as server, pytest.raises(Refused, match="--tokenizer"):
        opened(server).likelihoods([scored(opened(server), "a", " b")])


@pytest.mark.parametrize(
    ("logprobs", "said"),
    [
        (None, "ignores `echo` and `logprobs`"),
        ({"token_logprobs": [-1.0], "top_logprobs": [{"a": -1.0}]}, "1 log-probabilities came back for"),
    ],
)
def test_an_endpoint_that_does_not_echo_is_refused_and_never_scored_as_certain(reference, logprobs, said):
    def answer(body):
        return {"choices": [{"index": 0, "text": "x", "logprobs": logprobs}]}

    tokenizer = str(reference / "parity/checkpoints/b")
    with canned(reply=answer) as server, pytest.raises(Refused, match=said):
        opened(server, ModelOptions(tokenizer=tokenizer)).likelihoods([scored(opened(server), "one two", " three")])


def test_arguments_begin_after_the_model_and_leave_globs_and_queries_alone(tmp_path):
    found = parse_reference("openai-chat:http://h/v1?api=2&x=1#org/m?a=1&b=x%26y")
    assert (found.target, dict(found.arguments)) == ("http://h/v1?api=2&x=1#org/m", {"a": "1", "b": "x&y"})
    for n in (1, 2):
        (tmp_path / f"step-{n}").mkdir()
        (tmp_path / f"step-{n}/config.json").write_text("{}")
    series = expand_models([f"hf:{tmp_path}/step-??peft=a?b", f"hf:{tmp_path}/step-?"])
    assert series == [f"hf:{tmp_path}/step-{n}{tail}" for tail in ("?peft=a?b", "") for n in (1, 2)]
    with pytest.raises(BackendError, match="each key once"):
        parse_reference("hf:x?a=1&a=2")
