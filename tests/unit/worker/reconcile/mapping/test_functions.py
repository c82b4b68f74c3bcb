"""Entra's mapping functions: Microsoft's examples in our own words, and what is not on the page."""

from __future__ import annotations

import pytest

from store.records import Document, JsonValue, Policy
from tests.builders.reconcile.snapshots import person
from worker.reconcile.mapping.attribute_mapping import compile_mapping
from worker.reconcile.mapping.expressions import compile_source

USER = person(
    "zoe",
    userPrincipalName="John.Doe@contoso.com",
    givenName="Zoë",
    surname="Doe",
    mail=None,
    country="USA",
    state="QLD",
    department="Sales",
    companyName="",
    mobilePhone="+1 (999) 888-7777",
    faxNumber="+91 9998887777",
    mailNickname="john_doe72",
    streetAddress="545 Tremont Street",
    jobTitle="Product Developer",
    proxyAddresses=["SMTP:zoe@contoso.com", "smtp:z@contoso.com", "smtp:z@contoso.com"],
    employeeHireDate="2012-03-16-07:00",
    employeeId="jsmith",
    onPremisesExtensionAttributes={
        "extensionAttribute1": "20150123105347.1Z",
        "extensionAttribute5": "PermissionSetOne, PermissionSetTwo",
    },
)


def check(expression: str, value: JsonValue) -> None:
    __tracebackhide__ = True
    source = compile_source(expression)
    assert source.read(USER) == value
    absent = source.why_absent(USER)
    # An empty text is no value either: it must never overwrite one.
    assert value is not None or absent is None or absent.reason


TABLE: dict[str, list[tuple[str, JsonValue]]] = {
    "Append": [
        ('Append([userPrincipalName], ".test")', "John.Doe@contoso.com.test"),
        ("Append(Mid([givenName], 1, 3), Mid([surname], 1, 5))", "ZoëDoe"),
        ('Append([mail], ".test")', None),
        ("Append([surname], [mail])", "Doe"),
    ],
    "BitAnd": [
        ("BitAnd(&HF, &HF7)", "7"),
        ("BitAnd(6, 3)", "2"),
        ("BitAnd([surname], 3)", None),
    ],
    "CBool": [
        ("CBool([country] = [country])", "True"),
        ("CBool([country] = [state])", "False"),
        ("CBool([country] <> [state])", "True"),
        ('CBool("0")', "False"),
        ("CBool(-2)", "True"),
        ("CBool([surname])", None),
        ("CBool([mail] = [country])", None),
    ],
    "CDate": [
        ('CDate("2020-03-16-07:00")', "3/16/2020 7:00:00 AM"),
        ('CDate("2021-06-30+08:00")', "6/29/2021 4:00:00 PM"),
        ('CDate("2009-06-15T01:45:30-07:00")', "6/15/2009 8:45:30 AM"),
        ('CDate("2009-06-15T01:45:30.1234567Z")', "6/15/2009 1:45:30 AM"),
        ('CDate("2009-02-30")', None),
        ('CDate("soon")', None),
    ],
    "CStr": [("CStr(12)", "12"), ("CStr(CBool(1))", "True"), ("CStr([mail])", None)],
    "Coalesce": [
        ("Coalesce([mail],[userPrincipalName])", "John.Doe@contoso.com"),
        ('Coalesce([mail], [companyName], "none")', "none"),
        ('Coalesce([mail], "")', None),
        ('Coalesce(Mid([surname], 0, 1), "none")', None),
    ],
    "ConvertToBase64": [
        ('ConvertToBase64("Hello world!")', "SABlAGwAbABvACAAdwBvAHIAbABkACEA"),
        ("ConvertToBase64([mail])", None),
    ],
    "ConvertToUTF8Hex": [('ConvertToUTF8Hex("Hello world!")', "48656C6C6F20776F726C6421")],
    "Count": [("Count([proxyAddresses])", "3"), ("Count([surname])", "1"), ("Count([mail])", "0")],
    "DateAdd": [
        ('DateAdd("d", 7, CDate([employeeHireDate]))', "3/23/2012 7:00:00 AM"),
        ('DateAdd("d", -10, CDate([employeeHireDate]))', "3/6/2012 7:00:00 AM"),
        ('DateAdd("ww", 2, CDate([employeeHireDate]))', "3/30/2012 7:00:00 AM"),
        ('DateAdd("m", 10, CDate([employeeHireDate]))', "1/16/2013 7:00:00 AM"),
        ('DateAdd("yyyy", 2, CDate([employeeHireDate]))', "3/16/2014 7:00:00 AM"),
        ('DateAdd("m", 1, "2012-01-31")', "2/29/2012 12:00:00 AM"),
        ('DateAdd("h", 25, "2012-01-31")', "2/1/2012 1:00:00 AM"),
        ('DateAdd("n", 61, "2012-01-31")', "1/31/2012 1:01:00 AM"),
        ('DateAdd("s", 61, "2012-01-31")', "1/31/2012 12:01:01 AM"),
        ('DateAdd("yyyy", 8000, "2012-01-31")', None),
        ('DateAdd("d", 999999999999999999, "2012-01-31")', None),
        ('DateAdd([state], 1, "2012-01-31")', None),
    ],
    "DateDiff": [
        ('DateDiff("d", "2021-08-18+08:00", CDate("2021-08-31+08:00"))', "13"),
        ('DateDiff("d", "8/25/2021 5:41:18 PM", CDate([employeeHireDate]))', "-3449"),
        ('DateDiff("ww", "8/25/2021 5:41:18 PM", CDate([employeeHireDate]))', "-493"),
        ('DateDiff("m", "8/25/2021 5:41:18 PM", CDate([employeeHireDate]))', "-113"),
        ('DateDiff("yyyy", "8/25/2021 5:41:18 PM", CDate([employeeHireDate]))', "-9"),
        ('DateDiff("d", "2021-08-31+08:00", "2021-08-31+08:00")', "0"),
        ('DateDiff("h", "2021-08-24", "2021-08-25")', "24"),
        ('DateDiff("n", "2021-08-24", "2021-08-25")', "1440"),
        ('DateDiff("s", "2021-08-24", "2021-08-25")', "86400"),
        ('DateDiff("d", [surname], "2021-08-25")', None),
    ],
    "DateFromNum": [
        ("DateFromNum(129699324000000000)", "1/1/2012 11:00:00 PM"),
        ("DateFromNum(9999999999999999999999)", None),
    ],
    "FormatDateTime": [
        ('FormatDateTime([extensionAttribute1], , "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")', "2015-01-23"),
        ('FormatDateTime("3/6/2020 03:04:05 PM", , "M/d/yyyy hh:mm:ss tt", "yyyy-MM-dd HH:mm")', "2020-03-06 15:04"),
        ('FormatDateTime("6 Mar 20", , "d MMM yy", "dddd, d MMMM yyyy")', "Friday, 6 March 2020"),
        (
            'FormatDateTime("2020-12-31-08:00", '
            '"AdjustToUniversal", "yyyy-MM-ddzzz", "o")',
            "2020-12-31T08:00:00.0000000Z",
        ),
        ('FormatDateTime([surname], , "yyyy", "yy")', None),
        ('FormatDateTime("2020-13-31", , "yyyy-MM-dd", "yy")', None),
    ],
    "IIF": [
        ('IIF([country]="USA",[country],[department])', "USA"),
        ('IIF([country]="UK",[country],[department])', "Sales"),
        ('IIF([country]="USA",IIF([state]="CA","True","False"),"False")', "False"),
        ('IIF(DateDiff("d", "2021-08-24", "2021-08-31") > 5, "later", "soon")', "later"),
        ('IIF([mail]="","Other",[mail])', None),
        ('IIF(IsNullOrEmpty([mail]),"Other",[mail])', None),
        ('IIF([country] > 5, "a", "b")', None),
        ('IIF(5 >= 5, "a", "b")', "a"),
        ('IIF(4 < 5, "a", "b")', "a"),
        ('IIF(6 <= 5, "a", "b")', "b"),
    ],
    "IgnoreFlowIfNullOrEmpty": [
        ("IgnoreFlowIfNullOrEmpty([department])", "Sales"),
        ('IgnoreFlowIfNullOrEmpty(Switch([state], "", "3443", "Dr."))', None),
    ],
    "InStr": [
        ('InStr("The quick brown fox","quick")', "5"),
        ('InStr("repEated","e",3,vbBinaryCompare)', "7"),
        ('InStr("repEated","e",3,vbTextCompare)', "4"),
        ('InStr("repEated","x")', "0"),
        ('InStr("repEated","e",0)', None),
    ],
    "IsNull": [("IsNull([displayName])", "False"), ("IsNull([mail])", "True")],
    "IsNullOrEmpty": [
        ("IsNullOrEmpty([companyName])", "True"),
        ('IsNullOrEmpty("")', "True"),
        ("IsNullOrEmpty([state])", "False"),
        ("IsNullOrEmpty(Mid([state], 0, 1))", None),
    ],
    "IsPresent": [("IsPresent([state])", "True"), ("IsPresent([mail])", "False")],
    "IsString": [("IsString([state])", "True"), ("IsString(Count([state]))", "False")],
    "Item": [
        ("Item([proxyAddresses], 1)", "SMTP:zoe@contoso.com"),
        ("Item([proxyAddresses], 0)", None),
        ("Item([proxyAddresses], 4)", None),
        ("Item([state], 1)", "QLD"),
    ],
    "Join": [
        ('Join(", ", "", [surname], [givenName])', "Doe, Zoë"),
        ('Join(";", [proxyAddresses])', "SMTP:zoe@contoso.com;smtp:z@contoso.com;smtp:z@contoso.com"),
        ('Join("", 1000, [state])', "1000QLD"),
        ('Join(" ", [mail], [companyName])', None),
    ],
    "Left": [
        ('Left("John Doe", 3)', "Joh"),
        ('Left("John Doe", 0)', None),
        ('Left("John Doe", -1)', "John Doe"),
        ('Left("John", 9)', "John"),
        ("Left([mail], 3)", None),
    ],
    "Len": [('Len("John Doe")', "8"), ("Len([mail])", None)],
    "Mid": [
        ('Mid("John Doe", 6, 2)', "Do"),
        ('Mid("John Doe", 6, 99)', "Doe"),
        ('Mid("John", 9, 1)', None),
        ('Mid("John", 0, 1)', None),
    ],
    "NormalizeDiacritics": [
        ("NormalizeDiacritics([givenName])", "Zoe"),
        ('NormalizeDiacritics("Łódź Søren Straße Ærø ǣ ıİ Ṻ")', "Lodz Soeren Strasse AEroe ae iI U"),
        ('NormalizeDiacritics("Ελλάδα 한글")', "Ελλάδα 한글"),
    ],
    "Not": [
        ('Not("True")', "False"),
        ('Not("False")', "True"),
        ('Not("anything")', "True"),
        ("Not([mail])", "True"),
        ('Not([country] = "USA")', "False"),
    ],
    "NumFromDate": [
        (
            'NumFromDate(Join("", FormatDateTime("2020-12-31-08:00", '
            ',"yyyy-MM-ddzzz", "yyyy-MM-dd"), " 23:59:59-08:00"))',
            "132539615990000000",
        ),
        ('NumFromDate("tomorrow")', None),
    ],
    "PCase": [
        ('PCase("PABLO GONSALVES (SECOND)")', "Pablo Gonsalves (Second)"),
        ("PCase(\"PINTO-DE'SILVA\", \" '-\")", "Pinto-De'Silva"),
        ('PCase(Join(" ", "GREGORY", "JAMES"))', "Gregory James"),
    ],
    "RemoveDuplicates": [("RemoveDuplicates([proxyAddresses])", ["SMTP:zoe@contoso.com", "smtp:z@contoso.com"])],
    "Replace": [
        ('Replace([jobTitle],"Product Developer", , , "Software Engineer", , )', "Software Engineer"),
        ('Replace([userPrincipalName], "@contoso.com", , ,"", ,)', "John.Doe"),
        ('Replace([employeeId],"<username>", , , , , "<username>@contoso.com")', "jsmith@contoso.com"),
        (
            'Replace([faxNumber], , "\\\\+(?<isdCode>\\\\d* )(?<phoneNumber>\\\\d{10})", '
            ', "${phoneNumber}", , )',
            "9998887777",
        ),
        ('Replace([mobile], , "[()\\\\s-]+", , "", , )', "+19998887777"),
        ('Replace([streetAddress], ,"(?<streetNumber>^\\\\d*)","streetNumber", "888", , )', "888 Tremont Street"),
        ('Replace([userPrincipalName], , "(?<Suffix>@(.)*)", "Suffix", "", , )', "John.Doe"),
        (
            'Replace([mail], , "\\\\+(?<isdCode>\\\\d* )(?<phoneNumber>\\\\d{10})", '
            '"phoneNumber" , , [faxNumber], )',
            "9998887777",
        ),
        ('Replace([state], , "(?<a>\\\\d)", "a" , , [faxNumber], )', "QLD"),
        ('Replace([mail], , "(?<a>x)", "a" , , [faxNumber], )', None),
        ('Replace([mailNickname], , "[a-zA-Z_]*", , "", , )', "72"),
        ('Replace([state], , "(?<a>L)|(?<b>Q)", "b", "!", , )', "!LD"),
        ('Replace([state], , "L", , "$$1$&${none}$9", , )', "Q$1L${none}$9D"),
        ('Replace([mail],"a", , , "b", , )', None),
    ],
    "Right": [
        ('Right("John Doe", 3)', "Doe"),
        ('Right("John Doe", 0)', None),
        ('Right("John Doe", -1)', "John Doe"),
        ('Right("Doe", 9)', "Doe"),
    ],
    "Split": [
        ('Split([extensionAttribute5], ",")', ["PermissionSetOne", "PermissionSetTwo"]),
        ('Split(",", ",")', None),
        ('Split([state], "")', None),
    ],
    "StripSpaces": [('StripSpaces(" a b ")', "ab"), ('StripSpaces("  ")', None)],
    "Switch": [
        (
            'Switch([state], "Australia/Sydney", "NSW", "Australia/Sydney","QLD", '
            '"Australia/Brisbane", "SA", "Australia/Adelaide")',
            "Australia/Brisbane",
        ),
        ('Switch([state], "Australia/Sydney", "qld", "Australia/Brisbane")', "Australia/Sydney"),
        ('Switch(ToLower([state]), "0", "qld", "1")', "1"),
        ('Switch([mail], "Default Value", "true", "1", "", "0")', "0"),
        ('Switch([state], , "NSW", "1")', None),
        ('Switch([IsSoftDeleted], , "False", "True", "True", "False")', "True"),
    ],
    "ToLower": [
        (
            'ToLower(Join("@", NormalizeDiacritics(StripSpaces(Join(".", '
            ' "John", "Sm ith"))), "contoso.com"))',
            "john.smith@contoso.com",
        ),
        ('ToLower("İI", "tr-TR")', "iı"),
        ("ToLower([mail])", None),
    ],
    "ToUpper": [('ToUpper("Zoë")', "ZOË"), ('ToUpper("straße")', "STRAßE"), ('ToUpper("ıi", "tr-TR")', "Iİ")],
    "Trim": [('Trim("  a b ")', "a b"), ('Trim("  ")', None)],
    "Word": [
        ('Word("The quick brown fox",3," ")', "brown"),
        ('Word("This,string!has&many separators",3,",!&#")', "has"),
        ('Word("This,string",0,",")', None),
        ('Word("This,string",3,",")', None),
        ('Word("a b,c d",2,",")', "c d"),
        ('Word([mail],1,",")', None),
    ],
}  # fmt: skip


@pytest.mark.parametrize("function", sorted(TABLE))
def test_a_function_gives_what_microsofts_page_says(function: str) -> None:
    """Reference for writing expressions for attribute mappings: examples and remarks."""
    for expression, value in TABLE[function]:
        check(expression, value)


@pytest.mark.parametrize(
    ("expression", "one", "several"),
    [
        ("SingleAppRoleAssignment([appRoleAssignments])", "Admin", None),
        (
            "AppRoleAssignmentsComplex([appRoleAssignments])",
            [{"primary": False, "type": "WindowsAzureActiveDirectoryRole", "displayName": "Admin", "value": "Admin"}],
            ["Admin", "User"],
        ),
        (
            "AssertiveAppRoleAssignmentsComplex([appRoleAssignments])",
            [{"primary": False, "type": "WindowsAzureActiveDirectoryRole", "display": "Admin", "value": "Admin"}],
            ["Admin", "User"],
        ),
    ],
)  # fmt: skip
def test_app_roles_are_given_as_entra_sends_them(
    expression: str, one: JsonValue, several: list[str] | None
) -> None:
    """One role is a text; several are objects, of which none is left out."""
    source = compile_source(expression)
    assert source.properties == frozenset()
    assert source.read(person("a", appRoleAssignments=[{"value": "Admin"}])) == one
    found = source.read(person("a", appRoleAssignments=[{"value": "Admin"}, "User"]))
    assert (found and [role["value"] for role in found]) == several  # type: ignore[index,union-attr,call-overload]
    assert source.settle(found) == found
    assert not source.fails(person("a", appRoleAssignments=[]))
    assert source.fails(person("a")), "roles that were not read are not roles that are gone"


@pytest.mark.parametrize(
    "expression",
    ['Mid([state], 0, 1)', 'CDate("x")', "BitAnd([state], 1)", "IgnoreFlowIfNullOrEmpty([mail])"],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_told_from_what_is_empty(expression: str) -> None:
    """Only what is empty in Entra may be emptied here."""
    assert compile_source(expression).fails(USER)
    assert not compile_source(f"Append([mail], {expression})").fails(USER)


def test_a_result_is_capped() -> None:
    """Nested replacements could grow without bound."""
    grown = '"aaaaaaaaaa"'
    for _ in range(6):
        grown = f'Replace({grown}, "a", , , "aaaaaaaaaa", , )'
    source = compile_source(grown)
    absent = source.why_absent(USER)
    assert source.read(USER) is None
    assert absent is not None
    assert "4096" in absent.reason


def test_a_hostile_regular_expression_takes_bounded_time() -> None:
    """A customer's pattern must not stop the worker for every tenant."""
    source = compile_source('Replace([state], , "^((a+)+)+$", , "x", , )')
    assert source.read(person("a", state="a" * 4000 + "!")) in ("a" * 4000 + "!", None)


def test_what_cannot_be_evaluated_empties_nothing() -> None:
    """A policy that clears what is emptied in Entra must not clear what merely fails."""
    mapping = {"userName": "mailNickname", "title": "Mid([state], 0, 1)", "nickName": 'Append([mail], "x")'}
    compiled = compile_mapping(Policy(mapping=mapping, clear_emptied_attributes=True))
    document: Document = {"userName": "john_doe72", "title": "Boss", "nickName": "Jo"}
    assert compiled.differences(USER, document, lambda _id: None) == ({"nickName": "Jo"}, {"nickName": None})
