"""Decode provisioning jobs and the answers to *Provision on demand* (JSON in strings).

Success is said inside the strings, never by the status of the answer, and is spelled in
several ways (`Failure`, `Failed`; step types with and without a capital): everything is
compared in lower case.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from worker.graph.models import GraphPage, Id


class JobError(msgspec.Struct, rename="camel", gc=False):
    code: str | None = None
    message: str | None = None


class Quarantine(msgspec.Struct, rename="camel", gc=False):
    reason: str | None = None
    current_began: datetime | None = None
    error: JobError | None = None


class JobStatus(msgspec.Struct, rename="camel", gc=False):
    code: str | None = None
    """`NotConfigured`, `NotRun`, `Active`, `Paused`, `Quarantine`."""
    quarantine: Quarantine | None = None


class Schedule(msgspec.Struct, rename="camel", gc=False):
    state: str | None = None
    """`Active`, `Disabled`, `Paused`."""


class ProvisioningJob(msgspec.Struct, rename="camel", gc=False):
    id: Id
    template_id: str | None = None
    schedule: Schedule | None = None
    status: JobStatus | None = None

    @property
    def is_active(self) -> bool:
        return self.schedule is not None and (self.schedule.state or "").lower() == "active"

    @property
    def quarantine(self) -> Quarantine | None:
        """The reason of a quarantine, or None for a healthy job."""
        return self.status.quarantine if self.status else None


class AttributeSource(msgspec.Struct, rename="camel", gc=False):
    expression: str | None = None
    name: str | None = None
    type: str | None = None
    """`Attribute`, `Constant` or `Function`."""


class AttributeRow(msgspec.Struct, rename="camel", gc=False):
    """One row of the mapping page."""

    target_attribute_name: str | None = None
    source: AttributeSource | None = None


class ObjectMapping(msgspec.Struct, rename="camel", gc=False):
    source_object_name: str | None = None
    enabled: bool | None = None
    attribute_mappings: list[AttributeRow] | None = None


class Rule(msgspec.Struct, rename="camel", gc=False):
    id: Id
    object_mappings: list[ObjectMapping] | None = None


class Schema(msgspec.Struct, rename="camel", gc=False):
    synchronization_rules: list[Rule] | None = None

    def rule_for(self, type_name: str) -> tuple[str, bool] | None:
        """Return id and state of the rule for `User` or `Group`, or None."""
        found = [
            (rule.id, mapping.enabled is not False)
            for rule in self.synchronization_rules or []
            for mapping in rule.object_mappings or []
            if (mapping.source_object_name or "").lower() == type_name.lower()
        ]
        return max(found, key=lambda each: each[1], default=None)

    def rows_of(self, type_name: str) -> list[AttributeRow] | None:
        """Return the rows for `User` or `Group` that are switched on, or None."""
        found = [
            mapping.attribute_mappings or []
            for rule in self.synchronization_rules or []
            for mapping in rule.object_mappings or []
            if (mapping.source_object_name or "").lower() == type_name.lower()
            and mapping.enabled is not False
        ]
        return next(iter(found), None)


class _Pair(msgspec.Struct, gc=False):
    key: str
    value: str


class Details(msgspec.Struct, rename="camel", gc=False):
    error_code: str | None = None
    error_message: str | None = None


class ProvisioningVerdict(msgspec.Struct, rename="camel", gc=False):
    """What the key holds."""

    result: str
    details: Details | None = None


class StatusInfo(msgspec.Struct, rename="camel", gc=False):
    error_code: str | None = None
    reason: str | None = None
    recommended_action: str | None = None


class EntraStep(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    type: str | None = None
    status: str | None = None
    description: str | None = None
    details: Mapping[str, Any] | None = None


class Told(msgspec.Struct, rename="camel", gc=False):
    """What the value holds."""

    action: str | None = None
    change_id: str | None = None
    provisioning_steps: list[EntraStep] | None = None
    reportable_identifier: str | None = None
    status_info: StatusInfo | None = None


class OnDemandAnswer(msgspec.Struct, gc=False):
    verdict: ProvisioningVerdict
    told: Told


decode_jobs = msgspec.json.Decoder(GraphPage[ProvisioningJob]).decode
decode_schema = msgspec.json.Decoder(Schema).decode
_decode_pair = msgspec.json.Decoder(_Pair).decode
_decode_verdict = msgspec.json.Decoder(ProvisioningVerdict).decode
_decode_told = msgspec.json.Decoder(Told).decode


def decode_on_demand(body: bytes) -> OnDemandAnswer:
    """Decode the pair and the documents inside it. Raises `msgspec.DecodeError`."""
    pair = _decode_pair(body)
    return OnDemandAnswer(_decode_verdict(pair.key), _decode_told(pair.value))
