"""The provisioning log: one entry per attempted change, in the shape of Graph's
`auditLogs/provisioning`.
"""

import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal

from simulator.provisioning.job import ObjectKind

Action = Literal["create", "update", "disable", "delete", "stagedDelete", "other"]
Status = Literal["success", "failure", "skipped", "warning"]
StepType = Literal["import", "scoping", "matching", "processing", "referenceResolution", "export"]

SOURCE_SYSTEM = "Microsoft Entra ID"
TARGET_SYSTEM = "customappsso"
TARGET_TYPES: dict[ObjectKind, str] = {
    "User": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "Group": "urn:ietf:params:scim:schemas:core:2.0:Group",
}
KEPT_ENTRIES = 100_000

LogEntry = dict[str, Any]
"""One entry as Graph shows it."""


@dataclass(frozen=True, slots=True)
class LoggedStep:
    """One step of an attempt."""

    name: str
    type: StepType
    status: Status
    description: str
    details: dict[str, Any] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ModifiedProperty:
    name: str
    old: str | None
    new: str | None


@dataclass(slots=True)
class Attempt:
    """An attempted change while it is being worked on."""

    kind: ObjectKind
    source_id: str
    label: str
    cycle_id: str
    now: Callable[[], datetime]
    action: Action = "other"
    change_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    target_id: str | None = None
    status: Status = "success"
    code: str | None = None
    reason: str | None = None
    steps: list[LoggedStep] = field(default_factory=list)
    modified: list[ModifiedProperty] = field(default_factory=list)
    began: datetime = field(init=False)
    ended: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.ended = self.now()

    def step(
        self, name: str, type_: StepType, status: Status, description: str, **details: str | None
    ) -> None:
        self.ended = self.now()
        self.steps.append(LoggedStep(name, type_, status, description, dict(details), self.ended))

    def skip(self, reason: str, description: str) -> None:
        """End the attempt without a change."""
        self.status, self.code, self.reason = "skipped", reason, description
        self.step("EntrySynchronizationSkip", "export", "skipped", description, SkipReason=reason)

    def fail(self, code: str, message: str) -> None:
        """End the attempt with an error."""
        self.status, self.code, self.reason = "failure", code, message
        self.step("EntryExport", "export", "failure", message, ErrorCode=code)


@dataclass(frozen=True, slots=True)
class LogContext:
    """Whose log it is: what every entry repeats."""

    tenant_id: str
    job_id: str
    app_id: str
    service_principal_id: str
    service_principal_name: str


class ProvisioningLog:
    """The entries, newest last; the oldest fall out."""

    def __init__(self, context: LogContext) -> None:
        self.context = context
        self._entries: deque[dict[str, Any]] = deque(maxlen=KEPT_ENTRIES)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._entries)

    def write(self, attempt: Attempt) -> None:
        self._entries.append(_entry(self.context, attempt))

    def search(
        self,
        *,
        cycle_id: str | None = None,
        status: str | None = None,
        action: str | None = None,
        source_id: str | None = None,
        top: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return matching entries, newest first."""
        found = (
            entry
            for entry in reversed(self._entries)
            if cycle_id in {None, entry["cycleId"]}
            and status in {None, entry["provisioningStatusInfo"]["status"]}
            and action in {None, entry["provisioningAction"]}
            and source_id in {None, entry["sourceIdentity"]["id"]}
        )
        return list(islice(found, top))


def timestamp(moment: datetime) -> str:
    """Write a moment as Graph does in logs: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _entry(context: LogContext, attempt: Attempt) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "activityDateTime": timestamp(attempt.ended),
        "tenantId": context.tenant_id,
        "jobId": context.job_id,
        "cycleId": attempt.cycle_id,
        "changeId": attempt.change_id,
        "provisioningAction": attempt.action,
        "durationInMilliseconds": int((attempt.ended - attempt.began).total_seconds() * 1000),
        "servicePrincipal": {
            "id": context.service_principal_id,
            "displayName": context.service_principal_name,
        },
        "sourceSystem": _system(context, SOURCE_SYSTEM, {}),
        "targetSystem": _system(context, TARGET_SYSTEM, _target_details(context)),
        "initiatedBy": {
            "id": "",
            "displayName": "Azure AD Provisioning Service",
            "initiatorType": "system",
        },
        "sourceIdentity": _source_identity(attempt),
        "targetIdentity": {
            "id": attempt.target_id or "",
            "displayName": "",
            "identityType": TARGET_TYPES[attempt.kind],
            "details": {},
        },
        "provisioningStatusInfo": {"status": attempt.status, "errorInformation": _error(attempt)},
        "provisioningSteps": [_step(step) for step in attempt.steps],
        "modifiedProperties": [
            {"displayName": m.name, "oldValue": m.old, "newValue": m.new} for m in attempt.modified
        ],
    }


def _system(context: LogContext, name: str, details: dict[str, str]) -> dict[str, Any]:
    system_id = uuid.uuid5(uuid.UUID(context.service_principal_id), name)
    return {"id": str(system_id), "displayName": name, "details": details}


def _target_details(context: LogContext) -> dict[str, str]:
    return {
        "ApplicationId": context.app_id,
        "ServicePrincipalId": context.service_principal_id,
        "ServicePrincipalDisplayName": context.service_principal_name,
    }


def _source_identity(attempt: Attempt) -> dict[str, Any]:
    details = {"odatatype": attempt.kind, "DisplayName": attempt.label}
    if attempt.kind == "User":
        details["UserPrincipalName"] = attempt.label
    return {
        "id": attempt.source_id,
        "displayName": attempt.label,
        "identityType": attempt.kind,
        "details": details,
    }


def _error(attempt: Attempt) -> dict[str, Any] | None:
    if attempt.code is None:
        return None
    return {
        "errorCode": attempt.code,
        "reason": attempt.reason,
        "additionalDetails": None,
        "errorCategory": "nonServiceFailure" if attempt.status == "failure" else "success",
        "recommendedAction": None,
    }


def _step(step: LoggedStep) -> dict[str, Any]:
    return {
        "name": step.name,
        "provisioningStepType": step.type,
        "status": step.status,
        "description": step.description,
        "details": step.details,
    }
