"""The straight line from checkpoint to score: backends, runner, records, statistics, command line."""

__version__ = "0.1.0"
