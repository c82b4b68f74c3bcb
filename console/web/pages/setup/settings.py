"""Settings: credentials, scope, schedule, ceilings, mode, pause, and the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from console.admin import deletion
from console.admin.connections import overview, settings, states
from console.admin.connections.policy import PolicyChanges
from console.admin.connections.scope_effect import scope_effect
from console.admin.connections.settings import ConnectionChanges
from console.admin.errors import NoDriftReport
from console.admin.events import notifications
from console.admin.reports import cycles
from console.documents.connections import connection_state
from console.documents.values import plural
from console.transactions import comparing
from console.web import refusals
from console.web.pages.setup.stale_settings import (
    MovedField,
    SettingsMoved,
    check_shown,
    filled,
    moved_fields,
    shown_values,
)
from console.web.pages.users import counted
from console.web.refusals import WebRefused
from console.web.routes import CONNECTION, SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit, Word
from store.directory.browsing import MOST_COUNTED
from store.keys import utc_now
from store.records import Connection, DriftKind, FindingState, MembershipMode, Mode, Scope, ScopingClause
from store.records.connections import LIMITS, PeopleFate
from store.sync.drift_reports import FindingQuery
from store.tenancy.credential_expiry import credential_state
from worker.graph.auth.credentials import Credential
from worker.graph.errors import ConnectionUnusable
from worker.reconcile.mapping.attribute_paths import PolicyError
from worker.reconcile.mapping.scoping_filters import parse_clause

routes = WebRoutes()
SETTINGS = f"{CONNECTION}/settings"
SHOWN_NAMES = 25
CONCERNED = (
    ("People with access", "active"),
    ("Without access", "inactive"),
    ("Groups", "groups"),
    ("Live sessions", "sessions"),
    ("Tokens", "tokens"),
    ("Held plans", "held_plans"),
)
"""What the end of a connection concerns, by the name of its number."""
LEFT_ALONE = frozenset(
    {
        DriftKind.LOCAL_ACCOUNT,
        DriftKind.SHARED_ANCHOR,
        DriftKind.ANCHOR_BROKEN,
        DriftKind.MAPPING_MISMATCH,
        DriftKind.MATCH_CONFLICT,
        DriftKind.STATE_UNKNOWN,
    }
)
"""Findings that no cycle repairs: a person has to look."""


@routes.page("settings", SETTINGS, "admin:connection:read")
async def show(visit: Visit) -> WebAnswer:
    """Show every setting of the connection; secrets are never shown."""
    return await _page(visit, await _connection(visit))


async def _connection(visit: Visit) -> Connection:
    return (await overview.show(visit.services, visit.actor, visit.connection_id)).connection


async def _page(visit: Visit, found: Connection, moved: Sequence[MovedField] = ()) -> WebPage:
    """Return the page; with `moved` the form is filled with what was sent."""
    told = (
        await notifications.told(visit.services, visit.actor, found.id)
        if visit.may("admin:webhook:read")
        else None
    )
    values = {
        "connection": found,
        "state": connection_state(found),
        "credential": credential_state(found, utc_now()),
        "stood": shown_values(found),
        "fields": filled(visit, found) if moved else shown_values(found),
        "moved": moved,
        "limits": LIMITS,
        "told": told,
    }
    return WebPage("setup/settings.html", values, 409 if moved else 200)


@routes.form(
    "settings.credential",
    f"{SETTINGS}/credential",
    "admin:connection:update",
    calls="connections.settings.change",
    recent=True,
)
async def change_credential(visit: Visit) -> WebAnswer:
    """Store a new credential; it is tried at Entra before the stored one goes."""
    secret, certificate = visit.sent("secret").strip(), visit.sent("certificate").strip()
    try:
        credential = (
            Credential.from_certificate(certificate.encode(), visit.sent("password") or None)
            if certificate
            else Credential(
                secret=secret or None,
                secret_expires=_day(visit.sent("expires")),
                managed_identity=visit.sent("managed_identity").strip() or None,
            )
        )
    except ConnectionUnusable as error:
        raise WebRefused(refusals.unusable(str(error))) from None
    changes = ConnectionChanges(
        entra_tenant_id=visit.sent("entra_tenant_id").strip() or None,
        client_id=visit.sent("client_id").strip() or None,
        credential=credential,
        app_id=visit.sent("app_id").strip() or None,
        tests_credential=True,
    )
    await settings.change(visit.services, visit.actor, visit.connection_id, changes)
    return SeeOther(f"{visit.base}/settings", "credential-saved")


@routes.form(
    "settings.scope", f"{SETTINGS}/scope", "admin:connection:update", calls="connections.settings.change"
)
async def change_scope(visit: Visit) -> WebAnswer:
    """Show who would be in, in numbers; change it when that was read."""
    found = await _connection(visit)
    if moved := moved_fields(visit, found):
        return await _page(visit, found, moved)
    changes = ConnectionChanges(
        policy=PolicyChanges(
            scope=_word(Scope, visit.sent("scope")),
            membership=_word(MembershipMode, visit.sent("membership")),
            scoping_filters=_filters(visit.sent("filters")),
        )
    )
    if not visit.sent("confirmed"):
        effect = await scope_effect(visit.services, visit.actor, visit.connection_id, changes)
        if effect is not None:
            names = ("scope", "membership", "filters")
            sent = {f"{kind}{name}": visit.sent(f"{kind}{name}") for kind in ("", "was.") for name in names}
            return WebPage("setup/scope_effect.html", {"effect": effect, "sent": sent})
    return await _save(visit, changes)


async def _save(visit: Visit, changes: ConnectionChanges) -> WebAnswer:
    """Save the changes, or show what moved since the form was opened."""
    of = visit.actor, visit.connection_id
    try:
        await settings.change(comparing(visit.services, *of, partial(check_shown, visit)), *of, changes)
    except SettingsMoved as error:
        return await _page(visit, error.connection, error.fields)
    return SeeOther(f"{visit.base}/settings", "settings-saved")


@routes.form(
    "settings.policy", f"{SETTINGS}/policy", "admin:connection:update", calls="connections.settings.change"
)
async def change_policy(visit: Visit) -> WebAnswer:
    """Change schedule, ceilings and what the push may do."""
    changes = ConnectionChanges(
        interval_minutes=_number(visit.sent("interval_minutes")),
        policy=PolicyChanges(
            ceiling_floor=_number(visit.sent("ceiling_floor")),
            ceiling_percent=_share(visit.sent("ceiling_percent")),
            ceiling_count=_number(visit.sent("ceiling_count")),
            held_plan_days=_number(visit.sent("held_plan_days")),
            full_every_hours=_number(visit.sent("full_every_hours")),
            clear_emptied_attributes=bool(visit.sent("clear_emptied_attributes")),
            protect_from_push=bool(visit.sent("protect_from_push")),
            brake_push=bool(visit.sent("brake_push")),
        ),
    )
    return await _save(visit, changes)


@routes.page("settings.mode", f"{SETTINGS}/mode", "admin:connection:read")
async def mode(visit: Visit) -> WebAnswer:
    """Show what enforcing would do now: numbers, then names."""
    found = await _connection(visit)
    left = LEFT_ALONE - ({DriftKind.LOCAL_ACCOUNT} if found.policy.deprovision_local_accounts else set())
    query = FindingQuery(FindingState.OPEN, without=left, limit=SHOWN_NAMES)
    try:
        report = await cycles.drift_page(visit.services, visit.actor, visit.connection_id, None, query)
    except NoDriftReport:
        report = None
    still_open = [] if report is None else [each for each in report.counts if each.state is FindingState.OPEN]
    kinds = {each.kind.value: each.number for each in still_open if each.kind not in left}
    values = {
        "left": sum(each.number for each in still_open if each.kind in left),
        "connection": found,
        "report": report,
        "kinds": kinds,
        "waiting": () if report is None else report.findings,
        "more": max(0, sum(kinds.values()) - SHOWN_NAMES),
    }
    return WebPage("setup/mode.html", values)


@routes.form(
    "settings.set_mode",
    f"{SETTINGS}/mode",
    "admin:sync:approve",
    calls="connections.states.set_mode",
    recent=True,
)
async def set_mode(visit: Visit) -> WebAnswer:
    """Switch between report and enforce."""
    wanted = _word(Mode, visit.sent("mode"))
    await states.set_mode(visit.services, visit.actor, visit.connection_id, wanted)
    return SeeOther(f"{visit.base}/settings", f"mode-{wanted.value}")


@routes.form(
    "settings.pause", f"{SETTINGS}/pause", "admin:connection:update", calls="connections.states.pause"
)
async def pause(visit: Visit) -> WebAnswer:
    """Stop push and pull."""
    reason = visit.sent("reason").strip()[:200] or "paused in the console"
    await states.pause(visit.services, visit.actor, visit.connection_id, reason)
    return SeeOther(f"{visit.base}/settings", "paused")


@routes.form(
    "settings.resume", f"{SETTINGS}/resume", "admin:connection:update", calls="connections.states.resume"
)
async def resume(visit: Visit) -> WebAnswer:
    """End a pause or a quarantine."""
    await states.resume(visit.services, visit.actor, visit.connection_id)
    return SeeOther(f"{visit.base}/settings", "resumed")


@routes.page("settings.end", f"{SETTINGS}/end", "admin:connection:delete")
async def ask_end(visit: Visit) -> WebAnswer:
    """Show what the end of the connection concerns, in numbers."""
    return await _end_page(visit)


def _all_lose_access(active: int) -> str:
    return "1 person loses access" if active == 1 else f"All {active:,} lose access"


async def _end_page(visit: Visit, *, is_wrong: bool = False) -> WebPage:
    """Return the page; above `MOST_COUNTED` a number decides nothing any more."""
    effect = await deletion.connection_effect(
        visit.services, visit.actor, visit.connection_id, most=MOST_COUNTED + 1
    )
    active = effect.counts.active
    is_more = active > MOST_COUNTED
    values = {
        "connection": effect.connection,
        "people": f"more than {MOST_COUNTED:,} people" if is_more else plural(active, "person", "people"),
        "all": "All of them lose access" if is_more else _all_lose_access(active),
        "numbers": [(label, counted(getattr(effect.counts, name))) for label, name in CONCERNED],
        "is_wrong": is_wrong,
    }
    return WebPage("setup/end.html", values, 400 if is_wrong else 200)


@routes.form(
    "settings.ended",
    f"{SETTINGS}/end",
    "admin:connection:delete",
    calls="deletion.delete_connection",
    recent=True,
)
async def end(visit: Visit) -> WebAnswer:
    """End the connection when its name was typed."""
    if visit.sent("name") != (await _connection(visit)).name:
        return await _end_page(visit, is_wrong=True)
    fate = _word(PeopleFate, visit.sent("people"))
    await deletion.delete_connection(visit.services, visit.actor, visit.connection_id, fate)
    return SeeOther("/", "connection-ended")


def _number(text: str) -> int | None:
    if not text.strip():
        return None
    if not (text.strip().isascii() and text.strip().isdecimal()):
        raise WebRefused(refusals.unusable(f"“{text.strip()[:12]}” is not a whole number"))
    return int(text.strip()[:12])


def _share(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        given = float(text.strip()[:12])
    except ValueError:
        given = math.nan
    if not math.isfinite(given):
        raise WebRefused(refusals.unusable("The ceiling in percent is a number, for example 10 or 7.5"))
    return given


def _word(words: type[Word], text: str) -> Word:
    try:
        return words(text)
    except ValueError:
        raise WebRefused(refusals.UNREADABLE) from None


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise WebRefused(refusals.unusable("The day is not a date, for example 2027-01-31")) from None
    if day < utc_now():
        raise WebRefused(
            refusals.unusable("A secret that has ended cannot be used: compare the day with Entra's")
        )
    return day


def _filters(text: str) -> tuple[tuple[ScopingClause, ...], ...]:
    """Return filters of a text: a clause a line, an empty line between filters."""
    groups = [group for group in text.split("\n\n") if group.strip()]
    try:
        return tuple(
            tuple(parse_clause(line.strip()) for line in group.splitlines() if line.strip())
            for group in groups
        )
    except PolicyError as error:
        raise WebRefused(refusals.unusable(str(error))) from None
