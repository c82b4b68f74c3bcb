"""How much may be taken away without a person's word: floor, percentage, count, "would leave none".

A percentage alone fails both ways: it stops a team of ten from losing two, and lets a company of a thousand
lose ninety-nine. Judged on the whole plan before the first write, and over a rolling day together with what
already went.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from store.records import REMOVALS, Action, Ceilings, SubjectType
from worker.reconcile.plan import Plan
from worker.reconcile.state import History, State, Totals

Kind = tuple[Action, SubjectType]

_WORDS: Mapping[Kind, tuple[str, str, str]] = {
    (Action.DISABLE, SubjectType.USER): ("active users", "would be disabled", "were disabled or deleted"),
    (Action.DELETE, SubjectType.USER): ("active users", "would be deleted", "were disabled or deleted"),
    (Action.REMOVE_MEMBER, SubjectType.GROUP): ("memberships", "would be removed", "were removed"),
    (Action.DELETE, SubjectType.GROUP): ("groups", "would be deleted", "were deleted"),
}


def exceeded(plan: Plan, state: State, history: History, ceilings: Ceilings) -> tuple[str, ...]:
    """Says in sentences with numbers which ceilings the plan is above; empty where it is under all."""
    removals = Counter((c.action, c.subject.type) for c in plan.changes if c.action in REMOVALS)
    totals = state.totals if removals else Totals(0, 0, 0)
    return tuple(
        sentence
        for kind, count in sorted(removals.items())
        for sentence in _judge(kind, count, _held_now(kind, totals), _gone(kind, history), ceilings)
    )


def _judge(kind: Kind, count: int, held: int, gone: int, ceilings: Ceilings) -> Iterator[str]:
    things, would, were = _WORDS[kind]
    if over := _over(count, held, ceilings):
        yield f"{count} of {held} {things} {would}: {over}."
    # A day's worth is measured against what there was a day ago: what is here and what went since.
    elif over := _over(count + gone, held + gone, ceilings):
        yield (
            f"{count} of {held} {things} {would}, and {gone} {were} in the last 24 h, "
            f"together {count + gone} of {held + gone}: {over}."
        )


def _over(count: int, of: int, ceilings: Ceilings) -> str | None:
    if count <= ceilings.floor:
        return None
    if count >= of:
        return "that would leave none"
    if count > ceilings.count:
        return f"the ceiling is {ceilings.count}"
    if count * 100 > ceilings.percent * of:
        return f"{count / of:.1%} is above the ceiling of {ceilings.percent:g} %"
    return None


def _held_now(kind: Kind, totals: Totals) -> int:
    match kind:
        case (_, SubjectType.USER):
            return totals.active_users
        case (Action.REMOVE_MEMBER, _):
            return totals.memberships
        case _:
            return totals.groups


def _gone(kind: Kind, history: History) -> int:
    action, subject = kind
    counted = Action.DISABLE if subject is SubjectType.USER else action
    return history.removals_last_24h.get(counted, 0)
