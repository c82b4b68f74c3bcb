"""Return to the vendor's app after sign-in: with a code, which it exchanges for the
session (`POST /oauth/token`, grant `authorization_code`).

The secret of the session never passes through the browser, and the address is one that
the connection allows, letter by letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from urllib.parse import urlencode

from aiohttp import web

from console.admin.actor import Actor, ActorKind
from console.admin.services import Services
from console.admin.sessions import app_sign_in
from console.admin.sessions.errors import CodeRefused, SignInProblem, SignInRefused
from console.documents.sessions import introspection
from console.documents.values import JsonDocument
from console.signin.introspection import ACTION, SECTION, may_introspect
from scim.app import GRANTS
from scim.auth.oauth import OAuthError
from store.directory.sign_ins import PendingSignIn
from store.keys import utc_now
from store.records import ApiToken, SessionId

GRANT = "authorization_code"
LONGEST_STATE = 500


async def wanted(services: Services, actor: Actor, request: web.Request) -> tuple[str | None, str | None]:
    """Return the app's address and state of a sign-in, None for one of Leaver's pages.

    Raises `SignInRefused` before anything begins: there is no open redirect.
    """
    targets, states = (request.query.getall(name, []) for name in ("return_to", "state"))
    if not targets or targets[0].startswith("/") or "://" not in targets[0]:
        return None, None
    if len(targets) > 1 or len(states) > 1 or not all(map(_is_state, states)):
        raise SignInRefused(SignInProblem.RETURN_REFUSED, "return_to or state comes twice, or is too long")
    connection_id = request.match_info["connection_id"]
    url = await app_sign_in.check_return(services, actor, connection_id, targets[0])
    return url, next(iter(states), None)


async def location(
    services: Services, actor: Actor, connection_id: str, session_id: SessionId, pending: PendingSignIn
) -> str:
    """Return the app's address with a new code and the app's own state."""
    assert pending.return_url is not None
    code = await app_sign_in.issue_code(services, actor, connection_id, session_id, pending.return_url)
    answer = {"code": code} | ({} if pending.app_state is None else {"state": pending.app_state})
    return f"{pending.return_url}{'&' if '?' in pending.return_url else '?'}{urlencode(answer)}"


def add_grant(app: web.Application, services: Services, public_url: str) -> None:
    """Let `/oauth/token` exchange codes."""
    app[GRANTS][GRANT] = partial(_redeem, services, public_url)


async def _redeem(
    services: Services, public_url: str, token: ApiToken, form: Mapping[str, str]
) -> JsonDocument:
    """Answer a code with the session and its person. Raises `OAuthError`."""
    if not may_introspect(token):
        raise OAuthError("unauthorized_client", f"The token lacks {SECTION}:{ACTION}.")
    code, return_url = form.get("code"), form.get("redirect_uri")
    if not code or not return_url:
        raise OAuthError("invalid_request", "code and redirect_uri are needed; redirect_uri is return_to.")
    actor = Actor(ActorKind.API, token.name, token.tenant_id)
    try:
        handed = await app_sign_in.redeem(services, actor, token.connection_id, code, return_url)
    except CodeRefused:
        why = "The code is unknown, used, older than a minute, or was given for another redirect_uri."
        raise OAuthError("invalid_grant", why) from None
    now = utc_now()
    document = introspection(handed.session, now, public_url)
    return {
        "access_token": handed.secret,
        "token_type": "Bearer",
        "expires_in": int((handed.session.expires_at - now).total_seconds()),
        "session": document,
    }


def _is_state(text: str) -> bool:
    return 0 < len(text) <= LONGEST_STATE and text.isascii() and text.isprintable()
