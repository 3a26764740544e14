"""Our arithmetic gives DCLM's published composites."""

import json

import pytest

from assay.tasks import aggregate

CLOSE = 1e-9


def published(reference):
    for path in sorted((reference / "dclm/exp_data/evals").glob("*.json")):
        yield path.name, json.loads(path.read_text())


def composite(registry, name, values):
    c = registry.composites[name]
    specs = [registry.tasks[t] for t in registry.suites[c.suite].tasks]
    return aggregate.mean_centred(c.name, specs, c.baseline, values)


@pytest.mark.parametrize("name", ["Core_v1", "Core_v2", "Extended_v1", "Extended_v2"])
def test_published_composites_are_reproduced(registry, reference, name):
    exact, missing, other = 0, 0, {}
    for file, data in published(reference):
        ours = composite(registry, name.lower(), data["eval_metrics"]["icl"])
        stored = data[name]
        if isinstance(stored, str) or stored is None:
            assert ours.value is None, f"{file}: upstream says {stored}, we {ours}"
            missing += 1
        elif ours.value is None or abs(ours.value - stored) > CLOSE:
            other[file] = (ours.value, stored, ours.missing)
        else:
            exact += 1
    assert not other
    assert (exact, missing) == ((156, 0) if name.startswith("Core") else (149, 7))


def test_published_skill_means_are_reproduced(registry, reference):
    names = registry.suites["dclm-extended"].tasks
    compared = 0
    for file, data in published(reference):
        values = data["eval_metrics"]["icl"]
        if data["eval_version"] != "v2" or not set(names) <= set(values):
            continue
        found = {c.name: c.value for c in aggregate.composites(registry, names, values, {})}
        for skill, stored in data["aggregated_task_categories_centered"].items():
            assert found[f"{skill} (v2)"] == pytest.approx(stored, abs=CLOSE), file
            compared += 1
    assert compared > 800


def test_the_worked_example_of_olmo_1b(registry, reference):
    (data,) = [d for f, d in published(reference) if "olmo" in f.lower() and "1b" in f.lower()]
    values = data["eval_metrics"]["icl"]
    assert composite(registry, "core_v2", values).value == pytest.approx(0.272346, abs=1e-6)
    assert composite(registry, "extended_v2", values).value == pytest.approx(0.137513, abs=1e-6)
    assert composite(registry, "core_v1", values).value == pytest.approx(0.297216, abs=1e-6)
    assert composite(registry, "extended_v1", values).value == pytest.approx(0.160914, abs=1e-6)


def test_a_missing_task_makes_the_composite_na_with_the_list(registry):
    core = registry.suites["dclm-core"].tasks
    score = composite(registry, "core_v2", dict.fromkeys(core[2:], 0.5))
    assert score.value is None
    assert score.missing == core[:2]


def test_categories_weigh_the_same_whatever_their_size():
    assert aggregate.task_mean({"a": [1.0] * 9, "b": [0.0]}) == 0.5


def test_centring():
    assert aggregate.centre(0.25, 25) == 0.0
    assert aggregate.centre(1.0, 62) == 1.0
    assert aggregate.centre(0.0, 50) == -1.0


def test_tasks_of_one_file_add_their_errors_others_add_squares(registry):
    same = [registry.tasks[t] for t in ("hellaswag", "hellaswag_zeroshot")]
    apart = [registry.tasks[t] for t in ("lambada_openai", "squad")]
    for specs, wanted in ((same, 2 * 0.03 / 0.75 / 2), (apart, 2**0.5 * 0.03 / 2)):
        values, errors = {s.name: 0.5 for s in specs}, {s.name: 0.03 for s in specs}
        assert aggregate.mean_centred("x", specs, "v2", values, errors).stderr == pytest.approx(wanted)
