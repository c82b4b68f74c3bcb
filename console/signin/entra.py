"""The authorization code flow with PKCE through Entra, by msal.

msal makes state, nonce and verifier, authenticates the app by secret, certificate or
federated credential, and redeems the code. It verifies nothing in the ID token but the
nonce: `console.signin.id_token` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from console.admin.sessions.errors import SignInProblem, SignInRefused
from console.admin.sessions.sign_in import SignInClient
from console.signin.id_token import ExpectedIssuer
from scim.auth.federation import issuer_of, keys_url
from worker.graph.auth import clouds
from worker.graph.auth.credentials import Credential
from worker.graph.auth.tokens import LoginHttp
from worker.graph.errors import GraphError, GraphTryAgain

ANSWER_WITHIN_S = 15.0
_CONSENT_CODES = frozenset({"65001", "65004", "90094", "900941", "90093", "90095"})
"""User or administrator consent is missing, or was declined (Microsoft Learn, "Error
codes").
"""
_AADSTS = re.compile(r"AADSTS(\d{4,8})")


@dataclass(frozen=True, slots=True)
class BegunFlow:
    """Where the browser goes, and what is needed when it comes back."""

    url: str
    state: str
    text: str = field(repr=False)
    """The flow as JSON, to be sealed: it holds verifier and nonce."""


class EntraFlow:
    """One connection's sign-in with its own directory.

    Its methods block: call them in a thread.
    """

    def __init__(self, client: SignInClient) -> None:
        """Raise `SignInRefused` where directory, client or credential is missing."""
        connection = client.connection
        if client.credential is None or not connection.client_id or not connection.entra_tenant_id:
            raise SignInRefused(SignInProblem.NOT_SET_UP, "directory, client id and credential are needed")
        self._connection = connection
        self._client_id = connection.client_id
        self._credential: Credential = client.credential
        self.names_itself = False
        self.expected = ExpectedIssuer(
            issuer_of(connection),
            connection.client_id,
            keys_url(connection),
            connection.entra_tenant_id.lower(),
        )

    def begin(self, redirect_uri: str, login_hint: str | None = None) -> BegunFlow:
        """Return the way to the provider. Raises `SignInRefused`."""
        http = self._http()
        try:
            flow = self._application(http).initiate_auth_code_flow(
                scopes=[], redirect_uri=redirect_uri, response_mode="form_post", login_hint=login_hint
            )
        except (GraphError, ValueError, KeyError) as error:
            raise _unreachable(error) from error
        finally:
            http.close()
        # msal knows https only: a simulator on this machine is reached by plain http.
        url = str(flow["auth_uri"]).replace(http.origin_for_msal, str(http.origin), 1)
        # msal warns of `query`, but a form of another site comes without our cookie.
        # The code in the URL is bound to that cookie and to PKCE, and is used once.
        url = url.replace("response_mode=form_post", "response_mode=query")
        return BegunFlow(url, str(flow["state"]), json.dumps(flow))

    def redeem(self, text: str, answer: Mapping[str, str]) -> str:
        """Return the ID token for the code in the provider's answer, not verified.

        Raises `SignInRefused`.
        """
        flow = json.loads(text)
        http = self._http()
        try:
            result = self._application(http).acquire_token_by_auth_code_flow(flow, dict(answer))
        except RuntimeError as error:  # of msal, for a nonce that differs
            raise SignInRefused(SignInProblem.TOKEN_REFUSED, "its nonce is not the one sent") from error
        except GraphError as error:
            raise _unreachable(error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise SignInRefused(SignInProblem.PROVIDER_REFUSED, type(error).__name__) from error
        finally:
            http.close()
        token = result.get("id_token")
        if isinstance(token, str):
            return token
        raise refusal(str(result.get("error", "")), str(result.get("error_description", "")))

    def nonce(self, text: str) -> str:
        """Return the nonce that was sent."""
        return nonce_of(text)

    def sign_out_url(self) -> str:
        """Return where the person signs out of the directory itself."""
        base = f"{self._connection.login_url}/{self._connection.entra_tenant_id}"
        return f"{base}/oauth2/v2.0/logout"

    def _http(self) -> LoginHttp:
        try:
            return LoginHttp(self._connection.login_url, ANSWER_WITHIN_S)
        except GraphError as error:
            raise SignInRefused(SignInProblem.NOT_SET_UP, str(error)) from error

    def _application(self, http: LoginHttp) -> Any:
        import msal  # 70 ms, for those who sign in only

        credential = self._credential.in_hand()
        return msal.ConfidentialClientApplication(
            self._client_id,
            client_credential=credential.for_msal(clouds.exchange_audience(http.origin)),
            authority=f"{http.authority_for_msal}/{self._connection.entra_tenant_id}",
            http_client=http,
            instance_discovery=False,
            exclude_scopes=["offline_access"],  # nothing is read in the person's name
        )


def nonce_of(text: str) -> str:
    """Return the nonce that was sent: msal keeps one and sends its hash."""
    flow = json.loads(text)
    return parse_qs(urlsplit(str(flow["auth_uri"])).query)["nonce"][0]


def refusal(error: str, description: str) -> SignInRefused:
    """Return what a refusal means, without the provider's words: they name people."""
    found = _AADSTS.search(description)
    code = f"AADSTS{found[1]}" if found else error[:60]
    if error == "consent_required" or (found and found[1] in _CONSENT_CODES):
        return SignInRefused(SignInProblem.NO_CONSENT, code)
    return SignInRefused(SignInProblem.PROVIDER_REFUSED, code)


def _unreachable(error: Exception) -> SignInRefused:
    lasts = not isinstance(error, GraphTryAgain)
    problem = SignInProblem.NOT_SET_UP if lasts else SignInProblem.PROVIDER_UNREACHABLE
    return SignInRefused(problem, type(error).__name__)
