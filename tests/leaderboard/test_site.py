"""The site in a real browser over real results: DCLM's published ones, four checkpoints, model-written code."""

import io
import json
import re
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest

from assay.harness.interchange import tables
from assay.leaderboard import queries
from assay.leaderboard.loads import overview
from tests.leaderboard import browser, showcase
from tests.leaderboard.showcase import GEMMA

PAGES = {
    "overview": ("", ["Leaderboard", "core_v2", "160 runs", "Phi-3"]),
    "model": ("model?id={b}&again=true", ["step-001602", "measured", "make it again"]),
    "model of aggregates": (f"model?id={GEMMA}", ["google--gemma-7b", "published aggregates", "contamination"]),
    "task": ("task?name=arc_easy", ["2,376 rows", "What it can resolve", "Items"]),
    "code task": ("task?name=humaneval_plus", ["humaneval_plus"]),
    "heatmap": ("heatmap", ["Heatmap", "checkpoints"]),
    "heatmap of differences": ("heatmap?value=delta&q=gemma", ["Heatmap", "base"]),
    "scaling": ("scaling", ["Scaling", "front", "6·N·D"]),
    "curves": ("curves?run=series-a", ["4 checkpoints of 1 training run", "arc_easy"]),
    "compare": ("compare?a={a}&b={b}", ["is better than", "jeopardy", "survive"]),
    "compare aggregates": (f"compare?a={GEMMA}&b=google--gemma-2b-dclm-9618bc1d", ["samples"]),
    "samples": ("samples?a={a}&b={b}&task=jeopardy", ["gained", "jeopardy"]),
    "code samples": ("samples?a=code-right&b=code-faulty&task=humaneval_plus", ["lost", "NameError"]),
    "samples of aggregates": (f"samples?a={GEMMA}", ["published numbers alone"]),
    "gates": ("gates", ["2 verdicts", "1 regressed", "Were no checkpoint worse", "One verdict", "demo_capitals"]),
    "contribute": ("submit", ["assay submit validate"]),
    "about": ("about", ["Is the difference real?", "Mistral"]),
}
"""Every page with something on it: its address, and words that it must say."""
WAYS = {
    "overview": ("", "raw", {"score": ["raw"]}),
    "model": ("model?id={b}", "centred", {"score": ["centred"]}),
    "heatmap": ("heatmap?q=gemma", "delta", {"value": ["delta"]}),
    "scaling": ("scaling", "parameters", {"x": ["parameters"]}),
    "curves": ("curves?run=series-a", "step", {"x": ["step"]}),
    "compare": ("compare?a={a}&b={b}", "0.01", {"alpha": ["0.01"]}),
}
"""What is clicked on a page, and what the address then says."""
LOOKS = {"wide and light": (1280, "light"), "narrow and dark": (390, "dark")}


@pytest.fixture(scope="module")
def shown(tmp_path_factory, reference, mirror, request):
    try:
        code = bool(request.getfixturevalue("engine"))
    except pytest.skip.Exception:
        code = False  # the tests that show programs are then skipped by name

    def make(folder):
        showcase.everything(folder, reference, code=code)

    return showcase.once(tmp_path_factory, "everything", make)


@pytest.fixture(scope="module")
def base(shown):
    with browser.site(shown) as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    with browser.browser() as found:
        yield found


@pytest.fixture
def visit(chromium, base):
    """Open an address in a fresh profile; everything that went wrong fails the test."""
    opened = []

    def go(address, **look):
        opened.append(browser.Visit(chromium, base, **look))
        return opened[-1].open(address)

    yield go
    for each in opened:
        each.sound()
        each.close()


@pytest.fixture(scope="module")
def filled(shown):
    a, b = showcase.steps(shown)[-2:]
    return lambda address: address.format(a=a, b=b)


@pytest.fixture(scope="module")
def tabs(chromium, base):
    """One tab a look, in which many addresses are opened."""
    made = {look: browser.Visit(chromium, base, width=width, scheme=scheme) for look, (width, scheme) in LOOKS.items()}
    yield made
    for tab in made.values():
        tab.close()


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("look", LOOKS)
def test_a_page_says_what_it_is_for_and_fits(tabs, shown, filled, name, look):
    if "code" in name and not (shown / "code-right").is_dir():
        pytest.skip("no sandbox: nothing was programmed that could be shown")
    address, words = PAGES[name]
    page = tabs[look].open(filled(address)).sound()
    said = page.text
    assert [w for w in words if w.lower() not in said.lower()] == []
    assert page.overflow() == []
    ground = page.page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == look.endswith("dark")


@pytest.mark.parametrize("name", WAYS)
def test_an_address_says_all_that_was_chosen(visit, filled, name):
    """A click changes the address; a stranger who opens it sees the same words, cells and widgets."""
    address, click, wanted = WAYS[name]
    mine = visit(filled(address))
    before = mine.shown()
    with mine.rerun():
        mine.page.get_by_role("radio", name=click, exact=True).first.click()
    link = urlsplit(mine.page.url)
    assert wanted.items() <= parse_qs(link.query).items()
    theirs = visit(f"{link.path.lstrip('/')}?{link.query}")
    assert theirs.shown() == mine.shown() != before
    assert theirs.page.get_by_role("radio", name=click, exact=True).first.is_checked()


def test_typed_and_chosen_filters_round_trip_with_their_chips(visit):
    mine = visit("")
    mine.page.get_by_text("Filters", exact=True).click()
    with mine.rerun():
        mine.page.get_by_test_id("stTextInputField").fill("gemma")
        mine.page.get_by_test_id("stTextInputField").press("Enter")
    with mine.rerun():
        mine.page.get_by_label("Openness").click()
        mine.page.get_by_role("option", name="open weights").click()
    mine.page.keyboard.press("Escape")  # the list of options hides the rest from those who can't see
    link = urlsplit(mine.page.url)
    assert parse_qs(link.query) == {"q": ["gemma"], "openness": ["open weights"]}
    theirs = visit(f"?{link.query}")
    theirs.page.get_by_text("Filters", exact=True).click()
    assert theirs.shown() == mine.shown()
    for page in (mine, theirs):
        assert page.page.get_by_role("button", name=re.compile("search “gemma”")).is_visible()
        assert page.page.get_by_role("button", name=re.compile("openness: open weights")).is_visible()
    with theirs.rerun():
        theirs.page.get_by_role("button", name="Reset all").click()
    assert urlsplit(theirs.page.url).query == ""
    assert "160 runs" in theirs.text


def test_downloads_are_exactly_the_filtered_rows(visit, shown, tmp_path):
    page = visit("?q=gemma&score=raw")
    source = queries.open_source(shown)
    board = overview.boards(source)[0]
    frames = overview.load(source, board, "raw")
    names = frames["tasks"]["task"].tolist()
    columns = [n for n in overview.HEADLINES if n in names][: overview.SHOWN]
    table = frames["table"]
    wanted = overview.exported(table[overview.searched(table, "gemma")], board, columns)
    assert 1 < len(wanted) < 10
    rows = wanted.astype(object).where(wanted.notna(), None).to_dict("records")
    assert page.download("CSV") == tables.csv_bytes(rows)
    assert page.download("Parquet") == tables.parquet_bytes(rows)
    told = json.loads(page.download("JSON"))
    assert "q=gemma" in told["permalink"]
    assert [r["run_id"] for r in told["rows"]] == wanted["run_id"].tolist()
    pd.testing.assert_series_equal(
        pd.read_csv(io.BytesIO(page.download("CSV")))["core_v2"], wanted["core_v2"].reset_index(drop=True)
    )


def test_the_plain_table_has_the_rows_of_the_canvas(visit):
    page = visit("?q=gemma")
    with page.rerun():
        page.page.get_by_text("As a plain table").first.click()
    rows = page.page.get_by_test_id("stTable").first.locator("tbody tr").all_inner_texts()
    assert len(rows) == int(re.search(r"(\d+) runs", page.text)[1])
    assert all("gemma" in row.lower() for row in rows)


def test_the_keyboard_reaches_the_filters_and_space_opens_a_plain_table(visit):
    page = visit("?q=gemma")
    reached = []
    for _ in range(100):
        page.page.keyboard.press("Tab")
        page.page.wait_for_timeout(30)  # a grid moves its own focus, a moment later
        reached.append(page.focused())
        if "As a plain table" in reached[-1]:
            break
    assert [w for w in ("Suite", "centred", "Filters", "Task columns", "CSV") if not any(w in r for r in reached)] == []
    with page.rerun():
        page.page.keyboard.press("Space")
    assert page.page.get_by_test_id("stTable").first.is_visible()


def test_two_selected_rows_lead_to_their_comparison(visit):
    page = visit("?q=step-00")
    for row in (1, 2):
        with page.rerun():
            page.row(row)
    assert page.page.get_by_role("link", name="Compare the two").get_attribute("href").startswith("compare?a=step-")


def test_every_page_is_in_the_menu(visit):
    page = visit("")
    for section in ("Results", "Checkpoints", "About"):
        page.page.get_by_test_id("stTopNavSection").filter(has_text=section).click()
        page.page.wait_for_timeout(200)
        page.page.keyboard.press("Escape")
