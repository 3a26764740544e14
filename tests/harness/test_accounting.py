"""What a run costs, and a budget that stops it with nothing lost."""

import json

import pytest

from assay.harness import accounting
from assay.harness.accounting import Budget, BudgetSpent, Price
from assay.tasks.types import Answer, UserError


def results(tmp_path):
    (path,) = (tmp_path / "runs").glob("*/results.json")
    return json.loads(path.read_text())["tasks"]


def test_every_task_says_what_it_took(assay, tmp_path):
    done = assay("run", "demo_sums", "demo_animals", "--model", "oracle", check=0)
    for result in results(tmp_path).values():
        assert result["usage"]["tokens_in"] > 0
        assert result["wall_s"]["model"] > 0
    assert results(tmp_path)["demo_sums"]["usage"]["tokens_out"] > 0
    assert "tokens in" in done.stdout


def test_a_spent_budget_stops_the_run_and_a_larger_one_goes_on(assay, tmp_path):
    command = ("run", "demo", "--model", "oracle", "--price", "1000:1000", "--budget")
    stopped = assay(*command, "0.5", check=5)
    assert "the budget of $0.5 is spent" in stopped.stderr
    assert sum(r["usage"]["cost_usd"] for r in results(tmp_path).values()) >= 0.5, "what was paid for is kept"
    again = assay(*command, "0.5", check=5)
    assert "is spent" in again.stderr, "what earlier tries spent counts"
    assay(*command, "1000", check=0)
    whole = results(tmp_path)
    assert sum(r["usage"]["cost_usd"] for r in whole.values()) > 0.5
    assay("run", "demo", "--model", "oracle", "--name", "free", check=0)
    free = json.loads((tmp_path / "runs/free/results.json").read_text())["tasks"]
    assert {t: (r["value"], r["usage"]["tokens_in"]) for t, r in whole.items()} == {
        t: (r["value"], r["usage"]["tokens_in"]) for t, r in free.items()
    }


def test_a_budget_without_a_price_is_refused(assay):
    assert "--budget needs --price" in assay("run", "demo", "--model", "oracle", "--budget", "1", check=2).stderr
    assert "as 0.15:0.60" in assay("run", "demo", "--model", "oracle", "--price", "cheap", check=2).stderr


@pytest.mark.parametrize("text", ["1", "1:2:3", "-1:2", "a:b", ""])
def test_a_price_is_two_numbers(text):
    with pytest.raises(UserError, match="dollars per million tokens"):
        accounting.parse_price(text)


def test_a_budget_counts_what_goes_in_and_what_comes_out():
    budget = Budget(Price(tokens_in=1.0, tokens_out=2.0), limit=3.0)
    budget.charge([Answer(doc_id="0", responses=(), request_sha256="", tokens_in=10**6, tokens_out=500_000)])
    budget.demand()
    budget.charge([Answer(doc_id="1", responses=(), request_sha256="", tokens_in=10**6)])
    with pytest.raises(BudgetSpent, match=r"estimated \$3.0000"):
        budget.demand()


def test_what_finished_runs_of_the_same_command_cost_counts(assay):
    models = ("--model", "random:1", "--model", "random:2")  # the first costs $1.81
    command = ("run", "demo_sums", *models, "--price", "700:0", "--budget", "1.5")
    first, second = (assay(*command, check=5).stderr for _ in range(2))
    assert "random:2: the budget of $1.5 is spent" in first
    assert "random:2: the budget of $1.5 is spent" in second
