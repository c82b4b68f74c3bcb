"""Get assertions that Entra takes in place of a secret.

They come from a projected token file or from a managed identity.
"""

from __future__ import annotations

import base64
import time
from pathlib import Path

import msgspec

from worker.graph.errors import (
    ConnectionFault,
    CredentialsRejected,
    ServiceFault,
    credential_unusable,
)

_TIMEOUT_S = 10.0


def assertion_from_file(path: Path) -> str:
    """Return the current token of workload identity federation from its file.

    Raises `ConnectionUnusable`.
    """
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise credential_unusable(
            "the federated token file cannot be read", f"Check path and mode of {path}."
        ) from error
    ended_at = _end_of(token)
    if ended_at is not None and ended_at <= time.time():
        raise credential_unusable(
            "the federated token file holds a token that has ended",
            f"Whoever projects {path} no longer renews it: check the pod's service account volume.",
        )
    return token


def _end_of(token: str) -> float | None:
    """Return the unverified `exp` claim, or None if it cannot be read.

    Entra then says what is wrong with the token.
    """
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return None


def assertion_from_managed_identity(client_id: str | None, audience: str) -> str:
    """Return a managed identity's token for `audience`.

    msal knows the endpoints: `IDENTITY_ENDPOINT` (App Service and others), else IMDS.
    Blocks. Raises `ConnectionFault`, `ServiceFault` or `CredentialsRejected`.
    """
    import httpx
    import msal

    identity = (
        msal.UserAssignedManagedIdentity(client_id=client_id)
        if client_id
        else msal.SystemAssignedManagedIdentity()
    )
    try:
        # The endpoint is on this machine or link-local: no proxy stands before it.
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False, event_hooks={"response": [_check]}) as http:
            client = msal.ManagedIdentityClient(identity, http_client=http)
            answer = client.acquire_token_for_client(resource=audience)
    except (httpx.HTTPError, OSError) as error:
        raise ConnectionFault(
            f"The managed identity endpoint cannot be reached ({type(error).__name__}). Leaver tries again; "
            "if this machine has no managed identity, give the connection another credential."
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _no_token("an answer that is none") from error
    token = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str):
        raise _no_token(str(answer.get("error", "no token")) if isinstance(answer, dict) else "no token")
    return token


def _check(response: object) -> None:
    status: int = getattr(response, "status_code", 0)
    if status == 429 or status >= 500:
        raise ServiceFault(f"The managed identity endpoint is not well ({status}); Leaver tries again.")


def _no_token(why: str) -> CredentialsRejected:
    return CredentialsRejected(
        f"The managed identity endpoint gave no token ({why}).",
        "Assign the managed identity to this machine (or correct its client id), and add it to the app "
        "registration as a federated credential.",
    )
