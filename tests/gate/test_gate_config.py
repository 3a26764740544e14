"""gate.yaml: what it means, and that a fault is named by file, line, key and the nearest valid name."""

from datetime import date

import pytest

from assay.harness.gating import checking, snapshots
from assay.harness.gating.config import GateConfigError, load
from assay.harness.gating.types import Rule, Waiver
from assay.tasks.types import UserError
from tests.gate.fixtures import rules

WHOLE = """\
version: 1
suite: core-v2
baseline:
  use: pinned/main
  also: [best-so-far]
  on_missing: fail
comparable:
  must_match: [fingerprint, rows, chat_template, arguments]
  warn_if_differs: [engine, dtype, device, tokenizer, assay_version]
family: {alpha: 0.01, correction: holm}
noise: {window: 10, k: 2.0, min_points: 5}
health: {max_infra_error: 0.005, max_unpaired: 0.01, max_truncated_rise: 0.05}
defaults: {tier: track, mode: detect, min_effect: 0.01}
composites:
  core: {tier: block, mode: prove, max_drop: 0.02}
tasks:
  mmlu_fewshot: {tier: block, mode: prove, max_drop: 0.01}
  gsm8k: {tier: block, mode: detect, min_effect: 0.02}
  humanevalplus: {tier: warn, mode: detect, min_effect: 0.05}
  bigbench_*: {tier: track}
waivers:
  - {task: gsm8k, until: 2026-12-15, reason: "known tokenizer change, see #41", by: OWNER}
verdicts: {inconclusive: warn, not_comparable: fail, missing: fail}
"""
"""Every key. `comparable` names settings of ours: the fingerprint covers items, shots, prompt, sampling and scorer."""
HEAD = "version: 1\nsuite: demo\n"


@pytest.fixture
def gate(tmp_path):
    """Write a gate.yaml and read it."""

    def read(text, name="nightly.yaml"):
        (tmp_path / name).write_text(text)
        return load(tmp_path / name)

    return read


def test_a_file_with_every_key_is_read(gate):
    config = gate(WHOLE)
    assert (config.name, config.suite, config.use, config.also) == (
        "nightly",
        "core-v2",
        "pinned/main",
        ("best-so-far",),
    )
    assert "arguments" in config.must_match
    assert config.composites == {"core": Rule(tier="block", mode="prove", min_effect=0.02, max_drop=0.02)}
    assert config.tasks["gsm8k"] == Rule(tier="block", min_effect=0.02)
    assert config.tasks["humanevalplus"] == Rule(tier="warn", min_effect=0.05)
    assert config.waivers == (
        Waiver(task="gsm8k", until=date(2026, 12, 15), reason="known tokenizer change, see #41", by="OWNER"),
    )


def test_what_is_not_said_is_as_the_documentation_has_it(gate):
    config = gate(HEAD)
    assert config == rules(name="nightly", defaults=Rule())
    assert (config.alpha, config.k, config.on_missing, config.defaults.tier) == (0.01, 2.0, "fail", "track")


def test_a_gate_is_called_by_its_file_or_its_folder(gate, tmp_path):
    assert gate(HEAD).name == "nightly"
    assert gate(HEAD, "gate.yaml").name == tmp_path.name


FAULTS = {
    "baselin: {use: previous}": (3, "unknown key 'baselin'; did you mean 'baseline'?"),
    "tasks:\n  gsm8k: {tier: block}\n  mmlu: {teir: block}": (5, "unknown key 'tasks.mmlu.teir'; did you mean 'tier'?"),
    "tasks: [gsm8k]": (3, "key 'tasks'"),
    "tasks:": (3, "key 'tasks'"),
    "family: {alpha: '0.01'}": (3, "key 'family.alpha'"),
    "family: {alpha: true}": (3, "key 'family.alpha'"),
    "family: {alpha: 0}": (3, "key 'family.alpha'"),
    "family: {correction: none}": (3, "key 'family.correction'"),
    "defaults: {min_effect: .nan}": (3, "key 'defaults.min_effect'"),
    "defaults: {min_effect: 2}": (3, "key 'defaults.min_effect'"),
    "noise:\n  k: .inf": (4, "key 'noise.k'"),
    "noise: {min_points: 1}": (3, "key 'noise.min_points'"),
    "health: {max_infra_error: -1}": (3, "key 'health.max_infra_error'"),
    "tasks:\n  gsm8k: {mode: prove}": (4, "mode prove needs max_drop"),
    "tasks:\n  gsm8k: {mode: detect, max_drop: 0.1}": (4, "max_drop is of mode prove"),
    "composites:\n  core: {mode: prove}": (4, "mode prove needs max_drop"),
    "defaults: {mode: prove}": (3, "mode prove needs max_drop"),
    "tasks:\n  gsm8k: {tier: blocks}": (4, "'block', 'warn' or 'track'"),
    "baseline:\n  use: pined/main": (4, "'pined/main' is none of pinned/NAME, previous"),
    "baseline:\n  use: pinned/../../etc": (4, "is none of pinned/NAME"),
    "baseline:\n  also: [previous, best]": (4, "'best' is none of"),
    "baseline: {on_missing: pass}": (3, "key 'baseline.on_missing'"),
    "comparable: {must_match: [fingerprints]}": (3, "key 'comparable.must_match.0'"),
    "verdicts: {inconclusive: pass}": (3, "key 'verdicts.inconclusive'"),
    "verdicts: {regressed: warn}": (3, "unknown key 'verdicts.regressed'"),
    "waivers:\n  - {task: a, until: soon, reason: b, by: c}": (4, "key 'waivers.0.until'"),
    "waivers:\n  - {task: a, until: 2026-13-45, reason: b, by: c}": (4, "2026-13-45"),
    "waivers:\n  - {task: a, until: 20261215, reason: b, by: c}": (4, "key 'waivers.0.until'"),
    "waivers:\n  - {task: a, until: 2026-12-15, by: c}": (4, "missing key 'waivers.0.reason'"),
    "waivers:\n  - {task: a, until: 2026-12-15, reason: b, by: ''}": (4, "key 'waivers.0.by'"),
    "tasks:\n  gsm8k: {tier: block}\n  gsm8k: {tier: warn}": (5, "'gsm8k' stands twice"),
    "version: 2": (3, "'version' stands twice"),
    "tasks: {gsm8k": (4, "not valid YAML"),
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_is_named_with_its_place(gate, tmp_path, text):
    line, said = FAULTS[text]
    with pytest.raises(GateConfigError) as caught:
        gate(HEAD + text)
    assert str(caught.value).startswith(f"{tmp_path}/nightly.yaml:{line}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "missing key 'version'"),
        ("# only a remark\n", "missing key 'version'"),
        ("version: 1\n", "missing key 'suite'"),
        ("version: 2\nsuite: demo\n", "key 'version'"),
        ("version: 1\nsuite: ''\n", "key 'suite'"),
        ("- version: 1\n", "a mapping of keys"),
        ("just words\n", "a mapping of keys"),
    ],
)
def test_what_is_no_gate_is_refused(gate, tmp_path, text, said):
    with pytest.raises(GateConfigError) as caught:
        gate(text)
    assert f"{tmp_path}/nightly.yaml:" in str(caught.value)
    assert said in str(caught.value)


def test_bytes_that_are_no_text_and_no_file_at_all_are_named(tmp_path):
    with pytest.raises(GateConfigError, match="assay gate init"):
        load(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(GateConfigError, match=r"bytes.yaml:1"):
        load(tmp_path / "bytes.yaml")


@pytest.mark.parametrize(
    ("defaults", "own", "rule"),
    [
        ("{tier: block}", "{}", Rule(tier="block")),
        ("{tier: block}", "{tier: warn}", Rule(tier="warn")),
        ("{min_effect: 0.03}", "{tier: block}", Rule(tier="block", min_effect=0.03)),
        ("{min_effect: 0.03}", "{min_effect: 0.05}", Rule(min_effect=0.05)),
        ("{min_effect: 0.03}", "{max_drop: 0.02}", Rule(mode="prove", max_drop=0.02, min_effect=0.02)),
        ("{}", "{max_drop: 0.02, min_effect: 0.01}", Rule(mode="prove", max_drop=0.02, min_effect=0.01)),
        ("{mode: prove, max_drop: 0.04}", "{}", Rule(mode="prove", max_drop=0.04, min_effect=0.04)),
        ("{max_drop: 0.04}", "{tier: block}", Rule(tier="block", mode="prove", max_drop=0.04, min_effect=0.04)),
        ("{mode: prove, max_drop: 0.04}", "{mode: detect}", Rule(mode="detect")),
    ],
)
def test_a_task_has_what_it_does_not_say_from_the_defaults(gate, defaults, own, rule):
    config = gate(f"{HEAD}defaults: {defaults}\ntasks:\n  demo_sums: {own}\n")
    assert config.rule("demo_sums") == rule


def test_a_name_goes_before_a_glob_and_the_first_glob_before_the_next(gate):
    config = gate(
        HEAD + "tasks:\n  '*': {min_effect: 0.1}\n  demo_*: {min_effect: 0.2}\n  demo_sums: {min_effect: 0.3}\n"
    )
    assert [config.rule(t).min_effect for t in ("demo_sums", "demo_animals", "x")] == [0.3, 0.1, 0.1]
    config = gate(HEAD + "tasks:\n  demo_[as]*: {min_effect: 0.2}\n")
    assert [config.rule(t).min_effect for t in ("demo_sums", "demo_capitals")] == [0.2, 0.01]


def test_a_task_that_the_suite_lacks_is_refused_with_the_nearest_name(gate, registry):
    with pytest.raises(GateConfigError, match=r"demo.* no task 'demo_sum'; did you mean 'demo_sums'\?"):
        checking.tasks_of(gate(HEAD + "tasks:\n  demo_sum: {tier: block}\n"), registry)
    assert len(checking.tasks_of(gate(HEAD + "tasks:\n  demo_s*: {tier: block}\n"), registry)) == 4


def test_a_glob_that_fits_no_task_of_the_suite_is_refused(gate, registry):
    with pytest.raises(GateConfigError, match="'gsm8k_\\*'"):
        checking.tasks_of(gate(HEAD + "tasks:\n  gsm8k_*: {tier: block}\n"), registry)


def test_a_suite_or_composite_that_there_is_not_is_refused(gate, registry):
    with pytest.raises(UserError, match="demoo"):
        checking.tasks_of(gate("version: 1\nsuite: demoo\n"), registry)
    config = gate(HEAD + "composites:\n  demo_centered: {tier: block}\n")
    with pytest.raises(UserError, match="demo_centred"):
        snapshots.means(registry, list(config.composites))


def test_the_defaults_second_key_holds_in_mode_prove(gate):
    found = gate("version: 1\nsuite: demo\ndefaults: {mode: prove, max_drop: 0.05, min_effect: 0.01}")
    assert (found.defaults.min_effect, found.defaults.max_drop) == (0.01, 0.05)
    own = gate("version: 1\nsuite: demo\ndefaults: {min_effect: 0.01}\ntasks: {demo_sums: {max_drop: 0.05}}")
    assert own.rule("demo_sums").min_effect == 0.05


def test_a_composite_beyond_the_suite_and_an_alpha_below_any_test_are_refused(gate, registry):
    config = gate("version: 1\nsuite: demo_sums\ncomposites: {demo_centred: {tier: block}}")
    with pytest.raises(GateConfigError, match="demo_centred is over tasks that suite demo_sums lacks: "):
        checking.means_of(config, registry, ["demo_sums"])
    small = gate("version: 1\nsuite: demo\nfamily: {alpha: 1.0e-5}\ndefaults: {tier: block}")
    with pytest.raises(GateConfigError, match="over 4 tests is below 1e-05"):
        checking.means_of(small, registry, checking.tasks_of(small, registry))
