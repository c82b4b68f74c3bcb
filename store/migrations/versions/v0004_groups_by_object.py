"""Groups are found by their Entra object, deleted ones too: one that is assigned again has its row back."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_groups_entra", "groups", ["connection_id", "entra_object_id"])


def downgrade() -> None:
    op.drop_index("ix_groups_entra", "groups")
