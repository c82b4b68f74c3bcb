"""Tokens that stand for a user or for a federated workload, spent assertions, and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.tables.columns import Document, Sequence, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_tokens", sa.Column("user_id", sa.String(), nullable=True))
    op.add_column("api_tokens", sa.Column("federation_subject", sa.String(), nullable=True))
    op.add_column("api_tokens", sa.Column("federation_audiences", Document(), nullable=True))
    op.create_table(
        "spent_assertions",
        sa.Column("connection_id", sa.String(), nullable=False),
        sa.Column("uti", sa.String(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "connection_id"],
            ["connections.tenant_id", "connections.id"],
            name=op.f("fk_spent_assertions_tenant_id_connection_id"),
        ),
        sa.PrimaryKeyConstraint("connection_id", "uti", name=op.f("pk_spent_assertions")),
    )
    op.create_table(
        "audit_log",
        sa.Column("id", Sequence(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.String(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject_id", sa.String(), nullable=False),
        sa.Column("subject_label", sa.String(), nullable=False),
        sa.Column("detail", Document(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "connection_id"],
            ["connections.tenant_id", "connections.id"],
            name=op.f("fk_audit_log_tenant_id_connection_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_tenant_id_id", "audit_log", ["tenant_id", "id"], unique=False)
