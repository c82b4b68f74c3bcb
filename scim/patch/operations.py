"""Reading bodies against a schema: a PATCH as located operations, a whole resource as a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scim2_models import (
    InvalidPathException,
    InvalidSyntaxException,
    InvalidValueException,
    MutabilityException,
    NoTargetException,
)

from scim.schema.definitions import Shape
from scim.schema.entra_quirks import is_cleared, operation_name, repaired_key
from scim.schema.paths import Location, locate
from store.records import LogStatus, Step

IMPLIED_KEYS = frozenset({"schemas", "id", "meta"})
"""Keys of a path-less value or of a whole resource that describe it: ours to say, never the client's."""


@dataclass(frozen=True, slots=True)
class Operation:
    op: str
    """`add`, `replace` or `remove`."""
    location: Location
    value: Any = None


@dataclass(frozen=True, slots=True)
class Patch:
    """A PATCH body, read against a schema: a path-less operation has become one operation for each of its
    keys."""

    operations: tuple[Operation, ...]
    ignored: tuple[str, ...] = ()
    """Paths no schema declares: ignored on write, named in the provisioning log."""
    dialect: str = "rfc"
    """`entra` where an op is capitalised: the tenant URL lacks the flag aadOptscim062020, or it came on
    demand."""


def read_patch(shape: Shape, body: Any, max_operations: int) -> Patch:
    """Read the body of a PATCH; keys are matched whatever their case, an op Entra capitalises too.

    Raises the scim2_models exception that RFC 7644 table 9 names for the mistake.
    """
    if not isinstance(body, Mapping):
        raise InvalidSyntaxException(detail="A PATCH body must be a JSON object with 'Operations'.")
    listed = next((value for key, value in body.items() if key.lower() == "operations"), None)
    if not isinstance(listed, list) or not listed:
        raise InvalidSyntaxException(detail="'Operations' must be a list of one or more operations.")
    if len(listed) > max_operations:
        found = f"{len(listed)} operations in one PATCH, and this server takes {max_operations}"
        raise InvalidValueException(detail=f"{found}: send several requests.")
    operations: list[Operation] = []
    ignored: list[str] = []
    dialects = set()
    for raw in listed:
        dialects.add(_read_operation(shape, raw, operations, ignored))
    return Patch(tuple(operations), tuple(ignored), "entra" if "entra" in dialects else "rfc")


def _read_operation(shape: Shape, raw: Any, operations: list[Operation], ignored: list[str]) -> str:
    if not isinstance(raw, Mapping):
        raise InvalidSyntaxException(detail="Each of the 'Operations' must be an object.")
    refuse_ambiguous(raw)
    entry = {key.lower(): value for key, value in raw.items()}
    op, path = operation_name(entry.get("op")), entry.get("path")
    if path is not None and not isinstance(path, str):
        raise InvalidPathException(detail="'path' must be a string.")
    if op == "remove" and not path:
        raise NoTargetException(detail="A remove needs a 'path' that says what to remove.")
    if op != "remove" and "value" not in entry:
        raise InvalidValueException(detail=f"The operation {op} needs a 'value'.")
    value = entry.get("value")
    if path:
        _locate_operation(shape, op, repaired_key(path), value, operations, ignored)
    else:
        _spread(shape, op, None, value, operations, ignored)
    return "rfc" if entry["op"] == op else "entra"


def refuse_ambiguous(entry: Mapping[str, Any]) -> None:
    """Raise scim2_models.InvalidSyntaxException where two keys are one name in different case (RFC 7643 §2.1)."""
    if len({key.lower() for key in entry}) != len(entry):
        raise InvalidSyntaxException(detail="The body gives one attribute twice, in upper and lower case.")


def _locate_operation(
    shape: Shape, op: str, path: str, value: Any, operations: list[Operation], ignored: list[str]
) -> None:
    location = locate(shape, path)
    if location is None:
        ignored.append(path)
    elif is_never_kept(location):
        return
    elif location.attribute is None and (op != "remove" and not is_cleared(value)):
        _spread(shape, op, location.extension.urn if location.extension else None, value, operations, ignored)
    else:
        _refuse_read_only(location, path)
        operations.append(Operation(op, location, value))


def _spread(
    shape: Shape, op: str, urn: str | None, value: Any, operations: list[Operation], ignored: list[str]
) -> None:
    """Make one operation of each key of an object: names, dotted names and full URNs are all paths.

    With the flag aadOptscim062020 Entra merges its changes into one path-less replace (compliance page).
    """
    if not isinstance(value, Mapping):
        raise InvalidValueException(detail=f"The operation {op} needs an object as 'value', or a 'path'.")
    for key, item in value.items():
        if urn is None and key.lower() in IMPLIED_KEYS:
            continue
        path = repaired_key(key) if urn is None else f"{urn}:{key}"
        _locate_operation(shape, op, path, item, operations, ignored)


def is_never_kept(location: Location) -> bool:
    """Whether an attribute is accepted and forgotten: a password, since people sign in through Entra."""
    return location.attribute is not None and location.attribute.returned == "never"


def _refuse_read_only(location: Location, path: str) -> None:
    for attribute in (location.attribute, location.sub):
        if attribute and attribute.mutability == "readOnly":
            raise MutabilityException(detail=f"'{path}' is read-only.")


# What the provisioning log is told about how a request was read.

_DIALECTS = {
    "entra": "Entra's default dialect: capitalised operations",
    "rfc": "operations as RFC 7644 has them (Entra: with the flag aadOptscim062020)",
}


def dialect_step(patch: Patch) -> Step:
    return Step("read", LogStatus.SUCCESS, _DIALECTS[patch.dialect], {"dialect": patch.dialect})


def ignored_steps(paths: Sequence[str]) -> tuple[Step, ...]:
    """Name what was ignored, so that an admin who mapped it finds out why it does not arrive."""
    if not paths:
        return ()
    named = [path[:200] for path in paths[:20]]
    detail = (
        "No schema declares "
        + ", ".join(named)
        + ": ignored. Remove it from the mapping in Entra, or declare it."
    )
    return (Step("read", LogStatus.WARNING, detail, {"ignored": named}),)
