"""Sessions and receipts as text."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Group as Lines
from rich.console import RenderableType

from console.admin.sessions.account_sessions import EndedSessions, UserSessions
from console.cli.output import View
from console.documents import sessions as documents
from console.documents.values import page, utc_text
from console.rendering import text
from store.records import Session


def sessions_listed(found: UserSessions) -> View:
    """Show the sessions of an account, and what ended with its access."""
    now = datetime.now(UTC)
    document = {
        **page(documents.session(each, now) for each in found.sessions),
        "receipts": [documents.receipt(each) for each in found.receipts],
    }
    return View(document, lambda: _listed(found, now))


def _listed(found: UserSessions, now: datetime) -> RenderableType:
    if not found.sessions and not found.receipts:
        return f"{found.user.user_name} has never signed in."
    sessions = [
        (
            utc_text(each.created_at),
            text.status(documents.session_state(each, now)),
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
    if receipts:
        shown.append(
            text.table(
                *("Access ended", "Why", "By", "Ended with it", "Acknowledged", "Cycle or request"),
                rows=receipts,
            )
        )
    return Lines(*shown)


def session_ended(ended: Session) -> View:
    """Say since when a session is over, and why."""
    return View(
        documents.session(ended, datetime.now(UTC)),
        lambda: f"The session is over since {utc_text(ended.revoked_at)}: {ended.revoke_reason}.",
    )


def sessions_ended(ended: EndedSessions) -> View:
    """Say how many sessions of an account were ended."""
    return View(
        {"user_id": ended.user.id, "user_name": ended.user.user_name, "ended": ended.ended},
        lambda: f"{ended.ended} sessions of {ended.user.user_name} ended; the account keeps its access.",
    )
