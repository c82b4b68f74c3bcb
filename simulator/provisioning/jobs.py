"""The provisioning jobs of one application: the main one, and further ones by name.

An application may have several jobs, each with a mapping, a scope and a target of its
own (for example members by one, guests by another). They share nothing but the
directory.
"""

from collections.abc import Iterator

from simulator.provisioning.errors import NotPossible
from simulator.provisioning.log import LogEntry
from simulator.provisioning.service import ProvisioningService


class ProvisioningJobs:
    """The jobs of one application, created on first use of their names."""

    def __init__(self, main: ProvisioningService) -> None:
        self.main = main
        self._by_name = {main.name: main}

    def __iter__(self) -> Iterator[ProvisioningService]:
        return iter(self._by_name.values())

    def named(self, name: str, *, create: bool = False) -> ProvisioningService:
        """Return a job by name, `""` for the main one.

        Raise NotPossible (404) for an unknown name unless `create`.
        """
        if name not in self._by_name:
            if not create:
                known = ", ".join(repr(each) for each in self._by_name)
                message = f"there is no job {name!r}; configure it first (jobs: {known})"
                raise NotPossible("NotFound", message, status=404)
            self._by_name[name] = ProvisioningService(self.main.directory, signer=self.main.signer, name=name)
        return self._by_name[name]

    def with_id(self, job_id: str) -> ProvisioningService | None:
        """Return a job by the id that Graph shows."""
        return next((service for service in self if service.job_id == job_id), None)

    def log_entries(self) -> list[LogEntry]:
        """Return the entries of all logs, newest first."""
        entries = [entry for service in self for entry in service.log.search()]
        if len(self._by_name) > 1:
            entries.sort(key=lambda entry: str(entry["activityDateTime"]), reverse=True)
        return entries

    async def close(self) -> None:
        """End the rhythm of every job and close its connections."""
        for service in self:
            await service.close()
