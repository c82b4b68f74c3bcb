"""SCIM documents as flat attribute paths, the form in which changes are logged and drift is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from store.records import Document, JsonValue, Modified

Flat = dict[str, JsonValue]


def flatten(document: Document) -> Flat:
    """Gives `name.givenName`, `emails[type eq "work"].value`, `urn:…:User:department` and the like with their values.

    A multi-valued attribute whose elements have no distinct `type` stays whole under its name. Nulls are left out.
    """
    return dict(_walk(document, ""))


def _walk(complex_value: Mapping[str, JsonValue], prefix: str) -> Iterator[tuple[str, JsonValue]]:
    for name, value in complex_value.items():
        path = prefix + name
        if isinstance(value, Mapping):
            yield from _walk(value, path + (":" if name.lower().startswith("urn:") else "."))
        elif _by_type(value):
            for element in value:
                rest = {key: item for key, item in element.items() if key != "type"}
                yield from _walk(rest, f'{path}[type eq "{element["type"]}"].')
        elif value is not None:
            yield path, value


def _by_type(value: JsonValue) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return False
    types = [element.get("type") for element in value if isinstance(element, Mapping)]
    return len(types) == len(value) == len(set(map(str, types))) and all(isinstance(t, str) for t in types)


def differences(before: Flat, after: Flat) -> tuple[Modified, ...]:
    """Gives what differs, sorted by attribute; None stands for absent."""
    return tuple(
        Modified(path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path) or isinstance(before.get(path), bool) != isinstance(after.get(path), bool)
    )
