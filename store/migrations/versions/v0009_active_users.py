"""Active users are counted by an index alone: an incremental cycle asks how many there are, not who."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_users_active",
        "users",
        ["connection_id", "deleted_at", "active"],
        sqlite_where=sa.text("deleted_at IS NULL AND active"),
        postgresql_where=sa.text("deleted_at IS NULL AND active"),
    )


def downgrade() -> None:
    op.drop_index("ix_users_active", "users")
