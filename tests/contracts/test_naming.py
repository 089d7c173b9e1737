"""Columns and tables follow docs/naming.md."""

import re
from pathlib import Path

import pytest

from contracts.columns import COLUMNS, Column, LogicalType
from contracts.tables import TABLES

_PAGE = (Path(__file__).parents[2] / "docs" / "naming.md").read_text()
_ABBREVIATIONS = set(re.findall(r"`(\w+)`", _PAGE.split("## Abbreviations")[1]))
_T = LogicalType
_FORMS = (
    (r"_snapshot_id$", {_T.LONG}),
    (r"_id$", {_T.STRING}),
    (r"_at$", {_T.TIMESTAMP}),
    (r"(^|_)valid_(from|to)$", {_T.TIMESTAMP}),
    (r"_date$|_start$", {_T.DATE}),
    (r"^(is|has)_", {_T.BOOLEAN}),
    (r"^amount(_(in|restated|out|quarantined|duplicate))?$|_amount(_\d+h)?$", {_T.MONEY}),
    (r"^expected_\w+_count$", {_T.DOUBLE}),
    (r"_count(_\d+[dh])?$", {_T.LONG}),
    (r"_(ratio|share)(_smoothed)?(_\d+d)?$", {_T.DOUBLE}),
    (r"_(km|mib|seconds)$", {_T.DOUBLE, _T.LONG}),
)


@pytest.mark.parametrize("column", COLUMNS.values(), ids=lambda column: column.name)
def test_a_column_has_the_type_that_its_name_promises(column: Column) -> None:
    for form, types in _FORMS:
        if re.search(form, column.name):
            assert column.type in types, f"{column.name} is {column.type}"
            return
    dated_or_flagged = {_T.BOOLEAN, _T.DATE, _T.TIMESTAMP}
    assert column.type not in dated_or_flagged, f"{column.name} hides that it is {column.type}"


@pytest.mark.parametrize("name", [*COLUMNS, *TABLES])
def test_a_name_is_lower_case_words_without_other_abbreviations(name: str) -> None:
    words = re.split(r"[_.]", name)
    assert all(re.fullmatch(r"[a-z]+|\d+[dh]|f1|100", word) for word in words), name
    short = {word for word in words if len(word) <= 3}
    plain = {"is", "has", "as", "by", "of", "in", "out", "new", "at", "raw", "run", "day", "key",
             "dim", "fct", "rpt", "list", "to", "sum", "log", "per", "low", "age",
             "1h", "24h", "1d", "7d", "30d", "100", "top", "row"}  # fmt: skip
    assert short - plain <= _ABBREVIATIONS, name


@pytest.mark.parametrize("name", [n for n in TABLES if n.startswith("production.")])
def test_a_production_table_says_what_it_is(name: str) -> None:
    assert re.match(r"production\.(dim|fct|rpt)_", name)
