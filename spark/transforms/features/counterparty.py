"""Windows over the payments of a counterparty: delayed risk, and how many pay it.

Delayed risk: the fraud-detection handbook (Le Borgne et al.), chapter 3, terminal risk. Smoothing:
Micci-Barreca, A Preprocessing Scheme for High-Cardinality Categorical Attributes, SIGKDD
Explorations 3, 2001. Fan-in: many payers and one payee, a typology of money laundering
that IBM's simulator AMLSim builds in.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from contracts.features import (
    LABEL_DELAY_DAYS,
    MERCHANT_WINDOW_DAYS,
    PAYEE_WINDOW_DAYS,
    PRIOR_PAYMENTS,
    PRIOR_SHARE,
)
from spark.transforms.features.frames import COUNTERPARTY, DAY, growing, so_far, total

_DELAY = LABEL_DELAY_DAYS * DAY
_ORDER = ("moment", "source_sequence", "event_id")


def with_counterparty_windows(payments: DataFrame) -> DataFrame:
    """Add the features of the counterparty's payments.

    `payments` has `micros`, `fraud_micros` (when the payment became known as fraud, or null), and
    where the presence of a payer begins and ends.
    """
    rows = with_moments(payments).repartition(*COUNTERPARTY)
    is_payment, now = F.col("is_payment"), so_far(COUNTERPARTY, _ORDER)
    columns = {
        f"frauds_{days}d": total(F.col(f"step_{days}d"), now) for days in MERCHANT_WINDOW_DAYS
    }
    for days in PAYEE_WINDOW_DAYS:
        columns[f"begun_{days}d"] = F.sum(F.col(f"begins_{days}d") * is_payment).over(now)
    # These first: their order, by moment and more, serves the frames by moment below.
    rows = rows.withColumns(columns)
    before = {}
    for days in (0, *MERCHANT_WINDOW_DAYS):
        frame = growing(COUNTERPARTY, "moment", -2 * (_DELAY + days * DAY))
        before[f"paid_until_{days}d"] = total(is_payment, frame)
    for days in PAYEE_WINDOW_DAYS:
        frame = growing(COUNTERPARTY, "moment", -2 * days * DAY)
        before[f"ended_{days}d"] = total(F.col(f"ends_{days}d") * is_payment, frame)
    return rows.withColumns(before).filter("is_payment = 1").withColumns(_finished())


def with_moments(payments: DataFrame) -> DataFrame:
    """Add to each payment its moment, and to each fraud the moments at which it counts.

    A fraud at s, known at k, counts for payments in [max(s + delay, k), s + delay + window): it is
    a step up and a step down, summed by a growing frame. Steps at a payment's own instant come
    before it: a moment is twice the time, plus one for payments.
    """
    steps = [f"step_{days}d" for days in MERCHANT_WINDOW_DAYS]

    def moment(micros: Column, is_payment: int, values: dict[str, int]) -> Column:
        return F.struct(
            (micros * 2 + is_payment).alias("moment"),
            F.lit(is_payment).alias("is_payment"),
            *(F.lit(values.get(step, 0)).alias(step) for step in steps),
        )

    itself = moment(F.col("micros"), 1, {})
    starts = F.greatest(F.col("micros") + _DELAY, F.col("fraud_micros"))
    moves = []
    for days, step in zip(MERCHANT_WINDOW_DAYS, steps, strict=True):
        ends = F.col("micros") + _DELAY + days * DAY
        is_seen = starts < ends
        moves += [
            F.when(is_seen, moment(starts, 0, {step: 1})),
            F.when(is_seen, moment(ends, 0, {step: -1})),
        ]
    is_fraud = F.col("fraud_micros").isNotNull()
    moments = F.when(is_fraud, F.array_compact(F.array(itself, *moves))).otherwise(F.array(itself))
    return payments.select("*", F.inline(moments)).drop("micros", "fraud_micros")


def smoothed_share(frauds: Column, payments: Column) -> Column:
    """Return the fraud share with the declared prior, `PRIOR_PAYMENTS` at `PRIOR_SHARE`.

    >>> spark.range(1).select(smoothed_share(F.lit(0), F.lit(0)).alias("share")).first()
    Row(share=0.01)
    """
    assumed = PRIOR_PAYMENTS * PRIOR_SHARE
    return (frauds + F.lit(assumed)) / (payments + F.lit(float(PRIOR_PAYMENTS)))


def _finished() -> dict[str, Column]:
    """Return the features as expressions over the frames' columns."""
    has_counterparty = F.col("counterparty_id").isNotNull()
    columns = {}
    for days in MERCHANT_WINDOW_DAYS:
        count = F.col("paid_until_0d") - F.col(f"paid_until_{days}d")
        frauds = F.col(f"frauds_{days}d")
        share = F.when(count > 0, frauds / count).otherwise(0.0)
        columns[f"merchant_transaction_count_{days}d"] = F.when(has_counterparty, count)
        columns[f"merchant_fraud_share_{days}d"] = F.when(has_counterparty, share)
        if days == max(MERCHANT_WINDOW_DAYS):
            columns[f"merchant_fraud_share_smoothed_{days}d"] = F.when(
                has_counterparty, smoothed_share(frauds, count)
            )
    for days in PAYEE_WINDOW_DAYS:
        present = F.col(f"begun_{days}d") - F.col(f"ended_{days}d")
        columns[f"payee_payer_count_{days}d"] = F.when(has_counterparty, present)
    return columns
