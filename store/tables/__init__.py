"""The tables, declared with SQLModel, by noun.

Queries use the Core `Table`s named here.

Belongs here: columns, keys, indexes. Every row names its tenant. After a change here a
migration is due (`store/migrations`): a test compares the two.
"""

from sqlalchemy import Table

from store.tables import access, console, delivery, directory, logs, sync, tenancy
from store.tables.base import Base

__all__ = ["Base", "access", "console", "delivery", "directory", "logs", "sync", "tenancy"]


def _table(name: str) -> Table:
    return Base.metadata.tables[name]


tenants = _table("tenants")
connections = _table("connections")
mapping_versions = _table("mapping_versions")
api_tokens = _table("api_tokens")
operator_tokens = _table("operator_tokens")
idempotency_keys = _table("idempotency_keys")
spent_assertions = _table("spent_assertions")
push_brakes = _table("push_brakes")
audit_log = _table("audit_log")
users = _table("users")
groups = _table("groups")
memberships = _table("memberships")
sessions = _table("sessions")
receipts = _table("receipts")
app_keys = _table("app_keys")
sign_ins = _table("sign_ins")
sign_in_codes = _table("sign_in_codes")
assessment_results = _table("assessment_results")
erasures = _table("erasures")
account_holders = _table("account_holders")
joined_holders = _table("joined_holders")
cycles = _table("cycles")
delta_links = _table("delta_links")
push_conflicts = _table("push_conflicts")
assigned_lists = _table("assigned_lists")
entitled_lists = _table("entitled_lists")
plans = _table("plans")
drift_findings = _table("drift_findings")
provisioning_log = _table("provisioning_log")
events = _table("events")
event_retention = _table("event_retention")
webhook_endpoints = _table("webhook_endpoints")
dead_letters = _table("dead_letters")
event_streams = _table("event_streams")
stream_acknowledgements = _table("stream_acknowledgements")
signing_keys = _table("signing_keys")
leases = _table("leases")
operators = _table("operators")
access_links = _table("access_links")
console_sessions = _table("console_sessions")
setup_steps = _table("setup_steps")
