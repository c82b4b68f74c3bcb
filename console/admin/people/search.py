"""Find people and groups by the beginning of a name, in Entra and here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from console.admin.actor import Actor, requires
from console.admin.references import find_connection
from console.admin.services import Services
from store.directory import browsing, listing, users
from store.directory import groups as stored_groups
from store.directory.listing import UserFilter
from store.records import Connection, Group, User
from worker.errors import WorkerError
from worker.services import build_services

if TYPE_CHECKING:
    from worker.graph.read.beginnings import NamedGroup, NamedUser

MOST = 10


class FoundPlace(StrEnum):
    """Where a person of this name is."""

    BOTH = "here and in Entra"
    ENTRA = "only in Entra"
    LINKED = "here, linked to Entra"
    """It was not among the first names that Entra gave."""
    HERE = "only here"


@dataclass(frozen=True, slots=True)
class FoundSubject:
    """A person or a group that may be meant."""

    reference: str
    """By which it is provisioned."""
    name: str
    user_name: str
    place: FoundPlace
    account: User | None = None
    is_enabled: bool | None = None
    """In Entra; None where Entra was not asked or does not have the person."""
    is_group: bool = False


@dataclass(frozen=True, slots=True)
class FoundSubjects:
    """Who and what was found; `why_not_entra` where Entra could not be asked."""

    subjects: Sequence[FoundSubject]
    why_not_entra: str = ""


@requires("admin:sync:run")
async def search(services: Services, actor: Actor, connection: str, text: str) -> FoundSubjects:
    """Return up to ten people in Entra and ten here, and as many groups.

    Two requests to Microsoft Graph. Raises `UnknownReference`.
    """
    text = text.strip()
    async with services.db.reading() as conn:
        found = await find_connection(conn, actor, connection)
        of = conn, found.tenant_id, found.id
        wanted = UserFilter(name=text)
        named = await browsing.find_names(*of, wanted, anywhere=False)
        here = (await browsing.sorted_users(*of, wanted, limit=MOST, found=named)).items
        groups = (await listing.groups(*of, name=text, limit=MOST)).items
    try:
        there, groups_there = await _in_entra(services, found, text)
    except WorkerError as error:
        listed = [*map(_account, here), *map(_group, groups)]
        return FoundSubjects(listed, str(error))
    async with services.db.reading() as conn:
        of = conn, found.tenant_id, found.id
        names = [each.user_name for each in there]
        known = await users.load_some(*of, objects=[each.id for each in there], names=names)
        linked = await stored_groups.load_some(*of, objects=[each.id for each in groups_there])
    accounts = [user for user in known.values() if user.deleted_at is None]
    people = [_person(each, accounts) for each in there]
    told = {each.account.id for each in people if each.account is not None}
    rest = [_account(user) for user in here if user.id not in told]
    known_here = {each.entra_object_id for each in linked.values() if each.deleted_at is None}
    in_entra = [
        FoundSubject(
            *(each.id, each.display_name, ""),
            FoundPlace.BOTH if each.id in known_here else FoundPlace.ENTRA,
            is_group=True,
        )
        for each in groups_there
    ]
    listed_ids = {each.id for each in groups_there}
    only_here = [_group(group) for group in groups if group.entra_object_id not in listed_ids]
    return FoundSubjects([*people, *rest, *in_entra, *only_here])


async def _in_entra(
    services: Services, connection: Connection, text: str
) -> tuple[Sequence[NamedUser], Sequence[NamedGroup]]:
    from worker.graph.read import beginnings

    if not connection.has_credential or len(text) < beginnings.FEWEST_CHARACTERS:
        return (), ()
    async with build_services(services.settings, services.db).open_graph(connection) as graph:
        graph.prioritize()
        people = await beginnings.users_beginning_with(graph, text)
        return people, await beginnings.groups_beginning_with(graph, text)


def _person(user: NamedUser, accounts: Sequence[User]) -> FoundSubject:
    name = user.user_name.casefold()
    linked = [each for each in accounts if each.entra_object_id == user.id]
    named = [each for each in accounts if each.user_name.casefold() == name and not each.entra_object_id]
    account = next(iter([*linked, *named]), None)
    place = FoundPlace.ENTRA if account is None else FoundPlace.BOTH
    return FoundSubject(user.id, user.display_name, user.user_name, place, account, user.is_enabled)


def _account(user: User) -> FoundSubject:
    shown = str(user.document.get("displayName") or user.user_name)
    reference = user.entra_object_id or user.user_name
    return FoundSubject(reference, shown, user.user_name, _place(user), user)


def _group(group: Group) -> FoundSubject:
    reference = group.entra_object_id or group.display_name
    return FoundSubject(reference, group.display_name, "", _place(group), is_group=True)


def _place(record: User | Group) -> FoundPlace:
    return FoundPlace.HERE if record.entra_object_id is None else FoundPlace.LINKED
