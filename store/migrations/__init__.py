"""Alembic's script folder: `env.py` and the numbered migrations.

A migration only goes forward. Its revision is `v` and four digits, in order.
"""
