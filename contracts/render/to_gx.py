"""Great Expectations rules from the declarations, for every copy of a table.

A `Rule` is data, so that suites can be read and tested without the engine. `to_expectation` turns a
rule into an expectation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.columns import COLUMNS, LogicalType, PersonalData
from contracts.tables import Table

CRITICAL: Final = "critical"
WARNING: Final = "warning"

_NUMBERS: Final = (
    LogicalType.INTEGER,
    LogicalType.LONG,
    LogicalType.DOUBLE,
    LogicalType.MONEY,
)


@dataclass(frozen=True)
class Rule:
    """One expectation: `kind` is its class, `what` its short name.

    A `private` rule checks values that may be personal: reports count them and never quote them.
    A rule with `where_present` checks only rows in which that column is not null.
    """

    kind: str
    what: str
    expected: str
    reason: str
    column: str | None = None
    severity: str = CRITICAL
    arguments: Mapping[str, Any] = field(default_factory=dict)
    private: bool = False
    where_present: str | None = None


def is_private(column: str) -> bool:
    """Return whether values of a column must not be quoted in a report."""
    return column in COLUMNS and COLUMNS[column].personal is not PersonalData.NONE


def base_rules(table: Table) -> tuple[Rule, ...]:
    """Return the rules of the declaration of a table: columns, nulls, values, ranges, key."""
    return (
        _columns_rule(table),
        *(_not_null(name) for name in table.column_names if not table.is_nullable(name)),
        *_value_rules(table),
        _key_rule(table),
    )


def _columns_rule(table: Table) -> Rule:
    return Rule(
        "ExpectTableColumnsToMatchOrderedList",
        "columns",
        f"the {len(table.column_names)} declared columns, in order",
        "contracts/tables.py declares the columns and their order",
        arguments={"column_list": list(table.column_names)},
    )


def _not_null(name: str) -> Rule:
    return Rule(
        "ExpectColumnValuesToNotBeNull",
        "not_null",
        "no null",
        "declared not nullable",
        name,
        private=is_private(name),
    )


def _value_rules(table: Table) -> tuple[Rule, ...]:
    rules = []
    for column in table.columns:
        if column.allowed:
            rules.append(
                Rule(
                    "ExpectColumnValuesToBeInSet",
                    "in_set",
                    f"one of {', '.join(column.allowed)}",
                    "the declared list is closed",
                    column.name,
                    arguments={"value_set": list(column.allowed)},
                )
            )
        if column.type in _NUMBERS and (column.minimum, column.maximum) != (None, None):
            rules.append(between(column.name, column.minimum, column.maximum, "the declared range"))
    return tuple(rules)


def _key_rule(table: Table) -> Rule:
    if len(table.key) == 1:
        kind, column, arguments = "ExpectColumnValuesToBeUnique", table.key[0], {}
    else:
        kind, column = "ExpectCompoundColumnsToBeUnique", None
        arguments = {"column_list": list(table.key)}
    return Rule(
        kind,
        "key_unique",
        f"one row per ({', '.join(table.key)})",
        "the declared key",
        column,
        arguments=arguments,
        private=any(is_private(name) for name in table.key),
    )


def shown(column: str | None, value: Any) -> str:
    """Return a value of a column as text: a share in percent.

    >>> shown("late_share", 0.05), shown("late_share", 0.1512), shown("rows", 0)
    ('5 %', '15.1 %', '0')
    """
    if isinstance(value, float | int) and column is not None and column.endswith("_share"):
        return f"{round(100 * value, 1):g} %"
    return f"{value:g}" if isinstance(value, float) else str(value)


def between(
    column: str,
    minimum: float | None,
    maximum: float | None,
    reason: str,
    severity: str = CRITICAL,
    what: str = "between",
) -> Rule:
    """Return the rule that each value of a column is in an inclusive range.

    `what` distinguishes several ranges of one column, such as the possible and the plausible range.
    """
    exactly = f"exactly {shown(column, minimum)}" if minimum == maximum else ""
    low = "" if minimum is None else f"at least {shown(column, minimum)}"
    high = "" if maximum is None else f"at most {shown(column, maximum)}"
    return Rule(
        "ExpectColumnValuesToBeBetween",
        what,
        exactly or " and ".join(part for part in (low, high) if part),
        reason,
        column,
        severity,
        {"min_value": minimum, "max_value": maximum},
        private=is_private(column),
    )


def matches(column: str, regex: str, expected: str, reason: str, severity: str = CRITICAL) -> Rule:
    """Return the rule that each value of a text column matches a regex; values are never quoted."""
    return Rule(
        "ExpectColumnValuesToMatchRegex",
        "form",
        expected,
        reason,
        column,
        severity,
        {"regex": regex},
        private=True,
    )


def hexadecimal(column: str, digits: int, reason: str) -> tuple[Rule, ...]:
    """Return the rules that each value of a text column has so many hexadecimal digits.

    The length is a separate rule: Postgres takes seven times as long for the regex
    `^[0-9a-f]{64}$` as for `^[0-9a-f]+$`.
    """
    length = Rule(
        "ExpectColumnValueLengthsToEqual",
        "length",
        f"{digits} characters",
        reason,
        column,
        CRITICAL,
        {"value": digits},
        private=True,
    )
    return matches(column, "^[0-9a-f]+$", "hexadecimal digits", reason), length


def free_of(column: str, regex: str, expected: str, reason: str) -> Rule:
    """Return the rule that no value of a text column matches a regex; values are never quoted."""
    return Rule(
        "ExpectColumnValuesToNotMatchRegex",
        "free_of",
        expected,
        reason,
        column,
        CRITICAL,
        {"regex": regex},
        private=True,
    )


def equal(observed: str, expected: str, reason: str, severity: str = CRITICAL) -> Rule:
    """Return the rule that two columns of a comparison agree in every row."""
    return Rule(
        "ExpectColumnPairValuesToBeEqual",
        f"equals_{expected}",
        f"equal to {expected}",
        reason,
        observed,
        severity,
        {"column_A": observed, "column_B": expected, "ignore_row_if": "neither"},
    )


def present_with(column: str, other: str, reason: str) -> Rule:
    """Return the rule that a column is not null in each row where another is not null."""
    return Rule(
        "ExpectColumnValuesToNotBeNull",
        f"present_with_{other}",
        f"a value wherever {other} has one",
        reason,
        column,
        private=is_private(column),
        where_present=other,
    )


def not_below(larger: str, smaller: str, reason: str) -> Rule:
    """Return the rule that one column is never below another."""
    return Rule(
        "ExpectColumnPairValuesAToBeGreaterThanB",
        f"not_below_{smaller}",
        f"at least {smaller}",
        reason,
        larger,
        CRITICAL,
        {"column_A": larger, "column_B": smaller, "or_equal": True},
    )


def not_empty(reason: str = "a gate without rows has checked nothing") -> Rule:
    """Return the rule that a batch has a row."""
    return Rule(
        "ExpectTableRowCountToBeBetween",
        "not_empty",
        "at least 1 row",
        reason,
        arguments={"min_value": 1},
    )


def to_expectation(rule: Rule, name: str, engine: str) -> Any:
    """Return the Great Expectations object of a rule.

    `name` is the name of the check in the gate, `engine` evaluates it; both are stored in its meta.
    """
    import great_expectations.expectations as catalogue
    from great_expectations.expectations.row_conditions import Column

    arguments = dict(rule.arguments)
    if rule.column is not None and "column_A" not in arguments:
        arguments["column"] = rule.column
    if rule.where_present is not None:
        arguments["row_condition"] = Column(rule.where_present).is_not_null()
    return getattr(catalogue, rule.kind)(
        **arguments,
        severity=rule.severity,
        meta={"check": name, "engine": engine},
        notes=f"{rule.expected}: {rule.reason}",
    )
