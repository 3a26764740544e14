"""Every mistake in a spec names file, line, key and the nearest valid name."""

import pytest

from assay.tasks import registry
from assay.tasks.loading import TaskSpecError, load

GOOD = """\
tasks:
  - name: mine
    kind: multiple_choice
    skill: test
    shots: 2
    baseline: {v1: 25, v2: 25, reason: "1/4 options"}
    data:
      path: mine.jsonl
      git_blob: abc
      rows: 3
    licence: ours
"""


def broken(tmp_path, old, new):
    path = tmp_path / "t.yaml"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(TaskSpecError) as error:
        load(path)
    return str(error.value)


def test_a_good_spec_loads_with_defaults_filled(tmp_path):
    (tmp_path / "t.yaml").write_text(GOOD)
    (task,) = load(tmp_path / "t.yaml").tasks
    assert (task.seed, task.example_delimiter, task.seam, task.max_length) == (1234, "\n", "segments", 2048)
    assert task.source == f"{tmp_path}/t.yaml:2"


def test_unknown_key_names_line_and_nearest(tmp_path):
    said = broken(tmp_path, "shots: 2", "shots: 2\n    continuation_delimeter: x")
    assert f"{tmp_path}/t.yaml:6" in said
    assert "unknown key 'continuation_delimeter'; did you mean 'continuation_delimiter'?" in said


def test_unknown_nested_key_names_its_own_line_and_nearest(tmp_path):
    said = broken(tmp_path, "rows: 3", "rows: 3\n      protectd: true")
    assert "t.yaml:11" in said
    assert "did you mean 'protected'?" in said


@pytest.mark.parametrize("key", ["name", "kind", "skill", "shots", "baseline", "licence"])
def test_missing_key_is_named(tmp_path, key):
    lines = [line for line in GOOD.splitlines() if f" {key}:" not in line]
    if key == "name":
        lines[1] = "  - kind: multiple_choice"
        lines = [lines[0], lines[1], *lines[3:]]
    path = tmp_path / "t.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(TaskSpecError, match=rf"t.yaml:2: .*missing key '{key}'"):
        load(path)


def test_missing_nested_key_is_named_in_full(tmp_path):
    assert "missing key 'data.git_blob'" in broken(tmp_path, "      git_blob: abc\n", "")


def test_wrong_type_names_line_and_value(tmp_path):
    said = broken(tmp_path, "shots: 2", "shots: two")
    assert "t.yaml:5" in said
    assert "key 'shots'" in said
    assert "'two'" in said


def test_a_number_is_not_quietly_taken_for_text(tmp_path):
    assert "key 'licence'" in broken(tmp_path, "licence: ours", "licence: 3")


def test_unknown_kind_suggests_the_nearest(tmp_path):
    said = broken(tmp_path, "multiple_choice", "multiple_choise")
    assert "t.yaml:3" in said
    assert "did you mean 'multiple_choice'?" in said


def test_a_baseline_of_100_percent_is_refused(tmp_path):
    assert "baseline.v2" in broken(tmp_path, "v2: 25", "v2: 100")


def test_a_key_that_stands_twice_is_refused(tmp_path):
    assert "key 'shots' stands twice" in broken(tmp_path, "shots: 2", "shots: 2\n    shots: 3")


def test_bad_yaml_names_the_line(tmp_path):
    assert "t.yaml:8: not valid YAML" in broken(tmp_path, 'reason: "1/4 options"}', "reason: [")


def test_unknown_section_suggests_the_nearest(tmp_path):
    assert "unknown section 'task'; did you mean 'tasks'?" in broken(tmp_path, "tasks:", "task:")


def test_a_duplicate_name_names_both_places(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(GOOD)
    with pytest.raises(TaskSpecError, match=r"b.yaml:2: task 'mine' is already defined at .*a.yaml:2"):
        registry.open_registry([tmp_path])


def test_a_suite_of_unknown_tasks_is_refused(tmp_path):
    (tmp_path / "s.yaml").write_text("suites:\n  - {name: s, description: d, tasks: [arc_eassy]}\n")
    with pytest.raises(TaskSpecError, match=r"s.yaml:2: .*unknown task 'arc_eassy'; did you mean 'arc_easy'"):
        registry.open_registry([tmp_path])


def test_a_folder_without_specs_says_so(tmp_path):
    with pytest.raises(TaskSpecError, match=r"no \.yaml spec files here"):
        registry.open_registry([tmp_path])


def test_protected_data_may_not_leave_text_in_records(tmp_path):
    text = GOOD.replace("rows: 3", "rows: 3\n      protected: true").replace("multiple_choice", "generation")
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(TaskSpecError, match="protected data needs kind multiple_choice"):
        registry.open_registry([tmp_path])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: mine", "name: 2024-01-01", "quote it"),
        ("name: mine", "name: a/b", "key 'name'"),
        ("name: mine", "name: '..'", "key 'name'"),
        ("tasks:", "defaults: 3\ntasks:", "'defaults' must be a mapping"),
        ("tasks:\n", "tasks: &a [*a]\nsuites:\n", "inside its own anchor"),
        ("shots: 2", 'shots: 2\n    stop: ["("]', "not a regular expression"),
        ("shots: 2", 'shots: 2\n    stop: [""]', "key 'stop.0'"),
    ],
)
def test_odd_values_are_errors_of_the_spec_not_tracebacks(tmp_path, old, new, said):
    assert said in broken(tmp_path, old, new)


def test_an_empty_suite_is_refused(tmp_path):
    (tmp_path / "t.yaml").write_text("suites:\n  - {name: s, description: d, tasks: []}\n")
    with pytest.raises(TaskSpecError, match="key 'tasks'"):
        load(tmp_path / "t.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "t.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TaskSpecError, match=r"t\.yaml:1"):
        load(tmp_path / "t.yaml")
