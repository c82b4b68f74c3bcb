"""The simulated Entra tenant, by its admin side: who works there, who leaves, what the push does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from console.demo.http import call
from console.demo.processes import Json


@dataclass(frozen=True, slots=True)
class Entra:
    """The tenant, as its own administrator sees it."""

    ready: Json
    """What `leaver simulator` printed: URLs, ids, credentials."""

    def admin(self, method: str, path: str, body: object = None) -> Any:
        return call(method, f"{self.ready['admin_url'].rstrip('/')}{path}", body)

    def state(self) -> Json:
        """Who is entitled and why, computed by the simulator from its own data."""
        state: Json = self.admin("GET", "/state")
        return state

    def entitled(self) -> dict[str, Json]:
        """Entitled people by userPrincipalName in lower case."""
        return {user["userPrincipalName"].lower(): user for user in self.state()["users"] if user["entitled"]}

    # --- people ---

    def change(self, user_id: str, **properties: object) -> None:
        self.admin("PATCH", f"/users/{user_id}", properties)

    def delete(self, user_id: str) -> None:
        self.admin("DELETE", f"/users/{user_id}")

    def purge(self, user_id: str) -> None:
        self.admin("POST", f"/users/{user_id}/purge")

    def assign(self, principal_id: str) -> None:
        self.admin("PUT", f"/assignments/{principal_id}")

    def unassign(self, principal_id: str) -> None:
        self.admin("DELETE", f"/assignments/{principal_id}")

    def remove_member(self, group_id: str, user_id: str) -> None:
        self.admin("DELETE", f"/groups/{group_id}/members/{user_id}")

    # --- the provisioning service ---

    def provisioning(self, do: str, **fields: object) -> Any:
        return self.admin("POST", "/provisioning", {"do": do, **fields})

    def cycle(self) -> Json:
        """Runs one provisioning cycle and gives Entra's own report of it."""
        report: Json = self.provisioning("cycle")
        return report

    def log(self) -> Sequence[Json]:
        """Entra's provisioning log, the newest first."""
        found: Any = self.admin("GET", "/provisioning/log")
        entries: Sequence[Json] = found["value"] if isinstance(found, dict) else found
        return entries


def groups_of(state: Json, user_id: str) -> Iterator[Json]:
    """The groups a person is a direct member of."""
    return (group for group in state["groups"] if user_id in group["members"])
