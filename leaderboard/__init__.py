"""The site over finished runs. Nothing here yet: it reads records and never runs anything."""
