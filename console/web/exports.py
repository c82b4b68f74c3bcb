"""Send a list as a file: CSV that a spreadsheet reads without running it, or JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum

import orjson
from aiohttp import web

from console.browser import page_headers
from console.web.visit import Visit

ROWS_AT_ONCE = 200
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    """The kind of file."""

    CSV = "csv"
    JSON = "json"


_TYPES = {ExportFormat.CSV: "text/csv; charset=utf-8", ExportFormat.JSON: "application/json"}


async def export(
    visit: Visit,
    kind: ExportFormat,
    name: str,
    columns: Sequence[str],
    rows: AsyncIterator[Mapping[str, object]],
) -> web.StreamResponse:
    """Stream the rows as an attachment, row by row."""
    headers = {
        **page_headers(visit.public_url),
        "Content-Type": _TYPES[kind],
        "Content-Disposition": f'attachment; filename="{name}.{kind.value}"',
    }
    response = web.StreamResponse(headers=headers)
    await response.prepare(visit.request)
    if kind is ExportFormat.CSV:
        await _write_csv(response, columns, rows)
    else:
        await _write_json(response, rows)
    await response.write_eof()
    return response


async def _write_csv(
    response: web.StreamResponse, columns: Sequence[str], rows: AsyncIterator[Mapping[str, object]]
) -> None:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    number = 0
    async for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
        number += 1
        if number % ROWS_AT_ONCE == 0:
            await response.write(out.getvalue().encode())
            out.seek(0)
            out.truncate()
    await response.write(out.getvalue().encode())


async def _write_json(response: web.StreamResponse, rows: AsyncIterator[Mapping[str, object]]) -> None:
    await response.write(b'{"items":[')
    is_first = True
    async for row in rows:
        await response.write((b"\n" if is_first else b",\n") + orjson.dumps(row))
        is_first = False
    await response.write(b'\n],"next":null}\n')


def _cell(value: object) -> str:
    """Return a cell; a text that a spreadsheet would run as a formula gets a quote."""
    text = "" if value is None else str(value)
    text = orjson.dumps(value).decode() if isinstance(value, Mapping) else text
    return f"'{text}" if text.startswith(_FORMULA) else text
