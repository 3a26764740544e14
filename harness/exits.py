"""Exit codes, in one place: 3 and 4 are kept for the regression gate's verdicts."""

OK = 0
BUG = 1
USAGE = 2
PARTIAL = 5
INTERRUPTED = 130
