"""The routes of sign-in below `/v1/admin/openid/{connection_id}` (design.md §6)."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from config.errors import SealError
from console.admin.actor import Actor, ActorKind
from console.admin.errors import UnknownReference
from console.admin.services import Services
from console.admin.sessions import own_sessions, provider_sign_in, sign_in
from console.admin.sessions.app_sign_in import CODE_LIFETIME_S
from console.admin.sessions.errors import SignInProblem, SignInRefused
from console.admin.sessions.provider_sign_in import ProvenSubject
from console.admin.sessions.sign_in import ProvenPerson, SignedInUser
from console.browser import (
    BROWSER_COOKIE,
    SESSION_COOKIE,
    drop_cookie,
    is_same_origin,
    keeps_cookies,
    return_path,
    set_cookie,
)
from console.signin import app_return, pages
from console.signin.entra import EntraFlow, refusal
from console.signin.id_token import (
    ForeignDirectory,
    IdentityClaims,
    TokenRefused,
    verify_id_token,
    verify_logout_token,
)
from console.signin.openid import OpenIdFlow, discover
from console.signin.provider_http import ProviderHttp
from scim.app import peer_address
from scim.auth.jwks import SigningKeys
from scim.errors import NotNow
from store.directory.sign_ins import LIFETIME, PendingSignIn
from store.errors import StoreError
from store.records import SessionPurpose, SessionTerms

BASE = "/v1/admin/openid/{connection_id}"
AT_THE_DOOR = Actor(ActorKind.WEB, "sign-in")
LONGEST_HINT = 320
LONGEST_AGENT = 200
LONGEST_LOGOUT_TOKEN = 16_384
ATTEMPTS_A_MINUTE = 60
"""Of one address: each start costs a row here and two requests to the provider."""
_ADDRESSES = 10_000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger()


@dataclass(slots=True)
class AttemptLimit:
    """Counts the sign-ins that addresses begin."""

    clock: Callable[[], float] = time.monotonic
    _begun: dict[str, list[float]] = field(default_factory=dict)

    def allows(self, address: str) -> bool:
        """Count an attempt; return whether it is within the limit of a minute."""
        now = self.clock()
        if len(self._begun) >= _ADDRESSES:
            self._begun.clear()
        recent = [at for at in self._begun.get(address, ()) if now - at < 60]
        self._begun[address] = [*recent[-ATTEMPTS_A_MINUTE:], now]
        return len(recent) < ATTEMPTS_A_MINUTE


@dataclass(frozen=True, slots=True)
class SignInState:
    """What the handlers share; `public_url` has no final slash."""

    services: Services
    public_url: str
    provider_http: ProviderHttp
    provider_keys: SigningKeys
    """Of providers other than Entra, fetched within what the operator allows."""
    keys: SigningKeys = field(default_factory=SigningKeys)
    """Of Entra."""
    limit: AttemptLimit = field(default_factory=AttemptLimit)


STATE = web.AppKey("sign_in", SignInState)


def add_routes(app: web.Application, services: Services, public_url: str) -> None:
    """Add the routes of sign-in and of logout to an application."""
    settings = services.settings
    http = ProviderHttp(settings.allow_simulator, settings.allow_private_issuers)
    app[STATE] = SignInState(services, public_url, http, SigningKeys(http.fetch_keys))
    app_return.add_grant(app, services, public_url)
    router = app.router
    router.add_get(pages.STYLESHEET_PATH, pages.serve_stylesheet)
    router.add_get(f"{BASE}/login", _answered(login))
    router.add_get(f"{BASE}/callback/login", _answered(callback))
    router.add_get(f"{BASE}/session", _answered(session_page))
    router.add_post(f"{BASE}/sessions/{{session_id}}/end", _answered(end_session))
    router.add_post(f"{BASE}/logout", _answered(logout))
    router.add_get(f"{BASE}/logout/front", front_channel_logout)
    router.add_post(f"{BASE}/logout/back", back_channel_logout)


def _answered(handler: Handler) -> Handler:
    """Answer refusals with the page that says what to do."""

    async def answered(request: web.Request) -> web.StreamResponse:
        state, connection_id = request.app[STATE], request.match_info["connection_id"]
        again = f"/v1/admin/openid/{connection_id}/login"
        try:
            return await handler(request)
        except UnknownReference:
            return pages.page(
                "There is no such sign-in",
                ["<p>Check the address: its connection is not known.</p>"],
                status=404,
            )
        except SignInRefused as refused:
            log.info(
                "signin.refused", connection_id=connection_id, problem=refused.problem, why=refused.detail
            )
            is_set_up = refused.problem not in (SignInProblem.NOT_SET_UP, SignInProblem.PLAIN_HTTP)
            return pages.problem(
                refused.problem,
                again=again if is_set_up and keeps_cookies(state.public_url) else None,
                detail=refused.detail,
            )
        except (NotNow, StoreError) as error:
            log.warning("signin.unavailable", connection_id=connection_id, error=type(error).__name__)
            return pages.problem(SignInProblem.PROVIDER_UNREACHABLE, again=again)

    return answered


async def login(request: web.Request) -> web.StreamResponse:
    """Send the browser to the provider.

    `return_to` is a path within this host, or an address of the app that the connection
    allows.
    """
    state = request.app[STATE]
    if not keeps_cookies(state.public_url):
        raise SignInRefused(SignInProblem.PLAIN_HTTP)
    if not state.limit.allows(peer_address(request) or ""):
        return pages.page("Too many sign-ins", ["<p>Wait a minute and try again.</p>"], status=429)
    to_app = await app_return.wanted(state.services, AT_THE_DOOR, request)
    flow = await _flow(request)
    hint = request.query.get("login_hint", "")
    begun = await asyncio.to_thread(
        flow.begin,
        _redirect_uri(request),
        hint if hint and hint.isprintable() and len(hint) <= LONGEST_HINT else None,
    )
    browser = request.cookies.get(BROWSER_COOKIE) or secrets.token_urlsafe(32)
    sealed = state.services.sealer().seal(begun.text)
    pending = PendingSignIn(sealed, return_path(request.query.get("return_to")), *to_app)
    await sign_in.begin(
        state.services, AT_THE_DOOR, request.match_info["connection_id"], begun.state, browser, pending
    )
    answer = _redirect(begun.url)
    set_cookie(answer, BROWSER_COOKIE, browser, int(LIFETIME.total_seconds()))
    return answer


async def callback(request: web.Request) -> web.StreamResponse:
    """Take the provider's answer: once, from the browser that began the sign-in."""
    state, connection_id = request.app[STATE], request.match_info["connection_id"]
    query = _single_values(request)
    browser = request.cookies.get(BROWSER_COOKIE)
    if browser is None or "state" not in query:
        raise SignInRefused(SignInProblem.NOT_STARTED_HERE, "no cookie or no state")
    pending = await sign_in.take(state.services, AT_THE_DOOR, connection_id, query["state"], browser)
    if "error" in query:
        raise refusal(query["error"], query.get("error_description", ""))
    flow = await _flow(request)
    _check_answering_issuer(query, flow)
    try:
        text = state.services.sealer().unseal(pending.sealed_flow)
    except SealError as error:  # the key was changed meanwhile
        raise SignInRefused(SignInProblem.NOT_STARTED_HERE, "the secret key changed") from error
    token = await asyncio.to_thread(flow.redeem, text, query)
    identity = await _verified(state, flow, token, flow.nonce(text))
    signed_in = await _complete(request, identity, to_app=pending.return_url is not None)
    if pending.return_url is not None:
        to_app = await app_return.location(
            state.services, AT_THE_DOOR, connection_id, signed_in.session.id, pending
        )
        answer = _redirect(to_app)
        drop_cookie(answer, BROWSER_COOKIE)
        return answer
    answer = _redirect(pending.return_path or f"/v1/admin/openid/{connection_id}/session")
    lifetime_s = int((signed_in.session.expires_at - signed_in.session.created_at).total_seconds())
    set_cookie(answer, SESSION_COOKIE, signed_in.secret, lifetime_s)
    drop_cookie(answer, BROWSER_COOKIE)
    return answer


async def session_page(request: web.Request) -> web.StreamResponse:
    """Show the person's live sessions; without a session, the way to sign in."""
    secret = request.cookies.get(SESSION_COOKIE, "")
    found = await own_sessions.show(request.app[STATE].services, AT_THE_DOOR, secret) if secret else None
    if found is None:
        return _redirect(f"{_base(request)}/login")
    return pages.own_sessions(found, _base(request))


async def end_session(request: web.Request) -> web.StreamResponse:
    """End another session of the same person."""
    _require_same_origin(request)
    secret = request.cookies.get(SESSION_COOKIE, "")
    session_id = request.match_info["session_id"]
    await own_sessions.end(request.app[STATE].services, AT_THE_DOOR, secret, session_id)
    return _redirect(f"{_base(request)}/session")


async def logout(request: web.Request) -> web.StreamResponse:
    """End the session of this browser."""
    _require_same_origin(request)
    state = request.app[STATE]
    secret = request.cookies.get(SESSION_COOKIE)
    if secret:
        await own_sessions.end(state.services, AT_THE_DOOR, secret)
    try:
        url = (await _flow(request)).sign_out_url()
    except SignInRefused:
        url = None
    answer = pages.signed_out(url, f"{_base(request)}/login")
    drop_cookie(answer, SESSION_COOKIE)
    return answer


async def front_channel_logout(request: web.Request) -> web.StreamResponse:
    """End the sessions of a provider's session (OpenID Connect Front-Channel Logout).

    Entra loads this in a frame with `sid` alone and no cookie of ours: the session is
    found by its id, and the issuer is the connection's own.
    """
    query = _single_values(request)
    with_issuer = query.get("iss")
    try:
        expected = (await _flow(request)).expected
        if query.get("sid") and with_issuer in (None, expected.issuer):
            await sign_in.end_for_provider(
                request.app[STATE].services,
                AT_THE_DOOR,
                request.match_info["connection_id"],
                expected.issuer,
                session_id=query["sid"],
            )
    except (UnknownReference, SignInRefused):
        return web.Response(status=404, headers={"Cache-Control": "no-store"})
    return web.Response(text="", headers={"Cache-Control": "no-store"})


async def back_channel_logout(request: web.Request) -> web.StreamResponse:
    """End what a logout token names (OpenID Connect Back-Channel Logout §2.5)."""
    state, connection_id = request.app[STATE], request.match_info["connection_id"]
    try:
        flow = await _flow(request)
        expected = flow.expected
        token = (await request.post()).get("logout_token")
        if not isinstance(token, str) or len(token) > LONGEST_LOGOUT_TOKEN:
            raise TokenRefused("there is no logout_token")
        claims = await verify_logout_token(token, expected, _keys(state, flow))
        await sign_in.end_for_provider(
            *(state.services, AT_THE_DOOR, connection_id, expected.issuer),
            session_id=claims.get("sid"),
            subject=claims.get("sub"),
            token_id=claims["jti"],
        )
    except (TokenRefused, SignInRefused, UnknownReference) as refused:
        log.info("signin.logout_refused", connection_id=connection_id, why=str(refused))
        body = {"error": "invalid_request", "error_description": str(refused)}
        return web.json_response(body, status=400, headers={"Cache-Control": "no-store"})
    except NotNow:
        return web.Response(status=503, headers={"Cache-Control": "no-store", "Retry-After": "5"})
    return web.Response(headers={"Cache-Control": "no-store"})


async def _flow(request: web.Request) -> EntraFlow | OpenIdFlow:
    state, connection_id = request.app[STATE], request.match_info["connection_id"]
    services, http = state.services, state.provider_http
    other = await provider_sign_in.provider(services, AT_THE_DOOR, connection_id)
    if other is not None:
        return OpenIdFlow(other, await asyncio.to_thread(discover, other, http), http)
    return EntraFlow(await sign_in.client(services, AT_THE_DOOR, connection_id))


def _keys(state: SignInState, flow: EntraFlow | OpenIdFlow) -> SigningKeys:
    return state.provider_keys if isinstance(flow, OpenIdFlow) else state.keys


async def _verified(
    state: SignInState, flow: EntraFlow | OpenIdFlow, token: str, nonce: str
) -> IdentityClaims:
    try:
        return await verify_id_token(token, flow.expected, nonce, _keys(state, flow))
    except ForeignDirectory as foreign:
        raise SignInRefused(SignInProblem.ANOTHER_DIRECTORY, str(foreign)) from foreign
    except TokenRefused as refused:
        raise SignInRefused(SignInProblem.TOKEN_REFUSED, str(refused)) from refused


async def _complete(request: web.Request, identity: IdentityClaims, *, to_app: bool) -> SignedInUser:
    """Start the session; the app has to fetch its own before the code is too old."""
    services = request.app[STATE].services
    settings = services.settings
    terms = SessionTerms(
        lifetime_s=settings.session_hours * 3600,
        idle_s=CODE_LIFETIME_S if to_app else settings.session_idle_minutes * 60,
        created_from=peer_address(request),
        agent=request.headers.get("User-Agent", "")[:LONGEST_AGENT] or None,
        purpose=SessionPurpose.APP if to_app else SessionPurpose.CONSOLE,
        issuer=identity.issuer,
        issuer_subject=identity.subject,
        issuer_session_id=identity.session_id,
    )
    place = (services, AT_THE_DOOR, request.match_info["connection_id"])
    ends = None if to_app else request.cookies.get(SESSION_COOKIE)
    if identity.directory_id is None:
        subject = ProvenSubject(identity.issuer, identity.subject, identity.link_value)
        return await provider_sign_in.complete_by_subject(*place, subject, terms, ends=ends)
    person = ProvenPerson(identity.directory_id, identity.object_id or "")
    return await sign_in.complete(*place, person, terms, ends=ends)


def _check_answering_issuer(query: Mapping[str, str], flow: EntraFlow | OpenIdFlow) -> None:
    """Refuse an answer that says it comes from another provider (RFC 9207)."""
    if query.get("iss", None if flow.names_itself else flow.expected.issuer) != flow.expected.issuer:
        raise SignInRefused(SignInProblem.TOKEN_REFUSED, "another provider answered")


def _require_same_origin(request: web.Request) -> None:
    if not is_same_origin(request, request.app[STATE].public_url):
        raise web.HTTPForbidden(text="This request came from another site.", headers=pages.HEADERS)


def _single_values(request: web.Request) -> dict[str, str]:
    """Return the query; a parameter that comes twice counts as missing."""
    return {name: values[0] for name in request.query if len(values := request.query.getall(name)) == 1}


def _redirect_uri(request: web.Request) -> str:
    return f"{request.app[STATE].public_url}{_base(request)}/callback/login"


def _base(request: web.Request) -> str:
    return f"/v1/admin/openid/{request.match_info['connection_id']}"


def _redirect(location: str) -> web.Response:
    return web.Response(status=303, headers={**pages.HEADERS, "Location": location})
