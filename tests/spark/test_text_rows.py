"""What landing counts in a file is what the workers read from it."""

import csv
from collections.abc import Sequence
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
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

DAY = Path(__file__).resolve().parents[2] / "data/sparkov/transactions/2024-05-01.parquet"
AMOUNTS = [
    *("12.5", " 12.50 ", "\t5", "5\u00a0", "+5", "-0.00", "-7.25", ".5", "5.", "", "0x10", "1_0"),
    *(
        "1e2",
        "1E2",
        "1e-2",
        "1.0E7",
        "1E+02",
        "8.44e+2",
        "8.44e+02",
        "1e+05",
        "1.5e+00",
        "1e400",
        "1e16",
        "9e15",
        "NaN",
        "Infinity",
    ),
    *(
        "99999999999999.99",
        "9999999999999999.99",
        "0.005",
        "12.345",
        "0.1e1",
        "1,5",
        "१२",
        "12.5\n",
    ),
    *("100000.00", "100000.01", "123456.789", "1" * 400, "0" * 40 + "1.10", "-1e5", "1e5.0"),
]
CURRENCIES = ["EUR", " EUR ", "eur", "", "XXX", "EUR\t", "KWD", "NIS", "JPY", "CLF"]


def landed(path: Path, name: str) -> RawObject:
    """Describe a file as its manifest would."""
    found = inspect(path, source(name))
    assert found.problem is None
    return RawObject(
        key=path.name,
        name=path.name,
        bytes=found.bytes,
        sha256=found.sha256,
        landed_at=datetime(2026, 1, 1, tzinfo=UTC),
        schema_version=found.version,
        rows=found.rows,
        row_counts=found.row_counts,
        amounts=found.amounts,
        columns=found.columns,
    )


def validated(
    spark: "SparkSession", name: str, objects: Sequence[RawObject], folder: Path
) -> "DataFrame":
    from spark.jobs.raw import read_objects
    from spark.transforms.validate import validate

    system = source(name)
    return validate(read_objects(spark, system, objects, f"file://{folder}/"), system)


def counted(frame: "DataFrame") -> dict[str, tuple[int, Decimal]]:
    """Return rows and money by currency as process counts them."""
    from pyspark.sql import functions as F

    from spark.jobs.batch import balance_currency

    groups = frame.groupBy(balance_currency(F.col("currency")).alias("code")).agg(
        F.count(F.lit(1)).alias("rows"), F.sum("amount").alias("total")
    )
    return {one["code"]: (one["rows"], one["total"] or Decimal("0.00")) for one in groups.collect()}


def test_landing_and_processing_read_the_same_money_from_the_strangest_text(
    spark: "SparkSession", tmp_path: Path
) -> None:
    header = next(csv.reader([source_header()]))
    path = tmp_path / "day.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(header)
        for number, amount in enumerate(AMOUNTS):
            for currency in CURRENCIES:
                values = {"EVENT_ID": f"e{number}", "ENTITY_ID": "c", "product_category": "home"}
                values |= {"order_price": amount, "payment_currency": currency}
                rows.writerow([values.get(name, "") for name in header])
    # A value with a line end in it is two damaged lines, and the last line is cut.
    with path.open("a", encoding="utf-8") as out:
        out.write("1,2022")
    one = landed(path, "aws_fraud")

    found = counted(validated(spark, "aws_fraud", [one], tmp_path))

    assert found == {code: (one.row_counts[code], one.amounts[code]) for code in one.row_counts}
    assert set(found) == {"CLF", "EUR", "JPY", "KWD", "XXX"}
    assert found["KWD"][1] > 0


def source_header() -> str:
    """Return the header of the AWS sample."""
    folder = DAY.parents[2] / "aws_fraud" / "transactions"
    return next(folder.iterdir()).read_text().partition("\n")[0]


def test_doubles_of_every_size_are_read_alike(spark: "SparkSession", tmp_path: Path) -> None:
    values = [0.0, -0.0, 1.1, 0.1 + 0.2, 0.005, 84.37, 1e5, 100000.01, 1e15, 9999999999999998.0]
    values += [1e16, 1e300, float("inf"), float("-inf"), float("nan"), -12.5, 1234567.891, 2.675]
    frame = pd.concat([pd.read_parquet(DAY).head(1)] * len(values), ignore_index=True)
    path = tmp_path / "day.parquet"
    frame.assign(amt=values, trans_num=[f"e{n}" for n in range(len(values))]).to_parquet(path)
    one = landed(path, "sparkov")

    found = counted(validated(spark, "sparkov", [one], tmp_path))

    assert found == {"USD": (len(values), one.amounts["USD"])}


def test_files_of_two_versions_and_formats_are_read_together(
    spark: "SparkSession", tmp_path: Path
) -> None:
    frame = pd.read_parquet(DAY).head(3)
    frame.to_parquet(tmp_path / "a.parquet")
    at = frame["trans_date"] + " " + frame["trans_time"]
    kaggle = frame.drop(columns=["ssn", "acct_num", "profile", "trans_date", "trans_time"])
    kaggle.assign(trans_date_trans_time=at, added="x").to_csv(tmp_path / "b.csv")
    objects = [landed(tmp_path / name, "sparkov") for name in ("a.parquet", "b.csv")]

    rows: list[Any] = validated(spark, "sparkov", objects, tmp_path).collect()

    by_version = {
        version: {
            one["event_id"]: (one["event_at"], one["amount"], one["counterparty_id"])
            for one in rows
            if one["schema_version"] == version
        }
        for version in (1, 2)
    }
    assert len(by_version[1]) == 3
    assert by_version[1] == by_version[2]
    assert all(one["reasons"] == [] for one in rows)


def test_an_object_of_a_version_that_is_not_declared_is_refused(
    spark: "SparkSession", tmp_path: Path
) -> None:
    from dataclasses import replace

    from spark.jobs.raw import RawUnfitError

    pd.read_parquet(DAY).head(1).to_parquet(tmp_path / "a.parquet")
    one = replace(landed(tmp_path / "a.parquet", "sparkov"), schema_version=9)

    with pytest.raises(RawUnfitError, match="the layout of version 9, which is not declared"):
        validated(spark, "sparkov", [one], tmp_path)
