"""The admin side: change the company and arm faults, as JSON over HTTP.

It is mounted at `/admin`, for people and tests, without a login.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, fields
from datetime import timedelta
from functools import wraps
from typing import Any, get_args

import orjson
from aiohttp import web

from simulator.directory import Directory
from simulator.faults import FIELDS, parse_fault
from simulator.graph.behaviour import ClaimsChallenge
from simulator.objects import (
    DEFAULT_ACCESS,
    Conflict,
    DirectoryError,
    DirGroup,
    DirUser,
    OtherKind,
    UnknownObject,
)
from simulator.provisioning.faults import Gap
from simulator.provisioning.routes import VERBS
from simulator.registration import DEFAULT_CONSENT, FederatedCredential
from simulator.simulation import Simulation
from simulator.state import directory_state

Handler = Callable[[web.Request], Awaitable[web.Response]]
Body = Mapping[str, Any]


def add_admin(app: web.Application, simulation: Simulation) -> None:
    """Mount the admin routes on the sub-application of `/admin`."""
    admin = Admin(simulation)
    route = app.router.add_route
    route("GET", "", index)
    route("POST", "/users", _safe(admin.create_user))
    route("PATCH", "/users/{id}", _safe(admin.change_user))
    route("DELETE", "/users/{id}", _safe(admin.delete_user))
    route("POST", "/users/{id}/restore", _safe(admin.restore_user))
    route("POST", "/users/{id}/purge", _safe(admin.purge_user))
    route("POST", "/groups", _safe(admin.create_group))
    route("PATCH", "/groups/{id}", _safe(admin.change_group))
    route("DELETE", "/groups/{id}", _safe(admin.delete_group))
    route("POST", "/groups/{id}/restore", _safe(admin.restore_group))
    route("POST", "/groups/{id}/purge", _safe(admin.purge_group))
    route("POST", "/objects", _safe(admin.create_other))
    route("PUT", "/groups/{id}/members/{member}", _safe(admin.add_member))
    route("DELETE", "/groups/{id}/members/{member}", _safe(admin.remove_member))
    route("PUT", "/assignments/{id}", _safe(admin.assign))
    route("DELETE", "/assignments/{id}", _safe(admin.unassign))
    route("GET", "/state", _safe(admin.state))
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


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


def _federated(wanted: object) -> FederatedCredential:
    """Read whose assertions to trust."""
    names = {field.name for field in fields(FederatedCredential)}
    if not isinstance(wanted, dict) or not {"issuer", "subject"} <= wanted.keys() <= names:
        raise ValueError("federated needs issuer and subject, and may have an audience")
    return FederatedCredential(**wanted)


async def _body(request: web.Request) -> dict[str, Any]:
    """Read a JSON object; no body is an empty one."""
    raw = await request.read()
    document = orjson.loads(raw) if raw else {}
    if not isinstance(document, dict):
        raise ValueError("the body must be a JSON object")
    return document


def _shown(found: DirUser | DirGroup) -> dict[str, Any]:
    manager = {"manager": found.manager_id} if isinstance(found, DirUser) else {}
    return {"id": found.id, **found.properties, **manager}


class Admin:
    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    @property
    def _directory(self) -> Directory:
        return self._simulation.directory

    # --- people and groups ---

    async def create_user(self, request: web.Request) -> web.Response:
        """Create a user from Graph property names; `manager` is an object id."""
        properties = await _body(request)
        manager = properties.pop("manager", None)
        return _json(_shown(self._directory.create_user(properties, manager_id=manager)), 201)

    async def change_user(self, request: web.Request) -> web.Response:
        """Set properties; null clears one."""
        properties = await _body(request)
        user_id = request.match_info["id"]
        if "manager" in properties:
            self._directory.set_manager(user_id, properties.pop("manager"))
        return _json(_shown(self._directory.change_user(user_id, properties)))

    async def delete_user(self, request: web.Request) -> web.Response:
        """Move a user to the recycle bin."""
        self._directory.soft_delete_user(request.match_info["id"])
        return web.Response(status=204)

    async def restore_user(self, request: web.Request) -> web.Response:
        """Take a user out of the recycle bin."""
        return _json(_shown(self._directory.restore_user(request.match_info["id"])))

    async def purge_user(self, request: web.Request) -> web.Response:
        """Delete a user for good."""
        self._directory.purge_user(request.match_info["id"])
        return web.Response(status=204)

    async def create_group(self, request: web.Request) -> web.Response:
        """Create a group; `members` (ids) and `assigned` (boolean) are done along."""
        properties = await _body(request)
        members, assigned = properties.pop("members", []), properties.pop("assigned", False)
        group = self._directory.create_group(properties)
        for member in members:
            self._directory.add_member(group.id, member)
        if assigned:
            self._directory.assign(group.id)
        return _json(_shown(group), 201)

    async def create_other(self, request: web.Request) -> web.Response:
        """Create a `device`, `orgContact` or `servicePrincipal` (`type`): a mere
        member.
        """
        properties = await _body(request)
        kind = properties.pop("type", None)
        if kind not in get_args(OtherKind):
            raise ValueError(f"type must be one of {', '.join(get_args(OtherKind))}, not {kind!r}")
        other = self._directory.create_other(kind, properties)
        return _json({"id": other.id, "type": other.kind, **other.properties}, 201)

    async def change_group(self, request: web.Request) -> web.Response:
        """Set properties of a group; null clears one."""
        return _json(_shown(self._directory.change_group(request.match_info["id"], await _body(request))))

    async def delete_group(self, request: web.Request) -> web.Response:
        """Move a group to the recycle bin."""
        self._directory.delete_group(request.match_info["id"])
        return web.Response(status=204)

    async def restore_group(self, request: web.Request) -> web.Response:
        """Take a group out of the recycle bin."""
        return _json(_shown(self._directory.restore_group(request.match_info["id"])))

    async def purge_group(self, request: web.Request) -> web.Response:
        """Delete a group for good."""
        self._directory.purge_group(request.match_info["id"])
        return web.Response(status=204)

    async def add_member(self, request: web.Request) -> web.Response:
        """Add a member to a group."""
        changed = self._directory.add_member(request.match_info["id"], request.match_info["member"])
        return _json({"changed": changed})

    async def remove_member(self, request: web.Request) -> web.Response:
        """Remove a member from a group."""
        changed = self._directory.remove_member(request.match_info["id"], request.match_info["member"])
        return _json({"changed": changed})

    async def assign(self, request: web.Request) -> web.Response:
        """Assign a user or group to the application; `appRoleId` is default access
        unless given.
        """
        role = (await _body(request)).get("appRoleId", DEFAULT_ACCESS)
        assignment = self._directory.assign(request.match_info["id"], role)
        return _json({"id": assignment.id, "principalType": assignment.principal_type, "appRoleId": role})

    async def unassign(self, request: web.Request) -> web.Response:
        """End one role (`?appRoleId=`) of a principal, or all."""
        changed = self._directory.unassign(request.match_info["id"], request.query.get("appRoleId"))
        return _json({"changed": changed})

    async def state(self, request: web.Request) -> web.Response:
        """Answer the true state of every user: entitled or not, why, and the SCIM
        attributes that follow (`?scim=false` leaves these out).
        """
        return _json(directory_state(self._directory, with_scim=request.query.get("scim") != "false"))

    # --- what goes wrong ---

    async def list_faults(self, _: web.Request) -> web.Response:
        """Answer the armed faults, and how often each was met."""
        armed = self._simulation.faults.armed
        return _json(
            [{"match": f.match.pattern, "status": f.status, "seen": f.seen, "hit": f.hit} for f in armed]
        )

    async def arm_fault(self, request: web.Request) -> web.Response:
        """Arm a fault: `match`, and what happens to the requests that it meets."""
        self._simulation.faults.arm(parse_fault(await _body(request)))
        return _json({"armed": len(self._simulation.faults.armed)}, 201)

    async def clear_faults(self, _: web.Request) -> web.Response:
        """Disarm every fault."""
        self._simulation.faults.clear()
        return web.Response(status=204)

    async def get_behaviour(self, _: web.Request) -> web.Response:
        """Answer how Graph behaves."""
        return _json(asdict(self._simulation.behaviour))

    async def set_behaviour(self, request: web.Request) -> web.Response:
        """Set fields of `graph.behaviour.Behaviour` by their names."""
        wanted = await _body(request)
        behaviour = self._simulation.behaviour
        known = {field.name for field in fields(behaviour)}
        if unknown := set(wanted) - known:
            raise ValueError(f"unknown: {sorted(unknown)}; known: {sorted(known)}")
        if wanted.get("claims_challenge", "") not in get_args(ClaimsChallenge):
            raise ValueError("claims_challenge is '', 'once' or 'always'")
        for name, value in wanted.items():
            setattr(behaviour, name, tuple(value) if isinstance(value, list) else value)
        return _json(asdict(behaviour))

    async def get_consent(self, _: web.Request) -> web.Response:
        """Answer the granted permissions."""
        return _json({"roles": sorted(self._simulation.registration.roles)})

    async def set_consent(self, request: web.Request) -> web.Response:
        """Grant exactly `roles` (without: the usual ones).

        Works at once, also on tokens that are out.
        """
        roles = (await _body(request)).get("roles")
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
        body = await _body(request)
        if "federated" in body:
            trusted = _federated(body["federated"])
            self._simulation.registration.federated.append(trusted)
            return _json(asdict(trusted), 201)
        if "certificate" in body:
            return _json(
                {"thumbprint": self._simulation.registration.add_certificate(body["certificate"])}, 201
            )
        if not isinstance(body.get("secret"), str):
            raise ValueError("give a certificate (PEM), a secret or a federated issuer")
        life_s = body.get("expires_in_s")
        expires = None if life_s is None else self._directory.clock.now() + timedelta(seconds=float(life_s))
        self._simulation.registration.secrets[body["secret"]] = expires
        return _json({"expires": expires}, 201)

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
        body, registration = await _body(request), self._simulation.registration
        if "redirect_uris" in body:
            registration.redirect_uris = set(map(str, body["redirect_uris"]))
        if "logout_url" in body:
            registration.logout_url = body["logout_url"]
        registration.sign_in_consent = body.get("consent", registration.sign_in_consent) is True
        return _json(
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
        return _json({"subscriptions": held, "undelivered": len(notifier.deliveries)})

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
        return _json({"now": self._directory.clock.now(), "advanced_s": self._directory.clock.offset_s})

    async def advance_clock(self, request: web.Request) -> web.Response:
        """Let `advance_s` seconds pass."""
        body = await _body(request)
        seconds = body.get("advance_s", body.get("seconds", body.get("advance")))
        if not isinstance(seconds, int | float):
            raise ValueError("give advance_s, a number of seconds")
        self._directory.advance(float(seconds))
        return await self.get_clock(request)

    async def list_requests(self, _: web.Request) -> web.Response:
        """Return the last requests outside `/admin`, oldest first: method, path and
        status.
        """
        return _json(list(self._simulation.requests))

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
