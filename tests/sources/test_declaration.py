from datetime import timedelta

import pytest

from contracts.columns import COLUMNS
from contracts.features import LABEL_DELAY_DAYS
from contracts.tables import TABLES
from sources.declaration import LabelDelay, LabelFeed, Source, StatedTime, Version
from sources.errors import UnknownSourceError
from sources.registry import SOURCES, source
from sources.rules import MAPPED_COLUMNS, NEEDED_COLUMNS, Constant, columns_of

LAYOUT = {column.name: column.types[0] for column in source("sparkov").versions[0].layout}
VERSIONS = [
    pytest.param(version, id=f"{name}-{version.number}")
    for name, declared in SOURCES.items()
    for version in declared.versions
]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_mapping_reads_declared_file_columns_and_fills_canonical_ones(version: Version) -> None:
    in_file = {column.name for column in version.layout}
    assert set(NEEDED_COLUMNS) <= set(version.mapping) <= set(MAPPED_COLUMNS)
    for canonical, rule in version.mapping.items():
        assert columns_of(rule) <= in_file
        allowed = COLUMNS[canonical].allowed if canonical in COLUMNS else None
        if isinstance(rule, Constant) and allowed is not None:
            assert rule.value in allowed
    assert version.amount_column in in_file
    assert columns_of(version.currency) <= in_file


@pytest.mark.parametrize("declared", SOURCES.values(), ids=SOURCES)
def test_versions_are_told_apart_by_their_columns(declared: Source) -> None:
    assert len({version.number for version in declared.versions}) == len(declared.versions)
    for version in declared.versions:
        columns = {column.name: column.types[0] for column in version.layout}
        assert declared.version_of(columns) == version
        assert declared.layout_problem(columns) is None


@pytest.mark.parametrize("declared", SOURCES.values(), ids=SOURCES)
def test_what_a_source_fills_and_lacks_are_the_columns_of_payments(declared: Source) -> None:
    columns = set(TABLES["processed.transactions"].column_names)
    assert declared.fills <= columns
    assert declared.lacks <= columns
    assert declared.fills.isdisjoint(declared.lacks)
    assert {"amount", "event_at", "customer_id"} <= declared.fills


@pytest.mark.parametrize("declared", SOURCES.values(), ids=SOURCES)
def test_labels_are_mapped_where_they_are_declared(declared: Source) -> None:
    for version in declared.versions:
        in_payments = declared.labels is not None and not isinstance(declared.labels, LabelFeed)
        assert ("is_fraud" in version.mapping) == in_payments
        stated = isinstance(declared.labels, StatedTime)
        assert ("label_known_at" in version.mapping) == stated


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

    assert source("sparkov").layout_problem(renamed) == (
        "nearest to version 1: missing amt; not declared amount"
    )


def test_a_wrong_type_is_named_with_the_types_that_would_do() -> None:
    problem = source("sparkov").layout_problem({**LAYOUT, "amt": "boolean"})

    assert problem == "nearest to version 1: amt is boolean instead of double or string"


def test_what_may_stay_empty_follows_from_labels_and_names() -> None:
    empty = {name: declared.may_leave_empty for name, declared in SOURCES.items()}

    assert empty["sparkov"] == empty["handbook"] == empty["simulator"] == {"quarantine"}
    assert empty["aws_fraud"] == empty["sffsd"] == {"quarantine", "labels"}
    assert empty["card_feed"] == {"quarantine", "labels", "merchants"}
