"""Word the answer of Entra's provisioning service, and what to do if it failed.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from store.records import JsonValue, LogStatus, Step
from worker.errors import NeedsHuman, TryAgain, WorkerError
from worker.graph.provisioning.models import EntraStep, OnDemandAnswer, ProvisioningJob
from worker.on_demand.report import EntraReport, EntraResult, without_secrets

_STATUSES: Mapping[str, LogStatus] = {
    "success": LogStatus.SUCCESS,
    "skipped": LogStatus.SKIPPED,
    "warning": LogStatus.WARNING,
    "failure": LogStatus.FAILURE,
    "failed": LogStatus.FAILURE,
}

_RESULTS: Mapping[LogStatus, EntraResult] = {
    LogStatus.SUCCESS: EntraResult.SUCCESS,
    LogStatus.WARNING: EntraResult.SUCCESS,
    LogStatus.SKIPPED: EntraResult.SKIPPED,
    LogStatus.FAILURE: EntraResult.FAILED,
}

_SKIPPED: Mapping[str, str] = {
    "redundantexport": "Entra saw nothing to do: both sides agree already",
    "noteffectivelyentitled": "nothing in scope for Entra: it does not take the subject for assigned (a new"
    " assignment may need some minutes)",
}
"""Why Entra skips, by its code (entra-scim-client, codes of the provisioning log)."""

_PASTE_ANEW = (
    "Make a new token (leaver token rotate), paste it in Entra as Secret Token under Provisioning >"
    " Connectivity, and press Test Connection."
)
_REMEDIES: Mapping[str, str] = {
    "unauthorized": _PASTE_ANEW,
    "insufficientrights": _PASTE_ANEW,
    "systemforcrossdomainidentitymanagementcredentialvalidationfailure": _PASTE_ANEW,
    "systemforcrossdomainidentitymanagementcredentialvalidationunavailable": "Check that Leaver's SCIM URL can be"
    " reached from the internet, then press Test Connection in Entra.",
    "systemforcrossdomainidentitymanagementmultipleentriesinresponse": "Two accounts here match one person:"
    " leaver drift show names them (match_conflict).",
    "invalidanchor": "Entra holds on to an account that is not here any more: Restart provisioning in Entra.",
    "toomanyrequests": "Ask again in a minute.",
}
_ANY_REMEDY = "See the entry in Entra's Provisioning logs, and leaver log CONNECTION --status failure."


def job_step(job: ProvisioningJob) -> Step:
    """Return the step of finding the job: which one was asked, and its state."""
    state = job.status.code if job.status and job.status.code else "unknown"
    data: dict[str, JsonValue] = {"id": job.id, "template": job.template_id, "status": state}
    data["schedule"] = job.schedule.state if job.schedule else None
    quarantine = job.quarantine
    if quarantine is None:
        status = LogStatus.SUCCESS if job.is_active else LogStatus.WARNING
        running = "" if job.is_active else "; its schedule is not active, so nothing is pushed by itself"
        return Step("job", status, f"Found the provisioning job; it is {state}{running}.", data)
    error = quarantine.error
    since = f" since {quarantine.current_began:%Y-%m-%d %H:%M} UTC" if quarantine.current_began else ""
    data["quarantine"] = {"reason": quarantine.reason, "error": error.code if error else None}
    fault = f" ({error.code}: {error.message})" if error and error.code else ""
    detail = f"The provisioning job is in quarantine{since}: {quarantine.reason}{fault}."
    return Step("job", LogStatus.WARNING, detail, data)


def quarantine_remedy(job: ProvisioningJob) -> str | None:
    """Return what ends a quarantine; None for a job that has none."""
    if job.quarantine is None:
        return None
    code = (job.quarantine.error.code if job.quarantine.error else "") or ""
    return f"{_REMEDIES.get(code.lower(), 'Remove the cause.')} Then Restart provisioning in Entra."


def status_of(answer: OnDemandAnswer) -> LogStatus:
    """Return the status of Entra's answer in any spelling; an unknown one is no
    success.
    """
    return _STATUSES.get(answer.verdict.result.lower(), LogStatus.FAILURE)


def report_answer(job: ProvisioningJob, answer: OnDemandAnswer) -> EntraReport:
    """Return the report on one call."""
    status = status_of(answer)
    steps = (job_step(job), *map(decoded_step, answer.told.provisioning_steps or ()))
    remedy = _remedy(job, answer) if status is LogStatus.FAILURE else None
    return EntraReport(_RESULTS[status], _sentence(answer, status), remedy, steps, calls=1)


def report_member_answers(
    job: ProvisioningJob, answers: Sequence[tuple[int, OnDemandAnswer]], left: int
) -> EntraReport:
    """Return the report on a group that took several calls, one step each.

    `answers` are pairs of the number of members and Entra's answer.
    """
    steps = [job_step(job)]
    for number, (members, answer) in enumerate(answers, 1):
        detail = f"{members} members: {_sentence(answer, status_of(answer))}"
        steps.append(Step(f"call {number}", status_of(answer), detail, {"changeId": answer.told.change_id}))
    failed = [answer for _, answer in answers if status_of(answer) is LogStatus.FAILURE]
    asked = sum(members for members, _ in answers)
    detail = f"Asked for the group with {asked} members in {len(answers)} calls; {len(failed)} failed."
    if left:
        detail += (
            f" {left} more members were left to Entra's next cycle: it takes five members a call and five calls in"
            " ten seconds."
        )
    result = EntraResult.FAILED if failed else EntraResult.SUCCESS
    if all(status_of(answer) is LogStatus.SKIPPED for _, answer in answers):
        result = EntraResult.SKIPPED
    remedy = _remedy(job, failed[0]) if failed else None
    return EntraReport(result, detail, remedy, tuple(steps), calls=len(answers))


def report_not_asked(error: WorkerError, steps: Sequence[Step], calls: int) -> EntraReport:
    """Return the report of a question that failed: a permission, a missing job,
    Graph.
    """
    remedy = error.remedy if isinstance(error, NeedsHuman) else None
    if isinstance(error, TryAgain):
        remedy = "Ask again in a minute: leaver provision … --ask-entra changes nothing twice."
    return EntraReport(EntraResult.FAILED, f"Entra could not be asked. {error}", remedy, tuple(steps), calls)


def decoded_step(step: EntraStep) -> Step:
    """Return one of Entra's own steps, named as its portal names it."""
    name = (step.type or step.name or "step").lower()
    status = _STATUSES.get((step.status or "").lower(), LogStatus.WARNING)
    data = without_secrets({"name": step.name, **(step.details or {})})
    return Step(name, status, step.description or "", data)


def _sentence(answer: OnDemandAnswer, status: LogStatus) -> str:
    code, message = _fault(answer)
    if status is LogStatus.SKIPPED:
        why = _SKIPPED.get(code.lower(), message or code or "it gave no reason")
        return f"Skipped: {why.rstrip('.')}."
    if status is LogStatus.FAILURE:
        fault = ": ".join(filter(None, (code, message))) or answer.verdict.result
        return f"Entra failed: {fault.rstrip('.')}."
    return f"Entra's action was {(answer.told.action or 'Other').lower()}."


def _fault(answer: OnDemandAnswer) -> tuple[str, str]:
    """Return code and message from the parts of the answer that may have them."""
    details, info = answer.verdict.details, answer.told.status_info
    code = (details.error_code if details else None) or (info.error_code if info else None)
    message = (details.error_message if details else None) or (info.reason if info else None)
    return code or "", message or ""


def _remedy(job: ProvisioningJob, answer: OnDemandAnswer) -> str:
    info = answer.told.status_info
    recommended = info.recommended_action if info else None
    known = _REMEDIES.get(_fault(answer)[0].lower())
    return known or recommended or quarantine_remedy(job) or _ANY_REMEDY
