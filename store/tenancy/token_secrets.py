"""Secrets of API tokens: their form and their hash.

A secret is `leaver_`, 30 random letters and digits (178 bits), and 6 that are a
checksum over both: a secret scanner knows it by its form and tells a real one from a
look-alike without asking us. So many random bits need no slow hash.
"""

from __future__ import annotations

import hashlib
import secrets
import string
import zlib

_LEADER = "leaver_"
_ALPHABET = string.digits + string.ascii_letters
_RANDOM_LENGTH = 30
_CHECKSUM_LENGTH = 6
SHOWN_LENGTH = len(_LEADER) + 6
"""Characters of a secret that are shown later, so that a person can identify it."""


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        number, rest = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[rest])
    return "".join(reversed(digits))


def new_secret() -> str:
    body = _LEADER + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return body + _checksum(body)


def is_well_formed(secret: str) -> bool:
    """Return whether form and checksum are those of our secrets: a mistyped one needs
    no query.
    """
    if len(secret) != len(_LEADER) + _RANDOM_LENGTH + _CHECKSUM_LENGTH or not secret.isascii():
        return False
    body, checksum = secret[:-_CHECKSUM_LENGTH], secret[-_CHECKSUM_LENGTH:]
    return body.startswith(_LEADER) and secrets.compare_digest(_checksum(body), checksum)


def hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
