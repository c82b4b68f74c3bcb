"""Say by which assignment a person has access, and who held the account before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.admin.actor import Actor
from console.admin.people.users import find_account
from console.admin.references import find_connection
from console.admin.services import Services
from store.directory import groups, memberships, people
from store.directory.people import AccountHolder
from store.records import Group, GroupId, Scope
from store.sync import delta_links


@dataclass(frozen=True, slots=True)
class AccessGrounds:
    """The assignments of an account's person, and its holders."""

    is_known: bool
    """A reading of all assignments was kept; else the rest says nothing."""
    is_everyone: bool
    """The scope takes every user of the directory, assigned or not."""
    is_direct: bool
    groups: Sequence[Group]
    """Groups of the person that are assigned, by name."""
    earlier_holders: Sequence[AccountHolder]
    """Other people that the account stood for, by number."""


async def show(services: Services, actor: Actor, connection: str, user: str) -> AccessGrounds:
    """Return what the last reading that was kept says about an account.

    Raises `UnknownReference`.
    """
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        account = await find_account(conn, found, user)
        of = conn, found.tenant_id, found.id
        member_of = await memberships.of_member(conn, found.tenant_id, account.id)
        held = await groups.load_some(*of, ids=[GroupId(each.group_id) for each in member_of])
        assigned = await delta_links.counted_groups(*of)
        is_direct = await delta_links.is_assigned(*of, account.entra_object_id or "")
        holders = await people.holders_of_account(conn, found.tenant_id, account.id)
    through = [group for group in held.values() if group.entra_object_id in assigned]
    return AccessGrounds(
        is_direct is not None and account.entra_object_id is not None,
        found.policy.scope is Scope.ALL,
        bool(is_direct),
        sorted(through, key=lambda group: group.display_name),
        [each for each in holders if each.number != account.holder_number],
    )
