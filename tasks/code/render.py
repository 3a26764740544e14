"""Code problems to requests: a plain prompt to go on from, or the owners' chat form where the model has a template."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

from assay.tasks import sampling
from assay.tasks.code import bigcodebench_tasks, evalplus_tasks, pal_tasks
from assay.tasks.code.evalplus_tasks import Chat
from assay.tasks.spec import Code, TaskSpec
from assay.tasks.types import Document, Form, Generation, Greedy, Row, Sample, Tokenizer

STOP: Mapping[str, tuple[str, ...]] = {
    "humaneval": evalplus_tasks.HUMANEVAL_STOP,
    "mbpp": evalplus_tasks.MBPP_STOP,
    "bigcodebench": bigcodebench_tasks.STOP,
    "gsm8k": pal_tasks.STOP,
    "math": pal_tasks.STOP,
}
NO_TEMPLATE = "the instruct split is for chat models, and this tokenizer has no chat template: take the complete split"


def prompt(spec: TaskSpec, row: Row) -> str:
    """The text that a base model goes on from."""
    code = _code(spec)
    if code.dataset == "bigcodebench":
        return bigcodebench_tasks.prompt(row, "instruct" if code.part == "instruct" else "complete")
    return pal_tasks.prompt(code.maths, row) if code.maths else evalplus_tasks.prompt(row)


def max_new_tokens(code: Code) -> int:
    """Tokens an answer may have, as the owners say."""
    if code.dataset == "bigcodebench":
        return bigcodebench_tasks.MAX_NEW_TOKENS
    return pal_tasks.MAX_NEW_TOKENS[code.maths] if code.maths else evalplus_tasks.MAX_NEW_TOKENS


def document(spec: TaskSpec, sample: Sample, text: str, tokenizer: Tokenizer, max_tokens: int) -> Document:
    """The requests of one problem: one greedy, or `draws.n` samples with a seed each.

    A prompt of program-aided maths is cut on the left, of its examples; the others are asked whole or not at all. Where
    a prompt leaves less room than the owners' cap, the answer gets what is left, as the owners' engine does.
    """
    code = _code(spec)
    asked = None if spec.draws.plain else tokenizer.chat(*_chat(code, sample.fields))
    if asked is None and code.part == "instruct":
        return Document(sample=sample, fault=NO_TEMPLATE)
    (ids,) = tokenizer.encode([text if asked is None else asked], special=True)
    room = spec.max_length - max_tokens
    dropped = max(0, len(ids) - room) if code.maths and room > 0 else 0
    left = spec.max_length - len(ids) + dropped
    if left < 1:
        fault = f"the prompt's {len(ids)} tokens and {max_tokens} new ones exceed {spec.max_length}"
        return Document(sample=sample, fault=fault)
    stop = STOP[code.dataset] if asked is None or code.maths else evalplus_tasks.CHAT_STOP
    key, prompt_ids = f"{sample.task}/{sample.doc_id}", array("i", ids[dropped:])
    greedy = Greedy(key=key, prompt_ids=prompt_ids, stop=stop, max_tokens=min(max_tokens, left), dropped=dropped)
    form: Form = "completion" if asked is None else "chat"
    return Document(sample=sample, requests=sampling.draws(greedy, spec.draws), form=form)


def solution(spec: TaskSpec, sample: Sample, answer: Generation) -> str:
    """The text that an answer amounts to, before it is sanitised; a `program` is taken as it is."""
    if answer.form == "program":
        return answer.text
    if _code(spec).maths:
        return pal_tasks.solution(answer.text)
    stop = STOP[_code(spec).dataset] if answer.form == "completion" else evalplus_tasks.CHAT_STOP
    before = prompt(spec, sample.fields) if answer.form == "completion" else ""
    return evalplus_tasks.solution(before, answer.text, stop)


def whole(spec: TaskSpec, sample: Sample, completion: str) -> str:
    """The program that a published `completion` stands for: the prompt as published, and what follows it."""
    row = sample.fields
    if _code(spec).maths:
        return pal_tasks.HEAD + completion
    return str(row["complete_prompt"] if _code(spec).dataset == "bigcodebench" else row["prompt"]) + completion


def _code(spec: TaskSpec) -> Code:
    if spec.code is None:
        raise ValueError(f"task '{spec.name}' is not of kind code")
    return spec.code


def _chat(code: Code, row: Row) -> tuple[str, str, str]:
    chat: Chat
    if code.maths:
        chat = pal_tasks.chat_messages(code.maths, row)
    elif code.dataset == "bigcodebench":
        chat = bigcodebench_tasks.chat_messages(row, "instruct" if code.part == "instruct" else "complete")
    else:
        chat = evalplus_tasks.chat_messages(row)
    return chat.user, chat.prefill, chat.closing
