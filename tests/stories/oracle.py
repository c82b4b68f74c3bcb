"""What must hold after every step, and after every complete cycle."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from store.directory import groups, memberships
from store.records import CycleStatus, DriftFinding, DriftKind, FindingState, User, UserId
from store.sync import drift_reports
from tests.stories import rounds, secrets
from tests.stories.company import World
from tests.stories.promise import keep
from worker.cycle.report import CycleReport

WAITING = frozenset({FindingState.HELD, FindingState.ACCEPTED})


async def after_step(world: World) -> None:
    """No former holder's secret works, and no person reads another's history; then everybody signs in who can."""
    rows = await rounds.accounts(world)
    if world.facts.looked_at == rows:
        return
    await _secrets_are_their_owners(world, rows)
    _marks_are_their_owners(world, rows)
    for person in world.facts.people.values():
        account = rounds.stands_for(world, rows, person)
        is_new = account is not None and not _has_living(world, person, account)
        if account is not None and account.active and is_new:
            await secrets.issue(world, person, account)
            await _secrets_are_their_owners(world, rows)
    world.facts.looked_at = rows


def _has_living(world: World, person: str, account: User) -> bool:
    return any(
        each.person == person and each.user_id == account.id and not each.is_dead
        for each in world.facts.issued
    )


async def _secrets_are_their_owners(world: World, rows: Sequence[User]) -> None:
    by_id = {row.id: row for row in rows}
    living = await secrets.try_all(world, _versions(rows))
    shown = await secrets.histories(world, {each.user_id for each in living})
    for each in living:
        account = by_id.get(each.user_id)
        keep(account is not None, "W7", f"a {each.kind} of a deleted account works")
        assert account is not None
        holder = account.entra_object_id
        keep(
            holder in (None, each.person),
            "W3",
            f"a {each.kind} of {_name(world, each.person)} opens the account of {_name(world, holder)}",
        )
        others = shown[each.user_id] - {each.person}
        is_unread = holder is None and world.facts.setting.is_unread
        keep(
            not others or is_unread,
            "W4",
            f"{_name(world, each.person)} reads the history of {', '.join(_name(world, o) for o in others)}",
        )


def _versions(rows: Iterable[User]) -> dict[UserId, int]:
    return {row.id: row.version for row in rows}


def _marks_are_their_owners(world: World, rows: Iterable[User]) -> None:
    for row in rows:
        if row.is_admin or row.is_protected:
            owner = world.facts.marked.get(row.id)
            keep(
                row.entra_object_id in (None, owner),
                "W3",
                f"{_name(world, row.entra_object_id)} has the mark of {_name(world, owner)}",
            )


def _name(world: World, person: str | None) -> str:
    letters = {known: letter for letter, known in world.facts.people.items()}
    return letters.get(person or "", str(person))


# --- after a complete cycle ---


async def after_cycle(world: World, report: CycleReport) -> None:
    """Everybody entitled is in, nobody else is unless held and told, and every refusal has its remedy."""
    keep(report.complete, "calm", f"the reading was incomplete: {report.reasons}")
    keep(report.status in (CycleStatus.APPLIED, CycleStatus.HELD), "calm", f"{report.status} {report.error}")
    rows = await rounds.accounts(world)
    findings = await _findings(world, report)
    entitled = world.directory.entitled()
    for person in sorted(entitled):
        account = rounds.stands_for(world, rows, person)
        # Two people whom Entra anchored to one account: a person in Entra has to part them.
        shares = any(f.kind is DriftKind.SHARED_ANCHOR and person in _candidates(f) for f in findings)
        # An admin's account gives up a name only when a person says so.
        waits = any(
            row.user_name.lower() == _called(world, person) and _is_told(row, findings) for row in rows
        )
        keep(
            (account is not None and account.active) or shares or waits,
            "entitled",
            f"{_name(world, person)} is entitled and has no account with access",
        )
    for row in rows:
        if row.active:
            _has_a_right(world, row, entitled, findings)
    for each in await secrets.try_all(world, _versions(rows)):
        row = next(row for row in rows if row.id == each.user_id)
        is_told = _is_told(row, findings) or _is_spared(row)
        keep(
            each.person in entitled or is_told,
            "W7",
            f"a {each.kind} of {_name(world, each.person)} works, who is not entitled",
        )
    await _members_are_right(world, rows, entitled, findings)
    _refusals_have_remedies(world, rows, entitled, findings)


def _called(world: World, person: str) -> str:
    return world.directory.users[person].user_principal_name.lower()


def _has_a_right(
    world: World, row: User, entitled: Collection[str], findings: Sequence[DriftFinding]
) -> None:
    if row.entra_object_id in entitled or _is_spared(row) or _is_told(row, findings):
        return
    is_anchor = any(rounds.is_anchored(world, row, person) for person in entitled)
    keep(
        row.entra_object_id is None and is_anchor,
        "leaver",
        f"{row.user_name} has access, stands for {_name(world, row.entra_object_id)}, and is not held",
    )


def _is_spared(row: User) -> bool:
    """Protected accounts and the last admin stay whatever Entra says, and are told."""
    return row.is_protected or row.is_admin


def _is_told(row: User, findings: Sequence[DriftFinding]) -> bool:
    """Somebody is told of the account and has to decide."""
    return any(
        finding.state in WAITING and finding.subject_id in (row.id, row.entra_object_id)
        for finding in findings
    )


async def _members_are_right(
    world: World, rows: Sequence[User], entitled: Collection[str], findings: Sequence[DriftFinding]
) -> None:
    tenant_id, connection_id = world.connection.tenant_id, world.connection.id
    async with world.db.reading() as conn:
        here = await groups.load_state(conn, tenant_id, connection_id)
        held = await memberships.load_state(conn, tenant_id, connection_id)
    doubted = {
        candidate
        for finding in findings
        if finding.kind in (DriftKind.MATCH_CONFLICT, DriftKind.SHARED_ANCHOR)
        for candidate in (finding.subject_id, *_candidates(finding))
    }
    for group in here.values():
        if group.deleted_at is not None or group.entra_object_id is None:
            continue
        wanted = set(world.directory.live_members(group.entra_object_id)) & set(entitled)
        for row in rows:
            if not row.active or not row.entra_object_id or _is_spared(row) or _is_told(row, findings):
                continue
            if {row.id, row.entra_object_id} & doubted:
                continue
            is_member = row.id in held.get(group.id, ())
            keep(
                is_member == (row.entra_object_id in wanted),
                "members",
                f"{row.user_name} of {_name(world, row.entra_object_id)}: member {is_member}, in Entra {not is_member}",
            )


def _candidates(finding: DriftFinding) -> Sequence[str]:
    found = finding.evidence.get("candidates")
    return [str(each) for each in found] if isinstance(found, list | tuple) else []


def _refusals_have_remedies(
    world: World, rows: Sequence[User], entitled: Collection[str], findings: Sequence[DriftFinding]
) -> None:
    """A 409 about somebody entitled is healed by the pull, or a finding says what is in the way."""
    for entry in world.push.job.escrows.values():
        if "409" not in entry.message or entry.source_id not in entitled:
            continue
        account = rounds.stands_for(world, list(rows), entry.source_id)
        name = _called(world, entry.source_id)
        is_healed = account is not None and account.user_name.lower() == name
        is_told = any(
            entry.source_id in (finding.subject_id, *_candidates(finding))
            and finding.state is FindingState.OPEN
            for finding in findings
        )
        keep(
            is_healed or is_told,
            "409",
            f"{_name(world, entry.source_id)} is refused for ever: {entry.message}",
        )


async def _findings(world: World, report: CycleReport) -> Sequence[DriftFinding]:
    async with world.db.reading() as conn:
        found = await drift_reports.report(
            conn, world.connection.tenant_id, world.connection.id, report.cycle_id
        )
    return found.findings


async def fingerprint(world: World) -> object:
    """Everything about access that a second cycle must leave as it is."""
    tenant_id, connection_id = world.connection.tenant_id, world.connection.id
    async with world.db.reading() as conn:
        members = await memberships.load_state(conn, tenant_id, connection_id)
    rows = [
        (
            row.id,
            row.user_name,
            row.external_id,
            row.entra_object_id,
            row.active,
            row.holder_number,
            row.version,
        )
        for row in await rounds.accounts(world)
    ]
    return rows, {group: sorted(ids) for group, ids in members.items()}
