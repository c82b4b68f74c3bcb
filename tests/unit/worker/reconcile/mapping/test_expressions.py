"""Where mapped values come from: attributes by Graph's and by Entra's names, and a few functions."""

from __future__ import annotations

import pytest

from store.records import JsonValue
from tests.builders.reconcile.snapshots import person
from worker.reconcile.mapping.attribute_paths import PolicyError
from worker.reconcile.mapping.expressions import compile_source

ANA = person(
    "ana",
    givenName="Ana",
    surname="Lee",
    jobTitle="",
    businessPhones=["+44 131", "+44 132"],
    otherMails=[],
    officeLocation="Pier 4",
    mobilePhone="+44 77",
    faxNumber=None,
    onPremisesExtensionAttributes={"extensionAttribute3": "red"},
)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        pytest.param("givenName", "Ana", id="graph-name"),
        pytest.param("[givenName]", "Ana", id="in-brackets"),
        pytest.param("businessPhones[0]", "+44 131", id="first-of-many"),
        pytest.param("telephoneNumber", "+44 131", id="entra-name-of-many"),
        pytest.param("physicalDeliveryOfficeName", "Pier 4", id="entra-name-of-office"),
        pytest.param("mobile", "+44 77", id="entra-name-of-mobile"),
        pytest.param("facsimileTelephoneNumber", None, id="null"),
        pytest.param("jobTitle", None, id="empty-text-is-empty"),
        pytest.param("otherMails", None, id="empty-list-is-empty"),
        pytest.param("nickName", None, id="not-read"),
        pytest.param("objectId", "ana", id="object-id"),
        pytest.param("extensionAttribute3", "red", id="extension-attribute"),
        pytest.param("extensionAttribute4", None, id="extension-attribute-empty"),
        pytest.param("accountEnabled", "True", id="account-enabled"),
        pytest.param('"Leith"', "Leith", id="constant"),
        pytest.param('Join(" ", [givenName], [surname])', "Ana Lee", id="join"),
        pytest.param('Join(" ", [givenName], [jobTitle])', "Ana", id="join-leaves-out-the-empty"),
        pytest.param('Join("", [jobTitle], [faxNumber])', None, id="join-of-nothing-is-empty"),
        pytest.param('Append([givenName], "!")', "Ana!", id="append"),
        pytest.param("Coalesce([jobTitle], [surname])", "Lee", id="coalesce"),
        pytest.param("Coalesce([jobTitle], [faxNumber])", None, id="coalesce-of-nothing"),
        pytest.param("ToLower([givenName])", "ana", id="lower"),
        pytest.param("ToUpper(Coalesce([jobTitle], [surname]))", "LEE", id="nested"),
        pytest.param('Trim(" x ")', "x", id="trim"),
        pytest.param('Switch([surname], , "Lee", "L", "Poe", "P")', "L", id="switch"),
        pytest.param('Switch([givenName], "none", "Lee", "L")', "none", id="switch-default"),
    ],
)
def test_a_source_gives_its_value(source: str, value: JsonValue) -> None:
    """Attributes go by Graph's names or by those of Entra's mapping page."""
    assert compile_source(source).read(ANA) == value


def test_extension_attributes_may_be_missing_altogether() -> None:
    """A cloud user has no on-premises attributes."""
    assert compile_source("extensionAttribute3").read(person("bo")) is None


@pytest.mark.parametrize(
    ("name", "stripped"),
    [
        ("jane_partner.example#EXT#@corp.onmicrosoft.com", "jane_partner.example"),
        ("ana@corp.example", "ana@corp.example"),
        (None, None),
    ],
)
def test_a_guest_loses_the_ext_mark_and_the_tenants_domain(name: str | None, stripped: str | None) -> None:
    """B2B guests: `#EXT#` and tenant domain stripped; originalUserPrincipalName gives the raw one."""
    guest = person("jane", userPrincipalName=name)
    assert compile_source("userPrincipalName").read(guest) == stripped
    assert compile_source("originalUserPrincipalName").read(guest) == name


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('Join(" ", [givenName]', "ends too early"),
        ("Join(", "ends too early"),
        ("", "ends too early"),
        (")", "a value is missing"),
        ("givenName surname", "nothing may follow"),
        ("Join([givenName] [surname])", "comma or a closing bracket"),
        ("Middle([givenName], 1)", "Middle is not known here"),
        ('ToLower([givenName], "tr", [surname])', "does not take 3 arguments"),
        ("Append([givenName])", "does not take 1 arguments"),
        ('Switch([givenName], "none", "Lee")', "does not take 3 arguments"),
        ("given-name", "cannot be read"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused_and_named(source: str, why: str) -> None:
    """A wrong mapping must not decide what people look like: it is refused before anything is planned."""
    with pytest.raises(PolicyError, match=why) as refusal:
        compile_source(source)
    assert repr(source) in str(refusal.value)


def test_a_source_says_which_properties_it_needs() -> None:
    """The reader asks Graph for these and no others."""
    assert compile_source('Join(" ", [givenName], [mobile], "x")').properties == {"givenName", "mobilePhone"}
