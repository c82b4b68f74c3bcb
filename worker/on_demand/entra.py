"""Ask Entra's provisioning service to do the same after Leaver's own work
(`--ask-entra`).

The result comes back as a push, like any other. Nothing here changes access, so no
lease is held: a group of many members takes minutes at the pace Graph allows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import structlog
from msgspec import structs

from store.logs import provisioning_log
from store.logs.journal import LogSubject
from store.records import (
    Action,
    Cause,
    Connection,
    GraphId,
    LogStatus,
    Origin,
    Policy,
    Reason,
    Step,
    SubjectType,
    UserId,
)
from store.sync.cycles import Progress
from worker.errors import Yielded, as_worker_error
from worker.graph.provisioning.models import OnDemandAnswer
from worker.graph.provisioning.on_demand import (
    MOST_MEMBERS,
    CallPace,
    OnDemandRequest,
    ProvisioningService,
    ask,
    find_service,
    pace_of,
)
from worker.on_demand import entra_report as words
from worker.on_demand.match_steps import BEYOND_ENTRA
from worker.on_demand.report import EntraReport, EntraResult, OnDemandReport, OnDemandResult
from worker.on_demand.subject import ResolvedSubject
from worker.progress import Watch
from worker.reconcile.entitlement import entitlement_of
from worker.reconcile.plan import Change
from worker.services import WorkerServices

if TYPE_CHECKING:
    from worker.graph.http.client import GraphClient

ENTRA = "entra"
"""The phase of the progress."""
ACTOR = "on demand"
MOST_CALLS = 60
"""The most calls for one group: two minutes at Graph's pace.

Further members come with Entra's next cycle.
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class EntraSubject:
    """What asking Entra needs of a subject once Leaver's own work is done."""

    type: SubjectType
    graph_id: GraphId | None
    service_principal_id: str
    members: tuple[GraphId, ...] = ()
    """The entitled members of a group, those first that Leaver just changed."""
    hindrance: str | None = None
    """Why Entra's trigger cannot act on the subject, so that it is not asked; else
    None.
    """


def subject_for_entra(resolved: ResolvedSubject, policy: Policy, changes: Iterable[Change]) -> EntraSubject:
    """Return what asking Entra takes. Pure."""
    changes = list(changes)
    entitlement = entitlement_of(resolved.snapshot, policy)
    subject = EntraSubject(resolved.type, resolved.graph_id, resolved.snapshot.service_principal_id)
    if resolved.graph_id is None:
        return replace(subject, hindrance=_BEYOND)
    if resolved.type is SubjectType.GROUP:
        people = entitlement.members.get(resolved.graph_id, frozenset()) & entitlement.entitled
        changed = {person.graph_id for change in changes if (person := change.person)}
        ordered = sorted(people, key=lambda person: (person not in changed, person))
        return replace(subject, members=tuple(ordered))
    if entitlement.reason(resolved.graph_id) in BEYOND_ENTRA:
        return replace(subject, hindrance=_BEYOND)
    if any(_is_restored(resolved, change) for change in changes):
        return replace(subject, hindrance=_RESTORED)
    return subject


# entra-scim-client, provision on demand.
_BEYOND = "Its trigger cannot act on people who are disabled or deleted in Entra; Leaver's own work is all there is."
_RESTORED = (
    "Its trigger does not support people who were restored and may make a second account of them; its next cycle"
    " takes them up by itself."
)


def _is_restored(resolved: ResolvedSubject, change: Change) -> bool:
    row = resolved.state.users.get(UserId(change.subject.local_id or ""))
    return (
        change.action in (Action.ENABLE, Action.RESTORE)
        and row is not None
        and row.deprovision_reason == Reason.SOFT_DELETED
    )


@dataclass(slots=True)
class Asking:
    """One round of questions about one connection: the job is looked up once."""

    services: WorkerServices
    connection: Connection
    halt: asyncio.Event
    watch: Watch
    found: dict[str, ProvisioningService]

    @property
    def pace(self) -> CallPace:
        return pace_of(self.connection.graph_url, self.connection.entra_tenant_id or "")


async def ask_entra(
    asking: Asking, report: OnDemandReport, subject: EntraSubject | None, *, is_dry_run: bool
) -> OnDemandReport:
    """Return the report with Entra's answer.

    A failure here leaves Leaver's own result as it is. Raises `Yielded` if the process
    stops, and no other `WorkerError`.
    """
    if subject is None or report.result is OnDemandResult.FAILED:
        entra = _not_asked("Leaver's own work failed, so Entra was not asked.")
    elif subject.hindrance or subject.graph_id is None:
        entra = _not_asked(f"Entra was not asked. {subject.hindrance}")
    elif is_dry_run:
        calls = min(MOST_CALLS, _calls(subject))
        entra = _not_asked(f"Dry run: Entra would be asked, in {calls} call{'s' if calls > 1 else ''}.")
    else:
        entra = await _ask(asking, subject, subject.graph_id)
        await _log(asking, report, subject, entra)
    return replace(report, entra=entra)


def _not_asked(detail: str) -> EntraReport:
    return EntraReport(EntraResult.SKIPPED, detail)


def _calls(subject: EntraSubject) -> int:
    return max(1, -(-len(subject.members) // MOST_MEMBERS))


async def _ask(asking: Asking, subject: EntraSubject, graph_id: GraphId) -> EntraReport:
    answers: list[tuple[int, OnDemandAnswer]] = []
    service: ProvisioningService | None = None
    try:
        async with asking.services.open_graph(asking.connection) as graph:
            service = await _service(asking, graph, subject.service_principal_id)
            total = min(MOST_CALLS, _calls(subject))
            for wanted in islice(_wanted(subject, graph_id), MOST_CALLS):
                if asking.halt.is_set():
                    raise Yielded("The worker is stopping, or the job was cancelled.")
                asking.watch(Progress(ENTRA, len(answers), total))
                answers.append((len(wanted.members), await ask(graph, service, asking.pace, wanted)))
    except Yielded:
        raise
    except Exception as error:
        known = [words.job_step(service.job)] if service else []
        return words.report_not_asked(as_worker_error(error), known, len(answers))
    if len(answers) == 1:
        return words.report_answer(service.job, answers[0][1])
    asked = sum(members for members, _ in answers)
    return words.report_member_answers(service.job, answers, len(subject.members) - asked)


async def _service(asking: Asking, graph: GraphClient, service_principal_id: str) -> ProvisioningService:
    if service_principal_id not in asking.found:
        asking.found[service_principal_id] = await find_service(graph, service_principal_id)
    return asking.found[service_principal_id]


def _wanted(subject: EntraSubject, graph_id: GraphId) -> Iterable[OnDemandRequest]:
    for start in range(0, max(1, len(subject.members)), MOST_MEMBERS):
        yield OnDemandRequest(subject.type, graph_id, subject.members[start : start + MOST_MEMBERS])


async def _log(asking: Asking, report: OnDemandReport, subject: EntraSubject, entra: EntraReport) -> None:
    """Log Entra's answer as evidence, under the id of the same cycle."""
    status = {EntraResult.FAILED: LogStatus.FAILURE, EntraResult.SKIPPED: LogStatus.SKIPPED}
    connection = asking.connection
    log.info("on_demand.entra_asked", result=entra.result, calls=entra.calls, cycle=report.cycle_id)
    entry = partial(
        provisioning_log.append,
        tenant_id=connection.tenant_id,
        connection_id=connection.id,
        cause=Cause(Origin.GRAPH, report.cycle_id, report.actor or ACTOR, steps=_kept(entra)),
        action=Action.OTHER,
        status=status.get(entra.result, LogStatus.SUCCESS),
        subject=LogSubject(subject.type, None, report.subject),
        now=asking.services.clock(),
    )
    await asking.services.db.write(entry)


def _kept(entra: EntraReport) -> tuple[Step, ...]:
    """Return Entra's steps under names that no step of Leaver has."""
    summary = Step(ENTRA, LogStatus.WARNING if entra.remedy else LogStatus.SUCCESS, entra.detail)
    return (*(structs.replace(step, name=f"{ENTRA} {step.name}") for step in entra.steps), summary)
