"""`/applications(appId='…')`: the app registration, with its client secrets as Graph
shows them: never the value.
"""

import uuid

from simulator.clock import graph_time
from simulator.graph.call import Call
from simulator.graph.query import read_options
from simulator.graph.schema import APPLICATION
from simulator.graph.users import list_context
from simulator.graph.wire import GraphResponse, json_response, not_found
from simulator.objects import JsonValue


def get_application(call: Call) -> GraphResponse:
    """Answer for the one app that is registered in this tenant; one of another tenant
    is not found here.
    """
    registration = call.tenant.registration
    if registration is None or call.argument("app").lower() != registration.client_id:
        raise not_found(call.argument("app"))
    select = read_options(call.request, APPLICATION).select
    whole: dict[str, JsonValue] = {
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, registration.client_id)),
        "appId": registration.client_id,
        "displayName": call.directory.app_display_name,
        "passwordCredentials": [
            {
                "customKeyIdentifier": None,
                "displayName": "leaver",
                "endDateTime": None if ends is None else graph_time(ends),
                "hint": secret[:3],
                "keyId": str(uuid.uuid5(uuid.NAMESPACE_OID, secret)),
                "secretText": None,
                "startDateTime": None,
            }
            for secret, ends in registration.secrets.items()
        ],
    }
    context = f"{call.request.base_url}/$metadata#{list_context('applications', select)}/$entity"
    shown = {name: value for name, value in whole.items() if select is None or name in select}
    return json_response({"@odata.context": context, **shown})
