"""Documents of tenants and connections, and of where connections stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from config.settings import Settings
from console.documents.values import JsonDocument, iso
from store.integration.openid_providers import OpenIdProvider
from store.records import ApiToken, Connection, Cycle, JsonValue, Policy, PushRemoval, Tenant, User
from store.sync.cycles import Progress
from store.tenancy.credential_expiry import credential_state
from store.tenancy.deletion import ConnectionCounts
from store.tenancy.push_brakes import PushBrake
from store.tenancy.standings import Standing
from worker.reconcile.mapping.scoping_filters import print_clause

STARTING = Progress("starting")
"""The progress of a cycle that has not reported any yet."""


def tenant(record: Tenant) -> JsonDocument:
    """Return the document of a tenant."""
    return {"id": record.id, "name": record.name, "slug": record.slug}


def connection(record: Connection, settings: Settings, tokens: Sequence[ApiToken] = ()) -> JsonDocument:
    """Return the document of a connection; `tokens` are searched for federated ones.

    It begins with the values that design.md §6 promises to scripts.
    """
    base = settings.base_url
    return {
        "id": record.id,
        "tenant_id": record.tenant_id,
        "name": record.name,
        "scim_url": f"{base}/api/scim/v2",
        "scim_url_connection": f"{base}/v1/admin/scim/{record.id}",
        "redirect_uri": f"{base}/v1/admin/openid/{record.id}/callback/login",
        "return_urls": list(record.return_urls),
        "token_url": f"{base}/oauth/token",
        "mode": record.policy.mode,
        "state": connection_state(record),
        "scope": record.policy.scope,
        "membership": record.policy.membership,
        "extensions": list(record.policy.extensions),
        **_policy(record.policy),
        "interval_minutes": record.interval_minutes,
        "entra_tenant_id": record.entra_tenant_id,
        "client_id": record.client_id,
        "app_id": record.app_id or record.client_id,
        "login_url": record.login_url,
        "graph_url": record.graph_url,
        "has_credential": record.has_credential,
        "credential_expires_at": iso(record.credential_expires_at),
        "credential_state": credential_state(record, datetime.now(UTC)),
        "last_cycle_at": iso(record.last_cycle_at),
        "next_due_at": iso(record.next_due_at),
        "paused_reason": record.paused_reason,
        "quarantine_reason": record.quarantine_reason,
        "consecutive_failures": record.consecutive_failures,
        "consecutive_incomplete": record.consecutive_incomplete,
        "incomplete_reason": record.incomplete_reason,
        "last_complete_at": iso(record.last_complete_at),
        "federation": [_federated_token(token) for token in federated(tokens)],
    }


def _policy(policy: Policy) -> JsonDocument:
    """Return the parts of a policy that `connection set` changes."""
    filters: list[JsonValue] = [
        [print_clause(clause) for clause in clauses] for clauses in policy.scoping_filters
    ]
    return {
        "filters": filters,
        "ceilings": {
            "floor": policy.ceilings.floor,
            "percent": policy.ceilings.percent,
            "count": policy.ceilings.count,
        },
        "held_plan_days": policy.held_plan_days,
        "full_every_hours": policy.full_every_hours,
        "evidence_max_age_s": policy.evidence_max_age_s,
        "deprovision_local_accounts": policy.deprovision_local_accounts,
        "clear_emptied_attributes": policy.clear_emptied_attributes,
        "protect_from_push": policy.protect_from_push,
        "brake_push": policy.brake_push,
    }


def sign_in_provider(record: Connection, other: OpenIdProvider | None, settings: Settings) -> JsonDocument:
    """Return by what people sign in, and the addresses to register there."""
    place = f"{settings.base_url}/v1/admin/openid/{record.id}"
    return {
        "kind": "entra" if other is None else "openid",
        "issuer": other.issuer if other else None,
        "client_id": other.client_id if other else None,
        "link_claim": other.link_claim if other else None,
        "redirect_uri": f"{place}/callback/login",
        "front_channel_logout_uri": f"{place}/logout/front",
        "back_channel_logout_uri": f"{place}/logout/back",
    }


def linked_person(record: User, subject: str) -> JsonDocument:
    """Return who signs in as which account."""
    return {"user_id": record.id, "user_name": record.user_name, "subject": subject}


def connection_state(record: Connection) -> str:
    """Return `paused`, `quarantined`, `incomplete` or `active`."""
    if record.paused_at:
        return "paused"
    if record.quarantined_at:
        return "quarantined"
    return "incomplete" if record.is_never_complete else "active"


def federated(tokens: Sequence[ApiToken]) -> list[ApiToken]:
    """Return the tokens whose assertions the connection accepts."""
    return [token for token in tokens if token.federation and token.revoked_at is None]


def running_cycle(cycle: Cycle, progress: Progress | None) -> JsonDocument:
    """Return the document of a cycle that runs now."""
    known = progress or STARTING
    return {
        "cycle_id": cycle.id,
        "kind": cycle.kind.value,
        "started_at": cycle.started_at.isoformat(),
        "phase": known.phase,
        "done": known.done,
        "total": known.total,
        "rate_per_s": known.rate_per_s,
        "left_s": known.left_s,
    }


def _federated_token(token: ApiToken) -> JsonValue:
    assert token.federation is not None
    return {
        "token_id": token.id,
        "name": token.name,
        "subject": token.federation.subject,
        "audiences": list(token.federation.audiences),
    }


def deleted_connection(record: Connection, counts: ConnectionCounts, people: str) -> JsonDocument:
    """Return the document of a deleted connection: what belonged to it."""
    return {
        "id": record.id,
        "tenant_id": record.tenant_id,
        "name": record.name,
        "deleted": True,
        "people": people,
        **asdict(counts),
    }


def deleted_tenant(
    record: Tenant, parts: Iterable[tuple[Connection, ConnectionCounts]], people: str
) -> JsonDocument:
    """Return the document of a deleted tenant with its connections."""
    listed: list[JsonValue] = [deleted_connection(each, counts, people) for each, counts in parts]
    return {"id": record.id, "slug": record.slug, "deleted": True, "connections": listed}


def released(
    connection: Connection,
    braked: Sequence[PushBrake],
    removed: Mapping[PushRemoval, int],
    until: datetime | None,
) -> JsonDocument:
    """Return what was released, and until when the push removes without a limit."""
    return {
        "connection_id": connection.id,
        "released": [
            {
                "kind": brake.kind,
                "braked_at": iso(brake.braked_at),
                "reason": brake.reason,
                "refused": brake.refused,
            }
            for brake in braked
        ],
        "removed": {kind.value: number for kind, number in removed.items()},
        "released_until": iso(until),
    }


def connection_status(
    tenant: str, connection: Connection, standing: Standing, level: str, why: list[str], now: datetime
) -> JsonDocument:
    """Return the document of one connection in short."""
    last, ends = standing.last, connection.credential_expires_at
    read_at = connection.last_complete_at
    reasons: list[JsonValue] = list(why)
    return {
        "tenant": tenant,
        "connection": connection.name,
        "connection_id": connection.id,
        "level": level,
        "why": reasons,
        "state": connection_state(connection),
        "mode": connection.policy.mode,
        "last_cycle": None
        if last is None
        else {"cycle_id": last.id, "kind": last.kind, "status": last.status, "at": iso(last.started_at)},
        "last_complete_at": iso(read_at),
        "last_complete_age_s": None if read_at is None else int((now - read_at).total_seconds()),
        "open": None if standing.findings is None else standing.findings.get("open", 0),
        "held_plans": standing.held_plans,
        "held_rows": standing.held_rows,
        "credential_state": credential_state(connection, now),
        "credential_days": None if ends is None else (ends - now).days,
        "last_push_at": iso(standing.last_push_at),
        "push_braked_at": iso(standing.braked_at),
        "next_due_at": iso(connection.next_due_at),
    }
