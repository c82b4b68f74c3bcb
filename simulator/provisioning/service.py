"""The provisioning service: one job on one directory, with its client, its log and its
own rhythm.
"""

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from simulator.directory import Directory
from simulator.provisioning import cycle, on_demand, representation
from simulator.provisioning.client import Credentials, ScimClient, SecretToken, Target, parse_target
from simulator.provisioning.dialect import Dialect
from simulator.provisioning.errors import JobStopped, NotPossible
from simulator.provisioning.faults import Armed, Gap
from simulator.provisioning.job import Job, JobSettings, Link
from simulator.provisioning.log import Attempt, LogContext, ProvisioningLog
from simulator.provisioning.report import CycleReport, State
from simulator.provisioning.representation import JobHistory
from simulator.provisioning.run import Run, RunKind
from simulator.provisioning.workload import WorkloadIdentity
from simulator.signing import Signer

CLOCK_CHECK_S = 0.2
"""How often a running job looks at the directory's clock, which may have been
advanced."""
ON_DEMAND_CALLS = 5
ON_DEMAND_WINDOW = timedelta(seconds=10)


class ProvisioningService:
    """Entra's provisioning service for the one application of a directory; an async
    context manager.
    """

    def __init__(
        self,
        directory: Directory,
        settings: JobSettings | None = None,
        signer: Signer | None = None,
        name: str = "",
    ) -> None:
        self.directory = directory
        self.name = name
        """Empty for the main job of the application."""
        self.job_id = representation.job_id(directory, name)
        self.signer = signer or Signer()
        """What its assertions are signed with: the key of the directory's login
        side."""
        self.job = Job(settings or JobSettings(), directory.seed)
        self.history = JobHistory()
        self.target: Target | None = None
        self.log = ProvisioningLog(
            LogContext(
                directory.entra_tenant_id,
                self.job_id,
                directory.app_id,
                directory.service_principal_id,
                directory.app_display_name,
            )
        )
        self._session: aiohttp.ClientSession | None = None
        self._busy = asyncio.Lock()
        self._pending_settings: JobSettings | None = None
        self._rhythm: asyncio.Task[None] | None = None
        self._on_demand_calls: deque[datetime] = deque(maxlen=ON_DEMAND_CALLS)

    async def __aenter__(self) -> "ProvisioningService":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- what an admin does ---

    def configure(
        self,
        target_url: str | None = None,
        token: str | None = None,
        *,
        credentials: Credentials | None = None,
        dialect: Dialect | None = None,
        forward_flag: bool = False,
        timeout_s: float = 30.0,
        settings: JobSettings | None = None,
    ) -> None:
        """Set target, secret and settings.

        The dialect is the flag behind the URL's `?` unless given. Settings that come
        while a cycle runs are for the next one. A changed mapping or filter makes the
        next cycle an initial one: every object is evaluated anew (MAP); the object
        connections stay.
        """
        if settings is not None:
            self._pending_settings = settings
        if not self._busy.locked():
            self._take_settings()
        secret = credentials or (SecretToken(token) if token is not None else None)
        secret = secret or (self.target.credentials if self.target else SecretToken(""))
        if target_url is not None:
            self.target = parse_target(target_url, secret, forward_flag=forward_flag, timeout_s=timeout_s)
        elif self.target is not None:
            self.target = replace(self.target, credentials=secret)
        if dialect is not None and self.target is not None:
            self.target = replace(self.target, dialect=dialect)

    async def start(
        self,
        target_url: str | None = None,
        token: str | None = None,
        *,
        every_s: float | None = None,
        **options: Any,
    ) -> None:
        """Configure (as `configure`) and turn the job on; the first cycle is an initial
        one.

        With `every_s` it cycles by itself, on the directory's clock; without, only at
        `run_cycle`.
        """
        self.configure(target_url, token, **options)
        self._target()
        if self.job.watermark is None:
            self.job.scope = self.job.settings.scope
        self.job.state = "Active"
        if every_s is not None:
            self.job.settings = replace(self.job.settings, interval_s=every_s)
            await self._end_rhythm()
            self._rhythm = asyncio.create_task(self._keep_cycling())

    async def stop(self) -> None:
        """Pause the job; a cycle that runs finishes first."""
        await self._end_rhythm()
        self.job.state = "Paused"

    async def restart(self, *, full: bool = False, force_deletes: bool = False) -> None:
        """Clear watermark, escrows and quarantine; pending removals are lost, as they
        are in Entra.

        `full` also breaks the links, `force_deletes` allows what was staged.
        """
        async with self._busy:
            self._take_settings()
            self.job.restart(full=full, force_deletes=force_deletes)
            self.job.state = "Active"

    def arm(self, gap: Gap | str, principal: str | None = None, **how: Any) -> None:
        """Arm a gap; `probability`, `times`, `minutes` as in `faults.Armed`;
        DEAD_ANCHOR strikes at once.
        """
        fault = Armed(Gap(gap), principal, **how)
        if fault.gap is Gap.DEAD_ANCHOR:
            self._link(principal).target_id = str(uuid.uuid4())
        else:
            self.job.faults.arm(fault)

    def disarm(self, gap: Gap | str | None = None) -> None:
        self.job.faults.disarm(None if gap is None else Gap(gap))

    def drop_connection(self, object_id: str) -> None:
        """Delete an object connection, so that the object is matched anew; the job must
        be paused.
        """
        if self.job.state == "Active":
            raise NotPossible("Conflict", "pause the job before deleting an object connection", status=409)
        del self.job.links[self._link(object_id).source_id]

    def _link(self, object_id: str | None) -> Link:
        link = self.job.links.get(object_id or "")
        if link is None:
            raise NotPossible("NotFound", f"{object_id} is not linked to anything in the target", status=404)
        return link

    def workload_identity(
        self, login_url: str, token_endpoint: str, client_id: str, audience: str
    ) -> WorkloadIdentity:
        """Return credentials without a secret; `login_url` is where the directory's
        keys are published.
        """
        tenant_id = self.directory.entra_tenant_id
        issuer = f"{login_url}/{tenant_id}/v2.0"
        return WorkloadIdentity(token_endpoint, client_id, audience, tenant_id, issuer, self.signer)

    # --- what the service does ---

    async def test_connection(self) -> None:
        """Probe `/Users` and `/Groups`; raise JobStopped with what an admin would be
        shown.
        """
        await cycle.test_connection(self._run("incremental"))

    async def run_cycle(self) -> CycleReport:
        """Run one cycle now, in spite of schedule and quarantine; the report says
        whether it failed.
        """
        async with self._busy:
            self._take_settings()
            run = self._run("initial" if self.job.watermark is None else "incremental")
            began = run.now()
            stopped: JobStopped | None = None
            if not cycle.is_silent(self.job, began):
                try:
                    await cycle.run_cycle(run)
                except JobStopped as error:
                    stopped = error
            report = self._report(run, began, stopped)
            self.history.note(report)
            return report

    async def provision_on_demand(self, object_id: str, member_ids: Sequence[str] = ()) -> Attempt:
        """Provision one user, or one group with up to five members; NotPossible above 5
        calls per 10 s.
        """
        now = self.directory.clock.now()
        calls = self._on_demand_calls
        if len(calls) == ON_DEMAND_CALLS and now - calls[0] < ON_DEMAND_WINDOW:
            raise NotPossible("TooManyRequests", "provision on demand takes 5 requests per 10 s", status=429)
        calls.append(now)
        async with self._busy:
            self._take_settings()
            return await on_demand.provision(self._run("on_demand"), object_id, member_ids)

    def _report(self, run: Run, began: datetime, stopped: JobStopped | None) -> CycleReport:
        failed = run.counts["failed"] or run.counts["references_failed"]
        state: State = "Failed" if stopped else "EntryLevelErrors" if failed else "Succeeded"
        return CycleReport(
            cycle_id=run.cycle_id,
            kind=run.kind,
            state=state,
            began=began,
            ended=run.now(),
            counts={name: number for name, number in sorted(run.counts.items()) if number},
            requests=run.client.sent,
            entitled=sum(not link.released for link in self.job.links.values()),
            code=stopped.code if stopped else None,
            message=stopped.message if stopped else None,
        )

    # --- Graph's synchronization API ---

    def job_representation(self) -> dict[str, Any]:
        return representation.job_body(self.job_id, self.job, self.history)

    def schema_representation(self) -> dict[str, Any]:
        return representation.schema_body(self.directory, self.job_id, self.job, self.directory.clock.now())

    async def answer_on_demand(self, body: Mapping[str, Any]) -> dict[str, str]:
        """Serve Graph's `provisionOnDemand`; raise NotPossible with the status to
        answer.
        """
        object_id, members = on_demand.read_request(body, representation.rule_ids(self.directory))
        return on_demand.answer(await self.provision_on_demand(object_id, members))

    def put_secrets(self, secrets: Mapping[str, str]) -> None:
        """Serve Graph's `PUT …/synchronization/secrets`, for the keys that mean
        something here.
        """
        switches: dict[str, Any] = {}
        if "SyncAll" in secrets:
            switches["scope"] = "all" if secrets["SyncAll"].lower() == "true" else "assigned"
        if "SkipOutOfScopeDeletions" in secrets:
            switches["skip_out_of_scope_deletions"] = secrets["SkipOutOfScopeDeletions"].lower() == "true"
        settings = replace(self.settings, **switches)
        self.configure(secrets.get("BaseAddress"), secrets.get("SecretToken"), settings=settings)

    # --- inside ---

    @property
    def settings(self) -> JobSettings:
        """The settings as last saved, in force or not."""
        return self._pending_settings or self.job.settings

    def _take_settings(self) -> None:
        if self._pending_settings is not None:
            self.job.take_settings(self._pending_settings)
            self._pending_settings = None

    def _target(self) -> Target:
        if self.target is None:
            raise NotPossible(
                "NotConfigured", "set the Tenant URL and the Secret Token first (do: configure)"
            )
        return self.target

    def _run(self, kind: RunKind) -> Run:
        client = ScimClient(
            self._open_session(),
            self._target(),
            now=self.directory.clock.now,
            spoil_token=lambda: self.job.faults.fires(Gap.SECRET_EXPIRED),
        )
        return Run(self.directory, self.job, client, self.log, str(uuid.uuid4()), kind)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session

    async def _keep_cycling(self) -> None:
        next_at = self.directory.clock.now()
        while self.job.state == "Active":
            began = self.directory.clock.now()
            if began >= next_at:
                await self.run_cycle()
                next_at = self.job.next_cycle_at(began)
            await asyncio.sleep(min(CLOCK_CHECK_S, self.job.settings.interval_s))

    async def _end_rhythm(self) -> None:
        if self._rhythm is None:
            return
        async with self._busy:
            self._rhythm.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._rhythm
        self._rhythm = None

    async def close(self) -> None:
        """End the rhythm and close the connections."""
        await self._end_rhythm()
        if self._session is not None:
            await self._session.close()
