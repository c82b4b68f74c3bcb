"""Sign a webhook with the library of Standard Webhooks 1.0: HMAC-SHA256 over id, time
and body.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """Return a new secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers(secrets_now: Sequence[str], message_id: str, at: datetime, body: str) -> dict[str, str]:
    """Return the three headers; while a secret is rotated, there are two signatures.

    The library signs with one secret: a list of signatures is what its receivers take.
    `at` is in UTC.
    """
    signatures = [Webhook(each).sign(message_id, at, body) for each in secrets_now]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
