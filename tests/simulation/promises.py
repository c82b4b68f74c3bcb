"""What must always hold (design.md §7), checked against the simulator's own truth and the store's rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import RowMapping

from simulator.provisioning import paths
from store.directory import sessions
from store.directory.flat_attributes import work_emails
from store.errors import AccessRefused
from store.records import REMOVALS, Action, CycleStatus, Mode, Origin, User, UserId
from tests.simulation.picture import Picture, fingerprint
from tests.simulation.truth import Throughout
from tests.simulation.world import World
from worker.cycle.report import CycleReport

_EVENTS = {
    ("user", "create"): "user.provisioned",
    ("user", "update"): "user.updated",
    ("user", "disable"): "user.deprovisioned",
    ("user", "enable"): "user.reactivated",
    ("user", "delete"): "user.deleted",
    ("user", "restore"): "user.reactivated",
    ("user", "link"): "user.updated",
    ("user", "change_holder"): "user.holder_changed",
    ("user", "release_names"): "user.updated",
    ("user", "unseal"): "user.updated",
    ("user", "other"): "user.updated",
    ("group", "create"): "group.created",
    ("group", "update"): "group.updated",
    ("group", "delete"): "group.deleted",
    ("group", "restore"): "group.created",
    ("group", "link"): "group.updated",
    ("group", "add_member"): "membership.added",
    ("group", "remove_member"): "membership.removed",
}


_BY_EFFECT = ("release_names", "restore", "retire", "seal")
"""Actions whose event says whether the person has access after them."""


class Broken(AssertionError):
    """A promise that was not kept."""


def keep(condition: object, promise: str, otherwise: str) -> None:
    if not condition:
        raise Broken(f"{promise}: {otherwise}")


# --- after every step ---


async def always(world: World, before: Picture, after: Picture) -> None:
    """I3, I4, I5, I8, I10, and that the rows agree with the events that tell of them."""
    keep(not world.faults_of_ours, "no 500", f"{world.faults_of_ours}")
    locked_out = {row.id for row in after.users.values() if not row.active or row.deleted_at}
    keep(
        not after.signed_in & locked_out,
        "I3",
        f"signed in though without access: {after.signed_in & locked_out}",
    )
    keep(not (wrong := await world.keys.wrong_ones(after)), "I10", "; ".join(wrong))
    _entries_have_events(after)
    _rows_have_events(world, after)
    _nothing_dangles(after)
    keep(before.users.keys() <= after.users.keys(), "I8", "a user's row is gone")
    keep(before.results.items() <= after.results.items(), "I8", "history is gone")
    await _bystander_is_as_before(world)


EVERY = 4
"""So often the other tenant is looked at: what changed there stays so, and each look reads every table."""


async def _bystander_is_as_before(world: World) -> None:
    world.looks += 1
    if world.looks % EVERY:
        return
    rows = await fingerprint(world.db, world.bystander.tenant_id)
    changed = [name for name, each in rows.items() if each != world.bystander_rows.get(name)]
    keep(not changed, "I5", f"the other tenant's {', '.join(changed)} changed")


async def nobody_locked_out_signs_in(world: World, picture: Picture) -> None:
    """I3: a deprovisioned user cannot start a session."""
    locked_out = sorted(row.id for row in picture.users.values() if not row.active or row.deleted_at)
    for user_id in locked_out[:3]:
        try:
            await world.db.write(
                lambda conn, user_id=user_id: sessions.start(conn, world.connection.tenant_id, user_id)  # type: ignore[misc]
            )
        except AccessRefused:
            continue
        raise Broken(f"I3: {user_id} signed in without access")


def _entries_have_events(after: Picture) -> None:
    done = [entry for entry in after.entries if entry["status"] == "success"]
    told = Counter(
        (_EVENTS[e["subject_type"], e["action"]], e["subject_id"])
        for e in done
        if e["action"] not in _BY_EFFECT
    )
    told_by_effect = Counter(e["subject_id"] for e in done if e["action"] in _BY_EFFECT)
    # That sessions ended is no change of the account.
    changes = (event for event in after.events if not event.type.startswith("session."))
    heard = Counter((event.type, event.subject_id) for event in changes)
    keep(not told - heard, "I4", f"log without events {told - heard}")
    rest = heard - told
    counted = Counter(dict.fromkeys(told_by_effect, 0))
    for (_, subject), number in rest.items():
        counted[subject] += number
    keep(counted == told_by_effect, "I4", f"events without log {rest}, log {told_by_effect}")


def _rows_have_events(world: World, after: Picture) -> None:
    listener = world.listener
    for user in after.users.values():
        heard = listener.versions[user.id]
        keep(
            user.version == heard,
            "I4",
            f"{user.user_name} is at version {user.version}, {heard} events told of it",
        )
        has_access = user.active and user.deleted_at is None
        keep(
            listener.access[user.id] is has_access,
            "I4",
            f"the events have {user.user_name} otherwise than the row",
        )
    for group in after.groups.values():
        heard = listener.versions[group.id]
        keep(
            group.version <= heard,
            "I4",
            f"{group.display_name} is at version {group.version}, events: {heard}",
        )
    heard_members: dict[str, set[str]] = {
        group: set(members) for group, members in listener.members.items() if members
    }
    held: dict[str, set[str]] = {group: set(members) for group, members in after.members.items() if members}
    keep(heard_members == held, "I4", f"the events have other members: {_difference(heard_members, held)}")


def _difference(one: Mapping[str, set[str]], other: Mapping[str, set[str]]) -> str:
    differing = [key for key in {*one, *other} if one.get(key) != other.get(key)]
    return "; ".join(f"{key}: {one.get(key)} / {other.get(key)}" for key in differing)


def _nothing_dangles(after: Picture) -> None:
    here = {row.id for row in after.live} | {row.id for row in after.live_groups}
    for group_id, members in after.members.items():
        keep(not members or group_id in here, "I4", f"members of a group that is gone: {group_id}")
        keep(members <= here, "I4", f"members who are gone, in {group_id}: {members - here}")


# --- after a cycle, on-demand work, an approval ---


def by_this(after: Picture, correlation_id: str) -> list[RowMapping]:
    """What was done under one id."""
    return [e for e in after.entries if e["correlation_id"] == correlation_id and e["status"] == "success"]


def only_forgot_managers(after: Picture, correlation_id: str) -> bool:
    """Whether all that was done under one id was to empty managers."""
    done = by_this(after, correlation_id)
    what = [modified for entry in done for modified in entry["modified"]]
    return bool(done) and all(
        each["attribute"].startswith(paths.MANAGER) and each["new"] is None for each in what
    )


def refused(after: Picture, correlation_id: str) -> list[str]:
    """What was tried under one id and could not be done, with why."""
    return [
        f"{e['action']} {e['subject_label']}: {e['steps'][-1]['detail']}"
        for e in after.entries
        if e["correlation_id"] == correlation_id and e["status"] != "success"
    ]


def nobody_entitled_lost_access(
    world: World, before: Picture, after: Picture, done: Sequence[RowMapping], true: Throughout
) -> None:
    """I1, and the same of memberships and groups."""
    for entry in done:
        action, subject = Action(entry["action"]), str(entry["subject_id"])
        if entry["subject_type"] == "user" and action in REMOVALS:
            person = person_of(world, before, after, subject)
            is_kept = person not in true.entitled or _is_spare(after, subject, person)
            keep(is_kept, "I1", f"{entry['subject_label']} lost access and is entitled")
        elif action is Action.DELETE:
            group = _group_of(before, after, subject)
            keep(
                group not in true.groups, "I1", f"group {entry['subject_label']} is assigned and was deleted"
            )
        elif action is Action.REMOVE_MEMBER and entry["amount"]:
            group = _group_of(before, after, subject)
            for each in entry["modified"]:
                person = person_of(world, before, after, each["old"])
                is_wrong = (group, person) in true.memberships and person in true.entitled
                keep(not is_wrong, "I1", f"{person} was taken out of {entry['subject_label']}, wrongly")


def _is_spare(after: Picture, row_id: str, person: str | None) -> bool:
    """Whether an account that nobody is known to hold was one more of somebody who has access by their own (seed 64006)."""
    row = after.users.get(UserId(row_id))
    is_free = row is not None and row.entra_object_id is None
    return is_free and any(each.entra_object_id == person for each in active_rows(after))


def person_of(world: World, before: Picture, after: Picture, row_id: str) -> str | None:
    """Whose account a row is: by its link, else by Entra's own, else by its name."""
    row = after.users.get(UserId(row_id)) or before.users.get(UserId(row_id))
    if row is None:
        return None
    if row.entra_object_id:
        return row.entra_object_id
    anchored = [person for person, link in world.push.job.links.items() if link.target_id == row_id]
    called = (each for each in world.directory.users if _is_called(world, each, row))
    return next(iter(anchored), None) or next(called, None)


def _is_called(world: World, person: str, row: User) -> bool:
    return str(world.attributes(person).get("userName")).lower() == row.user_name.lower()


def _group_of(before: Picture, after: Picture, row_id: str) -> str | None:
    rows = {**before.groups, **after.groups}
    row = next((row for key, row in rows.items() if key == row_id), None)
    return row.entra_object_id if row else None


NOTES = frozenset({Action.LINK, Action.SEAL, Action.UNSEAL})
"""Actions that note who an account stands for and change nothing that a push writes."""


def no_push_was_overwritten(after: Picture, cycle_id: str) -> None:
    """I7: nothing that a push touched while the cycle ran was changed by the cycle after that."""
    pushed: dict[str, str] = {}
    for entry in after.entries:
        # An entry without an amount belongs to the deletion of something else: that is what left the group.
        if entry["status"] != "success" or not entry["amount"]:
            continue
        subject = str(entry["subject_id"])
        if entry["origin"] == Origin.SCIM:
            pushed[subject] = f"{entry['action']} {entry['subject_label']}"
        elif entry["correlation_id"] == cycle_id and entry["action"] not in NOTES and subject in pushed:
            raise Broken(f"I7: pushed ({pushed[subject]}), then the cycle did {entry['action']} to the same")


def was_pushed(after: Picture, subject: str) -> bool:
    """A push that found everything so already changed nothing, and a later change undoes nothing of it."""
    return any(
        e["subject_id"] == subject and e["origin"] == Origin.SCIM and e["status"] == "success"
        for e in after.entries
    )


def report_is_what_was_done(report: CycleReport, done: Iterable[RowMapping]) -> None:
    """I6: each applied change has exactly one entry in the log."""
    logged: Counter[str] = Counter()
    for entry in done:
        # Names that an account without access gives up count for no ceiling.
        is_release = entry["action"] == Action.RELEASE_NAMES
        logged[_arrival(entry["action"])] += 1 if is_release else entry["amount"]
    told: Counter[str] = Counter()
    for action, number in report.applied.items():
        told[_arrival(action)] += number
    keep(+logged == +told, "I6", f"reported {dict(told)}, logged {dict(logged)}")


def _arrival(action: str) -> str:
    """The store brings somebody back where the plan only knew of somebody new."""
    return Action.CREATE if action == Action.RESTORE else action


def guard_was_heard(
    world: World, report: CycleReport, before: Picture, after: Picture, done: Sequence[RowMapping]
) -> None:
    """An incomplete reading and mode `report` remove nobody; nor is a ceiling passed.

    A held plan holds its own rows only: an unrelated leaver goes (I12), and I1 is kept by a promise of its own.
    Where a reading is doubted because one person was found entitled after all, those go whom Graph, asked for each
    alone, calls disabled or deleted: "such an answer needs no list" (`worker.reconcile.confirmation`).
    An account without access that gives up its names loses nothing (`worker.reconcile.guard`): it has no amount.
    """
    removed = [entry for entry in done if entry["action"] in REMOVALS and entry["amount"]]
    if world.policy.mode is Mode.REPORT:
        keep(not done, "mode report", f"{len(done)} changes were applied")
    if report.complete is not True:
        unproven = [entry for entry in removed if not _is_out(world, before, after, entry)]
        keep(
            not unproven,
            "safety",
            f"{report.status} (complete {report.complete}) and yet {len(unproven)} removals",
        )
    if report.status is CycleStatus.HELD:
        keep(report.held_plan is not None, "I2", "held, and nobody was told")
    disabled = sum(entry["amount"] for entry in removed if entry["subject_type"] == "user")
    ceilings, active = world.policy.ceilings, sum(row.active for row in before.live)
    is_above = disabled > ceilings.floor and disabled * 100 > ceilings.percent * active
    keep(not is_above, "safety", f"{disabled} of {active} lost access in one cycle, above the ceiling")


def _is_out(world: World, before: Picture, after: Picture, entry: RowMapping) -> bool:
    """Entra itself says that the person of an account that lost access is disabled, or in the recycle bin; the names
    may go to somebody else with it (seed 73086).
    """
    if entry["action"] not in (Action.DISABLE, Action.RELEASE_NAMES):
        return False
    row = before.users[UserId(entry["subject_id"])]
    if row.entra_object_id is None and _was_called(world, row):
        return True
    person = person_of(world, before, after, row.id)
    if person is None:
        return False
    known = world.directory.users.get(person)
    return person in world.directory.deleted_users if known is None else not known.enabled


def _was_called(world: World, row: User) -> bool:
    """Somebody in the recycle bin had the name, or the address, of an account that nobody holds (seed 70027).

    Entra writes the id before a deleted user's userPrincipalName.
    """
    gone = (
        (each, deleted.item.user_principal_name) for each, deleted in world.directory.deleted_users.items()
    )
    names = {row.user_name.lower(), *map(str.lower, work_emails(row.document))}
    return not names.isdisjoint(name.removeprefix(each.replace("-", "")).lower() for each, name in gone)


def active_rows(picture: Picture) -> list[User]:
    return [row for row in picture.live if row.active]
