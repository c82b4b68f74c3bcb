"""The words of the command line for the typed errors of use cases, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from console.admin import errors
from console.admin.errors import JoinProblem, Noun, UrlProblem, UrlRole
from console.cli.access_messages import access_error
from console.errors import CommandError, WrongUse
from store.records.connections import MOST_NAME_CHARACTERS

SHOWN_NAMES = 10

TO_CREATE = {
    Noun.TENANT: "leaver tenant create NAME",
    Noun.CONNECTION: "leaver connection create TENANT --name entra",
}
TO_LIST = {Noun.TENANT: "leaver tenant list", Noun.CONNECTION: "leaver connection list"}
URL_OPTIONS = {
    UrlRole.LOGIN: "--login-url",
    UrlRole.GRAPH: "--graph-url",
    UrlRole.RETURN: "--return-url",
}


def worded(error: Exception) -> Exception:
    """Return what a use case raised as the error of a command.

    Other errors as they are.
    """
    if not isinstance(error, errors.UseCaseError):
        return error
    return access_error(error) or _word(error)


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


@_word.register
def _(error: errors.InvalidEventCursor) -> WrongUse:
    what, why = "--after", "this is no cursor of this feed"
    return WrongUse(what, why, "Use the `next` of a page; one of `--tenant` is good for that tenant only")


@_word.register
def _(error: errors.InvalidWebhookUrl) -> WrongUse:
    return WrongUse("URL", error.why, "Give the https URL of your app, reachable from the internet")


@_word.register
def _(error: errors.EventsGone) -> CommandError:
    why = "events after it are deleted by now"
    return CommandError("--after", why, f"Go on with: --after {error.snapshot}")


@_word.register
def _(error: errors.UnknownEventType) -> WrongUse:
    return WrongUse(f"--type {error.wanted}", "there is no such type", f"Known are {', '.join(error.known)}")


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


SETTING_OPTIONS = {
    "brake_release_minutes": "--for-minutes",
    "evidence_max_age_s": "--evidence-max-age-s",
    "held_plan_days": "--held-days",
    "full_every_hours": "--full-every-hours",
    "scoping_filters": "--filter",
    "mapping": "--set",
}
"""Options that are not spelled like the setting."""


def _option_of(setting: str) -> str:
    return SETTING_OPTIONS.get(setting, "--" + setting.replace("_", "-"))


@_word.register
def _(error: errors.ValueOutOfRange) -> WrongUse:
    return WrongUse(
        f"{_option_of(error.setting)} {error.value:g}",
        f"it has to be from {error.least:,} to {error.most:,}",
        "Nothing was changed",
    )


@_word.register
def _(error: errors.InvalidObjectId) -> WrongUse:
    return WrongUse(
        f"{_option_of(error.setting)} {str(error.value)[:40]!r}",
        "this is no id of Entra's, which looks like 5c1b0f0e-6f5e-4a5e-8f2d-0b3a7d9e1a01",
        "Enterprise applications > the application shows it as Application ID",
    )


@_word.register
def _(error: errors.InvalidPolicy) -> WrongUse:
    return WrongUse(_option_of(error.setting), error.why, "Nothing was changed")


@_word.register
def _(error: errors.AllTenantsRequired) -> CommandError:
    return CommandError(
        f"cannot {error.deed}", "this takes an operator of all tenants", "Ask the operator of Leaver"
    )


@_word.register
def _(_error: errors.NothingToChange) -> WrongUse:
    return WrongUse("nothing to change", "no option was given", "See: leaver connection set --help")


@_word.register
def _(_error: errors.CredentialIncomplete) -> WrongUse:
    return WrongUse(
        "client, tenant and cloud change together with their credential",
        "a stored secret belongs to one client, and is shown to nobody else",
        "Add the credential: --client-secret, --certificate or another",
    )


@_word.register
def _(error: errors.CredentialRefused) -> CommandError:
    remedy = error.remedy or "Compare it with what Entra shows"
    return CommandError(
        "the new credential does not work",
        error.why,
        f"{remedy} The stored one stays; --no-test stores it untested",
    )


@_word.register
def _(_error: errors.SecretKeyMissing) -> CommandError:
    return CommandError(
        "cannot store or read a credential",
        "LEAVER_SECRET_KEY is not set, and credentials are only kept sealed",
        "Set it to what this prints, and keep it: leaver secret-key",
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
def _(error: errors.InvalidServiceUrl) -> WrongUse:
    what = f"{URL_OPTIONS[error.role]} {error.url!r}"
    if error.role is UrlRole.RETURN:
        return WrongUse(
            what,
            "this is not an address that a code may be sent to",
            "Use https (http on this machine only), without fragment and user: https://app.example.com/signed-in",
        )
    return WrongUse(what, *_URL_PROBLEMS[error.problem])


_URL_PROBLEMS = {
    UrlProblem.NOT_A_URL: ("this is not a URL", "Give one such as https://graph.microsoft.com"),
    UrlProblem.PLAIN_HTTP: (
        "plain http would send the credential in clear to another machine",
        "Use https; http is only for a simulator on this machine (127.0.0.1)",
    ),
    UrlProblem.NOT_AN_ORIGIN: (
        "it has more than scheme and host",
        "Give no path, query or user: https://login.microsoftonline.com, https://graph.microsoft.com",
    ),
    UrlProblem.SIMULATOR_NOT_ALLOWED: (
        "this is a simulated directory on this machine, and those are not allowed here",
        "To try things out, set LEAVER_ALLOW_SIMULATOR=1; never where real people are",
    ),
}


@_word.register
def _(error: errors.InvalidDirectory) -> WrongUse:
    return WrongUse(
        f"--entra-tenant-id {error.entra_tenant_id[:80]!r}",
        "this is neither the id of an Entra tenant nor one of its domains",
        "Entra admin center > Overview shows it as Tenant ID: 5c1b0f0e-6f5e-4a5e-8f2d-0b3a7d9e1a01",
    )


@_word.register
def _(error: errors.CloudMismatch) -> WrongUse:
    return WrongUse(
        f"--login-url {error.login_url} with --graph-url {error.graph_url}", error.why, error.remedy
    )


@_word.register
def _(error: errors.InvalidAttributePath) -> WrongUse:
    return WrongUse(
        f"{error.path!r}",
        "this names no attribute of a custom extension",
        "For example: urn:ietf:params:scim:schemas:extension:contoso:2.0:User:costCenter",
    )


@_word.register
def _(error: errors.UnknownPermission) -> WrongUse:
    known = "; ".join(f"{section}: {' '.join(actions)}" for section, actions in error.known.items())
    return WrongUse(f"no permission {error.permission!r}", f"known are {known}", "For example: admin:user:*")


@_word.register
def _(error: errors.InvalidAddress) -> WrongUse:
    return WrongUse(
        f"--allow-address {error.address!r}",
        "this is neither an IP address nor a network",
        "For example: 203.0.113.7 or 10.0.0.0/8",
    )


@_word.register
def _(_error: errors.FederationIncomplete) -> WrongUse:
    return WrongUse(
        "half a federation",
        "an assertion is known by its subject and its audience together",
        "Give both --federation-subject and --federation-audience",
    )


@_word.register
def _(_error: errors.FederationForUser) -> WrongUse:
    why = "Entra's own assertion stands for no user"
    return WrongUse("--user with a federation", why, "Give one of them")


@_word.register
def _(error: errors.TokenRevoked) -> WrongUse:
    return WrongUse(
        f"token {error.name!r}", "it is revoked, which is for good", "Make another: leaver token create"
    )


@_word.register
def _(error: errors.SignInRefused) -> CommandError:
    return CommandError("sign-in is refused", error.problem, "Sign in with a browser")


@_word.register
def _(_error: errors.CodeRefused) -> CommandError:
    return CommandError("the code is refused", "it is used, too old or another client's", "Sign in again")


@_word.register
def _(error: errors.InvalidResult) -> WrongUse:
    return WrongUse(f"--{error.field.replace('_', '-')}", error.why, "Nothing was changed")


@_word.register
def _(error: errors.NotBraked) -> WrongUse:
    return WrongUse(
        f"connection {error.connection_name!r}",
        "no brake holds back removals by push",
        "Before a planned offboarding say for how long: --for-minutes 60",
    )


@_word.register
def _(error: errors.NoDriftReport) -> WrongUse:
    return WrongUse("no drift report", error.why, "See: leaver drift list CONNECTION")
