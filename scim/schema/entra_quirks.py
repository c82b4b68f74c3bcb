"""What Entra sends that RFC 7644 does not say, one small function for each quirk.

Every docstring names the source. "Entra SCIM page" is Microsoft Learn, "Develop and
plan provisioning for a SCIM endpoint" (use-scim-to-provision-users-and-groups);
"compliance page" is "Known issues and resolutions with SCIM 2.0 protocol compliance";
"mapping page" is "Customize user provisioning attribute mappings"; "validator" is
Microsoft's SCIM Validator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from scim2_models import InvalidValueException

from scim.schema.definitions import ENTERPRISE_URN, Attribute

ADSCIM_GROUP_URN = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
"""Listed in `schemas` of Entra's group creation (Entra SCIM page, "Create Group");
means nothing to us, and is tolerated.
"""

_MALFORMED_ENTERPRISE = ENTERPRISE_URN.replace(":2.0:User", ":2.0User").lower()

_BARE_OPERAND = re.compile(r"(\b(?:eq|ne|co|sw|ew|gt|ge|lt|le)[ \t]+)([^\s\"()\[\]]+)", re.I | re.A)
_COMPARED_VALUES = re.compile(
    r'''"(?:[^"\\]|\\.)*"'''  # text stays as it is
    r"""|(?<![\w:.$-])([A-Za-z][\w:.$-]*)\[((?:[^\[\]"]|"(?:[^"\\]|\\.)*")*)\]"""
    r"""\s+(eq|ne|co|sw|ew|gt|ge|lt|le)\s+("(?:[^"\\]|\\.)*"|[^\s()\[\]"]+)""",
    re.I | re.A,
)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_JSON_LITERAL = re.compile(r"true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", re.I | re.A)


def operation_name(op: Any) -> str:
    """Read `Add`, `Replace`, `Remove` like their lower-case names (Entra SCIM page,
    "General": op is not case-sensitive).
    """
    name = op.lower() if isinstance(op, str) else ""
    if name not in ("add", "replace", "remove"):
        raise InvalidValueException(detail=f"'op' must be add, replace or remove, not {op!r}.")
    return name


def boolean_of(value: Any) -> bool | None:
    """Read `"True"` and `"False"` as booleans: `"path": "active", "value": "False"`
    (compliance page, "disable user").

    Returns None for what is no boolean.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return None


def is_cleared(value: Any) -> bool:
    """Whether a value asks for none: null, or the empty string (Logic App validator,
    SCIM_Null_Update).
    """
    return value is None or value == ""


def only_value(value: Any) -> Any:
    """Unpack the value of an attribute that has one.

    It may come in a list, and there as an object: `[{"$ref": null, "value": "Ada"}]`
    (older Entra SCIM page, "Update Group"). What holds no value stays as it came: only
    null itself clears.
    """
    inner = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(inner, Mapping) and "value" in inner and inner.keys() <= {"value", "$ref"}:
        inner = inner["value"]
    return value if is_cleared(inner) or isinstance(inner, list | Mapping) else inner


def reference_object(value: Any) -> Any:
    """Read a manager as one object: a bare id (validator), an array of one (older Entra
    SCIM page), or the object itself.
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else None
    return {"value": value} if isinstance(value, str) and value else value


def element_object(value: Any) -> Any:
    """Read one value of a multi-valued attribute as an object, a bare string being its
    `value` (Microsoft's SCIM collection).
    """
    return {"value": value} if isinstance(value, str) and value else value


def role_in_a_string(element: Mapping[str, Any]) -> Mapping[str, Any]:
    """Unpack a role sent as JSON inside a string: `{"value":
    "{\\"id\\":…,\\"value\\":\\"25\\",…}"}` (mapping page, roles).
    """
    packed = element.get("value")
    if not (isinstance(packed, str) and packed.startswith("{") and packed.endswith("}")):
        return element
    try:
        unpacked = orjson.loads(packed)
    except orjson.JSONDecodeError:
        return element
    return {**element, **unpacked}


def role_display_name(element: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read `displayName` of a role as its `display` (mapping page:
    AppRoleAssignmentsComplex sends displayName).
    """
    if "displayName" not in element or "display" in element:
        return element
    return {**element, "display": element["displayName"]}


def as_element(attribute: Attribute, value: Any) -> Any:
    """Bring one value of a complex attribute into the form RFC 7643 gives it."""
    value = element_object(value) if attribute.multi_valued else reference_object(value)
    if attribute.name == "roles" and isinstance(value, Mapping):
        return role_display_name(role_in_a_string(value))
    return value


def repaired_key(key: str) -> str:
    """Repair the extension URN that lacks a colon, `…:enterprise:2.0User` (captured
    creations, azure-docs issues).
    """
    return ENTERPRISE_URN if key.lower() == _MALFORMED_ENTERPRISE else key


def compared_values(expression: str) -> str:
    """Read `emails[type eq "work"] eq "x"` as a comparison of the `value` of those
    selected (Microsoft Learn, matching attributes; azure-docs issue 83855).
    """

    def inside(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        return f"{match[1]}[({match[2]}) and value {match[3]} {match[4]}]"

    return _COMPARED_VALUES.sub(inside, expression) if "]" in expression else expression


def quoted_operands(expression: str) -> str:
    """Quote the bare operands of a filter: `id eq 2f1e… and manager eq 90aa…` (Entra
    SCIM page of 2019-21, reference check).

    A JSON literal stays what it is; text inside quotes is not touched.
    """
    parts: list[str] = []
    end = 0
    for quoted in _QUOTED.finditer(expression):
        parts += [_quote_bare(expression[end : quoted.start()]), quoted[0]]
        end = quoted.end()
    return "".join([*parts, _quote_bare(expression[end:])])


def _quote_bare(text: str) -> str:
    def quote(match: re.Match[str]) -> str:
        operand = match[2]
        return match[0] if _JSON_LITERAL.fullmatch(operand) else f'{match[1]}"{operand}"'

    return _BARE_OPERAND.sub(quote, text)
