"""The site: `assay board`, or `streamlit run` on this file with $ASSAY_STORE set. It reads, and runs nothing."""

from __future__ import annotations

import streamlit as st

from assay.leaderboard.views import (
    about,
    compare,
    curves,
    gates,
    heatmap,
    model,
    overview,
    samples,
    scaling,
    submit,
    task,
)

PAGES = {
    "": [("Overview", overview.view, "", ":material/leaderboard:")],
    "Results": [
        ("Model", model.view, "model", ":material/deployed_code:"),
        ("Task", task.view, "task", ":material/quiz:"),
        ("Heatmap", heatmap.view, "heatmap", ":material/grid_on:"),
        ("Scaling", scaling.view, "scaling", ":material/scatter_plot:"),
    ],
    "Checkpoints": [
        ("Curves", curves.view, "curves", ":material/show_chart:"),
        ("Compare", compare.view, "compare", ":material/balance:"),
        ("Samples", samples.view, "samples", ":material/article:"),
        ("Gates", gates.view, "gates", ":material/gate:"),
    ],
    "About": [
        ("Contribute", submit.view, "submit", ":material/upload_file:"),
        ("About", about.view, "about", ":material/info:"),
    ],
}
"""Sections of the menu: title, page, its address, icon."""


def main() -> None:
    """Show the page that the address asks for."""
    st.set_page_config(page_title="assay", page_icon="🧪", layout="wide")
    sections = {
        section: [
            st.Page(view, title=title, url_path=path, icon=icon, default=not path) for title, view, path, icon in pages
        ]
        for section, pages in PAGES.items()
    }
    st.navigation(sections, position="top").run()


main()
