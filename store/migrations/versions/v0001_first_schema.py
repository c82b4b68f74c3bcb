"""The first schema that is released: every table, with its indexes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from store.tables.base import Document, Sequence, UtcDateTime

revision = "v0001"
down_revision = None

_ALIVE = "deleted_at IS NULL"


def upgrade() -> None:
    _create_tenants()
    _create_connections()
    _create_api_tokens()
    _create_operator_tokens()
    _create_idempotency_keys()
    _create_cycles()
    _create_delta_links()
    _create_push_conflicts()
    _create_drift_findings()
    _create_events()
    _create_event_retention()
    _create_webhook_endpoints()
    _create_dead_letters()
    _create_event_streams()
    _create_signing_keys()
    _create_groups()
    _create_leases()
    _create_plans()
    _create_provisioning_log()
    _create_users()
    _create_account_holders()
    _create_joined_holders()
    _create_assessment_results()
    _create_erasures()
    _create_memberships()
    _create_sessions()
    _create_receipts()
    _create_app_keys()
    _create_sign_ins()
    _create_openid_providers()
    _create_sign_in_codes()
    _create_spent_assertions()
    _create_audit_log()
    _create_assigned_lists()
    _create_mapping_versions()
    _create_entitled_lists()
    _create_push_brakes()
    _create_operators()
    _create_access_links()
    _create_console_sessions()
    _create_setup_steps()


def _required(type_: type[sa.types.TypeEngine[Any]], *names: str) -> list[sa.Column[Any]]:
    """Return columns of one type that hold no NULL."""
    return [sa.Column(name, type_(), nullable=False) for name in names]


def _optional(type_: type[sa.types.TypeEngine[Any]], *names: str) -> list[sa.Column[Any]]:
    """Return columns of one type that may hold NULL."""
    return [sa.Column(name, type_(), nullable=True) for name in names]


def _of_connection(table: str) -> sa.ForeignKeyConstraint:
    """Return the foreign key of a row to a connection of its own tenant."""
    return sa.ForeignKeyConstraint(
        ["tenant_id", "connection_id"],
        ["connections.tenant_id", "connections.id"],
        name=f"fk_{table}_tenant_id_connection_id",
    )


def _of_user(table: str) -> sa.ForeignKeyConstraint:
    """Return the foreign key of a row to a user of its own tenant."""
    return sa.ForeignKeyConstraint(
        ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], name=f"fk_{table}_tenant_id_user_id"
    )


def _create_partial_index(
    name: str, table: str, columns: list[str], condition: str, *, unique: bool = False
) -> None:
    """Create an index over the rows that fulfil the condition."""
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def _number_events_within_transactions() -> None:
    """Give a PostgreSQL transaction its number before it draws an event's id.

    `store.logs.events` returns only events of transactions older than every running
    one. PostgreSQL counts a transaction as running once it has a number.
    """
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "ALTER TABLE events ALTER COLUMN id SET DEFAULT"
            " CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('events_id_seq'::regclass) END"
        )


def _create_tenants() -> None:
    op.create_table(
        "tenants",
        *_required(sa.String, "id", "name", "slug"),
        *_required(UtcDateTime, "created_at"),
        *_optional(UtcDateTime, "deleted_at"),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
    )
    _create_partial_index("uq_tenants_slug", "tenants", ["slug"], _ALIVE, unique=True)


def _create_connections() -> None:
    op.create_table(
        "connections",
        *_required(sa.String, "id", "tenant_id", "name"),
        *_optional(sa.String, "entra_tenant_id", "client_id", "app_id"),
        *_required(sa.String, "login_url", "graph_url"),
        *_required(sa.Integer, "interval_minutes"),
        *_required(Document, "policy"),
        *_optional(sa.String, "credential"),
        *_optional(UtcDateTime, "credential_changed_at", "credential_expires_at"),
        *_required(UtcDateTime, "created_at"),
        *_optional(UtcDateTime, "paused_at"),
        *_optional(sa.String, "paused_reason"),
        *_optional(UtcDateTime, "quarantined_at"),
        *_optional(sa.String, "quarantine_reason"),
        *_required(sa.Integer, "consecutive_failures", "consecutive_incomplete"),
        *_optional(sa.String, "incomplete_reason"),
        *_optional(UtcDateTime, "last_complete_at", "proved_at"),
        *_optional(UtcDateTime, "next_due_at", "last_cycle_at"),
        *_optional(sa.Integer, "people"),
        *_optional(sa.String, "last_status"),
        sa.Column("open_findings", sa.Integer, nullable=False, server_default="0"),
        *_optional(Document, "mapping_verdict"),
        *_optional(UtcDateTime, "restored_at"),
        *_required(Document, "return_urls"),
        *_optional(UtcDateTime, "deleted_at"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_connections_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_connections"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_connections_tenant_id_id"),
    )
    _create_partial_index("uq_connections_name", "connections", ["tenant_id", "name"], _ALIVE, unique=True)
    _create_partial_index("ix_connections_due", "connections", ["next_due_at"], "paused_at IS NULL")


def _create_api_tokens() -> None:
    op.create_table(
        "api_tokens",
        *_required(sa.String, "id", "tenant_id", "connection_id", "name", "prefix", "secret_hash"),
        *_required(Document, "permissions", "allowed_addresses"),
        *_required(UtcDateTime, "created_at"),
        *_optional(UtcDateTime, "expires_at", "revoked_at", "suspended_at", "last_used_at"),
        *_optional(sa.String, "last_used_from", "user_id", "federation_subject", "replaces_id"),
        *_optional(sa.Integer, "holder_number", "period", "warned_days"),
        *_optional(Document, "federation_audiences"),
        _of_connection("api_tokens"),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.UniqueConstraint("secret_hash", name="uq_api_tokens_secret_hash"),
    )
    op.create_index("ix_api_tokens_connection_id", "api_tokens", ["connection_id"])
    _create_partial_index("ix_api_tokens_user", "api_tokens", ["user_id"], "user_id IS NOT NULL")


def _create_operator_tokens() -> None:
    op.create_table(
        "operator_tokens",
        *_required(sa.String, "id", "name", "prefix", "secret_hash"),
        *_required(Document, "permissions"),
        *_required(UtcDateTime, "created_at"),
        *_required(sa.String, "created_by"),
        *_optional(UtcDateTime, "expires_at", "revoked_at"),
        sa.PrimaryKeyConstraint("id", name="pk_operator_tokens"),
        sa.UniqueConstraint("secret_hash", name="uq_operator_tokens_secret_hash"),
    )


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        *_required(sa.String, "token_id", "key", "digest"),
        *_required(UtcDateTime, "at"),
        *_optional(sa.Integer, "status"),
        *_optional(Document, "body", "headers"),
        sa.PrimaryKeyConstraint("token_id", "key", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_at", "idempotency_keys", ["at"])


def _create_cycles() -> None:
    op.create_table(
        "cycles",
        *_required(sa.String, "id", "tenant_id", "connection_id", "kind", "status"),
        *_required(UtcDateTime, "started_at"),
        *_optional(UtcDateTime, "finished_at"),
        *_optional(sa.Boolean, "complete"),
        *_required(Document, "completeness", "counts", "drift"),
        sa.Column("findings", Document(), nullable=False, server_default="{}"),
        *_required(Document, "applied"),
        *_required(sa.Integer, "skipped"),
        *_optional(sa.String, "held_plan_id", "error"),
        *_required(Document, "progress"),
        *_optional(Document, "token_roles"),
        *_optional(sa.String, "scope_key", "why_full"),
        *_optional(sa.Integer, "increments_missed", "report_number"),
        *_required(sa.Boolean, "is_dry_run"),
        _of_connection("cycles"),
        sa.PrimaryKeyConstraint("id", name="pk_cycles"),
    )
    op.create_index("ix_cycles_connection_id_started_at", "cycles", ["connection_id", "started_at"])
    op.create_index("ix_cycles_started_at", "cycles", ["started_at"])
    op.create_index("ix_cycles_kind", "cycles", ["connection_id", "kind", "started_at"])
    _create_partial_index("ix_cycles_running", "cycles", ["connection_id"], "finished_at IS NULL")
    _create_partial_index(
        "ix_cycles_report_number", "cycles", ["connection_id", "report_number"], "report_number IS NOT NULL"
    )


def _create_delta_links() -> None:
    op.create_table(
        "delta_links",
        *_required(sa.String, "tenant_id", "connection_id", "name", "link", "context"),
        *_required(UtcDateTime, "saved_at"),
        _of_connection("delta_links"),
        sa.PrimaryKeyConstraint("tenant_id", "connection_id", "name", name="pk_delta_links"),
    )


def _create_push_conflicts() -> None:
    op.create_table(
        "push_conflicts",
        *_required(sa.String, "tenant_id", "connection_id", "account_id", "object_id", "kind", "other_id"),
        *_required(UtcDateTime, "at"),
        *_required(sa.Boolean, "is_read"),
        _of_connection("push_conflicts"),
        sa.PrimaryKeyConstraint(
            "tenant_id", "connection_id", "account_id", "object_id", name="pk_push_conflicts"
        ),
    )


def _create_drift_findings() -> None:
    op.create_table(
        "drift_findings",
        *_required(Sequence, "id"),
        *_required(sa.String, "tenant_id", "connection_id", "cycle_id"),
        *_required(sa.Integer, "first_report"),
        *_optional(sa.Integer, "end_report"),
        *_required(sa.String, "kind"),
        *_optional(sa.String, "reason"),
        *_required(sa.String, "subject_type", "subject_id", "subject_label"),
        *_required(Document, "before", "after"),
        *_required(UtcDateTime, "first_seen"),
        *_required(sa.String, "state"),
        *_required(Document, "evidence"),
        sa.Column("others", Document(), nullable=False, server_default="[]"),
        _of_connection("drift_findings"),
        sa.PrimaryKeyConstraint("id", name="pk_drift_findings"),
    )
    op.create_index(
        "ix_drift_findings_connection_id_cycle_id", "drift_findings", ["connection_id", "cycle_id"]
    )
    op.create_index(
        "ix_drift_findings_connection_id_end_report", "drift_findings", ["connection_id", "end_report"]
    )
    _create_partial_index(
        "ix_drift_findings_revoked",
        "drift_findings",
        ["connection_id", "first_seen"],
        "kind = 'missed_deprovision' AND state = 'repaired'",
    )


def _create_events() -> None:
    op.create_table(
        "events",
        *_required(Sequence, "id"),
        *_required(UtcDateTime, "at"),
        *_required(sa.String, "tenant_id", "connection_id", "type", "subject_id"),
        *_required(Document, "payload"),
        _of_connection("events"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
    )
    op.create_index("ix_events_tenant_id_id", "events", ["tenant_id", "id"])
    _create_partial_index("ix_events_revocations", "events", ["id"], "type = 'session.revoked'")
    _number_events_within_transactions()


def _create_event_retention() -> None:
    op.create_table(
        "event_retention",
        *_required(sa.Integer, "id"),
        *_required(Sequence, "pruned_through"),
        sa.PrimaryKeyConstraint("id", name="pk_event_retention"),
    )


def _create_webhook_endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        *_required(sa.String, "id"),
        *_optional(sa.String, "tenant_id"),
        *_required(sa.String, "url"),
        *_required(Document, "types", "control"),
        *_required(sa.Boolean, "acknowledges"),
        *_required(sa.String, "format", "secret", "state", "created_by"),
        *_optional(sa.String, "previous_secret", "last_error", "claimed_by"),
        *_required(Sequence, "position"),
        *_required(sa.Integer, "attempts"),
        *_required(UtcDateTime, "next_attempt_at", "created_at"),
        *_optional(UtcDateTime, "previous_until", "failing_since", "last_delivered_at", "claimed_until"),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
    )
    op.create_index("ix_webhook_endpoints_tenant_id", "webhook_endpoints", ["tenant_id"])
    _create_partial_index(
        "ix_webhook_endpoints_active", "webhook_endpoints", ["next_attempt_at"], "state = 'active'"
    )


def _create_dead_letters() -> None:
    op.create_table(
        "dead_letters",
        *_required(sa.String, "endpoint_id"),
        *_required(Sequence, "event_id"),
        *_optional(sa.String, "tenant_id"),
        *_required(UtcDateTime, "at"),
        *_required(sa.String, "why"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name="fk_dead_letters_endpoint_id"
        ),
        sa.PrimaryKeyConstraint("endpoint_id", "event_id", name="pk_dead_letters"),
    )


def _create_event_streams() -> None:
    op.create_table(
        "event_streams",
        *_required(sa.String, "id"),
        *_optional(sa.String, "tenant_id", "description", "status_reason"),
        *_required(sa.String, "issuer", "audience", "method"),
        *_required(Document, "events_requested"),
        *_optional(UtcDateTime, "verified_at"),
        sa.ForeignKeyConstraint(["id"], ["webhook_endpoints.id"], name="fk_event_streams_id"),
        sa.PrimaryKeyConstraint("id", name="pk_event_streams"),
    )
    op.create_index("ix_event_streams_tenant_id", "event_streams", ["tenant_id"])
    op.create_table(
        "stream_acknowledgements",
        *_required(sa.String, "stream_id"),
        *_required(Sequence, "event_id"),
        *_required(sa.Integer, "facet"),
        *_optional(sa.String, "tenant_id"),
        sa.ForeignKeyConstraint(
            ["stream_id"], ["event_streams.id"], name="fk_stream_acknowledgements_stream_id"
        ),
        sa.PrimaryKeyConstraint("stream_id", "event_id", "facet", name="pk_stream_acknowledgements"),
    )


def _create_signing_keys() -> None:
    op.create_table(
        "signing_keys",
        *_required(sa.String, "id", "algorithm", "private"),
        *_optional(sa.String, "tenant_id"),
        *_required(Document, "public"),
        *_required(UtcDateTime, "created_at", "signs_from"),
        *_optional(UtcDateTime, "published_until"),
        sa.PrimaryKeyConstraint("id", name="pk_signing_keys"),
    )


def _create_groups() -> None:
    op.create_table(
        "groups",
        *_required(Sequence, "seq"),
        *_required(sa.String, "id", "tenant_id", "connection_id", "display_name", "display_name_key"),
        *_optional(sa.String, "external_id", "entra_object_id"),
        *_required(Document, "document"),
        *_required(sa.Integer, "version"),
        *_required(sa.String, "origin"),
        *_required(UtcDateTime, "created_at", "last_modified"),
        *_optional(UtcDateTime, "deleted_at"),
        *_optional(sa.String, "agreed"),
        _of_connection("groups"),
        sa.PrimaryKeyConstraint("seq", name="pk_groups"),
        sa.UniqueConstraint("id", name="uq_groups_id"),
    )
    _create_partial_index("ix_groups_listed", "groups", ["connection_id", "seq"], _ALIVE)
    _create_partial_index(
        "uq_groups_display_name", "groups", ["connection_id", "display_name_key"], _ALIVE, unique=True
    )
    _create_partial_index(
        "uq_groups_entra", "groups", ["connection_id", "entra_object_id"], _ALIVE, unique=True
    )
    op.create_index("ix_groups_entra", "groups", ["connection_id", "entra_object_id"])
    op.create_index("ix_groups_external_id", "groups", ["connection_id", "external_id"])
    op.create_index("ix_groups_display_name", "groups", ["connection_id", "display_name_key"])


def _create_leases() -> None:
    op.create_table(
        "leases",
        *_required(sa.String, "tenant_id", "connection_id"),
        *_required(sa.Integer, "token"),
        *_required(sa.String, "holder"),
        *_required(UtcDateTime, "until"),
        *_required(sa.Boolean, "wanted"),
        _of_connection("leases"),
        sa.PrimaryKeyConstraint("tenant_id", "connection_id", name="pk_leases"),
    )


def _create_plans() -> None:
    op.create_table(
        "plans",
        *_required(sa.String, "id", "tenant_id", "connection_id", "cycle_id", "checksum", "status", "reason"),
        *_required(Document, "body"),
        *_required(UtcDateTime, "created_at", "expires_at"),
        *_optional(UtcDateTime, "decided_at"),
        *_optional(sa.String, "decided_by", "job_id"),
        _of_connection("plans"),
        sa.PrimaryKeyConstraint("id", name="pk_plans"),
    )
    op.create_index("ix_plans_connection_id_created_at", "plans", ["connection_id", "created_at"])
    _create_partial_index("ix_plans_held", "plans", ["connection_id"], "status = 'held'")


def _create_provisioning_log() -> None:
    op.create_table(
        "provisioning_log",
        *_required(Sequence, "id"),
        *_required(UtcDateTime, "at"),
        *_required(sa.String, "tenant_id", "connection_id", "action", "status", "subject_type"),
        *_optional(sa.String, "subject_id"),
        *_required(sa.String, "subject_label", "subject_key", "origin"),
        *_optional(sa.String, "actor"),
        *_required(Document, "steps", "modified"),
        *_required(sa.String, "correlation_id"),
        *_required(sa.Integer, "amount"),
        _of_connection("provisioning_log"),
        sa.PrimaryKeyConstraint("id", name="pk_provisioning_log"),
    )
    op.create_index("ix_provisioning_log_connection_id_id", "provisioning_log", ["connection_id", "id"])
    op.create_index("ix_provisioning_log_correlation_id", "provisioning_log", ["correlation_id"])
    op.create_index("ix_provisioning_log_label", "provisioning_log", ["connection_id", "subject_key"])
    _create_partial_index(
        "ix_provisioning_log_removals",
        "provisioning_log",
        ["connection_id", "at"],
        "status = 'success' AND action IN ('disable', 'delete', 'release_names', 'retire', 'change_holder', "
        "'remove_member')",
    )
    _create_partial_index(
        "ix_provisioning_log_unsuccessful",
        "provisioning_log",
        ["connection_id", "status", "id"],
        "status IN ('failure', 'warning')",
    )
    op.create_index("ix_provisioning_log_subject", "provisioning_log", ["connection_id", "subject_id"])


def _create_users() -> None:
    op.create_table(
        "users",
        *_required(Sequence, "seq"),
        *_required(sa.String, "id", "tenant_id", "connection_id", "user_name", "user_name_key"),
        *_optional(sa.String, "external_id", "entra_object_id", "display_name_key", "work_email_key"),
        *_required(sa.Boolean, "active"),
        *_required(Document, "document"),
        *_required(sa.Integer, "version"),
        *_required(sa.String, "origin"),
        *_required(UtcDateTime, "created_at", "last_modified"),
        *_required(sa.Boolean, "is_protected", "is_admin"),
        *_optional(UtcDateTime, "deprovisioned_at"),
        *_optional(sa.String, "deprovision_reason"),
        *_optional(UtcDateTime, "deleted_at"),
        *_optional(sa.String, "agreed", "directory_id"),
        *_required(sa.Integer, "holder_number"),
        *_optional(sa.String, "holder_basis"),
        *_optional(UtcDateTime, "holder_seen_at", "push_wrote_at", "push_found_at", "unread_write_at"),
        *_optional(sa.String, "agreed_user_name", "agreed_external_id"),
        *_required(sa.Integer, "period"),
        *_optional(UtcDateTime, "sealed_at"),
        *_optional(sa.String, "access_ended_by", "access_ended_reason", "access_given_by"),
        _of_connection("users"),
        sa.PrimaryKeyConstraint("seq", name="pk_users"),
        sa.UniqueConstraint("id", name="uq_users_id"),
        sa.UniqueConstraint("tenant_id", "id", name="uq_users_tenant_id_id"),
    )
    _create_partial_index("ix_users_admins", "users", ["tenant_id"], "is_admin")
    op.create_index("ix_users_display_name", "users", ["connection_id", "display_name_key"])
    op.create_index("ix_users_entra", "users", ["connection_id", "entra_object_id"])
    op.create_index("ix_users_external_id", "users", ["connection_id", "external_id"])
    _create_partial_index("ix_users_listed", "users", ["connection_id", "seq"], _ALIVE)
    op.create_index("ix_users_user_name", "users", ["connection_id", "user_name_key"])
    op.create_index("ix_users_work_email", "users", ["connection_id", "work_email_key"])
    _create_partial_index(
        "uq_users_entra", "users", ["connection_id", "entra_object_id"], _ALIVE, unique=True
    )
    _create_partial_index(
        "uq_users_user_name", "users", ["connection_id", "user_name_key"], _ALIVE, unique=True
    )
    _create_partial_index(
        "ix_users_active", "users", ["connection_id", "deleted_at", "active"], "deleted_at IS NULL AND active"
    )
    _create_partial_index(
        "ix_users_inactive", "users", ["connection_id", "user_name_key"], "deleted_at IS NULL AND NOT active"
    )
    _create_partial_index(
        "ix_users_deleted", "users", ["connection_id", "user_name_key"], "deleted_at IS NOT NULL"
    )
    _create_partial_index(
        "ix_users_sealed", "users", ["connection_id", "seq"], "deleted_at IS NULL AND sealed_at IS NOT NULL"
    )


def _create_account_holders() -> None:
    op.create_table(
        "account_holders",
        *_required(sa.String, "tenant_id", "user_id"),
        *_required(sa.Integer, "number"),
        *_optional(sa.String, "directory_id", "entra_object_id"),
        *_required(sa.String, "user_name"),
        *_optional(sa.String, "basis"),
        *_optional(UtcDateTime, "until"),
        _of_user("account_holders"),
        sa.PrimaryKeyConstraint("tenant_id", "user_id", "number", name="pk_account_holders"),
    )


def _create_joined_holders() -> None:
    op.create_table(
        "joined_holders",
        *_required(sa.String, "tenant_id", "user_id"),
        *_required(sa.Integer, "number"),
        *_required(sa.String, "other_user_id"),
        *_required(sa.Integer, "other_number"),
        *_required(sa.String, "by"),
        *_required(Document, "unsealed"),
        *_required(UtcDateTime, "at"),
        _of_user("joined_holders"),
        sa.PrimaryKeyConstraint(
            *("tenant_id", "user_id", "number", "other_user_id", "other_number"), name="pk_joined_holders"
        ),
    )
    op.create_index("ix_joined_holders_other", "joined_holders", ["other_user_id"])


def _create_assessment_results() -> None:
    op.create_table(
        "assessment_results",
        *_required(sa.String, "id", "tenant_id", "user_id", "title"),
        *_required(sa.Integer, "score"),
        *_required(UtcDateTime, "taken_at", "recorded_at"),
        *_optional(Document, "document"),
        *_optional(sa.String, "idempotency_key"),
        *_required(sa.Integer, "holder_number"),
        _of_user("assessment_results"),
        sa.PrimaryKeyConstraint("id", name="pk_assessment_results"),
    )
    op.create_index("ix_assessment_results_user_id", "assessment_results", ["user_id"])
    _create_partial_index(
        "uq_assessment_results_key",
        "assessment_results",
        ["user_id", "holder_number", "idempotency_key"],
        "idempotency_key IS NOT NULL",
        unique=True,
    )


def _create_erasures() -> None:
    op.create_table(
        "erasures",
        *_required(sa.String, "id", "tenant_id", "user_id"),
        *_required(sa.Integer, "holder_number", "results"),
        *_required(UtcDateTime, "at"),
        *_required(sa.String, "actor", "reason"),
        _of_user("erasures"),
        sa.PrimaryKeyConstraint("id", name="pk_erasures"),
    )
    op.create_index("ix_erasures_user_id", "erasures", ["user_id"])


def _create_memberships() -> None:
    op.create_table(
        "memberships",
        *_required(sa.String, "group_id", "member_id", "member_type", "tenant_id", "connection_id", "origin"),
        *_required(UtcDateTime, "created_at"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_memberships_group_id"),
        _of_connection("memberships"),
        sa.PrimaryKeyConstraint("group_id", "member_id", name="pk_memberships"),
    )
    op.create_index("ix_memberships_connection", "memberships", ["connection_id"])
    op.create_index("ix_memberships_member", "memberships", ["member_id"])


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        *_required(sa.String, "id", "tenant_id", "user_id", "secret_hash", "purpose"),
        *_required(UtcDateTime, "created_at", "expires_at", "idle_until", "last_seen_at"),
        *_optional(UtcDateTime, "proved_at"),
        *_optional(sa.String, "client", "created_from", "agent"),
        *_optional(sa.String, "issuer", "issuer_subject", "issuer_session_id"),
        *_optional(UtcDateTime, "revoked_at"),
        *_optional(sa.String, "revoke_reason", "revoked_by", "revoked_origin", "revoked_ref"),
        *_required(sa.Integer, "holder_number", "period"),
        _of_user("sessions"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("secret_hash", name="uq_sessions_secret_hash"),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    for name in ("session_id", "subject"):
        _create_partial_index(
            f"ix_sessions_issuer_{name.removesuffix('_id')}",
            "sessions",
            [f"issuer_{name}"],
            f"issuer_{name} IS NOT NULL",
        )


def _create_receipts() -> None:
    op.create_table(
        "receipts",
        *_required(sa.String, "id", "tenant_id", "connection_id", "user_id"),
        *_required(sa.Integer, "holder_number", "period"),
        *_required(UtcDateTime, "at"),
        *_required(sa.String, "action", "reason", "origin", "correlation_id"),
        *_optional(sa.String, "actor", "acknowledged_by"),
        *_required(Document, "ended"),
        *_optional(UtcDateTime, "due_at", "acknowledged_at"),
        _of_user("receipts"),
        _of_connection("receipts"),
        sa.PrimaryKeyConstraint("id", name="pk_receipts"),
    )
    op.create_index("ix_receipts_user_id_period", "receipts", ["user_id", "period"])
    _create_partial_index("ix_receipts_due", "receipts", ["due_at"], "due_at IS NOT NULL")


def _create_app_keys() -> None:
    op.create_table(
        "app_keys",
        *_required(sa.String, "id", "tenant_id", "connection_id", "user_id", "kind", "reference"),
        *_optional(sa.String, "label", "end_reason"),
        *_required(sa.Integer, "holder_number", "period"),
        *_required(UtcDateTime, "registered_at"),
        *_optional(UtcDateTime, "expires_at", "ended_at"),
        _of_user("app_keys"),
        _of_connection("app_keys"),
        sa.PrimaryKeyConstraint("id", name="pk_app_keys"),
    )
    op.create_index("ix_app_keys_user_id", "app_keys", ["user_id"])
    _create_partial_index("ix_app_keys_ended", "app_keys", ["ended_at"], "ended_at IS NOT NULL")
    _create_partial_index(
        "uq_app_keys_reference",
        "app_keys",
        ["user_id", "kind", "reference"],
        "ended_at IS NULL",
        unique=True,
    )


def _create_sign_ins() -> None:
    op.create_table(
        "sign_ins",
        *_required(sa.String, "state_hash", "tenant_id", "connection_id", "browser_hash", "flow"),
        *_optional(sa.String, "return_path", "return_url", "app_state"),
        *_required(UtcDateTime, "created_at", "expires_at"),
        _of_connection("sign_ins"),
        sa.PrimaryKeyConstraint("state_hash", name="pk_sign_ins"),
    )
    op.create_index("ix_sign_ins_expires_at", "sign_ins", ["expires_at"])


def _create_sign_in_codes() -> None:
    op.create_table(
        "sign_in_codes",
        *_required(sa.String, "code_hash", "tenant_id", "connection_id", "session_id", "return_url"),
        *_required(UtcDateTime, "expires_at"),
        *_optional(UtcDateTime, "used_at"),
        _of_connection("sign_in_codes"),
        sa.PrimaryKeyConstraint("code_hash", name="pk_sign_in_codes"),
    )
    op.create_index("ix_sign_in_codes_expires_at", "sign_in_codes", ["expires_at"])


def _create_openid_providers() -> None:
    op.create_table(
        "openid_providers",
        *_required(sa.String, "id", "tenant_id", "connection_id", "issuer", "client_id", "secret"),
        *_optional(sa.String, "link_claim"),
        *_required(UtcDateTime, "created_at"),
        _of_connection("openid_providers"),
        sa.PrimaryKeyConstraint("id", name="pk_openid_providers"),
    )
    op.create_table(
        "openid_identities",
        *_required(sa.String, "connection_id", "issuer", "subject", "tenant_id", "user_id", "linked_by"),
        *_required(sa.Integer, "holder_number"),
        *_required(UtcDateTime, "linked_at"),
        _of_user("openid_identities"),
        _of_connection("openid_identities"),
        sa.PrimaryKeyConstraint("connection_id", "issuer", "subject", name="pk_openid_identities"),
    )


def _create_spent_assertions() -> None:
    op.create_table(
        "spent_assertions",
        *_required(sa.String, "connection_id", "uti", "tenant_id"),
        *_required(UtcDateTime, "expires_at"),
        _of_connection("spent_assertions"),
        sa.PrimaryKeyConstraint("connection_id", "uti", name="pk_spent_assertions"),
    )


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        *_required(Sequence, "id"),
        *_required(UtcDateTime, "at"),
        *_required(sa.String, "tenant_id"),
        *_optional(sa.String, "connection_id"),
        *_required(sa.String, "actor", "action", "subject_id", "subject_label"),
        *_required(Document, "detail"),
        _of_connection("audit_log"),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_tenant_id_id", "audit_log", ["tenant_id", "id"])


def _create_assigned_lists() -> None:
    op.create_table(
        "assigned_lists",
        *_required(sa.String, "tenant_id", "connection_id", "digest", "principals", "groups"),
        _of_connection("assigned_lists"),
        sa.PrimaryKeyConstraint("tenant_id", "connection_id", name="pk_assigned_lists"),
    )


def _create_mapping_versions() -> None:
    op.create_table(
        "mapping_versions",
        *_required(sa.String, "connection_id"),
        *_required(sa.Integer, "version"),
        *_required(sa.String, "tenant_id", "origin"),
        *_optional(Document, "mapping"),
        *_required(sa.String, "by"),
        *_required(UtcDateTime, "at"),
        _of_connection("mapping_versions"),
        sa.PrimaryKeyConstraint("connection_id", "version", name="pk_mapping_versions"),
    )


def _create_entitled_lists() -> None:
    op.create_table(
        "entitled_lists",
        *_required(sa.String, "tenant_id", "connection_id"),
        *_required(sa.Integer, "part", "users", "memberships"),
        *_required(sa.String, "digest", "listed"),
        _of_connection("entitled_lists"),
        sa.PrimaryKeyConstraint("tenant_id", "connection_id", "part", name="pk_entitled_lists"),
    )


def _create_push_brakes() -> None:
    op.create_table(
        "push_brakes",
        *_required(sa.String, "connection_id", "kind", "tenant_id"),
        *_optional(UtcDateTime, "braked_at"),
        *_optional(sa.String, "reason"),
        *_required(sa.Integer, "refused"),
        *_optional(UtcDateTime, "counted_from"),
        _of_connection("push_brakes"),
        sa.PrimaryKeyConstraint("connection_id", "kind", name="pk_push_brakes"),
    )


def _create_operators() -> None:
    op.create_table(
        "operators",
        *_required(sa.String, "id", "name", "role", "created_by"),
        *_optional(sa.String, "tenant_id"),
        *_required(UtcDateTime, "created_at"),
        *_optional(UtcDateTime, "removed_at"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_operators_tenant_id"),
        sa.PrimaryKeyConstraint("id", name="pk_operators"),
    )
    _create_partial_index("uq_operators_name", "operators", ["name"], "removed_at IS NULL", unique=True)


def _create_access_links() -> None:
    op.create_table(
        "access_links",
        *_required(sa.String, "id", "kind", "secret_hash", "created_by"),
        *_optional(sa.String, "tenant_id", "connection_id", "operator_id", "used_from"),
        *_required(Document, "frame_ancestors"),
        *_required(sa.Boolean, "may_sync"),
        *_required(UtcDateTime, "created_at", "expires_at"),
        *_optional(UtcDateTime, "used_at", "revoked_at"),
        _of_connection("access_links"),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name="fk_access_links_operator_id"),
        sa.PrimaryKeyConstraint("id", name="pk_access_links"),
        sa.UniqueConstraint("secret_hash", name="uq_access_links_secret_hash"),
    )
    _create_partial_index(
        "ix_access_links_connection", "access_links", ["connection_id"], "connection_id IS NOT NULL"
    )
    op.create_index("ix_access_links_expires_at", "access_links", ["expires_at"])


def _create_console_sessions() -> None:
    op.create_table(
        "console_sessions",
        *_required(sa.String, "id", "secret_hash", "link_id"),
        *_optional(sa.String, "operator_id", "tenant_id", "connection_id", "created_from", "agent"),
        *_required(UtcDateTime, "created_at", "expires_at", "idle_until", "last_seen_at"),
        *_optional(UtcDateTime, "ended_at"),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name="fk_console_sessions_operator_id"),
        sa.PrimaryKeyConstraint("id", name="pk_console_sessions"),
        sa.UniqueConstraint("secret_hash", name="uq_console_sessions_secret_hash"),
    )
    op.create_index("ix_console_sessions_expires_at", "console_sessions", ["expires_at"])
    op.create_index("ix_console_sessions_link_id", "console_sessions", ["link_id"])


def _create_setup_steps() -> None:
    op.create_table(
        "setup_steps",
        *_required(sa.String, "connection_id", "step", "tenant_id", "proof"),
        *_required(UtcDateTime, "at"),
        _of_connection("setup_steps"),
        sa.PrimaryKeyConstraint("connection_id", "step", name="pk_setup_steps"),
    )
