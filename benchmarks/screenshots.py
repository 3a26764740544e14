"""Pictures of the site for docs/images, taken in a real browser.

    python benchmarks/screenshots.py STORE [--demo STORE] [--gated STORE] [--only NAME] [--out docs/images]

STORE holds a series with samples and published results. What shows single samples is taken of --demo, the runs of
`make demo`, whose rows are our own: benchmark rows don't belong into a repository. --gated holds a series of which a
gate blocked a checkpoint.
"""

import argparse
import io
import sys
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/leaderboard"))  # the site and the browser that tests start
import browser  # noqa: E402

MOST = 2_400
"""Pixels of height: what lies below is left out."""
SHOTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("overview", "?last=true", {}),
    ("overview-dark", "?q=llama", {"scheme": "dark"}),
    ("overview-390", "", {"width": 390}),
    ("model", "model?id={last}", {}),
    ("task", "task?name=arc_easy", {}),
    ("heatmap", "heatmap?value=delta&base={middle}&q=series", {}),
    ("scaling", "scaling?x=flops", {}),
    ("curves", "curves?run={series}", {}),
    ("curves-dark-390", "curves?run={series}", {"scheme": "dark", "width": 390}),
    ("compare", "compare?a={middle}&b={last}", {}),
    ("compare-390", "compare?a={middle}&b={last}", {"width": 390}),
    ("submit", "submit", {}),
    ("about", "about", {}),
)
OF_DEMO = (
    ("samples", "samples?a={middle}&b={last}&task=demo_capitals&show=gained", {}),
    ("samples-code", "samples?a=demo-code&b=&task=demo_code&show=wrong", {"scheme": "dark"}),
)
OF_GATED = (
    ("gates", "gates?at={blocked}", {}),
    ("gates-dark-390", "gates?at={blocked}", {"scheme": "dark", "width": 390}),
    ("gates-curves", "curves?run={series}&tasks=demo_sums&tasks=demo_capitals&tasks=demo_centred", {}),
)


def checkpoints(store: Path) -> dict[str, str]:
    """The series with samples in a store: its name, its last run and the one before; the last verdict that blocked."""
    from assay.leaderboard import queries
    from assay.leaderboard.loads import gates

    runs = queries.runs(queries.open_source(store))
    runs = runs[runs["step"].notna() & (runs["evidence"] == "measured")].sort_values("step")
    last, middle = runs.iloc[-1], runs.iloc[-2]
    verdicts = gates.load(gates.past(store)).table
    blocked = next(iter(verdicts[verdicts["verdict"] == "regressed"]["key"]), "")
    return {"series": last["series"], "last": last["run_id"], "middle": middle["run_id"], "blocked": blocked}


def take(store: Path, shots: Any, out: Path, only: str) -> None:
    """Open each page, make the window as high as it is, and take its picture."""
    known = checkpoints(store)
    with browser.site(store) as base, browser.browser() as chromium:
        for name, address, look in shots:
            if only and only not in name:
                continue
            visit = browser.Visit(chromium, base, **look)
            visit.open(address.format(**known))
            width = look.get("width", 1280)
            height = visit.page.get_by_test_id("stMainBlockContainer").evaluate("e => e.scrollHeight")
            visit.page.set_viewport_size({"width": width, "height": min(int(height) + 60, MOST)})
            visit.page.wait_for_timeout(1_500)  # charts are drawn again for the new size
            picture = Image.open(io.BytesIO(visit.page.screenshot())).convert("RGB")
            picture.quantize(128).save(out / f"{name}.png", optimize=True)
            print(out / f"{name}.png", f"{(out / f'{name}.png').stat().st_size / 1024:.0f} KiB", flush=True)
            visit.close()


def main() -> None:
    """Take them all."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("store", type=Path)
    arguments.add_argument("--demo", type=Path)
    arguments.add_argument("--gated", type=Path)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--out", type=Path, default=ROOT / "docs/images")
    asked = arguments.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    take(asked.store, SHOTS, asked.out, asked.only)
    if asked.demo:
        take(asked.demo, OF_DEMO, asked.out, asked.only)
    if asked.gated:
        take(asked.gated, OF_GATED, asked.out, asked.only)


if __name__ == "__main__":
    main()
