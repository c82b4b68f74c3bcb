"""What Entra asks of a SCIM server, as requests: its bodies and paths (Microsoft Learn, SCIM page)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from benchmarks.push.connection import Request

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def person(name: str) -> dict[str, Any]:
    """Gives a user as Entra's whole default mapping makes it, without what describes the message."""
    address = f"{name}@fabrikam.example"
    return {
        "externalId": name,
        "userName": address,
        "active": True,
        "displayName": f"{name.title()} Sei",
        "title": "Archivist",
        "preferredLanguage": "en-GB",
        "name": {"formatted": f"{name.title()} Sei", "familyName": "Sei", "givenName": name.title()},
        "emails": [{"primary": True, "type": "work", "value": address}],
        "addresses": [
            {
                "type": "work",
                "formatted": "Pier 4",
                "streetAddress": "4 Pier Road",
                "locality": "Leith",
                "region": "Lothian",
                "postalCode": "EH6 6AA",
                "country": "United Kingdom",
            }
        ],
        "phoneNumbers": [
            {"type": "work", "value": "+44 131 496 0001"},
            {"type": "mobile", "value": "+44 7700 900001"},
            {"type": "fax", "value": "+44 131 496 0002"},
        ],
        ENTERPRISE: {"employeeNumber": "70113", "department": "Records"},
    }


def create_user(name: str) -> Request:
    body = {"schemas": [USER, ENTERPRISE], **person(name), "meta": {"resourceType": "User"}}
    return Request("POST", "/Users", orjson.dumps(body))


def find_user(name: str) -> Request:
    return Request("GET", "/Users?filter=" + quote(f'userName eq "{name}@fabrikam.example"'))


def set_active(user_id: str, active: bool) -> Request:
    return _patch(f"/Users/{user_id}", {"op": "Replace", "path": "active", "value": active})


def create_group(name: str, member_ids: list[str]) -> Request:
    members = [{"value": member_id} for member_id in member_ids]
    body = {"schemas": [GROUP], "displayName": name, "externalId": name, "members": members}
    return Request("POST", "/Groups", orjson.dumps(body))


def add_member(group_id: str, member_id: str) -> Request:
    return _patch(f"/Groups/{group_id}", {"op": "Add", "path": "members", "value": [{"value": member_id}]})


def list_users(start_index: int, count: int) -> Request:
    return Request("GET", f"/Users?startIndex={start_index}&count={count}")


def _patch(path: str, operation: dict[str, Any]) -> Request:
    return Request("PATCH", path, orjson.dumps({"schemas": [PATCH], "Operations": [operation]}))
