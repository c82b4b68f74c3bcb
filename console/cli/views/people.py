"""Accounts, their sessions and history, and groups as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.text import Text

from console.admin.history.person_history import ErasedHistory, PersonHistory
from console.admin.people.groups import GroupDetails, GroupList
from console.admin.people.same_person import DecidedHolder, DecidedPair
from console.admin.people.users import UserDetails
from console.admin.sessions.account_sessions import EndedSessions, UserSessions
from console.cli.output import View
from console.documents import history as history_documents
from console.documents import people as documents
from console.documents import sessions as session_documents
from console.documents.values import page, utc_text
from console.rendering import text
from console.rendering.layout import Listing
from store.directory.listing import DirectoryPage
from store.records import AppKey, Session, User

SHOWN_MEMBERS = 50


def users_listed(found: DirectoryPage[User], *, is_filtered: bool) -> View:
    """Show accounts, one a row; `next` is the `--after` of the next page."""
    document = page(map(documents.user, found.items), found.next)
    if not found.items:
        return View(document, lambda: _no_accounts(is_filtered))
    rows: list[tuple[Text | str, ...]] = [
        (
            user.user_name,
            str(user.document.get("displayName") or ""),
            text.status(documents.user_state(user)),
            _marks(user),
            user.origin,
            user.id,
        )
        for user in found.items
    ]
    return View(
        document, lambda: _more("userName", "Name", "State", "Marks", "By", "Id", rows=rows, next_=found.next)
    )


def _no_accounts(is_filtered: bool) -> str:
    if is_filtered:
        return "No account is like that. Leave out an option to see more: --name, --active, --inactive, --deleted, --after"
    return (
        "No accounts yet. Entra's first cycle can take 40 minutes; a pull runs with: leaver sync CONNECTION"
    )


def _more(*columns: str, rows: Sequence[Sequence[Text | str]], next_: int | None) -> Listing:
    table = text.table(*columns, rows=rows)
    table.caption = f"More: --after {next_}" if next_ else None
    return table


def _marks(user: User) -> str:
    marks = (("protected", user.is_protected), ("admin", user.is_admin))
    return ", ".join(name for name, is_set in marks if is_set)


def user_shown(details: UserDetails) -> View:
    """Show one account: its person, its marks, and what happened to it."""
    user = details.user
    document = documents.user_details(user, details.groups, details.sessions, details.changes)
    rows = [
        (utc_text(entry.at), entry.action, text.status(entry.status), entry.origin, entry.actor or "")
        for entry in details.changes
    ]
    return View(
        document,
        lambda: Lines(
            text.facts(
                [
                    ("userName", user.user_name),
                    ("Name", str(user.document.get("displayName") or "")),
                    ("Id", user.id),
                    ("State", _state(user)),
                    ("Marks", _marks(user) or "none"),
                    ("Stands for", _holder(user)),
                    ("Sealed since", utc_text(user.sealed_at)),
                    ("externalId", user.external_id),
                    ("Made by", f"{user.origin}, {utc_text(user.created_at)}"),
                    ("Changed", utc_text(user.last_modified)),
                    ("Groups", ", ".join(group.display_name for group in details.groups) or "none"),
                    ("Sessions", str(details.sessions)),
                ]
            ),
            *([text.table("When", "Action", "Status", "By", "Who", rows=rows)] if rows else []),
        ),
    )


def _holder(user: User) -> str:
    """Return the person of an account, and how it is known."""
    if user.entra_object_id is None:
        return "no person in Entra that is known"
    basis = f", by {user.holder_basis}" if user.holder_basis else ""
    number = f", holder {user.holder_number}" if user.holder_number > 1 else ""
    return f"{user.entra_object_id}{basis}{number}"


def _state(user: User) -> Text:
    line = text.status(documents.user_state(user))
    since = user.deleted_at or user.deprovisioned_at
    if since:
        line.append(f" since {utc_text(since)}", style="")
    if user.deprovision_reason:
        line.append(f": {user.deprovision_reason}", style="")
    return line


def user_marked(user: User) -> View:
    """Say which marks an account has now."""
    return View(documents.user(user), lambda: f"{user.user_name} is marked: {_marks(user) or 'nothing'}.")


def people_decided(decided: Sequence[DecidedPair]) -> View:
    """Say who is one person now, or apart again."""
    listed = (
        documents.decided_pair(
            [(each.user_id, each.number, each.user_name) for each in pair.people], is_same=pair.is_same
        )
        for pair in decided
    )
    return View(page(listed, None), lambda: Lines(*map(_decision, decided)))


def _decision(pair: DecidedPair) -> str:
    if pair.other is None:
        return (
            f"{pair.one.user_name}: {'the seal is lifted' if pair.is_same else 'sealed again, keys ended'}."
        )
    both = f"{_holder_name(pair.one)} and {_holder_name(pair.other)}"
    return f"{both} are {'the same person' if pair.is_same else 'two people again'}."


def _holder_name(holder: DecidedHolder) -> str:
    return f"{holder.user_name} (holder {holder.number})" if holder.number > 1 else holder.user_name


def groups_listed(found: GroupList, *, is_filtered: bool) -> View:
    """Show groups, one a row; `next` is the `--after` of the next page."""
    items = found.page.items
    document = page(
        (documents.group(group, found.members.get(group.id, 0)) for group in items), found.page.next
    )
    if not items:
        return View(
            document,
            lambda: (
                "No group is like that. Leave out an option to see more: --name, --after"
                if is_filtered
                else "No groups yet. Entra sends those that are assigned to the application."
            ),
        )
    rows: list[tuple[Text | str, ...]] = [
        (
            group.display_name,
            str(found.members.get(group.id, 0)),
            group.origin,
            group.entra_object_id or "",
            group.id,
        )
        for group in items
    ]
    return View(
        document,
        lambda: _more("Name", "Members", "By", "Entra object id", "Id", rows=rows, next_=found.page.next),
    )


def group_shown(details: GroupDetails) -> View:
    """Show one group with its members, the first of them in text."""
    group = details.group
    rows: list[tuple[Text | str, ...]] = [
        (each.display_name, "group", each.id) for each in details.groups
    ] + [(user.user_name, text.status(documents.user_state(user)), user.id) for user in details.users]
    table = text.table("Member", "State", "Id", rows=rows[:SHOWN_MEMBERS])
    table.caption = f"And {len(rows) - SHOWN_MEMBERS} more: --json" if len(rows) > SHOWN_MEMBERS else None
    return View(
        documents.group_details(group, details.users, details.groups),
        lambda: Lines(
            text.facts(
                [
                    ("Name", group.display_name),
                    ("Id", group.id),
                    ("Stands for", group.entra_object_id or "no group in Entra that is known"),
                    ("externalId", group.external_id),
                    ("Made by", f"{group.origin}, {utc_text(group.created_at)}"),
                    ("Members", str(len(rows))),
                ]
            ),
            *([table] if rows else []),
        ),
    )


def history_exported(found: PersonHistory) -> View:
    """Show the results of a person, account by account."""
    accounts = [(each.holder, each.results, each.receipts, each.erasures) for each in found.accounts]
    document = history_documents.person_history(found.user, found.holder_number, accounts)
    return View(document, lambda: _results(found))


def _results(found: PersonHistory) -> RenderableType:
    rows = [
        (
            utc_text(result.taken_at),
            result.title,
            str(result.score),
            each.holder.user_name,
            str(each.holder.number),
        )
        for each in found.accounts
        for result in each.results
    ]
    if not rows:
        return f"Nothing is kept of {found.user.user_name}."
    return text.table("Taken", "Title", "Score", "Account", "Holder", rows=rows)


def history_erased(done: ErasedHistory) -> View:
    """Say how many results were erased."""
    count = sum(each.results for each in done.erasures)
    return View(
        history_documents.erased_history(done.user, done.erasures),
        lambda: f"{count} results of {done.user.user_name} are erased; the trace stays.",
    )


def sessions_listed(found: UserSessions) -> View:
    """Show the sessions of an account, and what ended with its access."""
    now = datetime.now(UTC)
    document = {
        **page(session_documents.session(each, now) for each in found.sessions),
        "app_keys": [session_documents.app_key(each, now) for each in found.app_keys],
        "receipts": [session_documents.receipt(each) for each in found.receipts],
    }
    return View(document, lambda: _sessions(found, now))


def _sessions(found: UserSessions, now: datetime) -> RenderableType:
    if not (found.sessions or found.app_keys or found.receipts):
        return f"{found.user.user_name} has never signed in."
    sessions = [
        (
            utc_text(each.created_at),
            text.status(session_documents.session_state(each, now)),
            utc_text(each.last_seen_at),
            utc_text(each.revoked_at or min(each.expires_at, each.idle_until)),
            each.revoke_reason or "",
            each.id,
        )
        for each in found.sessions
    ]
    receipts = [
        (
            utc_text(each.at),
            each.reason,
            f"{each.origin} {each.actor or ''}".strip(),
            str(len(each.ended)),
            utc_text(each.acknowledged_at) or "not yet",
            each.correlation_id,
        )
        for each in found.receipts
    ]
    shown = [text.table("Began", "State", "Last seen", "Ends or ended", "Why", "Id", rows=sessions)]
    app_keys = [session_documents.app_key(each, now) for each in found.app_keys]
    if app_keys:
        rows = [
            (
                str(each["kind"]),
                str(each["reference"]),
                text.status(str(each["state"])),
                utc_text(key.registered_at),
                str(each["end_reason"] or ""),
                key.id,
            )
            for each, key in zip(app_keys, found.app_keys, strict=True)
        ]
        shown.append(text.table("Of the app", "Reference", "State", "Registered", "Why", "Id", rows=rows))
    if receipts:
        shown.append(
            text.table(
                *("Access ended", "Why", "By", "Ended with it", "Acknowledged", "Cycle or request"),
                rows=receipts,
            )
        )
    return Lines(*shown)


def session_ended(ended: Session | AppKey) -> View:
    """Say since when a session is over, and why."""
    document = session_documents.session_or_app_key(ended, datetime.now(UTC))
    if isinstance(ended, Session):
        return View(
            document,
            lambda: f"The session is over since {utc_text(ended.revoked_at)}: {ended.revoke_reason}.",
        )
    since = (
        f"is to end since {utc_text(ended.ended_at)}: {ended.end_reason}. The app acknowledges its receipt."
    )
    return View(document, lambda: f"The app's own {ended.reference} {since}")


def sessions_ended(ended: EndedSessions) -> View:
    """Say how many sessions of an account were ended."""
    return View(
        session_documents.ended_sessions(ended.user, ended.ended),
        lambda: f"{ended.ended} sessions of {ended.user.user_name} ended; the account keeps its access.",
    )
