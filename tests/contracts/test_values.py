import csv
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.columns import COLUMNS
from contracts.tables import TABLES
from contracts.values import LONGEST, LONGEST_COMPOSED, VALUES, ValueClass, canonical, flaw
from sources.currencies import ISO_4217, minor_unit_digits
from sources.rules import MAPPED_COLUMNS

REPO = Path(__file__).resolve().parents[2]
INDEX_ROW_BYTES = 2_704
"""Most bytes of a row of a Postgres index."""
OTHER_BYTES = 64
"""Most bytes of a column of a key whose text no file states, and of the header of an index row."""


def test_every_mapped_column_has_a_class() -> None:
    assert set(VALUES) == set(MAPPED_COLUMNS)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_the_longest_values_fit_the_key_of_each_table(table: "object") -> None:
    key = [COLUMNS[name] for name in table.key]  # type: ignore[attr-defined]
    longest = (
        4 * LONGEST[VALUES[one.name]]
        if one.name in VALUES and VALUES[one.name] in LONGEST and not one.allowed
        else OTHER_BYTES
        for one in key
    )
    assert sum(longest) + OTHER_BYTES < INDEX_ROW_BYTES


@given(st.text())
def test_the_canonical_form_of_a_text_is_its_own(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Caf\u00e9", "Caf\u00e9"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("\u00a0Caf\u00e9\t", "Caf\u00e9"),
        ("C\u200ba\u00adf\u00e9\ufeff", "Caf\u00e9"),
        ("a\u00a0b", "a b"),
        ("a\u3000b", "a b"),
        ("\u200b\u00a0", ""),
        ("a\x00b", "a\x00b"),
    ],
)
def test_what_is_not_displayed_makes_no_other_text(text: str, form: str) -> None:
    assert canonical(text) == form


def test_a_text_that_is_too_long_in_any_form_is_not_composed() -> None:
    """Composing this takes minutes: each of its marks is sorted among all others."""
    marks = "a" + "\u0301\u0323" * 1_000_000
    assert canonical(f" {marks}\u200b") == marks
    most = max(
        len(unicodedata.normalize("NFD", char))
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.is_normalized("NFC", char)
    )
    assert most * max(LONGEST.values()) <= LONGEST_COMPOSED


def test_a_text_of_too_many_characters_is_no_identifier() -> None:
    assert flaw("\u00e9" * 256, ValueClass.IDENTIFIER) is None
    assert "longer than the 256" in str(flaw("x" * 257, ValueClass.IDENTIFIER))


def test_minor_units_are_those_of_the_seed_of_currencies() -> None:
    with (REPO / "dbt_project/seeds/iso_currencies.csv").open(encoding="utf-8") as file:
        digits = {row["currency"]: row["minor_unit_digits"] for row in csv.DictReader(file)}

    assert {code: minor_unit_digits(code) for code in ISO_4217} == {
        code: int(number or 2) for code, number in digits.items()
    }
