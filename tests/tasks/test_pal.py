"""Program-aided maths: how it is asked, what programs become, and which values are right."""

import dataclasses
import gzip
import json
import math
from fractions import Fraction

import pytest

from assay.harness.backends.fake import Words
from assay.tasks import datasets, render
from assay.tasks.code import pal_judge, pal_tasks
from assay.tasks.code import render as code_render
from assay.tasks.code.judge import Opaque
from assay.tasks.selection import DocRange
from assay.tasks.spec import Code, Data, Draws, TaskSpec
from assay.tasks.types import Generation

DATASETS = ("gsm8k", "math")
EXAMPLES = [(d, e) for d in DATASETS for e in pal_tasks.EXAMPLES[d]]


def returned(program):
    """What a program of ours returns, as it would come back from a cell."""
    namespace = {}
    exec(program + pal_tasks.ADAPTED, namespace)  # noqa: S102 - our own examples
    return namespace[pal_tasks.ANSWER]()


def right(dataset, value, gold):
    return pal_judge.judge(dataset, value, gold).right


@pytest.fixture
def spec():
    return TaskSpec(
        name="pal",
        kind="code",
        skill="test",
        shots=0,
        baseline=None,
        data=Data(path="none", git_blob="", rows=1),
        licence="ours",
        max_length=4096,
        code=Code(dataset="gsm8k", part="pal", release="none"),
        draws=Draws(plain=True),
    )


def asked(spec, question, tokenizer=None):
    part = datasets.Part(group="", rows=[{"question": question, "answer": "#### 1"}])
    tokenizer = tokenizer or Words()
    prompts = list(render.prompts(spec, part, DocRange(0, 1)))
    (document,) = render.tokenise(spec, prompts, tokenizer, render.max_new_tokens(spec, part, tokenizer))
    return document


# Prompts


@pytest.mark.parametrize(("dataset", "example"), EXAMPLES)
def test_every_example_gives_the_answer_it_stands_for(dataset, example):
    pytest.importorskip("math_verify")
    assert right(dataset, returned(pal_tasks.HEAD + example.body), example.answer)


@pytest.mark.parametrize(("dataset", "example"), EXAMPLES)
def test_an_example_is_in_no_published_row(dataset, example, mirror):
    name = {"gsm8k": "gsm8k/test.jsonl.gz", "math": "math/math_llmfoundry.jsonl.gz"}[dataset]
    assert example.question not in gzip.decompress((mirror / name).read_bytes()).decode()


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_prompt_is_a_program_but_for_its_last_body(dataset):
    text = pal_tasks.prompt(dataset, {pal_tasks.QUESTION[dataset]: "What is\n\n$1 + 1$?  "})
    assert text.endswith("\n\n\n# Question: What is\n#\n# $1 + 1$?\ndef solution():\n")
    compile(text + "    return 2\n", "prompt", "exec")
    assert text.count("def solution():") == len(pal_tasks.EXAMPLES[dataset]) + 1
    assert not any(s in e.body for s in pal_tasks.STOP for e in pal_tasks.EXAMPLES[dataset])


def test_a_prompt_that_is_too_long_loses_examples_and_never_the_question(spec):
    short, long = asked(spec, "How many?"), asked(spec, "How many? " + "word " * 4000)
    assert short.requests[0].dropped == 0
    (request,) = long.requests
    assert request.dropped > 0
    assert len(request.prompt_ids) + request.max_tokens == spec.max_length
    assert list(request.prompt_ids[-2:]) == list(short.requests[0].prompt_ids[-2:])


def test_a_model_without_room_for_an_answer_is_not_asked(spec):
    document = asked(dataclasses.replace(spec, max_length=64), "How many?")
    assert not document.requests
    assert "512 new ones exceed 64" in document.fault


def test_a_chat_model_goes_on_from_the_first_line_of_the_function(spec):
    heard = []

    class Chat(Words):
        def chat(self, user, prefill, closing):
            heard.append((user, prefill))
            return user + prefill

    document = asked(dataclasses.replace(spec, draws=Draws()), "How many?", Chat())
    assert document.form == "chat"
    assert document.requests[0].stop == pal_tasks.STOP
    (user, prefill) = heard[0]
    assert user.startswith(pal_tasks.INSTRUCTION)
    assert prefill.endswith("```python\ndef solution():\n")


# Programs


@pytest.mark.parametrize("form", ["completion", "chat"])
@pytest.mark.parametrize(
    "more",
    [
        "",
        "\n\n\n# Question: next",
        "\nprint(solution())",
        "\n```\nSo it is 2.",
        "\ndef other():\n    pass",
        "\nQ: next",
    ],
)
def test_a_program_is_the_first_line_and_what_the_model_wrote_up_to_a_stop_string(spec, form, more):
    sample = datasets.sample(spec, datasets.Part(group="", rows=[{"question": "?", "answer": "#### 2"}]), 0)
    answer = Generation(text=f"\tone = 1\n    return one + 1{more}", stopped=True, tokens=9, form=form)
    assert code_render.solution(spec, sample, answer) == "def solution():\n    one = 1\n    return one + 1"


def test_a_whole_program_is_taken_as_it_is(spec):
    sample = datasets.sample(spec, datasets.Part(group="", rows=[{"question": "?", "answer": "#### 2"}]), 0)
    text = "x = 2\nprint(x)\ndef solution(): return x"
    assert code_render.solution(spec, sample, Generation(text=text, stopped=True, tokens=1, form="program")) == text
    assert code_render.whole(spec, sample, "    return 2\n") == "def solution():\n    return 2\n"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("7", 7),
        ("True", True),
        ("None", None),
        ("2.5", 2.5),
        ("'7'", "7"),
        ("3 + 4j", 3 + 4j),
        ("(1, [2, {3}])", [1, [2, [3]]]),
        ("__import__('fractions').Fraction(3, 4)", "3/4"),
        ("__import__('decimal').Decimal('1.5')", "1.5"),
        ("__import__('numpy').float64(1.5)", 1.5),
        ("__import__('numpy').array([[1, 2]])", [[1, 2]]),
        ("__import__('numpy').bool_(True)", True),
        ("__import__('sympy').Integer(7)", 7),
        ("__import__('sympy').Rational(3, 4)", "3/4"),
        ("__import__('sympy').Float(1.5)", 1.5),
        ("[__import__('sympy').sqrt(8)]", ["2 \\sqrt{2}"]),
        ("__import__('sympy').Matrix([1, 2])", "\\left[\\begin{matrix}1\\\\2\\end{matrix}\\right]"),
    ],
)
def test_what_a_program_returns_comes_back_as_plain_data(source, value):
    found = returned(f"def solution():\n    return {source}\n")
    assert (found, type(found)) == (value, type(value))


# GSM8K's rule


@pytest.mark.parametrize("value", [18, 18.0, 18.0009, "18", " 18.00 ", "+18", "36/2"])
def test_a_number_within_a_thousandth_is_right(value):
    assert right("gsm8k", value, "18")


HUGE = pytest.param(10**5000, id="huge")


@pytest.mark.parametrize("value", [17, 18.001, -18, "1,800", HUGE, 1e300, "18" * 300, "19"])
def test_another_number_is_wrong(value):
    judged = pal_judge.judge("gsm8k", value, "18")
    assert (judged.right, judged.status) == (False, "ok")
    assert "expected '18'" in judged.note


NOTHING = [None, True, math.nan, math.inf, -math.inf, 18j, Opaque("Queue"), [], {}, b"18", "", " "]
NO_NUMBER = ["$18", "18 dollars", "1e2", "eighteen", "18/0", "1" * 2000, [18], "1_8", "1,8", "٣"]


@pytest.mark.parametrize("value", [*NOTHING, *NO_NUMBER])
def test_what_is_no_number_is_no_answer_to_gsm8k(value):
    judged = pal_judge.judge("gsm8k", value, "18")
    assert (judged.right, judged.status) == (False, "no_answer")
    assert judged.note.startswith("returned ")
    assert len(judged.note) < 200


def test_separators_of_thousands_count_on_both_sides():
    assert pal_judge.number("1,450,000.5") == Fraction("1450000.5")
    assert right("gsm8k", 2125, "2,125")
    assert right("gsm8k", "2,125", "2125")


# MATH's rule


@pytest.mark.parametrize(
    ("value", "gold"),
    [
        (5, "5"),
        (5.0, "5"),
        ("x = 5", "5"),
        (1 / 3, "\\frac{1}{3}"),
        ("1/3", "\\frac13"),
        (2**0.5, "\\sqrt{2}"),
        (9.9940009e7, "99940009"),
        (3**2007, "3^{2007}"),
        (1e-7, "0.0000001"),
        (65, "65\\%"),
        (15.48, "\\$15.48"),
        ("$15.48", "\\$15.48"),
        (900000000, "900,\\!000,\\!000"),
        (90, "90\\text{ square\nunits}"),
        (58, "58^\\circ"),
        ([7, -1.5, -1], "-\\frac{3}{2}, -1, 7"),
        (["3 - \\sqrt{5}", "\\sqrt{5} + 3"], "3+\\sqrt{5}, 3-\\sqrt{5}"),
        ([4], "4"),
        ([2, -1], "(2,-1)"),
        ([[1, 2], [3, 4]], "(1,2), (3,4)"),
        ([-2, 1], "\\begin{pmatrix} -2 \\\\ 1 \\end{pmatrix}"),
        ([[1, 2], [3, 4]], "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}"),
        ("\\left[\\begin{matrix}-2\\\\1\\end{matrix}\\right]", "\\begin{pmatrix} -2 \\\\ 1 \\end{pmatrix}"),
        (3 + 4j, "3+4i"),
        (-2j, "-2i"),
        (1j, "i"),
        ("3 + 4 i", "3+4i"),
        ("(x + 1)**2", "x^2 + 2x + 1"),
        ("2*sqrt(3)/3", "\\frac{2\\sqrt{3}}{3}"),
        ("pi/4 + 2", "2 + \\frac{\\pi}{4}"),
        ("2**(n + 1)", "2^{n+1}"),
        ("\\left(-\\infty, 5\\right)", "(-\\infty, 5)"),
        ("A, D", "\\text{A,D}"),
        ("Navin", "\\text{Navin}"),
    ],
)
def test_an_equal_value_is_right(value, gold):
    pytest.importorskip("math_verify")
    assert right("math", value, gold)


@pytest.mark.parametrize(
    ("value", "gold"),
    [
        (6, "5"),
        (5.0001, "5"),
        (0.65, "65\\%"),
        ([1, 2, 5], "5"),
        ([-1, 2], "(2,-1)"),
        ([-1, 2], "[-1,2]"),
        ([[1, 2], [3, 5]], "\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}"),
        (3 - 4j, "3+4i"),
        ("5 or 6", "5"),
        ("\\boxed{5}, \\boxed{6}", "5"),
        ("$5$ and $6$", "5"),
        ("5 \\pm 1", "6"),
        ("\\mathbb{R}", "5"),
        ("\\emptyset", "5"),
        ("\\infty - \\infty", "0"),
        ("\\text{Navi}", "\\text{Navin}"),
    ],
)
def test_another_value_is_wrong_and_several_are_not_a_guess_each(value, gold):
    pytest.importorskip("math_verify")
    judged = pal_judge.judge("math", value, gold)
    assert (judged.right, judged.status) == (False, "ok")


@pytest.mark.parametrize("value", [*NOTHING[:5], *NOTHING[6:], [None], [[]], [1, True], "1" * 2000, HUGE])
def test_what_is_no_value_is_no_answer_to_math(value):
    judged = pal_judge.judge("math", value, "5")
    assert (judged.right, judged.status) == (False, "no_answer")


def test_a_value_that_is_nested_without_end_is_no_answer():
    value = []
    for _ in range(5000):
        value = [value, 1]
    assert pal_judge.judge("math", value, "5").status == "no_answer"


def test_text_is_never_evaluated(tmp_path):
    pytest.importorskip("math_verify")
    victim = tmp_path / "touched"
    call = f"__import__('os').system('touch {victim}')"
    for text in (call, f"\\text{{{call}}}", f"\\operatorname{{eval}}({call})", f"1 + {call}", f"x = {call}"):
        assert not right("math", text, "5")
    assert not victim.exists()


# The data


def rows(mirror, name):
    return [json.loads(line) for line in gzip.decompress((mirror / name).read_bytes()).splitlines()]


def test_every_answer_of_gsm8k_is_a_whole_number(mirror, registry):
    found = [pal_tasks.gold("gsm8k", r) for r in rows(mirror, "gsm8k/test.jsonl.gz")]
    assert len(found) == registry.tasks["gsm8k_pal"].rows
    assert all(pal_judge.number(gold).denominator == 1 for gold in found)


def test_math_verify_finds_every_answer_of_math_equal_to_itself(mirror, registry):
    """Without the rule that equal text is right; the answers of one category, for time."""
    pytest.importorskip("math_verify")
    found = rows(mirror, "math/math_llmfoundry.jsonl.gz")
    assert len(found) == registry.tasks["math_pal"].rows
    golds = {pal_judge.cleaned(r["answer"]) for r in found if r["category"] == "prealgebra"}
    assert [g for g in golds if not pal_judge._verified([g], g)] == []


def test_problems_are_named_as_the_same_rows_of_the_other_tasks_are(mirror, registry):
    spec = registry.tasks["math_pal"]
    parts = datasets.parts(spec, datasets.load(spec).rows)
    assert len(parts) == 7
    sample = datasets.sample(spec, parts[0], 3)
    assert (sample.doc_id, sample.group) == ("algebra/3", "algebra")
    assert sample.target == (f"def solution():\n    return {sample.fields['answer']!r}\n",)


def test_a_row_without_an_answer_is_named(spec):
    with pytest.raises(datasets.DataMismatch, match="row 0: 'answer' must be text"):
        datasets.sample(spec, datasets.Part(group="", rows=[{"question": "?"}]), 0)
