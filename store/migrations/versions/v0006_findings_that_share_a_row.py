"""Findings that are alike but for their subject share a row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.tables.columns import Document

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("drift_findings", sa.Column("others", Document(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("drift_findings", "others")
