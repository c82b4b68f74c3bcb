"""Several reads in one request: Graph's `$batch` (Graph, "Combine multiple requests in
one HTTP call using JSON batching").

An answer comes for each read by its id, in any order, with a status of its own. A body
that does not fit raises `msgspec.DecodeError`, as in `worker.graph.models`.
"""

from __future__ import annotations

import msgspec


class BatchRequest(msgspec.Struct, gc=False):
    """One read inside a `$batch`; `url` begins after the version."""

    id: str
    url: str
    headers: dict[str, str]
    method: str = "GET"


class BatchItem(msgspec.Struct, gc=False):
    id: str
    status: int
    headers: dict[str, str] | None = None
    body: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b""))

    @property
    def headers_in_lower_case(self) -> dict[str, str]:
        return {name.lower(): value for name, value in (self.headers or {}).items()}


class BatchAnswer(msgspec.Struct, gc=False):
    responses: list[BatchItem]


def encode_batch(requests: list[BatchRequest]) -> bytes:
    return msgspec.json.encode({"requests": requests})


decode_batch = msgspec.json.Decoder(BatchAnswer).decode
