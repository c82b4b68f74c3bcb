"""The schema changes, in order of their number."""
