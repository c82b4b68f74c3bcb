"""Tell the vendor's app whether a session is live, and ask Graph first where the proof
of entitlement is older than the app accepts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor
from console.admin.services import Services
from store.directory import session_checks, sessions
from store.directory.session_checks import LiveSession
from store.errors import StoreError
from store.keys import utc_now
from store.logs import provisioning_log
from store.records import (
    UNATTENDED,
    Action,
    Connection,
    Mode,
    SessionId,
    TenantId,
    UserId,
)
from store.tenancy import connections
from worker.errors import WorkerError
from worker.jobs import dispatch
from worker.on_demand.report import OnDemandReport
from worker.services import build_services

WITHIN_S = 5.0
"""How long an answer may wait for Graph; then the proof stays as old as it is."""
MOST_ASKED_AT_ONCE = 16
"""How many people Graph is asked about at once; others keep the proof they have."""
SEEN_AT_ONCE = 200
"""How many last uses of sessions are written in one transaction."""
_Person = tuple[TenantId, UserId, int]

log = structlog.get_logger()


@dataclass(slots=True)
class SessionDesk:
    """Answers about sessions for one process: remembers no session, only who is asked
    about at Graph, and the last uses that are still to be written.
    """

    services: Services
    within_s: float = WITHIN_S
    _asking: dict[_Person, asyncio.Task[None]] = field(default_factory=dict)
    _seen: dict[TenantId, dict[SessionId, tuple[datetime, datetime]]] = field(default_factory=dict)

    async def check(self, actor: Actor, secret: str, max_age_s: float | None = None) -> LiveSession | None:
        """Return a live session of the actor's tenant, or None: it may have ended a
        moment ago, or never have been.

        With `max_age_s` Graph is asked about the person first where the proof is older.
        A person who is not entitled any more loses access by that, within the ceilings
        and in mode `enforce`, and the session is gone in the answer; else the proof
        stays as old as it is.
        """
        found = await self._read(actor, secret)
        if found is None:
            return None
        if max_age_s is not None and proof_age_s(found, utc_now()) > max_age_s:
            await self._ask(found)
            found = await self._read(actor, secret)
        if found is not None:
            self._note_seen(found)
        return found

    async def write_seen(self) -> None:
        """Write the last uses that were noted, some at a time.

        A transaction of thousands of rows would hold up the questions that come
        meanwhile.
        """
        seen, self._seen = self._seen, {}
        for tenant_id, of_tenant in seen.items():
            noted = list(of_tenant.items())
            for start in range(0, len(noted), SEEN_AT_ONCE):
                some = dict(noted[start : start + SEEN_AT_ONCE])
                await self.services.db.write(partial(_note_some, tenant_id, some))

    async def close(self) -> None:
        """Write what is noted, and wait a moment for what is asked."""
        if self._asking:
            await asyncio.wait(self._asking.values(), timeout=self.within_s)
        for task in tuple(self._asking.values()):
            task.cancel()
        await self.write_seen()

    async def _read(self, actor: Actor, secret: str) -> LiveSession | None:
        async with self.services.db.reading(single_statement=True) as conn:
            found = await session_checks.check(conn, secret)
        return found if found is not None and actor.sees(found.tenant_id) else None

    def _note_seen(self, found: LiveSession) -> None:
        now = utc_now()
        if (now - found.last_seen_at).total_seconds() < sessions.SEEN_EVERY_S:
            return
        idle = timedelta(minutes=self.services.settings.session_idle_minutes)
        until = min(found.expires_at, now + idle)
        self._seen.setdefault(found.tenant_id, {})[found.id] = (now, until)

    async def _ask(self, found: LiveSession) -> None:
        """Ask Graph about one person, once for all who wait, for `within_s` at most."""
        person = (found.tenant_id, found.user_id, found.period)
        task = self._asking.get(person)
        if task is None:
            if found.entra_object_id is None or len(self._asking) >= MOST_ASKED_AT_ONCE:
                return
            task = asyncio.create_task(self._ask_graph(found, found.entra_object_id))
            self._asking[person] = task
            task.add_done_callback(lambda _: self._asking.pop(person, None))
        await asyncio.wait({task}, timeout=self.within_s)

    async def _ask_graph(self, found: LiveSession, object_id: str) -> None:
        asked_at = utc_now()
        services = self.services
        try:
            async with services.db.reading() as conn:
                connection = await connections.get(conn, found.tenant_id, found.connection_id)
            entitled = _entitled(await self._provision(connection, object_id, is_dry_run=True))
            if entitled:
                await services.db.write(
                    lambda conn: session_checks.note_proof(
                        *(conn, found.tenant_id, found.user_id),
                        holder_number=found.holder_number,
                        period=found.period,
                        proved_at=asked_at,
                    )
                )
            elif entitled is False and await self._may_end_access(connection):
                await self._provision(connection, object_id, is_dry_run=False)
        except (StoreError, WorkerError) as error:
            log.warning("session.proof_failed", connection_id=found.connection_id, error=type(error).__name__)

    async def _may_end_access(self, connection: Connection) -> bool:
        """Return whether one more removal is within what Leaver does unasked.

        An app that checks every session must not do what a held plan was to prevent.
        """
        if connection.policy.mode is not Mode.ENFORCE:
            return False
        ceilings, since = connection.policy.ceilings, utc_now() - timedelta(days=1)
        async with self.services.db.reading() as conn:
            place = (conn, connection.tenant_id, connection.id)
            removed = await provisioning_log.removals_since(*place, since)
        percent = (connection.people or 0) * ceilings.percent / 100
        most = max(ceilings.floor, min(ceilings.count, int(percent)))
        return removed.get(Action.DISABLE, 0) < most

    async def _provision(self, connection: Connection, object_id: str, *, is_dry_run: bool) -> OnDemandReport:
        services = self.services
        [report] = await dispatch.provision_each(
            build_services(services.settings, services.db),
            connection,
            [object_id],
            is_dry_run=is_dry_run,
            actor=UNATTENDED,  # it counts in the rolling window of the ceilings
        )
        return report


async def _note_some(
    tenant_id: TenantId, seen: Mapping[SessionId, tuple[datetime, datetime]], conn: AsyncConnection
) -> None:
    await sessions.note_seen(conn, tenant_id, seen)


def _entitled(report: OnDemandReport) -> bool | None:
    """Return what Graph said of a person; None where its answer proves neither."""
    scope = next((step for step in report.steps if step.name == "scope"), None)
    said = (scope.data or {}).get("entitled") if scope is not None else None
    return said if isinstance(said, bool) else None


def proof_age_s(found: LiveSession, now: datetime) -> float:
    """Return how old the proof of entitlement is; infinite where there is none."""
    return float("inf") if found.proved_at is None else (now - found.proved_at).total_seconds()
