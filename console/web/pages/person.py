"""A person: whether the account has access, why, its history, and what can be done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console.admin.errors import UnknownReference
from console.admin.history import results
from console.admin.people import entra_values, grounds, same_person, users
from console.admin.people.entra_values import ComparedPerson
from console.admin.people.same_person import PersonPair
from console.admin.people.users import UserDetails
from console.admin.reports import cycles, provisioning_log
from console.admin.reports.provisioning_log import LogQuery
from console.admin.sessions import account_sessions
from console.admin.sessions.account_sessions import UserSessions
from console.documents.sessions import session_state
from console.documents.values import plural
from console.web.refusals import NO_SUCH_ACCOUNT, UNREADABLE, WebRefused, stale
from console.web.routes import CONNECTION, SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import LONGEST_NUMBER, Visit
from console.web.wording.explanations import (
    HOLDERS,
    KIND_WORDS,
    ORIGINS,
    changed,
    in_words,
    shown_path,
    since,
    why,
)
from console.web.wording.words import actor
from store.errors import VersionMoved
from store.keys import utc_now
from store.records import Action, DriftFinding, DriftKind, LogEntry, LogStatus, User

routes = WebRoutes()
USER = f"{CONNECTION}/users/{{user}}"
SHOWN_ENTRIES = 40
SHOWN_SESSIONS = 20
_TYPED = re.compile(r'\[type eq "(\w+)"\](\.value\b)?')
"""How a path names one of several values."""
_ID = re.compile(r":[0-9a-f-]{36}")

_DONE: Mapping[Action, str] = {
    Action.CREATE: "Created",
    Action.UPDATE: "Changed",
    Action.DISABLE: "Disabled",
    Action.ENABLE: "Enabled",
    Action.DELETE: "Deleted",
    Action.RESTORE: "Restored",
    Action.LINK: "Linked to Entra",
    Action.SEAL: "Sealed",
    Action.UNSEAL: "Seal lifted",
    Action.CHANGE_HOLDER: "Given to another person",
    Action.RETIRE: "Retired",
    Action.RELEASE_NAMES: "Gave up its names",
    Action.OTHER: "Marked",
}


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One thing that happened to a person."""

    at: datetime
    what: str
    who: str
    detail: str = ""
    entry: int | None = None
    """The entry of the provisioning log."""


@routes.page("users.show", USER, "admin:user:read")
async def show(visit: Visit) -> WebAnswer:
    """Show the account with everything that is known of it."""
    return await _page(visit)


@routes.form("users.compare", f"{USER}/entra", "admin:sync:run", calls="people.entra_values.compare")
async def compare(visit: Visit) -> WebAnswer:
    """Show Entra's values of this moment beside those of the account."""
    of = visit.services, visit.actor, visit.connection_id
    return await _page(visit, await entra_values.compare(*of, visit.part("user")))


async def _page(visit: Visit, compared: ComparedPerson | None = None) -> WebPage:
    of = visit.services, visit.actor, visit.connection_id
    found = await users.show(*of, visit.part("user"))
    user = found.user
    kept = await account_sessions.list_for_user(*of, user.id)
    log = await provisioning_log.log(*of, LogQuery(user=user.id, limit=SHOWN_ENTRIES))
    history = await results.list_for_user(*of, user.id) if visit.may("admin:history:read") else None
    differing = await cycles.ongoing_of(*of, {user.id, user.entra_object_id or user.id})
    grounds_found = await grounds.show(*of, user.id)
    now = utc_now()
    ended = next((each for each in kept.receipts if each.period == user.period - 1), None)
    values = {
        "user": user,
        "groups": found.groups,
        "grounds": grounds_found,
        "answer": _answer(user),
        "reason": _reason(user, differing),
        "differing": [(each, KIND_WORDS[each.kind.value], in_words(each)) for each in differing],
        "since": since,
        "receipt": ended if not user.active or user.deleted_at is not None else None,
        "reference": user.entra_object_id or user.user_name,
        "sessions": kept.sessions[:SHOWN_SESSIONS],
        "live": [each for each in kept.sessions if session_state(each, now) == "live"],
        "session_state": lambda each: session_state(each, now),
        "timeline": sorted(_timeline(found, kept, log.entries), key=lambda each: each.at, reverse=True),
        "attributes": sorted(_flat(user.document), key=lambda each: shown_path(each[0])),
        "said_by": _said_by(log.entries),
        "compared": compared,
        "app_keys": kept.app_keys[:SHOWN_SESSIONS],
        "results": len(history.results) if history is not None else 0,
        "origins": ORIGINS,
        "holders": HOLDERS,
    }
    return WebPage("person.html", values)


@routes.form("users.protect", f"{USER}/protect", "admin:user:update", calls="people.users.mark")
async def protect(visit: Visit) -> WebAnswer:
    """Set or take away the mark `protected`, on the account as the person saw it."""
    of = visit.services, visit.actor, visit.connection_id
    wanted, version = visit.sent("protect") == "yes", visit.sent("version")
    if not (version.isdecimal() and len(version) <= LONGEST_NUMBER):
        raise WebRefused(UNREADABLE)
    try:
        user = await users.mark(*of, visit.part("user"), is_protected=wanted, version=int(version))
    except VersionMoved:
        last = next(iter((await users.show(*of, visit.part("user"))).changes), None)
        what = f"{_DONE.get(last.action, 'Changed')} meanwhile" if last is not None else "The account changed"
        raise WebRefused(stale(f"{what}. Nothing was changed by you.")) from None
    return SeeOther(f"{visit.base}/users/{user.id}", "protected" if wanted else "unprotected")


@routes.form(
    "users.end_sessions",
    f"{USER}/end-sessions",
    "admin:session:end",
    calls="sessions.account_sessions.end_all",
)
async def end_sessions(visit: Visit) -> WebAnswer:
    """End every session of the account."""
    ended = await account_sessions.end_all(
        visit.services, visit.actor, visit.connection_id, visit.part("user")
    )
    return SeeOther(f"{visit.base}/users/{ended.user.id}", "sessions-ended")


@routes.form(
    "users.same_person", f"{USER}/same-person", "admin:user:update", calls="people.same_person.decide"
)
async def declare_same_person(visit: Visit) -> WebAnswer:
    """Say that two accounts are one person's."""
    pair = PersonPair(visit.part("user"), visit.sent("other").strip())
    try:
        await same_person.decide(visit.services, visit.actor, visit.connection_id, [pair])
    except UnknownReference:
        raise WebRefused(NO_SUCH_ACCOUNT) from None
    return SeeOther(f"{visit.base}/users/{visit.part('user')}", "same-person")


def _answer(user: User) -> str:
    if user.deleted_at is not None:
        return "No access: the account is deleted."
    return "Has access." if user.active else "No access."


def _reason(user: User, differing: Sequence[DriftFinding]) -> str:
    """Return why there is access or none; what the last reading found speaks first."""
    if user.active and any(each.kind is DriftKind.MISSED_DEPROVISION for each in differing):
        return "Entra does not entitle this person any more."
    return f"{why(user)}."


def _timeline(
    found: UserDetails, kept: UserSessions, entries: tuple[LogEntry, ...]
) -> Iterator[TimelineEvent]:
    for entry in entries:
        yield _of_entry(entry)
    for session in kept.sessions[:SHOWN_SESSIONS]:
        yield TimelineEvent(session.created_at, "Signed in", session.created_from or "", session.agent or "")
    for receipt in kept.receipts:
        if receipt.ended:
            what = f"{plural(len(receipt.ended), 'session or key', 'sessions and keys')} ended"
            yield TimelineEvent(receipt.at, what, ORIGINS[receipt.origin], f"Receipt {receipt.id[-12:]}")
        if receipt.acknowledged_at is not None:
            by = _ID.sub("", receipt.acknowledged_by or "")
            yield TimelineEvent(receipt.acknowledged_at, "The app acknowledged", by)


def _of_entry(entry: LogEntry) -> TimelineEvent:
    what = _DONE.get(entry.action, entry.action.value.replace("_", " ").capitalize())
    if entry.status is not LogStatus.SUCCESS:
        what = f"{what}: {entry.status.value}"
    detail = _detail(entry)
    who = f"{ORIGINS[entry.origin]}{f' · {actor(entry.actor)}' if entry.actor else ''}"
    return TimelineEvent(entry.at, what, who, detail, entry.id)


def _detail(entry: LogEntry) -> str:
    """Return what changed, with the values where it is little."""
    if entry.action is Action.CREATE:
        return plural(len(entry.modified), "attribute")
    unsaid = ("active", "entraObjectId")  # the deed says it, or the identity below
    shown = [each for each in entry.modified if each["attribute"] not in unsaid]
    if len(shown) > 2:
        return changed(shown, 4)
    return "; ".join(
        f"{shown_path(str(each['attribute']))}: {_short(each['old'])} → {_short(each['new'])}"
        for each in shown
    )


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f"{value}"[:60] if isinstance(value, str | int) else "…"


def _said_by(entries: Sequence[LogEntry]) -> Mapping[str, LogEntry]:
    """Return the newest shown entry that wrote each attribute, by its path."""
    return {
        _TYPED.sub(r"[\1]", str(change["attribute"])): entry
        for entry in reversed(entries)
        if entry.status is LogStatus.SUCCESS
        for change in entry.modified
    }


def _flat(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the attributes with their paths; parts of one value each for itself."""
    for name, value in document.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}:" if name.startswith("urn:") else f"{path}.")
        elif isinstance(value, list):
            for number, each in enumerate(value):
                if not isinstance(each, Mapping):
                    yield f"{path}[{number}]", each
                    continue
                place = f"{path}[{each.get('type') or number}]"
                parts = {part: it for part, it in each.items() if part not in ("type", "primary")}
                if "value" in each:
                    yield place, each["value"]
                else:
                    yield from _flat(parts, f"{place}.")
        else:
            yield path, value
