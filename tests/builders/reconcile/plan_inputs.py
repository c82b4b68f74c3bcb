"""Random inputs of a plan, for property tests: a snapshot of Entra, the rows of the store, and a policy."""

from __future__ import annotations

from hypothesis import strategies as st

from store.records import (
    MembershipMode,
    Mode,
    Origin,
    Policy,
    Scope,
    User,
)
from tests.builders.reconcile.snapshots import (
    LONG_AGO,
    NOW,
    group_row,
    holding,
    person,
    reading,
    row,
)
from worker.reconcile.snapshot import GraphUser, Snapshot
from worker.reconcile.state import State

PEOPLE = ["ana", "bo", "cy", "di", "ed", "flo"]
NAMES = [f"{name}@corp.example" for name in ("ana", "bo", "cy", "di", "eve", "Ana")]
NICKNAMES = ["ana", "bo", "cy"]
GROUPS = ["sales", "staff", "board"]
TITLES = ["Sales", "Staff", "sales"]
PlanInputs = tuple[Snapshot, State, Policy]


@st.composite
def directory_users(draw: st.DrawFn) -> list[GraphUser]:
    ids = draw(st.lists(st.sampled_from(PEOPLE), unique=True))
    return [
        person(
            name,
            enabled=draw(st.booleans()),
            manager=draw(st.none() | st.sampled_from(PEOPLE)),
            userPrincipalName=draw(st.none() | st.sampled_from(NAMES)),
            mailNickname=draw(st.none() | st.sampled_from(NICKNAMES)),
            jobTitle=draw(st.none() | st.sampled_from(["Clerk", "Boss"])),
        )
        for name in ids
    ]


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    groups = draw(st.lists(st.sampled_from(GROUPS), unique=True))
    members = st.frozensets(st.sampled_from(PEOPLE + GROUPS))
    return reading(
        draw(directory_users()),
        draw(st.lists(st.sampled_from(PEOPLE), unique=True)),
        {group: draw(members) for group in groups},
        nested={group: draw(st.frozensets(st.sampled_from(PEOPLE))) for group in groups},
        deleted=draw(st.lists(st.sampled_from(PEOPLE), unique=True, max_size=2)),
        names={group: draw(st.sampled_from(TITLES)) for group in groups},
    )


@st.composite
def local_users(draw: st.DrawFn) -> list[User]:
    """Rows as the store allows them: live userNames and links are unique."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(NAMES),
                st.none() | st.sampled_from(PEOPLE),
                st.none() | st.sampled_from(PEOPLE + NICKNAMES),
                st.sampled_from(Origin),
                *[st.booleans()] * 5,
            ),
            max_size=6,
        )
    )
    rows: list[User] = []
    for number, (name, entra, external_id, origin, active, deleted, protected, admin, young) in enumerate(
        drawn
    ):
        live = [] if deleted else [r for r in rows if r.deleted_at is None]
        if any(r.user_name.lower() == name.lower() or (entra and r.entra_object_id == entra) for r in live):
            continue
        rows.append(
            row(
                f"row{number}",
                name=name,
                entra=entra,
                external_id=external_id,
                origin=origin,
                active=active,
                deleted=deleted,
                protected=protected,
                admin=admin,
                modified=NOW if young else LONG_AGO,
            )
        )
    return rows


@st.composite
def states(draw: st.DrawFn) -> State:
    users = draw(local_users())
    titles = draw(st.lists(st.sampled_from(["Sales", "Staff", "Chess"]), unique=True))
    groups = [
        group_row(
            f"group{number}",
            name=name,
            entra=draw(st.none() | st.just(GROUPS[number])),
            external_id=draw(st.none() | st.sampled_from(GROUPS)),
            origin=draw(st.sampled_from(Origin)),
            deleted=draw(st.booleans()),
        )
        for number, name in enumerate(titles)
    ]
    here = [str(group.id) for group in groups if group.deleted_at is None]
    candidates = [str(user.id) for user in users if user.deleted_at is None] + here
    if not candidates:
        return holding(users, groups)
    members = {group: draw(st.frozensets(st.sampled_from(candidates))) - {group} for group in here}
    return holding(users, groups, members)


policies = st.builds(
    Policy,
    mode=st.just(Mode.ENFORCE),
    mapping_confirmed=st.just(True),
    scope=st.sampled_from(Scope),
    membership=st.sampled_from(MembershipMode),
    clear_emptied_attributes=st.booleans(),
    deprovision_local_accounts=st.booleans(),
)


plan_inputs: st.SearchStrategy[PlanInputs] = st.tuples(snapshots(), states(), policies)
