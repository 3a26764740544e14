"""`vllm:`, `sglang:` and `lm_eval:TYPE`: any model type of lm-eval 0.4.13, asked by text."""

from __future__ import annotations

import dataclasses
import inspect
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.harness import fingerprint
from assay.harness.backends import loading
from assay.harness.backends.base import BackendError, ModelOptions, Reference, Refused, Usage
from assay.harness.backends.checkpoint import HUB_NAME, TOKENIZER, TOKENIZER_ONLY, files_sha256, locate, read_json
from assay.harness.backends.engine import Engine, Prompt, Scored, TextModel, Written, demand_batching
from assay.harness.backends.tokenizer import HFTokenizer, demand_own
from assay.harness.backends.verbatim import Turns, Verbatim, messages

OURS = ("peft", "tokenizer", "gguf")
"""Arguments that name files, which are found and hashed here; the rest goes to the engine as it is."""
SEEDED = ("vllm", "local-completions", "local-chat-completions", "openai-completions", "openai-chat-completions")
"""Types that pass a draw's own seed on to the engine; others draw differently whenever they are asked."""
UNBOUNDED = ("gguf", "ggml")
"""Types that send no token limit, so that their server's own, 16 tokens in llama-cpp-python, would cut every answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How an engine's lm-eval class calls what we have; "" where it takes no such thing."""

    tokenizer: str
    adapter: str
    always: Mapping[str, Any] = dataclasses.field(default_factory=dict)


NAMES: Mapping[str, Names] = {  # SGLang: no code of a checkpoint's own, and a BOS where the tokenizer adds one
    "vllm": Names(tokenizer="tokenizer", adapter="lora_local_path"),
    "sglang": Names(tokenizer="tokenizer_path", adapter="", always={"trust_remote_code": False, "add_bos_token": True}),
}


def open_engine(reference: Reference, options: ModelOptions) -> Engine:
    """The backend of one of the three schemes; the engine starts when it is first asked.

    Raises:
        BackendError: a file or a package is missing, or `--deterministic` was asked for.
    """
    demand_batching(reference, options)
    return _local(reference, options) if reference.scheme in NAMES else _any_type(reference, options)


def _local(reference: Reference, options: ModelOptions) -> Engine:
    ours = {k: v for k, v in reference.arguments.items() if k in OURS}
    theirs = {k: v for k, v in reference.arguments.items() if k not in OURS}
    parts = loading.find(dataclasses.replace(reference, arguments=ours), options)
    given = arguments(reference, parts, theirs, options)
    identity = loading.identity(parts, options)
    sha = identity.pop("tokenizer")
    identity["engine"] = " ".join(f"{p} {loading.version(p)}" for p in ("lm-eval", reference.scheme))
    if theirs:
        identity["arguments"] = fingerprint.canonical(theirs)

    def tokenizer() -> HFTokenizer:
        return HFTokenizer(parts.tokenizer, sha, parts.gguf)

    def opened() -> TextModel:
        if parts.tokenizer != parts.folder:
            config = read_json(parts.folder / "config.json")
            demand_own(reference.text, config, int(config["vocab_size"]), tokenizer())
        return LmEval(reference.text, reference.scheme, given, None)

    return Engine(reference.text, parts.label, identity, Verbatim(sha, tokenizer), options.strip_reasoning, opened)


def arguments(
    reference: Reference, parts: loading.Parts, theirs: Mapping[str, str], options: ModelOptions
) -> dict[str, Any]:
    """What lm-eval's class of the engine is made with.

    Raises:
        BackendError: an adapter for an engine that takes none.
    """
    names = NAMES[reference.scheme]
    found = dict(names.always) | {
        "pretrained": str(parts.folder / parts.gguf),
        names.tokenizer: str(parts.tokenizer),
        "dtype": options.dtype,
        "batch_size": options.batch_size or "auto",
    }
    if parts.adapter and not names.adapter:
        raise BackendError(f"--model {reference.text}: lm-eval's {reference.scheme} takes no adapter; use hf: or vllm:")
    if parts.adapter:
        found[names.adapter] = str(parts.adapter)
    return found | {k: typed(v) for k, v in theirs.items()}


def typed(value: str) -> Any:
    """A value as lm-eval's own command line reads it."""
    from lm_eval.utils import handle_arg_string

    return handle_arg_string(value)


def _any_type(reference: Reference, options: ModelOptions) -> Engine:
    """Files that an argument names are hashed, a Hub name after `pretrained=` is fetched first; all else is told."""
    reference.demand_no_secret()
    given = dict(reference.arguments)
    named_model = given.get("pretrained", "")
    if HUB_NAME.fullmatch(named_model.partition("@")[0]) and not _exists(named_model):
        given["pretrained"] = str(locate(named_model, offline=options.offline)[0])
    hashes = {k: _content(Path(v)) for k, v in given.items() if _exists(v)}
    chat = "chat" in reference.target
    folder = options.tokenizer or (given.get("pretrained", "") if "pretrained" in hashes else "")
    named = locate(folder, TOKENIZER_ONLY, offline=options.offline)[0] if folder else None
    sha = files_sha256(named, TOKENIZER) if named else ""

    def tokenizer() -> HFTokenizer:
        if named is None:
            raise BackendError(f"{reference.text}: no tokenizer was named")
        return HFTokenizer(named, sha)

    def opened() -> TextModel:
        engine = {k: typed(v) for k, v in given.items()} | {"batch_size": options.batch_size or 1}
        if options.device != "auto":
            engine["device"] = options.device
        return LmEval(reference.text, reference.target, engine, tokenizer() if options.tokenizer else None)

    told = fingerprint.canonical(given | hashes)
    identity = {
        "model": f"lm_eval:{reference.target} {told}" + ("" if hashes else ", weights not verified"),
        "engine": f"lm-eval {loading.version('lm-eval')}",
    }
    source = tokenizer if named and not chat else None
    verbatim = Turns() if chat else Verbatim(sha, source)
    label = Path(given.get("pretrained") or given.get("model") or reference.target).name
    return Engine(reference.text, label, identity, verbatim, options.strip_reasoning, opened)


def _exists(value: str) -> bool:
    try:
        return Path(value).exists()
    except OSError:  # too long for a name, say
        return False


def _content(path: Path) -> str:
    return files_sha256(path, ("*",)) if path.is_dir() else fingerprint.file_sha256(path)


class LmEval:
    """A model of lm-eval's, made when this is; tokens are counted by it, or by a tokenizer that the user named."""

    def __init__(self, ref: str, kind: str, arguments: Mapping[str, Any], counter: HFTokenizer | None) -> None:
        self._ref, self._kind, self._counter = ref, kind, counter
        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        self._lm = self._guarded(lambda: _made(kind, arguments))
        encode = getattr(self._lm, "tok_encode", None)
        probe = encode("a") if encode and counter is None else None
        self._counts = counter is not None or (isinstance(probe, list) and all(type(i) is int for i in probe))

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[Scored]:
        """`loglikelihood`, and `loglikelihood_rolling` of texts without a context."""
        if "chat" in self._kind:
            raise Refused(f"{self._ref}: an engine for chats gives no log-probabilities of a given text")
        if not self._counts:
            raise Refused(
                f"{self._ref}: this engine can't count an answer's tokens: name the model's tokenizer with --tokenizer"
            )
        found: dict[int, tuple[float, bool]] = {}
        whole = [i for i, (context, _) in enumerate(pairs) if not context]
        parted = [i for i, (context, _) in enumerate(pairs) if context]
        if parted:
            found.update(zip(parted, self._ask("loglikelihood", [pairs[i] for i in parted]), strict=True))
        if whole:
            sums = self._ask("loglikelihood_rolling", [(pairs[i][1],) for i in whole])
            found.update((i, (nats, False)) for i, nats in zip(whole, sums, strict=True))
        return [self._scored(pair, *found[i]) for i, pair in enumerate(pairs)]

    def _scored(self, pair: tuple[str, str], logprob: float, greedy: bool) -> Scored:
        context, answer = pair
        total = self._count(context + answer)
        before = self._count(context.rstrip()) if context else 0
        tokens = max(0, total - before)
        return Scored(logprob=float(logprob), greedy=bool(greedy), tokens=tokens, usage=Usage(tokens_in=total))

    def write(self, prompts: Sequence[Prompt]) -> list[Written]:
        """`generate_until`. It does not say what ended a text: one of fewer tokens than its limit ended by itself."""
        if self._kind in UNBOUNDED:
            raise Refused(
                f"{self._ref}: lm-eval's '{self._kind}' sends no token limit, and its server's would cut answers "
                "unseen: ask the same server with openai-completions:"
            )
        if self._kind not in SEEDED and any(p.temperature > 0 for p in prompts):
            raise Refused(
                f"{self._ref}: this engine takes no seed for a draw: use hf:, vllm:, an endpoint, or temperature 0"
            )
        texts = self._ask("generate_until", [(self._text(p), _how(p)) for p in prompts])
        return [self._written(p, str(t)) for p, t in zip(prompts, texts, strict=True)]

    def _text(self, prompt: Prompt) -> str:
        if "chat" not in self._kind:
            return prompt.text
        from lm_eval.models.api_models import JsonChatStr

        chat: str = JsonChatStr(json.dumps(messages(prompt.text), ensure_ascii=False))
        return chat

    def _written(self, prompt: Prompt, text: str) -> Written:
        tokens = self._count(text) if self._counts else 0
        usage = Usage(tokens_in=self._count(prompt.text) if self._counts else 0, tokens_out=tokens)
        return Written(text=text, ended=tokens < prompt.max_tokens, tokens=tokens, usage=usage)

    def _count(self, text: str) -> int:
        if self._counter is not None:
            return len(self._counter.encode([text], special=True)[0])
        return len(self._lm.tok_encode(text))

    def _ask(self, method: str, asked: Sequence[tuple[Any, ...]]) -> list[Any]:
        from lm_eval.api.instance import Instance

        call = getattr(self._lm, method)
        quiet = {"disable_tqdm": True} if "disable_tqdm" in inspect.signature(call).parameters else {}
        instances = [Instance(method, {}, arguments, i) for i, arguments in enumerate(asked)]
        return list(self._guarded(lambda: call(instances, **quiet)))

    def _guarded(self, call: Callable[[], Any]) -> Any:
        """What engines raise has no common base; what they can't do, they say with these two."""
        try:
            return call()
        except BackendError:
            raise
        except (NotImplementedError, AssertionError) as error:
            raise Refused(f"{self._ref}: this engine can't do that: {error or type(error).__name__}") from error
        except Exception as error:
            raise BackendError(f"{self._ref}: the engine failed: {type(error).__name__}: {error}") from error


def _made(kind: str, arguments: Mapping[str, Any]) -> Any:
    import lm_eval.models  # noqa: F401 - fills the registry
    from lm_eval.api.registry import get_model

    return get_model(kind)(**arguments)


def _how(prompt: Prompt) -> dict[str, Any]:
    """lm-eval's generation arguments."""
    how: dict[str, Any] = {"until": list(prompt.stop), "max_gen_toks": prompt.max_tokens}
    if prompt.temperature == 0:
        return how | {"do_sample": False, "temperature": 0.0}
    drawn = {"temperature": prompt.temperature, "top_p": prompt.top_p, "seed": prompt.seed}
    return how | {"do_sample": True} | drawn
