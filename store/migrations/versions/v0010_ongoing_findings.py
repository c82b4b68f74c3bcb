"""What is still open of a drift report is found without reading what was repaired: after a first cycle that is everybody."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_drift_findings_ongoing",
        "drift_findings",
        ["connection_id", "cycle_id"],
        sqlite_where=sa.text("state IN ('open', 'held')"),
        postgresql_where=sa.text("state IN ('open', 'held')"),
    )


def downgrade() -> None:
    op.drop_index("ix_drift_findings_ongoing", "drift_findings")
