"""Point-in-time features, by sorted arrays within a task.

Spark brings the rows that a task needs (`inputs`), numpy computes (`compute`). Each module is a
family; names, windows and constants are in `contracts/features.py`, meanings in
`contracts/feature_columns.py`.
"""

from collections.abc import Iterator, Mapping, Set
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.columns import COLUMNS
from contracts.features import CUSTOMER_PAYEES, FEATURES, PAYEE_WINDOW_DAYS, fillable
from contracts.render.to_arrow import arrow_type
from contracts.render.to_spark import SPARK_TYPES
from contracts.tables import TABLES
from spark.transforms.features.category import with_category_risk
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
_EVERYTHING = frozenset({*(name for one in FEATURES for name in one.needs)})
_PRESENCE = tuple(f"{edge}_{days}d" for days in PAYEE_WINDOW_DAYS for edge in ("begins", "ends"))


def features(transactions: DataFrame, labels: DataFrame, filled: Filled | None = None) -> DataFrame:
    """Return the declared features of each payment, from these payments and labels alone.

    A payment's values are right when the frames hold the `LOOKBACK_DAYS` before it. `filled` names,
    for each source system in `transactions`, the columns that it fills: a feature that needs others
    is null there, and is not computed when that is so for all. Without it all are computed. One
    task computes them: `spark.jobs.prepare` divides what is too much for one.
    """
    frauds = known_frauds(labels).toArrow()
    rows = inputs(transactions, labels, filled).coalesce(1)
    return rows.mapInArrow(partial(compute, filled=filled, frauds=frauds), schema(OUT))


def schema(names: tuple[str, ...]) -> str:
    """Return the columns of these names as Spark declares them."""
    return ", ".join(f"{name} {SPARK_TYPES[COLUMNS[name].type]}" for name in names)


def known_frauds(labels: DataFrame) -> DataFrame:
    """Return each payment that became known as fraud, and when (`fraud_micros`), first of all."""
    return (
        labels.filter("is_fraud")
        .groupBy("source_system", "event_id")
        .agg(F.min(F.unix_micros("known_at")).alias("fraud_micros"))
    )


def inputs(transactions: DataFrame, labels: DataFrame, filled: Filled | None = None) -> DataFrame:
    """Return of each payment what its features and those of others need, and nothing else.

    Adds the risk of its category, and where money may go to customers a row for each receipt.
    """
    wanted, needs = _wanted(filled)
    kept = (*_CARRIED, *sorted(needs.intersection(transactions.columns).difference(_CARRIED)))
    others = [n for n in transactions.columns if n == "is_wanted"]
    rows = transactions.select(*kept, "event_at_precision", "counterparty_type", *others)
    if "category_fraud_share_smoothed_30d" in wanted:
        rows = with_category_risk(rows, with_frauds(rows, known_frauds(labels)))
    if "received_amount_24h" in wanted:
        rows = with_receipts(rows)
    return rows.drop("counterparty_type")


def with_frauds(payments: DataFrame, frauds: DataFrame) -> DataFrame:
    """Add `fraud_micros` to payments, null where none is known."""
    return payments.join(F.broadcast(frauds), on=["source_system", "event_id"], how="left")


def compute(
    batches: Iterator[pa.RecordBatch], *, filled: Filled | None, frauds: pa.Table
) -> Iterator[pa.RecordBatch]:
    """Turn the `inputs` of a task, whole customers and counterparties, into rows of features.

    `frauds` are the `known_frauds` of these payments at least.
    """
    held = list(batches)
    if not held:
        return
    rows = of_customers(pa.Table.from_batches(held), filled)
    rows = _with(rows, {"fraud_micros": fraud_micros(rows, frauds)})
    yield from finished(of_counterparties(rows, filled), filled)


def by_customer(rows: DataFrame, frauds: DataFrame, filled: Filled, count: int) -> DataFrame:
    """Compute the features of customers in `count` tasks; then bring counterparties together.

    `finish_counterparties` computes theirs from the batches of each task of what is returned.
    """
    wanted, _ = _wanted(filled)
    kinds = {name: kind for name, kind in rows.dtypes if name != "is_receipt"}
    kinds["fraud_micros"] = "bigint"
    kinds |= {name: SPARK_TYPES[COLUMNS[name].type] for name in _of_customers(wanted)}
    if "is_new_merchant" in wanted:
        kinds |= dict.fromkeys(_PRESENCE, "boolean")
    step = partial(_customer_step, filled=filled, names=tuple(kinds))
    done = (
        with_frauds(rows, frauds)
        .repartition(count, "source_system", "customer_id")
        .mapInArrow(step, ", ".join(f"{name} {kind}" for name, kind in kinds.items()))
    )
    # Payments without a counterparty belong nowhere, so they go everywhere.
    place = F.coalesce("counterparty_id", "event_id")
    return done.repartition(count, "source_system", place)


def _of_customers(wanted: Set[str]) -> tuple[str, ...]:
    return tuple(
        name
        for name in wanted
        if name not in _CARRIED and not name.startswith(("merchant_", "payee_", "category_"))
    )


def _customer_step(
    batches: Iterator[pa.RecordBatch], *, filled: Filled, names: tuple[str, ...]
) -> Iterator[pa.RecordBatch]:
    held = list(batches)
    if held:
        rows = of_customers(pa.Table.from_batches(held), filled).select(names)
        declared = [
            field.with_type(arrow_type(COLUMNS[field.name].type))
            if field.name in COLUMNS
            else field
            for field in rows.schema
        ]
        yield from rows.cast(pa.schema(declared)).to_batches()


def finish_counterparties(
    batches: Iterator[pa.RecordBatch], *, filled: Filled
) -> Iterator[pa.RecordBatch]:
    """Turn the rows of `by_customer` in one task into rows of features."""
    held = list(batches)
    if held:
        yield from finished(of_counterparties(pa.Table.from_batches(held), filled), filled)


def of_customers(rows: pa.Table, filled: Filled | None) -> pa.Table:
    """Add the features of customers to `inputs` that hold them whole, and drop the receipts."""
    wanted, _ = _wanted(filled)
    rows = in_order(rows)
    added: dict[str, pa.Array] = {}
    if "received_amount_24h" in wanted:
        is_receipt = rows["is_receipt"].to_numpy()
        customer = codes_of(rows, "source_system", "customer_id")
        micros, cents = integers(rows, "event_at"), cents_of(rows, "amount")
        added |= received(customer, micros, cents, is_receipt)
        rows = rows.filter(pa.array(~is_receipt)).drop_columns(["is_receipt"])
    micros, cents = integers(rows, "event_at"), cents_of(rows, "amount")
    added |= of_the_payment(micros)
    customer = codes_of(rows, "source_system", "customer_id")
    groups = Groups.of(customer, micros)
    starts = window_starts(groups)
    added |= customer_windows(groups, cents, starts)
    is_clock = pc.not_equal(rows["event_at_precision"], "ordinal").to_numpy()
    added |= habits(groups, cents, None if is_clock.all() else is_clock, starts[HISTORY_NAME])
    if "home_distance_km" in wanted:
        places = ("home_lat", "home_lon", "transaction_lat", "transaction_lon")
        added["home_distance_km"] = home_distance_km(*(_floats(rows, name) for name in places))
    if "travel_speed_km_per_hour" in wanted:
        lat, lon = _floats(rows, "transaction_lat"), _floats(rows, "transaction_lon")
        added["travel_speed_km_per_hour"] = travel_speed(groups, lat, lon)
    for name, thing in NOVELTIES.items():
        if f"is_new_{name}" in wanted:
            met = groups.within(codes_of(rows, thing))
            added[f"is_new_{name}"] = is_new(met)
            if name == "merchant":
                added |= presence(met)
    return _with(rows, added)


def of_counterparties(rows: pa.Table, filled: Filled | None) -> pa.Table:
    """Add the features of counterparties to rows that hold them whole."""
    wanted, _ = _wanted(filled)
    if "is_new_merchant" not in wanted:
        return rows
    rows = in_order(rows)
    codes = codes_of(rows, "source_system", "counterparty_id")
    groups = Groups.of(codes, integers(rows, "event_at"))
    known = pc.fill_null(rows["fraud_micros"], -1).to_numpy()
    edges = {name: pc.fill_null(rows[name], False).to_numpy() for name in _PRESENCE}
    return _with(rows.drop_columns([*_PRESENCE]), counterparty_windows(groups, known, edges))


def finished(rows: pa.Table, filled: Filled | None) -> Iterator[pa.RecordBatch]:
    """Return the wanted rows, each feature in its declared type, null where a source lacks it."""
    wanted, _ = _wanted(filled)
    if "is_wanted" in rows.column_names:
        rows = _only(rows, rows["is_wanted"].to_numpy())
    columns = {}
    for name in OUT:
        if name in _CARRIED:
            columns[name] = rows[name]
            continue
        kind = arrow_type(COLUMNS[name].type)
        if name not in wanted:
            columns[name] = pa.nulls(rows.num_rows, kind)
            continue
        value = rows[name].cast(kind)
        if filled is not None:
            needs = set(_BY_NAME[name].needs)
            having = [source for source in filled if filled[source] >= needs]
            if len(having) < len(filled):
                is_had = pc.is_in(rows["source_system"], pa.array(having, pa.string()))
                value = pc.if_else(is_had, value, pa.scalar(None, kind))
        columns[name] = value
    yield from pa.table(columns).to_batches()


def _wanted(filled: Filled | None) -> tuple[frozenset[str], frozenset[str]]:
    """Return the features that one of the sources can have, and the columns that those need."""
    known = _EVERYTHING if filled is None else frozenset[str]().union(*filled.values())
    wanted = frozenset(fillable(known))
    needs = {name for one in FEATURES if one.name in wanted for name in one.needs}
    return wanted, frozenset(needs - {CUSTOMER_PAYEES})


def _with(rows: pa.Table, added: dict[str, pa.Array]) -> pa.Table:
    columns = {name: rows[name] for name in rows.column_names}
    return pa.table(columns | added)


def _only(rows: pa.Table, is_wanted: Flags) -> pa.Table:
    """Return the wanted rows; without a copy where they are the latest."""
    first = int(np.argmax(is_wanted)) if is_wanted.any() else len(is_wanted)
    if is_wanted[first:].all():
        return rows.slice(first)
    return rows.filter(pa.array(is_wanted))


def _floats(rows: pa.Table, name: str) -> Floats:
    values: Floats = rows[name].cast(pa.float64()).fill_null(float("nan")).to_numpy()
    return values
