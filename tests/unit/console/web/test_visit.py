"""Cursors in addresses: what no list wrote is no place, whatever it decodes to."""

from __future__ import annotations

import pytest

from console.web.visit import read_cursor, write_cursor


@pytest.mark.parametrize("place", ["ada@contoso.example 12", 7, "9" * 18])
def test_a_place_in_a_list_is_read_as_it_was_written(place: str | int) -> None:
    assert read_cursor(write_cursor(place)) == str(place)


@pytest.mark.parametrize("place", ["9" * 19, f"ada {'9' * 400}", "a\x00b"])
def test_a_place_that_no_row_can_have_begins_the_list_anew(place: str) -> None:
    """A number beyond 64 bits fits no column of SQLite or PostgreSQL."""
    assert read_cursor(write_cursor(place)) is None


@pytest.mark.parametrize("value", [None, "", "%%%", "\u00e9"])
def test_what_is_no_cursor_begins_the_list_anew(value: str | None) -> None:
    assert not read_cursor(value)
