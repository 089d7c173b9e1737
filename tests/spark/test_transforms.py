import doctest
import hashlib
import importlib
import pkgutil
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

import spark.transforms
from contracts.columns import COLUMNS
from contracts.reasons import RejectReason
from contracts.tables import TABLES
from sources.currencies import minor_unit_digits
from sources.declaration import FixedDelay, StatedTime
from sources.manifest import RawObject
from sources.money import read_amounts
from sources.rules import Joined
from sources.sparkov import SPARKOV
from tests.spark.sparkov_rows import LANDED, V1, raw, validated
from tests.spark.times import utc

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


@pytest.fixture(autouse=True)
def _in_session(spark: "SparkSession") -> None:
    """Expressions need a session to be made in."""


@pytest.mark.parametrize(
    "name",
    [
        module.name
        for module in pkgutil.walk_packages(spark.transforms.__path__, "spark.transforms.")
    ]
    + ["lake.tables"],
)
def test_the_examples_in_the_docstrings_run(name: str, request: pytest.FixtureRequest) -> None:
    module = importlib.import_module(name)
    session = request.getfixturevalue("spark")
    found = doctest.testmod(module, extraglobs={"spark": session})
    assert found.failed == 0


def test_golden_row_of_the_adapter(spark: "SparkSession", row: dict[str, Any]) -> None:
    """A Sparkov row becomes these canonical values, written by hand."""
    from spark.transforms.adapt import adapt

    (mapped,) = adapt(raw(spark, [row]), SPARKOV, V1).collect()

    assert {name: utc(value) for name, value in mapped.asDict().items() if value is not None} == {
        "source_system": "sparkov",
        "schema_version": 1,
        "event_id": "e1",
        "source_sequence": 0,
        "event_at": datetime(2019, 1, 5, 0, 10, tzinfo=UTC),
        "event_at_precision": "second",
        "customer_id": "789500570121",
        "instrument_id": "4779476602844521552",
        "counterparty_id": "Schaefer, McGlynn and Bosco",
        "counterparty_type": "merchant",
        "merchant_category": "gas_transport",
        "transaction_type": "purchase",
        "channel": "pos",
        "payment_method": "card",
        "amount": Decimal("84.37"),
        "currency": "USD",
        "country": "US",
        "location_text": "Miami, FL",
        "transaction_lat": 25.794453,
        "transaction_lon": -80.578092,
        "home_lat": 25.6574,
        "home_lon": -80.3627,
        "is_fraud": False,
        "raw_object": "sparkov/transactions/d/o.parquet",
        "raw_position": 0,
        "ingested_at": LANDED,
        "is_readable": True,
    }


def test_a_category_of_the_net_is_paid_on_the_web_and_names_keep_inner_prefixes(
    spark: "SparkSession", row: dict[str, Any]
) -> None:
    from spark.transforms.adapt import adapt

    rows = [
        {**row, "category": "misc_net", "merchant": "fraud_Fraud_Co"},
        {**row, "merchant": "Plain Shop"},
        {**row, "merchant": " "},
    ]
    mapped = adapt(raw(spark, rows), SPARKOV, V1).orderBy("raw_position").collect()

    assert [one["channel"] for one in mapped] == ["web", "pos", "pos"]
    assert [one["counterparty_id"] for one in mapped] == ["Fraud_Co", "Plain Shop", None]


R = RejectReason
REFUSED: list[tuple[dict[str, Any], list[RejectReason]]] = [
    ({}, []),
    ({"amt": 0.0}, []),
    ({"amt": "100000"}, []),
    ({"trans_num": None}, [R.MISSING_EVENT_ID]),
    ({"trans_num": "  "}, [R.MISSING_EVENT_ID]),
    ({"acct_num": None}, [R.MISSING_CUSTOMER]),
    ({"trans_date": "1/5/19", "trans_time": "0:10"}, []),
    ({"trans_date": "13/1/19", "trans_time": "0:10"}, [R.UNREADABLE_TIME]),
    ({"trans_time": None}, [R.UNREADABLE_TIME]),
    ({"trans_date": "2019-02-30"}, [R.UNREADABLE_TIME]),
    ({"trans_date": "1999-12-31"}, [R.IMPLAUSIBLE_TIME]),
    ({"trans_date": "0001-01-01"}, [R.IMPLAUSIBLE_TIME]),
    ({"trans_date": "9999-12-31"}, [R.IMPLAUSIBLE_TIME, R.FUTURE_TIME]),
    ({"trans_date": "2019-01-06", "trans_time": "03:05:00"}, []),
    ({"trans_date": "2019-01-06", "trans_time": "03:05:01"}, [R.FUTURE_TIME]),
    ({"acct_num": "7.895E+11"}, [R.DAMAGED_IDENTIFIER]),
    ({"cc_num": "4.77948E+18"}, [R.DAMAGED_IDENTIFIER]),
    ({"amt": "8.44E+02"}, [R.UNREADABLE_AMOUNT]),
    ({"amt": None}, [R.UNREADABLE_AMOUNT]),
    ({"amt": "12,50"}, [R.UNREADABLE_AMOUNT]),
    ({"amt": "NaN"}, [R.UNREADABLE_AMOUNT]),
    ({"amt": 0.005}, [R.EXCESS_DECIMALS]),
    ({"amt": "1.50000000001"}, [R.EXCESS_DECIMALS]),
    ({"amt": "1.500"}, []),
    ({"amt": "10.00\u00a0"}, []),
    ({"amt": "(12.50)"}, [R.UNREADABLE_AMOUNT]),
    ({"trans_num": "e\x00"}, [R.UNPRINTABLE_TEXT]),
    ({"merchant": "m\x9b"}, [R.UNPRINTABLE_TEXT]),
    ({"merchant": "\tm\n"}, []),
    ({"category": "\x07"}, [R.UNPRINTABLE_TEXT, R.UNKNOWN_CODE]),
    ({"city": "\x07"}, []),
    ({"trans_num": "é" * 256}, []),
    ({"trans_num": "é" * 257}, [R.OVERLONG_TEXT]),
    ({"trans_num": "x" * 4000}, [R.OVERLONG_TEXT]),
    ({"amt": "1e400"}, [R.ABSURD_AMOUNT]),
    ({"amt": -0.01}, [R.NEGATIVE_AMOUNT]),
    ({"amt": 100000.01}, [R.ABSURD_AMOUNT]),
    ({"amt": -1e9}, [R.NEGATIVE_AMOUNT, R.ABSURD_AMOUNT]),
    ({"lat": 90.1}, [R.IMPOSSIBLE_PLACE]),
    ({"merch_long": "west"}, [R.IMPOSSIBLE_PLACE]),
    ({"lat": None, "long": None}, []),
    ({"category": "weapons"}, [R.UNKNOWN_CODE]),
    ({"acct_num": "", "amt": -1.0, "category": "x"},
     [R.MISSING_CUSTOMER, R.NEGATIVE_AMOUNT, R.UNKNOWN_CODE]),
]  # fmt: skip


def test_each_reason_refuses_its_row_and_no_other(
    spark: "SparkSession", row: dict[str, Any]
) -> None:
    rows = [{**row, **changes} for changes, _ in REFUSED]

    checked = validated(spark, rows).orderBy("raw_position").collect()

    found = {
        str(changes): one["reasons"] for (changes, _), one in zip(REFUSED, checked, strict=True)
    }
    assert found == {str(changes): [str(r) for r in reasons] for changes, reasons in REFUSED}


def test_two_lists_of_parts_never_join_to_one_identifier(spark: "SparkSession") -> None:
    from spark.transforms.adapt import value_of

    parts = [("a", None), (None, "a"), ("a-", "b"), ("a", "-b"), ("a\\", "b"), ("a\\-b", None)]
    frame = spark.createDataFrame([*parts, (None, None)], "x string, y string")
    types = dict(frame.dtypes)
    rule = Joined(("x", "y"), "-")

    rows = frame.select(value_of(rule, types, is_identifier=True), value_of(rule, types)).collect()

    identifiers = [row[0] for row in rows]
    assert identifiers[:2] == ["a-", "-a"]
    assert len(set(identifiers)) == len(rows)
    assert rows[-1][:] == (None, None)
    assert rows[0][1] == "a", "the parts of an address may be absent"


@pytest.mark.parametrize("currency", ["usd", "EURO", None, "ZZZ"])
def test_a_currency_outside_iso_4217_is_refused(
    spark: "SparkSession", row: dict[str, Any], currency: str | None
) -> None:
    from pyspark.sql import functions as F

    from spark.transforms.adapt import adapt
    from spark.transforms.validate import validate

    mapped = adapt(raw(spark, [row]), SPARKOV, V1).withColumn("currency", F.lit(currency))

    assert validate(mapped, SPARKOV).first()["reasons"] == [R.UNKNOWN_CURRENCY]


def test_every_reason_has_a_test_that_names_it() -> None:
    covered = {reason for _, reasons in REFUSED for reason in reasons}
    assert set(RejectReason) - covered == {
        R.UNKNOWN_CURRENCY,
        R.UNREADABLE_FEATURE,
        R.WITHDRAWN,
        R.CONFLICTING_DUPLICATE,
        R.UNREADABLE_ROW,
    }


def test_money_keeps_its_cents_and_what_cannot_be_read_is_null(
    spark: "SparkSession", row: dict[str, Any]
) -> None:
    amounts = [84.37, "0.30000000000000004", "135000000.02", 1e15, "1e400", -5.5]
    rows = [{**row, "amt": amount} for amount in amounts]

    checked = validated(spark, rows).orderBy("raw_position")

    assert dict(checked.dtypes)["amount"] == "decimal(20,4)"
    assert [one["amount"] for one in checked.collect()] == [
        Decimal("84.37"),
        None,
        Decimal("135000000.02"),
        Decimal("1000000000000000.00"),
        None,
        Decimal("-5.50"),
    ]


def test_landing_and_processing_read_the_same_amounts_in_every_minor_unit(
    spark: "SparkSession",
) -> None:
    from pyspark.sql import functions as F

    from spark.transforms.amounts import decimals_in, of_double, of_text

    doubles = [1.234, 12.435, 1.2345, 0.1 + 0.2, 500.5, 1e12 + 0.01, 1e15 + 0.125, 1e16, -7.25]
    codes = ("JPY", "KRW", "EUR", "KWD", "BHD", "CLF", "QQQ")
    given = [(value, f"{value:.4f}", code) for code in codes for value in doubles]
    frame = spark.createDataFrame(given, "value double, text string, code string").coalesce(1)
    most = decimals_in(F.col("code"))
    from_double, _ = of_double(F.col("value"), most)
    from_text, _ = of_text(F.col("text"), most)

    processed = [row[:] for row in frame.select(from_double, from_text).collect()]

    values, texts, currencies = zip(*given, strict=True)
    digits = np.array([minor_unit_digits(code) for code in currencies])
    landed = [
        read_amounts(pa.chunked_array([pa.array(column)]), digits).to_pylist()
        for column in (values, texts)
    ]
    assert [tuple(one or 0 for one in row) for row in processed] == list(zip(*landed, strict=True))
    kuwaiti = [row[0] for row, code in zip(processed, currencies, strict=True) if code == "KWD"]
    assert kuwaiti[:4] == [Decimal("1.234"), Decimal("12.435"), None, Decimal("0.3")]


def test_places_are_coarse_and_of_the_address_only_the_region_stays(
    spark: "SparkSession", row: dict[str, Any]
) -> None:
    from spark.transforms.coarsen import coarsen

    coarse = coarsen(validated(spark, [row, {**row, "city": None}])).orderBy("raw_position")

    first, second = coarse.collect()
    assert "location_text" not in coarse.columns
    assert (first["region"], second["region"]) == ("FL", None)
    assert [first[n] for n in ("home_lat", "home_lon", "transaction_lat", "transaction_lon")] == [
        25.7,
        -80.4,
        25.8,
        -80.6,
    ]


def test_labels_follow_the_declared_delay_and_a_third_value_is_none(
    spark: "SparkSession", row: dict[str, Any]
) -> None:
    from spark.transforms.labels import truth_labels

    stated = [0, 1, 2, None, ""]
    rows = [
        {**row, "trans_num": f"e{n}", "is_fraud": value}
        for n, value in enumerate([*stated, *[0] * 300])
    ]
    labels = truth_labels(validated(spark, rows), SPARKOV.labels).collect()

    known = {one["event_id"]: one for one in labels}
    assert [known[f"e{n}"]["is_fraud"] if f"e{n}" in known else None for n in range(5)] == [
        False,
        True,
        None,
        None,
        None,
    ]
    late = 0
    for event_id, one in known.items():
        digest = hashlib.sha256(f"sparkov|{event_id}".encode()).hexdigest()
        share, place = int(digest[:8], 16) % 1000, int(digest[8:16], 16)
        week = 7 * 86_400
        delay = 1 + place % week if share < 900 else week + 1 + place % (53 * 86_400)
        late += delay > week
        event_at = datetime(2019, 1, 5, 0, 10, tzinfo=UTC)
        assert utc(one["known_at"]) == event_at + timedelta(seconds=delay)
        assert one["event_date"] == date(2019, 1, 5)
    assert 0.05 < late / len(known) < 0.15


def test_a_label_is_read_in_its_usual_spellings_and_types(spark: "SparkSession") -> None:
    from pyspark.sql import functions as F

    from spark.transforms.adapt import label

    spellings = {
        True: ["'1'", "'1.0'", "'TRUE'", "'yes'", "'Y'", "true", "1D", "1.00BD", "1L"],
        False: ["'0'", "'0.00'", "'False'", "'no'", "'n'", "false", "-0D", "0.00BD", "0L"],
        None: ["'2'", "'t'", "'fraud'", "''", "null", "double('NaN')", "0.5D", "2L"],
    }
    for is_fraud, values in spellings.items():
        read = spark.range(1).select(*(label(F.expr(value)) for value in values)).first()
        assert dict(zip(values, read, strict=True)) == dict.fromkeys(values, is_fraud)


def test_a_correction_is_known_after_what_it_replaces(spark: "SparkSession") -> None:
    """By its delivery, or by its source where that states a later time."""
    from pyspark.sql import functions as F

    from spark.transforms.labels import corrections, truth_labels

    columns = (
        "event_id string, is_fraud boolean, label_known_at timestamp, ingested_at timestamp,"
        " raw_position bigint"
    )

    def payments(*rows: tuple[Any, ...]) -> Any:
        return spark.createDataFrame(list(rows), columns).selectExpr(
            "*",
            "'s' source_system",
            "timestamp '2024-05-01' event_at",
            "date '2024-05-01' event_date",
            "string(null) scenario",
            "'file' raw_object",
        )

    def at(day: int) -> datetime:
        return datetime(2024, 5, day, tzinfo=UTC)

    first = payments(
        *((name, True, at(8), at(2), 0) for name in ("same", "soon", "late", "stated", "twice")),
        ("unlabelled", None, None, at(2), 0),
    )
    again = payments(
        ("same", True, at(20), at(3), 0),
        ("soon", False, at(8), at(3), 1),
        ("late", False, at(8), at(12), 2),
        ("stated", False, at(11), at(12), 3),
        ("twice", False, at(8), at(12), 4),
        ("twice", True, at(8), at(12), 5),
        ("unlabelled", True, at(11), at(12), 6),
        ("late", None, None, at(13), 7),
    )
    moment = timedelta(microseconds=1)
    for labels, expected in (
        (
            StatedTime(),
            {
                "soon": (False, at(8) + moment),
                "late": (False, at(12)),
                "stated": (False, at(11)),
                "unlabelled": (True, at(11)),
            },
        ),
        (
            FixedDelay(7 * 86_400),
            {
                "soon": (False, at(8) + moment),
                "late": (False, at(12)),
                "stated": (False, at(12)),
                "unlabelled": (True, at(12)),
            },
        ),
    ):
        known = truth_labels(first, labels)
        found = corrections(again, known, labels)
        assert found.columns == known.columns
        assert {
            row["event_id"]: (row["is_fraud"], utc(row["known_at"])) for row in found.collect()
        } == expected
        assert corrections(again, known.unionByName(found), labels).isEmpty()
    assert corrections(again, known.filter(F.lit(False)), None).isEmpty()


def test_a_fixed_delay_is_the_same_for_each_label(
    spark: "SparkSession", row: dict[str, Any]
) -> None:
    from spark.transforms.labels import truth_labels

    mapped = validated(spark, [row, {**row, "trans_num": "e2", "is_fraud": 1}])
    labels = truth_labels(mapped, FixedDelay(7 * 86_400)).collect()

    assert [utc(one["known_at"]) for one in labels] == [
        datetime(2019, 1, 12, 0, 10, tzinfo=UTC)
    ] * 2


def test_the_first_arrival_wins_repeats_are_duplicates_and_changes_conflicts(
    spark: "SparkSession",
) -> None:
    from spark.transforms.deduplicate import deduplicate

    def batch_row(event: str, content: str, position: int, reasons: list[str]) -> tuple[Any, ...]:
        return ("s", event, content, "new", position, LANDED, reasons, [])

    batch = spark.createDataFrame(
        [
            batch_row("a", "1", 0, []),
            batch_row("a", "1", 1, []),
            batch_row("a", "2", 2, []),
            batch_row("b", "1", 3, []),
            batch_row("c", "9", 4, []),
            batch_row("d", "1", 5, []),
            batch_row("d", "1", 6, []),
            batch_row("a", "1", 7, ["negative_amount"]),
        ],
        "source_system string, event_id string, content_hash string, raw_object string,"
        " raw_position bigint, ingested_at timestamp, reasons array<string>, rules array<string>",
    )
    known = spark.createDataFrame(
        [
            ("s", "b", "1", "old", 0, LANDED + timedelta(days=1)),
            ("s", "c", "1", "old", 1, LANDED),
            ("s", "d", "1", "new", 6, LANDED),
        ],
        "source_system string, event_id string, content_hash string, raw_object string,"
        " raw_position bigint, ingested_at timestamp",
    )

    checked = deduplicate(batch, known).orderBy("raw_position").collect()

    assert [one["verdict"] for one in checked] == [
        "accepted",  # first of a
        "duplicate",  # the same again
        "quarantined",  # a with other content
        "duplicate",  # known from another object, which arrived later
        "quarantined",  # known with other content
        "duplicate",  # position 6 was published before, and stays the accepted one
        "accepted",
        "quarantined",  # refused before it is compared
    ]
    later = [one["raw_position"] for one in checked if one["is_later"]]
    assert later == [1, 2, 4, 5], "position 3 landed before the payment that is known"
    assert checked[2]["reasons"] == [R.CONFLICTING_DUPLICATE]
    assert checked[7]["reasons"] == ["negative_amount"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("2024-05-01", date(2024, 5, 1)),
        ("2024-05-01--2024-05-31", date(2024, 5, 31)),
        ("export-2024-05-02", date(2024, 5, 2)),
        ("whole", date(2024, 6, 2)),
        ("2024-02-30", date(2024, 6, 2)),
        ("2024-5-1", date(2024, 6, 2)),
    ],
)
def test_the_date_of_a_delivery_is_in_its_name_or_that_of_its_landing(
    spark: "SparkSession", name: str, expected: date
) -> None:
    from pyspark.sql import functions as F

    from lake.tables import delivered_date

    landed_at = datetime(2024, 6, 1, 23, 30, tzinfo=timezone(timedelta(hours=-2)))
    landed = RawObject(f"s/transactions/{name}/0a.csv", name, 1, "0a", landed_at)
    row = spark.createDataFrame([(landed.key, landed_at)], "key string, landed_at timestamp")
    found = row.select(delivered_date(F.col("key"), F.col("landed_at"))).collect()

    assert landed.delivered_date == expected
    assert [one[0] for one in found] == [expected]


@pytest.mark.parametrize("days", [0, 1])
def test_parties_do_not_depend_on_which_window_came_first(spark: "SparkSession", days: int) -> None:
    from spark.transforms.parties import customers

    ddl = (
        "source_system string, customer_id string, country string, region string,"
        " home_lat double, home_lon double, event_at timestamp"
    )
    old = spark.createDataFrame([("s", "c", "US", "FL", 1.0, 1.0, LANDED)], ddl)
    later = LANDED + timedelta(days=days)
    new = spark.createDataFrame([("s", "c", "US", "NJ", 2.0, 2.0, later)], ddl)
    none = spark.createDataFrame(
        [], f"{ddl}, first_event_at timestamp, last_event_at timestamp"
    ).drop("event_at")

    forth = customers(customers(none, old), new).collect()
    back = customers(customers(none, new), old).collect()

    assert forth == back
    (one,) = forth
    assert (one["region"], one["home_lat"]) == ("NJ", 2.0)
    assert one["last_event_at"] - one["first_event_at"] == timedelta(days=days)


def test_parties_without_a_payment_in_the_batch_are_not_returned(spark: "SparkSession") -> None:
    from spark.transforms.parties import merchants

    ddl = (
        "source_system string, counterparty_id string, counterparty_type string,"
        " merchant_category string"
    )
    known = spark.createDataFrame(
        [("s", name, "merchant", "c", LANDED, LANDED) for name in ("seen", "unseen")],
        f"{ddl}, first_event_at timestamp, last_event_at timestamp",
    )
    payments = [("s", "seen", "merchant", None, LANDED), ("s", None, None, None, LANDED)]
    batch = spark.createDataFrame(payments, f"{ddl}, event_at timestamp")

    rows = merchants(known, batch).collect()

    assert [(row["counterparty_id"], row["merchant_category"]) for row in rows] == [("seen", "c")]


def test_every_column_that_a_frame_lacks_is_named(spark: "SparkSession") -> None:
    from lake.frames import FrameError, conform

    frame = spark.createDataFrame([("m", 1)], "counterparty_id string, first_event_at int")

    with pytest.raises(FrameError, match=r"merchants lacks source_system, .*last_event_at"):
        conform(frame, TABLES["processed.merchants"])


def test_every_spark_type_is_declared() -> None:
    from contracts.render.to_spark import SPARK_TYPES

    assert {column.type for column in COLUMNS.values()} <= set(SPARK_TYPES)
