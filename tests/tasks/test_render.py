"""Text, seams and truncation of the four kinds; the demo's prompts are pinned byte for byte."""

import dataclasses
import json
from pathlib import Path

import pytest

from assay.harness.backends.fake import Words
from assay.tasks import datasets, render
from assay.tasks.selection import DocRange

GOLDEN = Path(__file__).parents[1] / "golden" / "demo_prompts.json"


class Letters:
    """One id a character, a BOS and a trailing EOS as special tokens; " a" is two ids."""

    identity, eos_id, prefix_id, prefix_space = "letters", 2, 1, False

    def encode(self, texts, *, special):
        return [[1] * special + [ord(c) for c in t] + [2] * special for t in texts]


class Spaced(Letters):
    """As Letters, but a tokenizer for which " a" is one token."""

    identity, prefix_space = "spaced", True


def documents(spec, tokenizer, start=0, stop=None, rows=None):
    found = []
    for part in datasets.parts(spec, rows or datasets.load(spec).rows):
        prompts = list(render.prompts(spec, part, DocRange(start, stop)))
        found += render.tokenise(spec, prompts, tokenizer, render.max_new_tokens(spec, part, tokenizer))
    return found


def text_of(ids):
    return "".join(chr(i) for i in ids if i > 2)


def test_demo_prompts_are_pinned(registry):
    """A change here without a new `version` in the spec is a change of the benchmark."""
    found = {}
    for task in registry.select(["demo"]):
        (part,) = datasets.parts(task, datasets.load(task).rows)
        for p in render.prompts(task, part, DocRange(0, 3)):
            found[f"{task.name}/{p.sample.doc_id} v{task.version}"] = {
                "preamble": p.preamble,
                "contexts": list(p.contexts),
                "continuations": list(p.continuations),
            }
    assert found == json.loads(GOLDEN.read_text())


def test_segments_are_tokenised_apart_and_the_question_loses_its_right_end(registry):
    spec = dataclasses.replace(registry.tasks["demo_animals"], shots=1)
    document = documents(spec, Letters(), stop=1)[0]
    ids = document.requests[0].context_ids
    assert ids[0] == 1, "BOS from the preamble"
    assert 2 not in ids, "the preamble's EOS is dropped"
    assert text_of(ids).count("Question") == 2
    assert text_of(ids).endswith("?\nAnswer:")
    assert text_of(document.requests[0].continuation_ids) == "a heron"


def test_a_tokenizer_with_a_space_token_gets_one_leading_space(registry):
    spec = registry.tasks["demo_animals"]
    document = documents(spec, Spaced(), stop=1)[0]
    assert text_of(document.requests[0].continuation_ids) == " a heron"


def test_without_shots_the_preamble_is_the_bos_alone(registry):
    """An empty text with special tokens is [BOS, EOS]; the EOS goes."""
    spec = dataclasses.replace(registry.tasks["demo_capitals"], shots=0)
    ids = documents(spec, Letters(), stop=1)[0].requests[0].context_ids
    assert list(ids[:2]) == [1, ord("T")]


def test_joint_cuts_one_text_where_the_question_ends(registry):
    spec = dataclasses.replace(registry.tasks["demo_capitals"], seam="joint", shots=1)
    request = documents(spec, Letters(), stop=1)[0].requests[0]
    assert text_of(request.context_ids).endswith(" is")
    assert text_of(request.continuation_ids).startswith(" "), "trailing blanks belong to the answer"


def test_schema_asks_one_continuation_after_each_context(registry):
    document = documents(registry.tasks["demo_trades"], Letters(), stop=1)[0]
    first, second = document.requests
    assert first.context_ids != second.context_ids
    assert list(first.continuation_ids) == list(second.continuation_ids)


def test_schema_with_shots_puts_the_prelimiter_before_the_delimiter_as_upstream_does(registry):
    spec = dataclasses.replace(registry.tasks["demo_trades"], shots=1, prelimiter="Q: ", continuation_delimiter=" -> ")
    text = text_of(documents(spec, Letters(), stop=1)[0].requests[0].context_ids)
    assert text.startswith("Q: The ")
    assert " -> " in text
    assert "Q: \nThe " in text
    assert text.endswith(" ->")


def test_too_long_a_context_loses_its_left_end_and_says_how_much(registry):
    spec = dataclasses.replace(registry.tasks["demo_animals"], max_length=60)
    whole = documents(registry.tasks["demo_animals"], Letters(), stop=1)[0].requests[1]
    cut = documents(spec, Letters(), stop=1)[0].requests[1]
    assert len(cut.context_ids) + len(cut.continuation_ids) == 60
    assert cut.dropped == len(whole.context_ids) - len(cut.context_ids)
    assert list(cut.context_ids) == list(whole.context_ids)[cut.dropped :]


def test_a_generation_prompt_leaves_room_for_the_longest_answer(registry):
    spec = registry.tasks["demo_sums"]
    document = documents(spec, Words(), stop=1)[0]
    longest = max(
        len(Words().encode([f"{r['chain_of_thought']} #### {r['answer']}"], special=True)[0])
        for r in datasets.load(spec).rows
    )
    assert document.requests[0].max_tokens == longest + render.COT_MARGIN


def test_an_answer_that_is_empty_after_tokenisation_is_recorded_not_asked(registry):
    rows = [{"query": "q", "choices": ["a", ""], "gold": 0}]
    document = documents(dataclasses.replace(registry.tasks["demo_animals"], shots=0), Letters(), rows=rows)[0]
    assert document.requests == ()
    assert "option 1 is empty after tokenisation" in document.fault


def test_an_answer_that_alone_fills_the_context_is_recorded_not_asked(registry):
    spec = dataclasses.replace(registry.tasks["demo_animals"], max_length=5)
    assert "fills max_length" in documents(spec, Letters(), stop=1)[0].fault


def test_any_rows_are_asked_as_the_full_run_asks_them(registry):
    spec = registry.tasks["demo_sums"]
    everything = documents(spec, Words())
    assert documents(spec, Words(), 7, 12) == everything[7:12]


@pytest.mark.parametrize("name", ["coqa", "bigbench_elementary_math_qa"])
def test_tasks_without_data_here_render_rows_of_their_schema(registry, name):
    spec = registry.tasks[name]
    rows = (
        [{"context": f"Story {i}.\nQ: Who?\nA:", "continuation": f"person {i}"} for i in range(12)]
        if name == "coqa"
        else [{"query": f"Question: {i} + 1?\nAnswer: ", "choices": list("12345"), "gold": i % 5} for i in range(12)]
    )
    found = documents(spec, Spaced(), rows=rows)
    text = text_of(found[3].requests[0].context_ids)
    if name == "coqa":
        assert text == "Story 3.\nQ: Who?\nA:", "0 shots; the default delimiter is a blank, which is stripped"
        assert text_of(found[3].requests[0].continuation_ids) == " person 3"
    else:
        assert text.count("Question:") == 11
        assert text.endswith("\nQuestion: 3 + 1?\nAnswer:")
        assert [text_of(r.continuation_ids) for r in found[3].requests] == [" 1", " 2", " 3", " 4", " 5"]
