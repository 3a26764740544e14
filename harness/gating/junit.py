"""A gate's report as JUnit XML: red where the gate is red, and nowhere else.

Keeps the schema that Jenkins publishes (`junit-10.xsd` of its xUnit plugin).
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from assay.harness.gating import wording
from assay.harness.gating.types import UNMEASURED, Finding, Report
from assay.harness.gating.wording import line, name


def junit(report: Report, strict: bool = False) -> str:
    """A suite per anchor, a case per task or composite.

    What fails the build is a `failure` where it was measured and an `error` where it could not be; what could not be
    decided or measured and fails nothing is `skipped`; any other case passes, a drop that was waived or only warns with
    its numbers as output. A verdict that no case accounts for is a case of its own.

    Args:
        report: what the gate said.
        strict: what is inconclusive in tier `block` is a `failure`.
    """
    root = ET.Element("testsuites", name=f"assay gate {name(report.gate)}")
    anchors = [a.name for a in report.anchors]
    anchors += [a for a in dict.fromkeys(f.anchor for f in report.findings) if a not in anchors]
    for anchor in anchors:
        cases = [_case(report, f, strict) for f in report.findings if f.anchor == anchor]
        _suite(root, report, f"{name(report.gate)} against {name(anchor)}", cases)
    if report.exit_code and not any(f.effect == "fail" for f in report.findings):
        case = ET.Element("testcase", classname=name(report.gate), name="verdict", time="0")
        ET.SubElement(case, "error", type=report.verdict, message=line(report.sentence))
        _suite(root, report, name(report.gate), [case])
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}'


def _suite(root: ET.Element, report: Report, called: str, cases: Sequence[ET.Element]) -> None:
    counts = {
        of: str(sum(case.find(tag) is not None for case in cases))
        for of, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    when = line(report.created, wording.NAME)
    suite = ET.SubElement(root, "testsuite", {"name": called, "tests": str(len(cases)), **counts, "timestamp": when})
    properties = ET.SubElement(suite, "properties")
    facts = {
        "verdict": report.verdict,
        "exit_code": str(report.exit_code),
        "candidate": name(report.candidate.name),
        "candidate_run": name(report.candidate.run_id),
        "alpha": f"{report.alpha:g}",
    }
    for key, value in facts.items():
        ET.SubElement(properties, "property", name=key, value=value)
    suite.extend(cases)


def _case(report: Report, f: Finding, strict: bool) -> ET.Element:
    case = ET.Element("testcase", classname=f"{name(report.gate)}.{name(f.anchor)}", name=name(f.name), time="0")
    tag, said = _outcome(f, strict), wording.figures(f)
    if tag:
        why = wording.why(f)
        ET.SubElement(case, tag, type=f.state, message=said or why).text = why
    elif f.waived or f.state in ("regressed", "minor"):
        ET.SubElement(case, "system-out").text = "\n".join((wording.state(f), said, wording.why(f)))
    return case


def _outcome(f: Finding, strict: bool) -> str:
    """The element that a case carries; "" where it passes."""
    fails = f.effect == "fail"
    if f.state in UNMEASURED:
        return "error" if fails else "skipped"
    if f.state == "inconclusive":
        return "failure" if fails or (strict and f.tier == "block") else "skipped"
    return "failure" if fails else ""
