"""Program-aided maths from prompt to score: fakes, files of samples, draws, and programs that mean harm."""

import json

import pytest

from assay.harness import store
from assay.harness.grading import Grading
from assay.tasks import datasets
from assay.tasks.types import Generation

pytestmark = pytest.mark.docker
pytest.importorskip("evalplus")
pytest.importorskip("math_verify")


@pytest.fixture(scope="module")
def grading(engine):
    with Grading(cells=2) as grading:
        yield grading


@pytest.fixture
def judge(grading, registry, mirror):
    """The scores of programs that answer one row of a task."""

    def run(task, sources, row=0, form="program"):
        spec = registry.tasks[task]
        loaded = datasets.load(spec)
        sample = datasets.sample(spec, datasets.parts(spec, loaded.rows)[0], row)
        grader = grading.open(spec, loaded)
        grader.learn([sample.doc_id])
        texts = [Generation(text=source, stopped=True, tokens=1, form=form) for source in sources]
        found = [future.result(timeout=120) for future in [grader.submit(sample, text) for text in texts]]
        grader.close()
        return found

    return run


def function(body):
    return "def solution():\n" + "".join(f"    {line}\n" for line in body.splitlines())


def summary(scores):
    return [(s.value, s.status) for s in scores]


# Runs


@pytest.mark.parametrize(("task", "limit", "n"), [("gsm8k_pal", 40, 40), ("math_pal", 6, 42)])
def test_perfect_programs_score_one_corrupted_ones_about_half_and_guesses_nothing(
    task, limit, n, assay, engine, mirror, tmp_path
):
    models = [x for m in ("oracle", "corrupted:0.5", "random:1", "constant") for x in ("--model", m)]
    assay("run", task, *models, "--limit", limit, "--cells", 2, check=0)
    runs = [store.read_run(path) for path in store.list_runs(tmp_path / "runs")]
    found = {r.plan.checkpoint.label: r.results[task] for r in runs}
    assert found["oracle"].value == 1.0
    assert 0.25 < found["corrupted:0.5"].value < 0.75
    assert found["random:1"].value == found["constant"].value == 0.0
    assert {r.n for r in found.values()} == {n}
    assert found["oracle"].metrics == {"pass@1": 1.0}
    assert len(found["oracle"].groups) == (7 if task == "math_pal" else 0)
    assert found["oracle"].checker["image"].startswith("sha256:")


def test_the_result_says_by_which_parser_it_was_judged(assay, engine, mirror, tmp_path):
    assay("run", "math_pal", "--model", "oracle", "--limit", 1, "--name", "r", check=0)
    checker = store.read_run(tmp_path / "runs/r").results["math_pal"].checker["checker"]
    assert "math-verify 0.9.0" in checker
    assert "sympy" in checker


def test_several_draws_give_pass_at_k_and_grading_again_the_same(assay, engine, mirror, tmp_path):
    lines = [{"task_id": "0", "solution": function(f"return {18 + n % 2}")} for n in range(10)]
    lines += [{"task_id": "1", "completion": "    return 2 + 1\n"}] * 10
    file = tmp_path / "samples.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assay("run", "gsm8k_pal", "--model", f"replay:{file}", "--docs", "0:2", "--name", "r", check=0)
    before = store.read_run(tmp_path / "runs/r").results["gsm8k_pal"]
    assert (before.status, before.n) == ("ok", 2)
    assert before.value == pytest.approx(0.75)
    assert before.metrics == {"pass@1": pytest.approx(0.75), "pass@10": 1.0}
    assay("grade", "r", check=0)
    again = store.read_run(tmp_path / "runs/r").results["gsm8k_pal"]
    assert (again.value, again.metrics, again.fingerprint) == (before.value, before.metrics, before.fingerprint)


def test_a_sample_shows_its_program_what_it_returned_and_why_it_is_wrong(assay, engine, mirror, tmp_path):
    file = tmp_path / "samples.jsonl"
    file.write_text(json.dumps({"task_id": "0", "solution": function("return 17")}) + "\n")
    assay("run", "gsm8k_pal", "--model", f"replay:{file}", "--docs", "0:1", "--name", "r", check=0)
    (shown,) = [json.loads(line) for line in assay("samples", "r", "gsm8k_pal", check=0).stdout.splitlines()]
    assert (shown["doc_id"], shown["program"], shown["score"]) == ("0", function("return 17"), 0.0)
    assert (shown["extracted"], shown["note"]) == ("17", "returned 17, expected '18'")
    assert shown["run_s"] > 0


def test_without_an_engine_the_answers_are_kept(assay, mirror):
    env = {"DOCKER_HOST": "unix:///nonexistent"}
    done = assay("run", "gsm8k_pal", "--model", "oracle", "--limit", 1, env=env, check=5)
    assert "The answers are kept" in done.stdout


# Values: the first row of gsm8k is 18


TWO = 25
"""A row of algebra whose answer is 2."""

RIGHT = [
    "return 18",
    "return '18.0'",
    "import numpy as np\nreturn np.float32(18)",
    "from fractions import Fraction\nreturn Fraction(36, 2)",
    "from sympy import symbols, solve\nx = symbols('x')\nreturn solve(x - 18, x)[0]",
    "class Eighteen(int):\n    def __str__(self): return '1'\nreturn Eighteen(18)",
]
NO_ANSWER = [
    "return None",
    "pass",
    "return True",
    "return [18]",
    "return 18j",
    "return float('nan')",
    "return float('-inf')",
    "return lambda: 18",
    "return (n for n in [18])",
    "return {'answer': 18}",
    "return 'x' * 900_000",
    "return chr(0xd800)",
]


def test_numbers_in_any_dress_are_right(judge):
    assert summary(judge("gsm8k_pal", map(function, RIGHT))) == [(1.0, "ok")] * len(RIGHT)


def test_what_is_no_number_is_no_answer(judge):
    scores = judge("gsm8k_pal", map(function, NO_ANSWER))
    assert summary(scores) == [(0.0, "no_answer")] * len(NO_ANSWER)
    assert all(s.note.startswith("returned ") and len(s.note) < 300 for s in scores)


def test_what_can_not_be_written_out_is_wrong_and_harms_nothing(judge):
    bodies = ["return 10 ** 100_000", "return 1 << 40_000_000", "x = []\nfor _ in range(9**5): x = [x]\nreturn x"]
    scores = judge("gsm8k_pal", map(function, [*bodies, "return 18"]))
    assert [s.value for s in scores] == [0.0, 0.0, 0.0, 1.0]


def test_how_a_program_ended_is_told(judge):
    ends = {
        "raise ValueError('no')": "ok",
        "return 1 / 0": "ok",
        "return undefined": "ok",
        "while True: pass": "timeout",
        "import time\ntime.sleep(60)": "timeout",
        "return 'x' * (8 << 20)": "output_limit",
        "return bytearray(8 << 30)": "ok",
        "import os\nos._exit(0)": "crash",
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)": "crash",
    }
    scores = judge("gsm8k_pal", map(function, ends))
    assert summary(scores) == [(0.0, status) for status in ends.values()]
    assert all(s.note for s in scores)


@pytest.mark.parametrize(
    "source", ["def solution(:", "x = 18", "def solution(x): return 18", "\0", "solution = 18", ""]
)
def test_a_program_without_the_function_is_wrong(judge, source):
    (score,) = judge("gsm8k_pal", [source])
    assert (score.value, score.status) == (0.0, "ok")
    assert score.note


def test_a_report_that_is_forged_gives_no_second_guess(judge):
    """It shares a process with the report: it can say anything, but only once."""
    forged = "import os\nos.write(3, b'=0 {}\\n=0 18\\n')\nreturn 17"
    once = "import os\nos.write(3, b'=0 18\\n.\\n')\nos._exit(0)"
    for score in judge("gsm8k_pal", [function(forged.replace("{}", str(n))) for n in (18, 19)] + [function(once)]):
        assert score.value == 0.0 or score.note == ""
    assert judge("gsm8k_pal", [function(forged.replace("{}", "18"))])[0].value == 0.0


def test_nothing_of_the_answer_is_in_the_cell(judge):
    """The gold of the second row is 3; a program that looks everywhere for it finds its own source alone."""
    look = "import gc\nfound = [o for o in gc.get_objects() if isinstance(o, dict) and 'gold' in o]\nreturn len(found)"
    (score,) = judge("gsm8k_pal", [function(look)], row=1)
    assert score.extracted == "0"


def test_values_of_maths_come_back_as_latex(judge):
    bodies = [
        "return 2",
        "import sympy\nreturn sympy.sqrt(4)",
        "import sympy\nx = sympy.symbols('x')\nreturn sympy.solve(x - 2, x)",
        "import sympy\nreturn sympy.Eq(sympy.symbols('x'), 2)",
        "return r'\\frac{4}{2}'",
        "import sympy\nreturn sympy.Matrix([2])",
        "return 2.5",
        "return None",
        "return '2, 3'",
    ]
    scores = judge("math_pal", map(function, bodies), row=TWO)
    assert [s.value for s in scores] == [1.0] * 5 + [0.0] * 4
    assert [s.status for s in scores] == ["ok"] * 7 + ["no_answer", "ok"]


def test_a_text_that_can_not_be_judged_in_time_is_wrong_and_the_next_is_judged(judge):
    scores = judge("math_pal", map(function, ["return '9^{9^{9^{9^{9}}}}'", "return 2"]), row=TWO)
    assert [s.value for s in scores] == [0.0, 1.0]
    assert "not judged within" in scores[0].note


def test_a_completion_goes_on_from_the_prompt_and_a_chat_may_repeat_it(judge):
    texts = ["    eggs = 16 - 3 - 4\n    return eggs * 2\n\n\n# Question: next", "    return 18\nThat is the answer."]
    assert summary(judge("gsm8k_pal", texts, form="completion")) == [(1.0, "ok")] * 2
    again = ["    return 18\n```\nDone.", "def solution():\n    return 18\n```"]
    assert judge("gsm8k_pal", again, form="chat")[0].value == 1.0
