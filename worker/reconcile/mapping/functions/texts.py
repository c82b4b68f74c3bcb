"""Functions over texts and lists (Microsoft, "Reference for writing expressions")."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Sequence

from store.records import JsonValue
from worker.reconcile.mapping.functions.base import Evaluate, Function, FunctionParameter, ValueKind, strict
from worker.reconcile.mapping.functions.replace import REPLACE
from worker.reconcile.mapping.syntax import FunctionCall
from worker.reconcile.mapping.values import (
    MAX_TEXT,
    Absent,
    Scalar,
    Value,
    capped,
    fault,
    is_present,
    items_of,
    several,
    text_of,
)
from worker.reconcile.snapshot import GraphUser

_SOURCE = FunctionParameter("source")
_CULTURE = FunctionParameter("culture", optional=True, constant=True)

_LETTERS = {
    "æ": "ae", "Æ": "AE", "ø": "oe", "Ø": "OE", "œ": "oe", "Œ": "OE",
    "ß": "ss", "ł": "l", "Ł": "L", "ı": "i",
}  # fmt: skip
"""Letters of Microsoft's table that do not decompose into a letter and a mark."""

_ROLE_TYPE = "WindowsAzureActiveDirectoryRole"


def _build_append(_call: FunctionCall, arguments: Sequence[Evaluate]) -> Evaluate:
    source, *suffixes = arguments

    def evaluate(user: GraphUser) -> Value:
        # A suffix alone would give every user without the attribute the same value.
        found = text_of(source(user))
        if isinstance(found, Absent):
            return found
        for suffix in suffixes:
            value = text_of(suffix(user))
            if not isinstance(value, Absent):
                found += value
            elif value.is_fault:
                return value
        return capped(found)

    return evaluate


def _build_join(_call: FunctionCall, arguments: Sequence[Evaluate]) -> Evaluate:
    separator_of, *sources = arguments

    def evaluate(user: GraphUser) -> Value:
        parts: list[str] = []
        for source in sources:
            value = source(user)
            if type(value) is str:
                parts.append(value)
            elif isinstance(value, Absent):
                if value.is_fault:
                    return value
            else:
                for item in items_of(value):
                    text = text_of(item)
                    if isinstance(text, Absent):
                        return text
                    parts.append(text)
        separator = text_of(separator_of(user))
        if isinstance(separator, Absent):
            if separator.is_fault:
                return separator
            separator = ""
        joined = separator.join(part for part in parts if part)
        return capped(joined) if joined else Absent("everything to join is empty")

    return evaluate


def _build_coalesce(_call: FunctionCall, arguments: Sequence[Evaluate]) -> Evaluate:
    def evaluate(user: GraphUser) -> Value:
        for argument in arguments:
            value = argument(user)
            if is_present(value) or (isinstance(value, Absent) and value.is_fault):
                return value
        return Absent("all sources are empty")

    return evaluate


def _build_count(_call: FunctionCall, arguments: Sequence[Evaluate]) -> Evaluate:
    def evaluate(user: GraphUser) -> Value:
        value = arguments[0](user)
        return value if isinstance(value, Absent) and value.is_fault else len(items_of(value))

    return evaluate


def _find(text: str, wanted: str, start: int | None, compare: str | None) -> Value:
    if start is not None and start < 1:
        return fault("InStr starts before the first character")
    if compare is not None and compare.lower() not in ("vbtextcompare", "vbbinarycompare"):
        return fault(f"{compare!r:.40} is not vbTextCompare or vbBinaryCompare")
    if compare is not None and compare.lower() == "vbtextcompare":
        text, wanted = to_lower(text), to_lower(wanted)
    return text.find(wanted, (start or 1) - 1) + 1


def _item(value: Value, index: int) -> Value:
    items = items_of(value)
    if index < 1:
        return fault("Item counts from 1")
    return items[index - 1] if index <= len(items) else Absent(f"there is no item {index}")


def _left(text: str, count: int) -> Value:
    return text[:count] if count >= 0 else text


def _right(text: str, count: int) -> Value:
    if count < 0:
        return text
    return text[-count:] if count else ""


def _middle(text: str, start: int, length: int) -> Value:
    if start < 1 or length < 0:
        return fault("Mid starts before the first character or has a negative length")
    return text[start - 1 : start - 1 + length]


def _remove_duplicates(value: Value) -> Value:
    found: list[Scalar] = []
    seen: set[str] = set()
    for item in items_of(value):
        if (key := repr(item)) not in seen:
            seen.add(key)
            found.append(item)
    return several(found)


def _split(text: str, delimiter: str) -> Value:
    if not delimiter:
        return fault("Split has no delimiter")
    # Microsoft's example drops the space behind the comma.
    return several(part for part in map(str.strip, text.split(delimiter)) if part)


def _word(text: str, number: int, delimiters: str) -> Value:
    marks = frozenset(delimiters)
    words = "".join(" " if c in marks else "\0" if c == " " else c for c in text).split(" ")
    found = [word.replace("\0", " ") for word in words if word]
    return found[number - 1] if 1 <= number <= len(found) else ""


def normalize_diacritics(text: str) -> str:
    """Return the text without the marks over and under Latin letters."""
    kept: list[str] = []
    is_latin = False
    for character in unicodedata.normalize("NFD", text):
        if unicodedata.category(character) == "Mn" and is_latin:
            continue
        is_latin = character.isascii() or character in _LETTERS
        kept.append(_LETTERS.get(character, character))
    return unicodedata.normalize("NFC", "".join(kept))


def to_lower(text: str, culture: str | None = None) -> str:
    """Return the text in lower case, letter by letter as .NET does."""
    if _is_turkic(culture):
        text = text.replace("İ", "i").replace("I", "ı")
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)


def to_upper(text: str, culture: str | None = None) -> str:
    """Return the text in upper case, letter by letter as .NET does: `ß` stays."""
    if _is_turkic(culture):
        text = text.replace("i", "İ").replace("ı", "I")
    return "".join(high if len(high := character.upper()) == 1 else character for character in text)


def _is_turkic(culture: str | None) -> bool:
    return culture is not None and culture.lower().partition("-")[0] in ("tr", "az")


def _proper_case(text: str, separators: str | None) -> Value:
    found: list[str] = []
    begins = True
    for character in text:
        found.append(to_upper(character) if begins else to_lower(character))
        if separators is None:
            begins = not (character.isalnum() or character == "'" or unicodedata.combining(character) > 0)
        else:
            begins = character in separators
    return "".join(found)


def _base64(text: str) -> Value:
    return base64.b64encode(text.encode("utf-16-le", "surrogatepass")).decode("ascii")


def _hexadecimal(text: str) -> Value:
    return text.encode("utf-8", "surrogatepass").hex().upper() if len(text) <= MAX_TEXT else fault("too long")


def _single_role(value: Value) -> Value:
    roles = _roles(value)
    if len(roles) > 1:
        return fault("the user has several app roles, and SingleAppRoleAssignment is for one")
    return roles[0] if roles else Absent("the user has no app role")


def _complex_roles(name_key: str, value: Value) -> Value:
    roles: list[dict[str, JsonValue]] = [
        {"primary": False, "type": _ROLE_TYPE, name_key: role, "value": role} for role in _roles(value)
    ]
    return several(roles)


def _roles(value: Value) -> list[str]:
    found = [item.get("value") if isinstance(item, dict) else item for item in items_of(value)]
    return [str(role) for role in found if role]


_ANY = FunctionParameter("attribute", ValueKind.ANY)
_ROLES = FunctionParameter("[appRoleAssignments]", ValueKind.ANY)

FUNCTIONS: tuple[Function, ...] = (
    Function("Append", (_SOURCE, FunctionParameter("suffix")), _build_append, repeats=1),
    Function(
        "Join",
        (FunctionParameter("separator"), FunctionParameter("source", ValueKind.ANY)),
        _build_join,
        repeats=1,
    ),
    Function("Coalesce", (FunctionParameter("source", ValueKind.ANY),), _build_coalesce, repeats=1),
    Function("Count", (_ANY,), _build_count),
    strict("ConvertToBase64", _SOURCE, do=_base64),
    strict("ConvertToUTF8Hex", _SOURCE, do=_hexadecimal),
    strict("CStr", FunctionParameter("value"), do=lambda text: text),
    strict(
        "InStr",
        FunctionParameter("value1"),
        FunctionParameter("value2"),
        FunctionParameter("start", ValueKind.WHOLE, optional=True),
        FunctionParameter("compareType", optional=True),
        do=_find,
    ),
    strict("Item", _ANY, FunctionParameter("index", ValueKind.WHOLE), do=_item),
    strict("Left", FunctionParameter("String"), FunctionParameter("NumChars", ValueKind.WHOLE), do=_left),
    strict("Len", FunctionParameter("String"), do=len),
    strict(
        "Mid",
        _SOURCE,
        FunctionParameter("start", ValueKind.WHOLE),
        FunctionParameter("length", ValueKind.WHOLE),
        do=_middle,
    ),
    strict("NormalizeDiacritics", _SOURCE, do=normalize_diacritics),
    strict("PCase", _SOURCE, FunctionParameter("wordSeparators", optional=True), do=_proper_case),
    strict("RemoveDuplicates", _ANY, do=_remove_duplicates),
    REPLACE,
    strict("Right", FunctionParameter("String"), FunctionParameter("NumChars", ValueKind.WHOLE), do=_right),
    strict("Split", _SOURCE, FunctionParameter("delimiter"), do=_split),
    strict("StripSpaces", _SOURCE, do=lambda text: text.replace(" ", "")),
    strict("ToLower", _SOURCE, _CULTURE, do=to_lower),
    strict("ToUpper", _SOURCE, _CULTURE, do=to_upper),
    strict("Trim", _SOURCE, do=str.strip),
    strict(
        "Word",
        FunctionParameter("String"),
        FunctionParameter("WordNumber", ValueKind.WHOLE),
        FunctionParameter("delimiters"),
        do=_word,
    ),
    strict("SingleAppRoleAssignment", _ROLES, do=_single_role),
    strict("AppRoleAssignmentsComplex", _ROLES, do=lambda value: _complex_roles("displayName", value)),
    strict("AssertiveAppRoleAssignmentsComplex", _ROLES, do=lambda value: _complex_roles("display", value)),
)
