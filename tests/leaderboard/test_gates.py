"""The Gates page: what verdicts it shows, what it says that chance does, and what it makes of faults and strangers."""

import shlex
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml

from assay.harness.cli import main
from assay.harness.files import seal
from assay.harness.gating import history
from assay.leaderboard.charts import gates as charts
from assay.leaderboard.loads import gate_baselines, gates
from assay.leaderboard.views import gate_setup
from tests.leaderboard import gated, scenes

ROOT = Path(__file__).parents[2]


def view():
    from assay.leaderboard.views import gates

    gates.view()


@pytest.fixture(autouse=True)
def no_baselines(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_BASELINES", str(tmp_path / "baselines"))


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "runs"
    gated.several(folder)
    return folder


@pytest.fixture
def table(store):
    return gates.load(gates.past(store)).table


def promote(folder, name, **said):
    place = folder / name
    place.mkdir(parents=True)
    usual = {"run_id": "ck-100", "by": "Ada", "reason": "it ships", "when": "2026-10-01T00:00:00Z"}
    (place / "baseline.json").write_bytes(seal(usual | said))


def words(at):
    return "\n".join([scenes.said(at), *(e.value for kind in (at.error, at.success) for e in kind)])


def test_a_row_a_verdict_newest_first(table):
    assert table["run_id"].tolist() == ["ck-600", "ck-400", "ck-500", "ck-300", "ck-200"]
    assert table["exit_code"].tolist() == [0, 3, 5, 4, 0]
    assert table["blocking"].tolist()[0] == "1 regressed, 1 held (1 waived)"
    assert table["failing"].tolist()[1] == (("demo_sums", -0.125),)


def test_each_verdict_has_a_lane_a_shape_and_a_word(table):
    drawn = charts.timeline(table, gates.VERDICTS, table["key"].iloc[1])
    spec = drawn.to_dict()
    marks = spec["layer"][1]["encoding"]
    assert marks["y"]["sort"] == list(gates.VERDICTS.values())
    shapes = marks["shape"]["scale"]
    assert shapes["domain"] == list(gates.VERDICTS.values())
    assert len(set(shapes["range"])) == 4
    rows = scenes.drawn(drawn)
    assert [r["candidate"] for r in rows if r["chosen"]] == ["ck-400"]
    assert all(r["said"].split(" ", 1)[1].isprintable() for r in rows)


def test_a_finding_has_its_interval_its_margin_and_a_shape_of_its_state(store):
    said = gates.report(gates.past(store), gates.load(gates.past(store)).table["key"].iloc[1])
    drawn = charts.differences(gates.drawable(gates.findings(said.findings)))
    assert scenes.marks(drawn) == {"rule", "tick", "point"}
    rows = {r["name"]: r for r in scenes.drawn(drawn) if "name" in r}
    assert rows["demo_sums"]["delta"] == pytest.approx(-12.5)
    assert rows["demo_sums"]["margin"] == pytest.approx(-2.0)
    shapes = drawn.to_dict()["layer"][-1]["encoding"]["shape"]["scale"]
    assert dict(zip(shapes["domain"], shapes["range"], strict=True))["✗ regressed"] == charts.CROSS


def test_every_state_that_may_have_a_difference_has_a_look():
    assert set(charts.LANES) == set(gates.VERDICTS)
    assert set(gates.STATES) - set(charts.MARKS) == {"missing", "not_comparable", "infra"}


def test_a_task_that_two_anchors_judge_is_two_rows_by_name():
    twice = (gated.finding(), gated.finding(anchor="best so far", delta=-0.2))
    found = gates.drawable(gates.findings(twice))
    assert found["name"].tolist() == ["demo_sums · baseline main", "demo_sums · best so far"]


def test_findings_without_numbers_are_listed_and_not_drawn(tmp_path, monkeypatch):
    nothing = gated.finding(
        state="missing", delta=None, low=None, high=None, value=None, p_adjusted=None, lost=0, gained=0
    )
    gated.fill(tmp_path, gated.report("not_measured", findings=(nothing,)))
    at = scenes.show(view, tmp_path, monkeypatch)
    assert any("demo_sums" in str(d.value) and "missing" in str(d.value) for d in at.dataframe)
    assert len(at.get("vega_lite_chart")) == 1


def test_the_page_shows_the_newest_verdict_and_counts_them(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch)
    said = words(at)
    assert "5 verdicts: 1 regressed, 1 inconclusive, 1 not measured, 2 passed" in said
    assert "**PASSED**: ck\\-600" in said
    assert "Waived: demo\\_animals until 2026\\-12\\-15" in said


def test_the_address_chooses_a_verdict(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, at="main/20261101T140000Z-ck-400")
    assert "**REGRESSED**: ck\\-400" in at.error[0].value
    assert "−12\\.5 points\\: Holm p 0\\.002" in words(at)
    assert "Note: noise is unknown" in words(at)
    links = [b.proto.url for b in at.get("link_button")]
    assert "compare?a=ck-100&b=ck-400" in links
    assert "model?id=ck-400" in links
    assert "curves?run=mine" in links


def test_the_address_chooses_a_gate(store, monkeypatch):
    gated.fill(store, gated.report("inconclusive", gate="other", run="ck-600", at=300))
    said = words(scenes.show(view, store, monkeypatch, name="main"))
    assert "5 verdicts" in said
    assert "**PASSED**" in said
    assert "1 verdict: 1 inconclusive." in words(scenes.show(view, store, monkeypatch, name="other"))


@pytest.mark.parametrize("value", ["nothing", "../../../../etc/passwd", scenes.EVIL, "x" * 3000, "\0", "-1"])
def test_an_address_that_asks_for_nonsense_gets_the_newest_and_is_told(store, monkeypatch, value):
    at = scenes.show(view, store, monkeypatch, name=value, at=value)
    assert len(at.warning) == 2
    assert "There is no" in at.warning[0].value
    assert "**PASSED**" in words(at)
    assert "root:x:0" not in words(at)


def test_a_new_verdict_is_there_at_the_next_look(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch)
    assert "5 verdicts" in words(at)
    gated.fill(store, gated.report("regressed", run="ck-600", at=999))
    at.run()
    assert not at.exception
    assert "6 verdicts: 2 regressed" in words(at)
    assert "The newest is of 2026\\-11\\-02" in words(at)


def test_a_verdict_that_goes_away_takes_nothing_with_it(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, at="main/20261101T140000Z-ck-400")
    (store / "gates/main/20261101T140000Z-ck-400.json").unlink()
    at.run()
    assert not at.exception
    assert "4 verdicts" in words(at)
    assert "**PASSED**" in words(at)


def test_a_gate_may_be_called_as_the_choice_of_all_is(store, monkeypatch):
    gated.fill(store, gated.report("pass", gate="all gates", run="ck-600", at=300))
    assert "6 verdicts" in words(scenes.show(view, store, monkeypatch, name="all gates"))


def test_choosing_another_gate_leaves_no_verdict_of_the_first(store, monkeypatch):
    gated.fill(store, gated.report("inconclusive", gate="other", run="ck-600", at=300))
    at = scenes.show(view, store, monkeypatch, name="main", at="main/20261101T140000Z-ck-400")
    at.selectbox(key="name").set_value("other").run()
    assert not at.exception
    assert not at.error
    assert "**INCONCLUSIVE**" in words(at)


def test_expected_false_blocks_count_verdicts_that_rest_on_a_test(store, monkeypatch):
    said = words(scenes.show(view, store, monkeypatch))
    assert "**1 block in 4 calls at α 0.01.**" in said
    assert "0.04 would be expected" in said
    assert "probability 4%" in said
    assert "1 verdict tested nothing and does not count" in said


def test_levels_that_differ_are_added(tmp_path, monkeypatch):
    gated.fill(tmp_path, gated.report("pass", alpha=0.05), gated.report("pass", at=1, alpha=0.01, run="ck-200"))
    said = words(scenes.show(view, tmp_path, monkeypatch))
    assert "**0 blocks in 2 calls at α 0.01 to 0.05.**" in said
    assert "0.06 would be expected" in said


def test_where_nothing_was_tested_chance_blocks_nothing(tmp_path, monkeypatch):
    gated.fill(tmp_path, gated.report("not_measured"))
    said = words(scenes.show(view, tmp_path, monkeypatch))
    assert "None of these verdicts rests on a test" in said
    assert "Nothing was compared" in said


def test_a_checkpoint_that_is_judged_again_and_again_is_pointed_out(store, monkeypatch):
    gated.fill(store, gated.report("pass", run="ck-400", at=200))
    assert "1 checkpoint stood before the same gate more than once" in words(scenes.show(view, store, monkeypatch))


def test_days_left_of_a_waiver_are_of_today_and_it_may_have_ended(table):
    assert gates.waivers(table, date(2026, 12, 14))["days_left"].tolist() == [1]
    assert gates.waivers(table, date(2026, 12, 15))["days_left"].tolist() == [0]
    assert gates.waivers(table, date(2026, 12, 20))["days_left"].tolist() == [-5]


def test_only_the_newest_verdict_of_a_gate_says_what_is_waived(store):
    gated.fill(store, gated.report("pass", at=999))
    table = gates.load(gates.past(store)).table
    assert gates.waivers(table, date(2026, 11, 21)).empty


def test_a_waiver_without_a_day_has_no_days_left(tmp_path, monkeypatch):
    gated.fill(tmp_path, gated.report("pass", waivers=({"task": "x", "until": "never"}, gated.WAIVER)))
    assert "2 waivers" in words(scenes.show(view, tmp_path, monkeypatch))


def test_baselines_are_shown_with_reason_author_and_use(store, tmp_path):
    promote(tmp_path / "baselines", "main")
    promote(tmp_path / "baselines", "next", run_id="ck-600", when="2026-12-01T00:00:00Z", reason="the next one")
    used = gate_baselines.used(gates.past(store))
    found = gate_baselines.history_of(used, tmp_path / "baselines").set_index("baseline")
    assert found.index.tolist() == ["next", "main"]
    assert found.loc["main", ["run", "verdicts", "blocked", "by", "reason"]].tolist() == [
        "ck-100",
        5,
        1,
        "Ada",
        "it ships",
    ]
    assert found.loc["next", ["verdicts", "reason"]].tolist() == [0, "the next one"]


def test_a_baseline_that_was_replaced_keeps_its_row_without_a_reason(store, tmp_path):
    promote(tmp_path / "baselines", "main", run_id="ck-600", when="2026-12-01T00:00:00Z")
    found = gate_baselines.history_of(gate_baselines.used(gates.past(store)), tmp_path / "baselines")
    assert found[["baseline", "run", "reason"]].to_numpy().tolist() == [
        ["main", "ck-600", "it ships"],
        ["main", "ck-100", ""],
    ]


def test_a_baseline_at_a_merge_base_is_the_same_and_the_previous_checkpoint_is_none(tmp_path):
    for i, name in enumerate(("baseline main", "baseline main at 0123456789ab", "previous, ck-100")):
        gated.fill(tmp_path, gated.report("pass", at=i, anchors=(replace(gated.MAIN, name=name),)))
    found = gate_baselines.used(gates.past(tmp_path))
    assert found[["baseline", "run", "verdicts"]].to_numpy().tolist() == [["main", "ck-100", 2]]


@pytest.mark.parametrize(("minutes", "form"), [(60, "%d %b %H:%M"), (10 * 1440, "%d %b"), (400 * 1440, "%b %Y")])
def test_the_axis_says_as_much_of_the_time_as_there_is(tmp_path, minutes, form):
    gated.fill(tmp_path, gated.report("pass"), gated.report("pass", at=minutes))
    drawn = charts.timeline(gates.load(gates.past(tmp_path)).table, gates.VERDICTS, "")
    assert drawn.to_dict()["layer"][1]["encoding"]["x"]["axis"]["format"] == form


def test_a_baseline_that_can_not_be_read_says_so_and_hides_no_other(tmp_path):
    promote(tmp_path / "baselines", "good")
    promote(tmp_path / "baselines", "torn")
    (tmp_path / "baselines/torn/baseline.json").write_text("{")
    found = gate_baselines.promoted(tmp_path / "baselines").set_index("baseline")
    assert found.loc["good", "reason"] == "it ships"
    assert found.loc["torn", "reason"].startswith("can't be read")


def test_without_verdicts_the_page_says_how_to_add_a_gate(tmp_path, monkeypatch):
    at = scenes.show(view, tmp_path, monkeypatch)
    assert "No gate has spoken" in at.info[0].value
    assert gate_setup.WORKFLOW in scenes.said(at)
    assert gate_setup.COMMANDS in scenes.said(at)


def test_without_verdicts_baselines_are_shown_all_the_same(tmp_path, monkeypatch):
    promote(tmp_path / "baselines", "main")
    at = scenes.show(view, tmp_path, monkeypatch)
    assert at.dataframe[0].value["reason"].tolist() == ["it ships"]


def test_the_page_needs_no_index_and_no_store(tmp_path, monkeypatch):
    at = scenes.show(view, tmp_path / "none", monkeypatch)
    assert "No gate has spoken" in at.info[0].value


def test_torn_verdicts_are_named_and_hide_no_other(store, monkeypatch):
    (store / "gates/main/20270101T000000Z-torn.json").write_text("{")
    said = words(scenes.show(view, store, monkeypatch))
    assert "1 verdict can't be read and is left out: main\\/20270101T000000Z\\-torn" in said
    assert "5 verdicts" in said


def test_where_every_verdict_is_torn_the_page_says_so_and_how_to_go_on(tmp_path, monkeypatch):
    (tmp_path / "gates/main").mkdir(parents=True)
    (tmp_path / "gates/main/20270101T000000Z-torn.json").write_text("[]")
    said = words(scenes.show(view, tmp_path, monkeypatch))
    assert "is left out" in said
    assert "No gate has spoken" in said


@pytest.mark.parametrize("evil", [scenes.EVIL, '=HYPERLINK("http://evil.example/","x")', "<!-- x", "| a | b |\n# h"])
def test_a_strangers_text_is_text(tmp_path, monkeypatch, evil):
    gated.fill(tmp_path / "runs", gated.hostile(evil))
    promote(tmp_path / "baselines", "main", reason=evil, by=evil, run_id=evil, when=evil)
    at = scenes.show(view, tmp_path / "runs", monkeypatch)
    said = words(at)
    assert "<script>" not in said
    assert "<!--" not in said
    assert "](javascript" not in said
    assert "![" not in said
    assert ":red[" not in said
    assert "\n# h" not in said
    assert "\u202e" not in said
    for drawn in at.get("vega_lite_chart"):
        assert "\u202e" not in str(drawn.proto)
        assert "\u202e" not in drawn.proto.spec.encode().decode("unicode_escape", errors="ignore")
    for frame in (d.value for d in at.dataframe):
        cells = [c for c in frame.to_numpy().ravel() if isinstance(c, str)]
        assert [c for c in cells if c.startswith(("=", "+", "@")) or "\u202e" in c or "\x1b" in c] == []
    assert not [
        b.proto.url for b in at.get("link_button") if not b.proto.url.startswith(("model?", "compare?", "curves?"))
    ]


def test_downloads_have_every_verdict_and_bare_names(table):
    shown = gates.presented(table)
    assert shown["candidate"].tolist()[0] == "model?id=ck-600#ck-600"
    assert shown["compare"].tolist()[0] == "compare?a=ck-100&b=ck-600"
    assert gates.bare(table)["candidate"].tolist() == table["candidate"].tolist()


def test_a_history_that_did_not_change_is_not_read_again(store, monkeypatch):
    gates.load(gates.past(store))
    monkeypatch.setattr(history, "read_file", lambda path: pytest.fail(f"read {path} again"))
    assert len(gates.load(gates.past(store)).table) == 5


def test_a_rewritten_file_changes_the_stamp(store):
    before = gates.past(store).stamp
    path = history.paths(store)[0]
    path.write_text(path.read_text() + " ")
    assert gates.past(store).stamp != before


def test_an_empty_history_has_the_same_columns(tmp_path):
    found = gates.load(gates.past(tmp_path))
    assert list(found.table.columns) == list(gates.ROW)
    assert gates.blocked(gates.past(tmp_path)).empty
    assert gates.again(found.table) == 0
    assert gate_baselines.history_of(gate_baselines.used(gates.past(tmp_path)), tmp_path).empty


def test_the_workflow_is_the_one_in_the_docs():
    assert (ROOT / "docs/examples/github-commands.yml").read_text() == gate_setup.WORKFLOW


def steps():
    return yaml.safe_load(gate_setup.WORKFLOW)["jobs"]["gate"]["steps"]


def commands():
    texts = [gate_setup.COMMANDS, *(step.get("run", "") for step in steps())]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("assay ")]


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words[:3]))
def test_every_command_that_is_offered_exists_with_these_options(words):
    _, name, *arguments = words
    command = main.commands[name]
    if hasattr(command, "commands"):
        name, *arguments = arguments
        command = command.commands[name]
    command.make_context(name, arguments)  # raises where an option is not known


def test_a_forks_code_does_not_run_on_ones_own_machine():
    workflow = yaml.safe_load(gate_setup.WORKFLOW)
    assert "head.repo.full_name == github.repository" in workflow["jobs"]["gate"]["if"]
    assert workflow["permissions"] == {"contents": "read"}


def test_many_verdicts_are_all_counted_and_the_newest_are_drawn(tmp_path, monkeypatch):
    gated.fill(tmp_path, *(gated.report("pass", run=f"ck-{i}", at=i) for i in range(60)))
    monkeypatch.setattr("assay.leaderboard.views.gates.DRAWN", 50)
    at = scenes.show(view, tmp_path, monkeypatch)
    assert "The newest 50 of 60 are drawn" in words(at)
    assert len(at.dataframe[0].value) == 50
