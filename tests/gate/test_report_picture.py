"""The comment of a gate in a real browser; `docs/images/gate-comment.png` is the picture that this takes."""

import pytest

from assay.harness.gating import markdown
from tests.gate import rendered, reported
from tests.leaderboard import browser

STYLE = """
:root { color-scheme: light }
body { margin: 0; padding: 16px; width: 900px; box-sizing: border-box; background: #fff; color: #1f2328;
  font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif }
main { border: 1px solid #d1d9e0; border-radius: 6px; padding: 16px }
main > :first-child { margin-top: 0 } main > :last-child { margin-bottom: 0 }
h3 { font-size: 1.25em; line-height: 1.25; margin: 0 0 16px } p, ul, table, details { margin: 0 0 16px }
ul { padding-left: 2em } li + li { margin-top: .25em } a { color: #0969da } sub { font-size: 75% }
table { border-collapse: collapse; display: block; width: max-content; max-width: 100%; overflow: auto }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px } tr:nth-child(2n) { background: #f6f8fa }
code { font: 85% ui-monospace, "Liberation Mono", monospace; background: #818b981f; border-radius: 6px;
  padding: .2em .4em }
"""
"""About as GitHub sets a comment, and as wide."""
LINK = "https://board.example/compare?a=main&b=step-000240"


@pytest.fixture(scope="module")
def chromium():
    with browser.browser() as found:
        yield found


def shown(chromium, report, limit=markdown.COMMENT):
    """A page with the comment, and all that it asked the network for."""
    said = rendered.html(markdown.markdown(report, limit=limit, link=LINK))
    page, asked = chromium.new_page(viewport={"width": 900, "height": 700}, device_scale_factor=2), []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    page.set_content(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><main>{said}</main>")
    return page, asked


def test_a_comment_fits_its_width_and_unfolds(chromium, tmp_path):
    page, asked = shown(chromium, reported.usual())
    page.screenshot(path=tmp_path / "gate-comment.png", full_page=True)
    assert (
        page.evaluate("[...document.querySelectorAll('table')].filter(t => t.scrollWidth > t.clientWidth).length") == 0
    )
    assert not page.get_by_text("arc_challenge").is_visible()
    page.get_by_text("9 others").click()
    assert page.get_by_text("arc_challenge").is_visible()
    assert page.get_by_role("link").get_attribute("href") == LINK
    assert asked == []


def test_a_hostile_comment_runs_nothing_and_asks_nobody(chromium):
    page, asked = shown(chromium, reported.hostile(), markdown.STEP_SUMMARY)
    page.wait_for_timeout(200)
    assert asked == []
    assert page.locator("script, img, b, main h1").count() == 0
    assert page.locator("main details").count() == 1
