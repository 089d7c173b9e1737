from datetime import timedelta

import pytest

from contracts.columns import COLUMNS
from contracts.features import LABEL_DELAY_DAYS
from sources.declaration import (
    MAPPED_COLUMNS,
    BySuffix,
    Coded,
    Constant,
    Instant,
    Joined,
    LabelDelay,
    RowNumber,
    Source,
    Take,
)
from sources.errors import UnknownSourceError
from sources.registry import SOURCES, source

LAYOUT = {column.name: column.types[0] for column in source("sparkov").layout}


@pytest.mark.parametrize("declared", SOURCES.values(), ids=SOURCES)
def test_a_mapping_reads_declared_file_columns_and_fills_canonical_ones(declared: Source) -> None:
    in_file = {column.name for column in declared.layout}
    for canonical, rule in declared.mapping.items():
        assert canonical in MAPPED_COLUMNS
        match rule:
            case Take(column) | BySuffix(column) | Coded(column):
                assert column in in_file
            case Instant(date_column, time_column):
                assert {date_column, time_column} <= in_file
            case Joined(columns):
                assert set(columns) <= in_file
            case Constant(value):
                allowed = COLUMNS[canonical].allowed
                assert allowed is None or value in allowed
            case RowNumber():
                assert canonical == "source_sequence"
    assert {declared.amount_column, declared.label_column} <= in_file


def test_most_labels_are_known_within_the_delay_that_features_wait_out() -> None:
    delay = source("sparkov").labels
    assert isinstance(delay, LabelDelay)

    assert timedelta(seconds=delay.within_seconds) == timedelta(days=LABEL_DELAY_DAYS)
    assert delay.within_permille == 900
    assert timedelta(seconds=delay.tail_seconds) == timedelta(days=60)


def test_an_unknown_source_is_refused_by_the_names_that_exist() -> None:
    with pytest.raises(UnknownSourceError, match=r"'nope'.*sparkov"):
        source("nope")


def test_the_declared_layout_has_no_problem_even_with_a_column_more() -> None:
    assert source("sparkov").layout_problem({**LAYOUT, "added": "string"}) is None


def test_a_renamed_column_is_named_with_its_likely_new_name() -> None:
    renamed = {("amount" if name == "amt" else name): kind for name, kind in LAYOUT.items()}

    assert source("sparkov").layout_problem(renamed) == "missing amt; not declared amount"


def test_a_wrong_type_is_named_with_the_types_that_would_do() -> None:
    problem = source("sparkov").layout_problem({**LAYOUT, "amt": "boolean"})

    assert problem == "amt is boolean instead of double or string"
