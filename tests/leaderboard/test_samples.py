"""The samples page: what was lost and gained, what was asked and written, and that nothing more is read or shown."""

import json
import re

import pyarrow.parquet as pq
import pytest

from assay.harness import store
from assay.harness.interchange import asked
from assay.leaderboard.loads import compare, samples
from assay.tasks.selection import DocRange
from assay.tasks.types import UserError
from tests.conftest import choice_rows
from tests.leaderboard import pairs, scenes
from tests.leaderboard.stores import measured

HOSTILE = (
    "<img src=x onerror=alert(1)> [x](javascript:alert(1)) ![i](http://evil.example/) :red[hot] $a$ \u202etxt\x1b[31m"
)
MARKUP = re.compile(r"(?<!\\)(<img|\]\(javascript|!\[i\]|:red\[|\$a\$)")
RIGHT_CODE = "def add(a, b):\n    return a + b\n"
WRONG_CODE = "def add(a, b):\n    pass\n"


def view():
    from assay.leaderboard.views import samples

    samples.view()


@pytest.fixture(scope="module")
def board(tmp_path_factory, registry):
    return scenes.board(tmp_path_factory.mktemp("samples") / "runs", registry)


@pytest.fixture
def source(board):
    return scenes.source(board)


@pytest.fixture
def written(tmp_path, registry):
    """Two runs of one task by hand, indexed; the store's folder."""

    def write(a, b, task="theirs"):
        pairs.run(tmp_path / "runs", "one", {task: a})
        pairs.run(tmp_path / "runs", "two", {task: b}, created="2025-03-02T00:00:00Z")
        return scenes.indexed(tmp_path / "runs", registry)

    return write


def code(outcomes):
    """Code items: right where the outcome is 1."""
    return pairs.rows(
        outcomes,
        response=["```\n" + (RIGHT_CODE if o else WRONG_CODE) + "```" for o in outcomes],
        program=[RIGHT_CODE if o else WRONG_CODE for o in outcomes],
        note=["" if o else "base input 0: returned None, expected 3" for o in outcomes],
        stderr=["" if o else "Traceback: the end of it" for o in outcomes],
        target=[json.dumps([RIGHT_CODE])] * len(outcomes),
        run_s=[0.25] * len(outcomes),
        memory_mib=[25.0] * len(outcomes),
    )


def shown(at):
    """Every text that Streamlit reads as Markdown."""
    kinds = (at.markdown, at.caption, at.info, at.warning, at.error, at.success, at.subheader, at.title)
    return [str(e.value) for kind in kinds for e in kind]


def test_what_is_lost_and_gained_is_what_compare_counts(source):
    for row in compare.load(source, "ck-600", "ck-300").tested.itertuples():
        counts = samples.listing(source, "ck-600", "ck-300", row.task)["show"].value_counts()
        assert counts.get("lost", 0) == row.lost
        assert counts.get("gained", 0) == row.gained
        assert counts.sum() == row.n


def test_every_item_is_in_one_segment_and_lost_by_the_machine_is_never_wrong(written):
    source = scenes.source(
        written(pairs.rows([1.0, 0.0, 0.0, 1.0, None, 0.5]), pairs.rows([0.0, 1.0, 0.0, 1.0, 1.0, 0.5]))
    )
    found = samples.listing(source, "one", "two", "theirs").set_index("doc_id")["show"]
    assert found.tolist() == ["lost", "gained", "both wrong", "both right", "infra", "both wrong"]
    alone = samples.listing(source, "one", "", "theirs")["show"]
    assert alone.tolist() == ["right", "wrong", "wrong", "right", "infra", "wrong"]


def test_items_come_in_the_order_they_were_asked_and_a_missing_one_is_infra(written):
    ids = ["c", "a", "b"]
    one, two = pairs.rows([1.0] * 3, doc_id=ids), pairs.rows([1.0] * 3, doc_id=["b", "c", "z"])
    found = samples.listing(scenes.source(written(one, two)), "one", "two", "theirs")
    assert found["doc_id"].tolist() == ["c", "a", "b", "z"]
    assert found["show"].tolist() == ["both right", "infra", "both right", "infra"]


def test_several_draws_are_one_item_and_each_can_be_read(written):
    ids, draws = ["x", "x", "y", "y"], [0, 1, 0, 1]
    one = pairs.rows(
        [1.0, 0.0, 1.0, 1.0], doc_id=ids, draw=draws, response=list("abcd"), status=["ok", "timeout", "ok", "ok"]
    )
    source = scenes.source(written(one, one))
    found = samples.listing(source, "one", "two", "theirs")
    assert found["A"].tolist() == [0.5, 1.0]
    assert found["status A"].tolist() == ["1 ok, 1 timeout", "2 ok"]
    assert [r["response"] for r in samples.item(source, "one", "theirs", "x")] == ["a", "b"]


def test_no_other_task_and_no_other_run_is_opened(tmp_path, registry, monkeypatch):
    scenes.series(tmp_path / "runs", registry, {100: 0.5, 200: 0.2, 300: 0.1})
    folder = scenes.indexed(tmp_path / "runs", registry)
    kept = {folder / run / "samples" / "demo_sums.parquet" for run in ("ck-100", "ck-200")}
    for path in set(folder.glob("*/samples/*.parquet")) - kept:
        path.unlink()
    at = scenes.show(view, folder, monkeypatch, a="ck-100", b="ck-200", task="demo_sums", q="5")
    assert not [e for e in at.error if "reindex" in e.value]
    assert "demo\\_sums" in at.subheader[0].value


def test_the_list_reads_no_texts_and_the_item_only_its_own_rows(source, board, tmp_path, registry):
    measured(tmp_path / "runs", registry, "one", model="random:1")
    folder = scenes.indexed(tmp_path / "runs", registry)
    path = folder / "one" / "samples" / "demo_sums.parquet"
    pq.write_table(pq.read_table(path, columns=list(samples.LISTED)), path)
    own = scenes.source(folder)
    assert len(samples.listing(own, "one", "", "demo_sums")) == registry.tasks["demo_sums"].rows
    (row,) = samples.item(own, "one", "demo_sums", "3")
    assert row["doc_id"] == "3"
    assert row["response"] is None


def test_an_item_is_what_was_recorded_of_it(source, board):
    table = store.read_run(board / "ck-300").samples("demo_sums")
    for i in (0, 7):
        (row,) = samples.item(source, "ck-300", "demo_sums", str(i))
        assert row == table.slice(i, 1).to_pylist()[0]
    assert samples.item(source, "ck-300", "demo_sums", "no such") == []


@pytest.mark.parametrize("task", ["demo_animals", "demo_capitals", "demo_sums", "demo_trades"])
def test_a_prompt_rendered_alone_is_the_one_that_the_whole_run_asked(source, board, registry, task):
    run = store.peek_run(board / "ck-300")
    whole = asked.again(run, asked.spec_of(run, registry, task), [None]).questions
    assert len(whole) == registry.tasks[task].rows
    for doc_id, question in whole.items():
        found = samples.prompt(source, "ck-300", task, doc_id)
        if found.context:
            assert set(question.contexts) == {found.examples + found.context}
            assert found.options == question.continuations
        else:
            assert question.contexts == tuple(found.examples + o for o in found.options)
            assert set(question.continuations) == {found.ending}


def test_a_part_of_the_rows_is_asked_with_the_same_prompts(tmp_path, registry):
    measured(tmp_path / "runs", registry, "part", docs=DocRange(start=4, stop=8), tasks=("demo_sums",))
    measured(tmp_path / "runs", registry, "whole", tasks=("demo_sums",))
    source = scenes.source(scenes.indexed(tmp_path / "runs", registry))
    assert samples.prompt(source, "part", "demo_sums", "5") == samples.prompt(source, "whole", "demo_sums", "5")


def test_real_prompts_of_categories_and_code_are_those_of_the_whole_run(tmp_path, registry, mirror):
    tasks = ("jeopardy", "winograd", "squad")
    run = measured(tmp_path / "runs", registry, "one", docs=DocRange(stop=3), tasks=tasks)
    source = scenes.source(scenes.indexed(tmp_path / "runs", registry))
    for task in tasks:
        for doc_id, question in asked.again(run, asked.spec_of(run, registry, task), [None]).questions.items():
            found = samples.prompt(source, "one", task, doc_id)
            assert found.examples + (found.context or found.options[0]) == question.contexts[0]


def test_a_prompt_that_can_not_be_vouched_for_says_why(source, written):
    with pytest.raises(UserError, match="no spec here"):
        samples.prompt(source, "ck-300", "theirs", "0")
    with pytest.raises(UserError, match="has no document 'x'"):
        samples.prompt(source, "ck-300", "demo_sums", "x")
    other = scenes.source(written(pairs.rows([1.0]), pairs.rows([0.0]), task="demo_sums"))
    with pytest.raises(UserError, match="asked something else"):
        samples.prompt(other, "one", "demo_sums", "0")


def test_the_users_own_tasks_are_rendered_where_their_folder_is_named(tmp_path, write_task, monkeypatch):
    from assay.tasks.registry import open_registry

    folder = write_task(choice_rows(4))
    registry = open_registry([folder])
    measured(tmp_path / "runs", registry, "one", tasks=("mine",))
    source = scenes.source(scenes.indexed(tmp_path / "runs", registry))
    with pytest.raises(UserError, match="--tasks-dir"):
        samples.prompt(source, "one", "mine", "2")
    monkeypatch.setenv("ASSAY_TASKS_DIRS", str(folder))
    found = samples.prompt(source, "one", "mine", "2")
    assert "Question 2: which?" in found.context
    assert found.options == tuple(f"answer 2 {o}" for o in range(4))


def test_a_prompt_whose_data_is_gone_says_how_to_get_it(tmp_path, registry, mirror, monkeypatch):
    measured(tmp_path / "runs", registry, "one", docs=DocRange(stop=2), tasks=("copa",))
    source = scenes.source(scenes.indexed(tmp_path / "runs", registry))
    assert samples.prompt(source, "one", "copa", "0").options
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path))
    with pytest.raises(UserError, match="assay data fetch copa"):
        samples.prompt(source, "one", "copa", "0")


def test_options_show_what_is_right_what_each_chose_and_their_log_probabilities(source, board):
    frame = samples.listing(source, "ck-600", "ck-100", "demo_animals")
    doc_id = frame[frame["show"] == "lost"]["doc_id"].iloc[0]
    rows = [samples.item(source, run, "demo_animals", doc_id)[0] for run in ("ck-600", "ck-100")]
    texts = samples.prompt(source, "ck-600", "demo_animals", doc_id).options
    made = samples.options(rows, texts)
    assert made["option"].tolist() == list(texts)
    right = made.index[made["right"] == "right"].tolist()
    assert right == [samples.target(rows[0])]
    assert made.index[made["A chose"] == "chosen"].tolist() == right
    assert made.index[made["B chose"] == "chosen"].tolist() == [rows[1]["predicted"]] != right
    assert made["A nats"].tolist() == [o["logprob"] for o in rows[0]["options"]]
    assert samples.options(rows, ())["option"].tolist() == [f"option {i}" for i in range(4)]


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("2", 2),
        ('"Onhava"', ["Onhava"]),
        ('["a", "b"]', ["a", "b"]),
        ("null", None),
        ("{broken", ["{broken"]),
        ("", None),
    ],
)
def test_a_target_is_an_option_or_texts(target, found):
    assert samples.target({"target": target}) == found


def test_search_finds_texts_in_any_case_and_only_there(written):
    one = pairs.rows([0.0] * 4, response=["an Emu", "no", None, "100% [a-z]"], note=["", "emu ran", "", ""])
    source = scenes.source(written(one, one))
    assert samples.found_in(source, "one", "theirs", "EMU") == {"0", "1"}
    assert samples.found_in(source, "one", "theirs", "[a-z]") == {"3"}
    assert samples.found_in(source, "one", "theirs", "heron") == set()


def test_a_text_is_cut_at_whole_letters_and_says_how_much_is_left():
    assert samples.clipped("ä" * 10, 5) == ("ää", 15)
    assert samples.clipped("short") == ("short", 0)


def test_a_difference_is_by_lines_bounded_and_shows_what_can_not_be_seen():
    found = samples.difference("same\nold\n", "same\nnew\x1b\u202e\n")
    assert "-old" in found
    assert "+new\\x1b\\u202e" in found
    assert samples.difference("same", "same") == ""
    long = "\n".join(map(str, range(5_000)))
    assert len(samples.difference(long, "").splitlines()) == samples.MOST_LINES + 3


def test_of_a_protected_task_nothing_is_read_that_could_tell_its_rows(written, monkeypatch):
    secret = pairs.rows(
        [0.0, 1.0] * 6, response=["SECRET"] * 12, target=['"SECRET"'] * 12, note=["SECRET"] * 12, group=["SECRET"] * 12,
        extracted=["SECRET"] * 12, program=["SECRET"] * 12, stderr=["SECRET"] * 12, request_sha256=["f" * 64] * 12,
        options=[[{"logprob": -1.0, "tokens": 3, "bytes": 17, "greedy": True}] * 4] * 12,
    )  # fmt: skip
    folder = written(secret, [r | {"score": 0.0, "correct": False} for r in secret], task="gpqa_main")
    source = scenes.source(folder)
    assert samples.protected(source, "gpqa_main")
    assert "SECRET" not in str(samples.item(source, "one", "gpqa_main", "0"))
    assert samples.found_in(source, "one", "gpqa_main", "secret") == set()
    at = scenes.show(view, folder, monkeypatch, a="one", b="two", task="gpqa_main")
    cells = [str(c) for t in [*at.table, *at.dataframe] for c in t.value.to_numpy().ravel()]
    words = " ".join([*shown(at), *(str(c.value) for c in at.code), *cells])
    assert "not published" in words
    assert "f" * 64 in words
    assert "17, 17, 17, 17" in words
    assert "SECRET" not in words


@pytest.mark.parametrize("name", ["gpqa_main", "lm_eval:gpqa_diamond_zeroshot", "GPQA-of-theirs"])
def test_a_protected_task_is_protected_under_any_name(source, name):
    assert samples.protected(source, name)
    assert not samples.protected(source, "arc_easy")


def test_a_lost_item_of_code_shows_its_failing_test_both_programs_and_what_changed(written, monkeypatch):
    folder = written(code([1, 1, 0]), code([1, 0, 0]))
    at = scenes.show(view, folder, monkeypatch, a="one", b="two", task="theirs")
    assert at.subheader[0].value == "theirs · 1 · lost"
    texts = [c.value for c in at.code]
    assert "base input 0: returned None, expected 3" in texts
    assert RIGHT_CODE.strip() in texts
    assert WRONG_CODE.strip() in texts
    assert "Traceback: the end of it" in texts
    assert any("-    return a + b" in t and "+    pass" in t for t in texts)
    assert "one: right" in at.success[0].value
    assert "two: wrong" in at.error[0].value
    facts = at.table[-1].value.set_index("recorded")
    assert facts.loc["sandbox, seconds"].tolist() == ["0\\.25", "0\\.25"]


def test_what_a_model_wrote_is_never_read_as_markup(written, monkeypatch):
    hostile = pairs.rows(
        [0.0] * 2,
        response=[HOSTILE] * 2,
        note=[HOSTILE] * 2,
        extracted=[HOSTILE] * 2,
        target=[json.dumps([HOSTILE])] * 2,
    )
    right = pairs.rows([1.0] * 2, response=["fine"] * 2, doc_id=["0", "1"])
    folder = written(right, hostile)
    at = scenes.show(view, folder, monkeypatch, a="one", b="two", q="IMG")
    assert "lost" in at.subheader[0].value
    assert not [s for s in shown(at) if MARKUP.search(s)]
    assert any("<img src=x" in c.value and "\\u202e" in c.value and "\\x1b" in c.value for c in at.code)
    assert not any("\u202e" in c.value for c in at.code)
    cells = at.table[-1].value.astype(str).to_numpy().ravel()
    assert any("img" in c for c in cells)
    assert not [c for c in cells if MARKUP.search(c)]


def test_a_long_text_is_sent_in_part_until_all_is_asked_for(written, monkeypatch):
    long = "wort " * 10_000
    one = pairs.rows([1.0], response=["x"])
    folder = written(one, pairs.rows([0.0], response=[long]))
    at = scenes.show(view, folder, monkeypatch, a="one", b="two")
    assert max(len(c.value) for c in at.code) <= samples.MOST_BYTES + 100
    toggle = next(t for t in at.toggle if t.label.startswith("Show all") and "two" in t.key)
    toggle.set_value(True).run()
    assert not at.exception
    assert long in [c.value for c in at.code]


def test_fifty_items_are_listed_at_a_time_and_one_is_open(written, monkeypatch):
    ids = [f"item {i}" for i in range(120)]
    folder = written(pairs.rows([1.0] * 120, doc_id=ids), pairs.rows([0.0] * 120, doc_id=ids))
    at = scenes.show(view, folder, monkeypatch, a="one", b="two")
    assert len(at.dataframe[0].value) == 50
    assert at.subheader[0].value == "theirs · item 0 · lost"
    at = scenes.show(view, folder, monkeypatch, a="one", b="two", page="3", item="item 119")
    assert at.dataframe[0].value["doc_id"].tolist() == ids[100:]
    assert at.subheader[0].value == "theirs · item 119 · lost"
    next(b for b in at.button if b.label == "Previous").click().run()
    assert at.subheader[0].value == "theirs · item 118 · lost"
    assert next(b for b in at.button if b.label == "Next").disabled is False


def test_steps_go_from_item_to_item_across_pages(written, monkeypatch):
    folder = written(pairs.rows([1.0] * 60), pairs.rows([0.0] * 60))
    at = scenes.show(view, folder, monkeypatch, a="one", b="two", item="49")
    next(b for b in at.button if b.label == "Next").click().run()
    assert not at.exception
    assert at.subheader[0].value == "theirs · 50 · lost"
    assert at.dataframe[0].value["doc_id"].iloc[0] == "50"


def test_a_link_to_an_item_opens_it_whatever_the_list_shows(written, monkeypatch):
    folder = written(pairs.rows([1.0, 1.0, 0.0]), pairs.rows([0.0, 1.0, 0.0]))
    at = scenes.show(view, folder, monkeypatch, a="one", b="two", task="theirs", show="lost", item="2")
    assert at.subheader[0].value == "theirs · 2 · both wrong"
    link = next(c.value for c in at.code if c.value.endswith("item=2"))
    assert link.endswith("samples?a=one&b=two&task=theirs&show=both+wrong&item=2")


def test_one_run_alone_has_wrong_right_and_infra(board, monkeypatch):
    at = scenes.show(view, board, monkeypatch, a="ck-300", task="demo_sums", show="wrong")
    assert at.subheader[0].value.endswith("wrong")
    assert "B" not in at.dataframe[0].value.columns


def test_a_run_alone_stays_alone_and_can_not_be_swapped(board, monkeypatch):
    at = scenes.show(view, board, monkeypatch, a="ck-300", task="demo_sums")
    assert "b" not in at.query_params
    assert at.button(key="swap").disabled
    at.run()
    assert at.selectbox(key="b").value is None
    at = scenes.show(view, board, monkeypatch, a="ck-300", b="ck-600", task="demo_sums")
    at.button(key="swap").click().run()
    assert (at.selectbox(key="a").value, at.selectbox(key="b").value) == ("ck-600", "ck-300")
    at.selectbox(key="b").set_value(None).run()
    assert not at.exception
    assert at.selectbox(key="b").value is None
    assert at.button(key="swap").disabled


def test_identical_answers_are_said_to_be(board, monkeypatch):
    at = scenes.show(view, board, monkeypatch, a="ck-300", b="ck-300", task="demo_sums")
    assert "score alike on all" in scenes.said(at)


def test_numbers_without_samples_say_why_nothing_can_be_read(board, monkeypatch):
    at = scenes.show(view, board, monkeypatch, a="small", b="given")
    assert "published numbers alone" in at.info[0].value


def test_a_run_that_was_asked_otherwise_is_not_set_beside_the_other(tmp_path, registry, monkeypatch):
    measured(tmp_path / "runs", registry, "whole", model="random:1")
    measured(tmp_path / "runs", registry, "part", model="random:2", docs=DocRange(stop=8))
    folder = scenes.indexed(tmp_path / "runs", registry)
    at = scenes.show(view, folder, monkeypatch, a="whole", b="part", task="demo_sums")
    assert "A asked all rows" in at.warning[0].value
    assert "B" not in at.dataframe[0].value.columns


def test_of_a_pair_with_one_sided_samples_that_side_is_shown(board, monkeypatch):
    at = scenes.show(view, board, monkeypatch, a="given", b="ck-300", task="demo_sums")
    assert "no samples of A" in at.warning[0].value
    assert len(at.dataframe[0].value)


@pytest.mark.parametrize(
    "bad",
    [{"a": "nope"}, {"b": "../../etc/passwd"}, {"task": "../../plan"}, {"show": HOSTILE}, {"item": HOSTILE}],
)
def test_what_the_address_can_not_have_is_said_and_the_default_shown(board, monkeypatch, bad):
    at = scenes.show(view, board, monkeypatch, **({"a": "ck-600", "b": "ck-100", "task": "demo_sums"} | bad))
    assert "There is no" in at.warning[0].value
    assert not MARKUP.search(at.warning[0].value)
    assert at.subheader


@pytest.mark.parametrize("bad", [{"page": "x"}, {"page": "99"}, {"page": "-1"}, {"draw": "7"}, {"q": "(["}])
def test_a_page_or_draw_that_is_not_there_is_no_fault(board, monkeypatch, bad):
    at = scenes.show(view, board, monkeypatch, a="ck-600", b="ck-100", task="demo_sums", **bad)
    assert at.title[0].value == "Samples"


def test_an_index_without_runs_says_what_to_do(tmp_path, registry, monkeypatch):
    at = scenes.show(view, scenes.indexed(tmp_path / "runs", registry), monkeypatch)
    assert "no runs yet" in at.info[0].value


def test_samples_that_are_gone_are_said_not_raised(tmp_path, registry, monkeypatch):
    measured(tmp_path / "runs", registry, "one", model="random:1")
    folder = scenes.indexed(tmp_path / "runs", registry)
    (folder / "one" / "samples" / "demo_sums.parquet").unlink()
    at = scenes.show(view, folder, monkeypatch, a="one", task="demo_sums")
    assert "demo" in at.error[0].value
