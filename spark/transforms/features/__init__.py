"""Point-in-time features, computed from sorted arrays within a task.

A task reads the columns that it needs (`inputs`), and numpy computes the features (`computed`).
Each module is a feature family. Names, windows and constants are in `contracts/features.py`,
descriptions in `contracts/feature_columns.py`.
"""

from collections.abc import Iterator, Mapping, Set

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.columns import COLUMNS
from contracts.features import (
    CUSTOMER_PAYEES,
    FEATURES,
    PAYEE_WINDOW_DAYS,
    SOURCE_FEATURES,
    fillable,
)
from contracts.render.to_arrow import arrow_type
from contracts.render.to_spark import SPARK_TYPES
from contracts.tables import TABLES
from spark.transforms.features.category import CATEGORY_RISK, category_risk, counts_of
from spark.transforms.features.counterparty import counterparty_windows, fraud_micros
from spark.transforms.features.customer import HISTORY_NAME, customer_windows, window_starts
from spark.transforms.features.groups import (
    Flags,
    Floats,
    Groups,
    cents_of,
    codes_of,
    in_order,
    integers,
    money_of,
)
from spark.transforms.features.habits import habits
from spark.transforms.features.moment import of_the_payment
from spark.transforms.features.novelty import NOVELTIES, is_new, presence
from spark.transforms.features.places import home_distance_km, travel_speed
from spark.transforms.features.received import received, with_receipts

Filled = Mapping[str, Set[str]]
_CARRIED = (
    "event_id",
    "source_system",
    "source_sequence",
    "event_at",
    "event_date",
    "customer_id",
    "counterparty_id",
    "amount",
    "currency",
)
OUT = TABLES["sandbox.features"].column_names
_BY_NAME = {feature.name: feature for feature in FEATURES}
RECEIVED = "received_amount_24h"
_BATCH_ROWS = 10_000
"""Rows in a batch of features that a task returns to Spark, which has little memory for them."""
_EVERYTHING = frozenset(name for one in FEATURES for name in one.needs)
PRESENCE = tuple(f"{edge}_{days}d" for days in PAYEE_WINDOW_DAYS for edge in ("begins", "ends"))


def schema(names: tuple[str, ...]) -> str:
    """Return the DDL of columns as Spark declares them.

    >>> schema(("event_id", "amount"))
    'event_id string, amount decimal(20,4)'
    """
    return ", ".join(f"{name} {SPARK_TYPES[COLUMNS[name].type]}" for name in names)


def known_frauds(labels: DataFrame) -> DataFrame:
    """Return each payment with a fraud label, and when the first became known (`fraud_micros`).

    >>> labels = spark.sql(
    ...     "SELECT 'e1' event_id, 'shop' source_system, true is_fraud,"
    ...     " timestamp_seconds(1) known_at"
    ... )
    >>> known_frauds(labels).first().fraud_micros
    1000000
    """
    return (
        labels.filter("is_fraud")
        .groupBy("source_system", "event_id")
        .agg(F.min(F.unix_micros("known_at")).alias("fraud_micros"))
    )


def frauds_of(labels: pa.Table) -> pa.Table:
    """Return the same rows as `known_frauds`, from a table of labels.

    >>> labels = pa.table({"source_system": ["shop"], "event_id": ["e1"], "is_fraud": [True]})
    >>> labels = labels.append_column("known_at", pa.array([5], pa.timestamp("us", "UTC")))
    >>> frauds_of(labels).to_pylist()
    [{'source_system': 'shop', 'event_id': 'e1', 'fraud_micros': 5}]
    """
    frauds = labels.filter(labels["is_fraud"])
    columns = {
        "source_system": frauds["source_system"].cast(pa.string()),
        "event_id": frauds["event_id"],
        "known": frauds["known_at"].cast(pa.int64()),
    }
    first = pa.table(columns).group_by(["source_system", "event_id"]).aggregate([("known", "min")])
    return first.rename_columns({"known_min": "fraud_micros"})


def inputs(filled: Filled | None) -> tuple[str, ...]:
    """Return the columns of payments that the features are computed from.

    >>> inputs({"shop": frozenset()})[-1]
    'event_at_precision'
    """
    wanted, needs = wanted_of(filled)
    others = {*needs, "event_at_precision"} - set(_CARRIED)
    if RECEIVED in wanted:
        others.add("counterparty_type")
    if any(SOURCE_FEATURES in columns for columns in (filled or {}).values()):
        others.add(SOURCE_FEATURES)
    return (*_CARRIED, *sorted(others))


def computed(rows: pa.Table, filled: Filled | None, frauds: pa.Table) -> Iterator[pa.RecordBatch]:
    """Return rows of features for the `inputs` of a task.

    The task must have all payments of its customers and counterparties. Rows with `is_wanted` false
    are inputs of other rows' features and are not returned. `frauds` are the `known_frauds` of
    these payments, or more. `filled` has, for each source system in `rows`, the columns that it
    fills: a feature that needs others is null for this source, and is not computed if it is null
    for all sources. Without `filled`, all features are computed.

    >>> from datetime import UTC, date, datetime
    >>> from decimal import Decimal
    >>> from contracts.render.to_arrow import schema as arrow_schema
    >>> payment = {"event_id": "e1", "source_system": "shop", "source_sequence": 0}
    >>> payment |= {"customer_id": "c1", "amount": Decimal("9.50"), "event_at_precision": "second"}
    >>> payment["event_at"] = datetime(2024, 5, 1, 12, tzinfo=UTC)
    >>> payment["event_date"] = date(2024, 5, 1)
    >>> rows = pa.Table.from_pylist([payment], arrow_schema(TABLES["processed.transactions"]))
    >>> frauds = pa.table({"source_system": ["shop"], "event_id": ["e0"], "fraud_micros": [0]})
    >>> (batch,) = computed(rows, {"shop": frozenset()}, frauds)
    >>> batch["hour_of_day"].to_pylist()
    [12]
    """
    wanted, _ = wanted_of(filled)
    if RECEIVED in wanted:
        rows = with_receipts(rows)
    rows = of_customers(rows, filled)
    rows = added_to(rows, {"fraud_micros": fraud_micros(rows, frauds)})
    counts = counts_of(rows) if CATEGORY_RISK in wanted else None
    yield from finished(of_counterparties(rows, filled, counts), filled)


def of_customers(rows: pa.Table, filled: Filled | None) -> pa.Table:
    """Add the features of customers to all rows of these customers, and drop the receipts.

    >>> from datetime import UTC, date, datetime
    >>> from decimal import Decimal
    >>> from contracts.render.to_arrow import schema as arrow_schema
    >>> payment = {"event_id": "e1", "source_system": "shop", "source_sequence": 0}
    >>> payment |= {"customer_id": "c1", "amount": Decimal("9.50"), "event_at_precision": "second"}
    >>> payment["event_at"] = datetime(2024, 5, 1, 12, tzinfo=UTC)
    >>> payment["event_date"] = date(2024, 5, 1)
    >>> rows = pa.Table.from_pylist([payment], arrow_schema(TABLES["processed.transactions"]))
    >>> of_customers(rows, {"shop": frozenset()})["customer_transaction_count_1d"].to_pylist()
    [1]
    """
    wanted, _ = wanted_of(filled)
    rows = in_order(rows)
    added: dict[str, pa.Array] = {}
    if RECEIVED in wanted:
        is_receipt = rows["is_receipt"].to_numpy()
        customer = codes_of(rows, "source_system", "customer_id")
        micros, money = integers(rows, "event_at"), money_of(rows, "amount")
        added |= received(customer, micros, money, is_receipt)
        rows = rows.filter(pa.array(~is_receipt)).drop_columns(["is_receipt"])
    micros, money = integers(rows, "event_at"), money_of(rows, "amount")
    added |= of_the_payment(micros)
    customer = codes_of(rows, "source_system", "customer_id")
    groups = Groups.of(customer, micros)
    starts = window_starts(groups)
    added |= customer_windows(groups, money, starts)
    is_clock = pc.not_equal(rows["event_at_precision"], "ordinal").to_numpy()
    added |= habits(
        groups, cents_of(money), None if is_clock.all() else is_clock, starts[HISTORY_NAME]
    )
    if "home_distance_km" in wanted:
        places = ("home_lat", "home_lon", "transaction_lat", "transaction_lon")
        added["home_distance_km"] = home_distance_km(*(_floats(rows, name) for name in places))
    if "travel_speed_km_per_hour" in wanted:
        lat, lon = _floats(rows, "transaction_lat"), _floats(rows, "transaction_lon")
        added["travel_speed_km_per_hour"] = travel_speed(groups, lat, lon)
    for name, thing in NOVELTIES.items():
        if f"is_new_{name}" in wanted:
            pairs = groups.within(codes_of(rows, thing))
            added[f"is_new_{name}"] = is_new(pairs)
            if name == "merchant":
                added |= presence(pairs)
    return added_to(rows, added)


def of_counterparties(rows: pa.Table, filled: Filled | None, counts: pa.Table | None) -> pa.Table:
    """Add the features of counterparties, to all rows of these counterparties, and of categories.

    `counts` are the counts of all categories by day (`category.counts_of`).

    >>> rows = pa.table({"counterparty_id": ["m1"]})
    >>> of_counterparties(rows, {"shop": frozenset()}, None).column_names
    ['counterparty_id']
    """
    wanted, _ = wanted_of(filled)
    if counts is not None:
        rows = added_to(rows, {CATEGORY_RISK: category_risk(rows, counts)})
    if "is_new_merchant" not in wanted:
        return rows
    rows = in_order(rows)
    codes = codes_of(rows, "source_system", "counterparty_id")
    groups = Groups.of(codes, integers(rows, "event_at"))
    known = pc.fill_null(rows["fraud_micros"], -1).to_numpy()
    edges = {name: pc.fill_null(rows[name], False).to_numpy() for name in PRESENCE}
    return added_to(rows.drop_columns([*PRESENCE]), counterparty_windows(groups, known, edges))


def finished(rows: pa.Table, filled: Filled | None) -> Iterator[pa.RecordBatch]:
    """Return the wanted rows, each feature in its declared type, null where a source lacks it.

    >>> from datetime import UTC, date, datetime
    >>> from decimal import Decimal
    >>> from contracts.render.to_arrow import schema as arrow_schema
    >>> payment = {"event_id": "e1", "source_system": "shop", "source_sequence": 0}
    >>> payment |= {"customer_id": "c1", "amount": Decimal("9.50"), "event_at_precision": "second"}
    >>> payment["event_at"] = datetime(2024, 5, 1, 12, tzinfo=UTC)
    >>> payment["event_date"] = date(2024, 5, 1)
    >>> rows = pa.Table.from_pylist([payment], arrow_schema(TABLES["processed.transactions"]))
    >>> (batch,) = finished(of_customers(rows, {"shop": frozenset()}), {"shop": frozenset()})
    >>> batch["is_new_merchant"].to_pylist()
    [None]
    """
    wanted, _ = wanted_of(filled)
    if "is_wanted" in rows.column_names:
        rows = _only(rows, rows["is_wanted"].to_numpy())
    columns = {}
    carried = {*_CARRIED, *({SOURCE_FEATURES} & set(rows.column_names))}
    for name in OUT:
        kind = arrow_type(COLUMNS[name].type)
        if name in carried:
            columns[name] = rows[name].cast(kind)
            continue
        if name not in wanted:
            columns[name] = pa.nulls(rows.num_rows, kind)
            continue
        value = rows[name]
        if filled is not None:
            needs = set(_BY_NAME[name].needs)
            sources = [source for source in filled if filled[source] >= needs]
            if len(sources) < len(filled):
                has_needs = pc.is_in(rows["source_system"], pa.array(sources, pa.string()))
                value = pc.if_else(has_needs, value, pa.scalar(None, kind))
        columns[name] = value
    yield from pa.table(columns).to_batches(_BATCH_ROWS)


def wanted_of(filled: Filled | None) -> tuple[frozenset[str], frozenset[str]]:
    """Return the features that at least one source can have, and the columns that they need.

    >>> wanted, needs = wanted_of({"shop": {"device_id"}})
    >>> "is_new_device" in wanted, sorted(needs)
    (True, ['device_id'])
    """
    known = _EVERYTHING if filled is None else frozenset[str]().union(*filled.values())
    wanted = frozenset(fillable(known))
    needs = {name for one in FEATURES if one.name in wanted for name in one.needs}
    return wanted, frozenset(needs - {CUSTOMER_PAYEES})


def added_to(rows: pa.Table, added: dict[str, pa.Array]) -> pa.Table:
    """Return rows with columns added or replaced, features in their declared types.

    `added` is empty afterwards, which frees each array after its cast.

    >>> added_to(pa.table({"event_id": ["e1"]}), {"hour_of_day": pa.array([12])}).to_pylist()
    [{'event_id': 'e1', 'hour_of_day': 12}]
    """
    columns = {name: rows[name] for name in rows.column_names}
    while added:  # to free each array after its cast
        name, value = added.popitem()
        columns[name] = value.cast(arrow_type(COLUMNS[name].type)) if name in _BY_NAME else value
    return pa.table(columns)


def _only(rows: pa.Table, is_wanted: Flags) -> pa.Table:
    """Return the wanted rows, without a copy if they are the last rows."""
    first = int(np.argmax(is_wanted)) if is_wanted.any() else len(is_wanted)
    if is_wanted[first:].all():
        return rows.slice(first)
    return rows.filter(pa.array(is_wanted))


def _floats(rows: pa.Table, name: str) -> Floats:
    values: Floats = rows[name].cast(pa.float64()).fill_null(float("nan")).to_numpy()
    return values
