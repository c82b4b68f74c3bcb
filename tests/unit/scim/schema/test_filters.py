"""Filters: what the grammar of RFC 7644 §3.4.2.2 means for a resource type, and what Entra sends beside it."""

from __future__ import annotations

import pytest
from scim2_models import InvalidFilterException

from scim.schema.definitions import ENTERPRISE_URN, Shape, group_shape, user_shape
from scim.schema.entra_quirks import quoted_operands
from scim.schema.filters import criterion_of, parse, read_filter, read_order
from store.search.criteria import (
    All,
    AnyValue,
    Compare,
    Constant,
    Criterion,
    Field,
    Kind,
    Not,
    Operator,
    Order,
    Present,
    Some,
)

USER_NAME = Field("userName")
MANAGER = Field("manager", "value", ENTERPRISE_URN, case_exact=True)


def read(expression: str, shape: Shape | None = None) -> Criterion:
    return read_filter(shape or user_shape(), expression)


def test_the_filter_entra_sends_is_read() -> None:
    assert read('userName eq "Ada@example.com"') == Compare(USER_NAME, Operator.EQ, "Ada@example.com")


@pytest.mark.parametrize(
    "expression",
    [
        'USERNAME EQ "ada"',
        '  userName   eq "ada" ',
        'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada"',
    ],
)
def test_names_operators_and_urns_are_read_whatever_their_case(expression: str) -> None:
    """RFC 7644 §3.4.2.2: attribute names and operators are case-insensitive; §3.10: a URN may qualify them."""
    assert read(expression) == Compare(USER_NAME, Operator.EQ, "ada")


def test_the_work_email_filter_is_one_selection() -> None:
    """Entra SCIM page: a matching attribute may be `emails[type eq "work"].value`."""
    criterion = read('emails[type eq "work"].value eq "ada@example.com"')
    inner = All(
        (
            Compare(Field("type"), Operator.EQ, "work"),
            Compare(Field("value"), Operator.EQ, "ada@example.com"),
        )
    )
    assert criterion == AnyValue(Field("emails", kind=Kind.OBJECT, many=True), inner)


def test_the_reference_check_is_read_without_quotes() -> None:
    """Entra SCIM page of 2019-21: `id eq <id> and manager eq <managerId>`, values bare."""
    criterion = read("id eq 2f1e7a90-0c3d and manager eq 90aa51c2-7d3e")
    assert criterion == All(
        (
            Compare(Field("id", case_exact=True), Operator.EQ, "2f1e7a90-0c3d"),
            Compare(MANAGER, Operator.EQ, "90aa51c2-7d3e"),
        )
    )


def test_a_bare_id_of_digits_is_compared_as_text() -> None:
    assert read("id eq 12345") == Compare(Field("id", case_exact=True), Operator.EQ, "12345")


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("id eq abc", 'id eq "abc"'),
        ('userName eq "a eq b"', 'userName eq "a eq b"'),
        ('title eq "say \\"eq x\\"" and id eq z', 'title eq "say \\"eq x\\"" and id eq "z"'),
        ("active eq true", "active eq true"),
        ("(id eq a or id eq b)", '(id eq "a" or id eq "b")'),
        ("title pr", "title pr"),
    ],
)
def test_only_bare_operands_are_quoted(sent: str, meant: str) -> None:
    assert quoted_operands(sent) == meant


def test_a_multi_valued_attribute_is_compared_by_its_value() -> None:
    """RFC 7644 §3.4.2.2: `emails co "example.com"` looks at `emails.value`."""
    assert read('emails co "x"') == Compare(Field("emails", "value", many=True), Operator.CO, "x")


def test_members_are_found_by_id() -> None:
    field = Field("members", "value", many=True, case_exact=True)
    assert read('members eq "u1"', group_shape()) == Compare(field, Operator.EQ, "u1")


@pytest.mark.parametrize("value", ['"True"', '"false"', "true", "false"])
def test_a_boolean_may_come_as_a_string(value: str) -> None:
    wanted = value.strip('"').lower() == "true"
    assert read(f"active eq {value}") == Compare(Field("active", kind=Kind.BOOLEAN), Operator.EQ, wanted)


def test_logic_keeps_its_shape() -> None:
    """RFC 7644 §3.4.2.2: `and` binds tighter than `or`; parentheses group; `not` negates a group."""
    title, nick = Present(Field("title")), Present(Field("nickName"))
    assert read("title pr or nickName pr and not (title pr)") == Some((title, All((nick, Not(title)))))


def test_times_are_compared_as_times() -> None:
    criterion = read('meta.lastModified gt "2026-05-13T04:42:34Z"')
    field = Field("meta", "lastModified", kind=Kind.TIME)
    assert criterion == Compare(field, Operator.GT, "2026-05-13T04:42:34+00:00")


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ('meta.resourceType eq "User"', True),
        ('meta.resourceType ne "User"', False),
        ('meta.resourceType sw "Us"', True),
    ],
)
def test_the_resource_type_is_known_beforehand(expression: str, answer: bool) -> None:
    assert read(expression) == Constant(answer)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "userName",
        "userName eq",
        'userName eq "ada',
        'userName like "a"',
        '(userName eq "a"',
        "favouriteColour pr",
        'emails[colour eq "red"]',
        'name eq "Ada"',
        'name[givenName eq "x"]',
        "active gt true",
        'active eq "perhaps"',
        'meta.created gt "yesterday"',
        'meta.location sw "https"',
        'password eq "x"',
        'schemas eq "x"',
        'title eq "a" xor title eq "b"',
        'emails[emails[type eq "work"]]',
    ],
)
def test_what_is_no_filter_is_refused(expression: str) -> None:
    """RFC 7644 §3.12: invalidFilter."""
    with pytest.raises(InvalidFilterException):
        read(expression)


def test_long_deep_and_wide_filters_are_refused() -> None:
    with pytest.raises(InvalidFilterException, match="characters"):
        read(f'userName eq "{"x" * 5000}"')
    with pytest.raises(InvalidFilterException, match="comparisons"):
        read(" or ".join(["title pr"] * 51))
    with pytest.raises(InvalidFilterException):
        read("not (" * 200 + "title pr" + ")" * 200)


def test_in_a_search_over_all_types_an_undeclared_attribute_is_just_false() -> None:
    """RFC 7644 §3.4.2.1: types that lack the attribute do not match."""
    node = parse('userName eq "ada"')
    assert criterion_of(group_shape(), node, Constant(False)) == Constant(False)


def test_sorting_reads_an_attribute_or_its_value() -> None:
    assert read_order(user_shape(), "userName", "Descending") == Order(USER_NAME, True)
    assert read_order(user_shape(), "emails", None) == Order(Field("emails", "value", many=True))
    assert read_order(user_shape(), "name", None) is None
    assert read_order(user_shape(), "favouriteColour", None) is None
