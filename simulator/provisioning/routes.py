"""`POST /provisioning` and `GET /provisioning/log`: the service over HTTP, for people
and other processes.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from aiohttp import web

from simulator.provisioning import on_demand
from simulator.provisioning.client import ClientCredentials, Credentials
from simulator.provisioning.dialect import Dialect
from simulator.provisioning.errors import JobStopped, NotPossible, ProvisioningError
from simulator.provisioning.expression import BadExpression
from simulator.provisioning.job import JobSettings
from simulator.provisioning.jobs import ProvisioningJobs
from simulator.provisioning.mapping import edit, with_matching
from simulator.provisioning.retry import Thresholds
from simulator.provisioning.scope import Clause
from simulator.provisioning.service import ProvisioningService
from simulator.provisioning.workload import sync_fabric_id

Body = Mapping[str, Any]
_LOGIN_URL = "login_url"
"""Where this simulator answers, login included; added to each body."""
Verb = Callable[[ProvisioningService, Body], Awaitable[dict[str, Any]]]

_PLAIN_SETTINGS = {field.name for field in fields(JobSettings)} - {
    "user_mapping",
    "group_mapping",
    "scoping_filters",
    "thresholds",
}

_READ_SETTINGS = frozenset(
    {"mapping", "matching", "group_mapping", "group_matching", "scoping_filters", "thresholds"}
)


def add_routes(app: web.Application, served: ProvisioningJobs | ProvisioningService) -> None:
    """Serve provisioning jobs on an application, and close them with the
    application."""
    jobs = served if isinstance(served, ProvisioningJobs) else ProvisioningJobs(served)

    async def post(request: web.Request) -> web.Response:
        """Do what the body's `do` says."""
        return await _answer(jobs, request)

    async def get_log(request: web.Request) -> web.Response:
        """Answer the provisioning log of a job, newest first."""
        return _log(jobs, request)

    async def close(_: web.Application) -> None:
        await jobs.close()

    app.router.add_post("/provisioning", post)
    app.router.add_get("/provisioning/log", get_log)
    app.on_cleanup.append(close)


async def _answer(jobs: ProvisioningJobs, request: web.Request) -> web.Response:
    """Do what the body's `do` says, with the main job or the one that `job` names.

    | do | further fields |
    | --- | --- |
    | `jobs` | answers `{"jobs": [{"name", "id", "state"}]}` |
    | `configure` | the fields of a target, below; an unknown `job` is created |
    | `start` | the same, and `every_s`: cycle on the directory's clock |
    | `stop` | |
    | `cycle` | one cycle now; answers its report |
    | `restart` | `full`: break the links too; `force_deletes`: allow staged ones |
    | `test` | Test Connection: `{"ok", "code", "message"}` |
    | `provision_on_demand` | `object_id`, `member_ids` (<= 5): result, status, steps |
    | `arm`, `disarm` | `gap`, `principal`, `probability`, `times`, `minutes` |
    | `drop_connection` | `object_id`: forget a link; the job must be stopped |
    | `status` | the job as Graph shows it |
    | `identity` | `issuer` and `subject` of what `workload_identity` signs |

    The fields of a target: `target_url`, `token` or `client_credentials` or
    `workload_identity`, `dialect`, `forward_flag`, `timeout_s`, `settings`. `dialect`
    is `default` or `aadOptscim062020`; without it the flag behind the URL's `?`
    decides. `client_credentials` is `{"token_endpoint", "client_id", "client_secret",
    "location": "header"|"body"}`, `workload_identity` is `{"token_endpoint",
    "client_id", "audience"}`: no secret, an assertion signed here. `settings` takes the
    names of `job.JobSettings`; further `mapping` (`{SCIM path: source or null}`, over
    what there is), `matching` (`[SCIM path, …]`), `group_mapping`, `group_matching`,
    `thresholds`, and `scoping_filters` (`[[{"attribute", "operator", "value"}]]`). A
    source is an attribute name or one of the expressions of `expression`. A body that
    makes no sense is answered 400 with `{"error": {"code", "message"}}`.
    """
    try:
        body = {**await request.json(), _LOGIN_URL: f"{request.scheme}://{request.host}"}
        if body["do"] == "jobs":
            return web.json_response({"jobs": [_listed(service) for service in jobs]})
        verb = _VERBS[body["do"]]
        service = jobs.named(str(body.get("job", "")), create=body["do"] in {"configure", "start"})
        return web.json_response(await verb(service, body))
    except NotPossible as error:
        return _error(error.status, error.code, error.message)
    except ProvisioningError as error:
        return _error(502, error.code, error.message)
    except (BadExpression, TypeError, ValueError) as error:
        return _error(400, "BadRequest", str(error))
    except KeyError as error:
        return _error(400, "BadRequest", f"unknown or missing: {error}; `do` is one of {', '.join(_VERBS)}")


def _listed(service: ProvisioningService) -> dict[str, Any]:
    return {"name": service.name, "id": service.job_id, "state": service.job.state}


def _error(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


def _log(jobs: ProvisioningJobs, request: web.Request) -> web.Response:
    """Answer log entries of a job (`job`), newest first.

    `cycleId`, `status`, `action`, `sourceId` filter, `top` limits.
    """
    query = request.query
    try:
        service = jobs.named(query.get("job", ""))
    except NotPossible as error:
        return _error(error.status, error.code, error.message)
    top = query.get("top", "")
    if top and not top.isdigit():
        return _error(400, "BadRequest", f"top must be a number, not {top!r}")
    entries = service.log.search(
        cycle_id=query.get("cycleId"),
        status=query.get("status"),
        action=query.get("action"),
        source_id=query.get("sourceId"),
        top=int(top) if top else None,
    )
    return web.json_response({"value": entries})


# --- verbs ---


async def _configure(service: ProvisioningService, body: Body) -> dict[str, Any]:
    service.configure(**_options(service, body))
    return service.job_representation()


async def _start(service: ProvisioningService, body: Body) -> dict[str, Any]:
    await service.start(every_s=body.get("every_s"), **_options(service, body))
    return service.job_representation()


async def _stop(service: ProvisioningService, _: Body) -> dict[str, Any]:
    await service.stop()
    return service.job_representation()


async def _cycle(service: ProvisioningService, _: Body) -> dict[str, Any]:
    return (await service.run_cycle()).to_json()


async def _restart(service: ProvisioningService, body: Body) -> dict[str, Any]:
    await service.restart(full=bool(body.get("full")), force_deletes=bool(body.get("force_deletes")))
    return service.job_representation()


async def _test(service: ProvisioningService, _: Body) -> dict[str, Any]:
    try:
        await service.test_connection()
    except JobStopped as stopped:
        return {"ok": False, "code": stopped.code, "message": stopped.message}
    return {"ok": True, "code": None, "message": None}


async def _provision_on_demand(service: ProvisioningService, body: Body) -> dict[str, Any]:
    attempt = await service.provision_on_demand(body["object_id"], body.get("member_ids") or [])
    return {"status": attempt.status, **on_demand.answer(attempt)}


async def _arm(service: ProvisioningService, body: Body) -> dict[str, Any]:
    how = {name: body[name] for name in ("probability", "times", "minutes") if name in body}
    service.arm(body["gap"], body.get("principal"), **how)
    return {"armed": [fault.gap.value for fault in service.job.faults.armed]}


async def _disarm(service: ProvisioningService, body: Body) -> dict[str, Any]:
    service.disarm(body.get("gap"))
    return {"armed": [fault.gap.value for fault in service.job.faults.armed]}


async def _drop_connection(service: ProvisioningService, body: Body) -> dict[str, Any]:
    service.drop_connection(body["object_id"])
    return service.job_representation()


async def _status(service: ProvisioningService, _: Body) -> dict[str, Any]:
    return service.job_representation()


async def _identity(service: ProvisioningService, body: Body) -> dict[str, Any]:
    tenant_id = service.directory.entra_tenant_id
    return {"issuer": f"{body[_LOGIN_URL]}/{tenant_id}/v2.0", "subject": sync_fabric_id(tenant_id)}


_VERBS: dict[str, Verb] = {
    "configure": _configure,
    "start": _start,
    "stop": _stop,
    "cycle": _cycle,
    "restart": _restart,
    "test": _test,
    "provision_on_demand": _provision_on_demand,
    "arm": _arm,
    "disarm": _disarm,
    "drop_connection": _drop_connection,
    "status": _status,
    "identity": _identity,
}


VERBS = ("jobs", *_VERBS)
"""Everything that `do` may say."""

# --- reading a body ---


def _options(service: ProvisioningService, body: Body) -> dict[str, Any]:
    options: dict[str, Any] = {
        name: body[name] for name in ("target_url", "token", "forward_flag", "timeout_s") if name in body
    }
    if "dialect" in body:
        options["dialect"] = Dialect.DEFAULT if body["dialect"] == "default" else Dialect(body["dialect"])
    if "client_credentials" in body:
        credentials: Credentials = ClientCredentials(**body["client_credentials"])
        options["credentials"] = credentials
    elif "workload_identity" in body:
        options["credentials"] = service.workload_identity(body[_LOGIN_URL], **body["workload_identity"])
    if "settings" in body:
        options["settings"] = _settings(service.settings, body["settings"])
    return options


def _settings(settings: JobSettings, wanted: Body) -> JobSettings:
    unknown = set(wanted) - _PLAIN_SETTINGS - _READ_SETTINGS
    if unknown:
        raise ValueError(f"unknown settings: {', '.join(sorted(unknown))}")
    settings = replace(settings, **{name: wanted[name] for name in _PLAIN_SETTINGS & set(wanted)})
    if "mapping" in wanted:
        settings = replace(settings, user_mapping=edit(settings.user_mapping, wanted["mapping"]))
    if "matching" in wanted:
        settings = replace(settings, user_mapping=with_matching(settings.user_mapping, wanted["matching"]))
    if "group_mapping" in wanted:
        settings = replace(settings, group_mapping=edit(settings.group_mapping, wanted["group_mapping"]))
    if "group_matching" in wanted:
        matched = with_matching(settings.group_mapping, wanted["group_matching"])
        settings = replace(settings, group_mapping=matched)
    if "scoping_filters" in wanted:
        filters = tuple(
            tuple(Clause(**clause) for clause in clauses) for clauses in wanted["scoping_filters"]
        )
        settings = replace(settings, scoping_filters=filters)
    if "thresholds" in wanted:
        settings = replace(settings, thresholds=Thresholds(**wanted["thresholds"]))
    return settings
