"""A company on disk, so that a simulator can be stopped and started again: one JSON
document.

The directory and the app registration are kept. The provisioning job, armed faults and
tokens begin anew.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.serialization import Encoding

from simulator.clock import Clock
from simulator.directory import Directory
from simulator.objects import Assignment, ChangeEvent, Deleted, DirGroup, DirObject, DirUser
from simulator.registration import FederatedCredential, Registration

FORMAT = 1

_PLAIN = (
    "seed",
    "domain",
    "entra_tenant_id",
    "app_id",
    "client_id",
    "client_secret",
    "service_principal_id",
    "graph_service_principal_id",
    "app_display_name",
    "app_role_id",
    "purged_users",
    "sequence",
    "version",
    "ordinal",
)
"""Attributes of the directory that are JSON as they are."""


def save_state(path: Path, directory: Directory, registration: Registration) -> None:
    """Write everything; a crash while writing leaves the old file."""
    document = {
        "format": FORMAT,
        "directory": _dump(directory),
        "registration": _dump_registration(registration),
    }
    beside = path.with_name(path.name + ".new")
    beside.write_bytes(orjson.dumps(document))
    beside.replace(path)


def load_state(path: Path) -> tuple[Directory, Registration]:
    """Read a company back; raise ValueError for a file of another kind."""
    try:
        document = orjson.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise ValueError("another format")
        return _load(document["directory"]), _load_registration(document["registration"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is no state of this simulator ({error}); delete it or name another file"
        ) from None


def _dump(directory: Directory) -> dict[str, Any]:
    return {
        **{name: getattr(directory, name) for name in _PLAIN},
        "clock_offset_s": directory.clock.offset_s,
        "random": directory.random.getstate(),
        "users": [asdict(user) for user in directory.users.values()],
        "groups": [asdict(group) for group in directory.groups.values()],
        "others": [asdict(other) for other in directory.others.values()],
        "deleted_users": [asdict(deleted) for deleted in directory.deleted_users.values()],
        "deleted_groups": [asdict(deleted) for deleted in directory.deleted_groups.values()],
        "assignments": [asdict(a) for held in directory.assignments.values() for a in held],
        "events": [asdict(event) for event in directory.events],
    }


def _load(saved: Mapping[str, Any]) -> Directory:
    directory = Directory(saved["seed"])
    for name in _PLAIN:
        setattr(directory, name, saved[name])
    directory.clock = Clock(saved["clock_offset_s"])
    kind, numbers, gauss = saved["random"]
    directory.random.setstate((kind, tuple(numbers), gauss))
    directory.users = {each["id"]: DirUser(**each) for each in saved["users"]}
    directory.groups = {each["id"]: DirGroup(**each) for each in saved["groups"]}
    directory.others = {each["id"]: DirObject(**each) for each in saved.get("others", ())}
    directory.deleted_users = {
        each["item"]["id"]: Deleted(DirUser(**each["item"]), _moment(each["deleted_at"]))
        for each in saved["deleted_users"]
    }
    directory.deleted_groups = {
        each["item"]["id"]: Deleted(DirGroup(**each["item"]), _moment(each["deleted_at"]))
        for each in saved["deleted_groups"]
    }
    for each in saved["assignments"]:
        assignment = Assignment(**{**each, "created": _moment(each["created"])})
        directory.assignments.setdefault(assignment.principal_id, []).append(assignment)
    directory.events = [
        ChangeEvent(**{**each, "at": _moment(each["at"]), "properties": tuple(each["properties"])})
        for each in saved["events"]
    ]
    directory.reindex()
    return directory


def _dump_registration(registration: Registration) -> dict[str, Any]:
    certificates = {c.public_bytes(Encoding.PEM).decode() for c in registration.certificates.values()}
    return {
        "client_id": registration.client_id,
        "secrets": registration.secrets,
        "roles": sorted(registration.roles),
        "certificates": sorted(certificates),
        "federated": [asdict(trusted) for trusted in registration.federated],
        "redirect_uris": sorted(registration.redirect_uris),
        "logout_url": registration.logout_url,
    }


def _load_registration(saved: Mapping[str, Any]) -> Registration:
    secrets = {secret: None if at is None else _moment(at) for secret, at in saved["secrets"].items()}
    registration = Registration(saved["client_id"], secrets, frozenset(saved["roles"]))
    for pem in saved["certificates"]:
        registration.add_certificate(pem)
    registration.federated = [FederatedCredential(**trusted) for trusted in saved.get("federated", ())]
    registration.redirect_uris = set(saved.get("redirect_uris", ()))
    registration.logout_url = saved.get("logout_url")
    return registration


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
