"""Webhooks are signed as Standard Webhooks 1.0 says."""

from __future__ import annotations

from worker.delivery.signature import headers, new_secret, sign


def test_the_test_vector_of_the_specification_is_signed_alike() -> None:
    """The example that the libraries of Standard Webhooks share."""
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_secret_is_rotated_both_sign() -> None:
    old, new = new_secret(), new_secret()
    sent = headers([new, old], "7", 1614265330, b"{}")
    assert sent["webhook-signature"].split(" ") == [sign(each, "7", 1614265330, b"{}") for each in (new, old)]
    assert (sent["webhook-id"], sent["webhook-timestamp"]) == ("7", "1614265330")
