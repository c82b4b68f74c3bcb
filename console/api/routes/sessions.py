"""Operations on sessions, receipts, and on what a person keeps in the app."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from console.admin.history import person_history, results
from console.admin.history.results import NewResult
from console.admin.sessions import account_sessions, app_keys
from console.api.contract import Caller, Routes
from console.api.schemas import sessions as schemas
from console.documents import history as history_documents
from console.documents import sessions as documents
from console.documents.values import JsonDocument
from store.integration.app_keys import NewAppKey

routes = Routes("Sessions and history")

OF_USER = "/connections/{connection}/users/{user}"


@routes.add("GET", f"{OF_USER}/sessions", "admin:session:read", problems=("not-found",))
async def list_sessions(
    caller: Caller, connection: str, user: str
) -> Annotated[JsonDocument, schemas.SessionPage]:
    """List the sessions of an account, ended ones too, the newest first."""
    found = await account_sessions.list_for_user(caller.services, caller.actor, connection, user)
    now = datetime.now(UTC)
    return caller.page(documents.session(each, now) for each in found.sessions)


@routes.add("DELETE", f"{OF_USER}/sessions", "admin:session:end", problems=("not-found",))
async def end_sessions(
    caller: Caller, connection: str, user: str
) -> Annotated[JsonDocument, schemas.EndedSessionsAnswer]:
    """End every session of an account; its access stays."""
    done = await account_sessions.end_all(caller.services, caller.actor, connection, user)
    return documents.ended_sessions(done.user, done.ended)


@routes.add(
    "DELETE", "/connections/{connection}/sessions/{session}", "admin:session:end", problems=("not-found",)
)
async def end_session(
    caller: Caller, connection: str, session: str
) -> Annotated[JsonDocument, schemas.EndedSessionAnswer]:
    """End one session; one that has ended stays as it is.

    What the app registered is ended by its id too; the app hears of it, and
    acknowledges the receipt.
    """
    ended = await account_sessions.end(caller.services, caller.actor, connection, session)
    return documents.session_or_app_key(ended, datetime.now(UTC))


@routes.add("GET", f"{OF_USER}/app-keys", "admin:session:read", problems=("not-found",))
async def list_app_keys(
    caller: Caller, connection: str, user: str
) -> Annotated[JsonDocument, schemas.AppKeyPage]:
    """List the sessions and API keys that the app registered for an account."""
    found = await account_sessions.list_for_user(caller.services, caller.actor, connection, user)
    now = datetime.now(UTC)
    return caller.page(documents.app_key(each, now) for each in found.app_keys)


@routes.add(
    "POST",
    f"{OF_USER}/app-keys",
    "admin:session:introspect",
    status=201,
    problems=("not-found", "conflict", "invalid-value"),
)
async def register_app_key(
    caller: Caller, connection: str, user: str, body: schemas.NewAppKeyBody
) -> Annotated[JsonDocument, schemas.AppKeyAnswer]:
    """Register a session or API key that the app keeps itself for a person.

    It ends with the person's access, and stands in the receipt, which the app
    acknowledges. A person without access is a conflict: end it. The same `kind` and
    `reference` give the first registration again.
    """
    wanted = NewAppKey(body.kind, body.reference, body.label, body.expires_at)
    made = await app_keys.register(caller.services, caller.actor, connection, user, wanted)
    return documents.app_key(made, datetime.now(UTC))


@routes.add(
    "DELETE", "/connections/{connection}/app-keys/{key}", "admin:session:introspect", problems=("not-found",)
)
async def end_app_key(
    caller: Caller, connection: str, key: str
) -> Annotated[JsonDocument, schemas.AppKeyAnswer]:
    """Say that the app ended a session or key of its own, as at sign-out."""
    ended = await app_keys.end(caller.services, caller.actor, connection, key)
    return documents.app_key(ended, datetime.now(UTC))


@routes.add("GET", f"{OF_USER}/receipts", "admin:session:read", problems=("not-found",))
async def list_receipts(
    caller: Caller, connection: str, user: str
) -> Annotated[JsonDocument, schemas.ReceiptPage]:
    """List what ended with each period of access of an account, the newest first."""
    found = await account_sessions.list_for_user(caller.services, caller.actor, connection, user)
    return caller.page(map(documents.receipt, found.receipts))


@routes.add("GET", "/connections/{connection}/receipts", "admin:session:read", problems=("not-found",))
async def list_open_receipts(caller: Caller, connection: str) -> Annotated[JsonDocument, schemas.ReceiptPage]:
    """List receipts that the app has not acknowledged, the oldest 100 first."""
    found = await account_sessions.open_receipts(caller.services, caller.actor, connection)
    return caller.page(map(documents.receipt, found))


@routes.add(
    "PUT",
    "/connections/{connection}/receipts/{receipt}/acknowledgement",
    "admin:session:introspect",
    problems=("not-found",),
)
async def acknowledge_receipt(
    caller: Caller, connection: str, receipt: str
) -> Annotated[JsonDocument, schemas.ReceiptAnswer]:
    """Say that the app ended what the receipt names; the first time counts."""
    done = await account_sessions.acknowledge(caller.services, caller.actor, connection, receipt)
    return documents.receipt(done)


@routes.add("GET", f"{OF_USER}/results", "admin:history:read", problems=("not-found",))
async def list_results(
    caller: Caller, connection: str, user: str, holder: schemas.Holder = None
) -> Annotated[JsonDocument, schemas.ResultPage]:
    """List the assessment results of an account's present or an earlier holder."""
    found = await results.list_for_user(caller.services, caller.actor, connection, user, holder)
    return caller.page(map(history_documents.result, found.results))


@routes.add(
    "POST", f"{OF_USER}/results", "admin:history:write", status=201, problems=("not-found", "invalid-value")
)
async def add_result(
    caller: Caller, connection: str, user: str, body: schemas.ResultBody
) -> Annotated[JsonDocument, schemas.ResultAnswer]:
    """Keep an assessment result, also of an account without access.

    The same `idempotency_key` gives the first result again.
    """
    wanted = NewResult(body.title, body.score, body.taken_at, body.document, body.idempotency_key)
    return history_documents.result(
        await results.add(caller.services, caller.actor, connection, user, wanted)
    )


@routes.add("GET", f"{OF_USER}/history", "admin:history:read", problems=("not-found", "invalid-value"))
async def export_history(
    caller: Caller, connection: str, user: str, holder: schemas.Holder = None
) -> Annotated[JsonDocument, schemas.HistoryAnswer]:
    """Export all that a person left, in every account that stood for the person."""
    found = await person_history.export(caller.services, caller.actor, connection, user, holder)
    accounts = [(each.holder, each.results, each.receipts, each.erasures) for each in found.accounts]
    return history_documents.person_history(found.user, found.holder_number, accounts)


@routes.add(
    "POST",
    f"{OF_USER}/history/erasures",
    "admin:history:erase",
    status=201,
    problems=("not-found", "invalid-value"),
)
async def erase_history(
    caller: Caller, connection: str, user: str, body: schemas.ErasureBody
) -> Annotated[JsonDocument, schemas.ErasuresAnswer]:
    """Erase a person's results for good, in every account; a trace stays."""
    done = await person_history.erase(
        caller.services, caller.actor, connection, user, body.reason, body.holder
    )
    return history_documents.erased_history(done.user, done.erasures)
