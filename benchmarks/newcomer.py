"""A newcomer's path, timed: from the clone to the reason why one checkpoint beat another.

    python benchmarks/newcomer.py [--from REPOSITORY] [--demo FOLDER] [--shots FOLDER]

Clones into a temporary folder, runs the README's make demo there (--demo takes the runs of an earlier demo), opens the
board, compares the second checkpoint with the last, reads an answer that flipped and downloads the table. All of
it by what can be read on the page.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/leaderboard"))  # the site and the browser that tests start
import browser  # noqa: E402

TASK = "demo_capitals"
ROW, HEAD = 35, 36
"""Pixels of a row of the grid, and of its head."""


class Walk:
    """Steps as they are taken, with their seconds and what was seen."""

    def __init__(self, shots: Path | None) -> None:
        self._shots, self._taken = shots, 0

    def step(self, what: str, do: Callable[[], str], page: Any = None) -> None:
        """Take a step, say how long it took and what came of it."""
        begun = time.perf_counter()
        seen = do()
        print(f"{time.perf_counter() - begun:7.1f} s  {what}: {seen}", flush=True)
        self._taken += 1
        if self._shots and page:
            page.screenshot(path=self._shots / f"newcomer-{self._taken}.png")


def clone(repository: str, folder: Path) -> str:
    """Clone the repository."""
    subprocess.run(["git", "clone", "--quiet", repository, str(folder)], check=True)
    return str(folder)


def demo(folder: Path) -> str:
    """Run the README's command; it makes a virtual environment of its own."""
    done = subprocess.run(["make", "demo"], cwd=folder, capture_output=True, text=True, check=True)
    return next(line for line in done.stdout.splitlines() if line.startswith("demo_centred"))


def pick(visit: browser.Visit, rows: list[int]) -> None:
    """Tick rows of the table of runs."""
    box = visit.page.get_by_test_id("stDataFrame").first.bounding_box()
    if box is None:
        raise SystemExit("the table of runs is not to be seen")
    for row in rows:
        with visit.rerun():
            visit.page.mouse.click(box["x"] + 18, box["y"] + HEAD + ROW * row + ROW / 2)


def follow(visit: browser.Visit, name: str) -> None:
    """Follow a link that opens a tab of its own, in this one."""
    address = visit.page.get_by_role("link", name=name).first.get_attribute("href")
    visit.open(str(address).removeprefix(visit.base).lstrip("/"))


def walk(visit: browser.Visit, path: Walk) -> None:
    """From the overview to the downloaded table."""
    page = visit.page

    def overview() -> str:
        visit.open("?suite=demo_centred")
        return page.locator("p", has_text="runs.").first.inner_text()

    def compare() -> str:
        pick(visit, [1, 0])
        follow(visit, "Compare the two")
        return page.get_by_test_id("stAlert").first.inner_text().splitlines()[-1]

    def samples() -> str:
        page.get_by_text("Read the samples of").scroll_into_view_if_needed()
        follow(visit, "gained")
        return page.get_by_role("heading", level=3).first.inner_text()

    def answer() -> str:
        page.get_by_text("The capital of").first.wait_for(state="attached")
        return " / ".join(a.inner_text().splitlines()[-1] for a in page.get_by_test_id("stAlert").all()[:2])

    def download() -> str:
        with visit.rerun():
            page.go_back()
        with page.expect_download() as got:
            page.get_by_test_id("stDownloadButton").get_by_text("CSV").first.click()
        rows = list(csv.DictReader(Path(got.value.path()).read_text().splitlines()))
        found = next(r for r in rows if r["task"] == TASK)
        return f"{len(rows)} tasks; {TASK}: {found}"

    path.step("open the board", overview, page)
    path.step("tick the second and the first, compare", compare, page)
    path.step(f"why: what {TASK} gained", samples, page)
    path.step("read an answer that flipped", answer, page)
    path.step("back, download the table", download, page)


def main() -> None:
    """Walk it."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--from", dest="repository", default=str(ROOT))
    arguments.add_argument("--demo", type=Path, help="folder that holds the runs of a demo")
    arguments.add_argument("--shots", type=Path, help="folder for screenshots")
    asked = arguments.parse_args()
    path = Walk(asked.shots)
    with tempfile.TemporaryDirectory() as scratch:
        runs = asked.demo
        if runs is None:
            folder = Path(scratch) / "assay"
            path.step("clone", lambda: clone(asked.repository, folder))
            path.step("make demo", lambda: demo(folder))
            runs = folder / "demo/runs"
        with browser.site(runs, env=dict(os.environ)) as base, browser.browser() as chromium:
            visit = browser.Visit(chromium, base)
            walk(visit, path)
            visit.close()


if __name__ == "__main__":
    main()
