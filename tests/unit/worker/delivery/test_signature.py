"""Webhooks are signed as Standard Webhooks 1.0 says."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from worker.delivery.encoding import headers, new_secret

AT = datetime.fromtimestamp(1614265330, UTC)


def mac(secret: str, signed: str) -> str:
    """The signature by the words of the specification, without its library."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, signed.encode(), hashlib.sha256)).decode()


def test_the_test_vector_of_the_specification_is_signed_alike() -> None:
    """The example that the libraries of Standard Webhooks share."""
    sent = headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        AT,
        '{"test": 2432232314}',
    )
    assert sent["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_rotated_both_sign() -> None:
    old, new = new_secret(), new_secret()
    sent = headers([new, old], "7", AT, '{"name":"Åsa"}')
    signed = '7.1614265330.{"name":"Åsa"}'
    assert sent["webhook-signature"].split(" ") == [mac(new, signed), mac(old, signed)]
    assert (sent["webhook-id"], sent["webhook-timestamp"]) == ("7", "1614265330")


def test_receivers_with_the_library_accept_either_secret_and_no_other() -> None:
    old, new = new_secret(), new_secret()
    sent = headers([new, old], "7", datetime.now(UTC), "{}")
    for secret in (old, new):
        Webhook(secret).verify("{}", sent)
    for secret, body in ((new_secret(), "{}"), (new, '{"more":1}')):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, sent)
