"""Secret keys: 32 random bytes, and another key for each purpose."""

from __future__ import annotations

import secrets
from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256

import pytest

from config.keys import Purpose, derive, new_key, read_key
from tests.builders.secret_keys import secret_key


def test_a_new_key_is_random_and_is_taken() -> None:
    """What `leaver secret-key` prints."""
    assert len({new_key() for _ in range(20)}) == 20
    assert len(read_key(new_key())) == 32


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
def test_both_alphabets_with_and_without_padding_are_one_key(encode: object) -> None:
    """`openssl rand -base64 32` makes a key as well."""
    key = secrets.token_bytes(32)
    text = encode(key).decode()  # type: ignore[operator]
    assert read_key(text) == read_key(text.rstrip("=")) == key


@pytest.mark.parametrize(
    "weak",
    [
        "",
        "hunter2",
        "correct horse battery staple, and more of it",
        "acceptance-tests-only-not-a-secret-key",
        sha256(b"hexadecimal").hexdigest(),
        b64encode(b"sixteen bytes ok").decode(),
        b64encode(bytes(32)).decode(),
        b64encode(b"ab" * 16).decode(),
        b64encode(b"a passphrase of thirty-two chars").decode(),
        "ключ-из-любых-букв-ключ-из-любых-букв",
    ],
)
def test_a_weak_key_is_refused_with_the_way_out_and_not_repeated(weak: str) -> None:
    """issue 10, G: "a weak one is refused with how to replace it"."""
    with pytest.raises(ValueError, match="`leaver secret-key` prints one") as refused:
        read_key(weak)
    assert not weak or weak not in str(refused.value)


def test_each_purpose_has_a_key_of_its_own() -> None:
    """Who learns one of them has none of the others, nor the secret key."""
    keys = [derive(secret_key("a"), purpose) for purpose in Purpose]
    assert len({key.key for key in keys}) == len({key.id for key in keys}) == len(Purpose)
    assert secret_key("a") not in repr(keys)
    assert derive(secret_key("a"), Purpose.COOKIES) == derive(secret_key("a"), Purpose.COOKIES)
    assert derive(secret_key("a"), Purpose.COOKIES) != derive(secret_key("b"), Purpose.COOKIES)


def test_derived_keys_stay_as_they_are() -> None:
    """Another derivation would make all that is stored unreadable."""
    assert [derive(secret_key("a"), purpose).id for purpose in Purpose] == [
        "123d09062fe2",
        "c4968a573491",
        "dc9c79cd7559",
        "c076e79026c8",
        "d4dd4a80ea6c",
    ]
