"""Lists of subjects: what a file may look like, and which lines are refused before anything is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.cli import subject_lists
from console.errors import WrongUse


def listed(folder: Path, content: str | bytes) -> subject_lists.SubjectList:
    file = folder / "people.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return subject_lists.listed(str(file))


def test_one_a_line_with_comments_and_blank_lines(tmp_path: Path) -> None:
    """A list is written by people: comments and blank lines are passed over."""
    asked = listed(tmp_path, "# leavers of May\n\nada@fabrikam.com\n  All Employees  \n")
    assert asked.subjects == ("ada@fabrikam.com", "All Employees")
    assert asked.refused == ()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_of_a_csv_the_first_column_counts(tmp_path: Path, separator: str) -> None:
    """Excel separates by comma, semicolon or tab, depending on where in the world it runs."""
    rows = [["userPrincipalName", "department"], ["ada@fabrikam.com", "Sales"], ["bo@fabrikam.com", ""]]
    asked = listed(tmp_path, "\n".join(separator.join(row) for row in rows))
    assert asked.subjects == ("ada@fabrikam.com", "bo@fabrikam.com")


def test_a_name_with_a_comma_is_put_in_quotes(tmp_path: Path) -> None:
    """CSV (RFC 4180): quotes keep a comma, and are doubled to be themselves."""
    assert listed(tmp_path, '"Sales, EMEA"\n"The ""A"" team",x').subjects == ("Sales, EMEA", 'The "A" team')


def test_the_file_of_entras_bulk_operations_is_read_as_it_is(tmp_path: Path) -> None:
    """Its first line is a version, its second a heading with the attribute in brackets."""
    content = (
        "version:v1.0\nMember object ID or user principal name [memberObjectIdOrUpn] Required\na@x.example\n"
    )
    assert listed(tmp_path, content).subjects == ("a@x.example",)


def test_who_is_named_twice_is_asked_for_once(tmp_path: Path) -> None:
    """Letter case aside, as Entra compares names."""
    asked = listed(tmp_path, "ada@x.example\nbo@x.example\nADA@x.example\n")
    assert (asked.subjects, asked.repeated) == (("ada@x.example", "bo@x.example"), 1)


def test_every_line_that_cannot_be_meant_is_refused_with_its_number(tmp_path: Path) -> None:
    """Each refused line is named with its number; the others do not hide it."""
    lines = [
        "# list",
        "ada@x.example",
        "@x.example",
        "",
        "ada bo@x.example",
        ",Sales",
        '"open',
        "x" * 300,
        "\x00",
    ]
    asked = listed(tmp_path, "\n".join(lines))
    assert [line.number for line in asked.refused] == [3, 5, 6, 7, 8, 9]
    assert all(line.why for line in asked.refused)
    assert asked.subjects == ("ada@x.example",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_windows_writes_is_read(tmp_path: Path, encoding: str) -> None:
    """Notepad puts a mark before UTF-8; PowerShell's `>` writes UTF-16."""
    assert listed(tmp_path, "Zoë@x.example\r\n".encode(encoding)).subjects == ("Zoë@x.example",)


def test_a_file_that_is_no_text_is_refused_with_the_line(tmp_path: Path) -> None:
    """A list in an old Windows code page would name other people than were meant."""
    with pytest.raises(WrongUse, match="line 2 is not UTF-8"):
        listed(tmp_path, b"ada@x.example\nZo\xeb@x.example\n")


@pytest.mark.parametrize("content", ["", "# nobody\n\n", "userPrincipalName\n"])
def test_a_list_of_nobody_is_refused(tmp_path: Path, content: str) -> None:
    """An empty list is more likely a mistake than a wish."""
    with pytest.raises(WrongUse, match="names nobody"):
        listed(tmp_path, content)


def test_a_list_that_is_too_long_says_what_to_do_instead(tmp_path: Path) -> None:
    """Beyond ten thousand a whole cycle is the better way."""
    with pytest.raises(WrongUse, match="leaver sync"):
        listed(tmp_path, "\n".join(f"p{number}@x.example" for number in range(10_001)))


def test_a_missing_file_is_named_with_its_fault(tmp_path: Path) -> None:
    """What, why, what to do next."""
    with pytest.raises(WrongUse, match="cannot be read"):
        subject_lists.listed(str(tmp_path / "none.csv"))


@pytest.mark.parametrize("word", ["", "  ", "@x.example", "ada @x.example", "a\x00"])
def test_a_word_that_cannot_be_meant_is_refused(word: str) -> None:
    """The same holds for what is typed."""
    with pytest.raises(WrongUse, match="SUBJECT"):
        subject_lists.typed([word])
