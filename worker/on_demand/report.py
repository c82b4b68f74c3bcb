"""Define the report on one subject on demand, as values and as JSON without secrets
(design.md §6).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from store.records import (
    CycleId,
    JsonValue,
    LogStatus,
    Step,
)


class OnDemandResult(StrEnum):
    """The result for one subject (design.md §6)."""

    CREATED = "created"
    UPDATED = "updated"
    DISABLED = "disabled"
    ENABLED = "enabled"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


class EntraResult(StrEnum):
    """The result of asking Entra's provisioning service."""

    SUCCESS = "success"
    SKIPPED = "skipped"
    """Entra found nothing to do, or cannot act on such a user and was not asked."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EntraReport:
    """The answer of Entra's provisioning service to *Provision on demand* for one
    subject.
    """

    result: EntraResult
    detail: str
    remedy: str | None = None
    steps: tuple[Step, ...] = ()
    """Entra's own steps, with its names."""
    calls: int = 0

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> EntraReport:
        steps = tuple(_step_from_json(each) for each in body["steps"])
        return cls(**{**body, "result": EntraResult(body["result"]), "steps": steps})


@dataclass(frozen=True, slots=True)
class OnDemandReport:
    """Always five steps: find, scope, match, evaluate, perform."""

    subject: str
    """The reference the admin gave."""
    result: OnDemandResult
    steps: tuple[Step, ...]
    cycle_id: CycleId
    """The cycle under which the provisioning log has the changes."""
    error: str | None = None
    remedy: str | None = None
    actor: str | None = None
    """The person who asked."""
    would: OnDemandResult | None = None
    """The result a dry run would have had; None if it found nothing to do."""
    entra: EntraReport | None = None
    """The answer of Entra's own provisioning service; None if it was not asked."""

    def to_json(self) -> dict[str, JsonValue]:
        body: dict[str, JsonValue] = msgspec.to_builtins(self)
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> OnDemandReport:
        """Return the report that `to_json` wrote."""
        steps = [_step_from_json(each) for each in body["steps"]]
        would = OnDemandResult(body["would"]) if body.get("would") else None
        entra = EntraReport.from_json(body["entra"]) if body.get("entra") else None
        result = OnDemandResult(body["result"])
        return cls(**{**body, "result": result, "steps": tuple(steps), "would": would, "entra": entra})


def _step_from_json(body: Mapping[str, Any]) -> Step:
    return Step(body["name"], LogStatus(body["status"]), body["detail"], body["data"])


HIDDEN = "[not shown]"

_SECRET = re.compile(r"passw|secret|token|credential|private_?key", re.IGNORECASE)
"""Names under which directories keep secrets: `password`, `clientSecret`, …"""


def without_secrets(
    values: Mapping[str, JsonValue], hidden: Collection[str] = frozenset()
) -> dict[str, JsonValue]:
    """Return the values without secrets, at every depth.

    Hidden are values whose names match `_SECRET` or are in `hidden`.
    """
    return {
        name: HIDDEN if name in hidden or _SECRET.search(name) else _cleaned(value, hidden)
        for name, value in values.items()
    }


def secret_sources(mapping: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the properties from which a mapping takes secrets."""
    sources = (source for path, source in mapping.items() if _SECRET.search(path))
    return frozenset(word for source in sources for word in re.findall(r"\w+", source))


def _cleaned(value: JsonValue, hidden: Collection[str]) -> JsonValue:
    if isinstance(value, Mapping):
        return without_secrets(value, hidden)
    if isinstance(value, list | tuple):
        return [_cleaned(each, hidden) for each in value]
    return value
