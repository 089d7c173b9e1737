"""Whole files of each source that may not ship: what they hold, and what becomes of it."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from sources.inspect import inspect
from sources.manifest import RawObject
from sources.registry import source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPO = Path(__file__).resolve().parents[2]
SHARED = REPO.parent / "shared" / "data"
AWS = REPO / "data/aws_fraud/transactions/2022-11-07--2023-03-06.csv"
FILES = [
    ("paysim1", SHARED / "paysim/paysim_kaggle_extract.csv", "amount", 1, 66_649),
    ("paysim1", SHARED / "dirty/paysim_extract_spreadsheet_damaged.csv", "amount", 1, 7_557),
    ("paysim2", SHARED / "paysim/paysim2_sim_first300k.parquet", "amount", 2, 300_000),
    ("sffsd", SHARED / "sffsd/S-FFSD.csv", "Amount", 1, 77_881),
    ("aws_fraud", AWS, "order_price", 1, 1_611),
]
# Reasons, frauds, other labels, flags, first and last time.
EXPECTED: dict[str, tuple[Any, ...]] = {
    "paysim_kaggle_extract": ({}, 2_208, 64_441, "2017-01-01 01:00", "2017-01-31 23:00"),
    "paysim_extract_spreadsheet_damaged": ({}, 617, 6_940, "2017-01-02 21:00", "2017-01-04 23:00"),
    "paysim2_sim_first300k": ({}, 84, 299_916, "2017-01-01 01:00", "2017-01-02 22:00"),
    "S-FFSD": ({}, 5_256, 24_387, "2020-01-01 00:00", "2020-02-24 02:00"),
    # 62 payments in NIS, SPL, GGP, IMP, JEP and TVD, of which 3 were known frauds.
    "2022-11-07--2023-03-06": (
        {"unknown_currency": 62}, 92, 686, "2022-11-07 15:18", "2023-03-06 15:02"
    ),
}  # fmt: skip


@pytest.mark.spark
@pytest.mark.parametrize(("name", "path", "amount", "version", "rows"), FILES)
def test_a_whole_file_is_read_to_the_cent(
    name: str,
    path: Path,
    amount: str,
    version: int,
    rows: int,
    spark: "SparkSession",
    tmp_path: Path,
) -> None:
    if not path.is_file():
        pytest.skip(f"{path.name} (not ours to ship) is not beside the repository")
    from pyspark.sql import functions as F

    from spark.jobs.batch import on_disk
    from spark.jobs.raw import read_objects
    from spark.transforms.labels import truth_labels
    from spark.transforms.validate import validate

    system, key = source(name), f"delivery{path.suffix}"
    (tmp_path / key).symlink_to(path)
    found = inspect(path, system)
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    cents = int((table[amount] * 100).round().astype("int64").sum())
    assert (found.problem, found.version, found.rows) == (None, version, rows)
    assert sum(found.row_counts.values()) == rows
    assert sum(found.amounts.values()) == Decimal(cents).scaleb(-2)

    item = RawObject(
        key=key,
        name=path.name,
        bytes=found.bytes,
        sha256=found.sha256,
        landed_at=datetime(2026, 1, 1, tzinfo=UTC),
        schema_version=version,
        columns=found.columns,
    )
    rows_of_file = read_objects(spark, system, [item], f"file://{tmp_path}/")
    with on_disk(validate(rows_of_file, system)) as valid:
        total = valid.agg(
            F.count(F.lit(1)),
            F.sum("amount"),
            F.count_distinct("event_id"),
            F.date_format(F.min("event_at"), "yyyy-MM-dd HH:mm"),
            F.date_format(F.max("event_at"), "yyyy-MM-dd HH:mm"),
        ).first()
        refused = valid.select(F.explode("reasons").alias("reason")).groupBy("reason").count()
        reason_counts = {one["reason"]: one["count"] for one in refused.collect()}
        labels = truth_labels(valid.filter(F.size("reasons") == 0), system.labels)
        label_counts = {
            one["is_fraud"]: one["count"] for one in labels.groupBy("is_fraud").count().collect()
        }

    reasons, frauds, others, first, last = EXPECTED[path.stem]
    assert total[:3] == (rows, Decimal(cents).scaleb(-2), rows)
    assert total[3:] == (first, last)
    assert reason_counts == reasons
    assert label_counts == {True: frauds, False: others}


@pytest.mark.spark
@pytest.mark.skipif(
    not SHARED.is_dir(), reason="the damaged log (not ours to ship) is not beside the repository"
)
def test_balances_that_a_spreadsheet_rounded_are_flagged(
    spark: "SparkSession", tmp_path: Path
) -> None:
    from pyspark.sql import functions as F

    from spark.jobs.raw import read_objects

    path = SHARED / "dirty/paysim_extract_spreadsheet_damaged.csv"
    (tmp_path / "delivery.csv").symlink_to(path)
    system = source("paysim1")
    found = inspect(path, system)
    item = RawObject(
        key="delivery.csv",
        name=path.name,
        bytes=found.bytes,
        sha256=found.sha256,
        landed_at=datetime(2026, 1, 1, tzinfo=UTC),
        schema_version=1,
        columns=found.columns,
    )

    rows = read_objects(spark, system, [item], f"file://{tmp_path}/")
    flagged = rows.filter(F.array_contains("source_flags", "rounded_balance")).count()

    table = pd.read_csv(path)
    balances = table[["oldbalanceOrg", "newbalanceOrig", "oldbalanceDest", "newbalanceDest"]]
    by_text = balances.map(lambda one: one > 1e7 and len(f"{one:.2f}".rstrip("0.")) <= 3)
    assert flagged == int(by_text.any(axis=1).sum()) > 0
