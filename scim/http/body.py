"""Read the body of a request, decoded by its Content-Encoding, up to a limit."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

from aiohttp import web
from scim2_models import InvalidSyntaxException, PayloadTooLargeException

from scim.errors import RequestTimeout, UnsupportedEncoding

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


async def read_body(
    request: web.BaseRequest, most: int, setting: str = "", timeout_s: float | None = None
) -> bytes:
    """Return the decoded body, of at most `most` bytes, the limit that `setting` sets.

    Raises scim2_models.PayloadTooLargeException or InvalidSyntaxException, or
    UnsupportedEncoding or RequestTimeout.
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise UnsupportedEncoding(encoding)
    if request.content.is_eof() and encoding in ("", "identity"):
        body = await request.content.read()  # all of it is here: most pushes are one packet
        if len(body) > most:
            raise _too_large(most, setting)
        return body
    return await _read_in_time(request, encoding, most, setting, timeout_s)


async def _read_in_time(
    request: web.BaseRequest, encoding: str, most: int, setting: str, timeout_s: float | None
) -> bytes:
    chunks: AsyncIterator[bytes] = request.content.iter_any()
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in chunks if encoding in ("", "identity") else _unzipped(chunks, most):
                body += chunk
                if len(body) > most:
                    raise _too_large(most, setting)
    except TimeoutError as error:
        raise RequestTimeout(timeout_s or 0) from error
    except (web.RequestPayloadError, zlib.error) as error:
        raise InvalidSyntaxException(
            detail="The body cannot be decoded as its Content-Encoding says, or was cut off on the way: a proxy between "
            "Entra and Leaver may have changed it."
        ) from error
    return bytes(body)


def _too_large(most: int, setting: str) -> PayloadTooLargeException:
    raised = f", or have the operator of Leaver raise {setting}" if setting else ""
    return PayloadTooLargeException(
        detail=f"The body is larger than {most} bytes: send less at once{raised}."
    )


async def _unzipped(chunks: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """Yield decoded pieces of at most `most` + 1 bytes, against decompression bombs.

    Raises zlib.error.
    """
    decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
    async for chunk in chunks:
        piece = decoder.decompress(chunk, most + 1)
        yield piece
    if not decoder.eof or decoder.unused_data:
        raise zlib.error("not one whole stream")
