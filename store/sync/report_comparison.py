"""Compare the findings of a cycle with those of the report before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from msgspec import structs

from store.records import DriftFinding, DriftKind, FindingState

ONGOING = frozenset({FindingState.OPEN, FindingState.HELD, FindingState.ACCEPTED})
"""States of a finding that stays in the reports until a later cycle changes it."""
_STANDING = frozenset({FindingState.OPEN, FindingState.HELD, FindingState.REPAIRED})

Identity: TypeAlias = tuple[str, str]
"""Kind and subject of a finding."""
Earlier: TypeAlias = Mapping[Identity, DriftFinding]
"""Findings that were open in the previous report, by identity."""


def identity(finding: DriftFinding) -> Identity:
    return finding.kind.value, finding.subject_id


def merge_with_previous(
    findings: Iterable[DriftFinding],
    earlier: Earlier,
    *,
    complete: bool,
    looked_at: Collection[str] | None = None,
) -> Iterator[DriftFinding]:
    """Yield a cycle's findings as they are saved.

    A finding that was open in the previous report keeps its `first_seen`. An open one
    that this complete cycle no longer sees is added as `resolved`, if its subject is
    among `looked_at` (None: all were).
    """
    seen: set[Identity] = set()
    for finding in findings:
        before = earlier.get(identity(finding)) if earlier else None
        if before is None:
            yield finding
        else:
            seen.add(identity(finding))
            yield continued(finding, before)
    for key, finding in earlier.items():
        if key not in seen:
            # An incomplete cycle or an increment did not see everything: what it missed
            # stays as it was.
            is_over = complete and (looked_at is None or _concerns(finding, looked_at))
            yield structs.replace(finding, state=FindingState.RESOLVED) if is_over else finding


def continued(finding: DriftFinding, before: DriftFinding) -> DriftFinding:
    """Return a finding that was open before with what was known since: when it was
    first seen, and when it happened.
    """
    since = {name: before.evidence[name] for name in ("lost", "seen_at") if name in before.evidence}
    return structs.replace(finding, first_seen=before.first_seen, evidence={**finding.evidence, **since})


@dataclass(slots=True)
class ReportCounts:
    """The numbers of one report, counted from the very findings that are saved."""

    states: Counter[FindingState] = field(default_factory=Counter)
    standing: Counter[DriftKind] = field(default_factory=Counter)
    """By kind: open, held, or repaired by this cycle."""
    new: Counter[DriftKind] = field(default_factory=Counter)
    """By kind: not open in the report before."""

    def counting(self, findings: Iterable[DriftFinding], earlier: Earlier) -> Iterator[DriftFinding]:
        """Yield the findings, and count them on the way."""
        for finding in findings:
            self.states[finding.state] += 1
            if finding.state in _STANDING:
                self.standing[finding.kind] += 1
            if not earlier or identity(finding) not in earlier:
                self.new[finding.kind] += 1
            yield finding

    def to_json(self) -> dict[str, int]:
        """Return the number of findings in every state, and of new ones."""
        states = {state.value: self.states[state] for state in FindingState}
        return {**states, "new": self.new.total()}


def _concerns(finding: DriftFinding, looked_at: Collection[str]) -> bool:
    """Return whether one of the finding's subjects was looked at.

    A membership has two, its group and its member.
    """
    return any(subject in looked_at for subject in finding.subject_id.split(":"))
