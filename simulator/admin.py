"""The admin side: change the company and arm faults, as JSON over HTTP.

It is mounted at `/admin`, for people and tests, without a login.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, fields
from datetime import timedelta
from functools import wraps
from typing import Any, get_args

from aiohttp import web

from simulator.admin_directory import DirectoryAdmin, json_answer, read_body
from simulator.directory import Directory
from simulator.faults import FIELDS, parse_fault
from simulator.graph.behaviour import ClaimsChallenge
from simulator.objects import (
    Conflict,
    DirectoryError,
    UnknownObject,
)
from simulator.provisioning.faults import Gap
from simulator.provisioning.routes import VERBS
from simulator.registration import DEFAULT_CONSENT, FederatedCredential
from simulator.simulation import Simulation

Handler = Callable[[web.Request], Awaitable[web.Response]]
Body = Mapping[str, Any]


def add_admin(app: web.Application, simulation: Simulation) -> None:
    """Mount the admin routes on the sub-application of `/admin`."""
    admin, company = Admin(simulation), DirectoryAdmin(simulation.directory)
    route = app.router.add_route
    route("GET", "", index)
    route("POST", "/users", _safe(company.create_user))
    route("PATCH", "/users/{id}", _safe(company.change_user))
    route("DELETE", "/users/{id}", _safe(company.delete_user))
    route("POST", "/users/{id}/restore", _safe(company.restore_user))
    route("POST", "/users/{id}/purge", _safe(company.purge_user))
    route("POST", "/groups", _safe(company.create_group))
    route("PATCH", "/groups/{id}", _safe(company.change_group))
    route("DELETE", "/groups/{id}", _safe(company.delete_group))
    route("POST", "/groups/{id}/restore", _safe(company.restore_group))
    route("POST", "/groups/{id}/purge", _safe(company.purge_group))
    route("POST", "/objects", _safe(company.create_other))
    route("PUT", "/groups/{id}/members/{member}", _safe(company.add_member))
    route("DELETE", "/groups/{id}/members/{member}", _safe(company.remove_member))
    route("PUT", "/assignments/{id}", _safe(company.assign))
    route("DELETE", "/assignments/{id}", _safe(company.unassign))
    route("GET", "/state", _safe(company.state))
    route("GET", "/faults", _safe(admin.list_faults))
    route("POST", "/faults", _safe(admin.arm_fault))
    route("DELETE", "/faults", _safe(admin.clear_faults))
    route("GET", "/behaviour", _safe(admin.get_behaviour))
    route("PATCH", "/behaviour", _safe(admin.set_behaviour))
    route("GET", "/consent", _safe(admin.get_consent))
    route("PUT", "/consent", _safe(admin.set_consent))
    route("DELETE", "/consent", _safe(admin.lose_consent))
    route("POST", "/credentials", _safe(admin.add_credential))
    route("DELETE", "/credentials", _safe(admin.drop_credentials))
    route("PATCH", "/sign-in", _safe(admin.set_sign_in))
    route("POST", "/tokens/expire", _safe(admin.expire_tokens))
    route("POST", "/keys/roll-over", _safe(admin.roll_over_keys))
    route("POST", "/delta/expire", _safe(admin.expire_delta))
    route("GET", "/subscriptions", _safe(admin.list_subscriptions))
    route("POST", "/subscriptions/{id}/reauthorization", _safe(admin.ask_for_reauthorization))
    route("GET", "/clock", _safe(admin.get_clock))
    route("POST", "/clock", _safe(admin.advance_clock))
    route("GET", "/requests", _safe(admin.list_requests))
    route("DELETE", "/requests", _safe(admin.clear_requests))


def _safe(handler: Handler) -> Handler:
    """Turn what the directory refuses into an answer that says so."""

    @wraps(handler)
    async def guarded(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except UnknownObject as error:
            return _refusal(404, "unknown_object", str(error))
        except Conflict as error:
            return _refusal(409, "conflict", str(error))
        except (DirectoryError, ValueError) as error:
            return _refusal(400, "bad_request", str(error))

    return guarded


def _refusal(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)


def _federated(wanted: object) -> FederatedCredential:
    """Read whose assertions to trust."""
    names = {field.name for field in fields(FederatedCredential)}
    if not isinstance(wanted, dict) or not {"issuer", "subject"} <= wanted.keys() <= names:
        raise ValueError("federated needs issuer and subject, and may have an audience")
    return FederatedCredential(**wanted)


class Admin:
    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    @property
    def _directory(self) -> Directory:
        return self._simulation.directory

    # --- what goes wrong ---

    async def list_faults(self, _: web.Request) -> web.Response:
        """Answer the armed faults, and how often each was met."""
        armed = self._simulation.faults.armed
        return json_answer(
            [{"match": f.match.pattern, "status": f.status, "seen": f.seen, "hit": f.hit} for f in armed]
        )

    async def arm_fault(self, request: web.Request) -> web.Response:
        """Arm a fault: `match`, and what happens to the requests that it meets."""
        self._simulation.faults.arm(parse_fault(await read_body(request)))
        return json_answer({"armed": len(self._simulation.faults.armed)}, 201)

    async def clear_faults(self, _: web.Request) -> web.Response:
        """Disarm every fault."""
        self._simulation.faults.clear()
        return web.Response(status=204)

    async def get_behaviour(self, _: web.Request) -> web.Response:
        """Answer how Graph behaves."""
        return json_answer(asdict(self._simulation.behaviour))

    async def set_behaviour(self, request: web.Request) -> web.Response:
        """Set fields of `graph.behaviour.Behaviour` by their names."""
        wanted = await read_body(request)
        behaviour = self._simulation.behaviour
        known = {field.name for field in fields(behaviour)}
        if unknown := set(wanted) - known:
            raise ValueError(f"unknown: {sorted(unknown)}; known: {sorted(known)}")
        if wanted.get("claims_challenge", "") not in get_args(ClaimsChallenge):
            raise ValueError("claims_challenge is '', 'once' or 'always'")
        for name, value in wanted.items():
            setattr(behaviour, name, tuple(value) if isinstance(value, list) else value)
        return json_answer(asdict(behaviour))

    async def get_consent(self, _: web.Request) -> web.Response:
        """Answer the granted permissions."""
        return json_answer({"roles": sorted(self._simulation.registration.roles)})

    async def set_consent(self, request: web.Request) -> web.Response:
        """Grant exactly `roles` (without: the usual ones).

        Works at once, also on tokens that are out.
        """
        roles = (await read_body(request)).get("roles")
        self._simulation.registration.roles = DEFAULT_CONSENT if roles is None else frozenset(map(str, roles))
        return await self.get_consent(request)

    async def lose_consent(self, request: web.Request) -> web.Response:
        """Take back every permission, or one (`?role=`)."""
        role = request.query.get("role")
        held = self._simulation.registration.roles
        self._simulation.registration.roles = frozenset() if role is None else held - {role}
        return await self.get_consent(request)

    async def add_credential(self, request: web.Request) -> web.Response:
        """Register a credential of the application.

        A `certificate` (PEM), a `secret` that may expire (`expires_in_s`), or a trusted
        issuer: `federated` with `issuer`, `subject` and `audience`.
        """
        body = await read_body(request)
        if "federated" in body:
            trusted = _federated(body["federated"])
            self._simulation.registration.federated.append(trusted)
            return json_answer(asdict(trusted), 201)
        if "certificate" in body:
            return json_answer(
                {"thumbprint": self._simulation.registration.add_certificate(body["certificate"])}, 201
            )
        if not isinstance(body.get("secret"), str):
            raise ValueError("give a certificate (PEM), a secret or a federated issuer")
        life_s = body.get("expires_in_s")
        expires = None if life_s is None else self._directory.clock.now() + timedelta(seconds=float(life_s))
        self._simulation.registration.secrets[body["secret"]] = expires
        return json_answer({"expires": expires}, 201)

    async def drop_credentials(self, _: web.Request) -> web.Response:
        """Revoke every secret, certificate and federated credential."""
        self._simulation.registration.secrets.clear()
        self._simulation.registration.federated.clear()
        self._simulation.registration.certificates.clear()
        return web.Response(status=204)

    async def set_sign_in(self, request: web.Request) -> web.Response:
        """Register `redirect_uris` and a `logout_url`; `consent` false asks for an
        admin.
        """
        body, registration = await read_body(request), self._simulation.registration
        if "redirect_uris" in body:
            registration.redirect_uris = set(map(str, body["redirect_uris"]))
        if "logout_url" in body:
            registration.logout_url = body["logout_url"]
        registration.sign_in_consent = body.get("consent", registration.sign_in_consent) is True
        return json_answer(
            {"redirect_uris": sorted(registration.redirect_uris), "logout_url": registration.logout_url}
        )

    async def expire_tokens(self, _: web.Request) -> web.Response:
        """Let Graph answer 401 to every access token issued until now."""
        self._simulation.authority.signer.cut_off()
        return web.Response(status=204)

    async def roll_over_keys(self, _: web.Request) -> web.Response:
        """Sign with a new key from now on; the old one stays published."""
        self._simulation.authority.signer.roll_over()
        return web.Response(status=204)

    async def expire_delta(self, _: web.Request) -> web.Response:
        """Let every delta token issued until now answer 410."""
        self._simulation.behaviour.delta_epoch += 1
        return web.Response(status=204)

    # --- change notifications ---

    async def list_subscriptions(self, _: web.Request) -> web.Response:
        """Answer the subscriptions there are, and how many deliveries wait for an
        answer.
        """
        notifier = self._simulation.notifier
        notifier.drop_expired()
        held = [
            {
                "id": each.id,
                "resource": each.resource,
                "reauthorization_wanted": each.reauthorization_wanted,
            }
            for each in notifier.subscriptions.values()
        ]
        return json_answer({"subscriptions": held, "undelivered": len(notifier.deliveries)})

    async def ask_for_reauthorization(self, request: web.Request) -> web.Response:
        """Send `reauthorizationRequired` for one subscription now."""
        held = self._simulation.notifier.subscriptions.get(request.match_info["id"])
        if held is None:
            raise UnknownObject(request.match_info["id"])
        self._simulation.notifier.ask_for_reauthorization(held)
        return web.Response(status=204)

    # --- time, and who asked what ---

    async def get_clock(self, _: web.Request) -> web.Response:
        """Answer the time of the directory."""
        return json_answer({"now": self._directory.clock.now(), "advanced_s": self._directory.clock.offset_s})

    async def advance_clock(self, request: web.Request) -> web.Response:
        """Let `advance_s` seconds pass."""
        body = await read_body(request)
        seconds = body.get("advance_s", body.get("seconds", body.get("advance")))
        if not isinstance(seconds, int | float):
            raise ValueError("give advance_s, a number of seconds")
        self._directory.advance(float(seconds))
        return await self.get_clock(request)

    async def list_requests(self, _: web.Request) -> web.Response:
        """Return the last requests outside `/admin`, oldest first: method, path and
        status.
        """
        return json_answer(list(self._simulation.requests))

    async def clear_requests(self, _: web.Request) -> web.Response:
        """Forget the requests."""
        self._simulation.requests.clear()
        return web.Response(status=204)


async def index(request: web.Request) -> web.Response:
    """Answer with everything that can be asked here, and of the provisioning
    service.
    """
    routes = [route for route in request.app.router.routes() if route.method != "HEAD" and route.resource]
    return web.json_response(
        {
            "admin": [
                {
                    "request": f"{route.method} {route.resource.canonical}",
                    "does": " ".join((route.handler.__doc__ or "").split()),
                }
                for route in routes
                if route.resource is not None
            ],
            "faults": sorted(FIELDS),
            "provisioning": {
                "request": "POST /admin/provisioning",
                "do": VERBS,
                "gaps": [gap.value for gap in Gap],
            },
            "guide": "docs/simulator.md",
        }
    )
