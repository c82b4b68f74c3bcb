"""Security > API Tokens: the words are those of the guide that admins follow."""

from __future__ import annotations

from collections.abc import Sequence

from console.admin import api_tokens
from console.admin.api_tokens import CreatedToken, NewToken
from console.admin.permissions import ACTIONS, FOR_ENTRA
from console.documents.api_tokens import token_state
from console.web import refusals
from console.web.refusals import WebRefused
from console.web.routes import CONNECTION, SeeOther, WebAnswer, WebPage, WebRoutes
from console.web.visit import Visit
from store.keys import utc_now
from store.records import ApiToken
from store.tenancy.api_tokens import ends_within_days

routes = WebRoutes()
TOKENS = f"{CONNECTION}/tokens"
OVERLAP_DAYS = 7
MOST_DAYS = 3650


@routes.page("tokens", TOKENS, "admin:token:read")
async def list_tokens(visit: Visit) -> WebAnswer:
    """List the tokens: what each may do, when it was used, when it ends."""
    now = utc_now()
    known = await api_tokens.list_for(visit.services, visit.actor, visit.connection_id)
    successors = {each.replaces_id: each for each in known if each.replaces_id}
    rows = [
        {
            "token": each,
            "state": token_state(each, now),
            "permissions": in_words(each.permissions),
            "ends_soon": ends_within_days(each, now) is not None,
            "successor": successors.get(each.id),
        }
        for each in reversed(known)
    ]
    return WebPage("setup/tokens.html", {"rows": rows})


@routes.page("tokens.new", f"{TOKENS}/new", "admin:token:create", recent=True)
async def new_token(visit: Visit) -> WebAnswer:
    """Ask for name, permissions, end and addresses of a new token."""
    sections = {
        section: [(action, f"{section}:{action}") for action in actions]
        for section, actions in ACTIONS.items()
        if all(_may_give(visit, f"{section}:{action}") for action in actions)
    }
    return WebPage("setup/new_token.html", {"sections": sections, "chosen": set(FOR_ENTRA)})


@routes.form("tokens.create", TOKENS, "admin:token:create", calls="api_tokens.create", recent=True)
async def create(visit: Visit) -> WebAnswer:
    """Generate a token and show it once."""
    wanted = NewToken(
        name=visit.sent("name").strip(),
        permissions=gathered(visit.all_sent("permission")),
        expires_days=number(visit.sent("expires_days"), MOST_DAYS, least=1),
        allowed_addresses=visit.sent("addresses").replace(",", " ").split(),
    )
    if not wanted.name or len(wanted.name) > 100 or not wanted.permissions:
        raise WebRefused(refusals.unusable("A token needs a Key Name and at least one permission"))
    made = await api_tokens.create(visit.services, visit.actor, visit.connection_id, wanted)
    return _generated(visit, made)


@routes.page("tokens.ask", f"{TOKENS}/{{token}}/{{deed:rotate|suspend|revoke}}", "admin:token:read")
async def ask(visit: Visit) -> WebAnswer:
    """Show what a deed does to the program that uses the token, before it is done."""
    if not visit.may("admin:token:create" if visit.part("deed") == "rotate" else "admin:token:revoke"):
        raise WebRefused(refusals.NOT_ALLOWED)
    token = await _token(visit)
    return WebPage(
        "setup/token_deed.html",
        {
            "token": token,
            "deed": visit.part("deed"),
            "state": token_state(token, utc_now()),
            "overlap_days": OVERLAP_DAYS,
        },
    )


@routes.form(
    "tokens.rotate",
    f"{TOKENS}/{{token}}/rotate",
    "admin:token:create",
    calls="api_tokens.rotate",
    recent=True,
)
async def rotate(visit: Visit) -> WebAnswer:
    """Make a successor; the old token works on for a while."""
    days = number(visit.sent("overlap_days"), 90)
    made = await api_tokens.rotate(
        visit.services,
        visit.actor,
        visit.part("token"),
        OVERLAP_DAYS if days is None else days,
        connection=visit.connection_id,
    )
    return _generated(visit, made)


@routes.form(
    "tokens.suspend", f"{TOKENS}/{{token}}/suspend", "admin:token:revoke", calls="api_tokens.suspend"
)
async def suspend(visit: Visit) -> WebAnswer:
    """Refuse a token until it is resumed."""
    await api_tokens.suspend(visit.services, visit.actor, visit.part("token"), connection=visit.connection_id)
    return SeeOther(f"{visit.base}/tokens", "token-suspended")


@routes.form(
    "tokens.resume",
    f"{TOKENS}/{{token}}/resume",
    "admin:token:create",
    calls="api_tokens.resume",
    recent=True,
)
async def resume(visit: Visit) -> WebAnswer:
    """Accept a suspended token again."""
    await api_tokens.resume(visit.services, visit.actor, visit.part("token"), connection=visit.connection_id)
    return SeeOther(f"{visit.base}/tokens", "token-resumed")


@routes.form("tokens.revoke", f"{TOKENS}/{{token}}/revoke", "admin:token:revoke", calls="api_tokens.revoke")
async def revoke(visit: Visit) -> WebAnswer:
    """End a token for good."""
    await api_tokens.revoke(visit.services, visit.actor, visit.part("token"), connection=visit.connection_id)
    return SeeOther(f"{visit.base}/tokens", "token-revoked")


def _generated(visit: Visit, made: CreatedToken) -> WebPage:
    values = {"made": made, "permissions": in_words(made.token.permissions)}
    return WebPage("setup/token_generated.html", values, is_secret=True)


async def _token(visit: Visit) -> ApiToken:
    known = await api_tokens.list_for(visit.services, visit.actor, visit.connection_id)
    found = next((each for each in known if each.id == visit.part("token")), None)
    if found is None:
        raise WebRefused(refusals.NOT_FOUND)
    return found


def _may_give(visit: Visit, permission: str) -> bool:
    section = permission.rpartition(":")[0]
    return visit.may(permission) or f"{section}:*" in visit.actor.grants


def gathered(permissions: Sequence[str]) -> list[str]:
    """Return the permissions, a whole section as one."""
    given = list(dict.fromkeys(permissions))
    for section, actions in ACTIONS.items():
        parts = [f"{section}:{action}" for action in actions]
        if set(parts) <= set(given):
            given = [each for each in given if each not in parts] + [f"{section}:*"]
    return given


def in_words(permissions: Sequence[str]) -> Sequence[str]:
    """Return permissions as a person reads them: `Admin:user (all)`."""
    sections: dict[str, list[str]] = {}
    for each in permissions:
        section, _, action = each.rpartition(":")
        sections.setdefault(section, []).append("all" if action == "*" else action)
    return [f"{section.capitalize()} ({', '.join(actions)})" for section, actions in sections.items()]


def number(text: str, most: int, least: int = 0) -> int | None:
    """Return a whole number of days of a field; None where it is empty.

    Raises `WebRefused` for anything else.
    """
    if not text.strip():
        return None
    found = int(text) if text.strip().isdecimal() and len(text) < 10 else -1
    if not least <= found <= most:
        raise WebRefused(refusals.unusable(f"Days are a whole number from {least} to {most:,}"))
    return found
