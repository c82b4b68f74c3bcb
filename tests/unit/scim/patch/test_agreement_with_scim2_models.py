"""Our PATCH engine and scim2-models', side by side: wherever RFC 7644 speaks, both come to the same resource.

Left out is what we read differently on purpose, for Entra: empty strings, strings for booleans, bare
references, `active` without a value, values of which only the label is left, and a value that is there twice.
"""

from __future__ import annotations

from typing import Any

from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scim2_models import EnterpriseUser, PatchOp, SCIMException, ScimPolicy, User

from scim.patch.apply import apply, read_resource
from scim.patch.operations import read_patch
from scim.schema.definitions import ENTERPRISE_URN, user_shape
from tests.builders.examples import examples

POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
)
REPEATED = object()
USER_URN = "urn:ietf:params:scim:schemas:core:2.0:User"

texts = st.sampled_from(["a", "A", "b", "work", "home", "ß"])
types = st.sampled_from(["work", "home", "other"])
roles = st.fixed_dictionaries(
    {"value": texts}, optional={"type": types, "display": texts, "primary": st.booleans()}
)
phones = st.fixed_dictionaries({"value": texts, "type": types}, optional={"primary": st.booleans()})
simple = st.tuples(
    st.sampled_from(
        ["title", "displayName", "nickName", f"{ENTERPRISE_URN}:department", f"{USER_URN}:locale"]
    ),
    texts,
)
parts = st.tuples(st.sampled_from(["name.givenName", "name.familyName", "NAME.formatted"]), texts)
whole = st.one_of(
    st.tuples(
        st.just("name"), st.dictionaries(st.sampled_from(["givenName", "familyName"]), texts, min_size=1)
    ),
    st.tuples(st.just("roles"), st.lists(roles, min_size=1, max_size=3)),
    st.tuples(st.just("phoneNumbers"), st.lists(phones, min_size=1, max_size=2)),
    st.tuples(
        st.just(ENTERPRISE_URN),
        st.dictionaries(st.sampled_from(["department", "division"]), texts, min_size=1),
    ),
)
filters = st.one_of(
    st.builds(lambda kind: f'type eq "{kind}"', types),
    st.builds(lambda value: f'value eq "{value}"', texts),
    st.builds(lambda value, kind: f'value eq "{value}" and type eq "{kind}"', texts, types),
)
selected = st.one_of(
    st.tuples(st.builds(lambda inner: f"phoneNumbers[{inner}].display", filters), texts),
    st.tuples(st.builds(lambda inner: f"roles[{inner}].value", filters), texts),
    st.tuples(st.builds(lambda inner: f"roles[{inner}].primary", filters), st.booleans()),
    st.tuples(st.builds(lambda inner: f"roles[{inner}]", filters), roles),
)
writes = st.one_of(simple, parts, whole, selected)
with_path = st.builds(
    lambda op, write: {"op": op, "path": write[0], "value": write[1]},
    st.sampled_from(["add", "replace"]),
    writes,
)
without_path = st.builds(
    lambda op, values: {"op": op, "value": dict(values)},
    st.sampled_from(["add", "replace"]),
    st.lists(st.one_of(simple, parts, whole), min_size=1, max_size=3, unique_by=lambda each: each[0].lower()),
)
removals = st.builds(
    lambda path: {"op": "remove", "path": path},
    st.one_of(
        st.sampled_from(
            ["title", "name", "name.givenName", "roles", "roles.display", ENTERPRISE_URN, "userName"]
        ),
        st.builds(lambda inner: f"roles[{inner}]", filters),
        st.builds(lambda inner: f"phoneNumbers[{inner}].display", filters),
    ),
)
clears = st.builds(
    lambda path: {"op": "replace", "path": path, "value": None},
    st.sampled_from(["title", "name", "name.familyName", "roles", f"{ENTERPRISE_URN}:department"]),
)
listed = st.builds(
    lambda each: {"op": "remove", "path": "roles", "value": [{"value": value} for value in each]},
    st.lists(texts, min_size=1, max_size=2),
)
operations = st.lists(st.one_of(with_path, without_path, removals, clears, listed), min_size=1, max_size=4)
starts = st.builds(
    lambda **given: {"userName": "ada", **{name: value for name, value in given.items() if value}},
    title=st.one_of(st.none(), texts),
    roles=st.lists(roles, max_size=3),
    phoneNumbers=st.lists(phones, max_size=2),
    name=st.dictionaries(st.sampled_from(["givenName", "familyName"]), texts),
)


@settings(max_examples=examples(600), deadline=None)
@given(starts, operations)
@example(  # the same by one operation
    {"userName": "ada"},
    [
        {
            "op": "add",
            "path": "roles",
            "value": [{"value": "a", "primary": True}, {"value": "A", "primary": True}],
        }
    ],
)
@example(  # two that are the same are one here, and two that would both be primary there
    {"userName": "ada", "roles": [{"value": "a", "type": "work"}, {"value": "a", "type": "work"}]},
    [{"op": "add", "path": 'roles[type eq "work"].primary', "value": True}],
)
@example(  # of two that are to be primary one is already: the other becomes it
    {
        "userName": "ada",
        "roles": [{"value": "a", "type": "work"}, {"value": "b", "type": "work", "primary": True}],
    },
    [{"op": "add", "path": 'roles[type eq "work"].primary', "value": True}],
)
@example(  # of two that are added as primary one is there as it was sent: the other becomes it
    {"userName": "ada", "roles": [{"value": "a", "primary": True}]},
    [
        {
            "op": "add",
            "path": "roles",
            "value": [{"value": "a", "primary": True}, {"value": "b", "primary": True}],
        }
    ],
)
def test_both_engines_come_to_the_same_resource(start: dict[str, Any], asked: list[dict[str, Any]]) -> None:
    """RFC 7644 §3.5.2 as a whole: same result, or both refuse."""
    ours, theirs = _ours(start, asked), _theirs(start, asked)
    event("repeated" if theirs is REPEATED else "refused" if theirs is None else "applied")
    assert theirs is REPEATED or ours == theirs


def _ours(start: dict[str, Any], asked: list[dict[str, Any]]) -> Any:
    try:
        document, _ = read_resource(user_shape(), start)
        patch = read_patch(user_shape(), {"Operations": asked})
        return _comparable(apply(user_shape(), {**document, "active": True}, patch.operations))
    except SCIMException:
        return None


def _theirs(start: dict[str, Any], asked: list[dict[str, Any]]) -> Any:
    model = User[EnterpriseUser]
    schemas = {"schemas": [USER_URN, ENTERPRISE_URN]}
    repeated = False
    try:
        user = model.model_validate({**schemas, **start, "active": True}, scim_policy=POLICY)
        if any(
            sum(each.get("primary") is True for each in start.get(name, ())) > 1
            for name in ("roles", "phoneNumbers")
        ):
            return None
        repeated = _repeats(user)
        for one in asked:
            PatchOp[model].model_validate({"Operations": [one]}, scim_policy=POLICY).patch(
                user, scim_policy=POLICY
            )
            repeated = repeated or _repeats(user) or (one["op"] == "remove" and _has_empty_elements(user))
    except (SCIMException, ValidationError):
        # Of two that are the same only one can be primary.
        return REPEATED if repeated or any(map(_names_twice, asked)) else None
    if repeated:
        return REPEATED
    return _comparable(
        {name: value for name, value in user.model_dump().items() if name not in ("schemas", "meta")}
    )


def _repeats(user: Any) -> bool:
    """Return whether a value is there twice, where ours merges (tests of `scim.patch.elements`)."""
    lists = (user.roles or (), user.phone_numbers or ())
    return any(len({str(each.value).casefold() for each in found}) < len(found) for found in lists)


def _names_twice(operation: dict[str, Any]) -> bool:
    """Return whether an operation holds a value twice."""
    value = operation.get("value")
    lists = value.values() if isinstance(value, dict) else (value,)
    return any(
        len({str(each.get("value")).casefold() for each in found if isinstance(each, dict)}) < len(found)
        for found in lists
        if isinstance(found, list)
    )


def _has_empty_elements(user: Any) -> bool:
    """Return whether an element lost its value, or has none: ours is not left behind (issue 10, B)."""
    return any(each.value is None for each in (*(user.roles or ()), *(user.phone_numbers or ())))


def _comparable(value: Any) -> Any:
    """Bring a resource into a form without empty parts, in which the order of values does not count."""
    if isinstance(value, dict):
        kept = {name: _comparable(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in (None, {}, [])}
    if isinstance(value, list):
        return sorted((each for each in map(_comparable, value) if each), key=_sort_key)
    return value


def _sort_key(value: Any) -> str:
    return repr(sorted(value.items()) if isinstance(value, dict) else value)
