"""Keep what Graph said of each user in a file without a name, instead of in memory.

A cycle that finds nothing to change reads it of no one; as bytes in memory it is the
largest part of a reading. The file is gone with the process, however that ends.
"""

from __future__ import annotations

import os
import tempfile
import weakref

IN_MEMORY = 1 << 20
"""Bytes that wait to be written: a small directory makes no file at all."""
_LENGTH_BITS = 24
"""A place is offset and length in one number; 16 MB is more than Graph says of one."""


class PropertyFile:
    """Bytes of many objects by their place."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._written = 0
        self._file: int | None = None
        self._is_usable = True

    def keep(self, content: bytes) -> int:
        """Keep the bytes and return their place."""
        place = (self._written + len(self._waiting)) << _LENGTH_BITS | len(content)
        self._waiting += content
        if len(self._waiting) >= IN_MEMORY and self._is_usable:
            self._write()
        return place

    def read(self, place: int) -> bytes:
        """Return the bytes at a place.

        It may be called from any thread, once all is kept.
        """
        start, length = place >> _LENGTH_BITS, place & ((1 << _LENGTH_BITS) - 1)
        if start >= self._written:
            start -= self._written
            return bytes(self._waiting[start : start + length])
        assert self._file is not None
        return os.pread(self._file, length, start)

    def _write(self) -> None:
        """Move what waits into the file; where there is no room it stays in memory."""
        try:
            if self._file is None:
                file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as this object
                weakref.finalize(self, file.close)
                self._file = file.fileno()
            done = 0
            while done < len(self._waiting):
                done += os.pwrite(self._file, memoryview(self._waiting)[done:], self._written + done)
        except OSError:
            self._is_usable = False
            return
        self._written += len(self._waiting)
        self._waiting = bytearray()
