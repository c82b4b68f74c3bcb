"""Single SCIM requests as Entra sends them, right or wrong: stale ones, doubled ones, ones about nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.provisioning.mapping import map_attributes, user_body
from store.records import Group, User
from tests.simulation import truth
from tests.simulation.picture import Picture
from tests.simulation.world import World

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True, slots=True)
class Push:
    """One request, drawn before it is sent, so that the same dice give the same request whenever it lands."""

    told: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    claims: Callable[[Picture], bool] = lambda _: True
    """What holds after it was answered with success, unless another push came later."""
    subject: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a push."""

    status: int
    """Never 500."""
    subject: str
    """Whom or which group it was about; of somebody new: the id in the answer."""


async def send(world: World, push: Push) -> Answered:
    status, body = await world.scim(push.method, push.path, push.body)
    world.count(f"push {push.method} {status}")
    return Answered(status, push.subject or str((body or {}).get("id", "")))


def draw(world: World, picture: Picture) -> Push:
    """Draws a push about somebody or some group that is here, or about somebody new."""
    kinds: list[Callable[[World, Picture], Push | None]] = [
        *[_title] * 3,
        *[_access] * 3,
        *[_membership] * 4,
        _rename_group,
        _delete_user,
        _delete_group,
        _stranger,
        _newcomer,
        _newcomer,
    ]
    while True:
        push = world.dice.choice(kinds)(world, picture)
        if push is not None:
            return push


def _patch(path: str, value: object, op: str = "Replace") -> dict[str, Any]:
    return {"schemas": [PATCH_OP], "Operations": [{"op": op, "path": path, "value": value}]}


def _somebody(world: World, picture: Picture) -> User | None:
    """Rather somebody whom the next cycle has something to do with: there a push and a cycle meet."""
    people = truth.entitled(world.directory, world.policy)
    in_motion = [row for row in picture.live if _is_in_motion(world, row, people)]
    pool = in_motion if in_motion and world.dice.random() < 0.7 else picture.live
    return world.dice.choice(pool) if pool else None


def _is_in_motion(world: World, row: User, people: frozenset[str]) -> bool:
    user = world.directory.users.get(row.entra_object_id or "")
    has_moved = user is not None and user.text("jobTitle") != row.document.get("title")
    return has_moved or row.active is not (row.entra_object_id in people)


def _some_group(world: World, picture: Picture) -> Group | None:
    return world.dice.choice(picture.live_groups) if picture.live_groups else None


def _title(world: World, picture: Picture) -> Push | None:
    user = _somebody(world, picture)
    if user is None:
        return None
    title, user_id = f"pushed {world.dice.randrange(1000)}", user.id

    def holds(after: Picture) -> bool:
        return after.users[user_id].document.get("title") == title

    told = f"push: title of {user.user_name[:40]}"
    return Push(told, "PATCH", f"/Users/{user_id}", _patch("title", title), holds, user_id)


def _access(world: World, picture: Picture) -> Push | None:
    user = _somebody(world, picture)
    if user is None:
        return None
    active, user_id = world.dice.random() < 0.4, user.id
    value: object = active if world.dice.random() < 0.5 else str(active)

    def holds(after: Picture) -> bool:
        return after.users[user_id].active is active

    told = f"push: {user.user_name[:40]} active {active}"
    return Push(told, "PATCH", f"/Users/{user_id}", _patch("active", value), holds, user_id)


def _membership(world: World, picture: Picture) -> Push | None:
    group, user = _some_group(world, picture), _somebody(world, picture)
    if group is None or user is None:
        return None
    group_id, user_id, joins = group.id, user.id, world.dice.random() < 0.5

    def holds(after: Picture) -> bool:
        is_gone = after.users[user_id].deleted_at or after.groups[group_id].deleted_at
        if is_gone is not None or (user_id in after.members.get(group_id, ())) is joins:
            return True
        # W3: "memberships end that Entra does not give"; what came meanwhile, the next cycle compares (seed 53041).
        return after.users[user_id].holder_number != user.holder_number

    told = f"push: {user.user_name[:40]} {'joins' if joins else 'leaves'} {group.display_name}"
    body = _patch("members", [{"value": user_id}], "Add" if joins else "Remove")
    return Push(told, "PATCH", f"/Groups/{group_id}", body, holds, group_id)


def _rename_group(world: World, picture: Picture) -> Push | None:
    group = _some_group(world, picture)
    if group is None:
        return None
    name, group_id = f"Pushed {world.dice.randrange(1000)}", group.id

    def holds(after: Picture) -> bool:
        return after.groups[group_id].display_name == name

    told = f"push: group {group.display_name} is called {name}"
    return Push(told, "PATCH", f"/Groups/{group_id}", _patch("displayName", name), holds, group_id)


def _delete_user(world: World, picture: Picture) -> Push | None:
    user = _somebody(world, picture)
    if user is None:
        return None
    user_id = user.id

    def holds(after: Picture) -> bool:
        return after.users[user_id].deleted_at is not None

    return Push(
        f"push: {user.user_name[:40]} is deleted", "DELETE", f"/Users/{user_id}", None, holds, user_id
    )


def _delete_group(world: World, picture: Picture) -> Push | None:
    group = _some_group(world, picture)
    if group is None:
        return None
    group_id = group.id

    def holds(after: Picture) -> bool:
        return after.groups[group_id].deleted_at is not None

    told = f"push: group {group.display_name} is deleted"
    return Push(told, "DELETE", f"/Groups/{group_id}", None, holds, group_id)


def _stranger(world: World, _picture: Picture) -> Push:
    """Somebody who was purged before anybody here could link the account."""
    name = f"stranger{world.dice.randrange(10_000)}@fabrikam-demo.example"
    return Push(f"push: {name} arrives", "POST", "/Users", user_body({"userName": name, "active": "True"}))


def _newcomer(world: World, _picture: Picture) -> Push | None:
    """Somebody from the directory, whether or not already here."""
    person = world.life.anybody()
    if person is None:
        return None
    user = world.directory.users[person]
    source = {**user.properties, "id": user.id, "IsSoftDeleted": not user.enabled}
    body = user_body(map_attributes(world.mapping.of_push, source))
    return Push(f"push: {user.user_principal_name[:40]} arrives", "POST", "/Users", body)
