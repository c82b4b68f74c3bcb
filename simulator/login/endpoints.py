"""HTTP of the login side: metadata, keys, `/token`, `/authorize`, sign-out."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from urllib.parse import urlencode

from aiohttp import BasicAuth, web
from joserfc.jwk import KeySet

from simulator.login.authority import GRAPH_AUDIENCE, Authority
from simulator.login.errors import LoginError, error_response, tenant_not_found
from simulator.login.federation import published_keys

Handler = Callable[[web.Request], Awaitable[web.Response]]

SESSION_COOKIE = "ESTSAUTH"
NO_CONSENT = (
    "AADSTS65004: User declined to consent to access the app: an administrator has not consented to it."
)
SHARED_TENANTS = frozenset({"common", "organizations"})


def add_login(app: web.Application, authority: Authority) -> None:
    """Mount the login endpoints below `/{tenant}`."""
    endpoints = Endpoints(authority)
    app.router.add_get("/common/discovery/instance", endpoints.instance)
    app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", endpoints.guard(endpoints.metadata))
    app.router.add_get("/{tenant}/discovery/v2.0/keys", endpoints.guard(endpoints.keys))
    app.router.add_post("/{tenant}/oauth2/v2.0/token", endpoints.guard(endpoints.token))
    app.router.add_get("/{tenant}/oauth2/v2.0/authorize", endpoints.guard(endpoints.authorize))
    app.router.add_get("/{tenant}/oauth2/v2.0/logout", endpoints.logout)


class Endpoints:
    def __init__(self, authority: Authority) -> None:
        self._authority = authority

    def guard(self, handler: Handler) -> Handler:
        """Put the tenant check before a handler, and Entra's error document behind
        it."""

        async def guarded(request: web.Request) -> web.Response:
            try:
                tenant = request.match_info["tenant"]
                if (
                    tenant.lower() != self._authority.directory.entra_tenant_id
                    and tenant not in SHARED_TENANTS
                ):
                    raise tenant_not_found(tenant)
                return await handler(request)
            except LoginError as error:
                return error_response(error, self._authority.directory.clock.now())

        return guarded

    def _base(self, request: web.Request) -> str:
        return f"{request.scheme}://{request.host}/{self._authority.directory.entra_tenant_id}"

    async def instance(self, request: web.Request) -> web.Response:
        """Answer msal's question whether this host is an authority (instance
        discovery).
        """
        alias = {
            "preferred_network": request.host,
            "preferred_cache": request.host,
            "aliases": [request.host],
        }
        return web.json_response(
            {
                "tenant_discovery_endpoint": f"{self._base(request)}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [alias],
            }
        )

    async def metadata(self, request: web.Request) -> web.Response:
        base = self._base(request)
        return web.json_response(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "code_challenge_methods_supported": ["S256"],
                "claims_supported": [
                    "sub",
                    "iss",
                    "aud",
                    "exp",
                    "iat",
                    "nonce",
                    "name",
                    "oid",
                    "tid",
                    "email",
                ],
                "tenant_region_scope": "EU",
                "cloud_instance_name": request.host,
            }
        )

    async def keys(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": self._authority.signer.published()})

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        form.update(_basic_credentials(request))
        token_url = f"{self._base(request)}/oauth2/v2.0/token"
        keys = await self._keys_of(self._authority.federated_issuer(form), f"{self._base(request)}/v2.0")
        self._authority.authenticate_app(form, token_url, keys)
        grant = form.get("grant_type")
        if grant == "client_credentials":
            return web.json_response(self._app_token(form, f"{self._base(request)}/v2.0"))
        if grant == "authorization_code":
            return web.json_response(self._authority.redeem_code(form, f"{self._base(request)}/v2.0"))
        raise LoginError("unsupported_grant_type", 70003, f"The grant type '{grant}' is not supported here.")

    async def _keys_of(self, issuer: str | None, own_issuer: str) -> KeySet | None:
        if issuer is None:
            return None
        if issuer == own_issuer:  # a managed identity of this tenant
            return KeySet([self._authority.signer.key])
        return await published_keys(issuer)

    def _app_token(self, form: Mapping[str, str], issuer: str) -> dict[str, str | int]:
        scope = form.get("scope", "")
        # Under any name of a cloud, its Graph is the only resource:
        # https://{graph host}/.default.
        if not scope.endswith("/.default"):
            message = f"The provided value for the input parameter 'scope' is not valid: {scope}."
            raise LoginError("invalid_scope", 70011, message)
        audience = scope.removesuffix("/.default") or GRAPH_AUDIENCE
        token = self._authority.app_token(issuer, audience, form.get("claims", ""))
        return {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}

    async def authorize(self, request: web.Request) -> web.Response:
        """Sign in the user of `login_hint` at once; without a hint list the users to
        choose from.
        """
        query = dict(request.query)
        if query.get("client_id", "").lower() != self._authority.registration.client_id:
            raise LoginError(
                "unauthorized_client", 700016, "The client_id names no application of this tenant."
            )
        if query.get("response_type") != "code" or "redirect_uri" not in query:
            raise LoginError(
                "invalid_request", 900144, "The request needs response_type=code and redirect_uri."
            )
        try:
            self._authority.check_redirect(query["redirect_uri"])
        except LoginError as unregistered:
            return _refusal_page(unregistered)
        if not query.get("login_hint"):
            if query.get("prompt") == "none":
                return _back(
                    query, error="login_required", error_description="AADSTS50058: Nobody is signed in."
                )
            return self._choice(request)
        try:
            user = self._authority.sign_in(query["login_hint"])
        except LoginError as refused:
            if query.get("prompt") == "none":
                return _back(query, error="interaction_required", error_description=str(refused))
            # Entra keeps a refused person on its own page; the application never hears
            # of it.
            return _refusal_page(refused)
        if not self._authority.registration.sign_in_consent:
            return _back(query, error="access_denied", error_description=NO_CONSENT)
        session_id = request.cookies.get(SESSION_COOKIE) or str(uuid.uuid4())
        answer = _back(query, code=self._authority.issue_code(user, query, session_id))
        answer.set_cookie(SESSION_COOKIE, session_id, httponly=True)
        return answer

    def _choice(self, request: web.Request) -> web.Response:
        people = list(self._authority.directory.users.values())[:50]
        links = "".join(
            f'<li><a href="?{escape(urlencode({**request.query, "login_hint": user.user_principal_name}))}">'
            f"{escape(user.text('displayName') or '')}</a> {escape(user.user_principal_name)}</li>"
            for user in people
        )
        page = f"<!doctype html><title>Simulated sign-in</title><h1>Who are you?</h1><ul>{links}</ul>"
        return web.Response(text=page, content_type="text/html")

    async def logout(self, request: web.Request) -> web.Response:
        """Sign out: the browser loads the application's logout URL with the session id,
        and goes on only to a registered address.
        """
        registration = self._authority.registration
        target = request.query.get("post_logout_redirect_uri")
        session_id = request.cookies.get(SESSION_COOKIE)
        frame = ""
        if registration.logout_url and session_id:  # `sid` without `iss`, as Entra sends it
            url = f"{registration.logout_url}?{urlencode({'sid': session_id})}"
            frame = f'<iframe src="{escape(url)}"></iframe>'
        link = f'<a href="{escape(target)}">Go on</a>' if target in registration.redirect_uris else ""
        page = f"<!doctype html><title>Sign out</title><h1>You are signed out</h1>{frame}{link}"
        answer = web.Response(text=page, content_type="text/html")
        answer.del_cookie(SESSION_COOKIE)
        return answer


def _basic_credentials(request: web.Request) -> dict[str, str]:
    """Read client id and secret from an Authorization header (RFC 6749, 2.3.1)."""
    header = request.headers.get("Authorization", "")
    if not header.startswith("Basic "):
        return {}
    try:
        given = BasicAuth.decode(header)
    except ValueError:
        return {}
    return {"client_id": given.login, "client_secret": given.password}


def _back(query: Mapping[str, str], **answer: str) -> web.Response:
    """Send the browser back to the application."""
    state = {"state": query["state"]} if "state" in query else {}
    separator = "&" if "?" in query["redirect_uri"] else "?"
    location = f"{query['redirect_uri']}{separator}{urlencode({**answer, **state})}"
    return web.Response(status=302, headers={"Location": location})


def _refusal_page(error: LoginError) -> web.Response:
    why = f"AADSTS{error.code}: {escape(error.message)}"
    page = f"<!doctype html><title>Sign in</title><h1>Sorry</h1><p>{why}</p>"
    return web.Response(text=page, content_type="text/html", status=error.status)
