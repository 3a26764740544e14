"""Markdown as a reader sees it: rendered, with its own HTML, and taken apart."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

OURS = {
    *("h3", "p", "ul", "li", "details", "summary", "table", "thead", "tbody", "tr", "th", "td"),
    *("a", "code", "em", "strong", "sub"),
}
"""Elements that a report may have."""
LINKED = re.compile(r"https?://|www\.|\w@\w|(?:^|\W)@\w|#\d", re.IGNORECASE)
"""What GitHub makes a link or a mention of in plain text."""
BLOCKS = {"p", "li", "td", "th", "h3", "summary"}


def html(markdown):
    """CommonMark with GitHub's tables; raw HTML stays raw."""
    markdown_it = pytest.importorskip("markdown_it")
    return markdown_it.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(markdown)


def address(link):
    """An address without its escapes."""
    return unquote(link)


class Page(HTMLParser):
    """A rendered page.

    Attributes:
        tags, comments, links: elements, comments and addresses that are in it.
        rows: cells of each row of its tables, headings left out.
        text: what is read, a line a block. prose: the same without what is code.
    """

    def __init__(self, markdown):
        super().__init__(convert_charrefs=True)
        self.tags, self.comments, self.links, self.rows = set(), [], [], []
        self.text, self.prose, self._open = "", "", []
        self.feed(html(markdown))
        self.close()
        self.text = re.sub(r"\n+", "\n", self.text).strip("\n")

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self._open.append(tag)
        names = {name for name, _ in attributes}
        assert names <= ({"href"} if tag == "a" else {"style"} if tag in ("td", "th") else set()), (tag, attributes)
        self.links += [value for name, value in attributes if name == "href"]
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append("")
        if tag in BLOCKS:
            self.text += "\n"

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, f"</{tag}> closes nothing"
        if tag == "thead":
            self.rows.pop()

    def handle_comment(self, data):
        self.comments.append(data)

    def handle_data(self, data):
        said = data.replace("\u00a0", " ")
        self.text += said if said.strip("\n") else ""
        if "td" in self._open:
            self.rows[-1][-1] += said
        if "code" not in self._open:
            self.prose += said
