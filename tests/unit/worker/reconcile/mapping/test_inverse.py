"""The inverse of a mapping: how a person is searched for, and what is said where that is not possible."""

from __future__ import annotations

import time

import pytest

from store.records import Policy
from worker.reconcile.mapping.attribute_paths import MANAGER
from worker.reconcile.mapping.graph_filters import GraphFilter
from worker.reconcile.mapping.inverse import Inverse, invert, invert_mapping
from worker.reconcile.mapping.syntax import parse_expression

GUID = "9EDF0000-0000-4000-8000-0000000000AB"


@pytest.mark.parametrize(
    ("source", "value", "filters"),
    [
        ("mail", "ana@x.example", [("mail", "ana@x.example")]),
        ("[employeeId]", "70113", [("employeeId", "70113")]),
        ("objectId", GUID, [("id", GUID.lower())]),
        ("objectId", "70113", []),
        ("userPrincipalName", "ana@x.example", [("userPrincipalName", "ana@x.example")]),
        ("originalUserPrincipalName", "j#EXT#@x", [("userPrincipalName", "j#EXT#@x")]),
        ("telephoneNumber", "+44", [("businessPhones", "+44")]),
        ("extensionAttribute3", "red", [("onPremisesExtensionAttributes/extensionAttribute3", "red")]),
        ("ToLower([mail])", "ana@x", [("mail", "ana@x")]),
        ("ToLower([mail])", "Ana@x", []),
        ('ToLower(Append([mailNickname], "@X.test"))', "ana@x.test", [("mailNickname", "ana")]),
        ('ToLower(Join("@", [mailNickname], "X"))', "ana@x", [("mailNickname", "ana")]),
        ('ToUpper("a")', "B", []),
        ("ToUpper([mail])", "ANA@X", [("mail", "ANA@X")]),
        ('Append([mailNickname], ".test")', "ana.test", [("mailNickname", "ana")]),
        ('Append([mailNickname], ".test")', ".test", []),
        ('Append([mailNickname], ".test")', "ana", []),
        ('Join("@", [mailNickname], "x.example")', "ana@x.example", [("mailNickname", "ana")]),
        ("Coalesce([mail], [userPrincipalName])", "a@x", [("mail", "a@x"), ("userPrincipalName", "a@x")]),
        ('Coalesce([mail], "none")', "a@x", [("mail", "a@x")]),
        ('Switch([state], , "NSW", "1", "QLD", "1", "SA", "2")', "1", [("state", "NSW"), ("state", "QLD")]),
        ('IIF([state] = "SA", [mail], [employeeId])', "7", [("mail", "7"), ("employeeId", "7")]),
        ('Replace([employeeId], "<v>", , , , , "E-<v>")', "E-7", [("employeeId", "7")]),
        ('Replace([employeeId], "<v>", , , , , "E-<v>")', "7", []),
        ("IgnoreFlowIfNullOrEmpty(CStr([mail]))", "a@x", [("mail", "a@x")]),
        ('"constant"', "other", []),
    ],
)
def test_a_value_is_searched_for_where_the_mapping_takes_it_from(
    source: str, value: str, filters: list[tuple[str, str]]
) -> None:
    """Without a gap an empty answer means that no person has the value."""
    assert invert(parse_expression(source), value) == Inverse(tuple(GraphFilter(*each) for each in filters))


@pytest.mark.parametrize(
    ("source", "value", "filters", "gap"),
    [
        ("userPrincipalName", "jane_x.example", [], "a guest's name"),
        ("accountEnabled", "True", [], "cannot be searched by equality"),
        ('"constant"', "constant", [], "the same for every user"),
        ('Coalesce([mail], "none")', "none", [("mail", "none")], "the same for every user"),
        ('Join(" ", [givenName], [surname])', "Ana Lee", [], "where one ends is not known"),
        ('Join(";", [proxyAddresses])', "a;b", [], "joins several values"),
        ("Join([state], [mail], [mail])", "a", [], "joins by a value of the user"),
        ('Join("@", [mailNickname], "x")', "x", [], "to every user without a value"),
        ('Append("x", [mail])', "x", [], "to every user without a value"),
        ("Mid([mail], 1, 3)", "ana", [], "cannot be inverted"),
        ('ToUpper("a")', "A", [], "the same for every user"),
        ("ToUpper(Mid([mail], 1, 3))", "ANA", [], "without its letter case"),
        ('ToLower([mail], "tr")', "ana", [], "for a culture"),
        (
            'Replace([mail], "@x.example", , , "", , )',
            "ana",
            [("mail", "ana"), ("mail", "ana@x.example")],
            "cannot be inverted",
        ),
        ('Replace([mail], , "@.*", , "", , )', "ana", [], "cannot be inverted"),
        ('Switch([state], "?", "", "1")', "1", [], "an empty state is not searched for"),
        ('Switch([state], "?", [mail], "1")', "1", [], "a key that varies"),
    ],
)
def test_what_cannot_be_inverted_is_said(
    source: str, value: str, filters: list[tuple[str, str]], gap: str
) -> None:
    """It counts as not searched (identity.md, W9)."""
    found = invert(parse_expression(source), value)
    assert found.filters == tuple(GraphFilter(*each) for each in filters)
    assert not found.is_complete
    assert gap in found.gaps[0]


def test_a_mapping_is_inverted_by_path() -> None:
    """What is not mapped, and a reference, is said."""
    assert invert_mapping(Policy(), "externalId", "ana") == Inverse((GraphFilter("mailNickname", "ana"),))
    assert invert_mapping(Policy(), "nickName", "ana").gaps == ("nickName is not mapped",)
    assert invert_mapping(Policy(), MANAGER, "row").gaps == ("the manager is a reference",)


def test_a_filter_is_written_as_graph_reads_it() -> None:
    """A quotation mark is doubled, collections are searched by `any`, some need advanced queries."""
    assert GraphFilter("mail", "o'hara@x").text == "mail eq 'o''hara@x'"
    assert GraphFilter("proxyAddresses", "smtp:a@x").text == "proxyAddresses/any(x:x eq 'smtp:a@x')"
    assert GraphFilter("onPremisesSamAccountName", "a").is_advanced
    assert GraphFilter("onPremisesExtensionAttributes/extensionAttribute1", "a").is_advanced
    assert not GraphFilter("mail", "a").is_advanced


def test_the_work_and_the_searches_are_bounded() -> None:
    """Nested choices double the ways, not the work; too many searches count as none."""
    nested = "[state]"
    for _ in range(20):
        nested = f'Switch({nested}, , "a", "a", "b", "a", "c", "b", "d", "b")'
    started = time.monotonic()
    assert len(invert(parse_expression(nested), "a").filters) == 4
    assert time.monotonic() - started < 5
    wide = ", ".join(f'"k{n}", "v"' for n in range(60))
    assert "more than 50 searches" in invert(parse_expression(f"Switch([state], , {wide})"), "v").gaps[0]
