"""Tables for the pages of docs/: printed, or put between a page's two marks."""

from __future__ import annotations

from pathlib import Path


def show(text: str, into: Path | None, mark: str) -> None:
    """Print a text, or let it replace what stands between the two marks of a page."""
    if into is None:
        print(text.strip("\n"))
        return
    before, first, rest = into.read_text().partition(mark)
    _, second, after = rest.partition(mark)
    if not (first and second):
        raise SystemExit(f"{into} has no pair of {mark}")
    into.write_text(f"{before}{mark}\n{text}\n{mark}{after}")
