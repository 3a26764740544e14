"""Frames as Altair charts, one module a page. What is drawn is what was given: no store, no index here."""
