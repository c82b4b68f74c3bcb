"""What a user or a group agreed on with Entra when it was last compared (`worker.reconcile.digests`)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("agreed", sa.String(), nullable=True))
    op.add_column("groups", sa.Column("agreed", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("groups", "agreed")
    op.drop_column("users", "agreed")
