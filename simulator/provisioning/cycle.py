"""One cycle: ping, what changed, decide, users and groups, references, watermark."""

from dataclasses import replace
from datetime import datetime

from simulator.provisioning import errors
from simulator.provisioning.changes import Affected, everything, since_watermark
from simulator.provisioning.decide import (
    NOT_ENTITLED,
    Decision,
    Intent,
    decide_group,
    decide_user,
    group_in_scope,
)
from simulator.provisioning.errors import JobStopped
from simulator.provisioning.export import export
from simulator.provisioning.faults import Gap
from simulator.provisioning.job import Job
from simulator.provisioning.mapping import matching_paths
from simulator.provisioning.references import export_managers, export_members
from simulator.provisioning.retry import QuarantineReason
from simulator.provisioning.run import Run, in_parallel
from simulator.provisioning.scope import assigned_users, is_security_group


async def run_cycle(run: Run) -> None:
    """Run a cycle; raise JobStopped (the job is in quarantine then, and the watermark
    has not moved).
    """
    try:
        await _cycle(run)
    except JobStopped as stopped:
        run.job.successive_failures += 1
        run.job.enter_quarantine(QuarantineReason.EXCEPTION, stopped.code, stopped.message, run.now())
        raise


async def _cycle(run: Run) -> None:
    job = run.job
    read_up_to = run.directory.sequence
    if job.settings.ping or job.quarantine:
        await test_connection(run)
    affected = (
        since_watermark(run.directory, job) if run.kind == "incremental" else everything(run.directory, job)
    )
    decisions = _stage(run, _decide(run, affected))
    await _export(run, [d for d in decisions if d.kind == "User"])
    await _export(run, [d for d in decisions if d.kind == "Group"])
    await _export_references(run, affected)
    _remember(run, read_up_to)
    _judge(run)


async def test_connection(run: Run) -> None:
    """Ask both endpoints for a user that cannot exist; raise JobStopped unless both
    answer 200 and empty.
    """
    settings = run.job.settings
    await run.client.ping("Users", matching_paths(settings.user_mapping)[0])
    await run.client.ping("Groups", matching_paths(settings.group_mapping)[0])


def is_silent(job: Job, now: datetime) -> bool:
    """Return whether the job is frozen or silent: it looks well, and does nothing."""
    if job.faults.find(Gap.FROZEN_JOB):
        return True
    silence = job.faults.find(Gap.SILENCE)
    if silence is None:
        return False
    silence.since = silence.since or now
    lasted_minutes = (now - silence.since).total_seconds() / 60
    if lasted_minutes < (silence.minutes or 24 * 60):
        return True
    job.faults.disarm(Gap.SILENCE)
    return False


# --- deciding ---


def _decide(run: Run, affected: Affected) -> list[Decision]:
    assigned = assigned_users(run.directory)
    users = [decide_user(run.directory, run.job, user_id, assigned) for user_id in affected.users]
    users = [_overlook(run, affected, decision) for decision in users]
    return users + [decide_group(run.directory, run.job, group_id) for group_id in affected.groups]


def _overlook(run: Run, affected: Affected, decision: Decision) -> Decision:
    """Skip, wrongly, a user who left an assigned group: the gap
    NotEffectivelyEntitled.
    """
    left = affected.left_groups.get(decision.source_id, [])
    struck = decision.release and left and decision.source_id in run.directory.users
    if not struck or not run.job.faults.fires(Gap.NOT_EFFECTIVELY_ENTITLED, decision.source_id, *left):
        return decision
    for group_id in left:
        affected.pairs.pop((group_id, decision.source_id), None)
    return replace(decision, intent=Intent.NOTHING, skip_reason=NOT_ENTITLED)


def _stage(run: Run, decisions: list[Decision]) -> list[Decision]:
    """Hold back disables and deletes above the accidental-deletion threshold; the rest
    goes on.
    """
    job, threshold = run.job, run.job.settings.accidental_deletion_threshold
    removals = [decision for decision in decisions if decision.takes_away]
    if threshold is None or job.force_deletes:
        return decisions
    held = {d.source_id for d in removals if len(removals) > threshold or d.source_id in job.staged}
    for decision in removals:
        if decision.source_id in held:
            _log_staged(run, decision)
    job.staged -= {d.source_id for d in decisions}
    job.staged |= held
    return [decision for decision in decisions if decision.source_id not in held]


def _log_staged(run: Run, decision: Decision) -> None:
    attempt = run.attempt(decision.kind, decision.source_id, decision.label)
    attempt.action = "stagedDelete"
    attempt.skip("TooManyDeletes", "More objects than the accidental-deletion threshold were to be removed.")
    run.log.write(attempt)
    run.counts["staged"] += 1


# --- exporting ---


async def _export(run: Run, decisions: list[Decision]) -> None:
    async def work(decision: Decision) -> None:
        await export(run, decision)

    await in_parallel(decisions, work, run.job.settings.parallelism)


async def _export_references(run: Run, affected: Affected) -> None:
    for source_id in run.newly_linked:
        if source_id in run.directory.users:
            affected.managers[source_id] = None
        elif group := run.directory.groups.get(source_id):
            affected.pairs |= {(source_id, member_id): None for member_id in group.member_ids}
    await export_members(run, affected.pairs)
    await export_managers(run, affected.managers)


# --- ending ---


def _remember(run: Run, read_up_to: int) -> None:
    job, directory = run.job, run.directory
    job.watermark = read_up_to
    job.known_members = {
        group_id: frozenset(group.member_ids)
        for group_id, group in directory.groups.items()
        if group_in_scope(directory, job, group_id)
        or (directory.is_assigned(group_id) and is_security_group(group.properties))
    }
    if job.force_deletes:
        job.staged.clear()
        job.force_deletes = False


def _judge(run: Run) -> None:
    """Put the job into quarantine or take it out, after what this cycle met."""
    job, now = run.job, run.now()
    references = sum(entry.related_id is not None for entry in job.escrows.values())
    failures = len(job.escrows) - references
    reason = job.settings.thresholds.exceeded(failures, references, len(job.links) + failures)
    if run.counts["staged"]:
        _quarantine(run, QuarantineReason.TOO_MANY_DELETES, f"{run.counts['staged']} removals were staged.")
    elif reason:
        _quarantine(run, reason, f"{failures} objects and {references} references failed.")
    elif _refused_throughout(run):
        job.enter_quarantine(
            QuarantineReason.EXCEPTION,
            errors.INSUFFICIENT_RIGHTS,
            "Every request was refused with HTTP 403.",
            now,
        )
    elif job.quarantine and job.quarantine.reason is not QuarantineReason.TOO_MANY_DELETES:
        job.leave_quarantine()
    job.successive_failures = 0


def _quarantine(run: Run, reason: QuarantineReason, message: str) -> None:
    run.job.enter_quarantine(reason, reason.value, message, run.now())


def _refused_throughout(run: Run) -> bool:
    counts = run.counts
    worked = sum(
        number for name, number in counts.items() if name not in {"failed", "refused_rights", "skipped"}
    )
    return counts["failed"] > 0 and counts["failed"] == counts["refused_rights"] and not worked
