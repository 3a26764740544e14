"""The site against strangers: their names, their addresses; and where there is nothing to show."""

import io
import re
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode

import pandas as pd
import pytest

from assay.harness.index import Index
from assay.harness.interchange import imported
from assay.harness.records import Checkpoint
from tests.leaderboard import browser, gated, scenes
from tests.leaderboard.stores import measured

PARAMETERS = {
    "": "suite score q params family openness evidence rows_asked last whole cols",
    "model": "id step score of",
    "task": "name metric rows",
    "heatmap": "suite rows cols q value order base",
    "scaling": "x y rows front",
    "curves": "run tasks x log smooth band",
    "compare": "a b suite alpha",
    "samples": "a b task show page item q",
    "gates": "name at",
    "submit": "archive",
    "about": "x",
}
"""What each page's address may say."""
VALUES = {
    "unknown": "nothing-is-called-so",
    "traversal": "../../../../etc/passwd",
    "script": "<script>document.title='owned'</script>",
    "numbers": "NaN",
    "negative": "-1",
    "long": "x" * 3_000,
    "control": "\0\x1b[31m\u202e",
}
FORMULA = '=HYPERLINK("http://evil.example","x")'
RTL = "\u202egnirts desrever\u202c \x1b[31mred\x1b[0m"


@pytest.fixture(scope="module")
def chromium():
    with browser.browser() as found:
        yield found


@pytest.fixture(scope="module")
def trap():
    """A server that nobody has a reason to ask, and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def names(trap):
    """Names that would do something if anything took them for more than names."""
    place, _ = trap
    return {
        "html": f"<img src={place}/html onerror=\"document.title='owned'\"><script>document.title='owned'</script>",
        "markdown": f"![x]({place}/md.png) [click](javascript:document.title='owned') :red[hot] $x^2$ # h",
        "formula": FORMULA,
        "rtl": RTL,
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory, registry, names):
    """Runs whose names, facts, answers, programs and errors are a stranger's."""
    folder = tmp_path_factory.mktemp("hostile") / "runs"
    scenes.series(folder, registry, {100: 0.6, 200: 0.2})
    for key, name in names.items():
        facts = {"series": name, "family": name, "dataset": name, "licence": name, "openness": name, "notes": [name]}
        links = ["javascript:document.title='owned'", f"{name}"]
        told = Checkpoint(label=name, step=7, parameters=10**8, tokens=10**9)
        scenes.numbers(folder, registry, key, 0.4, checkpoint=told, environment={"facts": facts | {"links": links}})
        speaking(folder, registry, f"speaks-{key}", name)
        gated.fill(folder, gated.hostile(name), gated.hostile(name, gate=f"gate-{key}"))
    scenes.hostile(folder)
    return scenes.indexed(folder, registry, facts="")


def speaking(folder, registry, run_id, said):
    """A run with samples in which a model, its program and its errors say this."""
    whole = measured(
        folder.parent / "made", registry, run_id, model="corrupted:0.5", tasks=("demo_sums", "demo_animals")
    )
    rows = {task: whole.samples(task).to_pylist() for task in whole.results}
    for row in (r for task in rows.values() for r in task):
        row |= {"response": said, "extracted": said, "program": said, "stderr": said, "note": said[:200]}
    plan = replace(whole.plan, checkpoint=replace(whole.plan.checkpoint, label=said), tasks=dict(whole.plan.tasks))
    results = [replace(r, samples_sha256="", message=said) for r in whole.results.values()]
    imported.save(imported.Imported(plan=plan, results=results, samples=rows), folder)


@pytest.fixture(scope="module")
def base(store):
    with browser.site(store) as address:
        yield address


@pytest.fixture
def visit(chromium, base):
    opened = []

    def go(address, site=base):
        opened.append(browser.Visit(chromium, site))
        return opened[-1].open(address)

    yield go
    for each in opened:
        each.sound()
        assert each.page.title() != "owned"
        each.close()


def addresses(key):
    """Every page that can show a run."""
    run, other = {"id": key}, f"speaks-{key}"
    yield "?last=false"
    yield f"model?{urlencode(run)}"
    yield f"model?{urlencode({'id': other})}"
    yield from ("task?name=demo_sums", "heatmap?suite=demo_centred", "scaling?y=demo_sums", "curves")
    yield f"compare?{urlencode({'a': 'ck-100', 'b': other})}"
    yield f"compare?{urlencode({'a': key, 'b': 'ck-100'})}"
    yield f"samples?{urlencode({'a': 'ck-200', 'b': other, 'task': 'demo_sums'})}"
    yield f"samples?{urlencode({'a': other, 'task': 'demo_animals'})}"
    yield f"gates?{urlencode({'name': f'gate-{key}'})}"
    yield "about"


@pytest.mark.parametrize("key", ["html", "markdown", "formula", "rtl"])
def test_what_a_stranger_wrote_is_text_and_nothing_more(visit, trap, key):
    place, asked = trap
    page = visit("")
    for address in addresses(key):
        page.open(address)
        live = page.page.locator(f"img[src*='{place}'], a[href^='javascript:'], a[href*='{place}']")
        assert live.evaluate_all("found => found.map(e => e.outerHTML)") == [], address
        assert page.page.locator("[data-testid=stApp] script").count() == 0, address
        shown = "".join(page.shown())
        assert [shown[m.start() - 40 : m.end() + 40] for m in re.finditer("[\u202e\u202c\x1b\0]", shown)] == [], address
    assert asked == []


def test_a_downloaded_formula_is_a_text(visit):
    page = visit("?suite=demo_centred")
    rows = pd.read_csv(io.BytesIO(page.download("CSV")), dtype=str).fillna("")
    cells = [c for c in rows.to_numpy().ravel() if "HYPERLINK" in c]
    assert cells
    assert all(c.startswith("'=") for c in cells)
    assert "\u202e" not in rows.to_string()


def test_a_formula_in_a_grid_is_one_for_no_spreadsheet(visit):
    """Streamlit's own button on a grid saves the cells as they are."""
    page = visit("")
    page.page.add_init_script("delete window.showSaveFilePicker")  # it would open a window that no test can click
    page.open("?suite=demo_centred")
    with page.page.expect_download() as coming:
        page.page.get_by_role("button", name="Download as CSV").first.dispatch_event("click")
    rows = pd.read_csv(coming.value.path(), dtype=str).fillna("")
    cells = [c for c in rows.to_numpy().ravel() if "HYPERLINK" in c]
    assert cells
    assert [c for c in cells if c.lstrip("\"' ").startswith(("=", "+", "@")) and not c.startswith("'")] == []


@pytest.mark.parametrize("value", VALUES)
def test_an_address_that_asks_for_nonsense_gets_a_page(visit, value):
    page = visit("")
    for path, keys in PARAMETERS.items():
        page.open(f"{path}?{urlencode(dict.fromkeys(keys.split(), VALUES[value]))}")
        shown = page.text
        assert "root:x:0" not in shown
        assert page.page.locator("h1").count() >= 1, path
        if value == "unknown" and path in ("model", "task", "compare", "samples"):
            assert "There is no" in shown, path


def test_an_unknown_run_is_answered_with_the_nearest_names(visit):
    shown = visit("model?id=ck-20").text
    assert "There is no run “ck-20”" in shown
    assert "ck-200" in shown


def asked(address, data=None):
    """The status and beginning of whatever answers."""
    try:
        with urllib.request.urlopen(address, data, timeout=30) as answer:  # noqa: S310
            return answer.status, answer.read(100_000).decode(errors="replace")
    except urllib.error.HTTPError as error:
        with suppress(ConnectionError), error:  # it may hang up on what it will not read
            return error.code, error.read(100_000).decode(errors="replace")
        return error.code, ""


def test_a_search_of_40_kilobytes_finds_nothing_and_one_of_400_hurts_nobody(base, visit):
    """The server refuses a request's head from about 64 kB on."""
    assert "No run is left" in visit(f"?suite=demo_centred&q={'x' * 40_000}").text
    assert asked(f"{base}/?q={'x' * 400_000}")[0] in (200, 400, 414, 431)
    assert browser.healthy(base)


@pytest.mark.parametrize("place", ["app/static/ck-100/plan.json", "runs/ck-100/plan.json", "media/../../plan.json"])
def test_no_file_of_the_store_or_the_machine_is_served(base, place):
    for path in (place, f"{place}/../../../../etc/passwd", f"{place}%2f..%2f..%2f..%2fetc%2fpasswd"):
        said = asked(f"{base}/{path}")[1]
        assert "root:x:0" not in said
        assert "schema_version" not in said


def test_programs_are_not_let_in(base):
    assert asked(f"{base}/_stcore/agent/interact", b"{}")[0] == 403


EMPTY = {
    "": "holds no results yet",
    "model": "holds no runs yet",
    "task": "Not run yet",
    "heatmap": "holds no results yet",
    "scaling": "holds no results yet",
    "curves": "hf:checkpoints/step-*",
    "compare": "holds no runs yet",
    "samples": "holds no runs yet",
    "gates": "No gate has spoken",
    "submit": "assay submit validate",
    "about": "runs",
}


@pytest.mark.parametrize("state", ["no index", "an empty index", "what is no index"])
def test_where_there_is_nothing_every_page_says_what_to_do(tmp_path, registry, chromium, state):
    folder = tmp_path / "runs"
    folder.mkdir()
    if state == "an empty index":
        Index(folder, registry).sync()
    elif state == "what is no index":
        (folder / "index.sqlite").write_bytes(b"not a database at all" * 99)
    with browser.site(folder) as base:
        page = browser.Visit(chromium, base)
        for path, said in EMPTY.items():
            page.open(path).sound()
            if state != "an empty index" and path not in ("gates", "submit"):
                said = f"assay reindex --store {folder}"
            assert said in page.text, path
        page.close()


def test_an_index_that_goes_away_and_comes_back_is_noticed(tmp_path, registry, chromium):
    folder = tmp_path / "runs"
    measured(folder, registry, "one", model="oracle", label="the first")
    Index(folder, registry).sync()
    with browser.site(folder) as base:
        page = browser.Visit(chromium, base).open("?suite=demo_centred&score=raw")
        assert "1 run." in page.text
        (folder / "index.sqlite").unlink()
        with page.rerun():
            page.page.get_by_role("radio", name="centred", exact=True).first.click()
        assert "assay reindex" in page.sound().text
        measured(folder, registry, "two", model="random:1")
        Index(folder, registry).sync()
        page.open("?suite=demo_centred")
        assert "2 runs." in page.sound().text
        page.close()


def test_any_page_may_be_the_first_that_a_site_is_asked_for(store, chromium):
    with browser.site(store) as base:
        page = browser.Visit(chromium, base).open("model?id=ck-100").sound()
        assert "Make it again" in page.text
        page.close()


def test_identical_runs_have_nothing_lost_and_nothing_gained(tmp_path, registry, chromium):
    folder = tmp_path / "runs"
    for name in ("one", "two"):
        measured(folder, registry, name, model="random:4")
    Index(folder, registry).sync()
    with browser.site(folder) as base:
        page = browser.Visit(chromium, base).open("samples?a=one&b=two&task=demo_sums").sound()
        assert "alike on all 48 items" in page.text
        page.open("compare?a=one&b=two").sound()
        assert "identical" in page.text.lower()
        page.close()
