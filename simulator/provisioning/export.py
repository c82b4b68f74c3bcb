"""Carrying out one decision: match, create, update, disable or delete an object, and
log it.
"""

from collections.abc import Mapping
from typing import Any

from simulator.provisioning import errors, paths
from simulator.provisioning.decide import Decision, Intent
from simulator.provisioning.dialect import Change
from simulator.provisioning.errors import TargetRefused
from simulator.provisioning.job import Link
from simulator.provisioning.log import Action, Attempt, ModifiedProperty
from simulator.provisioning.mapping import matching_paths
from simulator.provisioning.run import Run
from simulator.provisioning.wire import change_body, create_body, resource_type_of, send_patch

REDUNDANT = "RedundantExport"
REDUNDANT_TEXT = "The state of the {kind} in both the source and target systems already match."


async def export(run: Run, decision: Decision) -> Attempt | None:
    """Carry out a decision and log it; None if there is nothing to do and nothing to
    say.

    A refusal of this one object goes to escrow; what concerns the whole job is raised
    as JobStopped.
    """
    link = run.job.links.get(decision.source_id)
    if decision.intent is Intent.NOTHING and decision.skip_reason is None:
        _settle(decision, link)
        run.job.note_success(decision.source_id)
        return None
    attempt = _begin(run, decision)
    try:
        await _perform(run, decision, attempt)
    except TargetRefused as refused:
        attempt.fail(refused.code, refused.message)
        run.job.note_failure(decision.source_id, None, refused.code, refused.message, run.now())
        run.counts["failed"] += 1
        run.counts["refused_rights"] += refused.code == errors.INSUFFICIENT_RIGHTS
    else:
        _settle(decision, run.job.links.get(decision.source_id))
        run.job.note_success(decision.source_id)
    run.log.write(attempt)
    return attempt


def _begin(run: Run, decision: Decision) -> Attempt:
    attempt = run.attempt(decision.kind, decision.source_id, decision.label)
    kind, in_scope = decision.kind, bool(decision.desired) and not decision.release
    attempt.step(
        "EntryImport",
        "import",
        "success",
        f"Retrieved {kind} '{decision.label}' from Microsoft Entra ID",
        objectId=decision.source_id,
    )
    attempt.step(
        "EntrySynchronizationScoping",
        "scoping",
        "success" if in_scope else "skipped",
        f"Determine if {kind} in scope by evaluating against each scoping filter",
        IsEffectivelyEntitledForProvisioning=str(in_scope),
    )
    return attempt


def _settle(decision: Decision, link: Link | None) -> None:
    """Remember what the decision means for the link, once the target agreed."""
    if link is None:
        return
    if decision.intent is not Intent.NOTHING or decision.release:
        link.released = decision.release
    if decision.intent is not Intent.NOTHING or decision.seen_in_bin:
        link.saw_soft_delete = decision.seen_in_bin


async def _perform(run: Run, decision: Decision, attempt: Attempt) -> None:
    link = run.job.links.get(decision.source_id)
    if decision.intent is Intent.NOTHING:
        _skip(run, attempt, decision.skip_reason or REDUNDANT, "The object is not to be provisioned.")
    elif decision.intent is Intent.CREATE or link is None:
        await _match_or_create(run, decision, attempt)
    elif decision.intent is Intent.DELETE:
        await _delete(run, decision, link, attempt)
    else:
        await _update(run, decision, link, attempt, await _known(run, link))


# --- matching and creating ---


async def _match_or_create(run: Run, decision: Decision, attempt: Attempt) -> None:
    found = await _match(run, decision, attempt)
    if found is None:
        return
    if not found:
        await _create(run, decision, attempt)
        return
    holder = next((link for link in run.job.links.values() if link.target_id == found["id"]), None)
    if holder is not None and not (run.job.settings.shared_anchors and _is_gone(run, holder)):
        raise TargetRefused("DuplicateSourceEntries", f"{holder.source_id} is linked to that target already")
    link = _link(run, decision, found["id"])
    attempt.target_id = link.target_id
    await _update(run, decision, link, attempt, _values(decision.desired, found))


def _is_gone(run: Run, link: Link) -> bool:
    """Return whether the source of a link is deleted or out of scope."""
    alive = link.source_id in run.directory.users or link.source_id in run.directory.groups
    return link.released or not alive


async def _match(run: Run, decision: Decision, attempt: Attempt) -> dict[str, Any] | None:
    """Find the target by the matching attributes, one query each; {}: no match;
    None: skipped.
    """
    settings = run.job.settings
    mappings = settings.user_mapping if decision.kind == "User" else settings.group_mapping
    for path in matching_paths(mappings):
        value = decision.desired.get(path)
        if value is None:
            _skip(run, attempt, "ImportSkipped", f"The matching attribute {path} has no value.")
            return None
        found = await run.client.find(resource_type_of(decision.kind), path, value)
        if len(found) > 1:
            raise TargetRefused(errors.SEVERAL_MATCHES, f"{len(found)} objects have this {path}")
        if found:
            attempt.step("EntryImport", "matching", "success", f"Retrieved '{value}' from customappsso")
            return found[0]
    attempt.step("EntryImport", "matching", "success", f"{decision.kind} does not exist in customappsso")
    return {}


async def _create(run: Run, decision: Decision, attempt: Attempt) -> None:
    attempt.action = "create"
    if not run.job.settings.can_create:
        _skip(run, attempt, "EntrySynchronizationSkipped", "The Create action is off.")
        return
    manager_id = _manager_there(run, decision)
    manager = run.job.links[manager_id].target_id if manager_id else None
    body = create_body(run, decision.kind, decision.desired, manager)
    created = await run.client.create(resource_type_of(decision.kind), body)
    link = _link(run, decision, created["id"])
    link.exported = dict(decision.desired)
    link.manager_id, link.manager_target_id = manager_id, manager
    attempt.target_id = link.target_id
    attempt.modified = [ModifiedProperty(path, None, value) for path, value in decision.desired.items()]
    attempt.step("EntryExportAdd", "export", "success", f"{decision.kind} was created in customappsso")
    run.counts["created" if decision.kind == "User" else "groups_created"] += 1


def _manager_there(run: Run, decision: Decision) -> str | None:
    """Return the manager who can go out with the create: one the target has, outside
    the initial cycle.
    """
    user = run.directory.users.get(decision.source_id)
    if run.kind == "initial" or user is None or user.manager_id is None:
        return None
    link = run.job.links.get(user.manager_id)
    return user.manager_id if link and not link.released else None


def _link(run: Run, decision: Decision, target_id: str) -> Link:
    link = Link(decision.source_id, decision.kind, target_id)
    run.job.links[decision.source_id] = link
    run.newly_linked.add(decision.source_id)
    return link


# --- updating and deleting ---


async def _known(run: Run, link: Link) -> Mapping[str, str | None]:
    """Return what the target has: read now, or remembered.

    A restart always reads, and so finds drift there.
    """
    if not (run.job.settings.get_before_patch or run.kind == "initial"):
        return link.exported
    resource = await run.client.read(resource_type_of(link.kind), link.target_id)
    settings = run.job.settings
    mappings = settings.user_mapping if link.kind == "User" else settings.group_mapping
    return _values({mapping.target: "" for mapping in mappings}, resource)


def _values(wanted: Mapping[str, str], resource: Mapping[str, Any]) -> dict[str, str | None]:
    values = {path: paths.get(resource, path) for path in wanted}
    return {path: None if value is None else str(value) for path, value in values.items()}


async def _update(
    run: Run, decision: Decision, link: Link, attempt: Attempt, known: Mapping[str, str | None]
) -> None:
    changes = [Change(p, v, known.get(p)) for p, v in decision.desired.items() if known.get(p) != v]
    switched = next((change for change in changes if change.path == "active"), None)
    attempt.action = _update_action(switched)
    if not changes:
        link.exported |= decision.desired
        _skip(run, attempt, REDUNDANT, REDUNDANT_TEXT.format(kind=decision.kind.lower()))
        return
    if not run.job.settings.can_update:
        _skip(run, attempt, "EntrySynchronizationSkipped", "The Update action is off.")
        return
    await send_patch(run, decision.kind, link.target_id, change_body(run, changes))
    link.exported |= decision.desired
    attempt.modified = [ModifiedProperty(change.path, change.old, change.new) for change in changes]
    attempt.step("EntryExportUpdate", "export", "success", f"{decision.kind} was updated in customappsso")
    run.counts[_update_count(decision, switched)] += 1


def _update_action(switched: Change | None) -> Action:
    return "disable" if switched is not None and switched.new == "False" else "update"


def _update_count(decision: Decision, switched: Change | None) -> str:
    if decision.kind == "Group":
        return "groups_updated"
    if switched is None or switched.old is None:
        return "updated"
    return "disabled" if switched.new == "False" else "enabled"


async def _delete(run: Run, decision: Decision, link: Link, attempt: Attempt) -> None:
    attempt.action = "delete"
    if not run.job.settings.can_delete:
        _skip(run, attempt, "EntrySynchronizationSkipped", "The Delete action is off.")
        return
    await run.client.delete(resource_type_of(decision.kind), link.target_id)
    run.job.forget(decision.source_id)
    attempt.step("EntryExportDelete", "export", "success", f"{decision.kind} was deleted in customappsso")
    run.counts["deleted" if decision.kind == "User" else "groups_deleted"] += 1


def _skip(run: Run, attempt: Attempt, reason: str, description: str) -> None:
    attempt.skip(reason, description)
    run.counts["skipped"] += 1
