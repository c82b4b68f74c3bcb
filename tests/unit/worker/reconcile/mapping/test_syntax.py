"""The text of expressions: what is read, and what is refused with the place of the fault."""

from __future__ import annotations

import pytest

from tests.builders.reconcile.snapshots import person
from worker.reconcile.mapping.expressions import compile_source
from worker.reconcile.mapping.syntax import (
    MAX_DEPTH,
    MAX_LENGTH,
    AttributeReference,
    Comparison,
    Empty,
    ExpressionError,
    FunctionCall,
    Number,
    Text,
    parse_expression,
    print_expression,
)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("mail", AttributeReference("mail")),
        (" [ mail ] ", AttributeReference("mail")),
        ("businessPhones[0]", AttributeReference("businessPhones", first=True)),
        ("[businessPhones[0]]", AttributeReference("businessPhones", first=True)),
        (r'"Company name: \"Contoso\""', Text('Company name: "Contoso"')),
        (r'"a\\b\d"', Text(r"a\b\d")),
        ("007", Number("007")),
        ("-10", Number("-10")),
        ("&HF7", Number("&HF7")),
        ("CStr([a])", FunctionCall("CStr", (AttributeReference("a"),))),
        ("Guid()", FunctionCall("Guid", ())),
        (
            "Switch(a, , 1, )",
            FunctionCall("Switch", (AttributeReference("a"), Empty(), Number("1"), Empty())),
        ),
        ("CBool([a]<>1)", FunctionCall("CBool", (Comparison(AttributeReference("a"), "<>", Number("1")),))),
    ],
)
def test_a_text_is_read(text: str, expression: object) -> None:
    """Attributes, constants, calls, comparisons and arguments that are left out."""
    assert parse_expression(text) == expression
    assert parse_expression(print_expression(parse_expression(text))) == expression


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("", 1, "ends too early"),
        ("Join(", 6, "ends too early"),
        ('Join(" ", [givenName]', 22, "expected a comma or a closing bracket"),
        ("[mail", 6, "a closing ]"),
        ("[mail]]", 7, "nothing may follow"),
        ('Join(" ", "a)', 11, "no closing"),
        ("Left([mail] 3)", 13, "a comma or a closing bracket is missing"),
        ("Left(, ])", 8, "a value is missing|expected"),
        ("Left([mail], 3x)", 14, "cannot be read"),
        ("[a] = [b]", 5, "nothing may follow"),
        ("Left([mail])", 1, r"does not take 1 arguments; write Left\(String, NumChars\)"),
        ('ToLower(Left([mail], "x"))', 22, "Left needs a whole number as NumChars, not 'x'"),
        ("Left([mail], 1.5)", 14, "Left needs a whole number"),
        ('DateAdd("q", 1, [a])', 9, "DateAdd needs one of yyyy, m, d, ww, h, n, s as interval"),
        ('CBool("maybe")', 7, "CBool needs True or False"),
        ("Left(, 3)", 1, "Left needs String"),
        ("Switch(, 1, 2, 3)", 1, "Switch needs source"),
        ("Nope([mail])", 1, "Nope is not known here"),
        ("tolower([mail])", 1, "tolower is not known here"),
        ("ToLower([mail], [a])", 18, "written out"),
        ("ToLower([a] = [b])", 10, "only in IIF, CBool and Not"),
        ('SelectUniqueValue("a", "b")', 1, "asks the target for a free value"),
        ("Now()", 1, "changes without a change of the user"),
        ("Guid()", 1, "another value each time"),
        ('FormatDateTime([a], , "yyyy-MM-dd", "\'x")', 37, "not part of a date format"),
        ('FormatDateTime([a], "Loose", "yyyy", "yy")', 21, "not a DateTimeStyles"),
        ('FormatDateTime([a], , "", "yy")', 23, "empty or not known"),
        ('Replace([a], , "(", , "x", , )', 16, "no closing one"),
        ('Replace([a], , "(?=x)", , "x", , )', 16, "lookaround"),
        ('Replace([a], , "(a)\\\\1", , "x", , )', 16, "cannot be searched"),
        ('Replace([a], , "(a*)*", , "x", , )', 16, "may be empty"),
        ('Replace([a], , "a{9999}{9}", , "x", , )', 16, "repetition follows"),
        ('Replace([a], , "(a{900}){9}", , "x", , )', 16, "too long"),
        ('Replace([a], , "(?<b>x)", "c", "x", , )', 27, "it has b"),
        ('Replace([a], , [b], , "x", , )', 17, "written out"),
        ('Replace([a], "x")', 1, "Replace needs oldValue with"),
        ('Replace(, "x", , , "y", , )', 1, "Replace needs source"),
        ("x" * (MAX_LENGTH + 1), MAX_LENGTH + 1, "longer than"),
        ("Trim(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), 5 * (MAX_DEPTH + 1), "nested"),
    ],
)
def test_a_wrong_text_is_refused_with_the_place_of_the_fault(text: str, column: int, problem: str) -> None:
    """Whoever saves a mapping reads where it is wrong, and what was expected."""
    with pytest.raises(ExpressionError, match=problem) as refusal:
        compile_source(text)
    assert refusal.value.column == column
    assert f"column {column}" in str(refusal.value)


def test_the_deepest_and_longest_expressions_are_evaluated() -> None:
    """The caps are such that nothing within them overflows a stack."""
    deep = "Trim(" * MAX_DEPTH + "[surname]" + ")" * MAX_DEPTH
    assert compile_source(deep).read(person("ana", surname="Lee")) == "Lee"
    long = f"Join(, {', '.join(['[surname]'] * 300)})"
    assert compile_source(long).read(person("ana", surname="L")) == "L" * 300
