"""Count, in one query, the rows that each rule of a table refuses.

Great Expectations' own engines ask the store once or more for each rule. Here the store that holds
the rows counts for all rules of a table at once, and Great Expectations judges the counts. The
conditions are written in the SQL that Spark and Postgres share.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from contracts.render.to_gx import Rule

KEY_RULES: Final = ("ExpectColumnValuesToBeUnique", "ExpectCompoundColumnsToBeUnique")
_SIZE: Final = "ExpectTableRowCountToBeBetween"
_COLUMNS: Final = "ExpectTableColumnsToMatchOrderedList"
_ONE_CLASS: Final = re.compile(r"\^\[([^]^\\]+)\]\{(\d+)\}\$")
"""A form of so many characters of one class, as that of a hash."""


class Relation(Protocol):
    """Rows in a store that can count them."""

    @property
    def types(self) -> Mapping[str, str]:
        """Return the stored type of each column, in order."""
        ...

    def count(self, expressions: Sequence[str]) -> list[int]:
        """Return aggregates over all rows, in one query."""
        ...

    def repeated(self, key: Sequence[str]) -> int:
        """Return how many rows share their key with a row before them."""
        ...

    def quote(self, columns: Sequence[str], condition: str, most: int) -> list[dict[str, Any]]:
        """Return these columns of some rows that meet a condition."""
        ...


@dataclass(frozen=True)
class Counts:
    """What was counted: `refused` rows by check; one that is missing could not be counted.

    `quote` returns examples of what a check refuses.
    """

    rows: int
    refused: Mapping[str, int]
    columns: tuple[str, ...]
    quote: Callable[[Rule], list[dict[str, Any]]] = field(default=lambda rule: [])


def count(
    relation: Relation,
    rules: Mapping[str, Rule],
    declared: Mapping[str, str],
    label: Sequence[str],
    most: int,
) -> Counts:
    """Count the rows that each rule refuses, in one query and one more for the key.

    A rule on a column that is missing or has another type than declared is not counted.
    """
    fit = {name for name, kind in relation.types.items() if declared.get(name) == kind}
    ready = {name: rule for name, rule in rules.items() if set(_columns(rule)) <= fit}
    counted = {name: refuses(rule) for name, rule in ready.items() if _is_of_rows(rule)}
    rows, *numbers = relation.count(
        ["count(*)", *(f"count(*) filter (where {condition})" for condition in counted.values())]
    )
    refused = dict(zip(counted, numbers, strict=True))
    for name, rule in ready.items():
        if rule.kind in KEY_RULES:
            refused[name] = relation.repeated(_columns(rule))
        elif rule.kind == _SIZE:
            refused[name] = int(rows < rule.arguments["min_value"])
        elif rule.kind == _COLUMNS:
            refused[name] = int(list(relation.types) != rule.arguments["column_list"])

    def quote(rule: Rule) -> list[dict[str, Any]]:
        if not _is_of_rows(rule):
            return []
        columns = [n for n in label if n in fit] + [n for n in _columns(rule) if n not in label]
        return relation.quote(columns, refuses(rule), most)

    return Counts(rows, refused, tuple(relation.types), quote)


def refuses(rule: Rule) -> str:
    """Return the condition of a row that a rule refuses; of a null value only a rule on nulls is.

    >>> from contracts.render.to_gx import between
    >>> refuses(between("hour_of_day", 0, 23, "a day has 24 hours"))
    'hour_of_day < 0 or hour_of_day > 23'
    >>> from contracts.render.to_gx import matches
    >>> refuses(matches("currency", "^[A-Z]{3}$", "three capitals", "ISO 4217"))
    "length(currency) <> 3 or regexp_like(currency, '[^A-Z]')"
    """
    column, given = rule.column, rule.arguments
    match rule.kind:
        case "ExpectColumnValuesToNotBeNull":
            return " and ".join([f"{column} is null", *filter(None, [given.get("row_condition")])])
        case "ExpectColumnValuesToBeInSet":
            return f"{column} not in ({', '.join(map(as_text, given['value_set']))})"
        case "ExpectColumnValuesToBeBetween":
            low, high = given["min_value"], given["max_value"]
            sides = [f"{column} < {low}"] if low is not None else []
            sides += [f"{column} > {high}"] if high is not None else []
            return " or ".join(sides)
        case "ExpectColumnValuesToMatchRegex":
            if form := _ONE_CLASS.fullmatch(given["regex"]):
                # Postgres counts the characters of a form in eight times the time of a search.
                characters, length = form.groups()
                other = as_text(f"[^{characters}]")
                return f"length({column}) <> {length} or regexp_like({column}, {other})"
            return f"not regexp_like({column}, {as_text(given['regex'])})"
        case "ExpectColumnValuesToNotMatchRegex":
            holds = f"regexp_like({column}, {as_text(given['regex'])})"
            return f"length({column}) >= {rule.shortest} and {holds}" if rule.shortest else holds
        case "ExpectColumnPairValuesAToBeGreaterThanB" if given["or_equal"]:
            return f"{given['column_A']} < {given['column_B']}"
    raise ValueError(f"no store counts what {rule.kind} refuses")


def _is_of_rows(rule: Rule) -> bool:
    return rule.kind not in (*KEY_RULES, _SIZE, _COLUMNS)


def _columns(rule: Rule) -> list[str]:
    """Return the columns that a rule reads; that on the columns themselves reads none."""
    given = rule.arguments
    if rule.kind == _COLUMNS:
        return []
    if "column_list" in given:
        return list(given["column_list"])
    if "column_A" in given:
        return [given["column_A"], given["column_B"]]
    return [] if rule.column is None else [rule.column]


def as_text(value: object) -> str:
    """Return a value as a text in the SQL that Spark and Postgres share.

    Raises:
        ValueError: for a backslash.
    """
    if "\\" in str(value):
        raise ValueError("Spark and Postgres read a backslash in a text each in its own way")
    return "'" + str(value).replace("'", "''") + "'"
