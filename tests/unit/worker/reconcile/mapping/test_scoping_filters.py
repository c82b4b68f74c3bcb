"""Entra's scoping filters, operator by operator."""

from __future__ import annotations

import pytest

from store.records import JsonValue, Policy, ScopingClause
from tests.builders.reconcile.snapshots import person
from worker.reconcile.mapping.attribute_paths import PolicyError
from worker.reconcile.mapping.scoping_filters import compile_filters


def passes(value: JsonValue, operator: str, operand: str = "") -> bool:
    policy = Policy(scoping_filters=((ScopingClause("department", operator, operand),),))
    return compile_filters(policy)(person("ana", department=value))


@pytest.mark.parametrize(
    ("operator", "operand", "yes", "no"),
    [
        ("EQUALS", "Sales", "Sales", "sales"),
        ("NOT EQUALS", "Sales", "Staff", "Sales"),
        ("IS TRUE", "", True, False),
        ("IS FALSE", "", False, True),
        ("IS NOT NULL", "", "Sales", None),
        ("IS NULL", "", None, "Sales"),
        ("REGEX MATCH", "^S.+s$", "Sales", "Staff"),
        ("REGEX MATCH", "ale", "Sales", "Staff"),
        ("NOT REGEX MATCH", "^S.+s$", "Staff", "Sales"),
        ("Greater_Than", "10", "11", "10"),
        ("Greater_Than_OR_EQUALS", "10", 10, "9"),
        ("Includes", "ale", "Sales", "Staff"),
        ("ENDS_WITH", "les", "Sales", "Salesman"),
        ("&", "6", "2", "8"),
        ("!&", "6", "8", "2"),
        ("not equals", "Sales", "Staff", "Sales"),
    ],
)
def test_an_operator_tells_who_is_in_scope(
    operator: str, operand: str, yes: JsonValue, no: JsonValue
) -> None:
    """Operators of `define-conditional-rules`; comparison is exact, letter case included."""
    assert passes(yes, operator, operand)
    assert not passes(no, operator, operand)


@pytest.mark.parametrize(
    ("operator", "operand"),
    [("NOT EQUALS", "Sales"), ("IS FALSE", ""), ("NOT REGEX MATCH", "x"), ("!&", "6"), ("Includes", "")],
)
def test_an_empty_attribute_makes_a_clause_false(operator: str, operand: str) -> None:
    """A null attribute makes a clause false."""
    assert not passes(None, operator, operand)
    assert not passes("", operator, operand)


def test_what_is_no_number_is_not_compared_as_one() -> None:
    """`Greater_Than` is for whole numbers."""
    assert not passes("many", "Greater_Than", "10")


def test_clauses_are_anded_within_a_filter_and_filters_are_ored() -> None:
    """Clauses are ANDed within a filter, filters are ORed."""
    sales_in_leith = (
        ScopingClause("department", "EQUALS", "Sales"),
        ScopingClause("city", "EQUALS", "Leith"),
    )
    bosses = (ScopingClause("jobTitle", "EQUALS", "Boss"),)
    test = compile_filters(Policy(scoping_filters=(sales_in_leith, bosses)))
    assert test(person("ana", department="Sales", city="Leith"))
    assert test(person("bo", jobTitle="Boss"))
    assert not test(person("cy", department="Sales", city="Oban"))


def test_no_filter_lets_everybody_through() -> None:
    """Scoping filters are optional."""
    assert compile_filters(Policy())(person("ana"))


def test_entras_own_attribute_names_are_understood() -> None:
    """An admin copies the clause from Entra's page, where mobilePhone is called mobile."""
    policy = Policy(scoping_filters=((ScopingClause("mobile", "IS NOT NULL"),),))
    assert compile_filters(policy)(person("ana", mobilePhone="+44"))


@pytest.mark.parametrize(
    ("clause", "why"),
    [
        (ScopingClause("department", "SOUNDS LIKE", "x"), "SOUNDS LIKE"),
        (ScopingClause("department", "REGEX MATCH", "("), "not a regular expression"),
        (ScopingClause("department", "NOT REGEX MATCH", "("), "not a regular expression"),
        (ScopingClause("department", "Greater_Than", "ten"), "not a whole number"),
        (ScopingClause("userType", "EQUALS", "Guest"), "userType"),
        (ScopingClause("manager", "IS NULL"), "manager"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(clause: ScopingClause, why: str) -> None:
    """A filter that cannot be read must not decide who loses access."""
    with pytest.raises(PolicyError, match=why):
        compile_filters(Policy(scoping_filters=((clause,),)))
