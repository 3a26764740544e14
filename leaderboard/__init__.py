"""The site over finished runs: it reads records and never runs anything."""
