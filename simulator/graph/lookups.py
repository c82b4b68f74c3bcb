"""`/directoryObjects`: many objects by id in one call."""

from simulator.directory import Directory
from simulator.graph.call import Call
from simulator.graph.limits import MOST_IDS
from simulator.graph.paging import plain_list
from simulator.graph.query import read_options
from simulator.graph.render import mixed_document
from simulator.graph.schema import MIXED
from simulator.graph.wire import GraphResponse, bad_request


def _type_of(directory: Directory, object_id: str) -> str | None:
    if object_id in directory.users:
        return "user"
    if object_id in directory.groups:
        return "group"
    return directory.others[object_id].kind if object_id in directory.others else None


def get_by_ids(call: Call) -> GraphResponse:
    """Answer the live objects among at most 1000 ids; unknown ones are silently left
    out.
    """
    wanted = call.request.json()
    ids, types = wanted.get("ids"), wanted.get("types") or ["user", "group"]
    if not isinstance(ids, list) or not ids:
        raise bad_request("The ids parameter must hold at least one id.")
    if len(ids) > MOST_IDS:
        raise bad_request(f"Too many ids: {len(ids)}. The largest number is {MOST_IDS}.")
    directory = call.directory
    select = read_options(call.request, MIXED).select
    found = [
        object_id
        for object_id in dict.fromkeys(str(each) for each in ids)
        if _type_of(directory, object_id) in types
    ]
    return plain_list(
        call,
        "directoryObjects",
        [mixed_document(directory, each, call.request.roles, select) for each in found],
    )
