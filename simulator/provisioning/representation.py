"""The job as Graph's synchronization API shows it: job, status, quarantine, schema with
rule ids.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulator.directory import Directory
from simulator.provisioning.job import Job, ObjectKind
from simulator.provisioning.log import SOURCE_SYSTEM, TARGET_SYSTEM, TARGET_TYPES, timestamp
from simulator.provisioning.mapping import AttributeMapping, AttributeMappings
from simulator.provisioning.report import CycleReport

TEMPLATE_ID = "scim"
NEVER = "P10675199DT2H48M5.4775807S"
"""The interval of a job that was never started: the largest there is."""
NO_TIME = "0001-01-01T00:00:00Z"


@dataclass(slots=True)
class JobHistory:
    """What the status of a job says about its past."""

    last: CycleReport | None = None
    last_successful: CycleReport | None = None
    last_with_exports: CycleReport | None = None
    steady_since: datetime | None = None

    def note(self, report: CycleReport) -> None:
        self.last = report
        if report.state == "Failed":
            return
        self.last_successful = report
        self.steady_since = self.steady_since or report.ended
        if report.exported:
            self.last_with_exports = report


def job_id(directory: Directory, name: str = "") -> str:
    """Return the id of a job as Entra makes it: template, tenant without dashes, a
    GUID.
    """
    own = uuid.uuid5(uuid.UUID(directory.service_principal_id), f"provisioning job {name}".rstrip())
    return f"{TEMPLATE_ID}.{directory.entra_tenant_id.replace('-', '')}.{own}"


def rule_ids(directory: Directory) -> dict[str, ObjectKind]:
    """Return the ids of the synchronization rules, by which provision on demand names
    what it wants.
    """
    base = uuid.UUID(directory.service_principal_id)
    return {str(uuid.uuid5(base, "users")): "User", f"{uuid.uuid5(base, 'groups')}#V2": "Group"}


def job_body(job_id: str, job: Job, history: JobHistory) -> dict[str, Any]:
    """Render `synchronization/jobs/{id}`."""
    minutes = int(job.settings.interval_s // 60)
    threshold = job.settings.accidental_deletion_threshold
    settings = [] if threshold is None else [_setting("QuarantineTooManyDeletesThreshold", str(threshold))]
    return {
        "id": job_id,
        "templateId": TEMPLATE_ID,
        "schedule": {
            "expiration": None,
            "interval": NEVER if job.state == "Disabled" else f"PT{minutes}M",
            "state": job.state,
        },
        "status": _status(job, history),
        "synchronizationJobSettings": settings,
    }


def _setting(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def _status(job: Job, history: JobHistory) -> dict[str, Any]:
    steady = timestamp(history.steady_since) if history.steady_since else NO_TIME
    linked: list[tuple[ObjectKind, int]] = [
        (kind, sum(1 for _ in job.links_of(kind))) for kind in ("User", "Group")
    ]
    return {
        "code": _code(job, history),
        "countSuccessiveCompleteFailures": job.successive_failures,
        "escrowsPruned": False,
        "lastExecution": _execution(job, history.last),
        "lastSuccessfulExecution": _execution(job, history.last_successful),
        "lastSuccessfulExecutionWithExports": _execution(job, history.last_with_exports),
        "progress": [],
        "quarantine": _quarantine(job),
        "steadyStateFirstAchievedTime": steady,
        "steadyStateLastAchievedTime": steady,
        "synchronizedEntryCountByType": [{"key": kind, "value": count} for kind, count in linked],
        "troubleshootingUrl": None,
    }


def _code(job: Job, history: JobHistory) -> str:
    if job.quarantine:
        return "Quarantine"
    if job.state == "Paused":
        return "Paused"
    return "NotRun" if history.last is None else "Active"


def _execution(job: Job, report: CycleReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "activityIdentifier": report.cycle_id,
        "countEntitled": report.entitled,
        "countEntitledForProvisioning": report.entitled,
        "countEscrowed": len(job.escrows),
        "countEscrowedRaw": len(job.escrows),
        "countExported": report.exported,
        "countExports": report.exported,
        "countImported": report.entitled,
        "countImportedDeltas": report.exported + report.counts.get("skipped", 0),
        "countImportedReferenceDeltas": report.references,
        "state": report.state,
        "error": _error(report.code, report.message),
        "timeBegan": timestamp(report.began),
        "timeEnded": timestamp(report.ended),
    }


def _quarantine(job: Job) -> dict[str, Any] | None:
    quarantine = job.quarantine
    if quarantine is None:
        return None
    return {
        "currentBegan": timestamp(quarantine.began_at),
        "nextAttempt": timestamp(quarantine.next_attempt_at),
        "reason": quarantine.reason.value,
        "seriesBegan": timestamp(quarantine.began_at),
        "seriesCount": quarantine.series,
        "error": _error(quarantine.code, quarantine.message),
    }


def _error(code: str | None, message: str | None) -> dict[str, Any] | None:
    return None if code is None else {"code": code, "message": message, "tenantActionable": True}


def schema_body(directory: Directory, job_id: str, job: Job, now: datetime) -> dict[str, Any]:
    """Render `synchronization/jobs/{id}/schema`: the mapping, one rule for users and
    one for groups.
    """
    mappings = {"User": job.settings.user_mapping, "Group": job.settings.group_mapping}
    return {
        "id": job_id,
        "version": f"Date:{timestamp(now)}, Sequence:1",
        "directories": [],
        "synchronizationRules": [
            _rule(
                rule_id,
                kind,
                mappings[kind],
                priority,
                enabled=kind == "User" or job.settings.provision_groups,
            )
            for priority, (rule_id, kind) in enumerate(rule_ids(directory).items(), start=1)
        ],
    }


def _rule(
    rule_id: str, kind: ObjectKind, mappings: AttributeMappings, priority: int, *, enabled: bool
) -> dict[str, Any]:
    return {
        "id": rule_id,
        "name": f"{kind.upper()}_OUTBOUND_{kind.upper()}",
        "priority": priority,
        "editable": True,
        "sourceDirectoryName": SOURCE_SYSTEM,
        "targetDirectoryName": TARGET_SYSTEM,
        "objectMappings": [
            {
                "name": f"Synchronize {SOURCE_SYSTEM} {kind}s to {TARGET_SYSTEM}",
                "enabled": enabled,
                # No flowTypes: Graph writes a set of flags there, "Add, Update,
                # Delete", and its own OpenAPI description takes only one of them.
                # No client reads it.
                "scope": None,
                "sourceObjectName": kind,
                "targetObjectName": TARGET_TYPES[kind],
                "attributeMappings": [_attribute(mapping) for mapping in mappings],
            }
        ],
    }


def _attribute(mapping: AttributeMapping) -> dict[str, Any]:
    is_function = "(" in mapping.source
    return {
        "defaultValue": "",
        "exportMissingReferences": False,
        "flowBehavior": "FlowWhenChanged",
        "flowType": "Always",
        "matchingPriority": mapping.matching_priority,
        "targetAttributeName": mapping.target,
        "source": {
            "expression": mapping.source if is_function else f"[{mapping.source}]",
            "name": mapping.source.partition("(")[0],
            "parameters": [],
            "type": "Function" if is_function else "Attribute",
        },
    }
