"""The steps of a set-up, ticked by what was seen: pushes, readings and tests.

A step that was seen done is kept with its time and proof. Whether it is done now is
read from the connection: a revoked token or a switched mode takes the tick away.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin.actor import Actor, requires
from console.admin.checks import doctor
from console.admin.checks.check import Check, CheckStatus
from console.admin.references import find_connection
from console.admin.services import Services
from console.documents.api_tokens import token_state
from store.access import setup_steps
from store.access.setup_steps import SetupStepTrace
from store.keys import utc_now
from store.logs import audit_log
from store.records import ApiToken, Connection, Mode
from store.tenancy import api_tokens, mappings


class SetupStep(StrEnum):
    """The steps in the order in which an admin does them: push, then pull."""

    TOKEN_MADE = "token_made"  # noqa: S105 - a step, not a secret
    TEST_CONNECTION = "test_connection"
    FIRST_USER = "first_user"
    FIRST_GROUP = "first_group"
    FIRST_DISABLE = "first_disable"
    CREDENTIAL_STORED = "credential_stored"
    GRAPH_TOKEN = "graph_token"  # noqa: S105 - a step, not a secret
    PERMISSIONS = "permissions"
    APPLICATION = "application"
    MAPPING_FITS = "mapping_fits"
    FIRST_READING = "first_reading"
    ENFORCE = "enforce"


REFUSALS_LOOKED_AT = 50
PUSH_STEPS = tuple(SetupStep)[:5]
OF_CHECKS = {
    "credential": SetupStep.GRAPH_TOKEN,
    "permissions": SetupStep.PERMISSIONS,
    "application": SetupStep.APPLICATION,
}
"""The step that a check of `doctor.test_connection` proves."""


@dataclass(frozen=True, slots=True)
class SetupProgress:
    """One step: done or not, since when, and how that is known."""

    step: SetupStep
    is_done: bool
    at: datetime | None = None
    proof: str = ""


@dataclass(frozen=True, slots=True)
class RefusedPush:
    """The last request of Entra's that was refused after the last that was accepted."""

    at: datetime
    why: str
    address: str


@dataclass(frozen=True, slots=True)
class SetupChecklist:
    """The set-up of a connection."""

    connection: Connection
    steps: Sequence[SetupProgress]
    tokens: Sequence[ApiToken]
    refused: RefusedPush | None = None

    @property
    def done(self) -> int:
        """Return how many steps are done."""
        return sum(each.is_done for each in self.steps)


@dataclass(frozen=True, slots=True)
class TestedSetup:
    """The checks of Microsoft Graph, and the set-up after them."""

    checklist: SetupChecklist
    checks: Sequence[Check]


@requires("admin:connection:read")
async def show(services: Services, actor: Actor, connection: str) -> SetupChecklist:
    """Return the steps with time and proof. Raises `UnknownReference`."""
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        known = await setup_steps.load(conn, found.tenant_id, found.id)
        tokens = await api_tokens.list_for(conn, found.tenant_id, found.id)
        seen = await _traces(conn, found, tokens, known)
        refused = await _refused(conn, found, tokens)
    if new := {step: trace for step, trace in seen.items() if step not in known}:
        await services.db.write(lambda conn: setup_steps.add(conn, found.tenant_id, found.id, new))
    return SetupChecklist(found, _steps(found, tokens, {**seen, **known}), tokens, refused)


@requires("admin:connection:update")
async def examine(services: Services, actor: Actor, connection: str) -> TestedSetup:
    """Try token, permissions and every query of a cycle, and tick what they prove.

    Raises `UnknownReference`.
    """
    checks = await doctor.test_connection(services, actor, connection)
    now = utc_now()
    proved = {
        OF_CHECKS[check.name].value: SetupStepTrace(now, check.detail)
        for check in checks
        if check.name in OF_CHECKS and check.found is not CheckStatus.FAILED
    }
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
    await services.db.write(lambda conn: setup_steps.add(conn, found.tenant_id, found.id, proved))
    return TestedSetup(await show(services, actor, connection), checks)


async def _traces(
    conn: AsyncConnection, found: Connection, tokens: Sequence[ApiToken], known: Container[str]
) -> dict[str, SetupStepTrace]:
    """Return what the store knows now of steps; traffic only where it is not noted."""
    place = (conn, found.tenant_id, found.id)
    traces = dict(_of_tokens(tokens))
    for step, (first_of, proof) in _PUSHED.items():
        at = None if step in known else await first_of(*place)
        if at is not None:
            traces[step] = SetupStepTrace(at, proof)
    now = utc_now()
    verdict = await mappings.verdict(*place)
    if found.policy.mapping_confirmed or (verdict or {}).get("names_fit"):
        traces[SetupStep.MAPPING_FITS] = SetupStepTrace(now, "compared with the accounts that Entra wrote")
    return traces | dict(_of_pull(found, now))


_PUSHED = {
    SetupStep.FIRST_USER: (setup_steps.first_pushed_user, "a user that Entra created"),
    SetupStep.FIRST_GROUP: (setup_steps.first_pushed_group, "a group that Entra created"),
    SetupStep.FIRST_DISABLE: (setup_steps.first_disable, "Entra took a person's access away"),
}


def _of_tokens(tokens: Sequence[ApiToken]) -> Iterator[tuple[str, SetupStepTrace]]:
    if tokens:
        yield SetupStep.TOKEN_MADE, SetupStepTrace(tokens[0].created_at, f"API token {tokens[0].name}")
    used = [(each.last_used_at, each) for each in tokens if each.last_used_at is not None]
    for at, token in sorted(used, key=lambda each: each[0])[:1]:
        came = f" from {token.last_used_from}" if token.last_used_from else ""
        yield SetupStep.TEST_CONNECTION, SetupStepTrace(at, f"a request with {token.name}{came}")


def _of_pull(found: Connection, now: datetime) -> Iterator[tuple[str, SetupStepTrace]]:
    if found.has_credential:
        yield SetupStep.CREDENTIAL_STORED, SetupStepTrace(now, f"client {found.client_id or ''}".strip())
    if found.last_complete_at is not None:
        read = SetupStepTrace(found.last_complete_at, "a complete reading of the directory")
        for step in (*OF_CHECKS.values(), SetupStep.FIRST_READING):
            yield step, read
    if found.policy.mode is Mode.ENFORCE:
        yield SetupStep.ENFORCE, SetupStepTrace(now, "drift is repaired within the ceilings")


def _steps(
    found: Connection, tokens: Sequence[ApiToken], traces: Mapping[str, SetupStepTrace]
) -> Sequence[SetupProgress]:
    """Return each step; one that was undone since is not done."""
    now = utc_now()
    undone = {
        SetupStep.TOKEN_MADE: not any(token_state(each, now) == "active" for each in tokens),
        SetupStep.CREDENTIAL_STORED: not found.has_credential,
        SetupStep.ENFORCE: found.policy.mode is not Mode.ENFORCE,
    }
    return [
        SetupProgress(step, True, traces[step].at, traces[step].proof)
        if step in traces and not undone.get(step, False)
        else SetupProgress(step, False)
        for step in SetupStep
    ]


async def _refused(
    conn: AsyncConnection, found: Connection, tokens: Sequence[ApiToken]
) -> RefusedPush | None:
    """Return the last refusal, unless a token worked after it."""
    recent = await audit_log.search(conn, found.tenant_id, found.id, limit=REFUSALS_LOOKED_AT)
    refused = next((each for each in recent if each.action == "token.refused"), None)
    used = max((each.last_used_at for each in tokens if each.last_used_at is not None), default=None)
    if refused is None or (used is not None and used > refused.at):
        return None
    detail = refused.detail
    return RefusedPush(refused.at, str(detail.get("why") or ""), str(detail.get("address") or ""))
