"""SCIM documents as flat attribute paths, the form of the log and of drift reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from store.records import Document, JsonValue, Modified

Flat = dict[str, JsonValue]

# Asked first, by type: most values are plain, and asking an abstract class takes ten
# times as long.
_PLAIN = frozenset({str, bool, int, float})
_OBJECT = (dict, Mapping)
_LIST = (list, Sequence)


def flatten(document: Document) -> Flat:
    """Return the values of a document by path.

    Paths look like `name.givenName`, `emails[type eq "work"].value` and
    `urn:…:User:department`. A multi-valued attribute whose elements have no distinct
    `type` stays whole under its name. Nulls are left out.
    """
    flat: Flat = {}
    _walk(document, "", flat)
    return flat


def _walk(complex_value: Mapping[str, JsonValue], prefix: str, flat: Flat) -> None:
    for name, value in complex_value.items():
        path = prefix + name
        if type(value) in _PLAIN:
            flat[path] = value
        elif isinstance(value, _OBJECT):
            _walk(value, path + (":" if name.lower().startswith("urn:") else "."), flat)
        elif by_type := _by_type(value):
            for type_, element in by_type.items():
                rest = {key: item for key, item in element.items() if key != "type"}
                _walk(rest, f'{path}[type eq "{type_}"].', flat)
        elif value is not None:
            flat[path] = value


def _by_type(value: JsonValue) -> dict[str, Mapping[str, JsonValue]]:
    """Return the elements of a multi-valued attribute by `type`.

    The result is empty unless each element has a `type` of its own.
    """
    if not isinstance(value, _LIST) or isinstance(value, str):
        return {}
    by_type: dict[str, Mapping[str, JsonValue]] = {}
    for element in value:
        if isinstance(element, _OBJECT) and isinstance(type_ := element.get("type"), str):
            by_type[type_] = element
    return by_type if len(by_type) == len(value) else {}


def differences(before: Flat, after: Flat) -> tuple[Modified, ...]:
    """Return the attributes that differ, sorted by path; None stands for absent."""
    if not before:
        return tuple([{"attribute": path, "old": None, "new": new} for path, new in sorted(after.items())])
    changes = ((path, before.get(path), after.get(path)) for path in sorted(before.keys() | after.keys()))
    differing = ((path, old, new) for path, old, new in changes if old != new or _one_is_bool(old, new))
    return tuple([{"attribute": path, "old": old, "new": new} for path, old, new in differing])


def _one_is_bool(old: JsonValue, new: JsonValue) -> bool:
    """Return whether one value is a Boolean and the other is not.

    Python takes True for 1; JSON does not.
    """
    return isinstance(old, bool) is not isinstance(new, bool)


def work_emails(document: Document) -> list[str]:
    """Return a user's work e-mail addresses, seldom more than one."""
    emails = document.get("emails")
    if not isinstance(emails, _LIST) or isinstance(emails, str):
        return []
    return [
        value
        for email in emails
        if isinstance(email, _OBJECT)
        and str(email.get("type")).lower() == "work"
        and isinstance(value := email.get("value"), str)
    ]
