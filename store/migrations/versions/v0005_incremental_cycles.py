"""What incremental cycles continue from, and what a full cycle says of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "assigned_lists",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("principals", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "connection_id"],
            ["connections.tenant_id", "connections.id"],
            name=op.f("fk_assigned_lists_tenant_id_connection_id"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "connection_id", name=op.f("pk_assigned_lists")),
    )
    op.add_column("cycles", sa.Column("why_full", sa.String(), nullable=True))
    op.add_column("cycles", sa.Column("increments_missed", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("cycles", "increments_missed")
    op.drop_column("cycles", "why_full")
    op.drop_table("assigned_lists")
