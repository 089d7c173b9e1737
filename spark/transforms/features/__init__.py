"""Point-in-time features, by growing frames over integers.

A window (t - w, t] is the difference of two growing frames, "all up to t" and "all up to t - w".
Growing frames need one pass each, and sums of integers do not depend on their order, so a whole
history and a day of it give the same bits. Each module is a family; names, windows and constants
are in `contracts/features.py`, meanings in `contracts/feature_columns.py`.
"""

from collections.abc import Mapping, Set

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from contracts.features import CUSTOMER_PAYEES, FEATURES, fillable
from spark.transforms.features.category import with_category_risk
from spark.transforms.features.counterparty import with_counterparty_windows
from spark.transforms.features.customer import with_customer_windows
from spark.transforms.features.frames import CUSTOMER
from spark.transforms.features.moment import of_the_payment
from spark.transforms.features.novelty import with_novelty
from spark.transforms.features.received import with_received

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


def features(
    transactions: DataFrame,
    labels: DataFrame,
    filled: Mapping[str, Set[str]] | None = None,
) -> DataFrame:
    """Return the declared features of each payment, from these payments and labels alone.

    A payment's values are right when the frames hold the `LOOKBACK_DAYS` before it. `filled` names,
    for each source system in `transactions`, the columns that it fills: a feature that needs others
    is null there, and is not computed when that is so for all. Without it all are computed.
    """
    every = {*transactions.columns, CUSTOMER_PAYEES}
    known = {"": every} if filled is None else filled
    wanted = frozenset(fillable(frozenset[str]().union(*known.values())))
    needs = {name for feature in FEATURES if feature.name in wanted for name in feature.needs}
    kept = (*_CARRIED, *sorted(needs.intersection(transactions.columns).difference(_CARRIED)))
    payments = _with_frauds(
        transactions.select(
            *kept,
            *of_the_payment(),
            F.unix_micros("event_at").alias("micros"),
            (F.col("amount") * 100).cast("bigint").alias("cents"),
            "event_at_precision",
            "counterparty_type",
        ),
        labels,
    )
    if "category_fraud_share_smoothed_30d" in wanted:
        payments = with_category_risk(payments)
    if "received_amount_24h" in wanted:
        payments = with_received(payments)
    else:
        payments = payments.repartition(*CUSTOMER)
    payments = with_customer_windows(with_novelty(payments, wanted), wanted)
    if "counterparty_id" in needs:
        payments = with_counterparty_windows(payments)
    return payments.select(*_CARRIED, *_in_order(wanted, known))


def _with_frauds(payments: DataFrame, labels: DataFrame) -> DataFrame:
    """Add `fraud_micros`: when the payment became known as fraud, first of all statements."""
    frauds = (
        labels.filter("is_fraud")
        .groupBy("source_system", "event_id")
        .agg(F.min(F.unix_micros("known_at")).alias("fraud_micros"))
    )
    return payments.join(F.broadcast(frauds), on=["source_system", "event_id"], how="left")


def _in_order(wanted: Set[str], filled: Mapping[str, Set[str]]) -> list[Column]:
    """Return the features, null where they are not wanted or their source lacks what they need."""
    columns = []
    for feature in FEATURES:
        if feature.name in _CARRIED:
            continue
        value = F.col(feature.name) if feature.name in wanted else F.lit(None)
        having = sorted(name for name in filled if filled[name] >= set(feature.needs))
        if feature.name in wanted and len(having) < len(filled):
            value = F.when(F.col("source_system").isin(having), value)
        columns.append(value.alias(feature.name))
    return columns
