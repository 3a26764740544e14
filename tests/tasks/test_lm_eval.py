"""lm-eval's tasks as ours, without a model."""

import contextlib
import json
import math
import shutil
from decimal import Decimal

import pytest

from assay.harness import fingerprint
from assay.harness.records import TaskResult
from assay.tasks import aggregate, datasets, encoding, lm_eval_index, lm_eval_opening, registry, render
from assay.tasks.lm_eval_scoring import number, score
from assay.tasks.selection import DocRange
from assay.tasks.types import Answer, Generation, Likelihood, UserError

LM_EVAL_TASK = """task: mine
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/rows.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{options}}"
doc_to_target: gold
metric_list: [{metric: acc}, {metric: acc_norm}]
"""


@pytest.fixture
def own(tmp_path):
    """A folder with a task of the user's in lm-eval's form, beside one in ours."""
    rows = [{"question": f"q{i}", "options": ["no", "yes, surely"], "gold": i % 2} for i in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "mine.yaml").write_text(LM_EVAL_TASK.replace("FOLDER", str(tmp_path)))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("6 times 3 is 18. The answer is 18", "18"),  # lm-eval's strict filter reads 1 (PARITY D 16)
        ("The answer is $18.", "18"),  # and here nothing
        ("so it is $1,800.00.", "1800"),  # its flexible one reads 1,800.00. (D 17)
        ("first 3, then 4, etc..", "4"),  # and here ".."
        ("#### 18\n\nQ: another one\n#### 7", "18"),
        ("It costs -3.50 in all", "-3.5"),
        ("no number at all", None),
        ("####", None),
    ],
)
def test_our_own_number_is_what_a_reader_would_take(text, said):
    assert number(text) == (None if said is None else Decimal(said))


def test_lm_evals_own_number_stands_beside_and_is_not_replaced(registry, mirror):
    spec = registry.tasks["gsm8k_cot_8shot"]
    (part,) = datasets.parts(spec, datasets.load(spec).rows)
    (prompt,) = render.prompts(spec, part, DocRange(0, 1))
    said = Generation(text=" 16 - 7 = 9. 9 * 2 = $18. The answer is 18", stopped=True, tokens=9)
    found = score(spec, prompt.sample, Answer(doc_id="0", responses=(said,), request_sha256=""))
    assert found.value == found.parts["exact_match,strict-match"] == 0.0
    assert found.extracted == "1"
    assert found.parts["assay number"] == 1.0


@pytest.mark.parametrize("length", [0, 1, 2, 7, 8, 9, 15, 16, 17, 100])
@pytest.mark.parametrize("longest", [1, 2, 8])
def test_rolling_windows_are_lm_evals(length, longest):
    from array import array

    from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

    ids = list(range(100, 100 + length))
    theirs = map(make_disjoint_window, get_rolling_token_windows(ids, 1, longest, 1))
    ours = encoding.rolling(array("i", ids), 1, longest)
    assert [(list(a), list(b)) for a, b in ours] == [(list(a), list(b)) for a, b in theirs]


def test_a_text_file_is_scored_in_bits_per_byte(tmp_path):
    (tmp_path / "corpus.txt").write_text("Über allen Gipfeln", encoding="utf-8")
    (spec,) = registry.open_registry().select([f"text:{tmp_path}/corpus.txt"])
    loaded = datasets.load(spec)
    (part,) = datasets.parts(spec, loaded.rows)
    (prompt,) = render.prompts(spec, part, DocRange())
    halves = [Likelihood(logprob=x, tokens=3, nbytes=1, greedy=False) for x in (-10.0, -9.0)]
    found = score(spec, prompt.sample, Answer(doc_id="0", responses=tuple(halves), request_sha256=""))
    assert found.value == pytest.approx(19.0 / math.log(2) / 19)
    assert loaded.git_blob != datasets.git_blob(b"")


def test_a_file_of_json_lines_is_a_document_a_row(tmp_path):
    (tmp_path / "c.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    (spec,) = registry.open_registry().select([f"text:{tmp_path}/c.jsonl"])
    assert [r["text"] for r in datasets.load(spec).rows] == ["one", "two"]
    (tmp_path / "bad.jsonl").write_text('{"txt": "one"}\n')
    (spec,) = registry.open_registry().select([f"text:{tmp_path}/bad.jsonl"])
    with pytest.raises(UserError, match="with a 'text' each"):
        datasets.load(spec)


def test_the_users_lm_eval_opening_lie_beside_their_specs(own):
    found = registry.open_registry([own])
    (spec,) = found.select(["lm_eval:mine"])
    assert [p.contexts[0] for p in render.prompts(spec, *datasets.parts(spec, ()), DocRange(0, 2))] == ["q0", "q1"]
    (other,) = found.select(["lm_eval:mine?num_fewshot=0&metric=acc_norm,none"])
    answers = tuple(Likelihood(logprob=x, tokens=1, nbytes=1, greedy=False) for x in (-3.0, -4.0))
    (prompt,) = render.prompts(other, *datasets.parts(other, ()), DocRange(1, 2))
    found_score = score(other, prompt.sample, Answer(doc_id="1", responses=answers, request_sha256=""))
    assert found_score.parts == {"acc,none": 0.0, "acc_norm,none": 1.0}
    assert found_score.value == 1.0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lm_eval:gsm8", "has no task 'gsm8'; did you mean gsm8k"),
        ("lm_eval:mine?shots=3", "unknown option 'shots'; valid: num_fewshot, metric"),
        ("lm_eval:mine?num_fewshot=three", "num_fewshot must be a whole number"),
        ("text:/nowhere.txt", "no such file"),
    ],
)
def test_a_name_that_lm_eval_lacks_is_said(own, name, said):
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        registry.open_registry([own]).select([name])


def test_a_metric_that_a_task_lacks_is_said_before_anything_is_asked(own):
    (spec,) = registry.open_registry([own]).select(["lm_eval:mine?metric=f1,none"])
    with pytest.raises(UserError, match="has no metric 'f1,none'; it has acc,none, acc_norm,none"):
        datasets.load(spec)


def test_a_changed_prompt_is_another_task_and_a_moved_folder_is_not(own, tmp_path_factory):
    moved = tmp_path_factory.mktemp("moved")
    shutil.copytree(own, moved, dirs_exist_ok=True)
    found = [registry.open_registry([folder]).select(["lm_eval:mine"])[0] for folder in (own, moved)]
    prints = [fingerprint.task(s, datasets.load(s).git_blob, DocRange()) for s in found]
    assert prints[0] == prints[1]
    changed = moved / "mine.yaml"
    changed.write_text(changed.read_text().replace("{{question}}", "So: {{question}}"))
    lm_eval_index.manager.cache_clear()
    lm_eval_opening.forget()
    assert fingerprint.task(found[1], datasets.load(found[1]).git_blob, DocRange()) != prints[0]


def test_two_tasks_of_one_name_are_not_measured_in_one_run(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "c.txt").write_text(folder)
    with pytest.raises(UserError, match=r"'text:c.txt' is chosen already"):
        registry.open_registry().select([f"text:{tmp_path}/a/c.txt", f"text:{tmp_path}/b/c.txt"])


@pytest.mark.parametrize(("content", "nbytes"), [(b"one\r\ntwo\r\n", 10), ("a\u2028b".encode(), 5)])
def test_a_text_is_measured_byte_for_byte(tmp_path, content, nbytes):
    (tmp_path / "c.txt").write_bytes(content)
    (spec,) = registry.open_registry().select([f"text:{tmp_path}/c.txt"])
    (row,) = datasets.load(spec).rows
    assert len(row["text"].encode()) == nbytes


def test_an_empty_text_is_refused(tmp_path):
    (tmp_path / "e.txt").write_text("")
    (spec,) = registry.open_registry().select([f"text:{tmp_path}/e.txt"])
    with pytest.raises(UserError, match="an empty text has no perplexity"):
        datasets.load(spec)


def test_a_group_averages_the_metric_that_it_names():
    _, groups = lm_eval_index.expand("bbh_zeroshot", ())
    (group,) = [g for g in groups if g.name == "bbh_zeroshot"]
    results = {
        t: TaskResult(task=t, status="ok", n=n, value=0.0, metrics={f"{group.metric},{f}": x for f in group.filters})
        for t, n, x in zip(group.tasks, range(1, 99), [i / 100 for i in range(99)], strict=False)
    }
    (found,) = aggregate.group_means(group, results)
    assert group.filters == ("flexible-extract",)
    weights = [r.n if group.by_size else 1 for r in results.values()]
    means = [next(iter(r.metrics.values())) for r in results.values()]
    assert found.value == pytest.approx(sum(w * m for w, m in zip(weights, means, strict=True)) / sum(weights))


def test_every_group_of_lm_evals_expands_or_says_why_not():
    index = lm_eval_index.manager(()).task_index
    for name in (n for n, e in index.items() if e.kind.name == "GROUP"):
        with contextlib.suppress(UserError):
            leaves, _ = lm_eval_index.expand(name, ())
            assert leaves or not index[name].cfg.get("task")


def test_groups_and_tags_are_their_tasks():
    leaves, groups = lm_eval_index.expand("mmlu", ())
    assert len(leaves) == 57
    assert {g.name: len(g.tasks) for g in groups}["mmlu"] == 57
    tagged, none = lm_eval_index.expand("mmlu_stem_tasks", ())
    assert {leaf.name for leaf in tagged} < {leaf.name for leaf in leaves}
    assert none == []


def test_no_benchmark_of_dclms_shares_a_name_with_lm_evals(registry):
    dclm = set(registry.suites["dclm-extended"].tasks)
    theirs = {t.name for t in registry.tasks.values() if t.kind == "lm_eval"}
    assert theirs == {"mmlu", "mmlu_continuation", "gsm8k", "gsm8k_cot_8shot", "math_cot", "lambada"}
    assert not dclm & theirs
