"""One notion of the same name, for look-ups, uniqueness, filters and matching."""

from __future__ import annotations

from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.keys import search_key
from store.records import exact_key, folded, hidden_character, name_key
from tests.builders.examples import examples

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=examples(100), deadline=None)
@given(words)
def test_a_name_is_the_same_in_every_unicode_form_and_case(name: str) -> None:
    """RFC 7644 §5: compared after normalisation."""
    key = name_key(name)
    assert name_key(normalize("NFC", name)) == name_key(normalize("NFD", name)) == key
    assert name_key(f" {name}\u3000") == key
    assert name_key(key) == key
    assert search_key(normalize("NFD", name)) == search_key(f"{name} ")


@pytest.mark.parametrize(
    ("one", "other"),
    [("josé", "JOSE\u0301"), ("Straße", "STRASSE"), ("admin", " Admin\u00a0"), ("ΣΊΣΥΦΟΣ", "σίσυφος")],
)
def test_spellings_of_one_name(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


def test_where_case_counts_the_unicode_form_and_outer_space_do_not() -> None:
    assert exact_key("é1 ") == exact_key("e\u03011")
    assert exact_key("AB") != exact_key("ab")


def test_white_space_counts_in_what_a_name_begins_with() -> None:
    assert folded(" A") == " a"


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("admin\u200b", "U+200B"),
        ("ad\u200dmin", "U+200D"),
        ("\u202eadmin", "U+202E"),
        ("a\tb", "U+0009"),
        ("a\x9bb", "U+009B"),
        ("a\u2028b", "U+2028"),
        ("\ufeffadmin", "U+FEFF"),
        ("\u3164", "U+3164"),
        ("José Ñandú", None),
        ("می\u200cخواهم", None),
        ("Families 👨\u200d👩\u200d👧", None),
        ("O'Neil, Ada", None),
    ],
)
def test_a_character_that_nobody_sees_is_named(name: str, hidden: str | None) -> None:
    assert hidden_character(name) == hidden
