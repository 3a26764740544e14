"""HumanEval+, MBPP+ and BigCodeBench are asked, cut and cleaned as their owners' packages do it."""

import gzip
import inspect
import json
import unittest

import pytest

from assay.tasks.code import bigcodebench_tasks as bcb
from assay.tasks.code import evalplus_tasks as evp

pytest.importorskip("evalplus")

ROW = {
    "task_id": "HumanEval/0",
    "prompt": "\ndef double(x):\n    '''Twice x.'''\n\n",
    "canonical_solution": "    return 2 * x\n",
    "entry_point": "double",
    "atol": 0,
    "base_input": [[1]],
    "plus_input": {},
}
TASK = {
    "complete_prompt": "import os\ndef task_func():\n    ''' '''\n",
    "instruct_prompt": "Do it.\n",
    "code_prompt": "import os\ndef task_func():\n",
}


def rows(mirror, name):
    with gzip.open(mirror / name, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_the_prompt_loses_its_outer_blanks_and_ends_in_one_line_break():
    problem = evp.humaneval_plus(ROW)
    assert problem.prompt == "def double(x):\n    '''Twice x.'''\n"
    assert problem.canonical == ROW["prompt"] + ROW["canonical_solution"]
    assert (problem.base, problem.plus) == (([1],), ())


def test_humaneval_plus_has_its_164_problems(mirror):
    problems = [evp.humaneval_plus(r) for r in rows(mirror, "humaneval_plus/HumanEvalPlus-v0.1.10.jsonl.gz")]
    assert len({p.doc_id for p in problems}) == 164
    assert sum(len(p.base) + len(p.plus) for p in problems) == 124_253
    assert {p.doc_id: p.atol for p in problems if p.atol} == {
        "HumanEval/2": 1e-6,
        "HumanEval/4": 1e-6,
        "HumanEval/32": 1e-4,
    }


def test_mbpp_plus_has_its_378_problems_with_inputs_as_evalplus_makes_them(mirror):
    problems = {p.doc_id: p for p in map(evp.mbpp_plus, rows(mirror, "mbpp_plus/MbppPlus-v0.2.0.jsonl.gz"))}
    assert len(problems) == 378
    assert all(p.base for p in problems.values())
    assert [name for name, p in problems.items() if not p.plus] == ["Mbpp/793"]
    assert all(isinstance(a, tuple) for args in problems["Mbpp/2"].base for a in args)
    assert all(isinstance(args[0], complex) for args in problems["Mbpp/252"].base)
    assert all(isinstance(args, list) for p in problems.values() for args in p.base + p.plus)


def test_stop_strings_and_chat_texts_are_evalpluss_own():
    utility = pytest.importorskip("evalplus.provider.utility")
    for dataset, stop in (("humaneval", evp.HUMANEVAL_STOP), ("mbpp", evp.MBPP_STOP)):
        assert list(stop) == utility.EOS + utility.extra_eos_for_direct_completion(dataset)
    codegen = inspect.getsource(pytest.importorskip("evalplus.codegen"))
    assert f'instruction_prefix = "{evp.INSTRUCTION}"' in codegen
    assert f'response_prefix = "{evp.RESPONSE}"' in codegen


class Template:
    """A tokenizer with a chat template that marks where turns begin and end."""

    chat_template = "yes"

    def apply_chat_template(self, turns, tokenize):
        return "".join(f"<{t['role']}>{t['content']}</>" for t in turns)


def test_the_chat_form_renders_as_evalpluss():
    utility = pytest.importorskip("evalplus.provider.utility")
    chat = evp.chat_messages(ROW)
    expected = utility.make_raw_chat_prompt(evp.prompt(ROW), evp.INSTRUCTION, evp.RESPONSE, Template())
    assert f"<user>{chat.user}</><assistant>{chat.prefill}" == expected
    assert chat.prefill.endswith("\n```python\n")


def test_a_completion_ends_at_the_first_stop_string_and_its_tabs_are_four_blanks():
    written = "\treturn x\nprint(1)\ndef other(): pass"
    assert evp.solution("def f(x):\n", written, evp.HUMANEVAL_STOP) == "def f(x):\n    return x"
    assert evp.solution("", "def f(): pass\n```\nThat's it.", evp.CHAT_STOP) == "def f(): pass"
    assert evp.solution("p\t", "x" * 20_000, evp.MBPP_STOP) == "p\t" + "x" * 20_000
    assert evp.cut("", evp.MBPP_STOP) == ""


LONG = "def f(x):\n" + "    x += 1\n" * 150 + "    return x\n"
CHATTER = "Sure!\n```python\nimport os\ndef helper(x): return x\ndef f(x):\n    return helper(x)\n```\nIt works."


@pytest.mark.parametrize(
    "code",
    [
        "",
        "\n",
        "f",
        "def f(x):\n    return x",
        CHATTER,
        CHATTER + "\ndef g(): pass\n",
        "def f(: \n x",
        "def f():\n    '\\d'",
        LONG,
    ],
)
def test_answers_of_usual_size_are_sanitised_by_evalplus_itself(code):
    upstream = pytest.importorskip("evalplus.sanitize")
    assert evp.sanitise(code, "f") == upstream.sanitize(code, "f")


@pytest.mark.parametrize("sanitise", [evp.sanitise, bcb.sanitise])
@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    return '\x00'\n",
        "x = '\ud800'\ndef f(): pass\n",
        "(" * 5000 + "\n" + ")" * 5000,
        "-" * 50_000 + "\n1",
    ],
)
def test_text_no_parser_takes_comes_back_or_shorter_and_nothing_breaks(sanitise, code):
    assert code.startswith(sanitise(code, "f")[:100])


@pytest.mark.parametrize("sanitise", [evp.sanitise, bcb.sanitise])
def test_what_goes_on_for_ever_is_cut_first(sanitise):
    answer = "def f(x):\n    return x\n"
    assert sanitise(answer + "\n" * 50_000 + "def g(): return 1", "f").strip() == answer.strip()
    assert sanitise(answer + "x" * 1_000_000, "f").strip() == answer.strip()


def test_bigcodebench_prompts_are_given_as_they_are():
    assert bcb.prompt(TASK, "complete") == TASK["complete_prompt"]
    assert bcb.prompt(TASK, "instruct") == "Do it.\n"
    assert bcb.MAX_NEW_TOKENS == 1280


def test_bigcodebench_fences_the_prompt_only_in_the_complete_split():
    assert bcb.chat_messages(TASK, "instruct").user == f"{evp.INSTRUCTION}\nDo it.\n"
    assert (
        bcb.chat_messages(TASK, "complete").user == f"{evp.INSTRUCTION}\n```\n{TASK['complete_prompt'].strip()}\n```\n"
    )
    assert bcb.chat_messages(TASK, "complete").prefill == evp.chat_messages(ROW).prefill


def test_a_calibrated_program_has_the_tasks_imports_and_the_answers_function():
    program = bcb.calibrated(TASK, "def task_func():\n    return os.sep\n")
    assert program == "import os\ndef task_func():\n\n    pass\ndef task_func():\n    return os.sep\n"
    space = {}
    exec(program, space)  # noqa: S102 - our own text
    assert space["task_func"]() == "/"


def test_bigcodebench_tests_have_241_seconds_whatever_the_reference_took():
    assert [bcb.wall_limit(s) for s in (None, 0.0, 1.0, 239.0, 300.0)] == [241.0, 241.0, 241.0, 241.0, 301.0]


# what bigcodebench 0.2.5's own sanitiser made of each
SANITISED = {
    "no return is needed": ("def task_func(x):\n    print(x)\n", "def task_func(x):\n    print(x)"),
    "calls at the end go": ("def task_func():\n    pass\n\ntask_func(1)\ny = 2\n", "def task_func():\n    pass"),
    "a function on one line is taken for a call, then for all": (
        "def task_func(x): return x\n",
        "def task_func(x): return x\n",
    ),
    "what is not used goes, imports stay": (
        "import os\ndef unused():\n    1\nA = 3\ndef helper():\n    A\ndef task_func(x):\n    helper()\n",
        "import os\nA = 3\ndef helper():\n    A\ndef task_func(x):\n    helper()",
    ),
    "the first definition counts": (
        "def task_func(x):\n    return 1\ndef task_func(x):\n    return 2\n",
        "def task_func(x):\n    return 1",
    ),
    "blank lines around it go": ("\n\n   \ndef task_func():\n    pass\n\n  ", "def task_func():\n    pass"),
    "words around it go": (
        "Sure:\n```python\nimport os\ndef task_func():\n    os.sep\n```\nDone: task_func is there.\n",
        "import os\ndef task_func():\n    os.sep",
    ),
    "with nothing left, all that parses": ("@cache\ndef task_func():\n    1\n", "@cache\ndef task_func():\n    1"),
    "attributes are no definitions": (
        "class A:\n    pass\nx = task_func = 1\nA.b = 2\ndef task_func():\n    return A\nprint(task_func())\n",
        "class A:\n    pass\ndef task_func():\n    return A",
    ),
    "nothing": ("", ""),
    "words": ("just words\n", "just words"),
    "a variable it needs is cut where it names the function": (
        "def task_func():\n    return result\nresult = task_func()\n",
        "def task_func():\n    return result",
    ),
    "an async function is none": ("async def task_func():\n    1\n", "async def task_func():\n    1"),
    "most lines that parse": ("def task_func(:\n    pass\nx = 1\ny = 2", "x = 1\ny = 2"),
}


@pytest.mark.parametrize("case", SANITISED)
def test_bigcodebench_answers_are_sanitised_as_by_its_own_package(case):
    code, expected = SANITISED[case]
    assert bcb.sanitise(code, "task_func") == expected


def test_all_tests_of_bigcodebench_are_found(mirror):
    counts = [len(bcb.test_names(r["test"])) for r in rows(mirror, "bigcodebench/BigCodeBench-v0.1.4.jsonl.gz")]
    assert (len(counts), min(counts), max(counts), sum(counts)) == (1140, 3, 15, 6419)


def test_tests_are_named_as_unittests_loader_names_them():
    source = """
import unittest
class Base(unittest.TestCase):
    def test_inherited(self): pass
    def test_b(self): pass
class TestCases(Base):
    test_data = [1]
    def setUp(self): pass
    def test_b(self): pass
    def test_10(self): pass
    def test_2(self): pass
    async def test_later(self): pass
    def helper_test(self): pass
    def test_b(self): pass
class Other(unittest.TestCase):
    def test_unasked(self): pass
"""
    space = {"__name__": "made_up"}
    exec(source, space)  # noqa: S102 - our own text
    assert list(bcb.test_names(source)) == unittest.TestLoader().getTestCaseNames(space["TestCases"])
    assert bcb.test_names("x = 1") == ()
    assert bcb.test_names("class TestCases(TestCases):\n    def test_a(self): pass") == ("test_a",)
