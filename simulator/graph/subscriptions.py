"""`/subscriptions`: create, read, renew, reauthorize and delete (change notifications).

Users, groups and the members of one group can be watched. Both URLs are validated when
the subscription is made; `lifecycleNotificationUrl` cannot be added later. Plain http
is taken, and only loopback addresses are called: this is a simulator. Error texts are
not verified.
"""

import ipaddress
import re
import uuid
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from simulator.graph.call import Call
from simulator.graph.limits import CLIENT_STATE_LENGTH, MOST_SUBSCRIPTIONS, SUBSCRIPTION_LIFE
from simulator.graph.paging import plain_list
from simulator.graph.visibility import DIRECTORY, Roles
from simulator.graph.wire import (
    GraphError,
    GraphResponse,
    bad_request,
    json_response,
    not_found,
    request_denied,
)
from simulator.notifications import Notifier, Subscription, ValidationFailed
from simulator.objects import JsonValue

CHANGE_TYPES = frozenset({"created", "updated", "deleted"})
WATCHED = re.compile(r"/?(?P<kind>users|groups)(?:/(?P<object>[^/]+)(?P<members>/members)?)?\Z")
READERS: dict[str, Roles] = {
    "users": DIRECTORY | {"User.Read.All", "User.ReadWrite.All"},
    "groups": DIRECTORY | {"Group.Read.All", "Group.ReadWrite.All"},
}
"""Permissions of which one is enough to watch: those that read the resource."""


def list_subscriptions(call: Call) -> GraphResponse:
    """Answer the subscriptions of the calling application."""
    shown = [_shown(held) for held in _notifier(call).subscriptions.values()]
    answer = plain_list(call, "subscriptions", shown)
    return GraphResponse(answer.status, answer.body, answer.headers, answer.content_type)


def get_subscription(call: Call) -> GraphResponse:
    return _entity(call, _find(call))


async def create_subscription(call: Call) -> GraphResponse:
    """Validate both URLs, then keep the subscription (201)."""
    notifier = _notifier(call)
    wanted = _body(call)
    subscription = _parsed(call, wanted)
    if len(notifier.subscriptions) >= MOST_SUBSCRIPTIONS:
        message = f"Maximum number of active subscriptions ({MOST_SUBSCRIPTIONS}) was reached."
        raise GraphError(403, "Forbidden", message)
    try:
        await notifier.add(subscription)
    except ValidationFailed as failed:
        raise bad_request(str(failed), "ValidationError") from None
    return _entity(call, subscription, 201)


def renew_subscription(call: Call) -> GraphResponse:
    """Set another `expirationDateTime`; nothing else can be changed."""
    subscription = _find(call)
    wanted = _body(call)
    if set(wanted) != {"expirationDateTime"}:
        raise bad_request("Only expirationDateTime can be updated.", "InvalidRequest")
    subscription.renew(_expiration(call, wanted))
    return _entity(call, subscription)


def reauthorize_subscription(call: Call) -> GraphResponse:
    _find(call).reauthorization_wanted = False
    return GraphResponse(204)


def delete_subscription(call: Call) -> GraphResponse:
    del _notifier(call).subscriptions[_find(call).id]
    return GraphResponse(204)


def _notifier(call: Call) -> Notifier:
    if call.tenant.notifier is None:
        raise not_found("subscriptions")
    call.tenant.notifier.drop_expired()
    return call.tenant.notifier


def _find(call: Call) -> Subscription:
    subscription_id = call.argument("subscription")
    held = _notifier(call).subscriptions.get(subscription_id)
    if held is None:
        message = f"The object was not found: subscription '{subscription_id}'."
        raise GraphError(404, "ResourceNotFound", message)
    return held


def _body(call: Call) -> dict[str, Any]:
    body = call.request.json()
    if not isinstance(body, dict):
        raise bad_request("The body must be an object.")
    return body


def _parsed(call: Call, wanted: dict[str, Any]) -> Subscription:
    for name in ("changeType", "notificationUrl", "resource", "expirationDateTime"):
        if not isinstance(wanted.get(name), str):
            raise bad_request(f"Property '{name}' is required.", "InvalidRequest")
    state = wanted.get("clientState")
    if state is not None and len(str(state)) > CLIENT_STATE_LENGTH:
        raise bad_request(f"clientState is longer than {CLIENT_STATE_LENGTH}.", "InvalidRequest")
    change_types = frozenset(part.strip() for part in wanted["changeType"].split(","))
    if not change_types <= CHANGE_TYPES:
        raise bad_request(f"Invalid changeType '{wanted['changeType']}'.", "InvalidRequest")
    lifecycle_url = wanted.get("lifecycleNotificationUrl")
    kind, object_id, members_only = _watched(call, wanted["resource"])
    return Subscription(
        id=str(uuid.uuid4()),
        resource=wanted["resource"],
        kind=kind,
        object_id=object_id,
        members_only=members_only,
        change_types=change_types,
        change_type=wanted["changeType"],
        notification_url=_loopback(wanted["notificationUrl"]),
        lifecycle_url=None if lifecycle_url is None else _loopback(str(lifecycle_url)),
        client_state=None if state is None else str(state),
        application_id=call.directory.client_id,
        creator_id=call.directory.service_principal_id,
        tenant_id=call.directory.entra_tenant_id,
        expires=_expiration(call, wanted),
        known=call.directory.sequence,
    )


def _watched(call: Call, resource: str) -> tuple[str, str | None, bool]:
    """Return type, object and whether only members count; refuse what cannot be
    watched.
    """
    found = WATCHED.match(resource)
    if found is None or (found["members"] and found["kind"] != "groups"):
        raise bad_request(f"Resource '{resource}' cannot be subscribed to.", "InvalidRequest")
    if not READERS[found["kind"]] & call.request.roles:
        raise request_denied()
    object_id = found["object"]
    directory = call.directory
    holder = directory.users if found["kind"] == "users" else directory.groups
    if object_id is not None and object_id not in holder:
        raise not_found(object_id)
    return found["kind"], object_id, bool(found["members"])


def _expiration(call: Call, wanted: dict[str, Any]) -> datetime:
    text = str(wanted["expirationDateTime"])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    now = call.directory.clock.now()
    if moment is None or moment.tzinfo is None or moment <= now:
        raise bad_request(f"expirationDateTime '{text}' is no time to come.", "InvalidRequest")
    if moment > now + SUBSCRIPTION_LIFE:
        minutes = int(SUBSCRIPTION_LIFE.total_seconds() // 60)
        message = f"Subscription expiration can only be {minutes} minutes in the future."
        raise bad_request(message, "InvalidRequest")
    return moment


def _loopback(url: str) -> str:
    """Return a notification URL; refuse one that is not on this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        on_this_machine = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        on_this_machine = False
    if parts.scheme not in {"http", "https"} or not on_this_machine:
        message = f"The simulator calls loopback addresses only, not '{url}'."
        raise bad_request(message, "InvalidRequest")
    return url


def _entity(call: Call, subscription: Subscription, status: int = 200) -> GraphResponse:
    context = f"{call.request.base_url}/$metadata#subscriptions/$entity"
    return json_response({"@odata.context": context, **_shown(subscription)}, status)


def _shown(subscription: Subscription) -> dict[str, JsonValue]:
    return {
        "id": subscription.id,
        "resource": subscription.resource,
        "applicationId": subscription.application_id,
        "changeType": subscription.change_type,
        "clientState": subscription.client_state,
        "notificationUrl": subscription.notification_url,
        "lifecycleNotificationUrl": subscription.lifecycle_url,
        "expirationDateTime": subscription.expires_text,
        "creatorId": subscription.creator_id,
        "latestSupportedTlsVersion": "v1_2",
        "encryptionCertificate": None,
        "encryptionCertificateId": None,
        "includeResourceData": None,
        "notificationQueryOptions": None,
        "notificationUrlAppId": None,
    }
