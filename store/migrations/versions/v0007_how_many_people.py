"""How many people a connection's last cycle saw: by it the worker tells large directories from small ones."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connections", sa.Column("people", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("connections", "people")
