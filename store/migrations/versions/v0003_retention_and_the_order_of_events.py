"""Indexes by which what is old is found, and event ids that are drawn by transactions the server knows."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_cycles_started_at", "cycles", ["started_at"], unique=False)
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"], unique=False)
    if op.get_context().dialect.name == "postgresql":
        # `store.logs.events` tells readers only of what transactions older than every running one wrote. A transaction is
        # known as running once it has a number: it must have one before it draws the id of an event.
        op.execute(
            "ALTER TABLE events ALTER COLUMN id SET DEFAULT"
            " CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('events_id_seq'::regclass) END"
        )
