"""An endpoint of OpenAI's protocol, asked as lm-eval 0.4.13 asks `local-completions` and `local-chat-completions`.

lm-eval's classes say what is sent, where question and answer part and how a long text is windowed; sending is
`transport`'s, and what came back is checked here before lm-eval reads it: its own reading takes a chat answer without
text for an empty one, and no echo for an answer that is certain.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Le, Len
from pydantic import TypeAdapter

from assay.harness.backends.base import BackendError, Refused, Usage
from assay.harness.backends.engine import Prompt, Scored, Written
from assay.harness.backends.tokenizer import HFTokenizer
from assay.harness.backends.transport import Rejected, Transport
from assay.harness.backends.verbatim import messages

PROBE = "Zwölf Boxkämpfer jagten 1234567 Eulen;\n\tdef f(x): return x**2  # naïve, isn't it?"
"""A text that tokenizers of different models hardly ever cut into the same number of tokens."""
NO_ECHO = "it gives no log-probabilities of a given text, so only tasks that generate can be asked of it"


def lm_eval_api(url: str, model: str, tokenizer: str | None, longest: int, *, chat: bool) -> Any:
    """lm-eval's class for the endpoint; it is never asked to send anything itself.

    Args:
        url: of the endpoint.
        model: as the endpoint calls it.
        tokenizer: folder, or None.
        longest: tokens that the endpoint takes; beyond them contexts are cut from the left and texts windowed.
        chat: which of the two classes.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    import lm_eval.models  # noqa: F401 - fills the registry
    from lm_eval.api.registry import get_model

    return get_model("local-chat-completions" if chat else "local-completions")(
        base_url=url,
        model=model,
        tokenizer=tokenizer,
        tokenizer_backend="huggingface" if tokenizer else None,
        add_bos_token=True,  # that is: whatever the tokenizer adds by default, as `hf:` has it
        max_length=longest,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    content: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Logprobs:
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    index: Annotated[int, Ge(0), Le(0)]
    text: str | None = None
    message: _Message | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spent:
    prompt_tokens: int
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    choices: Annotated[list[_Choice], Len(1, 1)]
    usage: _Spent | None = None


_REPLY = TypeAdapter(_Reply)


class Endpoint:
    """An endpoint as text in, text out; log-probabilities go by the ids of a tokenizer that the user named."""

    def __init__(
        self, ref: str, api: Any, transport: Transport, extra: Mapping[str, Any], tokenizer: HFTokenizer | None
    ) -> None:
        self._ref, self._api, self._transport, self._extra = ref, api, transport, extra
        self._chat = transport.url.endswith("/chat/completions")
        self._tokenizer = tokenizer
        if tokenizer is not None:
            self._demand_its_tokenizer(tokenizer)

    def _demand_its_tokenizer(self, tokenizer: HFTokenizer) -> None:
        """The endpoint must count one text's tokens as the named tokenizer does, with a BOS or without."""
        (written,) = self.write([Prompt(text=PROBE, stop=(), max_tokens=1)])
        mine = {len(tokenizer.encode([PROBE], special=special)[0]) for special in (True, False)}
        theirs = written.usage.tokens_in
        if theirs not in mine:
            raise BackendError(
                f"{self._ref}: the endpoint cuts a text into {theirs} tokens that --tokenizer cuts into {max(mine)}: "
                "that is another model's tokenizer; name the one of the model that is served"
            )

    def write(self, prompts: Sequence[Prompt]) -> list[Written]:
        """One request a prompt. An answer that the endpoint filtered away is empty and did not end."""
        asked = [messages(p.text) if self._chat else p.text for p in prompts]
        bodies = [self._body(a, generate=True, gen_kwargs=_how(p)) for a, p in zip(asked, prompts, strict=True)]
        replies = self._transport.post(bodies, self._read_text)
        return [self._written(p, *reply) for p, reply in zip(prompts, replies, strict=True)]

    def _body(self, asked: Any, **how: Any) -> dict[str, Any]:
        body = {**self._api._create_payload(asked, **how), **self._extra}
        return {k: v for k, v in body.items() if v is not None and (k != "stop" or v)}  # some fail on an empty list

    def _read_text(self, found: Any) -> tuple[str, _Reply]:
        reply = _REPLY.validate_python(found)
        if (reply.choices[0].message if self._chat else reply.choices[0].text) is None:
            raise ValueError("no text in it")
        (text,) = self._api.parse_generations(found)
        return text or "", reply

    def _written(self, prompt: Prompt, text: str, reply: _Reply) -> Written:
        if reply.usage is not None:
            usage = Usage(tokens_in=reply.usage.prompt_tokens, tokens_out=reply.usage.completion_tokens)
        else:
            usage = Usage(tokens_in=self._count(prompt.text), tokens_out=self._count(text))
        reason = reply.choices[0].finish_reason
        ended = usage.tokens_out < prompt.max_tokens if reason is None else reason not in ("length", "content_filter")
        return Written(text=text, ended=ended, tokens=usage.tokens_out, usage=usage)

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode([text], special=True)[0]) if self._tokenizer else 0

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[Scored]:
        """One request a pair, or a window of a text without context: ids, echoed with their log-probabilities."""
        if self._chat:
            raise Refused(f"{self._ref}: a chat endpoint: {NO_ECHO}; take openai-completions:, where the server has it")
        if self._tokenizer is None:
            raise Refused(f"{self._ref}: log-probabilities need the tokenizer of the model that is served: --tokenizer")
        windows = [self._windows(*pair) for pair in pairs]
        flat = [(None, *window) for several in windows for window in several]
        inputs, starts, _ = self._api.batch_loglikelihood_requests([flat])
        try:
            replies = self._transport.post([self._body([ids], generate=False) for ids in inputs], self._read_echo)
        except Rejected as error:
            raise Refused(f"{self._ref}: the endpoint does not echo token ids: {NO_ECHO}. {error}") from error
        found = iter([self._scored(*of) for of in zip(inputs, starts, replies, strict=True)])
        return [_together(bool(pair[0]), [next(found) for _ in w]) for pair, w in zip(pairs, windows, strict=True)]

    def _windows(self, context: str, answer: str) -> list[tuple[list[int], list[int]]]:
        """(ids before, ids to score), parted where lm-eval parts them; of a text alone, as its rolling windows."""
        from lm_eval import utils

        if context:
            return [self._api._encode_pair(context, answer)]
        found = utils.get_rolling_token_windows(
            token_list=self._api.tok_encode(answer),
            prefix_token=self._api.prefix_token_id,
            max_seq_len=self._api.max_length - 1,
            context_len=1,
        )
        return [utils.make_disjoint_window(window) for window in found]

    def _read_echo(self, found: Any) -> _Reply:
        reply = _REPLY.validate_python(found)
        if reply.choices[0].logprobs is None:
            raise Refused(f"{self._ref}: the endpoint ignores `echo` and `logprobs`: {NO_ECHO}")
        return reply

    def _scored(self, ids: list[int], start: int, reply: _Reply) -> Scored:
        """Of ids from `start` on (lm-eval's `parse_logprobs`); NaN where the endpoint has no number for one."""
        said = reply.choices[0].logprobs
        if said is None or not len(ids) <= len(said.token_logprobs) == len(said.top_logprobs) <= len(ids) + 1:
            n = len(said.token_logprobs) if said else 0
            raise Refused(f"{self._ref}: {n} log-probabilities came back for {len(ids)} token ids: {NO_ECHO}")
        answer = slice(max(0, start), len(ids))
        numbers = said.token_logprobs[answer]
        best = [max(top.values()) if top else math.inf for top in said.top_logprobs[answer]]
        usage = reply.usage or _Spent(prompt_tokens=len(ids))
        return Scored(
            logprob=sum(math.nan if n is None else n for n in numbers),
            greedy=all(n == top for n, top in zip(numbers, best, strict=True)),
            tokens=len(numbers),
            usage=Usage(tokens_in=usage.prompt_tokens, tokens_out=usage.completion_tokens),
        )


def _together(parted: bool, windows: Sequence[Scored]) -> Scored:
    return Scored(
        logprob=sum(w.logprob for w in windows),
        greedy=parted and all(w.greedy for w in windows),
        tokens=sum(w.tokens for w in windows),
        usage=sum((w.usage for w in windows), Usage()),
    )


def _how(prompt: Prompt) -> dict[str, Any]:
    """lm-eval's generation arguments; what it does not know goes into the request's body as it is."""
    how = {"until": list(prompt.stop), "max_gen_toks": prompt.max_tokens, "temperature": prompt.temperature}
    return how | ({"top_p": prompt.top_p, "seed": prompt.seed} if prompt.temperature > 0 else {})
