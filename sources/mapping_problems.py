"""What is wrong with the rules and columns of a layout in a mapping file."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from contracts.columns import COLUMNS
from contracts.features import SOURCE_FEATURE_NAME
from contracts.lake_tables import FEATURE_ROW, TRANSACTION
from contracts.printable import printable
from contracts.values import VALUES, canonical, flaw
from sources.countries import ISO_3166
from sources.currencies import ISO_4217
from sources.parquet_types import NO_NUMBERS, DeclaredType
from sources.rules import (
    MAPPED_COLUMNS,
    NEEDED_COLUMNS,
    Coded,
    Constant,
    Epoch,
    Flags,
    Instant,
    RowNumber,
    Rule,
    Steps,
    Take,
    columns_of,
)

_MAPPED: Final = frozenset(MAPPED_COLUMNS)
_NO_FEATURES: Final = _MAPPED | {*TRANSACTION, *FEATURE_ROW}


def layout_problems(
    columns: Mapping[str, tuple[DeclaredType, ...]],
    written: Mapping[str, Rule],
    rules: Mapping[str, Rule],
) -> list[str]:
    """Return a sentence for each mistake of a layout.

    `columns` has the types of the file's columns; `rules` are those `written` in the file and the
    defaults. A mistake of a written rule is not repeated for a default that follows from it.
    """
    problems = [f"{name} is not a column that a mapping fills" for name in written.keys() - _MAPPED]
    problems += _needed_problems(rules)
    problems += _name_problems(tuple(columns))
    for name, rule in written.items():
        absent = columns_of(rule) - columns.keys()
        problems += [f"{name} reads {one}, which columns does not list" for one in absent]
        problems += _constant_problem(name, rule)
        problems += _kind_problem(name, rule)
    problems += _amount_problem(rules.get("amount"), columns)
    problems += _currency_problem(rules.get("currency"))
    problems += [
        f"{name} is taken as it stands, without strip_prefix"
        for name, rule in written.items()
        if name in ("amount", "currency") and isinstance(rule, Take) and rule.strip_prefix
    ]
    return sorted(problems)


def feature_problems(
    columns: Mapping[str, tuple[DeclaredType, ...]], features: Mapping[str, str]
) -> list[str]:
    """Return a sentence for each mistake of the features of a layout.

    `columns` has the types of the file's columns; `features` has the column of each feature.
    """
    problems = []
    for name, column in features.items():
        if not re.fullmatch(SOURCE_FEATURE_NAME, name):
            problems.append(
                f"the feature {printable(name)} has no valid name: use at most 40 small letters,"
                " digits and _, a letter first"
            )
        if name in _NO_FEATURES:
            problems.append(f"the feature {name} has the name of a column: give it another name")
        if column not in columns:
            problems.append(f"the feature {name} reads {column}, which columns does not list")
        problems += [
            f"the feature {name} is taken from a column with the type {one}, which has no numbers"
            for one in columns.get(column, ())
            if one in NO_NUMBERS
        ]
    return sorted(problems)


def _needed_problems(rules: Mapping[str, Rule]) -> list[str]:
    missing = [name for name in NEEDED_COLUMNS if name not in rules]
    if not isinstance(rules.get("event_at"), Steps):
        # It follows from any other rule of the time.
        missing = [name for name in missing if name != "event_at_precision"]
    return [f"nothing fills {name}" for name in missing]


def _amount_problem(
    rule: Rule | None, columns: Mapping[str, tuple[DeclaredType, ...]]
) -> list[str]:
    if not isinstance(rule, Take | None):
        return ["amount is taken from one column"]
    return [
        f"amount is taken from a column with the type {one}, which holds no money"
        for one in (columns.get(rule.column, ()) if rule else ())
        if one in NO_NUMBERS
    ]


_KINDS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    **dict.fromkeys(
        ("event_at", "label_known_at"),
        ((Instant, Steps, Epoch), "is a time: fill it by time, steps or epoch"),
    ),
    "source_flags": ((Flags,), "is filled by flags"),
}
"""Rules that alone fill a column, and how to say so."""
_SPECIAL: Final = (Instant, Steps, Epoch, Flags, RowNumber)
"""Rules whose values are no text."""


def _kind_problem(name: str, rule: Rule) -> list[str]:
    """Say that a rule cannot fill a column, since it makes values of another type."""
    kinds, text = _KINDS.get(name, ((), ""))
    if kinds:
        return [] if isinstance(rule, kinds) else [f"{name} {text}"]
    if isinstance(rule, RowNumber) and name == "source_sequence":
        return []
    if isinstance(rule, _SPECIAL):
        return [f"{name} is no time, no list of flags and no position: fill it by another rule"]
    return []


_TAKEN: Final = frozenset({"raw_object", "raw_position", "ingested_at", "is_readable", "_metadata"})
"""Names of columns that the reader of Raw adds to those of a file."""


def _name_problems(names: Sequence[str]) -> list[str]:
    """Say which names of columns Spark cannot tell apart or quote."""
    problems = []
    for name in names:
        if "`" in name or not name.strip() or not name.isprintable():
            problems.append(
                f"the column {name!r} is called by nothing, or has a backtick or a control"
                " character in its name: ask for another name"
            )
        elif name.lower() in _TAKEN:
            problems.append(f"the column {name} has a name that the reader uses: ask for another")
    lower = Counter(name.lower() for name in names)
    for one in sorted(name for name, count in lower.items() if count > 1):
        alike = " and ".join(name for name in names if name.lower() == one)
        problems.append(f"the columns {alike} differ in case only: ask for other names")
    return problems


def _currency_problem(rule: Rule | None) -> list[str]:
    if not isinstance(rule, Take | Coded | Constant | None):
        return ["currency is taken or coded from one column, or constant"]
    named = (*rule.codes.values(), rule.missing) if isinstance(rule, Coded) else ()
    return [
        f"currency {code} is not in ISO 4217; write XXX when there is none"
        for code in named
        if code is not None and code not in ISO_4217
    ]


def _constant_problem(name: str, rule: Rule) -> list[str]:
    if not isinstance(rule, Constant) or name not in _MAPPED:
        return []
    text = str(rule.value)
    if why := flaw(text, VALUES[name]):
        return [f"the constant of {name} {why}"]
    if canonical(text) != text or not text:
        return [
            f"the constant of {name} has blanks or characters that are not displayed, or is empty:"
            f" {printable(text)!r}"
        ]
    if name == "currency" and rule.value not in ISO_4217:
        return [f"currency {rule.value} is not in ISO 4217; write XXX when there is none"]
    if name == "country" and rule.value not in ISO_3166:
        return [f"country {rule.value} is not in ISO 3166"]
    allowed = COLUMNS[name].allowed if name in COLUMNS else None
    if allowed is not None and rule.value not in allowed:
        return [f"{name} is one of {', '.join(allowed)}, not {rule.value}"]
    return []
