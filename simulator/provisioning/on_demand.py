"""Provision on demand: one user, or one group with up to five members, now; answered as
JSON in texts.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from simulator.provisioning.cycle import test_connection
from simulator.provisioning.decide import Decision, Intent, decide_group, decide_user
from simulator.provisioning.errors import JobStopped, NotPossible
from simulator.provisioning.export import export
from simulator.provisioning.job import ObjectKind
from simulator.provisioning.log import TARGET_SYSTEM, TARGET_TYPES, Attempt, LoggedStep, timestamp
from simulator.provisioning.references import export_managers, export_members
from simulator.provisioning.run import Run
from simulator.provisioning.scope import assigned_users

MAX_MEMBERS = 5
# The answer still calls the directory by its old name, and spells everything with
# capitals (Graph samples).
_SOURCE_SYSTEM = "Azure Active Directory"
_RESULTS = {"success": "Success", "failure": "Failure", "skipped": "Skipped", "warning": "Success"}


async def provision(run: Run, object_id: str, member_ids: Sequence[str] = ()) -> Attempt:
    """Provision one object and log the attempt; raise NotPossible for more than five
    members.

    A failed connection test ends it as a failed attempt. Users who are disabled or
    deleted in Entra are not acted upon: the service cannot, which is a gap.
    """
    if len(member_ids) > MAX_MEMBERS:
        raise NotPossible("TooManyMembers", f"{len(member_ids)} members given; choose at most {MAX_MEMBERS}")
    is_group = object_id in run.directory.groups
    try:
        await test_connection(run)
        attempt = await (_group(run, object_id, member_ids) if is_group else _user(run, object_id))
    except JobStopped as stopped:
        attempt = run.attempt("Group" if is_group else "User", object_id, object_id)
        attempt.fail(stopped.code, stopped.message)
        run.log.write(attempt)
    return attempt


async def _user(run: Run, user_id: str) -> Attempt:
    user = run.directory.users.get(user_id)
    if user is None or not user.enabled:
        return _cannot_act(run, user_id, user.user_principal_name if user else user_id)
    decision = decide_user(run.directory, run.job, user_id, assigned_users(run.directory))
    attempt = await _carry_out(run, decision)
    if decision.desired and not decision.takes_away:
        await export_managers(run, [user_id])
    return attempt


async def _group(run: Run, group_id: str, member_ids: Sequence[str]) -> Attempt:
    attempt = await _carry_out(run, decide_group(run.directory, run.job, group_id))
    if attempt.status == "failure" or group_id not in run.job.links:
        return attempt
    assigned = assigned_users(run.directory)
    members = [member for member in member_ids if member in run.directory.groups[group_id].member_ids]
    for member in members:
        decision = decide_user(run.directory, run.job, member, assigned)
        if decision.intent is Intent.CREATE:
            await _carry_out(run, decision)
    await export_members(run, [(group_id, member) for member in members])
    sent = [m for m in members if m in run.job.links[group_id].member_ids]
    if sent and attempt.status == "skipped":
        attempt.status, attempt.code, attempt.action = "success", None, "update"
    return attempt


async def _carry_out(run: Run, decision: Decision) -> Attempt:
    attempt = await export(run, decision)
    if attempt is not None:
        return attempt
    attempt = run.attempt(decision.kind, decision.source_id, decision.label)
    _not_in_scope(attempt)
    attempt.skip("NotEffectivelyEntitled", "The object is not assigned to the application.")
    run.log.write(attempt)
    return attempt


def _cannot_act(run: Run, user_id: str, label: str) -> Attempt:
    attempt = run.attempt("User", user_id, label)
    if user_id in run.directory.users:
        attempt.step("EntryImport", "import", "success", f"Retrieved User '{label}'")
    else:
        attempt.step("EntryImport", "import", "skipped", f"User '{label}' is not in Microsoft Entra ID")
    _not_in_scope(attempt)
    attempt.skip("NotEffectivelyEntitled", "The user is disabled or deleted in Microsoft Entra ID.")
    run.log.write(attempt)
    return attempt


def _not_in_scope(attempt: Attempt) -> None:
    attempt.step(
        "EntrySynchronizationScoping",
        "scoping",
        "skipped",
        f"Determine if {attempt.kind} in scope by evaluating against each scoping filter",
        IsEffectivelyEntitledForProvisioning="False",
    )


# --- Graph's spelling ---


def read_request(body: Mapping[str, Any], rule_ids: Mapping[str, ObjectKind]) -> tuple[str, list[str]]:
    """Take a `provisionOnDemand` body apart: object id, and ids of chosen members.

    Raise NotPossible.
    """
    try:
        [parameters] = body["parameters"]
        [subject] = parameters["subjects"]
        kind = rule_ids[parameters["ruleId"]]
        object_id, type_name = subject["objectId"], subject["objectTypeName"]
        members = [member["objectId"] for member in (subject.get("links") or {}).get("members") or []]
    except (KeyError, TypeError, ValueError) as error:
        raise NotPossible(
            "BadRequest", f"provisionOnDemand needs one rule with one subject: {error!r}"
        ) from error
    if type_name != kind:
        raise NotPossible("BadRequest", f"the rule is for {kind} objects, the subject is a {type_name}")
    return str(object_id), members


def answer(attempt: Attempt) -> dict[str, str]:
    """Render an attempt as the `stringKeyStringValuePair` that `provisionOnDemand`
    gives.
    """
    details = {"errorCode": attempt.code, "errorMessage": attempt.reason} if attempt.code else None
    return {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.stringKeyStringValuePair",
        "key": json.dumps({"result": _RESULTS[attempt.status], "details": details}),
        "value": json.dumps(_value(attempt)),
    }


def _value(attempt: Attempt) -> dict[str, Any]:
    failed = attempt.status == "failure"
    return {
        "action": attempt.action[0].upper() + attempt.action[1:],
        "changeId": attempt.change_id,
        "startTime": timestamp(attempt.began),
        "endTime": timestamp(attempt.ended),
        "modifiedProperties": [
            {"displayName": m.name, "oldValue": m.old, "newValue": m.new} for m in attempt.modified
        ],
        "provisioningSteps": [_step(attempt, step) for step in attempt.steps],
        "reportableIdentifier": attempt.label,
        "statusInfo": {
            "status": _RESULTS[attempt.status],
            "errorCode": attempt.code if failed else None,
            "reason": attempt.reason if failed else None,
            "additionalDetails": None,
            "errorCategory": None,
            "recommendedAction": None,
        },
        "sourceIdentity": {"id": attempt.source_id, "type": attempt.kind},
        "sourceSystem": {"name": _SOURCE_SYSTEM},
        "targetIdentity": {"id": attempt.target_id or "", "type": TARGET_TYPES[attempt.kind]},
        "targetSystem": {"name": TARGET_SYSTEM},
    }


def _step(attempt: Attempt, step: LoggedStep) -> dict[str, Any]:
    return {
        "name": step.name,
        "type": step.type[0].upper() + step.type[1:],
        "status": _RESULTS[step.status],
        "description": step.description,
        "timestamp": timestamp(step.at or attempt.ended),
        "details": step.details,
    }
