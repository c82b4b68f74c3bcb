"""What a body is wrapped in: media types, encodings, HTTP itself; what cannot be read is told, not repeated."""

from __future__ import annotations

import asyncio
import gzip
import logging
import zlib
from collections.abc import AsyncIterator

import pytest

from scim.limits import ScimLimits
from tests.builders.scim_client import ScimClient

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


@pytest.fixture
def limits() -> ScimLimits:
    return ScimLimits(token_memory_s=0, max_body_bytes=20_000, body_timeout_s=0.5)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        pytest.param("gzip", b"no such thing", id="no gzip"),
        pytest.param("deflate", b"no such thing", id="no zlib"),
        pytest.param("gzip", gzip.compress(b'{"userName": "a"}')[:-4], id="cut off"),
        pytest.param("gzip", gzip.compress(b'{"userName": "a"}') + b"and more", id="something behind"),
    ],
)
async def test_a_body_that_is_not_encoded_as_it_says_is_a_bad_request(
    scim: ScimClient, encoding: str, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 9110 §8.4: the sender's mistake, told as such; no defect of ours with a traceback in the log."""
    for endpoint in (f"{scim.base}/Users", "/oauth/token"):
        headers = {"Authorization": f"Bearer {scim.token}", "Content-Encoding": encoding}
        headers["Content-Type"] = "application/scim+json"
        async with scim.http.post(endpoint, data=body, headers=headers) as answer:
            assert answer.status == 400
            assert endpoint == "/oauth/token" or "proxy" in (await answer.json(content_type=None))["detail"]
    assert (await scim.get("/Users")).body["totalResults"] == 0, "the connection goes on"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "nonsense"])
async def test_an_encoding_nobody_here_reads_is_unsupported(
    scim: ScimClient, encoding: str, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 9110 §15.5.16: 415; §12.5.3: Accept-Encoding tells what would have been taken."""
    reply = await scim.send("POST", "/Users", raw=b"{}", headers={"Content-Encoding": encoding})
    assert (reply.status, reply.body["schemas"]) == (415, [ERROR])
    assert encoding in reply.body["detail"]
    assert reply.headers["Accept-Encoding"] == "gzip, deflate"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert (await scim.log())[0].steps[-1].detail == reply.body["detail"]


async def test_an_encoded_body_is_read_and_a_bomb_is_cut_off_at_the_limit(scim: ScimClient) -> None:
    """RFC 9110 §8.4.1: gzip, and deflate, which is zlib's format."""
    for encoding, bomb in (("gzip", gzip.compress(b" " * 10**7)), ("deflate", zlib.compress(b" " * 10**7))):
        reply = await scim.send("POST", "/Users", raw=bomb, headers={"Content-Encoding": encoding})
        assert (reply.status, "20000 bytes" in reply.body["detail"]) == (413, True)
    ida, ben = b'{"userName": "ida@northwind.example"}', b'{"userName": "ben@northwind.example"}'
    for encoding, body in (
        ("GZIP", gzip.compress(ida)),
        ("deflate", zlib.compress(ben)),
        ("identity", b"{}"),
    ):
        reply = await scim.send("POST", "/Users", raw=body, headers={"Content-Encoding": encoding})
        assert reply.status == (201 if encoding != "identity" else 400), reply.body


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["GET /x HTTP/1.1", "Authorization: Bearer {token}\x01"], id="control character"),
        pytest.param(["GET /x HTTP/1.1", "Authorization : Bearer {token}"], id="space before the colon"),
        pytest.param(["GET /x HTTP/1.1", "Authorization: Bearer {token}" + "a" * 9_000], id="too long"),
        pytest.param(["GET /x?filter={token} HTTP/1.1 x", "Host: x"], id="odd first line"),
        pytest.param(["GET /x HTTP/1.1", "Content-Length: -{token}"], id="odd length"),
    ],
)
async def test_what_is_no_http_request_is_not_repeated_in_the_log(
    scim: ScimClient, lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant I9: "no secret or personal data in logs": half a line may hold either."""
    server = scim.http.server
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write("\r\n".join([*lines, "", ""]).format(token=scim.token).encode())
    status_line = await reader.readline()
    writer.close()
    assert b" 400 " in status_line
    [record] = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "no HTTP request" in caplog.text
    assert str(scim.token) not in caplog.text


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_other_media_types_are_unsupported(scim: ScimClient, media_type: str) -> None:
    reply = await scim.send("POST", "/Users", raw=b'{"userName": "a"}', headers={"Content-Type": media_type})
    assert reply.status == 415


@pytest.mark.parametrize("media_type", ["application/json", "application/scim+json; charset=utf-8", ""])
async def test_json_media_types_are_taken(scim: ScimClient, media_type: str) -> None:
    reply = await scim.send("POST", "/Users", raw=b'{"userName": "a"}', headers={"Content-Type": media_type})
    assert reply.status == 201


async def test_a_body_that_does_not_come_is_given_up(scim: ScimClient) -> None:
    """A client that sends a byte now and then held a request open, at /oauth/token without any token."""

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(2)
        yield b"}"

    async def status(endpoint: str) -> int:
        headers = {"Authorization": f"Bearer {scim.token}", "Content-Type": "application/scim+json"}
        async with scim.http.post(endpoint, data=slowly(), headers=headers) as answer:
            return answer.status

    users, token = await asyncio.gather(status(f"{scim.base}/Users"), status("/oauth/token"))
    assert (users, token) == (408, 408)
