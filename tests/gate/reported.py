"""Reports of gates, made up: one as it usually looks, one with every state and effect, one with hostile names."""

import random
from dataclasses import replace
from itertools import product
from typing import get_args

from assay.harness.gating.types import Effect, Finding, Report, Side, State, Tier

MAIN = Side(name="baseline main", run_id="20261119-step-000100", label="step-000100", series="toy", step=100)
BEST = Side(name="best-so-far", run_id="20261120-step-000200", label="step-000200", series="toy", step=200, averaged=3)
CANDIDATE = Side(
    name="step-000240",
    run_id="20261121-step-000240",
    label="step-000240",
    series="toy",
    step=240,
    created="2026-11-21T18:00:00Z",
)
WAIVER = {"task": "squad", "until": "2026-12-15", "days_left": "24", "reason": "new tokenizer, see #41", "by": "Ada"}
HOSTILE = (
    "</summary></details><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a|b",
    "`tick`",
    "```",
    "\\",
    "\\|",
    "\\\\|x`|",
    "one\n# heading",
    "one\r\n\r\n| a | b |\n|---|---|",
    "@octocat",
    "team@example.org",
    "--> <b>bold</b> <!--",
    "[x](javascript:alert(1))",
    "![x](https://evil.example/pixel.png)",
    "https://evil.example",
    "www.evil.example",
    "ssh://evil.example",
    "#12",
    "1. one",
    "- [ ] task",
    "%0A::error::x",
    "::set-output name=a::b",
    "x\n::stop-commands::y",
    "a:b,c",
    "\x1b[31mred\x07",
    "\x00\x01\ufffe\uffff",
    "\u202egnp",
    "\ud800",
    "",
    "  ",
    "$x$",
    "~~s~~ **b** _i_ ***",
    "&lt;b&gt; &#64; &amp;",
    '\'" onmouseover="x',
    "]]>",
    "漢字é🙂",
    "=1+1",
    "n" * 4000,
)


def finding(name="gsm8k", state="regressed", effect="fail", **said):
    """One finding: 61 of 1,319 items lost and 33 gained, unless something else is said."""
    usual = {"kind": "task", "anchor": MAIN.name, "tier": "block", "mode": "detect", "reason": "it is worse"}
    numbers = {"margin": 0.01, "base": 0.412, "value": 0.391, "n": 1319, "lost": 61, "gained": 33}
    numbers |= {"delta": -0.021, "low": -0.034, "high": -0.008, "lower": -0.036, "upper": -0.006}
    numbers |= {"p": 0.001, "p_adjusted": 0.004, "mde": 0.024, "noise": 0.004, "self_flips": 0.004, "test": "mcnemar"}
    return Finding(name=name, state=state, effect=effect, **(usual | numbers | said))


def unmeasured(name, state, effect="fail", **said):
    """A finding without a number."""
    none = dict.fromkeys(("base", "value", "delta", "low", "high", "lower", "upper", "p", "p_adjusted", "mde"))
    return finding(name, state, effect, **(none | {"n": 0, "lost": 0, "gained": 0, "self_flips": None} | said))


def report(*findings, **said):
    """A report that fails as its findings do."""
    failing = {f.state for f in findings if f.effect == "fail"}
    if failing & {"not_comparable", "missing", "infra"} or not findings:
        verdict, code = "not_measured", 5
    elif "regressed" in failing:
        verdict, code = "regressed", 3
    else:
        verdict, code = ("inconclusive", 4) if failing else ("pass", 0)
    usual = {
        "gate": "core",
        "verdict": verdict,
        "exit_code": code,
        "sentence": f"{verdict}: step-000240 against baseline main",
        "created": "2026-11-21T18:05:00Z",
        "candidate": CANDIDATE,
        "anchors": (MAIN,),
        "inputs": {"config": "0" * 64},
        "tests": len(findings),
    }
    return Report(findings=findings, **(usual | said))


def every():
    """Each state with each effect in each tier, as a task and as a composite, with a waiver here and there."""
    kinds = product(get_args(State), get_args(Effect), get_args(Tier), ("task", "composite"))
    made = [
        finding(f"{state} {effect} {tier} {kind}", state, effect, tier=tier, kind=kind, anchor=anchor.name)
        for (state, effect, tier, kind), anchor in product(kinds, (MAIN, BEST))
    ]
    made[0] = replace(made[0], shares={"gsm8k": 0.6, "mmlu": 0.3})
    made[5] = replace(made[5], waived="waived by Ada until 2026-12-15: known")
    return report(*made, anchors=(MAIN, BEST), waivers=(WAIVER,), notes=("one", "two"), promote=True, seconds=0.25)


def hostile():
    """Every text that comes from outside is an attack, each of them as a task, an anchor, a note and so on."""
    tiers = ("block", "track")
    made = [
        finding(text, effect="fail" if tier == "block" else "pass", tier=tier, reason=text, waived=text, anchor=text)
        for text, tier in product(HOSTILE, tiers)
    ]
    made += [finding(text, "improved", "pass", kind="composite", shares={text: 0.5, "b": 0.2}) for text in HOSTILE]
    sides = tuple(Side(name=text, run_id=text, label=text) for text in HOSTILE)
    texts = " ".join(HOSTILE)
    waivers = tuple(dict.fromkeys(("task", "until", "days_left", "reason", "by"), text) for text in HOSTILE)
    said = {"gate": texts, "sentence": texts, "notes": HOSTILE, "waivers": waivers, "created": texts}
    return report(*made, candidate=Side(name=texts, run_id=texts), anchors=sides, inputs={texts: texts}, **said)


def chance(seed):
    """A report of random numbers, some of them unknown."""
    draw = random.Random(seed)

    def number():
        return draw.choice([None, draw.uniform(-1, 1), draw.gauss(0, 1e-9), 0.0, 1.0])

    names = ("base", "value", "delta", "low", "high", "lower", "upper", "p", "p_adjusted", "mde", "noise", "self_flips")
    made = [
        finding(
            draw.choice(HOSTILE[:20]),
            draw.choice(get_args(State)),
            draw.choice(get_args(Effect)),
            n=draw.randrange(10**6),
            shares={f"t{i}": draw.random() for i in range(draw.randrange(5))},
            **{name: number() for name in names},
        )
        for _ in range(draw.randrange(20))
    ]
    return report(*made, seconds=number(), promote=draw.random() < 0.5)


def many(count, tier="track", effect="pass", **said):
    """A report with so many findings of one tier, beside three that block."""
    made = [
        finding(f"big_task_{i:05d}_漢字", "no_change_seen", effect, tier=tier, reason=f"reason {i}")
        for i in range(count)
    ]
    return report(finding("gsm8k"), finding("mmlu"), finding("squad", "held", "pass"), *made, **said)


def usual():
    """As a pull request sees it: DCLM's CORE with a real drop on one task."""
    drop = "−2.1 points: Holm p 0.004 ≤ 0.01, and at least 1.0 points"
    core = finding(
        "core_v2",
        "inconclusive",
        "warn",
        kind="composite",
        mode="prove",
        delta=-0.006,
        low=-0.017,
        high=0.005,
        p_adjusted=0.42,
        mde=0.016,
        n=91_037,
        shares={"gsm8k": 0.41, "bigbench_qa_wikidata": 0.22, "squad": 0.14, "copa": 0.09, "winograd": 0.05},
        reason="−0.6 points: at worst −2.1 points; a drop of 2.0 points can't be ruled out",
        self_flips=None,
    )
    held = {"mode": "prove", "effect": "pass", "lost": 143, "gained": 151, "n": 14_042, "delta": 0.0006}
    held |= {"low": -0.0018, "high": 0.0030, "p_adjusted": 1.0, "mde": 0.0071, "reason": "+0.1 points: within −1.0"}
    squad = {"effect": "note", "lost": 802, "gained": 610, "n": 10_570, "delta": -0.0182, "low": -0.0233}
    squad |= {"high": -0.013, "p_adjusted": 0.0004, "mde": 0.009, "reason": "−1.8 points: Holm p 0.0004"}
    better = {"effect": "pass", "lost": 88, "gained": 141, "n": 5_153, "delta": 0.0103, "low": 0.0045, "high": 0.0161}
    better |= {"p_adjusted": 1.0, "mde": 0.011, "reason": "+1.0 points, by more than chance"}
    same = {"effect": "pass", "delta": -0.004, "low": -0.013, "high": 0.005, "lost": 31, "gained": 25, "n": 1_319}
    same |= {"p_adjusted": 1.0, "mde": 0.018, "reason": "−0.4 points: within chance", "tier": "track"}
    tracked = ("arc_challenge", "arc_easy", "boolq", "copa", "hellaswag", "jeopardy", "piqa", "winograd")
    return report(
        core,
        finding("gsm8k", reason=drop),
        finding("squad", waived="waived by Ada until 2026-12-15: new tokenizer, see #41", **squad),
        finding("mmlu_fewshot", "held", **held),
        finding("lambada_openai", "improved", **better),
        *(finding(name, "no_change_seen", **same) for name in tracked),
        finding("coqa", "improved", **(better | {"tier": "track"})),
        gate="core",
        sentence=f"Regressed: step-000240 against baseline main is worse on gsm8k; clearest on gsm8k, {drop}.",
        notes=(
            "baseline main was measured with engine 'hf', step-000240 with 'vllm'",
            "noise between checkpoints is unknown for 1 of what blocks: fewer than 5 earlier checkpoints",
        ),
        waivers=(WAIVER,),
        tests=5,
        seconds=0.4,
    )
