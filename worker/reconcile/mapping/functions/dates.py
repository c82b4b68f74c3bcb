"""Functions over dates."""

from __future__ import annotations

from collections.abc import Sequence

from worker.reconcile.mapping.functions.base import (
    BuildError,
    Evaluate,
    Function,
    FunctionParameter,
    ValueKind,
    constant_text,
    strict,
)
from worker.reconcile.mapping.functions.date_formats import (
    STYLES,
    DateError,
    compile_format,
    read_formatted,
    write_formatted,
)
from worker.reconcile.mapping.functions.date_values import (
    add_interval,
    difference,
    from_directory_number,
    read_date,
    to_directory_number,
    write_date,
)
from worker.reconcile.mapping.syntax import FunctionCall
from worker.reconcile.mapping.values import Value, fault

_INTERVAL = FunctionParameter("interval", ValueKind.INTERVAL)


def _date(text: str) -> Value:
    try:
        return write_date(read_date(text))
    except DateError as error:
        return fault(str(error))


def _add(interval: str, value: int, text: str) -> Value:
    try:
        return write_date(add_interval(interval, value, read_date(text)))
    except DateError as error:
        return fault(str(error))


def _difference(interval: str, first: str, second: str) -> Value:
    try:
        return difference(interval, read_date(first), read_date(second))
    except DateError as error:
        return fault(str(error))


def _from_number(number: int) -> Value:
    try:
        return write_date(from_directory_number(number))
    except DateError as error:
        return fault(str(error))


def _to_number(text: str) -> Value:
    try:
        return to_directory_number(read_date(text))
    except DateError as error:
        return fault(str(error))


def _format(text: str, styles: str | None, source: str, target: str) -> Value:
    try:
        return write_formatted(read_formatted(text, source, styles or ""), target)
    except DateError as error:
        return fault(str(error))


_FORMAT_PARAMETERS = (
    FunctionParameter("source"),
    FunctionParameter("dateTimeStyles", optional=True, constant=True),
    FunctionParameter("inputFormat", constant=True),
    FunctionParameter("outputFormat", constant=True),
)
_FORMAT = strict("FormatDateTime", *_FORMAT_PARAMETERS, do=_format)


def _build_format(call: FunctionCall, arguments: Sequence[Evaluate]) -> Evaluate:
    styles, *formats = call.arguments[1:]
    for style in (constant_text(styles) or "").split(","):
        if style.strip().lower() not in STYLES:
            raise BuildError(styles.column, f"{style.strip()!r:.40} is not a DateTimeStyles of .NET")
    for argument in formats:
        try:
            compile_format(constant_text(argument) or "")
        except DateError as error:
            raise BuildError(argument.column, str(error)) from None
    return _FORMAT.build(call, arguments)


FUNCTIONS: tuple[Function, ...] = (
    strict("CDate", FunctionParameter("expression"), do=_date),
    strict(
        "DateAdd",
        _INTERVAL,
        FunctionParameter("value", ValueKind.WHOLE),
        FunctionParameter("dateTime"),
        do=_add,
    ),
    strict("DateDiff", _INTERVAL, FunctionParameter("date1"), FunctionParameter("date2"), do=_difference),
    strict("DateFromNum", FunctionParameter("value", ValueKind.WHOLE), do=_from_number),
    Function("FormatDateTime", _FORMAT_PARAMETERS, _build_format),
    strict("NumFromDate", FunctionParameter("value"), do=_to_number),
)
