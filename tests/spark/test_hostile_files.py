"""Whatever a file holds: nothing raises, and rows and money balance.

Hypothesis builds the files. Each row is accepted, or refused with a reason and its rule. Landing
and Spark count the same rows and the same money. What is stored fits every store.
"""

import csv
import io
import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contracts.values import LONGEST, LONGEST_COMPOSED, VALUES, ValueClass, canonical, flaw
from sources.declaration import Source
from sources.inspect import inspect
from sources.manifest import RawObject
from sources.mapping_file import read

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
MAPPINGS = Path(__file__).resolve().parents[1] / "sources/hostile"
LANDED = datetime(2026, 1, 1, tzinfo=UTC)
SOUND = {"id": "sound", "customer": "C1", "merchant": "m1", "amount": "12.50", "currency": "EUR"}
# A file an example: each takes Spark a second, and none is worth the minutes of shrinking.
FEW = settings(
    max_examples=4,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

CHARACTERS = st.sampled_from(
    "aZ09 .,;-+'\"\\|{}[]:\t\x00\x01\x1f\x7f\x85\x9b\u00a0\u00ad\u00e9\u0301\u200b\u202e\u3000"
    "\ufeff\ufffd\uffff\U0001f600\U000e0001"
)
ASSIGNED = st.characters(exclude_categories=("Cs", "Cn"))
"""Without code points that a later version of Unicode may assign, and normalise."""
TEXT = st.one_of(
    st.text(CHARACTERS, max_size=8),
    st.text(ASSIGNED, max_size=6),
    st.sampled_from(["", " ", "\u00a0", "x" * 257, "é" * 4_000, "4.78E+18", "C1", "m1", "NaN"]),
)
GERMAN = str.maketrans("_.", ".,")
AMOUNT = st.one_of(
    st.integers(-(10**12), 10**12).map(lambda cents: f"{cents / 100:_.2f}".translate(GERMAN)),
    st.integers(-(10**17), 10**17).map(str),
    st.integers(-(10**19), 10**19).map(lambda cents: f"{Decimal(cents).scaleb(-2):f}"),
    st.decimals(-200_000_000, 200_000_000, places=2).map(str),
    st.decimals(allow_nan=True, allow_infinity=True).map(str),
    st.floats().map(repr),
    st.text("0123456789.+-eE,_ \u00a0", max_size=9),
    TEXT,
)
CURRENCY = st.one_of(st.sampled_from(["EUR", "eur", "JPY", "KWD", "XXX", " usd\t", "EURO"]), TEXT)
TIME = st.one_of(
    st.datetimes().map(str),
    st.sampled_from(["9999-12-31 00:00:00", "0001-01-01", "1970-01-01 00:00:00", "24:00"]),
    TEXT,
)
ROW = st.fixed_dictionaries(
    {"id": TEXT, "time": TIME, "customer": TEXT, "merchant": TEXT, "amount": AMOUNT}
    | {"currency": CURRENCY, "label": TEXT}
)
ROWS = st.lists(ROW, min_size=40, max_size=40)


def check(spark: "SparkSession", name: str, path: Path, sound: int) -> None:
    """Land and check a file that has `sound` sound rows."""
    from pyspark.sql import functions as F

    from spark.jobs.batch import balance_currency
    from spark.jobs.raw import read_objects
    from spark.transforms.coarsen import coarsen
    from spark.transforms.pseudonymise import pads, pseudonymise
    from spark.transforms.validate import validate

    source = read(MAPPINGS / f"{name}.yaml")
    found = inspect(path, source)
    assert found.problem is None
    landed = RawObject(
        key=path.name,
        name=path.name,
        bytes=found.bytes,
        sha256=found.sha256,
        landed_at=LANDED,
        schema_version=found.version,
        columns=found.columns,
    )
    valid = validate(read_objects(spark, source, [landed], f"file://{path.parent}/"), source)
    key = spark.createDataFrame([(bytearray(b"0a" * 32),)], "content binary")
    tokens = coarsen(pseudonymise(valid, pads(key)))
    kept = tokens.select("raw_position", "content_hash", F.col("customer_id").alias("token"))
    columns = [name for name in VALUES if VALUES[name] is not ValueClass.TIME]
    rows = (
        valid.select(
            *columns,
            *("raw_position", "reasons", "rules", "event_date"),
            balance_currency(F.col("currency")).alias("counted_as"),
        )
        .join(kept, "raw_position")
        .collect()
    )

    counts = Counter(row["counted_as"] for row in rows)
    assert (len(rows), counts) == (found.rows, Counter(found.row_counts))
    money = {code: Decimal("0.00") for code in counts}
    for row in rows:
        money[row["counted_as"]] += row["amount"] or 0
        assert len(row["reasons"]) == len(row["rules"])
        _check_row(row.asDict(), source)
    assert money == found.amounts
    assert sum(row["event_id"] == "sound" and not row["reasons"] for row in rows) == sound


def _check_row(row: dict[str, Any], source: Source) -> None:
    """A valid row has what its columns may hold; what is stored of a refused one is printable."""
    stored = ("event_id", "currency") if row["reasons"] else LONGEST_OF
    for name in stored:
        value = row[name]
        assert value is None or (len(value) <= LONGEST_OF[name] and "\x00" not in value), name
    if row["reasons"]:
        assert row["event_date"] is None
        return
    first, last = source.plausible_dates
    assert first <= row["event_date"] <= last
    assert all(row[name] for name in ("event_id", "customer_id", "token", "content_hash"))
    assert row["amount"] >= 0
    for name in LONGEST_OF:
        value = row[name]
        assert value is None or flaw(value, VALUES[name]) is None
        assert value is None or name == "currency" or canonical(value) == value != ""
        assert value is None or unicodedata.is_normalized("NFC", value)


LONGEST_OF = {
    name: LONGEST[kind]
    for name, kind in VALUES.items()
    if kind in LONGEST and kind is not ValueClass.LIST
}


@FEW
@given(texts=st.lists(st.text(CHARACTERS) | st.text(ASSIGNED), min_size=200, max_size=200))
def test_spark_and_python_have_one_canonical_form(
    spark: "SparkSession", texts: Sequence[str]
) -> None:
    from spark.transforms.text import text

    marks = "\u0301\u0323" * (LONGEST_COMPOSED // 2)
    texts = [*texts, marks, f"a{marks}"]
    frame = spark.createDataFrame([(n, value) for n, value in enumerate(texts)], "n int, v string")
    rows = frame.select("n", text(frame.v).alias("v")).orderBy("n").collect()

    assert [row["v"] or "" for row in rows] == [canonical(value) for value in texts]


@pytest.mark.parametrize(
    ("mapping", "encoding", "sound"),
    [
        ("plain_csv", "utf-8", {}),
        ("european_csv", "iso-8859-15", {"amount": "135.000.000,02", "currency": "€"}),
        ("minor_units", "utf-8", {"amount": "13500000002", "time": "1.7145576E9"}),
    ],
)
@FEW
@given(rows=ROWS, damage=st.lists(st.binary(max_size=12), max_size=4))
def test_any_csv_file_balances(
    spark: "SparkSession",
    rows: Sequence[dict[str, str]],
    damage: Sequence[bytes],
    mapping: str,
    encoding: str,
    sound: dict[str, str],
) -> None:
    names = ["id", "time", "customer", "merchant", "amount", "currency", "label"]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    usual = {"time": "2024-05-01 10:00:00", "label": "0", "amount": "135000000.02"}
    writer.writerows([SOUND | usual | sound, *rows])
    title = "Title\n" * read(MAPPINGS / f"{mapping}.yaml").csv.skip_lines
    body = (title + out.getvalue()).encode(encoding, errors="replace")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "day.csv"
        path.write_bytes(body + b"\n".join(damage) + b"\n")
        check(spark, mapping, path, sound=1)


@FEW
@given(rows=ROWS, damage=st.lists(st.binary(max_size=12), max_size=4))
def test_any_file_of_json_lines_balances(
    spark: "SparkSession", rows: Sequence[dict[str, str]], damage: Sequence[bytes]
) -> None:
    def line(row: dict[str, Any]) -> str:
        inner = {"customer": {"id": row["customer"]}, "created": row["time"]}
        return json.dumps({n: v for n, v in row.items() if n not in ("time", "label")} | inner)

    sound = SOUND | {"time": 1_714_557_600}
    lines = [line(row).encode() for row in (sound, *rows)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "day.jsonl"
        path.write_bytes(b"\n".join([*lines, *damage]) + b"\n")
        check(spark, "plain_json", path, sound=1)


INSTANTS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.just(253_402_214_400_000_000))
DOUBLES = st.one_of(
    st.none(), st.floats(), st.integers(-(10**19), 10**19).map(lambda cents: cents / 100)
)


@FEW
@given(
    texts=st.lists(st.tuples(st.none() | TEXT, st.none() | TEXT), min_size=40, max_size=40),
    times=st.lists(INSTANTS, min_size=40, max_size=40),
    amounts=st.lists(DOUBLES, min_size=40, max_size=40),
    labels=st.lists(st.none() | TEXT, min_size=40, max_size=40),
    binary=st.binary(max_size=6),
)
def test_any_parquet_file_balances(
    spark: "SparkSession",
    texts: Sequence[tuple[str | None, str | None]],
    times: Sequence[int | None],
    amounts: Sequence[float | None],
    labels: Sequence[str | None],
    binary: bytes,
) -> None:
    # A writer of Parquet may call any bytes a text.
    ids = [b"sound", binary, *(one and one.encode() for one, _ in texts[1:])]
    at = 1_714_557_600_000_000
    table = pa.table(
        {
            "id": pa.array(ids, pa.binary()).view(pa.string()),
            "time": pa.array([at, *times], pa.int64()).view(pa.timestamp("us")),
            "customer": pa.array(["C1", *(one for _, one in texts)], pa.string()),
            "amount": pa.array([99_999.99, *amounts], pa.float64()),
            "label": pa.array(["0", *labels], pa.string()),
        }
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "day.parquet"
        pq.write_table(table, path)
        check(spark, "plain_parquet", path, sound=1)
