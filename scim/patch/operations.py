"""Read a PATCH body against a schema: operations, each with its location and parsed
value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs
from scim2_models import (
    InvalidPathException,
    InvalidSyntaxException,
    InvalidValueException,
    MutabilityException,
    NoTargetException,
    SCIMException,
)

from scim.limits import ScimLimits, setting_of
from scim.patch.value_filters import count_terms, named_values
from scim.patch.values import parse_removed, parse_value
from scim.schema.definitions import Shape
from scim.schema.entra_quirks import is_cleared, operation_name, repaired_key
from scim.schema.paths import Location, locate
from store.records import LogStatus, Step

IMPLIED_KEYS = frozenset({"schemas", "id", "meta"})
"""Keys of a path-less value or of a whole resource that the server sets, not the
client.
"""

_STANDARD = ScimLimits()


class Operation(Struct, frozen=True):
    op: str
    """`add`, `replace` or `remove`."""
    location: Location
    value: Any
    """Parsed for the location by `parse_value` or, of a remove, by `parse_removed`.

    It is shared by every attempt to apply the operation: never change it in place.
    """
    index: int
    """The position in `Operations`, from 0, that errors name."""


class Patch(Struct, frozen=True):
    """A PATCH body, read against a schema.

    A path-less operation has become one operation for each of its keys.
    """

    operations: tuple[Operation, ...]
    ignored: tuple[str, ...] = ()
    """Paths that no schema declares: ignored on write, named in the provisioning log.
    """
    dialect: str = "rfc"
    """`entra` where an op is capitalised.

    The tenant URL then lacks the flag aadOptscim062020, or the request came on demand.
    """


def read_patch(shape: Shape, body: Any, limits: ScimLimits = _STANDARD) -> Patch:
    """Read the body of a PATCH; keys and ops are matched without regard to case.

    Raises the scim2_models exception that RFC 7644 table 9 names for the mistake. Its
    detail begins with the operation: `Operations[2]: `.
    """
    if not isinstance(body, Mapping):
        raise InvalidSyntaxException(detail="A PATCH body must be a JSON object with 'Operations'.")
    listed = next((value for key, value in body.items() if key.lower() == "operations"), None)
    if not isinstance(listed, list):
        # Microsoft's SCIM Validator sends an empty list, which RFC 7644 does not know.
        raise InvalidSyntaxException(detail="'Operations' must be a list of operations.")
    if len(listed) > limits.max_patch_operations:
        raise _too_many(limits, "max_patch_operations", f"{len(listed)} operations")
    reader = _PatchReader(shape)
    for index, raw in enumerate(listed):
        try:
            reader.read(index, raw)
        except SCIMException as error:
            raise in_operation(index, error) from error
    _refuse_many_selectors(reader.operations, limits)
    return Patch(tuple(reader.operations), tuple(reader.ignored), reader.dialect)


def _refuse_many_selectors(operations: Sequence[Operation], limits: ScimLimits) -> None:
    """Refuse more filters than a PATCH may compare every value with.

    A list of ids costs nothing each: `members[value eq "…"]`.
    """
    selectors = [each.location.selector for each in operations if each.location.selector is not None]
    compared = [each for each in selectors if named_values(each) is None]
    if len(compared) > limits.max_patch_selectors:
        raise _too_many(limits, "max_patch_selectors", f"{len(compared)} filters in paths")
    terms = sum(map(count_terms, compared))
    if terms > 4 * limits.max_patch_selectors:
        raise _too_many(limits, "max_patch_selectors", f"{terms} comparisons in the filters of paths")


def _too_many(limits: ScimLimits, limit: str, found: str) -> SCIMException:
    most = f"{found} in one PATCH, and this server takes {getattr(limits, limit)}"
    return InvalidValueException(
        detail=f"{most}: send several requests, or have its operator raise {setting_of(limit)}."
    )


def in_operation(index: int, error: SCIMException) -> SCIMException:
    """Return the error with the operation it is about at the start of its detail."""
    return type(error)(detail=f"Operations[{index}]: {error.detail}")


class _PatchReader:
    """Collects what the operations of one PATCH say, one `read` for each of them."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.operations: list[Operation] = []
        self.ignored: list[str] = []
        self.dialect = "rfc"

    def read(self, index: int, raw: Any) -> None:
        """Read one of the `Operations`; raises the scim2_models exception for its
        mistake.
        """
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
            self._locate(index, op, repaired_key(path), value)
        else:
            self._spread(index, op, None, value)
        if entry["op"] != op:
            self.dialect = "entra"

    def _locate(self, index: int, op: str, path: str, raw: Any, *, in_object: bool = False) -> None:
        location = locate(self.shape, path)
        if location is None:
            self.ignored.append(path)
            return
        if is_never_kept(location):
            return
        attribute = location.attribute
        if attribute is None and op != "remove" and not is_cleared(raw):
            self._spread(index, op, location.extension.urn if location.extension else None, raw)
            return
        if attribute is None:
            _refuse_whole_resource(location)
        else:
            if in_object and _read_only(location):
                return  # A resource that was read and sent back (RFC 7644 §3.5.1 on PUT).
            _refuse_read_only(location, path)
            refuse_selector_of_one(location)
        if op == "remove":
            _refuse_required(location)
            value = parse_removed(location, raw)
        else:
            value = parse_value(location, raw, "add" if op == "add" else "replace")
        self.operations.append(Operation(op, location, value, index))

    def _spread(self, index: int, op: str, urn: str | None, raw: Any) -> None:
        """Make one operation of each key of an object: names, dotted names and URNs are
        paths.

        With the flag aadOptscim062020 Entra merges its changes into one path-less
        replace (compliance page).
        """
        if not isinstance(raw, Mapping):
            raise InvalidValueException(detail=f"The operation {op} needs an object as 'value', or a 'path'.")
        for key, item in raw.items():
            if urn is None and key.lower() in IMPLIED_KEYS:
                continue
            path = repaired_key(key) if urn is None else f"{urn}:{key}"
            self._locate(index, op, path, item, in_object=True)


def refuse_ambiguous(entry: Mapping[str, Any]) -> None:
    """Raise scim2_models.InvalidSyntaxException where two keys differ only in case.

    They name one attribute (RFC 7643 §2.1).
    """
    if len({key.lower() for key in entry}) != len(entry):
        raise InvalidSyntaxException(detail="The body gives one attribute twice, in upper and lower case.")


def refuse_selector_of_one(location: Location) -> None:
    """Raise scim2_models.InvalidPathException for a filter on a single-valued
    attribute.
    """
    attribute = location.attribute
    if location.selector is None or attribute is None or attribute.is_open:
        return
    if not attribute.multi_valued:
        raise InvalidPathException(
            detail=f"'{attribute.name}' has one value: a path into it cannot hold a filter."
        )


def is_never_kept(location: Location) -> bool:
    """Whether an attribute is accepted and not stored, such as a password.

    Users sign in through Entra.
    """
    return location.attribute is not None and location.attribute.returned == "never"


def _read_only(location: Location) -> bool:
    parts = (location.attribute, location.sub)
    return any(each is not None and each.mutability == "readOnly" for each in parts)


def _refuse_read_only(location: Location, path: str) -> None:
    if _read_only(location):
        raise MutabilityException(detail=f"'{path[:200]}' is read-only.")


def _refuse_whole_resource(location: Location) -> None:
    if location.extension is None:
        raise NoTargetException(detail="The path names the whole resource: to remove that is a DELETE.")


def _refuse_required(location: Location) -> None:
    attribute = location.attribute
    if attribute and attribute.required and location.sub is None and location.selector is None:
        raise MutabilityException(detail=f"'{attribute.name}' is required and cannot be removed.")


_DIALECTS = {
    "entra": "Entra's default dialect: capitalised operations",
    "rfc": "operations as RFC 7644 has them (Entra: with the flag aadOptscim062020)",
}


def dialect_step(patch: Patch) -> Step:
    """Return the step of the provisioning log that names the dialect of a PATCH."""
    return Step("read", LogStatus.SUCCESS, _DIALECTS[patch.dialect], {"dialect": patch.dialect})


def ignored_steps(paths: Sequence[str]) -> tuple[Step, ...]:
    """Return the step that names ignored paths, so that an admin finds the wrong
    mapping.
    """
    if not paths:
        return ()
    named = [path[:200] for path in paths[:20]]
    detail = (
        "No schema declares "
        + ", ".join(named)
        + ": ignored. Remove it from the mapping in Entra, or declare it."
    )
    return (Step("read", LogStatus.WARNING, detail, {"ignored": named}),)


def too_many_comparisons(most: int) -> InvalidValueException:
    """Return the refusal of operations that go through lists too often."""
    return InvalidValueException(
        detail=f"These operations compare values more than {most} times: send fewer at once, or have the operator "
        f"of Leaver raise {setting_of('max_patch_comparisons')}."
    )


def joined_additions(operations: Sequence[Operation]) -> Iterator[Operation]:
    """Yield the operations, those that add to one list after another as one.

    So a list is gone through once and not once for each of them. The result is the
    same: at most one of what is joined is primary.
    """
    run: list[Operation] = []
    primary = 0
    for operation in operations:
        more = _count_primary(operation)
        if run and not (_are_alike(run[0], operation) and primary + more <= 1):
            yield _joined(run)
            run, primary = [], 0
        run.append(operation)
        primary += more
    if run:
        yield _joined(run)


def _joined(run: Sequence[Operation]) -> Operation:
    if len(run) == 1:
        return run[0]
    return structs.replace(run[0], value=[value for operation in run for value in operation.value])


def _are_alike(one: Operation, other: Operation) -> bool:
    """Whether two operations add to the same list."""
    location = one.location
    is_list = location.attribute is not None and location.attribute.multi_valued
    is_whole = location.sub is None and location.selector is None
    adds = all(each.op == "add" and isinstance(each.value, list) for each in (one, other))
    return is_list and is_whole and adds and location == other.location


def _count_primary(operation: Operation) -> int:
    elements = operation.value if isinstance(operation.value, list) else ()
    return sum(isinstance(each, dict) and each.get("primary") is True for each in elements)
