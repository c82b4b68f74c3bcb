"""Return to the vendor's app after sign-in: with a code, which it exchanges for the
session (`POST /oauth/token`, grant `authorization_code`).

The secret of the session never passes through the browser, and the address is one that
the connection allows, letter by letter.
"""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

from aiohttp import web
from scim2_models import UnauthorizedException

from console.admin.actor import Actor
from console.admin.errors import UnknownReference
from console.admin.services import Services
from console.admin.sessions import app_sign_in
from console.admin.sessions.errors import CodeRefused, SignInProblem, SignInRefused
from console.documents.sessions import introspection
from console.documents.values import JsonDocument
from console.signin.calling_apps import ACTION, SECTION, CallingApp, CallingApps
from scim.app import GRANTS, SCIM
from scim.auth.oauth import OAuthError, TokenRequest
from store.directory.sign_ins import PendingSignIn
from store.keys import utc_now
from store.records import SessionId

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
    state = app[SCIM]
    apps = CallingApps(services.db, state.authenticator, state.services.limits.token_memory_s)
    app[GRANTS][GRANT] = partial(_redeem, services, public_url, apps)


async def _redeem(
    services: Services, public_url: str, apps: CallingApps, request: TokenRequest
) -> JsonDocument:
    """Answer a code with the session and its person. Raises `OAuthError`."""
    caller, connection = await _client(apps, request)
    if not caller.may_introspect:
        raise OAuthError("unauthorized_client", f"The token lacks {SECTION}:{ACTION}.")
    code, return_url = request.form.get("code"), request.form.get("redirect_uri")
    if not code or not return_url:
        raise OAuthError("invalid_request", "code and redirect_uri are needed; redirect_uri is return_to.")
    try:
        handed = await app_sign_in.redeem(services, caller.actor, connection, code, return_url)
    except UnknownReference:
        raise OAuthError("invalid_client", "No such client: it is the id of the connection.", 401) from None
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


async def _client(apps: CallingApps, request: TokenRequest) -> tuple[CallingApp, str]:
    """Return the app and the connection that it signs people in at: the client id."""
    try:
        token = await request.token()
    except UnauthorizedException:
        credentials = request.credentials()
        operator = None if credentials is None else await apps.operator(credentials.client_secret)
        if credentials is None or operator is None:
            raise
        return operator, credentials.client_id
    return CallingApp.of(token), token.connection_id


def _is_state(text: str) -> bool:
    return 0 < len(text) <= LONGEST_STATE and text.isascii() and text.isprintable()
