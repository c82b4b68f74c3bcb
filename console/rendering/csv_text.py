"""CSV for any spreadsheet: one column a fact, nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from config.visible_text import visible


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows under the names of their columns (RFC 4180)."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")  # RFC 4180 §2
    writer.writerow(columns)
    writer.writerows([_spreadsheet_safe(visible(cell)) for cell in cells] for cells in rows)
    return buffer.getvalue()


def _spreadsheet_safe(cell: str) -> str:
    """Quote a cell that a spreadsheet would run as a formula (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
