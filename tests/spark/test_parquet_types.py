"""Parquet of every type: a value is read exactly, or landing refuses the file in a sentence."""

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.declaration import FileColumn, Source
from sources.inspect import inspect
from sources.manifest import RawObject
from sources.mapping_file import read
from sources.parquet_types import DeclaredType
from sources.rules import Take

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

HOSTILE = Path(__file__).resolve().parents[1] / "sources/hostile"
ALL: tuple[DeclaredType, ...] = get_args(DeclaredType)
MONEY: tuple[DeclaredType, ...] = ("string", "long", "double", "float", "decimal")
PLAIN = read(HOSTILE / "plain_parquet.yaml")


def declared(**types: tuple[DeclaredType, ...]) -> Source:
    """Return the plain source with the columns `types`, of which x is the device."""
    (version,) = PLAIN.versions
    layout = tuple(FileColumn(name, kinds) for name, kinds in types.items())
    mapping = {**version.mapping, "device_id": Take("x")}
    return replace(PLAIN, versions=(replace(version, layout=layout, mapping=mapping),))


SOURCE = declared(id=("string",), time=ALL, customer=ALL, amount=MONEY, label=("long",), x=ALL)


def table(**columns: Any) -> pa.Table:
    """Return payments with these columns, else with sound values."""
    rows = len(next(iter(columns.values())))
    sound = {
        "id": [f"e{n}" for n in range(rows)],
        "time": pa.array([datetime(2024, 5, 1, 10)] * rows, pa.timestamp("us")),
        "customer": ["c"] * rows,
        "amount": [1.5] * rows,
        "label": [0] * rows,
        "x": ["d"] * rows,
    }
    return pa.table({**sound, **columns})


def landed(path: Path, source: Source) -> RawObject:
    """Describe a file as its manifest would."""
    found = inspect(path, source)
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
        problem=found.problem,
    )


def rows_of(
    spark: "SparkSession", folder: Path, source: Source, objects: list[RawObject]
) -> "DataFrame":
    from spark.jobs.raw import read_objects

    return read_objects(spark, source, objects, f"file://{folder}/")


def refused(objects: list[RawObject]) -> dict[str, str]:
    return {one.key.removesuffix(".parquet"): one.problem for one in objects if one.problem}


D, NOON = Decimal, datetime(2024, 5, 1, 12, 0, 0, 123456)
READ: dict[str, tuple[pa.Array, list[str | None]]] = {
    "int8": (pa.array([-128, None], pa.int8()), ["-128", None]),
    "int16": (pa.array([-(2**15), None], pa.int16()), ["-32768", None]),
    "int32": (pa.array([-(2**31), None], pa.int32()), ["-2147483648", None]),
    "int64": (pa.array([2**63 - 1, None], pa.int64()), ["9223372036854775807", None]),
    "uint8": (pa.array([255, None], pa.uint8()), ["255", None]),
    "uint16": (pa.array([65_535, None], pa.uint16()), ["65535", None]),
    "uint32": (pa.array([2**32 - 1, None], pa.uint32()), ["4294967295", None]),
    "uint64": (pa.array([2**64 - 1, None], pa.uint64()), ["18446744073709551615", None]),
    "float": (pa.array([12.34, None], pa.float32()), ["12.34", None]),
    "double": (pa.array([0.1, None]), ["0.1", None]),
    "decimal": (pa.array([D("-12.30"), None], pa.decimal128(12, 2)), ["-12.30", None]),
    "decimal32": (pa.array([D("12.30"), None], pa.decimal32(5, 2)), ["12.30", None]),
    "decimal256": (pa.array([D("12.3"), None], pa.decimal256(38, 1)), ["12.3", None]),
    "boolean": (pa.array([True, None]), ["true", None]),
    "date32": (pa.array([date(1, 1, 1), None]), ["0001-01-01", None]),
    "date64": (pa.array([date(2024, 5, 1), None], pa.date64()), ["2024-05-01", None]),
    "timestamp_s": (pa.array([NOON, None], pa.timestamp("s")), ["2024-05-01 12:00:00", None]),
    "timestamp_us": (
        pa.array([NOON, None], pa.timestamp("us")),
        ["2024-05-01 12:00:00.123456", None],
    ),
    "timestamp_ns": (
        pa.array([-1, None], pa.timestamp("ns")),
        ["1969-12-31 23:59:59.999999", None],
    ),
    "timestamp_ms": (
        pa.array([-(2**63), 2**63 - 1, -1, None], pa.timestamp("ms")),
        [None, None, "1969-12-31 23:59:59.999", None],
    ),
    "timestamp_far": (
        pa.array([2**63 - 1, None], pa.timestamp("us")),
        ["+294247-01-10 04:00:54.775807", None],
    ),
    "date_far": (
        pa.array([2**31 - 1, None], pa.int32()).cast(pa.date32()),
        ["+5881580-07-11", None],
    ),
    "instant_ns": (
        pa.array([2**63 - 1, None], pa.timestamp("ns", "Asia/Tokyo")),
        ["2262-04-11 23:47:16.854775", None],
    ),
    "large_string": (pa.array(["é", None], pa.large_string()), ["é", None]),
    "string_view": (pa.array(["é", None], pa.string_view()), ["é", None]),
    "dictionary": (pa.array(["é", None]).dictionary_encode(), ["é", None]),
    "null": (pa.nulls(2), [None, None]),
}
"""Columns of each type that is read, and the text of its values."""
REFUSED = {
    "half": pa.array([np.float16(1.5)], pa.float16()),
    "wide_decimal": pa.array([D(1)], pa.decimal256(60, 0)),
    "binary": pa.array([b"\xff"]),
    "time": pa.array([time(12)]),
    "duration": pa.array([1], pa.duration("s")),
    "struct": pa.array([{"id": 1}]),
    "list": pa.array([["a"]]),
}


def test_every_type_is_read_exactly(spark: "SparkSession", tmp_path: Path) -> None:
    for name, (values, _) in READ.items():
        pq.write_table(table(x=values), tmp_path / f"{name}.parquet")
    pq.write_table(
        table(x=pa.array([NOON, None], pa.timestamp("us"))),
        tmp_path / "int96.parquet",
        use_deprecated_int96_timestamps=True,
    )
    objects = [landed(path, SOURCE) for path in sorted(tmp_path.iterdir())]
    assert refused(objects) == {}

    rows = rows_of(spark, tmp_path, SOURCE, objects).orderBy("raw_position").collect()

    read_back: dict[str, list[str | None]] = {}
    for row in rows:
        read_back.setdefault(row["raw_object"].removesuffix(".parquet"), []).append(
            row["device_id"]
        )
    wanted = {name: values for name, (_, values) in READ.items()}
    assert read_back == {**wanted, "int96": wanted["timestamp_us"]}


@pytest.mark.parametrize("name", REFUSED)
def test_a_type_that_no_mapping_reads_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    values = REFUSED[name]
    try:
        pq.write_table(table(x=values), path)
    except pa.ArrowNotImplementedError:
        pytest.skip("Arrow writes no Parquet of this type")

    problem = inspect(path, SOURCE).problem
    assert str(problem).startswith("x is ")
    assert str(problem).endswith(f"instead of {' or '.join(ALL)}")
    pq.write_table(table(y=values), path)
    assert inspect(path, SOURCE).problem is None


def test_money_of_every_type_is_counted_as_it_is_read(
    spark: "SparkSession", tmp_path: Path
) -> None:
    from pyspark.sql import functions as F

    from spark.transforms.validate import validate

    cents = np.random.default_rng(7).integers(-(10**7), 10**7, 20_000)
    written = [D(int(one)).scaleb(-2) for one in cents]
    amounts = {
        "decimal": pa.array(written, pa.decimal128(12, 2)),
        "fine": pa.array([*written[1:], D("0.005")], pa.decimal128(20, 4)),
        "float": pa.array(cents / 100, pa.float32()),
        "long": pa.array(cents),
        "unsigned": pa.array([*np.abs(cents[1:]), 2**64 - 1], pa.uint64()),
        "null": pa.nulls(3),
        "strange": pa.array([float("nan"), float("inf"), 3e38, 1e-30, 0.005], pa.float32()),
    }
    source = replace(SOURCE, absurd_amount=D(10**12))
    for name, values in amounts.items():
        pq.write_table(table(amount=values), tmp_path / f"{name}.parquet")
    objects = [landed(path, source) for path in sorted(tmp_path.iterdir())]
    assert refused(objects) == {}

    totals = (
        validate(rows_of(spark, tmp_path, source, objects), source)
        .groupBy("raw_object")
        .agg(F.coalesce(F.sum("amount"), F.lit(0)).alias("total"))
        .collect()
    )

    assert {one["raw_object"]: one["total"] for one in totals} == {
        one.key: one.amounts["EUR"] for one in objects
    }
    by_name = {one.key.removesuffix(".parquet"): one.amounts["EUR"] for one in objects}
    assert by_name["decimal"] == by_name["float"] == sum(written)
    assert by_name["fine"] == sum(written[1:])


def test_times_of_every_unit_are_instants(spark: "SparkSession", tmp_path: Path) -> None:
    at = [NOON, datetime(1900, 1, 1), datetime(2200, 1, 1)]
    for unit in ("s", "ms", "us", "ns"):
        for zone in (None, "Europe/Berlin"):
            kind = pa.timestamp(unit, zone)
            values = pa.array(at, pa.timestamp("us")).cast(pa.timestamp(unit), safe=False)
            path = tmp_path / f"{unit}-{zone is None}.parquet"
            pq.write_table(table(time=values.cast(kind) if zone else values), path)
    shutil.copy(HOSTILE / "ns.parquet", tmp_path)
    objects = [landed(path, SOURCE) for path in sorted(tmp_path.iterdir()) if "-" in path.name]

    rows = rows_of(spark, tmp_path, SOURCE, objects).selectExpr(
        "raw_object", "raw_position", "string(event_at) AS at", "event_at_precision"
    )

    fractions = {"s": "", "ms": ".123", "us": ".123456", "ns": ".123456"}
    found = {(one[0].partition("-")[0], one[1]): one[2] for one in rows.collect()}
    assert found == {
        (unit, place): text
        for unit, fraction in fractions.items()
        for place, text in enumerate(
            (f"2024-05-01 12:00:00{fraction}", "1900-01-01 00:00:00", "2200-01-01 00:00:00")
        )
    }


def test_files_of_one_window_may_order_their_columns_otherwise(
    spark: "SparkSession", tmp_path: Path
) -> None:
    there = table(x=["a", "b"], amount=pa.array([D("1.10"), D("2.20")], pa.decimal128(9, 2)))
    pq.write_table(there, tmp_path / "a.parquet")
    pq.write_table(there.select(there.column_names[::-1]), tmp_path / "b.parquet")
    renamed = [name.upper() if name == "amount" else name for name in there.column_names]
    pq.write_table(there.rename_columns(renamed), tmp_path / "c.parquet")
    both = there.append_column("AMOUNT", [["3.30", "4.40"]])
    pq.write_table(both, tmp_path / "d.parquet")
    pq.write_table(there.append_column("x", [["3", "4"]]), tmp_path / "e.parquet")
    objects = [landed(path, SOURCE) for path in sorted(tmp_path.iterdir())]

    assert refused(objects) == {
        "c": "missing amount; not declared AMOUNT",
        "d": "cannot be read as Parquet (its columns amount and AMOUNT differ in case only: rename"
        " one)",
        "e": "cannot be read as Parquet (it has two columns called x)",
    }
    rows = rows_of(spark, tmp_path, SOURCE, objects[:2]).orderBy("raw_object", "raw_position")
    assert [(one["device_id"], D(str(one["amount"]))) for one in rows.collect()] == [
        ("a", D("1.1")),
        ("b", D("2.2")),
    ] * 2


def test_a_file_without_a_value_in_any_column_is_read(
    spark: "SparkSession", tmp_path: Path
) -> None:
    path = tmp_path / "day.parquet"
    pq.write_table(table(**dict.fromkeys(table(x=[]).column_names, pa.nulls(2))), path)
    one = landed(path, SOURCE)
    assert one.problem is None
    assert [row["event_id"] for row in rows_of(spark, tmp_path, SOURCE, [one]).collect()] == [
        None
    ] * 2


EXTREMES = {
    "int64": (pa.int64(), [0, -1, 2**63 - 1, -(2**63), 1714557600]),
    "uint64": (pa.uint64(), [0, 2**64 - 1]),
    "float": (pa.float32(), [0.0, -0.0, 3e38, 1e-40, float("nan"), float("-inf"), 12.34]),
    "double": (pa.float64(), [0.0, 1e300, 5e-324, float("nan"), float("inf"), 135000000.02]),
    "decimal": (pa.decimal128(38, 2), [D("0.00"), D(10) ** 35, D("-12.34")]),
    "fine": (pa.decimal128(38, 38), [D("0"), D("0.005")]),
    "boolean": (pa.bool_(), [True, False]),
    "date": (pa.date32(), [date(1, 1, 1), date(9999, 12, 31)]),
    "ms": (pa.timestamp("ms"), [2**62, -(2**63), 0]),
    "us": (pa.timestamp("us"), [2**63 - 1, -(2**63), 0]),
    "ns": (pa.timestamp("ns", "UTC"), [2**63 - 1, -(2**63), 0]),
    "string": (
        pa.string(),
        ["", " ", "1.0", "9999-12-31 00:00:00", "x" * 5000, "e1\x00", "é\u200b"],
    ),
    "null": (pa.null(), [None]),
}


def test_each_row_of_any_file_is_checked_and_its_money_counted(
    spark: "SparkSession", tmp_path: Path
) -> None:
    """Each column of each file has one of the types above, with its extremes and nulls."""
    from pyspark.sql import functions as F

    from spark.transforms.validate import validate

    anything = declared(id=ALL, time=ALL, customer=ALL, amount=MONEY, label=ALL, x=ALL)
    random = Random(16)
    objects = []
    for number in range(30):
        columns = {}
        for name in ("id", "time", "customer", "amount", "label", "x"):
            kind, values = EXTREMES[random.choice(sorted(EXTREMES))]
            columns[name] = pa.array(random.choices([*values, None], k=20), kind)
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table(columns), path)
        objects.append(landed(path, anything))
    sound = [one for one in objects if one.problem is None]
    assert 10 < len(sound) < 30, "some amounts are of a type that holds no money"

    checked = validate(rows_of(spark, tmp_path, anything, sound), anything)
    totals = checked.groupBy("raw_object").agg(
        F.count(F.lit(1)).alias("rows"),
        F.coalesce(F.sum("amount"), F.lit(0)).alias("total"),
        F.sum(F.octet_length(F.to_json(F.struct("*")))),
    )

    assert {one["raw_object"]: (one["rows"], one["total"]) for one in totals.collect()} == {
        one.key: (20, one.amounts["EUR"]) for one in sound
    }
