"""Withdrawn payments: those of a withdrawn key, and the reason for which they are refused."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from contracts.reasons import DESCRIPTIONS, RejectReason
from contracts.withdrawals import WITHDRAWN_COLUMN, Withdrawal


def is_withdrawn(withdrawals: Sequence[Withdrawal]) -> Column:
    """Return whether a payment, its payer, its payee or its delivery is withdrawn.

    >>> from contracts.withdrawals import WithdrawalKind
    >>> payments = spark.sql(
    ...     "SELECT 'shop' source_system, string(id) event_id, 'c1' customer_id,"
    ...     " string(NULL) counterparty_id, 'day' raw_object FROM range(2)"
    ... )
    >>> one = Withdrawal("shop", WithdrawalKind.PAYMENT, "1")
    >>> [row[0] for row in payments.select(is_withdrawn([one])).collect()]
    [False, True]
    """
    found = F.lit(False)
    for kind, column in WITHDRAWN_COLUMN.items():
        for source in sorted({one.source for one in withdrawals if one.kind is kind}):
            keys = [one.key for one in withdrawals if (one.kind, one.source) == (kind, source)]
            found |= (F.col("source_system") == source) & F.col(column).isin(*keys)
    return F.coalesce(found, F.lit(False))


def refuse_withdrawn(batch: DataFrame, withdrawals: Sequence[Withdrawal]) -> DataFrame:
    """Refuse the valid rows of a batch that are withdrawn."""
    if not withdrawals:
        return batch
    is_refused = (F.size("reasons") == 0) & is_withdrawn(withdrawals)
    given = {**refusal(), "event_date": F.lit(None).cast("date")}
    return batch.withColumns(
        {name: F.when(is_refused, value).otherwise(F.col(name)) for name, value in given.items()}
    )


def refusal() -> dict[str, Column]:
    """Return the columns with the reason and the rule of a withdrawn row."""
    reason = RejectReason.WITHDRAWN
    return {"reasons": F.array(F.lit(str(reason))), "rules": F.array(F.lit(DESCRIPTIONS[reason]))}
