"""Tokens of the API and of the batch line are the same."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serving.tokens import Tokens

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
KEY = "0a1B" * 16


def test_a_token_is_that_of_the_batch_line(spark: "SparkSession", tmp_path: Path) -> None:
    from serving.payments import rounded
    from spark.transforms.coarsen import coarsen
    from spark.transforms.pseudonymise import pads, pseudonymise

    names = ("customer_id", "instrument_id", "device_id", "ip_hash", "counterparty_id")
    rows = [
        {**dict.fromkeys(names, "é7|x"), "counterparty_type": kind, "source_system": "shop"}
        for kind in ("customer", "merchant")
    ]
    rows[1] |= {"device_id": None}
    kinds = ", ".join(f"{name} string" for name in rows[0])
    frame = spark.createDataFrame(rows, kinds)
    key = spark.createDataFrame([(bytearray(KEY.encode()),)], "content binary")
    (tmp_path / "key").write_text(KEY)
    tokens = Tokens(tmp_path / "key")

    found = {row.counterparty_type: row for row in pseudonymise(frame, pads(key)).collect()}
    for row in rows:
        spark_row = found[str(row["counterparty_type"])]
        assert tokens.of(row, "shop") == {name: spark_row[name] for name in names}

    places = [25.75, -80.25, 0.05, -0.05, 12.349999, 89.95]
    frame = spark.createDataFrame(
        [(place, "") for place in places], "transaction_lat double, location_text string"
    ).selectExpr("*", "0D transaction_lon", "0D home_lat", "0D home_lon")
    assert [row.transaction_lat for row in coarsen(frame).collect()] == list(map(rounded, places))
