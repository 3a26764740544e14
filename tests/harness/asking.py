"""Questions of tests, as requests in a backend's own ids."""

from assay.harness.backends.base import ModelOptions, open_backend
from assay.tasks.types import Greedy, LogLikelihood, Sampled

SOON = ModelOptions(retries=2, timeout_s=5, concurrency=4)
QUESTIONS = ["Question: what is a cat?\nAnswer:", "The answer is", "2 + 2 =", "def f(x):\n", "Once upon a time"]
STOP = ("\n\n", " the")


def greedy(backend, texts=QUESTIONS, stop=STOP, max_tokens=24, special=True):
    ids = backend.tokenizer.encode(texts, special=special)
    return [Greedy(key=f"t/{i}", prompt_ids=p, stop=stop, max_tokens=max_tokens) for i, p in enumerate(ids)]


def drawn(backend, seed):
    ids = backend.tokenizer.encode(QUESTIONS, special=True)
    return [
        Sampled(key=f"t/{i}", prompt_ids=p, stop=STOP, max_tokens=24, temperature=0.8, top_p=0.95, seed=seed + i)
        for i, p in enumerate(ids)
    ]


def scored(backend, context, answer):
    (before,), (after,) = (backend.tokenizer.encode([t], special=False) for t in (context, answer))
    return LogLikelihood(key="t/0#0", context_ids=before, continuation_ids=after, text=answer)


def opened(server, options=SOON, scheme="openai-completions", arguments=""):
    return open_backend(f"{scheme}:{server.url}{arguments}", options)
