"""When two names are the same name, the characters that no name may hold, and the text
that a database can keep.

Names are userName, displayName, externalId and what filters compare. RFC 7643 §2.2
leaves the comparison of strings to `caseExact`, and RFC 7644 §5 wants them normalised
first.
"""

from __future__ import annotations

from unicodedata import category, normalize

_JOINERS = frozenset("\u200c\u200d")
"""Zero width non-joiner and joiner: spelling of Persian, of Hindi, and of emoji."""
_JOINED = frozenset({"Lo", "Mn", "Mc", "So", "Sk"})
"""What a joiner may stand between: letters without case, marks, symbols."""
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp"})
_BLANK = frozenset("\u115f\u1160\u3164\uffa0")
"""Hangul fillers: letters by category, and shown as nothing."""


def folded(text: str) -> str:
    """Return a text in the form in which it is compared without regard to case.

    It is the canonical caseless form of Unicode (chapter 3, D145), composed.
    """
    if text.isascii():
        return text.lower()
    return normalize("NFC", normalize("NFD", text).casefold())


def name_key(name: str) -> str:
    """Return the key that two names have in common if they are the same name.

    Case, the Unicode form and outer white space make no difference.
    """
    return folded(name).strip()


def exact_key(name: str) -> str:
    """Return the key of a name whose case counts (`caseExact`), such as externalId."""
    return name.strip() if name.isascii() else normalize("NFC", name).strip()


def hidden_character(name: str) -> str | None:
    """Return the first control, zero-width or bidi character as `U+200B`, or None.

    Such a name looks like another one. A joiner between letters that need it is no
    such character.
    """
    if name.isprintable() and name.isascii():
        return None
    for position, character in enumerate(name):
        if character in _BLANK or (category(character) in _INVISIBLE and not _joins(name, position)):
            return f"U+{ord(character):04X}"
    return None


def _joins(name: str, position: int) -> bool:
    if name[position] not in _JOINERS or not 0 < position < len(name) - 1:
        return False
    return category(name[position - 1]) in _JOINED and category(name[position + 1]) in _JOINED


def is_storable(text: str) -> bool:
    """Whether a text can be encoded, stored and answered: no NUL, no lone surrogate.

    A lone surrogate comes by an escape in a filter, or by a header that is no UTF-8.
    """
    if text.isascii():
        return "\0" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
