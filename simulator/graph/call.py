"""One call on its way through the simulated Graph: the tenant, the request, the parts
of its address.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from simulator.directory import Directory
from simulator.graph.behaviour import Behaviour
from simulator.graph.wire import GraphRequest, GraphResponse
from simulator.notifications import Notifier
from simulator.objects import DirGroup, DirUser, JsonValue
from simulator.provisioning import ProvisioningJobs
from simulator.registration import Registration

Document = Mapping[str, JsonValue]


@dataclass(slots=True)
class Tenant:
    """Everything the simulated Graph knows: directory, behaviour, an index of its
    version.
    """

    directory: Directory
    behaviour: Behaviour = field(default_factory=Behaviour)
    provisioning: ProvisioningJobs | None = None
    registration: Registration | None = None
    notifier: Notifier | None = None
    _version: int = -1
    _users: tuple[list[int], list[DirUser]] = field(default_factory=lambda: ([], []))
    _groups: tuple[list[int], list[DirGroup]] = field(default_factory=lambda: ([], []))

    def users(self) -> tuple[list[int], list[DirUser]]:
        """Return all live users with their places, ascending."""
        self._refresh()
        return self._users

    def groups(self) -> tuple[list[int], list[DirGroup]]:
        """Return all live groups with their places, ascending."""
        self._refresh()
        return self._groups

    def _refresh(self) -> None:
        if self._version == self.directory.version:
            return
        users, groups = list(self.directory.users.values()), list(self.directory.groups.values())
        self._users = ([user.ordinal for user in users], users)
        self._groups = ([group.ordinal for group in groups], groups)
        self._version = self.directory.version


@dataclass(frozen=True, slots=True)
class Call:
    tenant: Tenant
    request: GraphRequest
    arguments: Mapping[str, str]
    """The variable parts of the address."""

    @property
    def directory(self) -> Directory:
        return self.tenant.directory

    def argument(self, name: str) -> str:
        return self.arguments[name]


Handler = Callable[[Call], GraphResponse | Awaitable[GraphResponse]]
