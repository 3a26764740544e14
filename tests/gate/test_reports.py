"""What a gate prints: the same report in every form, harmless whatever it names, and never larger than it may be."""

import json
import math
import re
from copy import deepcopy
from dataclasses import replace
from typing import get_args

import pytest

from assay.harness.gating import annotations as commands
from assay.harness.gating import junit, markdown, records, reports, wording
from assay.harness.gating.history import Recorded
from assay.harness.gating.types import Effect, State, Verdict
from tests.conftest import ROOT
from tests.gate import rendered, reported

LINK = "https://board.example/compare?a=one&copy=two"
PUBLISHED = ROOT / "docs/schemas/gate-1.json"
ALL = [reported.usual(), reported.every(), reported.hostile(), reported.report()]
NAMED = ["usual", "every", "hostile", "empty"]


# gate.json


@pytest.mark.parametrize("seed", range(50))
def test_a_report_comes_back_from_json_as_it_was(seed):
    report = reported.chance(seed)
    assert records.from_json(json.loads(json.dumps(records.to_json(report), allow_nan=False))) == report


@pytest.mark.parametrize("report", [reported.usual(), reported.every(), reported.report()], ids=NAMED[:2] + NAMED[3:])
def test_states_waivers_and_sides_come_back(report):
    assert records.from_json(records.to_json(report)) == report


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_written_as_unknown(value):
    report = reported.report(reported.finding(delta=value, mde=value), seconds=value)
    data = json.loads(json.dumps(records.to_json(report), allow_nan=False))
    assert (data["findings"][0]["delta"], data["findings"][0]["mde"], data["seconds"]) == (None, None, None)
    with pytest.raises(ValueError, match="alpha"):
        records.to_json(replace(report, alpha=value))


def test_hostile_text_is_json_that_can_be_written_and_read():
    data = records.to_json(reported.hostile())
    assert json.loads(json.dumps(data, ensure_ascii=False).encode()) == data
    assert records.to_json(records.from_json(data)) == data


@pytest.mark.parametrize("version", [0, 2, 1.5, "1", True, None])
def test_another_schema_version_is_refused_by_its_number(version):
    data = records.to_json(reported.usual()) | {"schema_version": version}
    with pytest.raises(records.GateRecordError, match=re.escape(f"schema {version!r}")):
        records.from_json(data)


@pytest.mark.parametrize("data", [[], "text", None, 3])
def test_what_is_no_object_is_refused(data):
    with pytest.raises(records.GateRecordError):
        records.from_json(data)


def test_fields_of_a_later_version_are_passed_over():
    data = records.to_json(reported.usual())
    data["findings"][0]["colour"] = data["weather"] = "new"
    assert records.from_json(data) == reported.usual()


# each breaks a report in one place
FAULTS = {
    "no gate": lambda d: d.pop("gate"),
    "a verdict nobody knows": lambda d: d.update(verdict="go"),
    "an exit code as text": lambda d: d.update(exit_code="3"),
    "a state nobody knows": lambda d: d["findings"][0].update(state="bad"),
    "a number as text": lambda d: d["findings"][0].update(delta="-0.1"),
    "a share as text": lambda d: d["findings"][0].update(shares={"a": "much"}),
    "a side without a run": lambda d: d["candidate"].pop("run_id"),
    "findings that are none": lambda d: d.update(findings={}),
    "a note that is a number": lambda d: d.update(notes=[3]),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_schema_and_reader_refuse_the_same_faults(fault):
    jsonschema = pytest.importorskip("jsonschema")
    data = records.to_json(reported.usual())
    fault(data)
    assert not jsonschema.Draft202012Validator(records.schema()).is_valid(data)
    with pytest.raises(records.GateRecordError, match=r"not a gate\.json"):
        records.from_json(data)


@pytest.mark.parametrize("report", ALL, ids=NAMED)
def test_every_report_keeps_the_published_schema(report):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(PUBLISHED.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(records.to_json(report))


def test_every_field_is_demanded_of_a_reader():
    schema = records.schema()
    for part in (schema, *schema["$defs"].values()):
        assert set(part["required"]) == set(part["properties"])


def test_the_published_schema_is_the_one_in_force():
    now = json.dumps(records.schema(), indent=1, ensure_ascii=False) + "\n"
    assert PUBLISHED.read_text() == now, f"write records.schema() to {PUBLISHED}, and raise SCHEMA_VERSION if it breaks"


# words and numbers


@pytest.mark.parametrize(
    ("value", "said"),
    [(-0.021, "−2.1"), (0.021, "+2.1"), (0.0, "0.0"), (-0.0001, "0.0"), (1, "+100.0"), (None, "–"), (math.nan, "–")],
)
def test_a_difference_is_said_in_points_with_its_sign(value, said):
    assert wording.points(value) == said


def test_the_figures_of_a_finding_are_one_line():
    said = "δ −2.1 points, 95 % [−3.4, −0.8], Holm p 0.004, 61 lost / 33 gained of 1,319"
    assert wording.figures(reported.finding()) == said
    assert wording.figures(reported.unmeasured("a", "missing")) == ""


def test_a_tiny_p_is_never_said_to_be_zero():
    assert wording.probability(1e-12) == "<0.001"


def test_every_state_effect_and_verdict_has_its_words():
    assert set(wording.STATES) == set(get_args(State))
    assert set(wording.EFFECTS) == set(get_args(Effect))
    assert set(wording.VERDICTS) == set(get_args(Verdict))
    assert len(set(wording.STATES.values())) == len(wording.STATES)


def test_what_fails_or_warns_is_shown_whatever_its_tier():
    shown, others = wording.split(reported.every())
    assert {f.effect for f in others} == {"note", "pass"}
    assert "block" not in {f.tier for f in others}
    assert len(shown) + len(others) == len(reported.every().findings)


# the terminal


@pytest.mark.parametrize("report", ALL, ids=NAMED)
def test_a_terminal_gets_the_verdict_first_and_no_control_codes(report):
    said = reports.text(report)
    assert said.splitlines()[0][2:] == wording.line(report.sentence)
    assert not [c for c in said if c != "\n" and not c.isprintable()]


def test_the_terminal_table_has_what_blocks_and_counts_the_others():
    said = reports.text(reported.usual())
    assert re.search(r"^gsm8k +✗ regressed +−2\.1 +\[−3\.4, −0\.8\] +0\.004 +2\.4 +61 / 33 of 1,319$", said, re.M)
    assert "9 others: 8 no change seen, 1 improved" in said
    assert "copa" not in said
    assert "squad until 2026-12-15 (24 days left): new tokenizer, see #41, by Ada" in said
    assert "measured with engine 'hf'" in said


def test_a_gate_that_compared_nothing_says_so_everywhere():
    report = reported.report()
    assert "nothing that blocks was compared" in reports.text(report)
    assert "Nothing that blocks was compared" in markdown.markdown(report, limit=markdown.COMMENT)
    assert "<error" in junit.junit(report)
    assert commands.annotations(report).startswith("::error title=gate core not measured::")


def test_a_history_is_listed_with_what_could_not_be_read():
    said = reports.history(Recorded(reports=(reported.usual(), reported.hostile()), left_out={"core/x": "torn\x1b[2J"}))
    assert "✗ regressed" in said
    assert "torn\\x1b[2J" in said
    assert not [c for c in said if c != "\n" and not c.isprintable()]
    assert reports.history(Recorded()) == "no verdicts in this store"


# Markdown


def test_markdown_begins_with_its_marker_and_says_what_flipped_and_where_from():
    said = markdown.markdown(reported.usual(), limit=markdown.COMMENT, link=LINK)
    page = rendered.Page(said)
    assert said.startswith("<!-- assay-gate:core -->\n### ✗ Gate `core`: regressed\n")
    assert ["gsm8k", "✗ regressed", "−2.1", "[−3.4, −0.8]", "0.004", "2.4", "61 / 33 of 1,319"] in page.rows
    assert "Flipped items against baseline main: 1,094 lost, 935 gained of 31,084." in page.text
    assert "core_v2, δ −0.6: gsm8k 41 % (δ −2.1), bigbench_qa_wikidata 22 %" in page.text
    assert "9 others: 8 no change seen, 1 improved" in page.text
    assert page.links == [LINK]


def test_several_anchors_have_a_column():
    page = rendered.Page(markdown.markdown(reported.every(), limit=markdown.STEP_SUMMARY))
    assert {row[1] for row in page.rows} == {"baseline main", "best-so-far"}


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "", "//x", "data:text/html,x", "http://[", "https://x/" + "y" * 9999]
)
def test_an_address_that_leads_nowhere_is_no_link(link):
    page = rendered.Page(markdown.markdown(reported.usual(), limit=markdown.COMMENT, link=link))
    assert page.links == []


@pytest.mark.parametrize("link", ['https://x/) <b>"|`', "https://x/?a=(1)&lt=2&copy=[3]", "https://x/ä"])
def test_an_address_stays_one_link(link):
    page = rendered.Page(markdown.markdown(reported.usual(), limit=markdown.COMMENT, link=link))
    assert len(page.links) == 1
    assert rendered.address(page.links[0]) == rendered.address(link)


def test_hostile_names_are_shown_and_make_no_markup():
    report = reported.hostile()
    said = markdown.markdown(report, limit=markdown.STEP_SUMMARY, link=LINK)
    page = rendered.Page(said)
    assert page.tags <= rendered.OURS
    assert page.comments == [markdown.marker(report.gate)[4:-3]]
    assert page.links == [LINK]
    assert {len(row) for row in page.rows} == {8}
    assert len(page.rows) == len(report.findings)
    assert sorted(row[0] for row in page.rows) == sorted(wording.name(f.name) for f in report.findings)
    assert not rendered.LINKED.findall(page.prose)


@pytest.mark.parametrize("text", reported.HOSTILE, ids=ascii)
def test_a_hostile_sentence_is_read_as_it_was_written(text):
    page = rendered.Page(f"before\n\n- {markdown.prose(text)}\n\n| a |\n|---|\n| {markdown.prose(text)} |")
    want = wording.line(text)
    assert page.tags <= {"p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.text.replace("\u2060", "").split("\n")[1:] == ([want, "a", want] if want else ["a"])


@pytest.mark.parametrize("name", reported.HOSTILE, ids=ascii)
def test_a_marker_is_one_comment_of_its_own(name):
    found = markdown.marker(name)
    assert re.fullmatch(r"<!-- assay-gate:[A-Za-z0-9_.]*(-[A-Za-z0-9_.]+)* -->", found)
    assert sum(markdown.marker(other) == found for other in reported.HOSTILE) == 1


@pytest.mark.parametrize("limit", [markdown.LEAST, markdown.COMMENT, markdown.STEP_SUMMARY])
@pytest.mark.parametrize("tier", ["track", "block"])
def test_a_large_report_keeps_its_limit_and_says_what_it_left_out(limit, tier):
    report = reported.many(5000, tier, "pass" if tier == "track" else "fail")
    said = markdown.markdown(report, limit=limit, link=LINK)
    page = rendered.Page(said)
    left = [
        int(n.replace(",", "")) for n in re.findall(r"([\d,]+) more (?:others|rows of this table) in gate.json", said)
    ]
    assert len(said.encode()) <= limit
    assert len(page.rows) + sum(left) == len(report.findings)
    assert len(said.encode()) > 0.9 * limit or not left
    assert page.tags <= rendered.OURS
    assert said.count("<details>") == said.count("</details>") == (tier == "track")


def test_what_is_folded_away_is_left_out_before_what_blocks():
    report = reported.many(5000, notes=("a note",))
    page = rendered.Page(markdown.markdown(report, limit=markdown.LEAST))
    assert {"gsm8k", "mmlu", "squad"} <= {row[0] for row in page.rows}
    assert "a note" in page.text
    assert "it is worse" in page.text


def test_no_report_at_all_exceeds_its_limit():
    long = tuple("\\<|\U000e0001" * 500 for _ in range(500))
    sides = tuple(replace(reported.MAIN, name=n, run_id=n) for n in long)
    for report in (
        reported.hostile(),
        replace(reported.hostile(), gate=long[0], sentence=long[0], notes=long, anchors=sides),
    ):
        for limit in (markdown.LEAST, markdown.COMMENT):
            said = markdown.markdown(report, limit=limit, link="https://x/" + "&" * 300)
            assert len(said.encode()) <= limit
            assert rendered.Page(said).tags <= rendered.OURS


def test_a_limit_that_holds_no_verdict_is_refused():
    with pytest.raises(ValueError, match="the least is"):
        markdown.markdown(reported.usual(), limit=markdown.LEAST - 1)


def test_making_words_changes_no_report():
    report = reported.usual()
    before = deepcopy(report)
    reports.text(report), junit.junit(report), commands.annotations(report), markdown.markdown(report, limit=99_999)
    assert report == before
