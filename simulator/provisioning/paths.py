"""SCIM attribute paths as Entra writes them in attribute mappings, and what they point
at in a resource.

Four forms occur: `userName`, `name.givenName`, `emails[type eq "work"].value`, and an
extension URN followed by an attribute. Entra's mapping knows no others for a
non-gallery application.
"""

import re
from collections.abc import Mapping
from typing import Any

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MANAGER = f"{ENTERPRISE}:manager"

_FILTERED = re.compile(r'^(?P<attribute>\w+)\[type eq "(?P<type>[^"]+)"\]\.(?P<sub>\w+)$')
_EXTENSION = re.compile(r"^(?P<urn>urn:.+:\d+\.\d+:\w+):(?P<attribute>\w+)$")


def is_filtered(path: str) -> bool:
    """Return whether a path picks one element of a multi-valued attribute."""
    return "[" in path


def put(resource: dict[str, Any], path: str, value: Any) -> None:
    """Write a value into a resource, making the objects and elements that the path
    needs.
    """
    if match := _FILTERED.match(path):
        _element(resource, match["attribute"], match["type"])[match["sub"]] = value
    elif match := _EXTENSION.match(path):
        resource.setdefault(match["urn"], {})[match["attribute"]] = value
    elif "." in path:
        parent, _, child = path.partition(".")
        resource.setdefault(parent, {})[child] = value
    else:
        resource[path] = value


def get(resource: Mapping[str, Any], path: str) -> Any:
    """Read what a path points at; None where there is nothing."""
    if match := _FILTERED.match(path):
        wanted = match["type"]
        elements = [e for e in resource.get(match["attribute"]) or () if e.get("type") == wanted]
        return elements[0].get(match["sub"]) if elements else None
    if match := _EXTENSION.match(path):
        return (resource.get(match["urn"]) or {}).get(match["attribute"])
    if "." in path:
        parent, _, child = path.partition(".")
        return (resource.get(parent) or {}).get(child)
    return resource.get(path)


def _element(resource: dict[str, Any], attribute: str, kind: str) -> dict[str, Any]:
    elements: list[dict[str, Any]] = resource.setdefault(attribute, [])
    for element in elements:
        if element["type"] == kind:
            return element
    # Entra sends `primary` with every element; work mail and work phone are the primary
    # ones, no address is.
    primary = kind == "work" and attribute != "addresses"
    elements.append({"primary": primary, "type": kind})
    return elements[-1]
