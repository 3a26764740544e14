"""How long the board's pages take, in a browser, over a store as large as it may have to be.

    python benchmarks/board.py [--runs 5000] [--tasks 60] [--rounds 5] [--store FOLDER] [--json FILE] [--into PAGE]

Makes the store (benchmarks/generated.py), indexes it, starts the site and a Chromium ($ASSAY_CHROMIUM, else chromium on
the PATH). Each round visits every page in turn, in a profile that knows nothing yet. Prints, of each page, medians over
the rounds:

first paint   from the navigation until the page's script is done and its tables and charts are painted
filter        from the key or the click until the page shows what was asked for
data          what the page itself sent until then, before and after the filter; the site's own scripts apart, in the
              caption: a browser keeps them
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import generated
import pages

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/leaderboard"))  # the site and the browser that tests start
import browser

MARK = "<!-- speed -->"
WATCH = """
window.assay = {acted: 0, answered: 0, drawn: null};
for (const kind of ['click', 'keydown']) document.addEventListener(kind, () => {
  window.assay.acted = performance.now(); window.assay.answered = 0; window.assay.drawn = null;
}, true);
const painted = (record) => record.target.closest === undefined || !record.target.closest('canvas');
new MutationObserver(records => { // a grid's cells for screen readers come a moment after its picture
  if (records.some(painted)) { window.assay.answered = performance.now(); window.assay.drawn = null; }
}).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ['data-test-script-state']});
const all = (id) => [...document.querySelectorAll(`[data-testid=${id}]`)];
const done = () => {
  const app = all('stApp')[0];
  return app && app.dataset.testConnectionState === 'CONNECTED' && app.dataset.testScriptState === 'notRunning'
    && all('stElementContainer').length && !all('stSkeleton').length
    && all('stDataFrame').every(e => !e.checkVisibility() || e.querySelector('canvas'))
    && all('stVegaLiteChart').every(e => !e.checkVisibility() || e.querySelector('canvas, svg'));
};
const look = () => {
  if (!done()) window.assay.drawn = null;
  else if (window.assay.drawn === null) window.assay.drawn = performance.now();
  requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
"""In the page: when it was last acted on, when it last changed, and since when it is drawn."""
STILL_MS = 400
"""A page that has not changed for so long, and is drawn, is done."""


def typed(text: str, label: str) -> Callable[[Any], None]:
    """A search typed, ended with Enter; only Enter counts."""

    def do(page: Any) -> None:
        field = page.get_by_label(label).first
        if not field.is_visible():
            page.get_by_text("Filters", exact=True).click()
        field.fill(text)
        field.press("Enter")

    return do


def clicked(text: str) -> Callable[[Any], None]:
    """One of a few, side by side."""
    return lambda page: page.get_by_role("radio", name=text, exact=True).first.click()


def toggled(text: str) -> Callable[[Any], None]:
    """A switch."""
    return lambda page: page.get_by_text(text, exact=True).first.click()


def addresses(a: str, b: str, series: str) -> dict[str, tuple[str, Callable[[Any], None] | None]]:
    """Every page with something on it, and what a person changes there."""
    return {
        "Overview": ("", typed("Alder", "Search")),
        "Overview, centred to raw": ("", clicked("raw")),
        "Model": (f"model?id={b}", clicked("centred")),
        "Task": ("task?name=hellaswag", None),
        "Heatmap": ("heatmap", clicked("similarity")),
        "Scaling": ("scaling", clicked("parameters")),
        "Curves": (f"curves?run={series}", toggled("Log axis")),
        "Compare": (f"compare?a={a}&b={b}", clicked("0.01")),
        "Samples": (f"samples?a={a}&b={b}&task=hellaswag", typed("7", "Search")),
        "Gates": ("gates", None),
        "Contribute": ("submit", None),
        "About": ("about", None),
    }


class Meter:
    """What the network carried to one tab, in bytes."""

    def __init__(self, page: Any) -> None:
        self.files, self.data = 0, 0
        cdp = page.context.new_cdp_session(page)
        cdp.send("Network.enable")
        cdp.on("Network.loadingFinished", self._file)
        cdp.on("Network.webSocketFrameReceived", self._frame)

    def _file(self, event: Mapping[str, Any]) -> None:
        self.files += int(event["encodedDataLength"])

    def _frame(self, event: Mapping[str, Any]) -> None:
        self.data += len(event["response"]["payloadData"]) * 3 // 4  # base64


def settled(page: Any) -> Mapping[str, float]:
    """What the page noted of itself, once it is still."""
    page.wait_for_function(
        f"() => window.assay.drawn !== null && performance.now() - window.assay.answered > {STILL_MS}"
        f" && window.assay.answered > window.assay.acted && performance.now() - window.assay.drawn > {STILL_MS}"
    )
    return dict(page.evaluate("window.assay"))


def visit(chromium: Any, base: str, address: str, act: Callable[[Any], None] | None) -> dict[str, float | None]:
    """One page in a fresh profile: first paint, data, a filter, data again."""
    tab = browser.Visit(chromium, base, watch=False)
    try:
        tab.page.add_init_script(WATCH)
        meter = Meter(tab.page)
        tab.page.goto(f"{base}/{address}")
        first = settled(tab.page)
        found = {"paint_s": first["drawn"] / 1e3, "data_mb": meter.data / 1e6, "files_mb": meter.files / 1e6}
        if act is None:
            return found | {"filter_ms": None, "filter_mb": None}
        before = meter.data
        act(tab.page)
        then = settled(tab.page)
        return found | {"filter_ms": then["drawn"] - then["acted"], "filter_mb": (meter.data - before) / 1e6}
    finally:
        tab.close()


def measure(store: Path, rounds: int) -> dict[str, Any]:
    """All pages, round after round; the site's very first visit by itself."""
    ids = sorted(p.name for p in store.iterdir() if p.is_dir())
    series = f"{generated.FAMILIES[0]}-000"
    a, b = [name for name in ids if name.startswith(series)][-2:]
    found: dict[str, list[dict[str, Any]]] = {}
    with browser.site(store) as base, browser.browser() as chromium:
        cold = visit(chromium, base, "", None)
        for _ in range(rounds):
            for name, (address, act) in addresses(a, b, series).items():
                found.setdefault(name, []).append(visit(chromium, base, address, act))
                print(f"{name:26} {found[name][-1]}", file=sys.stderr)
    return {"first visit of all": cold, "pages": found}


def middle(rows: list[dict[str, Any]], key: str) -> float | None:
    """The median over the rounds."""
    values = [row[key] for row in rows if row[key] is not None]
    return statistics.median(values) if values else None


def table(measured: Mapping[str, Any], options: argparse.Namespace) -> str:
    """The measurements, for people."""
    kept = statistics.median(row["files_mb"] for rows in measured["pages"].values() for row in rows)
    first = measured["first visit of all"]["paint_s"]
    lines = [
        f"{options.runs:,} runs × {options.tasks} tasks, {date.today()}, {os.cpu_count()} cores, medians of "
        f"{options.rounds} rounds. The very first visit after a start: {first:.1f} s. Scripts that a browser keeps: "
        f"{kept:.1f} MB.",
        "",
        "| page | first paint, s | data, MB | a filter, ms | data, MB |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, rows in measured["pages"].items():
        paint, data = middle(rows, "paint_s"), middle(rows, "data_mb")
        spent, more = middle(rows, "filter_ms"), middle(rows, "filter_mb")
        last = f"{spent:.0f} | {more:.2f}" if spent is not None and more is not None else "– | –"
        lines.append(f"| {name} | {paint:.2f} | {data:.2f} | {last} |")
    return "\n".join(lines)


def main() -> None:
    """Make, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--tasks", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", type=Path, help="keep the generated store here, or use the one that is there")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--into", type=Path, help=f"a page with a pair of {MARK}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="assay-board-") as scratch:
        store = options.store or Path(scratch) / "runs"
        if not store.is_dir():
            begun = time.monotonic()
            generated.make(store, options.runs, options.tasks)
            print(f"made in {time.monotonic() - begun:.0f} s", file=sys.stderr)
        begun = time.monotonic()
        subprocess.run([browser.ASSAY, "reindex", "--store", store], check=True, stderr=subprocess.DEVNULL)
        print(f"indexed in {time.monotonic() - begun:.0f} s", file=sys.stderr)
        measured = measure(store, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(measured, indent=1) + "\n")
    pages.show(table(measured, options), options.into, MARK)


if __name__ == "__main__":
    main()
