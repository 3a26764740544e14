"""Verdicts of gates, as `assay gate check` leaves them in a store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from assay.harness.gating import history
from assay.harness.gating.types import Finding, Report, Side

MAIN = Side(name="baseline main", run_id="ck-100", label="ck-100", series="mine", step=100)
WAIVER = {"task": "demo_animals", "until": "2026-12-15", "days_left": "24", "reason": "known, see #41", "by": "Ada"}
EXITS = {"pass": 0, "regressed": 3, "inconclusive": 4, "not_measured": 5}


def finding(name="demo_sums", state="regressed", **said):
    """One finding; a drop of 12 points on 96 items unless something else is said."""
    usual = {"kind": "task", "anchor": MAIN.name, "tier": "block", "mode": "detect", "effect": "fail"}
    numbers = {"reason": "−12.5 points: Holm p 0.002", "margin": 0.02, "base": 0.5, "value": 0.375, "n": 96}
    numbers |= {"lost": 14, "gained": 2, "delta": -0.125, "low": -0.2, "high": -0.05, "p": 0.001, "p_adjusted": 0.002}
    return Finding(name=name, state=state, **(usual | numbers | {"mde": 0.06} | said))


HELD = finding(
    "demo_capitals",
    "held",
    effect="pass",
    mode="prove",
    delta=0.01,
    low=-0.01,
    high=0.03,
    lost=1,
    gained=2,
    p=0.7,
    p_adjusted=1.0,
    reason="+1.0 points: at worst −1.0 points, within −2.0",
)
UNSEEN = finding(
    "demo_trades",
    "no_change_seen",
    effect="pass",
    tier="track",
    delta=-0.01,
    low=-0.04,
    high=0.02,
    lost=2,
    gained=1,
    p=0.5,
    p_adjusted=1.0,
    reason="−1.0 points: within chance",
)
UNSURE = finding(
    "demo_sums",
    "inconclusive",
    mode="prove",
    delta=-0.01,
    low=-0.05,
    high=0.03,
    p=0.4,
    p_adjusted=0.4,
    lost=3,
    gained=2,
    reason="−1.0 points: at worst −4.4 points; a drop of 2.0 points can't be ruled out",
)


def report(verdict="regressed", *, run="ck-400", at=0, gate="main", findings=None, **said):
    """A verdict on a checkpoint of the series that `scenes.series` measures, `at` minutes after noon."""
    usual = {"regressed": (finding(), HELD, UNSEEN), "inconclusive": (UNSURE, HELD), "pass": (HELD, UNSEEN)}
    step = int(run.partition("-")[2]) if run.startswith("ck-") else None
    made = Report(
        gate=gate,
        verdict=verdict,
        exit_code=EXITS[verdict],
        sentence=f"{verdict.replace('_', ' ').capitalize()}: {run} against baseline main.",
        created=(datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(minutes=at)).isoformat().replace("+00:00", "Z"),
        candidate=Side(name=run, run_id=run, label=run, series="mine", step=step),
        anchors=(MAIN,),
        findings=usual.get(verdict, ()) if findings is None else findings,
        inputs={"config": "0" * 64},
        tests=2 if usual.get(verdict) else 0,
        seconds=1.5,
    )
    return replace(made, **said)


def fill(store, *reports):
    """Put them into a store's history; their files."""
    return [history.record(store, r) for r in reports]


def several(store):
    """One of each verdict, and a waiver."""
    waived = finding("demo_animals", waived="waived by Ada until 2026-12-15: known, see #41", effect="pass")
    return fill(
        store,
        report("pass", run="ck-200", at=0),
        report("inconclusive", run="ck-300", at=60),
        report("not_measured", run="ck-500", at=90),
        report("regressed", run="ck-400", at=120, notes=("noise is unknown",)),
        report("pass", run="ck-600", at=180, findings=(waived, HELD), waivers=(WAIVER,)),
    )


def hostile(evil, **said):
    """A verdict whose every text is a stranger's."""
    side = Side(name=evil, run_id=evil, label=evil, series=evil, step=7)
    found = finding(evil, anchor=evil, reason=evil, waived=evil, test=evil, shares={evil: 0.5})
    findings = (replace(found, kind="composite", name=f"{evil} mean"), found, replace(found, tier="track"))
    waiver = dict.fromkeys(("task", "until", "days_left", "reason", "by"), evil)
    texts = {"sentence": f"Regressed: {evil}", "notes": (evil,), "waivers": (waiver,), "inputs": {evil: evil}}
    usual = {"gate": evil, "candidate": side, "anchors": (side,), "findings": findings}
    return report(**(usual | texts | said))
