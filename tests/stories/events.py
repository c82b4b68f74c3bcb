"""What may happen in a story, by its words: `leave A`, `name of A to B`, `push stands`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from simulator.objects import Conflict, DirectoryError
from store import lifecycle
from store.records import Cause, MarkUser, Origin
from tests.stories import rounds
from tests.stories.company import DOMAIN, World, properties_of

Event: TypeAlias = Callable[..., Awaitable[bool]]
"""Lets something happen; False where it cannot happen as things are."""


def _is_here(world: World, letter: str) -> bool:
    return world.facts.people.get(letter) in world.directory.users


async def leave(world: World, letter: str) -> bool:
    """The account is disabled in Entra."""
    if not _is_here(world, letter) or not world.directory.users[world.facts.people[letter]].enabled:
        return False
    world.directory.change_user(world.facts.people[letter], {"accountEnabled": False})
    return True


async def unassign(world: World, letter: str) -> bool:
    person, directory = world.facts.people.get(letter, ""), world.directory
    groups = directory.groups_of(person)
    if person not in directory.users or not (groups or person in directory.assignments):
        return False
    directory.unassign(person)
    for group in groups:
        directory.remove_member(group, person)
    return True


async def rejoin(world: World, letter: str) -> bool:
    """Enabled and assigned again, under whatever name."""
    directory = world.directory
    if not _is_here(world, letter):
        return False
    person = world.facts.people[letter]
    if person in directory.entitled():
        return False
    directory.change_user(person, {"accountEnabled": True})
    directory.assign(person)
    for group in directory.groups:
        directory.add_member(group, person)
    return True


async def delete(world: World, letter: str) -> bool:
    """Into the recycle bin."""
    if not _is_here(world, letter):
        return False
    world.directory.soft_delete_user(world.facts.people[letter])
    return True


async def purge(world: World, letter: str) -> bool:
    person, directory = world.facts.people.get(letter, ""), world.directory
    if person not in directory.users and person not in directory.deleted_users:
        return False
    directory.purge_user(person)
    return True


async def restore(world: World, letter: str) -> bool:
    person = world.facts.people.get(letter, "")
    if person not in world.directory.deleted_users:
        return False
    try:
        world.directory.restore_user(person)
    except Conflict:
        return False
    return True


async def rename(world: World, letter: str) -> bool:
    if not _is_here(world, letter):
        return False
    return _named(world, letter, f"{world.facts.names[letter]}x")


async def recase(world: World, letter: str) -> bool:
    """Everything is written in the other letter case: the same name, and the same person."""
    if not _is_here(world, letter):
        return False
    return _named(world, letter, world.facts.names[letter].swapcase())


async def swap_mails(world: World, one: str, other: str) -> bool:
    """Two people get each other's addresses, and keep their principal names."""
    if not _is_here(world, one) or not _is_here(world, other):
        return False
    people = [world.facts.people[each] for each in (one, other)]
    mails = [world.directory.users[person].properties["mail"] for person in people]
    for person, mail in zip(people, reversed(mails), strict=True):
        world.directory.change_user(person, {"mail": mail})
    return True


async def swap(world: World, one: str, other: str) -> bool:
    """Two people get each other's names."""
    if not _is_here(world, one) or not _is_here(world, other):
        return False
    first, second = world.facts.names[one], world.facts.names[other]
    return _named(world, one, "between") and _named(world, other, first) and _named(world, one, second)


async def give_name(world: World, one: str, other: str) -> bool:
    """The other gets the name of the one, who gets a new one if still here."""
    name = world.facts.names.get(one)
    if name is None or not _is_here(world, other):
        return False
    if _is_here(world, one) and not _named(world, one, f"former.{name}"):
        return False
    return _named(world, other, name)


def _named(world: World, letter: str, name: str) -> bool:
    """Everything by which a person is called changes together, as when somebody marries."""
    called = {key: value for key, value in properties_of(name).items() if key != "accountEnabled"}
    try:
        world.directory.change_user(world.facts.people[letter], called)
    except DirectoryError:
        return False
    world.facts.names[letter] = name
    return True


async def hire_in_capitals(world: World, letter: str, former: str) -> bool:
    """The same name in other letters, which is the same name."""
    name = world.facts.names.get(former)
    return name is not None and await _hire(world, letter, name.upper())


async def hire(world: World, letter: str, former: str) -> bool:
    """Somebody new gets the name of somebody who has it no more, and everything else of the name's."""
    return await _hire(world, letter, world.facts.names.get(former))


async def _hire(world: World, letter: str, name: str | None) -> bool:
    directory = world.directory
    if letter in world.facts.people or name is None or directory.find_user(f"{name}@{DOMAIN}"):
        return False
    person = directory.create_user(properties_of(name)).id
    world.facts.people[letter], world.facts.names[letter] = person, name
    directory.assign(person)
    for group in directory.groups:
        directory.add_member(group, person)
    return True


async def restart(world: World) -> bool:
    """Entra's job forgets whom it is linked to, and matches everybody anew."""
    if not world.facts.setting.has_push:
        return False
    await world.push.restart(full=True)
    return True


async def push_stands(world: World) -> bool:
    """Entra pushes nothing until the story ends or the push goes on."""
    return world.facts.setting.has_push and _turned(world, "push_stands", to=True)


async def push_goes_on(world: World) -> bool:
    return _turned(world, "push_stands", to=False)


async def pull_stands(world: World) -> bool:
    return _turned(world, "pull_stands", to=True)


async def pull_goes_on(world: World) -> bool:
    return _turned(world, "pull_stands", to=False)


async def kill(world: World) -> bool:
    """The worker is killed in its next cycle, after the first batch."""
    return _turned(world, "is_worker_killed", to=True)


def _turned(world: World, what: str, *, to: bool) -> bool:
    if getattr(world.facts, what) is to:
        return False
    setattr(world.facts, what, to)
    return True


async def on_demand(world: World, letter: str) -> bool:
    """An admin provisions the person at once, by object id."""
    if letter not in world.facts.people:
        return False
    await rounds.provision(world, world.facts.people[letter])
    return True


async def protect(world: World, letter: str) -> bool:
    return await _marked(world, letter, is_protected=True)


async def make_admin(world: World, letter: str) -> bool:
    return await _marked(world, letter, is_admin=True)


async def _marked(world: World, letter: str, **marks: bool) -> bool:
    """A person at the console marks the account that stands for the person."""
    account = await rounds.account_of(world, world.facts.people.get(letter, ""))
    if account is None or all(getattr(account, name) for name in marks):
        return False
    connection, cause = world.connection, Cause(Origin.CONSOLE, "console", "me")
    await lifecycle.perform(
        world.db, connection.tenant_id, connection.id, [MarkUser(account.id, **marks)], cause
    )
    world.facts.marked[account.id] = world.facts.people[letter]
    return True


EVENTS: Mapping[str, Event] = {
    "leave": leave,
    "unassign": unassign,
    "rejoin": rejoin,
    "delete": delete,
    "purge": purge,
    "restore": restore,
    "rename": rename,
    "recase": recase,
    "swap mails of": swap_mails,
    "swap": swap,
    "name of": give_name,
    "hire": hire,
    "hire in capitals": hire_in_capitals,
    "restart": restart,
    "push stands": push_stands,
    "push goes on": push_goes_on,
    "pull stands": pull_stands,
    "pull goes on": pull_goes_on,
    "kill the worker": kill,
    "on demand": on_demand,
    "protect": protect,
    "make admin": make_admin,
}

QUIET = frozenset({"push stands", "pull stands", "kill the worker", "protect", "make admin"})
"""After these nothing is read or pushed: they are about what comes next."""

_BETWEEN = frozenset({"as", "to", "and"})


def read_event(text: str) -> tuple[str, Sequence[str]]:
    """`name of A to B` -> (`name of`, [`A`, `B`]). Raises ValueError."""
    words = text.split()
    people = [word for word in words if len(word) == 1 and word.isupper()]
    name = " ".join(word for word in words if word not in people and word not in _BETWEEN)
    if name not in EVENTS:
        raise ValueError(f"{text!r} is no event; there are: {', '.join(EVENTS)}")
    return name, people
