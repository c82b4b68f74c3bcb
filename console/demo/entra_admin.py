"""The simulated Entra tenant, by its admin side, and the company that it holds.

Exactly 200 people work there in 12 groups, all of them entitled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from console.demo.processes import Json, call

PEOPLE = 200
GROUPS = 12
SEED = 2026
DIRECT = 6
"""The number of people in no group, assigned to the application directly."""


@dataclass(frozen=True, slots=True)
class Entra:
    """The simulated tenant, as its own administrator changes it."""

    ready: Json
    """The line that `leaver simulator` printed: URLs, ids, credentials."""

    def admin(self, method: str, path: str, body: object = None) -> Any:
        """Send one request to the admin side, and return its JSON."""
        return call(method, f"{self.ready['admin_url'].rstrip('/')}{path}", body)

    def state(self) -> Json:
        """Return who is entitled and why, from the simulator's own data."""
        state: Json = self.admin("GET", "/state")
        return state

    def entitled(self) -> dict[str, Json]:
        """Return the entitled users by userPrincipalName in lower case."""
        return {user["userPrincipalName"].lower(): user for user in self.state()["users"] if user["entitled"]}

    # --- users ---

    def change(self, user_id: str, **properties: object) -> None:
        """Set properties of a user, by their Graph names."""
        self.admin("PATCH", f"/users/{user_id}", properties)

    def delete(self, user_id: str) -> None:
        """Delete a user softly."""
        self.admin("DELETE", f"/users/{user_id}")

    def purge(self, user_id: str) -> None:
        """Delete a softly deleted user for good."""
        self.admin("POST", f"/users/{user_id}/purge")

    def assign(self, principal_id: str) -> None:
        """Assign a user or a group to the application."""
        self.admin("PUT", f"/assignments/{principal_id}")

    def unassign(self, principal_id: str) -> None:
        """Take the assignment of a user or a group away."""
        self.admin("DELETE", f"/assignments/{principal_id}")

    def remove_member(self, group_id: str, user_id: str) -> None:
        """Remove a direct member of a group."""
        self.admin("DELETE", f"/groups/{group_id}/members/{user_id}")

    # --- the provisioning service ---

    def provisioning(self, do: str, **fields: object) -> Any:
        """Start, stop or configure the provisioning service, or run one cycle of it."""
        return self.admin("POST", "/provisioning", {"do": do, **fields})

    def cycle(self) -> Json:
        """Run one provisioning cycle, and return Entra's own report of it."""
        report: Json = self.provisioning("cycle")
        return report

    def log(self) -> Sequence[Json]:
        """Return Entra's provisioning log, the newest entry first."""
        found: Any = self.admin("GET", "/provisioning/log")
        entries: Sequence[Json] = found["value"] if isinstance(found, dict) else found
        return entries


def groups_of(state: Json, user_id: str) -> Iterator[Json]:
    """Yield the groups that a user is a direct member of."""
    return (group for group in state["groups"] if user_id in group["members"])


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
