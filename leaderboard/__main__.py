"""Streamlit's command line, with what pages take long to import imported before anybody waits for one."""

import gc
import sys

from altair.utils import schemapi
from streamlit.web.cli import main

from assay.leaderboard.loads import compare, overview  # noqa: F401 - pandas, SciPy, statsmodels, SQLAlchemy

if __name__ == "__main__":
    schemapi.disable_debug_mode()  # our charts are checked against Vega-Lite's schema by tests, not for each visitor
    gc.freeze()  # Streamlit looks for garbage after each answer: not among 200,000 objects that stay for ever
    sys.exit(main(prog_name="streamlit"))
