"""Workload identity federation as Entra's provisioning service does it: an assertion
instead of a secret.

As in "Workload Identity Federation for SCIM Provisioning" (AzureAD/SCIMReferenceCode,
June 2026) and what was captured of it: issuer, `sub` and `oid` of the first-party
service principal, `uti` instead of `jti`, 65 minutes of life.
"""

import time
import uuid
from dataclasses import dataclass, field

import aiohttp

from simulator.provisioning import errors
from simulator.provisioning.errors import JobStopped
from simulator.signing import Signer

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFE_S = 3900
SYNC_FABRIC_APP_ID = "00000014-0000-0000-c000-000000000000"
"""The first-party application whose service principal the assertion is about (captured
tokens)."""


def sync_fabric_id(entra_tenant_id: str) -> str:
    """Return the object id of that service principal in a directory: the subject an
    admin has to configure.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{entra_tenant_id} {SYNC_FABRIC_APP_ID}"))


@dataclass(slots=True)
class WorkloadIdentity:
    """Credentials without a secret; `issuer` ends in `/{tenant}/v2.0`."""

    token_endpoint: str
    client_id: str
    audience: str
    entra_tenant_id: str
    issuer: str
    signer: Signer
    _token: str = field(default="", init=False)
    _good_until: float = field(default=0.0, init=False)

    def assertion(self) -> str:
        """Sign a new assertion."""
        subject = sync_fabric_id(self.entra_tenant_id)
        claims = {
            "aud": self.audience,
            "iss": self.issuer,
            "sub": subject,
            "oid": subject,
            "tid": self.entra_tenant_id,
            "azp": SYNC_FABRIC_APP_ID,
            "ver": "2.0",
        }
        return self.signer.sign(claims, ASSERTION_LIFE_S)

    async def bearer(self, session: aiohttp.ClientSession) -> str:
        """Return a token that is good for another minute; raise JobStopped if none is
        to be had.
        """
        if time.monotonic() + 60 > self._good_until:
            await self._fetch(session)
        return self._token

    async def _fetch(self, session: aiohttp.ClientSession) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(),
            "scope": "scim",
        }
        try:
            async with session.post(self.token_endpoint, data=form) as answer:
                body = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _unchecked(f"The token endpoint gave no usable answer: {error}") from error
        if not body.get("access_token"):
            why = body.get("error_description", "")
            raise _unchecked(f"The token endpoint gave no token (HTTP {answer.status}). {why}".rstrip())
        self._token = str(body["access_token"])
        self._good_until = time.monotonic() + float(body.get("expires_in", 3600))


def _unchecked(message: str) -> JobStopped:
    return JobStopped(errors.CREDENTIALS_UNCHECKED, message)
