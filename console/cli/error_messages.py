"""The words of the command line for the typed errors of use cases.

Those of connections, and those of access, have modules of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from console.admin import errors
from console.admin.errors import JoinProblem, Noun
from console.cli.access_messages import access_error
from console.cli.connection_messages import connection_error
from console.errors import CommandError, WrongUse
from store.records.connections import MOST_NAME_CHARACTERS

SHOWN_NAMES = 10

TO_CREATE = {
    Noun.TENANT: "leaver tenant create NAME",
    Noun.CONNECTION: "leaver connection create TENANT --name entra",
}
TO_LIST = {Noun.TENANT: "leaver tenant list", Noun.CONNECTION: "leaver connection list"}


def worded(error: Exception) -> Exception:
    """Return what a use case raised as the error of a command.

    Other errors as they are.
    """
    if not isinstance(error, errors.UseCaseError):
        return error
    return access_error(error) or connection_error(error) or _word(error)


@singledispatch
def _word(error: errors.UseCaseError) -> Exception:
    return error


@_word.register
def _(error: errors.UnknownReference) -> WrongUse:
    what = f"no {error.noun} {error.reference!r}"
    if error.noun in TO_LIST:
        return _unknown_name(error, what)
    if error.noun is Noun.TOKEN:
        why = "no connection has one of this name or id"
        return WrongUse(what, why, "See: leaver token list CONNECTION")
    if error.noun is Noun.USER:
        why = f"connection {error.connection_name} has nobody of this userName or id"
        return WrongUse(what, why, "See: leaver user list CONNECTION --name PART")
    if error.noun is Noun.GROUP:
        why = f"connection {error.connection_name} has no group of this name or id"
        return WrongUse(what, why, "See: leaver group list CONNECTION --name PART")
    if error.noun is Noun.SESSION:
        why = f"no account of connection {error.connection_name} has a session of this id"
        return WrongUse(what, why, "See: leaver session list CONNECTION USER")
    if error.noun is Noun.RECEIPT:
        why = f"connection {error.connection_name} has no receipt of this id"
        return WrongUse(what, why, "See: leaver session list CONNECTION USER")
    if error.noun is Noun.CYCLE:
        why = f"connection {error.connection_name} has no cycle of this id"
        return WrongUse(what, why, "See: leaver cycle list CONNECTION")
    if error.noun is Noun.WEBHOOK:
        return WrongUse(what, "there is none of this id", "See: leaver webhook list")
    return WrongUse(what, "no plan has this checksum or id", "See: leaver plan list")


def _unknown_name(error: errors.UnknownReference, what: str) -> WrongUse:
    if not error.known:
        return WrongUse(what, f"there are no {error.noun}s yet", f"Make one: {TO_CREATE[error.noun]}")
    meant = f"Did you mean {error.near[0]!r}? " if error.near else ""
    return WrongUse(what, f"known are {_names(error.known)}", f"{meant}See: {TO_LIST[error.noun]}")


def _names(known: Sequence[str]) -> str:
    more = f" and {len(known) - SHOWN_NAMES} more" if len(known) > SHOWN_NAMES else ""
    return ", ".join(known[:SHOWN_NAMES]) + more


@_word.register
def _(error: errors.AmbiguousReference) -> WrongUse:
    how = {
        Noun.CONNECTION: "Say which by TENANT/NAME or by id: leaver connection list",
        Noun.TOKEN: "Name it by its id: leaver token list CONNECTION",
    }
    why = f"{error.matches} {error.noun}s have this name"
    return WrongUse(f"{error.noun} {error.reference!r}", why, how[error.noun])


@_word.register
def _(error: errors.ReferenceTooShort) -> WrongUse:
    why = f"a checksum is known by its first {error.fewest_characters} characters or more"
    return WrongUse(f"{error.noun} {error.reference!r}", why, "See: leaver plan list")


@_word.register
def _(error: errors.AccountDeleted) -> WrongUse:
    return WrongUse(
        f"account {error.user_name!r}",
        f"it was deleted on {error.deleted_at:%Y-%m-%d}, and marks guard access that it has no more",
        "Nothing was changed",
    )


@_word.register
def _(error: errors.AccountElsewhere) -> WrongUse:
    return WrongUse(
        f"{error.noun} {error.reference!r}",
        f"it is an account of connection {error.other_connection_name}, not of {error.connection_name}",
        "People of one connection can be declared the same person; nothing was changed",
    )


JOIN_PROBLEMS = {
    JoinProblem.ONE_HOLDER: "both are one account with one holder already",
    JoinProblem.TWO_DIRECTORIES: "they belong to two directories, and people of two directories are never one",
    JoinProblem.JOINED_ALREADY: "they are declared the same person already",
    JoinProblem.NOT_JOINED: "they were not declared the same person",
    JoinProblem.NOT_SEALED: "the account is not sealed: name the other person too",
    JoinProblem.SEALED: "the account is sealed already, or stands for another person now",
}


@_word.register
def _(error: errors.JoinRefused) -> WrongUse:
    both = f"{error.one!r} and {error.other!r}" if error.other else repr(error.one)
    return WrongUse(both, JOIN_PROBLEMS[error.refusal], "Nothing was changed; see: leaver user show")


@_word.register
def _(error: errors.ConnectionRuns) -> CommandError:
    return CommandError(
        f"connection {error.connection_name!r}",
        f"a run works on it (its lease lasts until {error.until:%H:%M:%S} UTC and longer while it lives)",
        "Nothing was deleted; wait for its end, or pause the connection first: leaver connection pause",
    )


@_word.register
def _(error: errors.NameTaken) -> WrongUse:
    if error.noun is Noun.TENANT:
        return WrongUse(
            f"tenant {error.name!r}",
            "another tenant has the slug that is made from this name",
            "Choose another name, or use the one that is there: leaver tenant list",
        )
    return WrongUse(
        f"{error.noun} {error.name!r}",
        f"tenant {error.tenant_slug} has one of this name already",
        "Choose another --name, or change the existing one with: leaver connection set",
    )


@_word.register
def _(error: errors.InvalidName) -> WrongUse:
    shown = error.name if len(error.name) <= 40 else f"{error.name[:40]}…"
    return WrongUse(
        f"{error.noun} name {shown!r}",
        f"a name has 1 to {MOST_NAME_CHARACTERS} printable characters and no /",
        "Choose another, for example entra",
    )


@_word.register
def _(error: errors.BackupExists) -> WrongUse:
    why = "there is a file already, and a backup overwrites none"
    return WrongUse(f"{error.path}", why, "Choose another name, for example with the date in it")


@_word.register
def _(error: errors.NotOnSqlite) -> CommandError:
    why = "PostgreSQL has a program of its own for this, which asks for the password or reads PGPASSWORD"
    return CommandError("this database is PostgreSQL", why, f"Type: {error.command}")


@_word.register
def _(error: errors.InvalidResult) -> WrongUse:
    return WrongUse(f"--{error.field.replace('_', '-')}", error.why, "Nothing was changed")


@_word.register
def _(error: errors.NoDriftReport) -> WrongUse:
    return WrongUse("no drift report", error.why, "See: leaver drift list CONNECTION")
