"""Request bodies as they leave the service: rendered, then changed by each oddity that
is armed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulator.provisioning import dialect as render
from simulator.provisioning.client import ResourceType
from simulator.provisioning.dialect import BOOLEANS, Change
from simulator.provisioning.faults import Gap
from simulator.provisioning.job import ObjectKind
from simulator.provisioning.mapping import group_body, user_body
from simulator.provisioning.paths import ENTERPRISE
from simulator.provisioning.run import Run

_LEGACY_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0User"
_LEGACY_NULLS = ("addresses", "phoneNumbers", "preferredLanguage", "title", "department", "manager")


def create_body(
    run: Run, kind: ObjectKind, values: Mapping[str, str], manager: str | None = None
) -> dict[str, Any]:
    """Render a create; `manager` is the target id of a manager that is already
    there."""
    if kind == "Group":
        return group_body(values)
    body = user_body(values)
    if manager:
        body.setdefault(ENTERPRISE, {})["manager"] = manager
    if run.job.faults.fires(Gap.LEGACY_CREATE):
        body = _legacy_user(body)
    if run.job.faults.fires(Gap.STRING_BOOLEANS):
        body |= {name: str(body[name]) for name in BOOLEANS if name in body}
    return body


def change_body(run: Run, changes: Sequence[Change]) -> dict[str, Any]:
    """Render attribute changes in the run's dialect."""
    patch = render.user_patch(run.dialect, changes)
    if run.job.faults.fires(Gap.STRING_BOOLEANS):
        _respell_booleans(patch, str)
    elif run.job.faults.fires(Gap.BOOLEAN_ACTIVE):
        _respell_booleans(patch, lambda value: value in {True, "True"})
    return patch


def manager_body(run: Run, manager: str, *, had_one: bool) -> dict[str, Any]:
    """Render a manager change; an empty `manager` clears it."""
    if manager and run.job.faults.fires(Gap.LEGACY_MANAGER):
        reference = {"$ref": f"{run.client.target.base_url}/Users/{manager}", "value": manager}
        operation = {"op": "Add", "path": "manager", "value": [reference]}
        return {"schemas": [render.PATCH_SCHEMA], "Operations": [operation]}
    return render.manager_patch(run.dialect, manager, had_one=had_one)


def members_body(run: Run, member_ids: Sequence[str], *, joining: bool) -> dict[str, Any]:
    """Render members joining or leaving a group."""
    if joining:
        return render.add_members(run.dialect, member_ids)
    return render.remove_members(run.dialect, member_ids, with_ref=run.job.settings.ref_in_remove)


async def send_patch(run: Run, kind: ObjectKind, target_id: str, body: Mapping[str, Any]) -> None:
    """Send a PATCH, or the same twice."""
    resource_type = resource_type_of(kind)
    await run.client.patch(resource_type, target_id, body)
    if run.job.faults.fires(Gap.DUPLICATE_PATCH):
        await run.client.patch(resource_type, target_id, body)


def resource_type_of(kind: ObjectKind) -> ResourceType:
    """Return the endpoint of a kind of object."""
    return "Users" if kind == "User" else "Groups"


def _legacy_user(body: dict[str, Any]) -> dict[str, Any]:
    nulls = {name: None for name in _LEGACY_NULLS if name not in body}
    schemas = [_LEGACY_ENTERPRISE if urn == ENTERPRISE else urn for urn in body["schemas"]]
    return {name: value for name, value in {**body, **nulls, "schemas": schemas}.items() if name != "roles"}


def _respell_booleans(patch: dict[str, Any], spell: Callable[[str | bool], str | bool]) -> None:
    for operation in patch["Operations"]:
        if operation.get("path") in BOOLEANS:
            operation["value"] = spell(operation["value"])
        elif "path" not in operation:
            merged = operation["value"]
            merged.update({name: spell(merged[name]) for name in BOOLEANS if name in merged})
