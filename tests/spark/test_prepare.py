"""The shipped sample through Processed and Sandbox on the test platform."""

import hashlib
import hmac
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from contracts.columns import COLUMNS, PersonalData
from contracts.features import FEATURE_NAMES, LOOKBACK_DAYS, SOURCE_FEATURES
from contracts.stage_results import PrepareResult, ProcessResult
from contracts.tables import TABLES, zone
from sources.store import s3_client
from tests.spark.logs import logs_under

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from tests.spark.conftest import Line

pytestmark = [
    pytest.mark.spark,
    pytest.mark.stack,
    pytest.mark.random_order(disabled=True),
]

DATA = Path(__file__).resolve().parents[2] / "data" / "sparkov" / "transactions"
TRANSACTIONS, LABELS = "processed.transactions", "processed.labels"
HISTORY, DAY = "2024-05-01--2024-05-16", "2024-05-17"
Prepared = tuple[ProcessResult, PrepareResult]


def through(line: "Line", window: str) -> Prepared:
    from lake.publish import publish
    from spark.jobs.prepare import prepare

    processed = publish(line.spark, line.process(line.land_sample(window), f"process {window}"))
    prepared = prepare(line.spark, processed, run_id=f"prepare {window}")
    return processed, publish(line.spark, prepared)


def files() -> pd.DataFrame:
    return pd.concat(
        pd.read_parquet(file) for file in sorted(DATA.glob("*.parquet")) if file.stem <= DAY
    )


@pytest.fixture(scope="module")
def history(line: "Line") -> Prepared:
    return through(line, HISTORY)


@pytest.fixture(scope="module")
def day(line: "Line", history: Prepared) -> Prepared:
    return through(line, DAY)


def test_the_sample_comes_through_whole(history: Prepared, day: Prepared) -> None:
    source = files()
    for (processed, prepared), is_day in ((history, False), (day, True)):
        rows = source[(source["trans_date"] == DAY) == is_day]
        cents = int((rows["amt"] * 100).round().astype("int64").sum())
        for result in (processed, prepared):
            (balance,) = result.balances
            assert balance.rows_in == balance.rows_out == len(rows)
            assert balance.amount_in == balance.amount_out == Decimal(cents) / 100


def test_only_what_changed_is_computed_and_processed_snapshots_go_on(day: Prepared) -> None:
    processed, prepared = day

    assert processed.dates == prepared.dates == (date(2024, 5, 17),)
    lake = {table.name for table in (*zone("processed"), *zone("sandbox"))}
    assert set(prepared.snapshots) == lake
    assert processed.snapshots.items() <= prepared.snapshots.items()


def test_day_by_day_gives_the_bits_of_the_whole(line: "Line", day: Prepared) -> None:
    from lake.frames import conform
    from spark.jobs.column_coverage import columns_filled
    from tests.spark.whole_features import features

    assert LOOKBACK_DAYS > 17
    spark, table = line.spark, TABLES["sandbox.features"]
    whole = conform(
        features(
            spark.table("lake.processed.transactions"),
            spark.table("lake.processed.labels"),
            {"sparkov": columns_filled("sparkov")},
        ),
        table,
    )
    kept = spark.table("lake.sandbox.features")

    assert kept.dtypes == whole.dtypes
    assert kept.count() == len(files())
    assert not differing(kept, whole)
    assert not kept.select(*FEATURE_NAMES).isEmpty()


def differing(rows: "DataFrame", others: "DataFrame") -> int:
    """Return how many rows are not among the others; Spark compares no maps."""
    return rows.drop(SOURCE_FEATURES).exceptAll(others.drop(SOURCE_FEATURES)).count()


@pytest.fixture
def by_keys(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows whenever features are divided by keys."""
    from spark.jobs import feature_tasks

    counts: list[int] = []
    by_customer = feature_tasks.by_customer

    def counted(rows: Any, frauds: Any, filled: Any, count: int) -> Any:
        counts.append(count)
        return by_customer(rows, frauds, filled, count)

    monkeypatch.setattr(feature_tasks, "by_customer", counted)
    return counts


def computed_again(line: "Line", snapshots: dict[str, int], most_rows: int) -> "DataFrame":
    """Compute the features of all days again."""
    from spark.jobs.column_coverage import columns_filled
    from spark.jobs.feature_tasks import TableAt, feature_rows

    per_day = line.spark.table("lake.sandbox.features").groupBy("event_date").count()
    return feature_rows(
        line.spark,
        (TableAt(TRANSACTIONS, snapshots[TRANSACTIONS]), TableAt(LABELS, snapshots[LABELS])),
        {"sparkov": columns_filled("sparkov")},
        {row["event_date"]: row["count"] for row in per_day.collect()},
        most_rows,
    )


@pytest.mark.parametrize("most_rows", [5_000, 1_000_000], ids=["by keys", "by dates"])
def test_the_tasks_together_give_the_bits_of_the_whole(
    line: "Line",
    day: Prepared,
    by_keys: list[int],
    monkeypatch: pytest.MonkeyPatch,
    most_rows: int,
) -> None:
    """Slow: computes the features of all seventeen days again."""
    from spark.jobs import feature_tasks

    monkeypatch.setattr(feature_tasks, "_WORTH_A_PART", 100)
    _, prepared = day

    found = computed_again(line, prepared.snapshots, most_rows)

    assert bool(by_keys) == (most_rows == 5_000)
    kept = line.spark.table("lake.sandbox.features")
    assert found.count() == kept.count() == len(files())
    assert not differing(kept, found)


def test_where_rows_were_deleted_spark_reads_what_is_left(
    line: "Line", day: Prepared, by_keys: list[int]
) -> None:
    """Slow: computes the features of all seventeen days again."""
    from lake.branches import drop_branch, open_branch, references

    _, prepared = day
    mode = "TBLPROPERTIES ('write.delete.mode'"
    open_branch(line.spark, [TABLES[LABELS]], "audit_deleted")
    line.spark.sql(f"ALTER TABLE lake.{LABELS} SET {mode} = 'merge-on-read')")
    line.spark.sql(f"DELETE FROM lake.{LABELS}.branch_audit_deleted WHERE NOT is_fraud")
    line.spark.sql(f"ALTER TABLE lake.{LABELS} UNSET {mode})")
    deleted = references(line.spark, [TABLES[LABELS]])[LABELS]["audit_deleted"]

    found = computed_again(line, {**prepared.snapshots, LABELS: deleted}, 1_000_000)

    assert by_keys
    assert not differing(line.spark.table("lake.sandbox.features"), found)
    drop_branch(line.spark, [TABLES[LABELS]], "audit_deleted")


def test_the_masked_sample_is_a_tenth_without_any_token(line: "Line", day: Prepared) -> None:
    masked = line.spark.table("lake.sandbox.transactions_masked")

    share = masked.count() / len(files())
    assert 0.08 < share < 0.12
    personal = {PersonalData.DIRECT, PersonalData.ONLINE}
    assert not [name for name in masked.columns if COLUMNS[name].personal in personal]
    assert masked.filter("amount_rounded % 10 != 0").isEmpty()


def test_no_direct_identifier_is_beyond_raw(line: "Line", day: Prepared) -> None:
    source = files()
    tell_tale = {
        value
        for column in ("ssn", "cc_num", "acct_num", "street")
        for value in source[column].astype(str).unique()
    }
    # A city, a name or a job may be a word of a merchant's name, so these count as whole values.
    whole_only = {
        value
        for column in ("first", "last", "city", "zip", "job", "dob", "profile")
        for value in source[column].astype(str).unique()
    }
    for table in (*zone("processed"), *zone("sandbox")):
        frame = line.spark.table(f"lake.{table.name}").toPandas()
        assert len(frame) or table.name == "processed.quarantine"
        for column in frame.select_dtypes(include="object"):
            values = set(frame[column].dropna().map(str))
            if column != "counterparty_id":
                assert not values & whole_only, f"{table.name}.{column}"
            joined = "\n".join(values)
            assert not [text for text in tell_tale if text in joined], f"{table.name}.{column}"


def test_tokens_are_keyed_by_this_installation(line: "Line", day: Prepared) -> None:
    key = bytes.fromhex(line.settings.pseudonym_key_file.read_text().strip())
    accounts = files()["acct_num"].unique()
    expected = {
        hmac.new(key, f"customer|sparkov|{account}".encode(), hashlib.sha256).hexdigest()[:32]
        for account in accounts
    }

    found = {row["customer_id"] for row in line.rows("processed.customers", "customer_id")}

    assert found == expected
    logs = logs_under(line.settings.state_dir)
    assert any("spark" in str(file) for file in logs)
    for file in logs:
        text = file.read_bytes().lower()
        assert key.hex().encode() not in text
        assert not [account for account in accounts if account.encode() in text]


def test_an_old_window_prepared_again_takes_nothing_back(
    line: "Line", history: Prepared, day: Prepared
) -> None:
    from lake.publish import publish
    from spark.jobs.prepare import prepare

    def rows() -> pd.DataFrame:
        frame = line.spark.table("lake.sandbox.features").toPandas()
        return frame.sort_values("event_id", ignore_index=True)

    before = rows()
    # The window knows Processed as it was before the day: what came later must stay.
    again = publish(line.spark, prepare(line.spark, history[0], run_id="again"))

    assert again.snapshots["processed.labels"] == day[0].snapshots["processed.labels"]
    assert again.dates[-1] == date(2024, 5, 17)
    pd.testing.assert_frame_equal(before, rows(), check_exact=True)


def test_a_day_is_computed_from_its_look_back_and_reads_nothing_older(
    line: "Line", day: Prepared
) -> None:
    """Slow: runs process and prepare, and takes older objects out of the store meanwhile."""
    from spark.jobs.prepare import prepare

    late = date(2024, 6, 25)
    assert late - timedelta(days=LOOKBACK_DAYS) > date.fromisoformat(DAY)
    processed = line.process(line.land_sample(str(late)), "process late")
    client = s3_client(line.settings, "processor")
    older = [
        str(row["file_path"]).removeprefix("s3://").split("/", 1)
        for table in ("transactions", "labels")
        for row in line.spark.sql(
            f"SELECT file_path FROM lake.processed.{table}.files"
            f" WHERE partition.event_date <= DATE '{DAY}'"
        ).collect()
    ]
    assert len(older) >= 34
    kept = {
        (bucket, key): client.get_object(Bucket=bucket, Key=key)["Body"].read()
        for bucket, key in older
    }
    for bucket, key in kept:
        client.delete_object(Bucket=bucket, Key=key)
    try:
        prepared = prepare(line.spark, processed, run_id="prepare late")
    finally:
        for (bucket, key), body in kept.items():
            client.put_object(Bucket=bucket, Key=key, Body=body)

    assert prepared.dates == (late,)
    assert prepared.balances[0].rows_out == len(pd.read_parquet(DATA / f"{late}.parquet"))
