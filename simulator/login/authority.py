"""The tenant as an authority: who may have which token. No HTTP here."""

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import orjson
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from simulator.directory import Directory
from simulator.login.errors import LoginError, app_not_found
from simulator.login.federation import check_federated, unverified_claims
from simulator.login.id_token_faults import distorted_answer
from simulator.objects import DirUser, JsonValue
from simulator.registration import Registration
from simulator.signing import Claims, Signer

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGORITHMS = ["PS256", "RS256"]
CODE_LIFE = timedelta(minutes=10)
GRAPH_AUDIENCE = "https://graph.microsoft.com"


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code that was handed out and not yet spent."""

    user_id: str
    redirect_uri: str
    nonce: str | None
    challenge: str | None
    scope: str
    expires: datetime
    session_id: str


@dataclass(slots=True)
class Authority:
    directory: Directory
    registration: Registration
    signer: Signer = field(default_factory=Signer)
    _codes: dict[str, Code] = field(default_factory=dict)
    _first_id_token: str | None = None

    # --- apps ---

    def app_token(self, issuer: str, audience: str, requested_claims: str = "") -> str:
        """Make an access token for the application itself, with the roles it has now.

        `requested_claims` is the `claims` parameter of the token request.
        """
        return self.signer.sign(
            {
                "aud": audience,
                "iss": issuer,
                "appid": self.registration.client_id,
                "azp": self.registration.client_id,
                "idtyp": "app",
                "oid": self.directory.service_principal_id,
                "sub": self.directory.service_principal_id,
                "tid": self.directory.entra_tenant_id,
                "roles": sorted(self.registration.roles),
                "ver": "1.0",
                "answers_challenge": _demands_newer_token(requested_claims),
            }
        )

    def answers_challenge(self, token: str) -> bool:
        """Return whether a token was requested with the claims of a challenge."""
        claims = self.signer.read(token)
        return claims is not None and claims.get("answers_challenge") is True

    def roles(self, token: str) -> frozenset[str] | None:
        """Return what a token may do at Graph: its roles, as far as still consented to.

        None: not a live token.
        """
        claims = self.signer.read(token)
        if claims is None or not self.signer.is_live(claims):
            return None
        roles = claims.get("roles")
        return (
            frozenset(map(str, roles)) & self.registration.roles if isinstance(roles, list) else frozenset()
        )

    def federated_issuer(self, form: Mapping[str, str]) -> str | None:
        """Return whose keys an assertion must be checked with; None for the app's own
        certificate or a secret.

        Raise LoginError for an issuer that the registration does not trust: its keys
        are not even asked for.
        """
        assertion = form.get("client_assertion")
        if not assertion:
            return None
        issuer = str(unverified_claims(assertion).get("iss"))
        if issuer.lower() == self.registration.client_id:
            return None
        if issuer not in {known.issuer for known in self.registration.federated}:
            message = (
                f"No matching federated identity record found for presented assertion issuer '{issuer}'."
            )
            raise LoginError("invalid_client", 700211, message, status=401)
        return issuer

    def authenticate_app(
        self, form: Mapping[str, str], token_url: str, federated_keys: KeySet | None = None
    ) -> None:
        """Check the client's secret or assertion; raise LoginError.

        `federated_keys` are those of `federated_issuer`, where there is one.
        """
        client_id = form.get("client_id", "")
        if client_id.lower() != self.registration.client_id:
            raise app_not_found(client_id)
        if form.get("client_assertion"):
            self._check_assertion(form, token_url, federated_keys)
        elif form.get("client_secret"):
            self._check_secret(form["client_secret"])
        else:
            message = "The request body must contain: 'client_assertion' or 'client_secret'."
            raise LoginError("invalid_client", 7000218, message, status=401)

    def _check_secret(self, given: str) -> None:
        for secret, expires in self.registration.secrets.items():
            if not secrets.compare_digest(secret.encode(), given.encode()):
                continue
            if expires is not None and expires <= self.directory.clock.now():
                message = (
                    f"The provided client secret keys for app '{self.registration.client_id}' are expired."
                )
                raise LoginError("invalid_client", 7000222, message, status=401)
            return
        message = (
            "Invalid client secret provided. Ensure the secret being sent in the request is the client "
            "secret value, not the client secret ID, for a secret added to app "
            f"'{self.registration.client_id}'."
        )
        raise LoginError("invalid_client", 7000215, message, status=401)

    def _check_assertion(
        self, form: Mapping[str, str], token_url: str, federated_keys: KeySet | None
    ) -> None:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise LoginError("invalid_request", 900144, f"client_assertion_type must be {ASSERTION_TYPE}.")
        if federated_keys is not None:
            check_federated(form["client_assertion"], federated_keys, self.registration.federated)
            return
        claims = self._assertion_claims(form["client_assertion"])
        expected = {"iss": self.registration.client_id, "sub": self.registration.client_id}
        if any(str(claims.get(name)).lower() != value for name, value in expected.items()):
            raise _bad_assertion("its iss and sub must be the client id")
        # TLS may end before us, so scheme does not count.
        if urlsplit(str(claims.get("aud")))[1:3] != urlsplit(token_url)[1:3]:
            raise _bad_assertion(f"its aud must be {token_url}")
        expires = claims.get("exp")
        if not isinstance(expires, int | float) or expires <= time.time():
            raise LoginError(
                "invalid_client", 700024, "Client assertion is not within its valid time range.", 401
            )

    def _assertion_claims(self, assertion: str) -> Claims:
        try:
            header = jws.extract_compact(assertion.encode(), registry=_ASSERTION_REGISTRY).headers()
        except (JoseError, ValueError):
            raise _bad_assertion("it is not a signed JWT") from None
        thumbprint = str(header.get("x5t#S256") or header.get("x5t"))
        key = self.registration.public_key(thumbprint)
        if key is None:
            raise _bad_assertion("the key was not found: no certificate with that thumbprint is registered")
        certificate = self.registration.certificate(thumbprint)
        if certificate is not None and certificate.not_valid_after_utc <= self.directory.clock.now():
            raise _bad_assertion("the key was expired")
        try:
            return jwt.decode(assertion, RSAKey.import_key(key), registry=_ASSERTION_REGISTRY).claims
        except (JoseError, ValueError):
            raise _bad_assertion("its signature is invalid") from None

    # --- people ---

    def sign_in(self, hint: str) -> DirUser:
        """Find who signs in and check that they may; raise LoginError with Entra's
        code.
        """
        user = self.directory.find_user(hint) or self._by_mail(hint)
        if user is None:
            message = f"The user account {hint} does not exist in the directory."
            raise LoginError("access_denied", 50034, message, status=401)
        if not user.enabled:
            raise LoginError("access_denied", 50057, "The user account is disabled.", status=401)
        if not self.directory.assigned_via(user.id):
            message = f"The signed in user '{hint}' is not assigned to a role for the application."
            raise LoginError("access_denied", 50105, message, status=403)
        return user

    def _by_mail(self, mail: str) -> DirUser | None:
        wanted = mail.lower()
        return next(
            (u for u in self.directory.users.values() if (u.text("mail") or "").lower() == wanted), None
        )

    def check_redirect(self, redirect_uri: str) -> None:
        """Raise LoginError unless the application registered exactly this URI."""
        if redirect_uri in self.registration.redirect_uris:
            return
        message = (
            f"The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs "
            f"configured for the application '{self.registration.client_id}'. Make sure the redirect URI sent in "
            "the request matches one added to your application in the Azure portal."
        )
        raise LoginError("invalid_request", 50011, message)

    def distort(self, body: bytes, name: str) -> bytes:
        """Return a token answer with its ID token made wrong."""
        return distorted_answer(body, name, self.signer, self._first_id_token)

    def issue_code(self, user: DirUser, query: Mapping[str, str], session_id: str) -> str:
        """Hand out a code for a signed-in user; good once, for ten minutes."""
        code = secrets.token_urlsafe(32)
        self._codes[code] = Code(
            user_id=user.id,
            redirect_uri=query["redirect_uri"],
            nonce=query.get("nonce"),
            challenge=query.get("code_challenge"),
            scope=query.get("scope", "openid"),
            expires=self.directory.clock.now() + CODE_LIFE,
            session_id=session_id,
        )
        return code

    def redeem_code(self, form: Mapping[str, str], issuer: str) -> dict[str, JsonValue]:
        """Trade a code for tokens; raise LoginError for one that is unknown, spent,
        late or another's.
        """
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or code.expires <= self.directory.clock.now():
            raise LoginError(
                "invalid_grant", 70008, "The provided authorization code has expired or was used."
            )
        if form.get("redirect_uri") != code.redirect_uri:
            raise LoginError("invalid_grant", 50011, "The redirect URI does not match the one of the code.")
        if code.challenge is not None and _challenge_of(form.get("code_verifier", "")) != code.challenge:
            raise LoginError("invalid_grant", 501481, "The Code_Verifier does not match the code_challenge.")
        user = self.directory.find_user(code.user_id)
        if user is None:
            raise LoginError("invalid_grant", 50034, "The user account does not exist in the directory.")
        id_token = self.signer.sign({**self._id_claims(user, issuer, code.nonce), "sid": code.session_id})
        self._first_id_token = self._first_id_token or id_token
        return {
            "token_type": "Bearer",
            "scope": code.scope,
            "expires_in": 3599,
            "access_token": self.signer.sign(
                {"aud": GRAPH_AUDIENCE, "iss": issuer, "oid": user.id, "scp": "User.Read"}
            ),
            "id_token": id_token,
        }

    def _id_claims(self, user: DirUser, issuer: str, nonce: str | None) -> dict[str, JsonValue]:
        claims: dict[str, JsonValue] = {
            "aud": self.registration.client_id,
            "iss": issuer,
            "sub": hashlib.sha256(f"{self.registration.client_id} {user.id}".encode()).hexdigest()[:43],
            "oid": user.id,
            "tid": self.directory.entra_tenant_id,
            "preferred_username": user.user_principal_name,
            "name": user.text("displayName"),
            "ver": "2.0",
        }
        if user.text("mail"):
            claims["email"] = user.text("mail")
        if nonce is not None:
            claims["nonce"] = nonce
        return claims


_ASSERTION_REGISTRY = jws.JWSRegistry(algorithms=ASSERTION_ALGORITHMS)
_ASSERTION_REGISTRY.max_header_length = 64 * 1024  # msal sends the certificate chain along (`x5c`)


def _demands_newer_token(requested_claims: str) -> bool:
    """Return whether a `claims` parameter repeats a challenge, not only `xms_cc`."""
    try:
        wanted = orjson.loads(requested_claims)["access_token"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return False
    return isinstance(wanted, dict) and "nbf" in wanted


def _bad_assertion(why: str) -> LoginError:
    message = f"Client assertion contains an invalid signature or claim: {why}."
    return LoginError("invalid_client", 700027, message, status=401)


def _challenge_of(verifier: str) -> str:
    """Return the S256 challenge of a verifier (RFC 7636)."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
