"""Apply a plan: its changes become commands of the lifecycle, in batches.

Idempotent and resumable: the lifecycle answers `unchanged` to what is so already and
skips a row that moved since it was planned on, so after a killed run the next one plans
what is left. Nothing is computed anew after the plan. What each change becomes in the
store is in `worker.apply.commands`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from msgspec import structs

from store import errors as store_errors
from store import lifecycle
from store.database import Database
from store.keys import utc_now
from store.records import REMOVALS, Action, Cause, Connection, GraphId, Outcome, OutcomeStatus
from worker.apply.commands import MEMBERSHIP, command_for
from worker.apply.removal_evidence import Reverify
from worker.errors import LeaseLost
from worker.reconcile.plan import Change

BATCH_SIZE = 500
"""Changes in one transaction.

Enough to be fast, few enough that a push waits for some 50 ms at most.
"""
MEMBERSHIPS_PER_CHANGE = 4
"""Memberships that are written in the time that one user takes."""

MAX_REVERIFICATIONS = 3
"""After so many times the removals of a batch wait for the next cycle: their evidence
is too old again by the time it was taken.
"""
NOT_CONFIRMED_AGAIN = (
    "the evidence had grown too old, and reading it again did not confirm it; the next cycle looks again"
)

_BEFORE_UPDATES = frozenset(
    {Action.RETIRE, Action.LINK, Action.CHANGE_HOLDER, Action.SEAL, Action.UNSEAL, Action.RELEASE_NAMES}
)
"""Actions that say who an account stands for; updates of the same rows follow."""

_ARRIVALS = frozenset({Action.CREATE, Action.RESTORE, Action.LINK, Action.CHANGE_HOLDER, Action.ENABLE})

SafePoint: TypeAlias = Callable[[int], Awaitable[None]]
"""Called with the number of changes done; raises `Yielded` or `LeaseLost` to end the
work.
"""


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome of every change, in the order of the changes."""

    changes: Sequence[Change]
    statuses: Sequence[OutcomeStatus]
    details: dict[int, str]
    """Why changes were skipped or failed, by their place."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Versions of changed rows after their last change.

    By the planned id, if the store used that one.
    """

    @property
    def counts(self) -> dict[Action, int]:
        """Count the changes of each action that took effect."""
        pairs = zip(self.changes, self.statuses, strict=True)
        return dict(Counter(change.action for change, status in pairs if status is OutcomeStatus.APPLIED))

    @property
    def skipped(self) -> int:
        return self.statuses.count(OutcomeStatus.SKIPPED)

    @property
    def failed(self) -> int:
        return self.statuses.count(OutcomeStatus.FAILED)

    @property
    def arrived(self) -> frozenset[GraphId]:
        """Return the people who have an account since."""
        done = zip(self.changes, self.statuses, strict=True)
        applied = [
            each for each, status in done if status is OutcomeStatus.APPLIED and each.action in _ARRIVALS
        ]
        return frozenset(each.person.graph_id for each in applied if each.person and each.person.graph_id)


NOTHING_APPLIED = Applied((), (), {})


@dataclass(frozen=True, slots=True)
class Task:
    """One command to perform: one change, or the same action on members of one
    group.
    """

    places: tuple[int, ...]
    changes: tuple[Change, ...]

    @property
    def row(self) -> str:
        return self.changes[0].subject.local_id or ""

    @property
    def is_membership(self) -> bool:
        return self.changes[0].action in MEMBERSHIP

    @property
    def stage(self) -> tuple[bool, bool]:
        return self.is_membership, self.changes[0].action in _BEFORE_UPDATES


async def apply(
    db: Database,
    connection: Connection,
    changes: Sequence[Change],
    cause: Cause,
    safe_point: SafePoint,
    *,
    batch_size: int = BATCH_SIZE,
    now: datetime | None = None,
    clock: Callable[[], datetime] = utc_now,
    reverify: Reverify | None = None,
) -> Applied:
    """Apply the changes in their order.

    Raises `LeaseLost` if the cause's fence no longer holds, `Yielded` at a safe point,
    and the store's error if the database is away. What was applied until then stands.

    If the cause's evidence is too old for a batch, `reverify` takes it again for the
    removals of that batch; a removal that is no longer confirmed is skipped.
    """
    statuses = [OutcomeStatus.SKIPPED] * len(changes)
    run = PlanExecution(db, connection, cause, now, clock, reverify, statuses)
    most_members = batch_size * MEMBERSHIPS_PER_CHANGE
    for batch in _batches(_tasks(changes, most_members), batch_size, most_members):
        await run.perform(batch)
        await safe_point(batch[-1].places[-1] + 1)
    for row in run.moved.union(run.ids):  # a push may have changed these too
        run.versions.pop(row, None)
    return Applied(changes, run.statuses, run.details, run.versions)


@dataclass(slots=True)
class PlanExecution:
    """The state of a plan being applied: what later changes must know of
    earlier ones.
    """

    db: Database
    connection: Connection
    cause: Cause
    now: datetime | None
    clock: Callable[[], datetime]
    reverify: Reverify | None
    statuses: list[OutcomeStatus]
    details: dict[int, str] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    """Versions of rows that were changed: the next change of a row is decided on this
    version.
    """
    ids: dict[str, str] = field(default_factory=dict)
    """Planned id -> the row's id, if the store found the user's own, older row."""
    moved: set[str] = field(default_factory=set)
    """Rows that a push changed as well: their present state was compared with
    nothing.
    """
    missing: set[str] = field(default_factory=set)
    """Planned ids of rows that could not be created."""
    not_handed_over: set[str] = field(default_factory=set)
    """Accounts whose change of holder was not written: what follows in the plan is for
    the other person.
    """

    async def perform(self, batch: Sequence[Task]) -> None:
        tasks = [task for task in map(self._without_missing, batch) if task.changes]
        tasks = [task for task in tasks if not self._is_for_another_person(task)]
        cause = self.cause
        for _ in range(MAX_REVERIFICATIONS):
            try:
                await self._write(tasks, cause)
            except store_errors.EvidenceTooOld:
                # For this batch only: the removals of the next batches still rest on
                # the older evidence.
                tasks, cause = await self._reverified(tasks)
            else:
                return
        await self._write([self._without(task, _are_removals(task)) for task in tasks], cause)

    async def _write(self, tasks: Sequence[Task], cause: Cause) -> None:
        tasks = [task for task in tasks if task.changes]
        if not tasks:
            return
        directory_id = self.connection.entra_tenant_id
        commands = [
            command_for(task.changes, self.versions.get(task.row), self.ids, directory_id) for task in tasks
        ]
        try:
            outcomes = await lifecycle.perform(
                self.db,
                self.connection.tenant_id,
                self.connection.id,
                commands,
                cause,
                atomic=False,
                now=self.now,
                clock=self.clock,
            )
        except store_errors.FencedOut as error:
            raise LeaseLost(str(error)) from error
        for task, outcome in zip(tasks, outcomes, strict=True):
            if outcome.status is OutcomeStatus.FAILED and len(task.changes) > 1:
                # One member of many is refused: apply the other members alone.
                for place, change in zip(task.places, task.changes, strict=True):
                    await self.perform([Task((place,), (change,))])
            else:
                self._note(task, outcome)

    async def _reverified(self, tasks: Sequence[Task]) -> tuple[list[Task], Cause]:
        """Return the tasks without the removals that new evidence does not confirm, and
        the cause with the age of that evidence.
        """
        removals = [c for task in tasks for c in task.changes if c.action in REMOVALS]
        if self.reverify is None:
            return [self._without(task, _are_removals(task)) for task in tasks], self.cause
        answers, age = await self.reverify(removals)
        confirmed = iter(answers)
        left_out = [[_is_left_out(change, confirmed) for change in task.changes] for task in tasks]
        kept = [self._without(task, flags) for task, flags in zip(tasks, left_out, strict=True)]
        return kept, structs.replace(self.cause, evidence=age)

    def _without(self, task: Task, left_out: Sequence[bool]) -> Task:
        """Return the task without the changes left out; each is noted as skipped."""
        for place, is_left_out in zip(task.places, left_out, strict=True):
            if is_left_out:
                self.details[place] = NOT_CONFIRMED_AGAIN
                self.not_handed_over.update(_handed_over(task))
        pairs = zip(task.places, task.changes, left_out, strict=True)
        kept = [(place, change) for place, change, is_left_out in pairs if not is_left_out]
        return Task(tuple([place for place, _ in kept]), tuple([change for _, change in kept]))

    def _note(self, task: Task, outcome: Outcome) -> None:
        for place in task.places:
            self.statuses[place] = outcome.status
            if outcome.status in (OutcomeStatus.SKIPPED, OutcomeStatus.FAILED):
                self.details[place] = outcome.detail
                self.not_handed_over.update(_handed_over(task))
        if outcome.record is not None:
            planned_on = self.versions.get(task.row, task.changes[0].expected_version)
            # Memberships are added at any version of the group: a push may have come
            # between.
            if planned_on is not None and outcome.record.version > planned_on + 1:
                self.moved.add(task.row)
            self.versions[task.row] = outcome.record.version
            if outcome.record.id != task.row:
                self.ids[task.row] = outcome.record.id
        elif task.changes[0].action in (Action.CREATE, Action.RESTORE):
            self.missing.add(task.row)

    def _is_for_another_person(self, task: Task) -> bool:
        if task.row not in self.not_handed_over:
            return False
        for place in task.places:
            self.details[place] = "the account was not given to this person; the next cycle looks again"
        return True

    def _without_missing(self, task: Task) -> Task:
        """Leave out members that could not be created: the store would refuse the
        others with them.
        """
        if not self.missing or not task.is_membership:
            return task
        pairs = list(zip(task.places, task.changes, strict=True))
        gone = {place for place, change in pairs if change.member and change.member.local_id in self.missing}
        for place in gone:
            self.details[place] = "the member could not be created in this cycle"
        kept = [(place, change) for place, change in pairs if place not in gone]
        return Task(tuple([place for place, _ in kept]), tuple([change for _, change in kept]))


def _handed_over(task: Task) -> set[str]:
    """Return the rows that this task would give to another person."""
    found = task.changes[0].handed_over
    return set() if found is None else {found}


def _is_left_out(change: Change, confirmed: Iterator[bool]) -> bool:
    """Return whether a change is not written on new evidence.

    Which person an account stands for is decided on the whole reading: only the next
    cycle can decide it again.
    """
    if change.action in REMOVALS:
        return not next(confirmed)
    return change.action is Action.CHANGE_HOLDER


def _are_removals(task: Task) -> list[bool]:
    return [change.action in REMOVALS or change.action is Action.CHANGE_HOLDER for change in task.changes]


def _tasks(changes: Sequence[Change], most: int) -> Iterator[Task]:
    """Yield tasks: neighbouring changes of one group's membership become one."""
    start = 0
    for end in range(1, len(changes) + 1):
        if end < len(changes) and end - start < most and _goes_with(changes[end - 1], changes[end]):
            continue
        yield Task(tuple(range(start, end)), tuple(changes[start:end]))
        start = end


def _goes_with(one: Change, next_: Change) -> bool:
    return (
        one.action in MEMBERSHIP
        and one.action is next_.action
        and one.subject.local_id == next_.subject.local_id
    )


def _batches(tasks: Iterator[Task], size: int, most_members: int) -> Iterator[list[Task]]:
    """Yield batches in which each row occurs once: its next change needs the new
    version.

    For the same reason memberships never share a batch with the creation of their
    members. What says who an account stands for has batches of its own as well, so that
    no second change of a row comes between two users who swap their names.
    """
    batch: list[Task] = []
    rows: set[str] = set()
    weight = 0
    for task in tasks:
        weight += len(task.changes)
        most = most_members if task.is_membership else size
        if batch and (weight > most or task.row in rows or task.stage != batch[0].stage):
            yield batch
            batch, rows, weight = [], set(), len(task.changes)
        batch.append(task)
        rows.add(task.row)
    if batch:
        yield batch
