"""Alembic's script folder: `env.py` and one numbered, forward-only file per schema change."""
