"""Reports for machines: JUnit, and annotations of a workflow."""

import os
import re
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree as ET

import pytest

from assay.harness.gating import annotations as commands
from assay.harness.gating import junit, wording
from assay.harness.gating.types import Effect, State
from tests.gate import reported

ALL = [reported.usual(), reported.every(), reported.hostile(), reported.report()]
NAMED = ["usual", "every", "hostile", "empty"]
ERRORS = ("not_comparable", "missing", "infra")
ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "timestamp"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    **{tag: {"type", "message"} for tag in ("failure", "error", "skipped")},
    "system-out": set(),
}
"""Of JUnit's elements, those that every reader knows."""


def outcome(report, strict=False, at=0):
    """The element that one case carries, or None."""
    case = ET.fromstring(junit.junit(report, strict).encode()).findall(".//testcase")[at]  # noqa: S314
    return case[0] if len(case) else None


# JUnit


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("state", get_args(State))
@pytest.mark.parametrize("effect", get_args(Effect))
def test_a_case_is_red_exactly_where_the_build_is(state, effect, strict):
    found = outcome(reported.report(reported.finding(state=state, effect=effect)), strict)
    tag = None if found is None else found.tag
    if effect == "fail":
        assert tag == ("error" if state in ERRORS else "failure")
    elif state == "inconclusive":
        assert tag == ("failure" if strict else "skipped")
    elif state in ERRORS:
        assert tag == "skipped"
    else:
        assert tag == ("system-out" if state in ("regressed", "minor") else None)


def test_strictness_concerns_what_blocks_alone():
    assert (
        outcome(reported.report(reported.finding(state="inconclusive", effect="note", tier="track")), True).tag
        == "skipped"
    )


def test_a_failure_says_the_figures_and_the_reason():
    found = outcome(reported.report(reported.finding()))
    assert found.get("message") == "δ −2.1 points, 95 % [−3.4, −0.8], Holm p 0.004, 61 lost / 33 gained of 1,319"
    assert found.get("type") == "regressed"
    assert found.text.startswith("it is worse; the same weights answer 0.4 %")
    assert outcome(reported.report(reported.unmeasured("a", "missing"))).get("message") == "it is worse"


def test_a_waived_drop_passes_and_says_who_waived_it():
    found = outcome(reported.report(reported.finding(effect="note", waived="waived by Ada until 2026-12-15: known")))
    assert found.tag == "system-out"
    assert "waived by Ada until 2026-12-15: known" in found.text


def test_each_anchor_is_a_suite_and_the_counts_add_up():
    root = ET.fromstring(junit.junit(reported.every()).encode())  # noqa: S314
    suites = root.findall("testsuite")
    assert [s.get("name") for s in suites] == ["core against baseline main", "core against best-so-far"]
    for suite in (*suites, root):
        for count, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            assert int(suite.get(count)) == len(suite.findall(f".//{tag}"))
    assert len(root.findall(".//testcase")) == len(reported.every().findings)


@pytest.mark.parametrize("report", ALL, ids=NAMED)
@pytest.mark.parametrize("strict", [False, True])
def test_junit_has_the_elements_that_readers_know(report, strict):
    root = ET.fromstring(junit.junit(report, strict).encode())  # noqa: S314
    for element in root.iter():
        assert set(element.keys()) == ATTRIBUTES[element.tag]
        assert len(element) <= 1 or element.tag in ("testsuites", "testsuite", "properties")


@pytest.mark.parametrize("report", ALL, ids=NAMED)
def test_junit_keeps_the_schema_that_jenkins_publishes(report):
    path = Path(os.environ.get("ASSAY_JUNIT_XSD", "junit-10.xsd"))
    if not path.is_file():
        pytest.skip(f"{path}: name junit-10.xsd, of Jenkins' xUnit plugin or pytest's sources, in $ASSAY_JUNIT_XSD")
    etree = pytest.importorskip("lxml.etree")
    etree.XMLSchema(etree.parse(path)).assertValid(etree.fromstring(junit.junit(report).encode()))


# annotations


def unescaped(command):
    """A workflow command as a runner reads it: kind, title, message."""
    kind, title, message = re.fullmatch(r"::(\w+) title=(.*?)::(.*)", command).groups()
    for escaped, plain in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        title, message = title.replace(escaped, plain), message.replace(escaped, plain)
    return kind, title, message


def test_annotations_are_errors_warnings_and_what_improved():
    found = [unescaped(c)[:2] for c in commands.annotations(reported.usual()).splitlines()]
    assert found == [
        ("error", "gsm8k regressed"),
        ("warning", "core_v2 inconclusive"),
        ("notice", "lambada_openai improved"),
        ("notice", "coqa improved"),
    ]


def test_a_pass_without_news_annotates_nothing():
    assert commands.annotations(reported.report(reported.finding(state="held", effect="pass"))) == ""


@pytest.mark.parametrize("name", reported.HOSTILE, ids=ascii)
def test_a_hostile_name_stays_in_its_annotation(name):
    said = commands.annotations(reported.report(reported.finding(name, reason=name)))
    [(kind, title, message)] = [unescaped(c) for c in said.split("\n")]
    assert kind == "error"
    assert title == f"{wording.name(name)} regressed"
    assert message.split("\n") == [wording.figures(reported.finding()), wording.why(reported.finding(reason=name))]
    assert not re.search(r"title=[^:]*[,\r]", said)


def test_only_ten_of_a_kind_are_annotated_and_the_last_says_how_many_more():
    drops = [reported.finding(f"t{i}", delta=-i / 1000) for i in range(25)]
    found = [unescaped(c) for c in commands.annotations(reported.report(*drops)).splitlines()]
    assert [title for _, title, _ in found] == [*(f"t{i} regressed" for i in range(24, 15, -1)), "16 more"]
    assert len(commands.annotations(reported.report(*drops[:10])).splitlines()) == 10
