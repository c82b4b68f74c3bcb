"""Sealing of stored secrets: one key seals, all unseal, and a wrong one says what to check."""

from __future__ import annotations

import pytest

from config.errors import SealError
from config.keys import Sealer
from tests.builders.secret_keys import secret_key

TODAY, YESTERDAY = secret_key("today"), secret_key("yesterday")


def test_what_is_sealed_can_be_unsealed() -> None:
    """Each time the sealed text is another."""
    sealer = Sealer([TODAY])
    sealed = sealer.seal("client-secret ✓")

    assert "client-secret" not in sealed
    assert sealed != sealer.seal("client-secret ✓")
    assert Sealer([TODAY]).unseal(sealed) == "client-secret ✓"


def test_keys_can_be_changed_while_the_old_one_counts() -> None:
    """Rotation: the first key seals, all unseal; resealed secrets need the new key only."""
    old = Sealer([YESTERDAY]).seal("secret")
    both = Sealer([TODAY, YESTERDAY])

    assert both.unseal(old) == "secret"
    assert Sealer([TODAY]).unseal(both.reseal(old)) == "secret"
    assert Sealer([TODAY]).unseal(both.seal("new")) == "new"
    assert (both.is_current(old), both.is_current(both.reseal(old))) == (False, True)


@pytest.mark.parametrize(
    "sealed", ["", "not sealed", Sealer([YESTERDAY]).seal("secret")], ids=["empty", "text", "other key"]
)
def test_what_cannot_be_unsealed_names_the_variable_to_check(sealed: str) -> None:
    """The message says what to do and holds nothing of the secret."""
    with pytest.raises(SealError, match="check LEAVER_SECRET_KEY"):
        Sealer([TODAY]).unseal(sealed)


def test_a_changed_text_is_noticed() -> None:
    """Fernet authenticates: a secret somebody tampered with is refused."""
    sealed = Sealer([TODAY]).seal("secret")
    middle = len(sealed) // 2
    changed = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]

    with pytest.raises(SealError):
        Sealer([TODAY]).unseal(changed)


def test_sealing_needs_a_key_that_protects() -> None:
    """No key, or one of a few letters, is refused."""
    with pytest.raises(SealError, match="LEAVER_SECRET_KEY is not set"):
        Sealer([])
    with pytest.raises(ValueError, match="32 random bytes"):
        Sealer(["hunter2"])
