"""The company of the demo: exactly 200 people in 12 groups, all of them entitled."""

from __future__ import annotations

from console.demo.entra_admin import Entra, groups_of

PEOPLE = 200
GROUPS = 12
SEED = 2026
DIRECT = 6
"""People without a group, assigned by themselves."""


def move_in(entra: Entra) -> None:
    """Makes everybody entitled, a few by themselves and not through a group."""
    for group in entra.state()["groups"]:
        entra.assign(group["id"])
    state = entra.state()
    for person in state["users"]:
        if person["reason"] == "disabled":
            entra.change(person["id"], accountEnabled=True)
        if not any(groups_of(state, person["id"])):
            entra.assign(person["id"])
    for person in state["users"][-DIRECT:]:
        for group in groups_of(state, person["id"]):
            entra.remove_member(group["id"], person["id"])
        entra.assign(person["id"])
