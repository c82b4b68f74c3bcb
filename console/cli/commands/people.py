"""`leaver user` and `leaver group`: accounts with the marks that guard them, groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli.options import FLAG, After, AsJson, ConnectionReference, NamePart, PageLimit, UserReference
from console.cli.output import View, show
from console.errors import WrongUse

if TYPE_CHECKING:
    from console.admin.actor import Actor
    from console.admin.services import Services

groups = typer.Typer(no_args_is_help=True, help="Groups of a connection, and who is in them.")

users = typer.Typer(
    no_args_is_help=True,
    help="Accounts of a connection: who is in, whom an account stands for, what guards it.",
)

Off = Annotated[bool, typer.Option("--off", metavar=FLAG, help="Take the mark away.")]


@users.command("list")
def list_(
    connection: ConnectionReference,
    name: NamePart = None,
    active: Annotated[bool, typer.Option("--active", metavar=FLAG, help="Only those with access.")] = False,
    inactive: Annotated[
        bool, typer.Option("--inactive", metavar=FLAG, help="Only those without access.")
    ] = False,
    deleted: Annotated[bool, typer.Option("--deleted", metavar=FLAG, help="Only deleted ones.")] = False,
    sealed: Annotated[
        bool, typer.Option("--sealed", metavar=FLAG, help="Only those of which it is open whose they are.")
    ] = False,
    limit: PageLimit = 50,
    after: After = 0,
    as_json: AsJson = False,
) -> None:
    """List accounts in the order in which they were made, a page at a time."""
    from console.admin.people import users as use_cases
    from console.cli.session import run
    from console.cli.views import people as views
    from store.directory.listing import UserFilter

    if active + inactive + deleted > 1:
        raise WrongUse("--active, --inactive, --deleted", "an account has one state", "Give one of them")
    state = True if active else False if inactive else None
    wanted = UserFilter(name, state, deleted, sealed)

    async def work(services: Services, actor: Actor) -> View:
        found = await use_cases.list_page(services, actor, connection, wanted, after=after, limit=limit)
        return views.users_listed(found, is_filtered=wanted != UserFilter() or after > 0)

    show(run(work), as_json=as_json)


@users.command("show")
def show_(connection: ConnectionReference, user: UserReference, as_json: AsJson = False) -> None:
    """Show an account: marks, the person it stands for, groups, the latest changes."""
    from console.admin.people import users as use_cases
    from console.cli.session import run
    from console.cli.views import people as views

    async def work(services: Services, actor: Actor) -> View:
        return views.user_shown(await use_cases.show(services, actor, connection, user))

    show(run(work), as_json=as_json)


@users.command("protect")
def protect(connection: ConnectionReference, user: UserReference, as_json: AsJson = False) -> None:
    """Mark an account so that no cycle ever ends its access.

    Nor does a push, unless `connection set --no-protect-from-push`; a person may.
    """
    _mark(connection, user, is_protected=True, as_json=as_json)


@users.command("unprotect")
def unprotect(connection: ConnectionReference, user: UserReference, as_json: AsJson = False) -> None:
    """Take the mark of `leaver user protect` away."""
    _mark(connection, user, is_protected=False, as_json=as_json)


@users.command("admin")
def admin(
    connection: ConnectionReference, user: UserReference, off: Off = False, as_json: AsJson = False
) -> None:
    """Mark an account as admin of the tenant: no cycle ends the last one's access."""
    _mark(connection, user, is_admin=not off, as_json=as_json)


@users.command("same-person")
def same_person(
    connection: ConnectionReference,
    user: Annotated[
        str | None,
        typer.Argument(metavar="[USER]", help="userName, id or Entra object id, also of an earlier holder."),
    ] = None,
    other: Annotated[
        str | None,
        typer.Argument(metavar="[OTHER]", help="The same. Left out: USER's seal is lifted."),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="CSV lines USER,OTHER or USER; `-`: standard input."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", metavar=FLAG, help="Take the decision back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say that two accounts, or two holders of one, are the same person.

    The history of one is then visible under the other, and a seal is lifted. With USER
    alone: who uses the sealed account is who had it before.
    """
    from console.admin.people import same_person as people
    from console.cli.session import run
    from console.cli.subject_lists import listed_pairs
    from console.cli.views import people as views

    if (user is None) == (file is None):
        raise WrongUse("USER, --file", "one of the two says who is meant", "Give USER [OTHER], or a file")
    pairs = [(user, other)] if user is not None else listed_pairs(str(file))
    wanted = [people.PersonPair(one, two) for one, two in pairs]

    async def work(services: Services, actor: Actor) -> View:
        decided = await people.decide(services, actor, connection, wanted, is_same=not undo)
        return views.people_decided(decided)

    show(run(work), as_json=as_json)


def _mark(
    connection: str,
    user: str,
    *,
    is_protected: bool | None = None,
    is_admin: bool | None = None,
    as_json: bool,
) -> None:
    from console.admin.people import users as use_cases
    from console.cli.session import run
    from console.cli.views import people as views

    async def work(services: Services, actor: Actor) -> View:
        marked = await use_cases.mark(
            services, actor, connection, user, is_protected=is_protected, is_admin=is_admin
        )
        return views.user_marked(marked)

    show(run(work), as_json=as_json)


@groups.command("list")
def list_groups(
    connection: ConnectionReference,
    name: NamePart = None,
    limit: PageLimit = 50,
    after: After = 0,
    as_json: AsJson = False,
) -> None:
    """List groups in the order in which they were made, a page at a time."""
    from console.admin.people import groups as use_cases
    from console.cli.session import run
    from console.cli.views import people as views

    async def work(services: Services, actor: Actor) -> View:
        found = await use_cases.list_page(services, actor, connection, name=name, after=after, limit=limit)
        return views.groups_listed(found, is_filtered=bool(name) or after > 0)

    show(run(work), as_json=as_json)


@groups.command("show")
def show_group(
    connection: ConnectionReference,
    group: Annotated[
        str, typer.Argument(metavar="GROUP", help="displayName, id or Entra object id of the group.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show a group with its direct members."""
    from console.admin.people import groups as use_cases
    from console.cli.session import run
    from console.cli.views import people as views

    async def work(services: Services, actor: Actor) -> View:
        return views.group_shown(await use_cases.show(services, actor, connection, group))

    show(run(work), as_json=as_json)
