"""SCIM paths as Entra's mapping writes them: read, written, and never in place."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.records import Document, JsonValue
from worker.reconcile.mapping.attribute_mapping import DEFAULT_MAPPING
from worker.reconcile.mapping.attribute_paths import (
    ENTERPRISE,
    MANAGER,
    PolicyError,
    parse,
    read_path,
    write_paths,
)

DOCUMENT: Document = {
    "userName": "ana@corp.example",
    "title": "",
    "name": {"givenName": "Ana", "familyName": "Lee"},
    "emails": [
        {"type": "home", "value": "ana@home.example"},
        {"type": "Work", "primary": True, "value": "ana@corp.example"},
    ],
    "roles": [{"primary": True, "value": "admin"}],
    "photos": "not a list",
    ENTERPRISE: {"department": "Sales", "manager": {"value": "42", "displayName": "Bo"}},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("userName", "ana@corp.example", id="simple"),
        pytest.param(
            "urn:ietf:params:scim:schemas:core:2.0:User:userName", "ana@corp.example", id="core-urn"
        ),
        pytest.param("name.givenName", "Ana", id="sub-attribute"),
        pytest.param('emails[type eq "work"].value', "ana@corp.example", id="element-letter-case-aside"),
        pytest.param('emails[type eq "home"]', "ana@home.example", id="value-is-understood"),
        pytest.param('emails[type eq "other"].value', None, id="no-such-element"),
        pytest.param('roles[primary eq "True"].value', "admin", id="boolean-filtered-by-text"),
        pytest.param(f"{ENTERPRISE}:department", "Sales", id="extension"),
        pytest.param("urn:acme:Custom:2.0:User:badge", None, id="no-such-extension"),
        pytest.param(MANAGER, "42", id="manager-by-its-id"),
        pytest.param("title", None, id="empty-text-is-nothing"),
        pytest.param('photos[type eq "work"].value', None, id="not-a-list"),
        pytest.param("userName.sub", None, id="not-an-object"),
    ],
)
def test_a_path_reads_what_it_points_at(path: str, value: JsonValue) -> None:
    """Entra's mapping knows simple, dotted, filtered and extension paths."""
    assert read_path(DOCUMENT, path) == value


def test_a_bare_manager_is_read_as_well() -> None:
    """Entra's PATCH sends the manager as a plain text."""
    assert read_path({ENTERPRISE: {"manager": "42"}}, MANAGER) == "42"


@pytest.mark.parametrize("path", ["", "name..givenName", "emails[type ne 'work'].value", "a b"])
def test_what_is_no_path_is_refused_with_an_example(path: str) -> None:
    """A wrong mapping is the admin's to correct: the message shows what is right."""
    with pytest.raises(PolicyError, match=r"name\.givenName"):
        parse(path)


def test_writing_creates_the_element_with_type_and_primary_as_entra_does() -> None:
    """Samples: work mail and phone are primary, mobile and fax are not, no address is."""
    written = write_paths(
        {},
        {
            'emails[type eq "work"].value': "ana@corp.example",
            'phoneNumbers[type eq "mobile"].value': "+44 77",
            'addresses[type eq "work"].locality': "Leith",
            'addresses[type eq "work"].country': "UK",
            'roles[primary eq "True"].value': "admin",
        },
    )
    assert written == {
        "emails": [{"type": "work", "primary": True, "value": "ana@corp.example"}],
        "phoneNumbers": [{"type": "mobile", "primary": False, "value": "+44 77"}],
        "addresses": [{"type": "work", "primary": False, "locality": "Leith", "country": "UK"}],
        "roles": [{"primary": True, "value": "admin"}],
    }


def test_writing_keeps_everything_that_is_not_on_a_path() -> None:
    """Apply must not lose unmapped attributes."""
    written = write_paths(
        DOCUMENT,
        {
            "name.givenName": "Anna",
            'emails[type eq "work"].value': "anna@corp.example",
            f"{ENTERPRISE}:department": "Records",
            MANAGER: "43",
        },
    )
    assert written["name"] == {"givenName": "Anna", "familyName": "Lee"}
    assert written["emails"] == [
        {"type": "home", "value": "ana@home.example"},
        {"type": "Work", "primary": True, "value": "anna@corp.example"},
    ]
    assert written[ENTERPRISE] == {"department": "Records", "manager": {"value": "43"}}
    assert written["roles"] is DOCUMENT["roles"]


def test_an_element_that_is_there_is_not_given_a_primary() -> None:
    """What the vendor's own data says about an element stands."""
    written = write_paths({"emails": [{"type": "work", "value": "a"}]}, {'emails[type eq "work"].value': "b"})
    assert written == {"emails": [{"type": "work", "value": "b"}]}


def test_none_takes_the_value_away_and_what_it_leaves_empty() -> None:
    """A cleared attribute leaves no husk: no empty name, no element of a type and nothing else."""
    written = write_paths(
        DOCUMENT,
        {
            "userName": None,
            "name.givenName": None,
            "name.familyName": None,
            'emails[type eq "home"].value': None,
            'emails[type eq "work"].value': None,
            f"{ENTERPRISE}:department": None,
            MANAGER: None,
            'ims[type eq "work"].value': None,
        },
    )
    assert written.keys() == {"title", "roles", "photos"}


def test_a_document_is_never_changed_in_place() -> None:
    """The state is frozen: what the plan was made of must still be there when it is judged."""
    before = copy.deepcopy(DOCUMENT)
    write_paths(DOCUMENT, dict.fromkeys(DEFAULT_MAPPING, "new"))
    assert before == DOCUMENT


@given(st.dictionaries(st.sampled_from(sorted(DEFAULT_MAPPING)), st.none() | st.text(min_size=1)))
def test_what_is_written_is_read_back(flat: dict[str, str | None]) -> None:
    """`read_path` and `write_paths` are each other's inverse, whatever was there before."""
    for document in ({}, DOCUMENT):
        written = write_paths(document, flat)
        assert {path: read_path(written, path) for path in flat} == flat
