"""The simulated company: exactly 200 people in 12 groups, all of them entitled."""

from __future__ import annotations

from console.demo.entra_admin import Entra, groups_of

PEOPLE = 200
GROUPS = 12
SEED = 2026
DIRECT = 6
"""The number of people in no group, assigned to the application directly."""


def assign_everyone(entra: Entra) -> None:
    """Entitle every user, most through a group and `DIRECT` of them directly."""
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
