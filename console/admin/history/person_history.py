"""Export and erase what a person left: across all accounts of the tenant that stood for
the person (identity.md, W4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from console.admin import audit
from console.admin.actor import Actor, requires
from console.admin.errors import InvalidResult
from console.admin.people.users import find_account
from console.admin.references import find_connection
from console.admin.services import Services
from store.directory import assessment_results, people, receipts
from store.directory.people import AccountHolder
from store.records import AssessmentResult, Connection, Erasure, Receipt, User

LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class HolderHistory:
    """What one holder of one account left."""

    holder: AccountHolder
    results: Sequence[AssessmentResult]
    receipts: Sequence[Receipt]
    erasures: Sequence[Erasure]


@dataclass(frozen=True, slots=True)
class PersonHistory:
    """What a person left in every account that stood for the person."""

    user: User
    holder_number: int
    accounts: Sequence[HolderHistory]


@dataclass(frozen=True, slots=True)
class ErasedHistory:
    """The traces of an erasure, one for each account."""

    user: User
    erasures: Sequence[Erasure]


@requires("admin:history:read")
async def export(
    services: Services, actor: Actor, connection: str, user: str, holder: int | None = None
) -> PersonHistory:
    """Return all that is kept of the holder of an account, or of an earlier one.

    Raises `UnknownReference`, and `InvalidResult` where the account never had this
    holder.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        account, held = await _accounts_of(conn, found, user, holder)
        parts = [await _history(conn, found, each) for each in held]
    return PersonHistory(account, held[0].number, parts)


@requires("admin:history:erase", recent=True)
async def erase(
    services: Services, actor: Actor, connection: str, user: str, reason: str, holder: int | None = None
) -> ErasedHistory:
    """Erase the results of a person in all accounts, for good; a trace stays.

    The trace says how many, when, by which actor and why, never what. Raises as
    `export` does, and for an empty reason.
    """
    reason = reason.strip()
    if not 1 <= len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise InvalidResult("reason", f"it has 1 to {LONGEST_REASON} printable characters")

    async def work(conn: AsyncConnection) -> ErasedHistory:
        found = await find_connection(conn, actor, connection)
        account, held = await _accounts_of(conn, found, user, holder)
        traces = []
        for each in held:
            trace = await assessment_results.erase(
                *(conn, found.tenant_id, each.user_id, each.number), actor=actor.label, reason=reason
            )
            if trace is not None:
                traces.append(trace)
        erased = sum(trace.results for trace in traces)
        await audit.record(
            *(conn, actor, found, "history_erased"),
            account=account.id,
            holder=held[0].number,
            accounts=len(traces),
            results=erased,
        )
        return ErasedHistory(account, traces)

    return await services.db.write(work)


async def _accounts_of(
    conn: AsyncConnection, connection: Connection, user: str, holder: int | None
) -> tuple[User, list[AccountHolder]]:
    """Return the account, and every account with the number of the same person, the
    named one first.
    """
    account = await find_account(conn, connection, user)
    holders = await people.holders_of_account(conn, connection.tenant_id, account.id)
    wanted = account.holder_number if holder is None else holder
    named = next((each for each in holders if each.number == wanted), None)
    if named is None:
        raise InvalidResult("holder", "the account never had a holder of this number")
    if named.entra_object_id is None:
        return account, [named]
    same = await people.accounts_of_person(
        conn, connection.tenant_id, named.directory_id, named.entra_object_id
    )
    others = [each for each in same if (each.user_id, each.number) != (named.user_id, named.number)]
    return account, [named, *others]


async def _history(conn: AsyncConnection, connection: Connection, holder: AccountHolder) -> HolderHistory:
    place = conn, connection.tenant_id, holder.user_id
    return HolderHistory(
        holder,
        await assessment_results.list_for_holder(*place, holder.number),
        [each for each in await receipts.list_for_user(*place) if each.holder_number == holder.number],
        [each for each in await assessment_results.erasures(*place) if each.holder_number == holder.number],
    )
