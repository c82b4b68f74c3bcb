"""Documents as flat attribute paths, and what differs between two."""

from __future__ import annotations

import pytest

from store.directory.flat_attributes import differences, flatten
from store.keys import search_key
from store.records import Document, Modified

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@pytest.mark.parametrize(
    ("document", "flat"),
    [
        pytest.param({"title": "Boss", "active": False}, {"title": "Boss", "active": False}, id="simple"),
        pytest.param({"name": {"givenName": "Ann"}}, {"name.givenName": "Ann"}, id="complex"),
        pytest.param({"title": None}, {}, id="null is absent"),
        pytest.param(
            {ENTERPRISE: {"department": "Sales", "manager": {"value": "m1"}}},
            {f"{ENTERPRISE}:department": "Sales", f"{ENTERPRISE}:manager.value": "m1"},
            id="extension",
        ),
        pytest.param(
            {"emails": [{"type": "work", "value": "a@x"}, {"type": "home", "value": "b@x"}]},
            {'emails[type eq "work"].value': "a@x", 'emails[type eq "home"].value': "b@x"},
            id="values told apart by type",
        ),
        pytest.param(
            {"emails": [{"type": "work", "value": "a@x"}, {"type": "work", "value": "b@x"}]},
            {"emails": [{"type": "work", "value": "a@x"}, {"type": "work", "value": "b@x"}]},
            id="values of one type stay whole",
        ),
        pytest.param(
            {"roles": ["a", "b"], "empty": []}, {"roles": ["a", "b"], "empty": []}, id="plain values"
        ),
    ],
)
def test_a_document_is_told_by_its_paths(document: Document, flat: dict[str, object]) -> None:
    """The paths are those of Entra's attribute mapping, so that an admin recognises them."""
    assert flatten(document) == flat


def test_differences_are_sorted_and_name_what_is_absent() -> None:
    """None stands for absent, on either side."""
    before, after = flatten({"b": 1, "c": 2, "same": 0}), flatten({"a": 1, "c": 3, "same": 0})

    assert differences(before, after) == (
        Modified(attribute="a", old=None, new=1),
        Modified(attribute="b", old=1, new=None),
        Modified(attribute="c", old=2, new=3),
    )


def test_true_is_not_one() -> None:
    """Python takes True for 1; JSON does not."""
    assert differences({"a": True}, {"a": 1}) == (Modified(attribute="a", old=True, new=1),)


def test_search_keys_ignore_case_and_stay_short() -> None:
    """Case folds beyond ASCII; a long name ends in a digest that still tells it from others."""
    assert search_key("STRASSE") == search_key("straße")
    assert len(search_key("a" * 1_000_000)) < 300
    assert search_key("a" * 1_000_000) != search_key("a" * 1_000_001)
