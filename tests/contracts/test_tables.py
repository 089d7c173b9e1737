from contracts.columns import COLUMNS, LogicalType, PersonalData
from contracts.features import FEATURE_NAMES, FEATURES, LOOKBACK_DAYS, SOURCE_FEATURES
from contracts.reasons import DESCRIPTIONS, RejectReason
from contracts.tables import TABLES, zone


def test_every_column_of_every_table_is_declared() -> None:
    for table in TABLES.values():
        assert table.columns, table.name
        assert len(set(table.column_names)) == len(table.column_names), table.name


def test_keys_and_partitions_are_columns_that_cannot_be_null() -> None:
    for table in TABLES.values():
        for column in (*table.key, *filter(None, [table.partition_by])):
            assert column in table.column_names, f"{table.name}.{column}"
            assert not table.is_nullable(column) or column == "counterparty_id", table.name


def test_every_column_is_used_by_a_table() -> None:
    used = {name for table in TABLES.values() for name in table.column_names}
    assert set(COLUMNS) - used == set()


def test_money_stands_beside_its_currency() -> None:
    for table in TABLES.values():
        money = [c.name for c in table.columns if c.type is LogicalType.MONEY]
        if money:
            assert "currency" in table.column_names, f"{table.name}: {money}"


def test_staging_copies_the_lake_column_for_column() -> None:
    for lake in (*zone("processed"), *zone("sandbox")):
        copy = TABLES.get(f"staging.{lake.short_name}")
        if copy is not None:
            names = tuple(n for n in lake.column_names if n != SOURCE_FEATURES)
            assert copy.column_names == names


def test_no_direct_identifier_has_a_raw_form_beyond_raw() -> None:
    for column in COLUMNS.values():
        if column.personal in (PersonalData.DIRECT, PersonalData.ONLINE):
            assert "token" in column.description, column.name


def test_features_are_ordered_columns_of_the_sandbox() -> None:
    assert len(set(FEATURE_NAMES)) == len(FEATURES)
    assert set(FEATURE_NAMES) <= set(TABLES["sandbox.features"].column_names)
    assert LOOKBACK_DAYS == 37


def test_every_reject_reason_says_what_it_means() -> None:
    assert set(DESCRIPTIONS) == set(RejectReason)
