"""The real site, as its command starts it, and a real Chromium that looks at it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error, expect, sync_playwright
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ASSAY = Path(sys.executable).with_name("assay")
START_S = 60
"""For the site to answer, and for a page of it to be drawn."""
QUIET = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-dev-shm-usage"
PROBED = re.compile(r"/\w+/_stcore/(health|host-config)")
"""Streamlit's script looks for its server below the page first, and finds it above: a 404 of its own."""
STILL_MS = 150
"""Between two looks at a page that must find the same."""
GRID_MS = 700
"""For a grid to mirror its cells, after it is painted."""
FOCUSED = """(e => ['MAIN', 'BODY'].includes(e.tagName) ? ''
  : e.getAttribute('aria-label') || (e.closest('label') || e).innerText || '')(document.activeElement)"""
OVERFLOW = """[...document.querySelectorAll('[data-testid=stMain], html')]
  .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => `${e.tagName} ${e.scrollWidth} > ${e.clientWidth}`)"""
MOVED = "ERR_NETWORK_CHANGED"
"""Chromium drops what it loads when the machine gets another interface, as each of Docker's containers makes one."""
TRIES = 4
READY = "[data-testid=stApp][data-test-connection-state=CONNECTED][data-test-script-state=notRunning]"


def chromium():
    """The path of a Chromium, or a skip that says how to get one; a failure where CI sets $ASSAY_REQUIRE_BROWSER."""
    found = os.environ.get("ASSAY_CHROMIUM") or shutil.which("chromium")
    if found and Path(found).is_file():
        return found
    refuse = pytest.fail if os.environ.get("ASSAY_REQUIRE_BROWSER") == "1" else pytest.skip
    return refuse("no Chromium: make setup-browser, or name one in $ASSAY_CHROMIUM")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def healthy(base):
    try:
        with urllib.request.urlopen(f"{base}/_stcore/health", timeout=5) as answer:  # noqa: S310
            return answer.read() == b"ok"
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def site(store, *options, env=None):
    """The address of a site over this store, whose index is there already; ended with the block."""
    port = free_port()
    command = [ASSAY, "board", "--store", store, "--port", str(port), "--no-index", *options]
    log = Path(store).with_name(f"{Path(store).name}-site-{port}.log")
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **(env or {})})
    try:
        base, end = f"http://127.0.0.1:{port}", time.monotonic() + START_S
        while not healthy(base):
            assert process.poll() is None, f"the site ended:\n{log.read_text()}"
            assert time.monotonic() < end, f"the site does not answer:\n{log.read_text()}"
            time.sleep(0.1)
        yield base
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def browser():
    """A Chromium without a window."""
    with sync_playwright() as tools:
        found = tools.chromium.launch(executable_path=chromium(), args=QUIET.split(), timeout=START_S * 1000)
        yield found
        found.close()


class Visit:
    """One tab in a fresh profile, and all that went wrong in it.

    Attributes:
        page: of Playwright.
        errors: what the console and scripts complained of.
        strangers: addresses that are not the site's, which the page asked for and was refused.
    """

    def __init__(self, chromium, base, *, width=1280, height=900, scheme="light", watch=True):
        self.base, self.errors, self.strangers, self._finished = base, [], [], 0
        self.context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(START_S * 1000)
        if not watch:  # a benchmark's: listening costs time
            return
        self.page.route(lambda url: not url.startswith((base, "data:", "blob:")), self._refuse)
        self.page.on("console", lambda said: said.type == "error" and self._complain(said))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("websocket", lambda ws: ws.on("framereceived", self._received))

    def _refuse(self, route):
        self.strangers.append(route.request.url)
        route.abort()

    def _complain(self, said):
        place = urlsplit(said.location["url"]).path
        if not PROBED.fullmatch(place):
            self.errors.append(f"{said.text} {place}")

    def _received(self, payload):
        if isinstance(payload, bytes) and ForwardMsg.FromString(payload).WhichOneof("type") == "script_finished":
            self._finished += 1

    def open(self, address=""):
        """Go there and wait until it is drawn."""
        before = self._finished
        for _ in range(TRIES):
            before, known = self._finished, len(self.errors)
            with suppress(Error):
                self.page.goto(f"{self.base}/{address}")
                self.page.wait_for_load_state("networkidle")
            if not any(MOVED in error for error in self.errors[known:]):
                break
            del self.errors[known:]
        return self._drawn(before)

    @contextmanager
    def rerun(self):
        """Whatever is done in the block makes the page's script run again; wait until that is drawn."""
        before = self._finished
        yield
        self._drawn(before)

    def _drawn(self, before):
        end = time.monotonic() + START_S
        while self._finished <= before:
            assert time.monotonic() < end, f"the page's script did not finish at {self.page.url}"
            self.page.wait_for_timeout(20)
        said = None
        while said != (said := self._still()):  # the browser is told before it draws
            assert time.monotonic() < end, f"{self.page.url} does not come to rest"
        return self

    def _still(self):
        self.page.wait_for_timeout(STILL_MS)
        self.page.wait_for_selector(READY, state="attached")
        expect(self.page.get_by_test_id("stSkeleton")).to_have_count(0)
        return self.text

    def overflow(self):
        """What makes the page scroll sideways, if anything does."""
        return self.page.evaluate(OVERFLOW)

    def shown(self):
        """Words, and the cells that the grids mirror for those who can't see them, once they do."""
        self.page.mouse.move(0, 0)  # what it points at may look another way
        cells, before = self.page.locator("[data-testid^=glide-cell]"), None
        while before != (before := [self.text, *cells.all_text_contents()]):
            self.page.wait_for_timeout(GRID_MS)
        return before

    def focused(self):
        """What the keyboard is on, in words; "" where that is the page itself."""
        return self.page.evaluate(FOCUSED)

    def download(self, name):
        """The bytes that a download button gives."""
        with self.page.expect_download() as coming:
            self.page.get_by_test_id("stDownloadButton").filter(has_text=name).first.click()
        return Path(coming.value.path()).read_bytes()

    def row(self, number):
        """Select a row of the first grid, the topmost being 1, by the mouse: the grid is a canvas."""
        canvas = self.page.locator("[data-testid=stDataFrame] canvas").first
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        self.page.mouse.click(box["x"] + 16, box["y"] + 18 + 35 * number)

    @property
    def text(self):
        return self.page.get_by_test_id("stApp").inner_text()

    def sound(self):
        """Nothing went wrong so far: no exception shown, no console error, nobody else asked."""
        expect(self.page.get_by_test_id("stException")).to_have_count(0)
        assert "encountered an error" not in self.text
        assert not self.errors, self.errors
        assert not self.strangers, self.strangers
        return self

    def close(self):
        with suppress(Error):  # the browser may have gone first
            self.context.close()
