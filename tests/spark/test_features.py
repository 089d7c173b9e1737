"""Features against a reckoning by definition, in plain pandas over the shipped files."""

import hashlib
import math
import random
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from contracts.features import CUSTOMER_PAYEES, FEATURE_NAMES, LOOKBACK_DAYS, fillable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

DATA = Path(__file__).resolve().parents[2] / "data" / "sparkov" / "transactions"
FIRST, LAST = date(2024, 5, 1), date(2024, 6, 25)
DAY = pd.Timedelta(days=1)
Frames = tuple["DataFrame", "DataFrame"]


def sample() -> pd.DataFrame:
    """Return the sample's payments as a reader of the contracts would write them down."""
    days = pd.date_range(FIRST, LAST).strftime("%Y-%m-%d")
    frames = [pd.read_parquet(DATA / f"{day}.parquet").reset_index() for day in days]
    source = pd.concat(frames, ignore_index=True)
    event_at = pd.to_datetime(source["trans_date"] + " " + source["trans_time"], utc=True)
    return pd.DataFrame(
        {
            "event_id": source["trans_num"],
            "source_system": "sparkov",
            "source_sequence": source["index"],
            "event_at": event_at.astype("datetime64[us, UTC]"),
            "event_date": event_at.dt.date,
            "customer_id": source["acct_num"],
            "counterparty_id": source["merchant"].str.removeprefix("fraud_"),
            "counterparty_type": "merchant",
            "event_at_precision": "second",
            # Not of the sample: varied, and missing in places, as no shipped source is.
            "country": source["trans_num"].str[0].map({"0": "CA", "1": "MX"}).fillna("US"),
            "device_id": source["trans_num"].str[1].where(source["trans_num"].str[1] > "7"),
            "merchant_category": source["category"],
            "amount": source["amt"],
            "home_lat": source["lat"].round(1),
            "home_lon": source["long"].round(1),
            "transaction_lat": source["merch_lat"].round(1),
            "transaction_lon": source["merch_long"].round(1),
            "is_fraud": source["is_fraud"] == 1,
            "known_at": event_at + source["trans_num"].map(delay),
        }
    ).sort_values(["event_at", "source_sequence", "event_id"], ignore_index=True)


def delay(event_id: str) -> pd.Timedelta:
    digest = hashlib.sha256(f"sparkov|{event_id}".encode()).hexdigest()
    share, place = int(digest[:8], 16) % 1000, int(digest[8:16], 16)
    week = 7 * 86_400
    seconds = 1 + place % week if share < 900 else week + 1 + place % (53 * 86_400)
    return pd.Timedelta(seconds=seconds)


def by_definition(payments: pd.DataFrame, at: int) -> dict[str, Any]:
    """Return the features of one payment, each written out as its description reads."""
    row = payments.loc[at]
    now = row["event_at"]
    up_to_now = payments.loc[:at]
    mine = up_to_now[up_to_now["customer_id"] == row["customer_id"]]
    there = payments[payments["counterparty_id"] == row["counterparty_id"]]
    alike = payments[payments["merchant_category"] == row["merchant_category"]]
    values: dict[str, Any] = {
        "amount": row["amount"],
        "hour_of_day": now.hour,
        "is_weekend": now.dayofweek >= 5,
        "is_night": now.hour <= 6,
    }
    for days in (1, 7, 30):
        window = mine[mine["event_at"] > now - days * DAY]
        values[f"customer_transaction_count_{days}d"] = len(window)
        values[f"customer_amount_mean_{days}d"] = window["amount"].mean()
        start, end = now - (7 + days) * DAY, now - 7 * DAY
        seen = there[(there["event_at"] > start) & (there["event_at"] <= end)]
        frauds = seen[seen["is_fraud"] & (seen["known_at"] <= now)]
        values[f"merchant_transaction_count_{days}d"] = len(seen)
        values[f"merchant_fraud_share_{days}d"] = len(frauds) / len(seen) if len(seen) else 0.0
        if days == 30:
            smoothed = (len(frauds) + 0.2) / (len(seen) + 20)
            values["merchant_fraud_share_smoothed_30d"] = smoothed
        if days < 30:
            payers = there.loc[:at]
            payers = payers[payers["event_at"] > now - days * DAY]
            values[f"payee_payer_count_{days}d"] = payers["customer_id"].nunique()
    today = now.floor("D")
    seen = alike[alike["event_at"].between(today - 37 * DAY, today - 7 * DAY, inclusive="left")]
    frauds = seen[seen["is_fraud"] & (seen["known_at"] <= today)]
    values["category_fraud_share_smoothed_30d"] = (len(frauds) + 0.2) / (len(seen) + 20)
    hour = mine[mine["event_at"] > now - DAY / 24]
    values["customer_transaction_count_1h"] = len(hour)
    values["customer_amount_sum_1h"] = hour["amount"].sum()
    values["customer_amount_sum_24h"] = mine.loc[mine["event_at"] > now - DAY, "amount"].sum()
    before = mine.iloc[:-1]
    recent = before[before["event_at"] > now - 30 * DAY]
    since = now - recent["event_at"].max() if len(recent) else None
    values["time_since_last_seconds"] = None if since is None else since.total_seconds()
    lat_a, lat_b = math.radians(row["home_lat"]), math.radians(row["transaction_lat"])
    turn = math.radians(row["transaction_lon"] - row["home_lon"])
    cosine = math.sin(lat_a) * math.sin(lat_b) + math.cos(lat_a) * math.cos(lat_b) * math.cos(turn)
    values["home_distance_km"] = 6371.0088 * math.acos(min(1.0, cosine))
    mean = values["customer_amount_mean_30d"]
    values["amount_to_mean_ratio"] = row["amount"] / mean if mean else 1.0
    for name, other in NOVELTIES.items():
        is_told = row[other] is not None and row[other] == row[other]
        values[f"is_new_{name}"] = row[other] not in set(recent[other]) if is_told else None
    return values | by_habit(row, recent)


NOVELTIES = {
    "merchant": "counterparty_id",
    "category": "merchant_category",
    "country": "country",
    "device": "device_id",
}


def by_habit(row: pd.Series, recent: pd.DataFrame) -> dict[str, Any]:
    """Return how a payment differs from the customer's recent ones, in floating point."""
    values: dict[str, Any] = {"amount_log_score": None, "usual_hour_distance_hours": None}
    if len(recent) >= 5:
        logs = np.log1p(recent["amount"] * 100)
        odd = (math.log1p(row["amount"] * 100) - logs.mean()) / max(logs.std(ddof=0), 0.25)
        values["amount_log_score"] = min(max(odd, -10.0), 10.0)
        clock = recent["event_at"] - recent["event_at"].dt.floor("D")
        usual = np.exp(2j * math.pi * (clock / DAY).to_numpy()).sum()
        own = (row["event_at"] - row["event_at"].floor("D")) / DAY
        turned = np.exp(2j * math.pi * own) / usual
        values["usual_hour_distance_hours"] = (
            abs(math.atan2(turned.imag, turned.real)) * 12 / math.pi
        )
    values["travel_speed_km_per_hour"] = None
    if len(recent):
        last = recent.iloc[-1]
        lat_a, lat_b = math.radians(last["transaction_lat"]), math.radians(row["transaction_lat"])
        turn = math.radians(row["transaction_lon"] - last["transaction_lon"])
        cosine = math.sin(lat_a) * math.sin(lat_b) + math.cos(lat_a) * math.cos(lat_b) * math.cos(
            turn
        )
        hours = max((row["event_at"] - last["event_at"]).total_seconds(), 60) / 3600
        distance = 6371.0088 * math.acos(min(1.0, cosine))
        values["travel_speed_km_per_hour"] = distance / hours
    return values


# What the job rounds, or counts in integers: logs to 0.01, places on the clock to a millionth.
COARSE = {
    "home_distance_km": 0.002,
    "amount_log_score": 0.05,
    "usual_hour_distance_hours": 0.05,
    "travel_speed_km_per_hour": 0.2,
}


@pytest.fixture(scope="module")
def payments() -> pd.DataFrame:
    return sample()


@pytest.fixture(scope="module")
def frames(spark: "SparkSession", payments: pd.DataFrame, tmp_path_factory: Any) -> Frames:
    """Return transactions and labels of the sample as Spark frames."""
    path = tmp_path_factory.mktemp("features") / "payments.parquet"
    payments.to_parquet(path, index=False, coerce_timestamps="us")
    read = spark.read.parquet(path.as_uri()).withColumns(
        {"amount": _money(), "currency": _text("USD")}
    )
    labels = read.select(
        "event_id", "source_system", "event_date", "event_at", "is_fraud", "known_at"
    )
    return read.drop("is_fraud", "known_at"), labels.drop("event_at")


def _money() -> Any:
    from pyspark.sql import functions as F

    return F.col("amount").cast("decimal(20,4)")


def _text(value: str) -> Any:
    from pyspark.sql import functions as F

    return F.lit(value)


def computed(transactions: "DataFrame", labels: "DataFrame") -> pd.DataFrame:
    """Return the features of these frames, by event id, as Python values."""
    from tests.spark.whole_features import features

    rows = features(transactions, labels).select("event_id", "event_date", *FEATURE_NAMES)
    return rows.toPandas().set_index("event_id").sort_index()


@pytest.fixture(scope="module")
def whole(frames: Frames) -> pd.DataFrame:
    return computed(*frames)


def test_features_equal_their_definitions(payments: pd.DataFrame, whole: pd.DataFrame) -> None:
    assert len(whole) == len(payments)
    picked = random.Random(7).sample(range(len(payments)), 250)
    late = payments.index[payments["event_at"] > "2024-06-20"]
    risky = [
        at
        for at in random.Random(8).sample(list(late), 1500)
        if whole.loc[payments.loc[at, "event_id"], "merchant_fraud_share_30d"] > 0
    ]
    assert len(risky) > 100
    ties = payments.index[payments.duplicated(["customer_id", "event_at"], keep=False)]
    for at in [*picked, *risky[:150], *ties]:
        found = whole.loc[payments.loc[at, "event_id"]]
        for name, value in by_definition(payments, at).items():
            if value is None:
                assert pd.isna(found[name]), name
            elif name in COARSE:
                assert float(found[name]) == pytest.approx(value, abs=COARSE[name]), name
            else:
                assert float(found[name]) == pytest.approx(float(value), rel=1e-12), name


@pytest.mark.parametrize("day", [FIRST + timedelta(days=3), date(2024, 6, 12), LAST])
def test_a_day_by_itself_has_the_same_bits_as_in_the_whole_history(
    frames: Frames, whole: pd.DataFrame, day: date
) -> None:
    from lake.dates import date_ranges
    from lake.frames import within

    needed = within("event_date", date_ranges([day], before=LOOKBACK_DAYS))
    alone = computed(*(frame.filter(needed) for frame in frames))

    pd.testing.assert_frame_equal(
        alone[alone["event_date"] == day], whole[whole["event_date"] == day], check_exact=True
    )


def test_what_comes_after_a_moment_moves_no_feature_before_it(
    frames: Frames, whole: pd.DataFrame
) -> None:
    transactions, labels = frames
    until = date(2024, 6, 10)
    kept = transactions.filter(transactions.event_date <= until)
    known = labels.filter(labels.known_at < until + timedelta(days=1))

    pd.testing.assert_frame_equal(
        computed(kept, known), whole[whole["event_date"] <= until], check_exact=True
    )


def test_labels_inside_the_delay_move_no_feature(frames: Frames, whole: pd.DataFrame) -> None:
    from pyspark.sql import functions as F

    transactions, labels = frames
    flipped = labels.withColumns(
        {
            "is_fraud": F.col("is_fraud") | (F.col("event_date") > LAST - timedelta(days=7)),
            "known_at": F.to_timestamp("event_date"),
        }
    ).filter(F.col("event_date") > LAST - timedelta(days=7))
    rest = labels.filter(F.col("event_date") <= LAST - timedelta(days=7))

    found = computed(transactions, rest.unionByName(flipped))

    pd.testing.assert_frame_equal(found, whole, check_exact=True)


def test_what_a_row_lacks_is_null_and_never_zero(spark: "SparkSession") -> None:
    from tests.spark.whole_features import features

    transactions = spark.sql(
        "SELECT 'e' AS event_id, 's' AS source_system, 0L AS source_sequence,"
        " TIMESTAMP '2024-05-04 03:00:00' AS event_at, DATE '2024-05-04' AS event_date,"
        " 'ordinal' AS event_at_precision, 'c' AS customer_id,"
        " CAST(NULL AS string) AS counterparty_id, 'unknown' AS counterparty_type,"
        " CAST(NULL AS string) AS merchant_category, CAST(NULL AS string) AS country,"
        " CAST(NULL AS string) AS device_id, CAST(0 AS decimal(20,4)) AS amount, 'EUR' AS currency,"
        " CAST(NULL AS double) AS home_lat, CAST(NULL AS double) AS home_lon,"
        " 1.0D AS transaction_lat, 1.0D AS transaction_lon"
    )
    labels = spark.createDataFrame([], _LABELS)

    (row,) = features(transactions, labels).collect()

    assert (row["amount_to_mean_ratio"], row["customer_amount_mean_30d"]) == (1.0, 0.0)
    assert (row["received_amount_24h"], row["customer_amount_sum_1h"]) == (0, 0)
    assert row["is_night"]
    assert row["is_weekend"]
    known = {name for name in FEATURE_NAMES if row[name] is not None}
    assert set(FEATURE_NAMES) - known == {
        name
        for name in FEATURE_NAMES
        if name.startswith(("merchant_", "category_", "is_new_", "payee_"))
    } | {
        "time_since_last_seconds",
        "home_distance_km",
        "amount_log_score",
        "usual_hour_distance_hours",
        "travel_speed_km_per_hour",
        "amount_to_received_ratio",
    }


_LABELS = "event_id string, source_system string, is_fraud boolean, known_at timestamp"


def test_what_a_source_lacks_is_null_and_not_computed(
    spark: "SparkSession", frames: Frames, whole: pd.DataFrame
) -> None:
    from tests.spark.whole_features import features

    transactions, labels = frames
    few = transactions.filter("event_date = '2024-05-02'")
    filled = {"sparkov": frozenset({"counterparty_id"})}

    frame = features(few, labels, filled)
    rows = frame.select("event_id", *FEATURE_NAMES).toPandas()

    lacking = [name for name in FEATURE_NAMES if name not in fillable(filled["sparkov"])]
    assert len(lacking) == 8
    assert rows[lacking].isna().all(axis=None)
    assert rows.drop(columns=lacking)["merchant_fraud_share_smoothed_30d"].notna().all()
    plan = frame.select(*FEATURE_NAMES)._explain_string()
    assert not [name for name in ("device_id", "merchant_category", "home_lat") if name in plan]


def test_money_that_came_in_before_it_goes_out(spark: "SparkSession") -> None:
    from tests.spark.whole_features import features

    moves = random.Random(5)
    rows = pd.DataFrame(
        {
            "event_id": [f"e{n}" for n in range(400)],
            "source_system": "s",
            "source_sequence": range(400),
            # Whole hours, as PaySim tells time: many payments share one.
            "event_at": sorted(
                pd.Timestamp("2024-05-01", tz="UTC") + pd.Timedelta(hours=moves.randrange(200))
                for _ in range(400)
            ),
            "event_at_precision": "hour",
            "customer_id": [f"c{moves.randrange(6)}" for _ in range(400)],
            "counterparty_id": [f"c{moves.randrange(9)}" for _ in range(400)],
            "counterparty_type": [moves.choice(["customer", "merchant"]) for _ in range(400)],
            "amount": [moves.randrange(1, 10_000) / 100 for _ in range(400)],
        }
    )
    rows["event_date"] = rows["event_at"].dt.date
    transactions = spark.createDataFrame(rows).withColumns(
        {"amount": _money(), "currency": _text("EUR")}
    )
    labels = spark.createDataFrame([], _LABELS)
    filled = {"s": frozenset({"counterparty_id", CUSTOMER_PAYEES})}

    found = features(transactions, labels, filled).select(
        "event_id",
        "received_amount_24h",
        "amount_to_received_ratio",
        "customer_transaction_count_1d",
    )

    by_id = {row["event_id"]: row for row in found.collect()}
    assert len(by_id) == len(rows)
    for at, row in rows.iterrows():
        earlier = rows.loc[: at - 1]
        came = earlier[
            (earlier["counterparty_id"] == row["customer_id"])
            & (earlier["counterparty_type"] == "customer")
            & (earlier["event_at"] > row["event_at"] - DAY)
        ]["amount"].sum()
        mine = earlier[
            (earlier["customer_id"] == row["customer_id"])
            & (earlier["event_at"] > row["event_at"] - DAY)
        ]
        computed = by_id[row["event_id"]]
        assert float(computed["received_amount_24h"]) == pytest.approx(came, abs=1e-9)
        assert computed["customer_transaction_count_1d"] == len(mine) + 1
        if came > 0:
            ratio = row["amount"] / came
            assert computed["amount_to_received_ratio"] == pytest.approx(ratio, rel=1e-12)
        else:
            assert computed["amount_to_received_ratio"] is None
